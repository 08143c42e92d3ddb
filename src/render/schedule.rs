//! The schedules of a fleet: when each is due, how its last run ended, what is proven.

use serde_json::{Value, json};

use super::words::{are_wider, columns, time};
use crate::model::fold::fold;
use crate::model::inventory::{Rule, Schedule, days};
use crate::model::schedule::Record;

/// A schedule and what is known of it.
pub struct Row<'a> {
    /// The schedule.
    pub schedule: &'a Schedule,
    /// Its hosts.
    pub hosts: Vec<String>,
    /// Their chain's id; empty where none is meant.
    pub chain_id: String,
    /// What is remembered.
    pub record: Record,
    /// When it is due, Unix ms.
    pub next_ms: Option<i64>,
    /// Whether it goes on now.
    pub runs: bool,
}

/// Characters of a time that are left out where there is no room: the year.
const YEAR: usize = 5;

/// A row for each schedule.
pub fn list(rows: &[Row<'_>], now_ms: i64, width: usize) -> Vec<String> {
    let head = ["NAME", "WHEN", "NEXT", "LAST RUN", "EXIT", "PROVEN", "HOSTS"];
    let grid = |skipped: usize| -> Vec<Vec<String>> {
        let rows = rows.iter().map(|row| cells(row, now_ms, skipped));
        std::iter::once(head.map(String::from).to_vec()).chain(rows).collect()
    };
    let whole = grid(0);
    let grid = if are_wider(&whole, width) { grid(YEAR) } else { whole };
    columns(&grid, width).into_iter().chain(rows.iter().filter_map(what_went_wrong)).collect()
}

fn what_went_wrong(row: &Row<'_>) -> Option<String> {
    let what = match &row.record.ended {
        _ if row.runs => return None,
        _ if row.record.is_open() => "its last run was cut short: fleet runs list",
        ended => ended.as_ref().filter(|ended| ended.exit != 0)?.summary.lines().next().unwrap_or_default(),
    };
    Some(format!("{}: {what}", row.schedule.name))
}

fn cells(row: &Row<'_>, now_ms: i64, skipped: usize) -> Vec<String> {
    let when =
        |at: Option<i64>| at.map_or_else(|| "-".to_owned(), |at_ms| minute(at_ms).chars().skip(skipped).collect());
    let next = match row.next_ms {
        _ if row.runs => "runs".to_owned(),
        Some(at) if at <= now_ms => "now".to_owned(),
        at => when(at),
    };
    let exit = match &row.record.ended {
        _ if row.runs => "-".to_owned(),
        _ if row.record.is_open() => "died".to_owned(),
        Some(ended) => ended.exit.to_string(),
        None => "-".to_owned(),
    };
    let proven = when(row.record.newest_ms());
    let hosts = fold(row.hosts.iter().map(String::as_str));
    vec![row.schedule.name.clone(), rule(&row.schedule.rule), next, when(row.record.started_ms), exit, proven, hosts]
}

/// To the minute, without the zone: all times are UTC's.
fn minute(at_ms: i64) -> String {
    time(at_ms).chars().take(16).collect()
}

fn rule(rule: &Rule) -> String {
    match rule {
        Rule::Every(span) => format!("every {}", days(*span)),
        Rule::On(calendar) => calendar.text().to_owned(),
    }
}

/// The same as JSON, with the clocks that call it.
pub fn row_json(row: &Row<'_>, clocks: &Value) -> Value {
    let proven: Vec<_> = row.record.proven.values().collect();
    json!({
        "schedule": row.schedule.name, "when": rule(&row.schedule.rule), "hosts": row.hosts, "chain_id": row.chain_id,
        "next_ms": row.next_ms, "running": row.runs, "started_ms": row.record.started_ms, "ended": row.record.ended,
        "failures": row.record.failures, "proven": proven, "clocks": clocks,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::calendar::Calendar;
    use crate::model::schedule::Ended;

    #[test]
    fn a_row_says_how_it_stands() {
        let on = Rule::On(Calendar::parse("Sun 03:00").unwrap());
        let schedule = |name: &str, rule| Schedule {
            name: name.into(),
            rule,
            jitter: Duration::ZERO,
            hosts: None,
            profiles: Vec::new(),
            store: "s".into(),
            metrics: None,
            ping: None,
            place: 0..0,
        };
        let (hourly, weekly) = (schedule("config", Rule::Every(Duration::from_secs(3600))), schedule("data", on));
        let row = |schedule, record, next_ms, runs| Row {
            schedule,
            hosts: ["val-1", "val-2"].map(str::to_owned).into(),
            chain_id: "virtengine-1".into(),
            record,
            next_ms: Some(next_ms),
            runs,
        };
        let now = 1_770_559_200_000;
        let started_ms = now - 60_000;
        let ended = Ended { started_ms, at_ms: now, exit: 4, summary: "done in 3 s; without val-2\nmore".into() };
        let failed = Record { started_ms: Some(started_ms), ended: Some(ended.clone()), ..Record::new(now) };
        let open = Record { started_ms: Some(now - 1), ..failed.clone() };
        let rows = [
            row(&hourly, Record::new(now), now + 3_600_000, false),
            row(&hourly, failed, now, false),
            row(&weekly, open.clone(), now + 86_400_000, true),
            row(&weekly, open, now + 86_400_000, false),
        ];
        insta::assert_snapshot!(list(&rows, now, 100).join("\n"));
        let narrow = list(&rows, now, 70);
        assert!(narrow[1].starts_with("config  every 1h   02-08 15:00  -  "), "{narrow:?}");
        assert!(narrow.iter().all(|line| line.len() <= 70), "{narrow:?}");
    }
}

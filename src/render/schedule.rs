//! The schedules of a fleet: when each is due, how its last run ended, what is proven.

use serde_json::{Value, json};

use super::words::{columns, time};
use crate::model::fold::fold;
use crate::model::inventory::{Rule, Schedule, days};
use crate::model::schedule::Record;

/// A schedule and what is known of it.
pub struct Row<'a> {
    /// The schedule.
    pub schedule: &'a Schedule,
    /// Its hosts.
    pub hosts: Vec<String>,
    /// Their chain.
    pub chain_id: String,
    /// What is remembered.
    pub record: Record,
    /// When it is due, Unix ms.
    pub next_ms: Option<i64>,
    /// Whether it goes on now.
    pub runs: bool,
}

/// A row for each schedule.
pub fn list(rows: &[Row<'_>], now_ms: i64, width: usize) -> Vec<String> {
    let head = ["NAME", "WHEN", "NEXT", "LAST RUN", "EXIT", "PROVEN", "HOSTS"];
    let mut grid: Vec<Vec<String>> = vec![head.map(String::from).to_vec()];
    grid.extend(rows.iter().map(|row| cells(row, now_ms)));
    let why = |row: &Row<'_>| {
        let ended = row.record.ended.as_ref().filter(|ended| ended.exit != 0)?;
        Some(format!("{}: {}", row.schedule.name, ended.summary.lines().next().unwrap_or_default()))
    };
    columns(&grid, width).into_iter().chain(rows.iter().filter_map(why)).collect()
}

fn cells(row: &Row<'_>, now_ms: i64) -> Vec<String> {
    let when = |at: Option<i64>| at.map_or_else(|| "-".to_owned(), minute);
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

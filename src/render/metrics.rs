//! A schedule's Prometheus textfile, as `node_exporter`'s textfile collector reads it.

use std::fmt::Write as _;

use crate::model::schedule::Record;

#[cfg(test)]
mod tests;

/// A metric: its name, type and help.
type Metric = (&'static str, &'static str, &'static str);

const LAST_RUN: Metric =
    ("fleet_backup_last_run_timestamp_seconds", "gauge", "When the schedule's last run ended, Unix time.");
const DURATION: Metric = ("fleet_backup_last_run_duration_seconds", "gauge", "How long the last run took.");
const EXIT: Metric = ("fleet_backup_last_run_exit_code", "gauge", "Exit code of the last run, 0 for success.");
const FAILURES: Metric = ("fleet_backup_failures_total", "counter", "Runs that failed.");
const NEXT: Metric = ("fleet_backup_next_run_timestamp_seconds", "gauge", "When the next run is due, Unix time.");
const PERIOD: Metric = ("fleet_backup_period_seconds", "gauge", "The longest span between two runs of the schedule.");
const VERIFIED: Metric = (
    "fleet_backup_last_verified_timestamp_seconds",
    "gauge",
    "When the newest snapshot that was read back without a flaw was made, Unix time.",
);
const BYTES: Metric = ("fleet_backup_snapshot_bytes", "gauge", "Bytes of the files in that snapshot.");
const RECEIVED: Metric = ("fleet_backup_received_bytes", "gauge", "Bytes that had to come for it; the rest was there.");
const DOWN: Metric =
    ("fleet_backup_node_down_seconds", "gauge", "How long the node stood still for it, by its host's systemd.");

/// Every metric, in the order of the file.
pub const ALL: [Metric; 10] = [LAST_RUN, DURATION, EXIT, FAILURES, NEXT, PERIOD, VERIFIED, BYTES, RECEIVED, DOWN];

/// What a schedule tells beside what is remembered of it.
pub struct Told<'a> {
    /// The chain's id.
    pub chain_id: &'a str,
    /// The schedule's name.
    pub schedule: &'a str,
    /// What is remembered.
    pub record: &'a Record,
    /// When it is due next, Unix ms.
    pub next_ms: Option<i64>,
    /// The longest span between two runs, ms.
    pub period_ms: i64,
}

/// The whole file.
pub fn textfile(told: &Told<'_>) -> String {
    let record = told.record;
    let of_schedule = [("chain", told.chain_id), ("schedule", told.schedule)];
    let ended = record.ended.as_ref();
    let took = ended.map(|ended| ended.at_ms - ended.started_ms);
    let mut text = String::new();
    for (metric, value) in [
        (LAST_RUN, ended.map(|ended| seconds(ended.at_ms))),
        (DURATION, took.map(seconds)),
        (EXIT, ended.map(|ended| ended.exit.to_string())),
        (FAILURES, Some(record.failures.to_string())),
        (NEXT, told.next_ms.map(seconds)),
        (PERIOD, Some(seconds(told.period_ms))),
    ] {
        family(&mut text, metric, value.map(|value| (of_schedule.to_vec(), value)));
    }
    let each = |value: fn(&crate::model::schedule::Proven) -> Option<String>| {
        record.proven.values().filter_map(move |one| {
            let own = [("host", &*one.host), ("service", &*one.service), ("profile", &*one.profile)];
            Some(([&of_schedule[..], &own].concat(), value(one)?))
        })
    };
    family(&mut text, VERIFIED, each(|one| Some(seconds(one.made_ms))));
    family(&mut text, BYTES, each(|one| Some(one.bytes.to_string())));
    family(&mut text, RECEIVED, each(|one| Some(one.came.to_string())));
    family(&mut text, DOWN, each(|one| Some(seconds(i64::try_from(one.down_ms?).ok()?))));
    text
}

type Sample<'a> = (Vec<(&'static str, &'a str)>, String);

fn family<'a>(text: &mut String, (name, kind, help): Metric, samples: impl IntoIterator<Item = Sample<'a>>) {
    for (index, (labels, value)) in samples.into_iter().enumerate() {
        if index == 0 {
            // Writing to a string can't fail.
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        }
        let labels: Vec<String> =
            labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
        let _ = writeln!(text, "{name}{{{}}} {value}", labels.join(","));
    }
}

/// As the text format wants label values.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// ms as seconds, without a rounding.
fn seconds(ms: i64) -> String {
    let sign = if ms < 0 { "-" } else { "" };
    format!("{sign}{}.{:03}", ms.unsigned_abs() / 1000, ms.unsigned_abs() % 1000)
}

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::model::schedule::{Ended, Proven};

fn record() -> Record {
    let proven = Proven {
        snapshot: "01A".into(),
        host: "sentry-1".into(),
        service: "sentry-1".into(),
        profile: "data".into(),
        made_ms: 1_770_559_200_118,
        bytes: 2_000_000,
        came: 1000,
        down_ms: Some(250),
    };
    let unstopped = Proven { profile: "config".into(), down_ms: None, ..proven.clone() };
    Record {
        ended: Some(Ended { started_ms: 1_770_559_190_000, at_ms: 1_770_559_210_500, exit: 4, summary: "x".into() }),
        failures: 2,
        proven: BTreeMap::from([("1".into(), unstopped), ("2".into(), proven)]),
        ..Record::new(0)
    }
}

fn shown(record: &Record) -> String {
    let next_ms = Some(1_770_562_800_000);
    textfile(&Told { chain_id: "virtengine-1", schedule: "data", record, next_ms, period_ms: 3_600_000 })
}

#[test]
fn a_run_is_told_in_full() {
    insta::assert_snapshot!(shown(&record()));
}

#[test]
fn what_is_not_known_has_no_line() {
    let text = shown(&Record::new(0));
    let names: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(names.len(), 3, "{text}");
    assert!(!text.contains("exit_code") && text.contains("fleet_backup_failures_total{"));
}

#[test]
fn labels_are_quoted() {
    assert_eq!(escaped("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    assert_eq!([-1500, 0, 7].map(seconds), ["-1.500", "0.000", "0.007"]);
}

/// The metrics that a text names.
fn named(text: &str) -> BTreeSet<&str> {
    let part = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    text.split(part).filter(|word| word.starts_with("fleet_backup_")).collect()
}

#[test]
fn the_alert_rules_name_only_metrics_that_are_written() {
    let rules = include_str!("../../../docs/alerts.yml");
    let written = ALL.map(|(name, ..)| name).into();
    let named = named(rules);
    assert!(named.len() > 4 && named.is_subset(&written), "{named:?}");
}

#[test]
fn every_metric_is_in_the_file() {
    let text = shown(&record());
    assert_eq!(named(&text), ALL.map(|(name, ..)| name).into());
}

//! Past runs, and how much is said of them.

use super::fleet::Fleet;
use super::hosts::three;

#[test]
fn a_run_is_listed_shown_and_reported() {
    let (fleet, _sim) = Fleet::simulated(&three());
    let restart = ["restart", "--coordinated", "--yes", "--facts-timeout", "60s", "--blocks", "1"];
    let ran = fleet.run(&[&restart[..], &["--reason", "a test"]].concat());
    ran.says(0, &["Details: fleet runs report ", "watching 1 block; "]);
    let (_, id) = ran.out.rsplit_once("Details: fleet runs report ").unwrap();
    let id = id.lines().next().unwrap();
    fleet.run(&["runs", "list"]).says(0, &[id, "coordinated restart of virtengine-1: done in"]);
    let shown = fleet.run(&["runs", "show", &id[..12]]);
    shown.says(0, &["3 of 3 proven stopped", "chain advancing"]);
    for line in shown.out.lines() {
        assert!(ran.out.contains(line), "not said live: {line}");
    }
    let report = fleet.run(&["runs", "report", id]);
    report.says(0, &["Plan ", "1 arm", "3 of 3 proven stopped", "chain advancing"]);
    assert!(!report.out.contains("val-2 armed"));
    let detailed = fleet.run(&["runs", "report", "-v", id]);
    detailed.says(0, &["val-2 armed, its clock ", "start     val-2 done in "]);
    fleet.run(&["resume", id]).says(2, &[id, "is finished: done in"]);
    fleet.run(&["lock", "show"]).says(0, &["val-1  free"]);
}

#[test]
fn a_run_that_is_told_in_detail_names_every_host() {
    let (fleet, _sim) = Fleet::simulated(&three());
    let ran = fleet.run(&["halt", "-v", "--yes", "--facts-timeout", "60s"]);
    ran.says(0, &["val-1 armed", "val-2 armed", "val-3 armed", "halt      val-3 done in ", "all stopped"]);
}

//! A fleet that is killed under way, and `resume`.

use serde_json::Value;

use crate::controller::{CHAIN, Controller};
use crate::lab::Lab;

/// Kills fleet once its journal holds such an event, and resumes.
fn killed_and_resumed(what: &str, is: impl Fn(&Value) -> bool) {
    let lab = Lab::fresh();
    let fleet = Controller::new(&lab, &[]);
    let before = lab.units(&["val-1", "val-2", "val-3", "val-4", "val-5", "val-7", "sentry-1", "sentry-2"]);
    let running = fleet.start_restart(&[]);
    fleet.wait_for_event(what, is);
    let said = running.kill();
    assert!(!fleet.events().iter().any(|event| event["event"] == "run_ended"), "it was over already: {said}");
    fleet.fleet(&["resume", "--yes"]).exits(0);
    lab.wait_until_all_sign_again();
    lab.assert_started_anew(&before);
    assert_eq!(lab.locked(), [""; 0]);
    fleet.fleet(&["resume", "--yes"]).exits(2);
}

#[test]
fn killed_right_after_the_stop_was_fired_it_is_resumed() {
    killed_and_resumed("the stop", |event| event["event"] == "firing");
}

#[test]
fn killed_during_the_starts_it_is_resumed() {
    killed_and_resumed("the start of the validators", |event| {
        event["event"] == "stage_started" && event["name"] == "nodes"
    });
}

#[test]
fn killed_before_the_stop_it_has_changed_nothing_and_its_locks_are_taken_off() {
    let lab = Lab::fresh();
    let before = lab.units(&[]);
    let other = Controller::new(&lab, &[]);
    let (dead, run) = killed_while_armed(&lab);
    assert!(lab.locked().contains(&"val-1".to_owned()), "the dead run's locks hold until their lease ends");
    other.fleet(&["lock", "show"]).says(&run).says("tester@");
    other.restart(&[]).exits(75).says("tester@").says("nothing was changed");
    dead.fleet(&["resume", "--yes"]).exits(0).says("had changed nothing");
    lab.assert_untouched(&before);

    let (_, run) = killed_while_armed(&lab);
    other.fleet(&["unlock", CHAIN, "--run", &run, "--yes"]).exits(0);
    lab.assert_untouched(&before);
    other.restart(&[]).exits(0);
    lab.wait_until_all_sign_again();
}

/// A controller whose fleet was killed while hosts waited for an agreed time, and the run.
fn killed_while_armed(lab: &Lab) -> (Controller, String) {
    let fleet = Controller::new(lab, &[]);
    let running = fleet.start_restart(&["--at", &fleet.time_ahead(6)]);
    fleet.wait_for_event("an armed host", |event| event["event"] == "armed");
    running.kill();
    let run = fleet.events().iter().find_map(|event| event["run"].as_str().map(ToOwned::to_owned)).unwrap();
    (fleet, run)
}

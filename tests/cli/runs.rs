//! Past runs, and how much is said of them.

use fleet::sim::control::Request;

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
    let lock = fleet.run(&["lock", "show"]);
    lock.says(0, &["val-1  free"]);
    assert!(!lock.out.contains("resume"), "{lock}");
}

#[test]
fn a_run_that_was_left_before_its_blocks_stays_unfinished_and_claims_no_start() {
    let (fleet, sim) = Fleet::simulated(&three());
    let restart = ["restart", "--coordinated", "--yes", "--facts-timeout", "60s", "--block-timeout", "3s"];
    fleet.run(&restart).says(0, &["chain advancing"]);
    let run = std::fs::read_dir(fleet.home().join("state/fleet/runs")).unwrap().next().unwrap().unwrap();
    let (events, id) = (run.path().join("events.jsonl"), run.file_name().into_string().unwrap());
    let text = std::fs::read_to_string(&events).unwrap();
    let until = text.lines().take_while(|line| !line.contains("\"name\":\"blocks\"")).map(|line| format!("{line}\n"));
    let ended = r#"{"at_ms":1,"event":"run_ended","exit":130,"summary":"interrupted: left","next":null}"#;
    std::fs::write(&events, until.collect::<String>() + ended + "\n").unwrap();
    let next = format!("next: fleet resume {id}   goes on with the unfinished coordinated restart");
    fleet.run(&["runs", "list"]).says(0, &["virtengine-1: unfinished; interrupted: left", &next]);
    fleet.run(&["status", "--timeout", "60s"]).says(0, &[&next]);
    for host in ["val-1", "val-2", "val-3"] {
        let args = ["stop", "virtengined"].map(str::to_owned).to_vec();
        let stop = Request::Call { host: host.into(), program: "systemctl".into(), args };
        sim.control().ask(&stop).unwrap();
    }
    // Its last event is old.
    let next = format!("fleet resume {id}");
    fleet.run(&["resume", "--yes"]).says(2, &["stands since 1970-01-01", &next]);
    let resumed = fleet.run(&["resume", &id, "--yes"]);
    resumed.says(1, &["no block has come, and val-[1-3] doesn't run: ", "fleet start -l 'val-1 or val-2 or val-3'"]);
}

#[test]
fn a_run_that_is_told_in_detail_names_every_host() {
    let (fleet, _sim) = Fleet::simulated(&three());
    let ran = fleet.run(&["halt", "-v", "--yes", "--facts-timeout", "60s"]);
    ran.says(0, &["val-1 armed", "val-2 armed", "val-3 armed", "halt      val-3 done in ", "all stopped"]);
}

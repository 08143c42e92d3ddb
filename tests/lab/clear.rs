//! Clearing of write-ahead logs on a real chain: it lives on, or the logs are kept.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crate::controller::{CHAIN, Controller};
use crate::lab::{Lab, Node};

pub const CLEAR: [&str; 2] = ["--clear-wal", CHAIN];

/// The folders that fleet has set aside beside a node's log.
pub fn aside(node: &Node) -> Vec<PathBuf> {
    let log = format!("{}.fleet-", node.log_folder().display());
    let entries = fs::read_dir(node.data()).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = entries.filter(|path| path.display().to_string().starts_with(&log)).collect();
    found.sort();
    found
}

#[test]
fn twenty_restarts_in_a_row_with_every_log_cleared() {
    let lab = Lab::fresh();
    let fleet = Controller::new(&lab, &[]);
    let mut cleared = 0;
    for turn in 0..20 {
        let at_random = turn % 2 == 1;
        if at_random {
            let nanos = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().subsec_micros();
            std::thread::sleep(Duration::from_micros(u64::from(nanos) * 2));
        }
        let options = [&CLEAR[..], if at_random { &["--no-wait"] } else { &[] }].concat();
        let said = fleet.restart(&options);
        // Refused or not, a block came.
        assert!(said.out.contains("chain advancing"), "{said}");
        match said.code {
            Some(0) => cleared += 1,
            Some(3) if at_random => {}
            _ => panic!("{said}"),
        }
    }
    assert!(cleared >= 15, "refused too often: {cleared} of 20 cleared");
    for node in lab.nodes() {
        assert!(aside(&node).len() >= cleared, "{}: {:?}", node.host.name, aside(&node));
    }
    lab.wait_until_all_sign_again();
}

#[test]
fn the_clearing_that_strands_a_chain_by_hand_does_not_by_fleet() {
    let lab = Lab::fresh();
    let fleet = Controller::new(&lab, &[]);
    lab.node("val-2").stop();
    lab.node("val-3").stop();
    let tip = lab.wait_until_halted();
    let others = lab.other().unit_state();
    // Alone with a third of the power nobody knows what the others have signed, and whether they clear.
    let few = Controller::new(&lab, &["--only", "val-1,val-2,sentry-1"]);
    let said = few.fleet(&["wal", "clear", CHAIN, "--yes", "--block-timeout", "5s"]);
    said.says("refused, the WALs are kept").says("wal-strands");
    assert!(lab.nodes().iter().all(|node| aside(node).is_empty()));
    lab.node("val-2").stop();
    lab.wait_until_halted();

    fleet.restart(&CLEAR).exits(0).says("cleared on 9 of 9");
    lab.wait_until_all_sign_after(tip);
    for node in lab.nodes() {
        let [folder] = &aside(&node)[..] else { panic!("{:?}", aside(&node)) };
        assert!(folder.join("wal").exists() && folder.join(".sha256").exists());
    }
    assert_eq!(lab.other().unit_state(), others, "the second chain on val-6 was touched");
    assert_eq!(lab.locked(), [""; 0]);
}

#[test]
fn one_node_of_a_chain_that_goes_on_is_cleared_alone() {
    let lab = Lab::fresh();
    let fleet = Controller::new(&lab, &[]);
    let mut units = lab.units(&[]);
    units.remove("val-4 ve-node.service").unwrap();
    let said = fleet.fleet(&["wal", "clear", "val-4", "--yes", "--blocks", "1", "--drop-records"]);
    said.exits(0).says("cleared on 1 of 1");
    lab.assert_untouched(&units);
    lab.wait_until_all_sign_again();
    assert_eq!(aside(&lab.node("val-4")).len(), 1);
}

#[test]
fn three_operators_with_one_agreement_clear_by_each_others_bundles() {
    let lab = Lab::fresh();
    let only = ["val-1,sentry-1", "val-2,val-3,val-4", "val-5,val-6,val-7,sentry-2"];
    let operators = only.map(|hosts| Controller::new(&lab, &["--only", hosts]));
    lab.node("val-2").stop();
    lab.node("val-3").stop();
    let tip = lab.wait_until_halted();
    let bundles = operators.each_ref().map(|one| {
        let file = one.path("bundle.json").display().to_string();
        one.on_chain(&["wal", "bundle", "--file", &file]).exits(0);
        file
    });
    let at = operators[0].time_ahead(8);
    let options = |index: usize| {
        let others = (0..3).filter(|other| *other != index).map(|other| bundles[other].as_str());
        let fixed = ["--at", &at, "--clear-wal", CHAIN, "--from"].map(str::to_owned);
        fixed.into_iter().chain(others.map(str::to_owned)).collect::<Vec<_>>()
    };
    let words = [0, 1, 2].map(options);
    let words = words.each_ref().map(|one| one.iter().map(String::as_str).collect::<Vec<_>>());
    let agreements = [0, 1, 2].map(|index| operators[index].plan(&words[index])["agreement"].clone());
    assert!(agreements.iter().all(|one| *one == agreements[0]), "{agreements:?}");
    assert_ne!(operators[0].plan(&["--at", &at])["agreement"], agreements[0], "keeping the logs is another agreement");
    let runs = [0, 1, 2].map(|index| operators[index].start_restart(&words[index]));
    for run in runs {
        run.end(180).exits(0).says("cleared on");
    }
    lab.wait_until_all_sign_after(tip);
    assert!(lab.nodes().iter().all(|node| aside(node).len() == 1));
}

//! The screen at both widths, as golden files.

use fleet::chain::verdict::diagnose;
use fleet::model::facts::*;
use fleet::model::verdict::ChainVerdict;
use fleet::render::status::{status_json, status_text};

use crate::world::*;

fn verdicts(world: &World) -> Vec<ChainVerdict> {
    let chains = world.inventory.chains.values();
    chains.map(|chain| diagnose(chain, &world.inventory, &world.facts, world.earlier.as_ref(), &world.known)).collect()
}

fn screen(world: &World, width: usize) -> String {
    status_text(&verdicts(world), &world.facts, &world.inventory, width, false)
}

#[track_caller]
fn golden(name: &str, world: &World) {
    for width in [80, 120] {
        let text = screen(world, width);
        insta::assert_snapshot!(format!("{name}_{width}"), text);
        for line in text.lines() {
            assert!(line.chars().count() <= width, "{width} columns: {line}");
        }
    }
}

fn seven() -> World {
    healthy(&[30, 20, 15, 12, 10, 8, 5], &[])
}

fn power_short() -> World {
    let disk = |node: &mut ServiceFacts| node.disk_used_percent = Some(44);
    seven().failed("val-2").silent("val-3").stuck(&[1, 4, 5, 6, 7]).on("val-5", disk)
}

#[test]
fn healthy_chain() {
    golden("healthy", &seven());
}

#[test]
fn halted_by_power_short() {
    golden("power_short", &power_short());
}

#[test]
fn one_hung_host() {
    golden("hung_host", &seven().silent("val-3"));
}

#[test]
fn panicked() {
    let failed = |node: &mut ServiceFacts| node.consensus_failure = true;
    golden("panicked", &seven().stuck(&[1, 2, 3, 4, 5, 6, 7]).on("val-1", failed).on("val-2", failed));
}

#[test]
fn two_chains() {
    golden("two_chains", &seven().second_chain("val-6").failed("val-7"));
}

#[test]
fn twelve_percent() {
    golden("twelve_percent", &healthy(&[7, 5], &[30, 20, 15, 13, 10]).stuck(&[1, 2, 3]));
}

#[test]
fn big_numbers() {
    let high = |node: &mut ServiceFacts| {
        let Some(status) = &mut node.rpc.status else { return };
        status.height += 21_204_000;
        if let Some(round) = &mut node.rpc.round {
            (round.height, round.step) = (status.height + 1, 7);
        }
        node.signer = SignerFacts::State(SignerState { height: status.height + 1, round: 0, step: 3 });
    };
    let world = healthy(&[31_204_331, 20_120_433, 17_000_000], &[9_000_000]).stuck(&[1]).failed("val-2").all(high);
    golden("big_numbers", &world);
}

#[test]
fn nothing_runs_and_a_lock() {
    let mut world = healthy(&[60, 40], &[]).stopped("val-1").stopped("val-2").stopped("sentry-1").stopped("sentry-2");
    if let Some(HostFacts::Answered(host)) = world.facts.hosts.get_mut("val-1") {
        host.privilege_error = Some("sudo: a password is required".into());
        let (owner, reason, run) = ("ana@laptop".into(), "coordinated restart of virtengine-1".into(), "01JD7Q".into());
        host.lock = Some(LockFacts { owner, reason, run, remaining_s: 20, ..LockFacts::default() });
    }
    golden("nothing_runs", &world);
}

#[test]
fn colour_only_adds() {
    let world = power_short();
    let coloured = status_text(&verdicts(&world), &world.facts, &world.inventory, 80, true);
    assert!(coloured.contains("\u{1b}["));
    let plain: String = coloured.split('\u{1b}').enumerate().fold(String::new(), |plain, (index, part)| {
        plain + if index == 0 { part } else { part.split_once('m').unwrap().1 }
    });
    assert_eq!(plain, screen(&world, 80));
}

#[test]
fn one_json_document() {
    let world = power_short();
    let json = status_json(&verdicts(&world), &world.facts, &world.inventory);
    assert_eq!(json["format"], 1);
    assert_eq!(json["chains"][0]["state"]["stopped"]["since_ms"], NOW - 252_000);
    assert_eq!(json["chains"][0]["cause"], "power_short");
    assert_eq!(json["chains"][0]["missing"][0]["who"]["ours"]["host"], "val-2");
    let services = json["services"].as_array().unwrap();
    assert_eq!(services.len(), 9);
    assert_eq!(services[2]["error"], "no answer in 5 s: ssh 10.0.0.13:22 timed out");
    assert_eq!((&services[0]["power"], &services[0]["voted"]), (&30.into(), &true.into()));
}

//! Whether blocks come, who counts, and what isn't known.

use fleet::chain::verdict::identities;
use fleet::model::facts::*;
use fleet::model::verdict::{Cause, ChainState, Member};

use crate::expect::*;
use crate::world::*;

#[test]
fn healthy_chain() {
    let verdict = seven().verdict();
    assert_eq!(verdict.state, ChainState::Advancing);
    fits(&verdict, Cause::None, "everybody signs");
    assert_eq!((verdict.power_online, verdict.power_total, verdict.quorum, verdict.height), (100, 100, 67, Some(100)));
    assert_eq!((verdict.missing.len(), verdict.notes.len(), verdict.seats.len()), (0, 0, 7));
    assert!(verdict.seats["val-3"].voted);
}

#[test]
fn advancing_without_one() {
    let signed = |node: &mut ServiceFacts| {
        if let Some(commit) = &mut node.rpc.last_commit {
            commit.signed.retain(|signer| *signer != address("val", 2));
        }
    };
    let verdict = seven().all(signed).failed("val-2").verdict();
    fits(&verdict, Cause::None, "val-2 doesn't sign: failed, exit 1, 3 restarts");
    assert_eq!(
        (verdict.power_online, &*missing(&verdict)),
        (80, &["val-2 20 (failed, exit 1, 3 restarts)".into()][..])
    );
    assert_eq!(verdict.next.as_deref(), Some("fleet start -l val-2"));
}

#[test]
fn what_stopped_after_it_signed_the_last_block() {
    let verdict = seven().stopped("val-7").verdict();
    fits(&verdict, Cause::None, "val-7 no longer runs: stopped");
    assert_eq!((verdict.power_online, verdict.next.as_deref()), (100, Some("fleet start -l val-7")));
}

#[test]
fn signatures_that_came_late_to_one_node_count_by_another() {
    let verdict = seven().on("val-1", |node| node.rpc.last_commit.as_mut().unwrap().signed.truncate(5)).verdict();
    assert_eq!((verdict.power_online, verdict.cause), (100, Cause::None));
}

#[test]
fn who_signed_the_block_before_signs_while_the_first_node_has_a_new_one() {
    let world = seven().on("val-1", |node| {
        node.rpc.status.as_mut().unwrap().height += 1;
        let commit = node.rpc.last_commit.as_mut().unwrap();
        commit.height += 1;
        commit.signed.truncate(4);
    });
    let verdict = world.verdict();
    assert_eq!((verdict.power_online, verdict.missing.len(), verdict.cause), (100, 0, Cause::None));
}

#[test]
fn a_silent_host_whose_vote_is_seen_is_online() {
    let verdict = healthy(&[30, 30, 30, 10], &[]).silent("val-1").failed("val-2").stuck(&[1, 3]).verdict();
    assert_eq!((verdict.power_online, verdict.cause), (70, Cause::Unknown), "val-4 is up and may vote yet");
    assert_eq!(missing(&verdict), ["val-2 30 (failed, exit 1, 3 restarts)", "val-4 10 (up, no vote seen)"]);
}

#[test]
fn a_silent_host_of_unknown_address_counts_as_foreign_and_is_named() {
    let mut world = healthy(&[60, 40], &[]).silent("val-2").stuck(&[1]);
    world.known.addresses.clear();
    let verdict = world.verdict();
    assert_eq!((verdict.foreign_total, verdict.power_online), (40, 60));
    assert_eq!(verdict.missing[0].who, Member::Foreign(address("val", 2)));
    assert_eq!(verdict.notes, ["address of val-2 unknown: its power, if any, counts as foreign"]);
}

#[test]
fn cut_off_from_a_foreign_quorum_nothing_is_claimed() {
    let alone = |node: &mut ServiceFacts| node.rpc.peers = Some(Vec::new());
    let verdict = healthy(&[12], &[88]).stuck(&[1]).all(alone).verdict();
    assert!(matches!(verdict.state, ChainState::Unknown(_)), "{verdict:#?}");
}

#[test]
fn all_nodes_down() {
    let hosts = ["val-1", "val-2", "sentry-1", "sentry-2"];
    let world = hosts.iter().fold(healthy(&[60, 40], &[]), |world, host| world.stopped(host));
    let verdict = world.verdict();
    assert_eq!((verdict.state.clone(), verdict.height), (ChainState::Stopped { since_ms: None }, Some(99)));
    fits(&verdict, Cause::AllDown, "all 4 nodes are stopped");
    assert_eq!((verdict.power_total, verdict.quorum, verdict.next.as_deref()), (0, 0, Some("fleet start")));
}

#[test]
fn all_nodes_down_with_powers_from_before() {
    let mut world = healthy(&[60, 40], &[]).before(3_600_000, |_| {});
    for host in ["val-1", "val-2", "sentry-1", "sentry-2"] {
        world = world.stopped(host);
    }
    let verdict = world.verdict();
    assert_eq!((verdict.power_online, verdict.power_total, verdict.quorum, verdict.height), (0, 100, 67, Some(100)));
    assert_eq!(missing(&verdict), ["val-1 60 (stopped)", "val-2 40 (stopped)"]);
}

#[test]
fn no_answer_is_unknown_and_never_down() {
    let world = healthy(&[60, 40], &[]).silent("val-2").stopped("val-1").stopped("sentry-1").stopped("sentry-2");
    let verdict = world.verdict();
    assert_eq!(verdict.state, ChainState::Unknown("no node answers, 1 of 4 unknown".into()));
    assert_eq!(verdict.cause, Cause::Unknown);
}

#[test]
fn no_empty_blocks_is_idle() {
    let lazy = |node: &mut ServiceFacts| node.config.as_mut().unwrap().create_empty_blocks = false;
    let verdict = seven().stuck_in(0, 1, &|_| VoteSeen::Missing).all(lazy).verdict();
    assert_eq!((verdict.state, verdict.cause, verdict.missing.len()), (ChainState::Idle, Cause::None, 0));
    let verdict = seven().stuck(&[1]).all(lazy).verdict();
    assert!(matches!(verdict.state, ChainState::Stopped { .. }), "a prevote is due: not idle");
}

#[test]
fn when_blocks_are_late_but_not_yet_halted() {
    let late = |node: &mut ServiceFacts| {
        if let Some(status) = &mut node.rpc.status {
            status.block_time_ms = NOW - 30_000;
        }
    };
    let verdict = seven().all(late).verdict();
    assert_eq!(verdict.state, ChainState::Advancing);
    fits(&verdict, Cause::None, "the next block is late: the last one came 30 s ago");
    let verdict = seven().stuck(&[1, 4, 5, 6, 7]).failed("val-2").failed("val-3").all(late).verdict();
    assert_eq!(verdict.state, ChainState::Stopped { since_ms: Some(NOW - 30_000) }, "without a quorum it stays so");
}

#[test]
fn after_a_long_halt_the_first_block_is_old_and_the_chain_moves() {
    let old = |node: &mut ServiceFacts| node.rpc.status.as_mut().unwrap().block_time_ms = NOW - 3_600_000;
    let lower = |node: &mut ServiceFacts| node.rpc.status.as_mut().unwrap().height = 99;
    assert_eq!(seven().all(old).before(3000, lower).verdict().state, ChainState::Advancing);
    let stale = seven().all(old).before(3_000_000, lower).verdict();
    assert!(matches!(stale.state, ChainState::Stopped { .. }), "an old sample proves no movement");
}

#[test]
fn another_chains_answer_is_no_answer() {
    let stray = |node: &mut ServiceFacts| node.rpc.status.as_mut().unwrap().chain_id = "virtengine-2".into();
    let verdict = seven().on("val-1", stray).verdict();
    assert_eq!(verdict.notes, ["val-1 is on chain virtengine-2, not virtengine-1"]);
}

#[test]
fn commands_name_the_chain_where_there_are_two() {
    let world = seven().second_chain("val-6").failed("val-2").failed("val-3").stuck(&[1, 4, 5, 6, 7]);
    assert_eq!(world.verdict().next.as_deref(), Some("fleet start -l 'chain:ve and val-2'"));
    let other = world.verdict_on("other");
    assert_eq!((other.power_total, other.chain_id.as_str()), (7, "other-7"));
    assert_eq!(other.seats.keys().collect::<Vec<_>>(), ["val-6/other"]);
}

#[test]
fn addresses_are_known_from_nodes_and_keys() {
    let world = seven().failed("val-2").silent("val-3");
    let known = identities(&world.inventory, &world.facts);
    assert_eq!(known.get("val-1"), Some(&address("val", 1)));
    assert_eq!(known.get("val-2"), Some(&address("val", 2)));
    assert_eq!(known.get("val-3"), None);
}

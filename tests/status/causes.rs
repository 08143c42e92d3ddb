//! Every row of the verdict table, each from facts that fit it and no other.

use fleet::chain::rpc;
use fleet::model::facts::*;
use fleet::model::verdict::{Cause, ChainState, Member};

use crate::expect::*;
use crate::world::*;

#[test]
fn power_short() {
    let verdict = seven().failed("val-2").silent("val-3").stuck(&[1, 4, 5, 6, 7]).verdict();
    stopped(&verdict, Cause::PowerShort, "power short; either of them brings the quorum back");
    assert_eq!((verdict.power_online, verdict.foreign_total), (65, 0));
    assert_eq!(missing(&verdict), ["val-2 20 (failed, exit 1, 3 restarts)", "val-3 15 (no answer)"]);
    assert_eq!(verdict.next.as_deref(), Some("fleet start -l val-2"));
    assert!(verdict.seats["val-1"].voted && !verdict.seats["val-2"].voted);
}

#[test]
fn who_brings_the_quorum_back() {
    let table: [(&[&str], &[usize], &str, &str); 4] = [
        (&["val-1", "val-2"], &[3, 4, 5, 6, 7], "either of them brings", "fleet start -l val-1"),
        (&["val-1", "val-2", "val-3"], &[4, 5, 6, 7], "val-[1-2] together bring", "fleet start -l 'val-[1-2]'"),
        (&["val-2", "val-3", "val-4"], &[1, 5, 6, 7], "val-2 alone brings", "fleet start -l val-2"),
        (&["val-3", "val-4", "val-5"], &[1, 2, 6, 7], "any of them brings", "fleet start -l val-3"),
    ];
    for (down, voters, who, next) in table {
        let world = down.iter().fold(seven(), |world, host| world.failed(host)).stuck(voters);
        let verdict = world.verdict();
        stopped(&verdict, Cause::PowerShort, &format!("power short; {who} the quorum back"));
        assert_eq!(verdict.next.as_deref(), Some(next));
    }
}

#[test]
fn only_an_unreachable_host_is_missing() {
    let verdict = healthy(&[60, 40], &[]).silent("val-2").stuck(&[1]).verdict();
    stopped(&verdict, Cause::PowerShort, "power short; val-2 brings the quorum back");
    assert_eq!(verdict.next.as_deref(), Some("reach val-2: no answer in 5 s: ssh 10.0.0.13:22 timed out"));
}

#[test]
fn twelve_percent_operator() {
    let world = healthy(&[7, 5], &[40, 28, 20]);
    let verdict = world.verdict();
    assert_eq!((verdict.foreign_total, verdict.foreign_voting, verdict.power_total), (88, 88, 100));
    let verdict = healthy(&[7, 5], &[40, 28, 20]).failed("val-2").stuck(&[1, 3]).verdict();
    stopped(&verdict, Cause::PowerShort, "power short; 15 more must come from others");
    assert_eq!((verdict.power_online, verdict.foreign_voting), (47, 40));
    assert_eq!(verdict.next.as_deref(), Some("fleet start -l val-2"));
    assert_eq!(verdict.missing[0].who, Member::Foreign(address("foreign", 2)));
    let verdict = healthy(&[7, 5], &[40, 28, 20]).stuck(&[1, 2, 3]).verdict();
    assert_eq!(verdict.next.as_deref(), Some("call who runs F02000000000 (28)"));
}

#[test]
fn online_but_split() {
    let votes = |index| match index {
        1 | 2 => VoteSeen::Block("AB12".into()),
        7 => VoteSeen::Missing,
        _ => VoteSeen::Nil,
    };
    let verdict = seven().stuck_in(3, 5, &votes).verdict();
    let likely = "online but split: round 3 without a block (50 for AB12, 45 for nil; quorum 67)";
    stopped(&verdict, Cause::Split, likely);
    let verdict = seven().stuck_in(7, 3, &|_| VoteSeen::Missing).verdict();
    stopped(&verdict, Cause::Split, "online but split: round 7 without a block (no prevotes yet; quorum 67)");
    assert_eq!(missing(&verdict), <[&str; 0]>::default(), "no vote is due before step 4");
}

#[test]
fn signers_refuse_after_a_cleared_wal() {
    let verdict = seven().stuck(&[2, 3]).all(spoken).verdict();
    let likely = "signer refusing: val-[1,4-7] (65) signed at 101/0 before and their WAL has lost those votes";
    stopped(&verdict, Cause::SignerRefusing, likely);
    assert_eq!(verdict.power_online, 100);
    assert_eq!(missing(&verdict)[0], "val-1 30 (signed 101/0/2 before)");
}

fn spoken(node: &mut ServiceFacts) {
    node.signer = SignerFacts::State(SignerState { height: HEIGHT + 1, round: 0, step: 2 });
}

#[test]
fn a_signer_that_can_still_vote_does_not_refuse() {
    let likely = "unknown: enough power is up; at 101/0 35 of 100 have voted";
    stopped(&seven().stuck(&[2, 3]).verdict(), Cause::Unknown, likely);
    let early = seven().stuck_in(0, 3, &|_| VoteSeen::Missing).all(spoken).verdict();
    assert_eq!(
        early.cause,
        Cause::Unknown,
        "before the prevote it may be that the state was read later than the round"
    );
}

#[test]
fn a_remote_signer_is_silent() {
    let world = seven().stuck(&[2, 3, 4, 5, 6, 7]).on("val-1", |node| node.signer = SignerFacts::Missing);
    let remote = |node: &mut ServiceFacts| node.config.as_mut().unwrap().remote_signer = "tcp://0.0.0.0:1234".into();
    let world = world.failed("val-7").on("val-1", remote);
    stopped(&world.verdict(), Cause::SignerRefusing, "signer refusing: the remote signers of val-1 (30) give no votes");
}

#[test]
fn partition() {
    let (left, right) = ([1, 2, 6], [3, 4, 5, 7]);
    let mut world = seven().stuck(&[]);
    for (island, peer) in [(&left[..], "sentry-1"), (&right[..], "sentry-2")] {
        let votes = |index| if island.contains(&index) { VoteSeen::Nil } else { VoteSeen::Missing };
        let hosts = island.iter().map(|index| format!("val-{index}")).chain([peer.to_string()]);
        for host in hosts {
            let node = world.node(&host);
            node.rpc.peers = Some(vec![Peer { node_id: peer.into(), moniker: String::new() }]);
            node.rpc.round = Some(round(&set(&SEVEN, &[]), 0, 4, &votes));
        }
    }
    let likely = "partition: val-[1-2,6], sentry-1 (58) and val-[3-5,7], sentry-2 (42) don't see each other, none has the quorum";
    stopped(&world.verdict(), Cause::Partition, likely);
    let joined = world.on("sentry-2", |node| {
        node.rpc.peers.as_mut().unwrap().push(Peer { node_id: "sentry-1".into(), moniker: String::new() });
    });
    assert_ne!(joined.verdict().cause, Cause::Partition, "one link is enough");
}

#[test]
fn app_hashes_differ_at_one_height() {
    let other = |node: &mut ServiceFacts| node.rpc.app.as_mut().unwrap().app_hash = "BBBB".into();
    let world = seven().stuck(&[1, 2, 3, 4, 5, 6, 7]).on("val-1", other).on("val-4", other);
    let likely = "app hashes differ at height 100: val-[2-3,5-7], sentry-[1-2] (58) against val-[1,4] (42)";
    stopped(&world.verdict(), Cause::AppHashDivergence, likely);
    let lagging = |node: &mut ServiceFacts| {
        other(node);
        node.rpc.app.as_mut().unwrap().height = 99;
    };
    assert_eq!(seven().on("val-1", lagging).verdict().cause, Cause::None, "hashes of two heights don't compare");
}

#[test]
fn consensus_panicked() {
    let failed = |node: &mut ServiceFacts| node.consensus_failure = true;
    let world = seven().stuck(&[1, 2, 3, 4, 5, 6, 7]).on("val-1", failed).on("val-2", failed);
    let verdict = world.verdict();
    stopped(&verdict, Cause::ConsensusPanicked, "consensus failed on val-[1-2], processes live on");
    assert_eq!(verdict.power_online, 50, "an old vote of a panicked consensus counts for nothing");
    assert_eq!(
        verdict.next.as_deref(),
        Some("fleet exec 'val-[1-2]' -- journalctl -u virtengined.service -n 50 --no-pager")
    );
    let verdict = seven().on("sentry-1", failed).verdict();
    assert_eq!((verdict.state, verdict.cause), (ChainState::Advancing, Cause::ConsensusPanicked));
}

#[test]
fn everybody_panicked_at_an_upgrade() {
    let world = seven().stuck_in(0, 8, &|_| VoteSeen::Block("AB12".into())).all(|node| {
        node.consensus_failure = true;
        node.rpc.app.as_mut().unwrap().height = 99;
    });
    let likely = "consensus failed on val-[1-7], processes live on: the application failed at this block, or it is an upgrade height";
    stopped(&world.verdict(), Cause::ConsensusPanicked, likely);
}

#[test]
fn a_round_that_stands_still_while_others_move() {
    let world = seven().on("val-1", |node| {
        let status = node.rpc.status.as_mut().unwrap();
        status.height = 90;
        node.rpc.round.as_mut().unwrap().height = 91;
    });
    let verdict = world.before(6000, |node| node.rpc.status.as_mut().unwrap().height -= 1).verdict();
    fits(&verdict, Cause::ConsensusPanicked, "consensus failed on val-1, processes live on");
}

#[test]
fn application_hangs() {
    let hang = |node: &mut ServiceFacts| {
        node.rpc.round = None;
        node.rpc.round_error = Some("no answer in 3 s".into());
    };
    let world = seven().stuck(&[3, 4, 5, 6, 7]).on("val-1", hang).on("val-2", hang);
    let verdict = world.verdict();
    stopped(&verdict, Cause::AppDeadlock, "application hangs on val-[1-2]: /status answers, /consensus_state doesn't");
    assert_eq!(missing(&verdict), ["val-1 30 (consensus hangs)", "val-2 20 (consensus hangs)"]);
}

#[test]
fn waiting_for_peers() {
    let alone = |node: &mut ServiceFacts| {
        node.rpc.status.as_mut().unwrap().catching_up = true;
        node.rpc.peers = Some(Vec::new());
    };
    let verdict = seven().stuck(&[4, 5, 6, 7]).on("val-1", alone).on("val-2", alone).on("val-3", alone).verdict();
    stopped(&verdict, Cause::WaitingForPeers, "val-[1-3] wait for peers: they run and are connected to nobody");
    assert_eq!(verdict.missing[0].why, "no peers");
}

#[test]
fn planned_halt() {
    let halt = |node: &mut ServiceFacts| node.config.as_mut().unwrap().halt_height = 99;
    let verdict = seven().stuck(&[]).all(halt).verdict();
    stopped(&verdict, Cause::PlannedHalt, "halted as planned: halt-height 99 is set on val-[1-7], sentry-[1-2]");
    let verdict = seven().stuck(&[1]).on("val-7", halt).verdict();
    assert_ne!(verdict.cause, Cause::PlannedHalt, "5 of 100 stop nothing");
    let time = |node: &mut ServiceFacts| node.config.as_mut().unwrap().halt_time = 1_795_499_000;
    assert_eq!(seven().stuck(&[]).all(time).verdict().cause, Cause::PlannedHalt);
}

#[test]
fn two_live_nodes_with_one_key() {
    let copy = |node: &mut ServiceFacts| {
        node.rpc.status.as_mut().unwrap().address = address("val", 1);
        node.key = KeyFacts::Present { address: address("val", 1), public_key: "key".into() };
    };
    let verdict = seven().on("val-7", copy).verdict();
    fits(&verdict, Cause::DoubleSigner, &format!("double signing: val-[1,7] run with one key ({})", address("val", 1)));
    assert_eq!(verdict.next.as_deref(), Some("fleet halt -l val-7"));
    let remote = |node: &mut ServiceFacts| {
        copy(node);
        node.config.as_mut().unwrap().remote_signer = "tcp://0.0.0.0:1234".into();
    };
    let verdict = seven().on("val-7", remote).on("val-1", remote).verdict();
    assert_eq!((verdict.cause, verdict.power_online), (Cause::None, 100), "one remote signer, counted once");
}

#[test]
fn a_double_sign_check_is_said_before_the_start() {
    let check = |node: &mut ServiceFacts| node.config.as_mut().unwrap().double_sign_check_height = 10;
    let verdict = seven().on("val-2", check).failed("val-2").stuck(&[1]).verdict();
    assert!(verdict.notes[0].starts_with("val-2 may refuse to start: "), "{:?}", verdict.notes);
}

/// A real node of power 30 on a chain that has just lost its 40; see `chain::rpc`'s tests.
#[test]
fn a_recorded_halt() {
    macro_rules! recorded {
        ($name:literal) => {
            include_bytes!(concat!("../fixtures/rpc/halted/", $name, ".json"))
        };
    }
    let status = rpc::status(recorded!("status")).unwrap();
    let at_ms = status.block_time_ms + 120_000;
    let answers = RpcFacts {
        status: Some(status.clone()),
        peers: Some(rpc::net_info(recorded!("net_info")).unwrap()),
        round: Some(rpc::consensus_state(recorded!("consensus_state")).unwrap()),
        validators: Some(rpc::validators(&[recorded!("validators")]).unwrap()),
        app: Some(rpc::abci_info(recorded!("abci_info")).unwrap()),
        last_commit: Some(rpc::commit(recorded!("commit")).unwrap()),
        ..RpcFacts::default()
    };
    let mut world =
        healthy(&[1], &[]).on("val-1", |node| node.rpc = answers.clone()).stopped("sentry-1").stopped("sentry-2");
    world.node("val-1").key = KeyFacts::Unknown;
    world.inventory.chains.get_mut("ve").unwrap().chain_id = "fixture-1".into();
    world.facts.at_ms = at_ms;
    let verdict = world.verdict();
    assert_eq!(verdict.state, ChainState::Stopped { since_ms: Some(status.block_time_ms) });
    fits(&verdict, Cause::PowerShort, "power short; 7 more must come from others");
    assert_eq!((verdict.height, verdict.power_online, verdict.power_total), (Some(26), 60, 100));
    assert_eq!((verdict.foreign_total, verdict.foreign_voting), (70, 30));
    assert_eq!(verdict.next.as_deref(), Some("call who runs FF2E2634F945 (40)"));
}

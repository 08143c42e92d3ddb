//! Whatever the facts are, the verdict is made and its sums hold.

use fleet::model::facts::*;
use fleet::model::verdict::ChainVerdict;
use proptest::prelude::*;

use crate::world::*;

proptest! {
    #[test]
    fn sums_hold(powers in powers(), foreign in powers(), changes in changes(), voters: u16, step in 0..9_u8) {
        let hosts = powers.len();
        let mut world = healthy(&powers, &foreign);
        if step > 0 {
            let vote = |index| if voters >> (index % 16) & 1 == 1 { VoteSeen::Nil } else { VoteSeen::Missing };
            world = world.stuck_in(u32::from(step) % 3, step, &vote);
        }
        for (index, kind) in changes {
            world = change(world, &format!("val-{}", index % hosts + 1), kind);
        }
        holds(&world.verdict())?;
        holds(&world.before(5000, down).verdict())?;
    }

    #[test]
    fn numbers_at_their_ends(power: u64, height: u64, time: i64, at: i64, round: u32) {
        let world = healthy(&[power, u64::MAX], &[u64::MAX]).all(|node| {
            let status = node.rpc.status.as_mut().unwrap();
            (status.height, status.block_time_ms) = (height, time);
            let state = node.rpc.round.as_mut().unwrap();
            (state.height, state.round) = (height, round);
            node.rpc.app.as_mut().unwrap().height = height;
            node.config.as_mut().unwrap().halt_height = height;
            node.config.as_mut().unwrap().double_sign_check_height = height;
            node.signer = SignerFacts::State(SignerState { height, round, step: 3 });
        });
        let mut world = world.before(1, |_| {});
        world.facts.at_ms = at;
        holds(&world.verdict())?;
    }
}

fn holds(verdict: &ChainVerdict) -> Result<(), TestCaseError> {
    let absent: u64 = verdict.missing.iter().fold(0, |sum, one| sum.saturating_add(one.power));
    prop_assert!(verdict.power_online <= verdict.power_total);
    prop_assert!(verdict.foreign_voting <= verdict.foreign_total && verdict.foreign_total <= verdict.power_total);
    prop_assert!(absent <= verdict.power_total);
    prop_assert!(verdict.quorum <= verdict.power_total);
    prop_assert!(!verdict.likely.is_empty() && !verdict.likely.contains('\n'));
    Ok(())
}

fn powers() -> impl Strategy<Value = Vec<u64>> {
    proptest::collection::vec(1..1000_u64, 1..6)
}

fn changes() -> impl Strategy<Value = Vec<(usize, u8)>> {
    proptest::collection::vec((0..6_usize, 0..9_u8), 0..6)
}

fn change(world: World, host: &str, kind: u8) -> World {
    if matches!(world.facts.hosts[host], HostFacts::Silent(_)) {
        return world;
    }
    match kind {
        0 => world.failed(host),
        1 => world.silent(host),
        2 => world.stopped(host),
        3 => world.on(host, |node| node.consensus_failure = true),
        4 => world.on(host, |node| (node.rpc.round, node.rpc.round_error) = (None, Some("hangs".into()))),
        5 => world.on(host, |node| node.rpc.peers = Some(Vec::new())),
        6 => world.on(host, |node| node.rpc.validators = None),
        7 => world.on(host, |node| node.key = KeyFacts::Missing),
        _ => world.on(host, |node| {
            if let Some(round) = &mut node.rpc.round {
                round.prevotes.votes.pop();
            }
        }),
    }
}

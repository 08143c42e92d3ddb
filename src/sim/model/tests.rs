use proptest::prelude::*;

use super::*;

const POWERS: [u64; 7] = [30, 20, 15, 12, 10, 8, 5];

fn chain() -> Model {
    let node = |(i, power): (usize, &u64)| {
        let mut node = Node::new(&format!("val-{}", i + 1), String::new(), format!("{i:040X}"), String::new(), *power);
        node.join_ms = 1200;
        node
    };
    let mut nodes: Vec<_> = POWERS.iter().enumerate().map(node).collect();
    nodes.push(Node::new("sentry-1", String::new(), "FF".into(), String::new(), 0));
    Model::new("c", 1000, 100, nodes, 0)
}

fn start_all(model: &mut Model, now_ms: i64) {
    for name in model.nodes.iter().map(|node| node.name.clone()).collect::<Vec<_>>() {
        model.start(&name, now_ms);
    }
}

/// Runs the chain and returns the time at its end.
fn run(model: &mut Model, from_ms: i64, for_ms: i64) -> i64 {
    (from_ms..from_ms + for_ms).step_by(20).for_each(|now| model.step(now));
    from_ms + for_ms
}

#[test]
fn makes_a_block_each_block_time_signed_by_all() {
    let mut model = chain();
    start_all(&mut model, 0);
    run(&mut model, 0, 11_500);
    assert!((109..=111).contains(&model.height()), "{}", model.height());
    assert_eq!(model.blocks[&105].signed, vec![true; 7]);
}

#[test]
fn halts_in_prevote_below_quorum_and_resumes() {
    let mut model = chain();
    start_all(&mut model, 0);
    let mut now = run(&mut model, 0, 5000);
    while model.round.step != step::NEW_HEIGHT {
        now = run(&mut model, now, 20); // votes that are out already would still make a block
    }
    model.stop("val-2");
    model.stop("val-3");
    let at = model.height();
    let now = run(&mut model, now, 20_000);
    assert_eq!((model.height(), model.round.step), (at, step::PREVOTE));
    assert_eq!(model.power_of(&model.round.prevotes), 65);
    assert_eq!(model.node("sentry-1").unwrap().view, model.round);
    assert_eq!(model.node("val-1").unwrap().signer, SignerState { height: at + 1, round: 0, step: 2 });
    model.start("val-3", now);
    let now = run(&mut model, now, 1100);
    assert_eq!(model.height(), at, "a started node doesn't vote at once");
    run(&mut model, now, 3000);
    assert!(model.height() > at);
    assert_eq!(model.blocks[&(at + 1)].signed, [true, false, true, true, true, true, true]);
}

#[test]
fn nobody_has_spoken_in_the_quiet_window() {
    let mut model = chain();
    start_all(&mut model, 0);
    let mut quiet = 0;
    for now in (0..10_000).step_by(20) {
        model.step(now);
        if model.round.step == step::NEW_HEIGHT {
            quiet += 1;
            assert!(model.nodes.iter().all(|node| node.signer.height <= model.height()));
        }
    }
    assert!(quiet > 100);
}

#[test]
fn panicked_and_isolated_nodes_keep_their_view() {
    let mut model = chain();
    start_all(&mut model, 0);
    let now = run(&mut model, 0, 5000);
    model.node_mut("val-7").unwrap().panicked = true;
    model.node_mut("val-6").unwrap().isolated = true;
    let at = model.height();
    let now = run(&mut model, now, 5000);
    assert!(model.height() > at + 3);
    for name in ["val-6", "val-7"] {
        assert!(model.node(name).unwrap().view.height <= at + 1, "{name}");
    }
    assert!(model.peers("val-6", now).is_empty());
    assert_eq!(model.peers("val-7", now).len(), 6);
}

#[test]
fn a_lone_small_validator_waits_for_peers() {
    let mut model = chain();
    model.start("val-1", 0);
    run(&mut model, 0, 5000);
    assert!(!model.node("val-1").unwrap().joined);
}

proptest! {
    /// Whatever is started and stopped when: signer states and heights only rise, and every block has a quorum.
    #[test]
    fn never_backwards(events in prop::collection::vec((0usize..8, any::<bool>(), 20i64..1500), 1..60)) {
        let mut model = chain();
        start_all(&mut model, 0);
        let mut now = 0;
        for (i, start, wait) in events {
            let name = model.nodes[i].name.clone();
            if start { model.start(&name, now) } else { model.stop(&name) }
            for _ in 0..wait / 20 {
                let before: Vec<_> = model.nodes.iter().map(|n| (n.signer, n.view.height)).collect();
                now += 20;
                model.step(now);
                for (node, (signer, height)) in model.nodes.iter().zip(before) {
                    prop_assert!(node.signer >= signer && node.view.height >= height);
                }
            }
        }
        for block in model.blocks.values() {
            prop_assert!(model.power_of(&block.signed) >= model.quorum());
        }
    }
}

#[test]
fn a_stranded_chain_stands_until_somebody_tells_the_votes() {
    let mut model = chain();
    model.strand();
    start_all(&mut model, 0);
    let now = run(&mut model, 0, 20_000);
    assert_eq!((model.height(), model.round.step), (100, step::PREVOTE));
    assert_eq!(model.power_of(&model.round.prevotes), 0);
    model.stop("sentry-1");
    let vote = |i: usize, height| (format!("{i:040X}"), SignerState { height, round: 0, step: 2 });
    let told = (0..7).map(|i| vote(i, 101)).chain([vote(0, 100)]);
    model.node_mut("sentry-1").unwrap().join_ms = 1200;
    model.replay("sentry-1", told.collect());
    model.start("sentry-1", now);
    let now = run(&mut model, now, 1000);
    assert_eq!(model.height(), 100, "it tells them when it takes part");
    run(&mut model, now, 3000);
    assert!(model.height() > 100);
    assert_eq!(model.blocks[&101].signed, vec![true; 7]);
}

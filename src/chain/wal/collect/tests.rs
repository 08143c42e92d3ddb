use super::super::corpus::{self, HALTED, HALTED_STATES, ROUNDS, ROUNDS_STATES};
use super::super::record::End;
use super::super::replay::{Log, Outcome};
use super::super::signed::Signed;
use super::super::validators::Key;
use super::super::view::{Point, View};
use super::*;

fn collect(validators: &Validators, height: u64, logs: &[&[u8]]) -> Collected {
    let mut collector = Collector::new(validators, height);
    let named = logs.iter().enumerate();
    named.for_each(|(node, log)| collector.add_records(&format!("node {node}"), &corpus::records(log)));
    collector.finish()
}

/// The first message that `pick` takes, of a log.
fn first(log: &[u8], pick: impl Fn(&Inner) -> bool) -> Message {
    let records = corpus::records(log);
    let mut messages = records.iter().filter_map(Record::consensus).filter(|message| height_of(message) == Some(3));
    messages.find(|message| pick(message.sum.as_ref().unwrap())).unwrap().clone()
}

fn changed(mut message: Message, change: impl Fn(&mut Vote)) -> Message {
    if let Some(Inner::Vote(vote)) = &mut message.sum {
        change(vote.vote.as_mut().unwrap());
    }
    message
}

fn is_vote(inner: &Inner) -> bool {
    matches!(inner, Inner::Vote(_))
}

/// What one message is left out for.
fn refused(validators: &Validators, message: &Message) -> Vec<Why> {
    let mut collector = Collector::new(validators, 3);
    collector.add("x", message);
    let collected = collector.finish();
    assert_eq!(collected.messages, Messages::default());
    assert_eq!(collected.rounds, BTreeMap::new());
    collected.left_out.into_iter().map(|left| left.why).collect()
}

#[test]
fn a_halted_height_is_known_as_it_was() {
    let validators = corpus::halted();
    let collected = collect(&validators, 3, &HALTED);
    let voters: BTreeSet<_> = collected.messages.votes.iter().map(|vote| vote.validator.as_str()).collect();
    let expected = validators.list()[1..].iter().map(|validator| validator.address.as_str()).collect();
    assert_eq!(voters, expected);
    assert_eq!(collected.messages.votes.len(), 3);
    let block = collected.messages.votes.first().unwrap().block.clone().unwrap();
    assert!(collected.messages.votes.iter().all(|vote| vote.kind == VoteKind::Prevote && vote.round == 0));
    assert_eq!(collected.messages.blocks, BTreeSet::from([(0, block.clone())]));
    assert_eq!(collected.proposed.iter().map(|proposed| &proposed.block).collect::<Vec<_>>(), [&block]);
    assert_eq!(collected.conflicts, [] as [[KnownVote; 2]; 0]);
    assert_eq!(collected.rounds[&0].len(), 5);
    assert!(collected.left_out.iter().all(|left| matches!(left.why, Why::Height(1 | 2))), "{:?}", collected.left_out);
}

#[test]
fn signer_states_alone_tell_the_last_votes() {
    let validators = corpus::rounds();
    let mut collector = Collector::new(&validators, 9);
    for (node, state) in ROUNDS_STATES.iter().enumerate() {
        collector.add("state", &corpus::spoken(state, node, &validators).message());
    }
    let alone = collector.finish();
    let all = collect(&validators, 9, &ROUNDS);
    assert_eq!(alone.messages.votes.len(), 3);
    assert!(alone.messages.votes.is_subset(&all.messages.votes));
    assert_eq!(alone.messages.blocks, BTreeSet::new());
    assert_eq!(all.messages.blocks.first().map(|(round, _)| *round), Some(1));
}

#[test]
fn what_is_not_proven_is_left_out() {
    let validators = corpus::halted();
    let vote = first(HALTED[1], is_vote);
    let unproven = |message: &Message| refused(&validators, message);
    let forged = [Why::Unproven(Unproven::Forged)];
    assert_eq!(unproven(&changed(vote.clone(), |vote| vote.round = 1)), forged);
    assert_eq!(unproven(&changed(vote.clone(), |vote| vote.r#type = 2)), forged);
    assert_eq!(unproven(&changed(vote.clone(), |vote| vote.block_id = None)), forged);
    assert_eq!(unproven(&changed(vote.clone(), |vote| vote.signature[5] ^= 1)), forged);
    assert_eq!(unproven(&changed(vote.clone(), |vote| vote.validator_index += 1)), [Why::Unproven(Unproven::Index)]);
    assert_eq!(
        unproven(&changed(vote.clone(), |vote| vote.validator_address[0] ^= 1)),
        [Why::Unproven(Unproven::Unknown)]
    );
    assert_eq!(unproven(&changed(vote.clone(), |vote| vote.height = 4)), [Why::Height(4)]);
    assert_eq!(unproven(&changed(vote.clone(), |vote| vote.signature.clear())), [Why::Malformed("signature")]);
    let chain = Validators::new("other-1", validators.list().to_vec());
    assert_eq!(refused(&chain, &vote), forged);
    let mut list = validators.list().to_vec();
    for validator in &mut list {
        validator.key = Key::new("tendermint/PubKeyBls12_381", "x").unwrap();
    }
    assert_eq!(refused(&Validators::new("corpus-halted", list), &vote), [Why::Unproven(Unproven::Key)]);
}

#[test]
fn parts_must_fit_what_was_signed() {
    let validators = corpus::halted();
    let part = first(HALTED[1], |inner| matches!(inner, Inner::BlockPart(_)));
    assert_eq!(refused(&validators, &part), [Why::Part]);
    let mut torn = part.clone();
    if let Some(Inner::BlockPart(part)) = &mut torn.sum {
        part.part.as_mut().unwrap().bytes[9] ^= 1;
    }
    assert_eq!(refused(&validators, &torn), [Why::Part]);
    // A vote names it as well as a proposal, but then nobody has proposed it.
    let mut collector = Collector::new(&validators, 3);
    collector.add("x", &part);
    collector.add("x", &first(HALTED[1], is_vote));
    let collected = collector.finish();
    assert_eq!((collected.left_out, collected.messages.blocks), (vec![], BTreeSet::new()));
}

#[test]
fn sources_do_not_add_up() {
    let validators = corpus::halted();
    let once = collect(&validators, 3, &[HALTED[1]]);
    let twice = collect(&validators, 3, &[HALTED[1], HALTED[1]]);
    assert_eq!((once.messages, once.rounds), (twice.messages, twice.rounds));
    let mut collector = Collector::new(&validators, 3);
    collector.add_records("log", &corpus::records(HALTED[1]));
    collector.add("state", &corpus::spoken(HALTED_STATES[1], 1, &validators).message());
    assert_eq!(collector.finish().rounds, collect(&validators, 3, &[HALTED[1]]).rounds);
}

#[test]
fn other_versions_write_the_same() {
    for network in corpus::OTHER_VERSIONS {
        let validators = network.validators();
        let log = Log::whole([network.log]);
        let view = View::of(&log);
        assert_eq!((view.last_end_height, view.furthest), (Some(2), Some(Point { height: 3, round: 0, step: 4 })));
        assert!(view.end == End::Clean && view.damage.is_empty());
        let signed: Vec<_> = (0..4).map(|node| corpus::spoken(network.states[node], node, &validators)).collect();
        assert_eq!(signed.iter().map(Signed::place).collect::<Vec<_>>(), [(2, 0, 2), (3, 0, 1), (3, 0, 1), (3, 0, 1)]);
        assert!(signed.iter().all(|last| view.holds(last.signature())));

        let replay = log.replay(3, 1);
        assert_eq!(replay.outcome, Outcome::Whole);
        let mut collector = Collector::new(&validators, 3);
        collector.add_records("log", &replay.records);
        let Collected { messages, left_out, rounds, .. } = collector.finish();
        assert!(left_out.iter().all(|left| left.why == Why::Height(2)), "{left_out:?}");
        assert_eq!((rounds[&0].len(), messages.blocks.len()), (5, 1));
        let voters: Vec<_> = messages.votes.iter().map(|vote| (vote.kind, vote.validator.as_str())).collect();
        let mut expected: Vec<_> =
            validators.list()[1..].iter().map(|one| (VoteKind::Prevote, one.address.as_str())).collect();
        expected.sort_unstable();
        assert_eq!(voters, expected);
        let whole = messages.blocks.first().map(|(_, block)| block);
        assert!(messages.votes.iter().all(|vote| vote.block.as_ref() == whole));
    }
}

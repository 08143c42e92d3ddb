use super::super::collect::Collector;
use super::super::corpus::{self, HALTED, HALTED_STATES, ROUNDS, ROUNDS_STATES, TIME};
use super::super::proto::{Inner, Vote};
use super::super::replay::{Log, Outcome};
use super::*;

fn replayed(log: &[u8], height: u64) -> Vec<Record> {
    let replay = Log::whole([log]).replay(height, 1);
    assert_eq!(replay.outcome, Outcome::Whole);
    replay.records
}

#[test]
fn an_empty_one_has_two_records() {
    let log = short(9, 1, &[], None, TIME).unwrap();
    let ends: Vec<_> = corpus::records(&log).iter().map(Record::end_height).collect();
    assert_eq!(ends, [Some(0), Some(8)]);
    assert_eq!(replayed(&log, 9), []);
    assert_eq!(corpus::records(&short(5, 5, &[], None, TIME).unwrap()).len(), 1);
    assert_eq!(corpus::records(&short(1, 1, &[], None, TIME).unwrap()).len(), 1);
}

#[test]
fn a_short_one_is_the_height_in_progress_as_it_was() {
    let all = corpus::records(HALTED[1]);
    let own = all.iter().filter(|record| record.height() == Some(3) && record.end_height().is_none());
    let own: Vec<_> = own.map(|record| &record.message).collect();
    let written = |last: Option<&Signed>| replayed(&short(3, 1, &all, last, TIME).unwrap(), 3);
    assert!(own.iter().copied().eq(written(None).iter().map(|record| &record.message)));
    let signed = corpus::spoken(HALTED_STATES[1], 1, &corpus::halted());
    let records = written(Some(&signed));
    let (before, added) = records.split_at(own.len() - 1);
    let is_last = |record: &Record| record.consensus() == Some(&signed.message());
    assert!(
        own.iter().filter(|message| before.iter().any(|record| record.message == ***message)).count() == before.len()
    );
    assert!(!before.iter().any(is_last));
    assert_eq!(added.iter().map(told).collect::<Vec<_>>(), [("NewHeight", 0), ("Propose", 0), ("prevote", 0)]);
    assert!(is_last(&added[2]));
}

#[test]
fn what_was_signed_last_is_never_forgotten() {
    let signed = corpus::spoken(HALTED_STATES[1], 1, &corpus::halted());
    let log = short(3, 1, &[], Some(&signed), TIME).unwrap();
    let records = replayed(&log, 3);
    assert_eq!(records.iter().map(told).collect::<Vec<_>>(), [("NewHeight", 0), ("Propose", 0), ("prevote", 0)]);
    assert_eq!(records.last().unwrap().consensus(), Some(&signed.message()));
    // What was signed for another height has no place there.
    assert_eq!(replayed(&short(4, 1, &[], Some(&signed), TIME).unwrap(), 4), []);
}

/// The vote that a state of this round and step would give.
fn signed(round: i32, step: i32) -> Signed {
    let Signed::Vote(vote) = corpus::spoken(HALTED_STATES[1], 1, &corpus::halted()) else { panic!("no vote") };
    Signed::Vote(Vote { round, r#type: step - 1, ..vote })
}

#[test]
fn each_round_before_the_last_message_is_ended() {
    let added = |last: &Signed| {
        let mut log = Vec::new();
        write_last(&mut log, 3, last, TIME).unwrap();
        corpus::records(&log).iter().map(told).collect::<Vec<_>>()
    };
    assert_eq!(added(&signed(0, 3)), [("NewHeight", 0), ("Propose", 0), ("precommit", 0)]);
    assert_eq!(added(&signed(2, 2)), [("PrecommitWait", 0), ("PrecommitWait", 1), ("Propose", 2), ("prevote", 2)]);
}

#[test]
fn after_a_proposal_the_prevote_is_still_to_come() {
    let proposal = |round| {
        let messages = ROUNDS.iter().flat_map(|log| corpus::records(log));
        let mut proposals = messages.filter_map(|record| match record.consensus()?.sum.clone()? {
            Inner::Proposal(inner) => inner.proposal,
            _ => None,
        });
        proposals.find(|proposal| proposal.round == round).map(Signed::Proposal).unwrap()
    };
    let added = |last: &Signed| {
        let log = short(u64::try_from(last.height()).unwrap(), 1, &[], Some(last), TIME).unwrap();
        corpus::records(&log).iter().filter(|record| record.end_height().is_none()).map(told).collect::<Vec<_>>()
    };
    assert_eq!(added(&proposal(0)), [("NewHeight", 0), ("proposal", 0)]);
    assert_eq!(added(&proposal(1)), [("PrecommitWait", 0), ("proposal", 1)]);
}

#[test]
fn a_union_ends_rounds_without_messages_too() {
    let vote = |round: u32| (round, vec![signed(round.cast_signed(), 2).message()]);
    let log = union(3, 1, &[vote(1), vote(3), vote(i32::MAX.unsigned_abs())].into(), TIME).unwrap();
    let expected = [("PrecommitWait", 0), ("prevote", 1), ("PrecommitWait", 1), ("PrecommitWait", 2), ("prevote", 3)];
    assert_eq!(replayed(&log, 3).iter().map(told).collect::<Vec<_>>(), expected);
}

#[test]
fn a_union_brings_a_node_to_each_round() {
    let validators = corpus::rounds();
    let mut collector = Collector::new(&validators, 9);
    for log in ROUNDS {
        collector.add_records("log", &corpus::records(log));
    }
    for (node, state) in ROUNDS_STATES.iter().enumerate() {
        collector.add("state", &corpus::spoken(state, node, &validators).message());
    }
    let rounds = collector.finish().rounds;
    let records = replayed(&union(9, 5, &rounds, TIME).unwrap(), 9);
    let told: Vec<_> = records.iter().map(told).collect();
    let votes = |kind, round, number| vec![(kind, round); number];
    let expected = [
        votes("prevote", 0, 3),
        votes("precommit", 0, 3),
        vec![("PrecommitWait", 0), ("proposal", 1), ("part", 1)],
        votes("prevote", 1, 2),
        votes("precommit", 1, 1),
    ];
    assert_eq!(told, expected.concat());
    assert_eq!(records.iter().filter_map(Record::consensus).count(), rounds.values().flatten().count());
}

fn told(record: &Record) -> (&'static str, i32) {
    match (record.entry().unwrap(), record.consensus().and_then(|message| message.sum.as_ref())) {
        (Entry::TimeoutInfo(timeout), _) => {
            let name = ["NewHeight", "NewRound", "Propose", "Prevote", "PrevoteWait", "Precommit", "PrecommitWait"];
            (name[timeout.step as usize - 1], timeout.round)
        }
        (_, Some(Inner::Proposal(inner))) => ("proposal", inner.proposal.as_ref().unwrap().round),
        (_, Some(Inner::BlockPart(part))) => ("part", part.round),
        (_, Some(Inner::Vote(inner))) => {
            let vote = inner.vote.as_ref().unwrap();
            (if vote.r#type == 1 { "prevote" } else { "precommit" }, vote.round)
        }
        other => panic!("{other:?}"),
    }
}

use super::super::collect::Collector;
use super::super::corpus::{self, HALTED, HALTED_STATES, ROUNDS, ROUNDS_STATES, TIME};
use super::super::proto::Inner;
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
    let signed = corpus::spoken(HALTED_STATES[1], 1, &corpus::halted());
    let log = short(3, 1, &all, Some(&signed), TIME).unwrap();
    let own = all.iter().filter(|record| record.height() == Some(3)).map(|record| &record.message);
    assert!(own.eq(replayed(&log, 3).iter().map(|record| &record.message)));
    assert!(log.len() < HALTED[1].len() / 2);
}

#[test]
fn what_was_signed_last_is_never_forgotten() {
    let signed = corpus::spoken(HALTED_STATES[1], 1, &corpus::halted());
    let log = short(3, 1, &[], Some(&signed), TIME).unwrap();
    let records = replayed(&log, 3);
    assert_eq!(records.iter().map(Record::consensus).collect::<Vec<_>>(), [Some(&signed.message())]);
    // What was signed for another height has no place there.
    assert_eq!(replayed(&short(4, 1, &[], Some(&signed), TIME).unwrap(), 4), []);
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
        vec![("time-out", 0), ("proposal", 1), ("part", 1)],
        votes("prevote", 1, 2),
        votes("precommit", 1, 1),
    ];
    assert_eq!(told, expected.concat());
    assert_eq!(records.iter().filter_map(Record::consensus).count(), rounds.values().flatten().count());
}

fn told(record: &Record) -> (&'static str, i32) {
    match (record.entry().unwrap(), record.consensus().and_then(|message| message.sum.as_ref())) {
        (Entry::TimeoutInfo(timeout), _) => ("time-out", timeout.round),
        (_, Some(Inner::Proposal(inner))) => ("proposal", inner.proposal.as_ref().unwrap().round),
        (_, Some(Inner::BlockPart(part))) => ("part", part.round),
        (_, Some(Inner::Vote(inner))) => {
            let vote = inner.vote.as_ref().unwrap();
            (if vote.r#type == 1 { "prevote" } else { "precommit" }, vote.round)
        }
        other => panic!("{other:?}"),
    }
}

use super::super::corpus::{self, HALTED, HALTED_STATES, ROUNDS, ROUNDS_STATES, TIME};
use super::super::messages::VoteKind;
use super::super::proto::{Entry, Inner, TimedWalMessage, TimeoutInfo};
use super::super::record::{self, from_peer};
use super::super::replay::Log;
use super::super::view::{Point, View};
use super::super::write;
use super::*;

fn facts(log: &[u8], height: u64, validators: &Validators) -> Replay {
    super::replay("n", None, &Log::whole([log]).replay(height, 1).records, validators, height)
}

fn stands(replay: &Replay) -> (u32, bool) {
    (replay.round, replay.prevoting)
}

fn log(messages: &[TimedWalMessage]) -> Vec<u8> {
    let mut log = write::short(3, 1, &[], None, TIME).unwrap();
    for message in messages {
        record::write(&mut log, message).unwrap();
    }
    log
}

/// A node's records of height 3.
fn own(node: usize) -> Vec<Record> {
    let records = corpus::records(HALTED[node]).into_iter();
    records.filter(|record| record.height() == Some(3) && record.end_height().is_none()).collect()
}

#[test]
fn a_whole_log_leads_where_its_node_was() {
    let nodes = HALTED.iter().map(|log| (log, 3, corpus::halted()));
    let nodes = nodes.chain(ROUNDS.iter().map(|log| (log, 9, corpus::rounds())));
    for (log, height, validators) in nodes {
        let replay = facts(log, height, &validators);
        let View { furthest: Some(Point { height: at, round, step }), .. } = View::of(&Log::whole([*log])) else {
            panic!("no point")
        };
        let expected = if at == height { (round, step >= 4) } else { (0, false) };
        assert_eq!(stands(&replay), expected);
    }
}

#[test]
fn what_a_log_gives_back_is_what_was_collected_of_it() {
    let validators = corpus::rounds();
    for log in ROUNDS {
        let mut collector = Collector::new(&validators, 9);
        collector.add_records("log", &corpus::records(log));
        assert_eq!(facts(log, 9, &validators).messages, collector.finish().messages);
    }
}

#[test]
fn short_and_union_logs_are_read_the_same_way() {
    let validators = corpus::rounds();
    let signed: Vec<_> =
        ROUNDS_STATES.iter().enumerate().map(|(node, state)| corpus::spoken(state, node, &validators)).collect();
    for (last, whole) in signed.iter().zip(ROUNDS) {
        let short = facts(&write::short(9, 5, &[], Some(last), TIME).unwrap(), 9, &validators);
        assert_eq!(stands(&short), (last.round().unsigned_abs(), true));
        assert_eq!(short.messages.votes.len(), 1);
        let records = Log::whole([whole]).replay(9, 5).records;
        let kept = facts(&write::short(9, 5, &records, Some(last), TIME).unwrap(), 9, &validators);
        assert_eq!(kept, facts(whole, 9, &validators));
    }
    let mut collector = Collector::new(&validators, 9);
    for log in ROUNDS {
        collector.add_records("log", &corpus::records(log));
    }
    let collected = collector.finish();
    let union = facts(&write::union(9, 5, &collected.rounds, TIME).unwrap(), 9, &validators);
    assert_eq!((union.round, union.messages), (1, collected.messages));
}

#[test]
fn only_what_is_verified_counts() {
    let validators = corpus::halted();
    let mut records = own(1);
    assert_eq!(super::replay("n", None, &records, &validators, 3).messages.votes.len(), 3);
    for record in &mut records {
        let Some(Entry::MsgInfo(info)) = &mut record.message.msg.as_mut().unwrap().sum else { continue };
        if let Some(Inner::Vote(inner)) = &mut info.msg.as_mut().unwrap().sum {
            inner.vote.as_mut().unwrap().signature[5] ^= 1;
        }
    }
    assert_eq!(super::replay("n", None, &records, &validators, 3).messages.votes, BTreeSet::new());
    assert_eq!(super::replay("n", None, &own(1), &validators, 4).messages, Messages::default());
}

/// The order in which a node was found to stay at Prevote for ever: its prevotes all came while it was at Propose.
#[test]
fn two_thirds_of_prevotes_that_came_too_early_wake_nobody() {
    let mut validators = corpus::halted().list().to_vec();
    validators[0].power = 1;
    let validators = Validators::new("corpus-halted", validators);
    // With another set the votes' places differ.
    let signed: Vec<_> = HALTED_STATES[1..]
        .iter()
        .zip([1, 2, 3])
        .map(|(state, node)| {
            let list = corpus::halted();
            let address = &list.list()[node].address;
            super::super::signed::last(std::str::from_utf8(state).unwrap(), address, &validators).unwrap().unwrap()
        })
        .collect();
    let votes = signed.iter().map(|signed| from_peer(signed.message(), "x".into(), TIME));
    let time_outs = write::short(3, 1, &[], Some(&signed[0]), TIME).unwrap();
    let time_outs = Log::whole([time_outs.as_slice()]).replay(3, 1).records[..2].to_vec();
    let early: Vec<_> = votes.clone().chain(time_outs.iter().map(|record| record.message.clone())).collect();
    assert_eq!(stands(&facts(&log(&early), 3, &validators)), (0, false));
    let late: Vec<_> = time_outs.iter().map(|record| record.message.clone()).chain(votes).collect();
    assert_eq!(stands(&facts(&log(&late), 3, &validators)), (0, true));
    // Its own vote behind the time-outs cures it.
    let records = Log::whole([log(&early).as_slice()]).replay(3, 1).records;
    let cured = write::short(3, 1, &records, Some(&signed[0]), TIME).unwrap();
    assert_eq!(stands(&facts(&cured, 3, &validators)), (0, true));
}

#[test]
fn signers_have_spoken_at_their_height_alone() {
    let signed = corpus::spoken(HALTED_STATES[1], 1, &corpus::halted());
    let last = Ok(Some(signed));
    let Spoken::Vote(vote) = spoken(&last, 3) else { panic!("no vote") };
    assert_eq!((vote.round, vote.kind, vote.block.is_some()), (0, VoteKind::Prevote, true));
    assert_eq!(vote.validator, corpus::halted().list()[1].address);
    assert_eq!(spoken(&last, 4), Spoken::Nothing);
    assert_eq!(spoken(&last, 2), Spoken::Unread);
    assert_eq!(spoken(&Ok(None), 3), Spoken::Nothing);
    assert_eq!(spoken(&Err("empty".into()), 3), Spoken::Unread);
}

#[test]
fn a_block_is_there_in_the_round_in_which_its_parts_came() {
    let validators = corpus::halted();
    let records = corpus::records(HALTED[1]);
    let second: Vec<_> = records.iter().filter(|record| record.height() == Some(2)).collect();
    let kind = |record: &Record| record.consensus().and_then(|message| message.sum.clone());
    let part = second.iter().position(|record| matches!(kind(record), Some(Inner::BlockPart(_)))).unwrap();
    let precommit = |record: &Record| match kind(record) {
        Some(Inner::Vote(inner)) => inner.vote.unwrap().r#type == 2,
        _ => false,
    };
    let ends = |round| {
        let timeout = TimeoutInfo { duration: None, height: 2, round, step: 7 };
        Record { offset: 0, message: record::timed(Entry::TimeoutInfo(timeout), TIME) }
    };
    let read = |records: &[&Record]| {
        let records: Vec<Record> = records.iter().copied().cloned().collect();
        let replay = super::replay("n", None, &records, &validators, 2);
        let rounds: Vec<u32> = replay.messages.blocks.iter().map(|(round, _)| *round).collect();
        (replay.round, rounds)
    };
    let before: Vec<_> = second.iter().copied().filter(|record| !precommit(record)).collect();
    assert_eq!(read(&before), (0, vec![0]));
    assert_eq!(read(&[&before[..], &[&ends(0)]].concat()), (1, vec![0]));
    assert_eq!(read(&[&second[..part], &[&ends(0), second[part]]].concat()), (1, vec![]));
    // Once it has committed the block nothing leads it on.
    assert_eq!(read(&[&second[..], &[&ends(1)]].concat()), (0, vec![0]));
}

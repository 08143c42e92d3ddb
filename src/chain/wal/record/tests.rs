use proptest::prelude::*;

use super::super::corpus::{self, CLEAN, CORRUPTED, HALTED, ROUNDS, TIME, TRUNCATED};
use super::super::proto::{Vote, VoteMessage};
use super::*;

/// Where each record begins, and the end.
fn bounds(log: &[u8]) -> Vec<usize> {
    corpus::records(log).iter().map(|record| record.offset).chain([log.len()]).collect()
}

#[test]
fn real_logs_read_to_their_end() {
    let expected = [(CLEAN, 2), (HALTED[0], 2), (HALTED[1], 2), (HALTED[2], 2), (HALTED[3], 2)];
    let rounds = ROUNDS.map(|log| (log, 8));
    for (log, last) in expected.into_iter().chain(rounds) {
        let (records, end) = read(log);
        assert_eq!(end, End::Clean);
        assert_eq!(records.iter().filter_map(Record::end_height).max(), Some(last));
        assert_eq!(records[0].end_height(), Some(0));
        let unnamed = records.iter().filter(|record| record.height().is_none()).count();
        assert_eq!(unnamed, 0);
    }
}

#[test]
fn damaged_logs_read_to_the_damage() {
    let (records, end) = read(CORRUPTED);
    // The node's own words: "length 185339150 exceeded maximum possible value".
    assert_eq!(end, End::Corrupted(Damage { offset: 20_238, cause: Cause::Length(185_339_150) }));
    assert_eq!(records, corpus::records(ROUNDS[0]));
    let whole = corpus::records(HALTED[1]);
    let (last, others) = whole.split_last().unwrap();
    assert_eq!(read(TRUNCATED), (others.to_vec(), End::Truncated(last.offset)));
}

#[test]
fn what_is_written_is_what_a_node_writes() {
    for log in [CLEAN].into_iter().chain(HALTED).chain(ROUNDS) {
        let mut again = Vec::new();
        for record in corpus::records(log) {
            write(&mut again, &record.message).unwrap();
        }
        assert!(again == log);
    }
}

#[test]
fn a_log_cut_anywhere_gives_what_is_before_the_cut() {
    let log = &HALTED[1][..bounds(HALTED[1])[12]];
    let (whole, bounds) = (corpus::records(log), bounds(log));
    for cut in 0..log.len() {
        let (records, end) = read(&log[..cut]);
        let before = bounds.iter().skip(1).filter(|bound| **bound <= cut).count();
        assert_eq!(records, whole[..before], "cut at {cut}");
        let expected = if bounds.contains(&cut) { End::Clean } else { End::Truncated(bounds[before]) };
        assert_eq!(end, expected, "cut at {cut}");
    }
}

#[test]
fn a_flipped_byte_costs_its_record_and_invents_none() {
    let log = &HALTED[1][..bounds(HALTED[1])[12]];
    let (whole, bounds) = (corpus::records(log), bounds(log));
    for at in 0..log.len() {
        for mask in [0x01, 0x80, 0xff] {
            let mut flipped = log.to_vec();
            flipped[at] ^= mask;
            let struck = bounds.iter().rposition(|bound| *bound <= at).unwrap();
            let (records, end) = read(&flipped);
            assert_eq!(records, whole[..struck], "byte {at}");
            let offset = match end {
                End::Clean => panic!("byte {at}: clean"),
                End::Truncated(offset) => offset,
                End::Corrupted(damage) => damage.offset,
            };
            assert_eq!(offset, bounds[struck], "byte {at}");
            let after = Decoder::new(&flipped).filter_map(Result::ok).all(|record| whole.contains(&record));
            assert!(after, "byte {at}");
        }
    }
}

#[test]
fn a_node_takes_three_stray_bytes_for_the_end() {
    let mut log = CLEAN.to_vec();
    for stray in 1..4 {
        log.push(0);
        assert_eq!(read(&log).1, End::Truncated(CLEAN.len()));
        assert!(Decoder::new(&log).all(|next| next.is_ok()), "{stray}");
    }
    // A power cut leaves zeros.
    log.extend([0; 64]);
    assert_eq!(read(&log).1, End::Corrupted(Damage { offset: CLEAN.len(), cause: Cause::Length(0) }));
}

#[test]
fn the_largest_record() {
    let sized = |size: usize| from_peer(Message { sum: None }, "x".repeat(size), TIME);
    let base = sized(1_000_000).encoded_len() - 1_000_000;
    let mut log = Vec::new();
    assert_eq!(write(&mut log, &sized(LARGEST - base)), Ok(()));
    assert_eq!(log.len(), HEADER + LARGEST);
    assert_eq!(write(&mut log, &sized(LARGEST - base + 1)), Err(TooLarge(LARGEST + 1)));
    assert_eq!(log.len(), HEADER + LARGEST);
    log[4..8].copy_from_slice(&u32::try_from(LARGEST + 1).unwrap().to_be_bytes());
    assert!(matches!(read(&log).1, End::Corrupted(Damage { offset: 0, cause: Cause::Length(_) })));
}

#[test]
fn a_sound_checksum_over_a_message_that_a_node_refuses_is_damage() {
    let vote = Vote { height: 3, ..Vote::default() };
    let bad = Message { sum: Some(Inner::Vote(VoteMessage { vote: Some(vote) })) };
    let mut log = Vec::new();
    for message in [from_peer(bad, String::new(), TIME), TimedWalMessage::default(), end_height(0, TIME)] {
        write(&mut log, &message).unwrap();
    }
    let causes = Decoder::new(&log).map(|next| next.map(|record| record.end_height()).map_err(|damage| damage.cause));
    let expected = [Err(Cause::Message("type".into())), Err(Cause::Length(0)), Ok(Some(0))];
    assert_eq!(causes.collect::<Vec<_>>(), expected);
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600), at in 0_usize..3000) {
        let mut log = CLEAN[..at].to_vec();
        log.extend(bytes);
        let whole = corpus::records(CLEAN);
        let (records, _) = read(&log);
        let intact = whole.iter().zip(bounds(CLEAN).into_iter().skip(1)).filter(|(_, end)| *end <= at).count();
        prop_assert_eq!(&records[..intact], &whole[..intact]);
        prop_assert!(Decoder::new(&log).count() <= log.len());
    }
}

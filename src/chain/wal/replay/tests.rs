use super::super::corpus::{self, CLEAN, CORRUPTED, HALTED, ROUNDS, TIME, TRUNCATED};
use super::super::record;
use super::*;

fn replay(files: &[&[u8]], height: u64) -> Replay {
    Log::whole(files.iter().copied()).replay(height, 1)
}

/// A log of these `#ENDHEIGHT`s.
fn ends(heights: &[i64]) -> Vec<u8> {
    let mut log = Vec::new();
    for height in heights {
        record::write(&mut log, &record::end_height(*height, TIME)).unwrap();
    }
    log
}

#[test]
fn a_node_replays_what_follows_the_height_before() {
    let Replay { outcome, records } = replay(&[HALTED[1]], 3);
    assert_eq!(outcome, Outcome::Whole);
    let all = corpus::records(HALTED[1]);
    let marker = all.iter().position(|record| record.end_height() == Some(2)).unwrap();
    assert_eq!(records, all[marker + 1..]);
    assert_eq!(replay(&[HALTED[1]], 2).outcome, Outcome::Nothing(Reason::Ended));
    assert_eq!(replay(&[HALTED[1]], 4).outcome, Outcome::Nothing(Reason::NoEndHeight));
    assert_eq!(replay(&[CLEAN], 3).outcome, Outcome::Whole);
}

#[test]
fn a_chains_first_height_follows_0() {
    assert_eq!(marker(5, 5), 0);
    assert_eq!(marker(6, 5), 5);
    assert_eq!(marker(1, 0), 0);
    let end = corpus::records(ROUNDS[0]).into_iter().find(|record| record.end_height() == Some(5)).unwrap();
    let replay = Log::whole([&ROUNDS[0][..end.offset]]).replay(5, 5);
    assert_eq!(replay.outcome, Outcome::Whole);
    assert!(!replay.records.is_empty());
    assert_eq!(Log::whole([]).replay(1, 1).outcome, Outcome::Whole);
}

#[test]
fn a_damaged_tail_is_cut_off() {
    // The node did exactly this.
    let repaired = Log::whole([CORRUPTED]).replay(9, 5);
    assert_eq!(repaired.outcome, Outcome::Repaired(20_238));
    assert_eq!(repaired.records, Log::whole([ROUNDS[0]]).replay(9, 5).records);
    let last = corpus::records(HALTED[1]).last().unwrap().offset;
    assert_eq!(replay(&[TRUNCATED], 3).outcome, Outcome::Repaired(last));
}

#[test]
fn damage_before_the_marker_is_skipped_until_a_repair_cuts_there() {
    let mut log = HALTED[1].to_vec();
    log[200] ^= 1;
    assert_eq!(replay(&[&log], 3), replay(&[HALTED[1]], 3));
    log.pop();
    assert_eq!(replay(&[&log], 3).outcome, Outcome::Nothing(Reason::NoEndHeight));
}

#[test]
fn damage_in_an_older_file_keeps_a_node_down() {
    let marker = corpus::records(HALTED[1]).into_iter().rfind(|record| record.end_height().is_some()).unwrap();
    let (older, head) = HALTED[1].split_at(marker.offset + 200);
    assert_eq!(replay(&[older, head], 3), replay(&[HALTED[1]], 3));
    let mut older = older.to_vec();
    older[marker.offset + 60] ^= 1;
    assert_eq!(replay(&[&older, head], 3).outcome, Outcome::Refused);
}

#[test]
fn an_older_file_is_not_looked_at_behind_a_lower_height() {
    assert_eq!(replay(&[&ends(&[0, 7]), &ends(&[5])], 8).outcome, Outcome::Nothing(Reason::NoEndHeight));
    assert_eq!(replay(&[&ends(&[0, 7]), &ends(&[0])], 8).outcome, Outcome::Whole);
    assert_eq!(replay(&[&ends(&[0, 8]), &ends(&[7])], 8).outcome, Outcome::Whole);
}

#[test]
fn a_repair_needs_the_whole_head() {
    let cut = corpus::records(TRUNCATED)[3].offset;
    let tail = Log::tail(TRUNCATED[cut..].to_vec(), Vec::new(), false);
    assert_eq!(tail.replay(3, 1).outcome, Outcome::Unread);
    let tail = Log::tail(HALTED[1][cut..].to_vec(), Vec::new(), false);
    assert_eq!(tail.replay(3, 1).records.len(), replay(&[HALTED[1]], 3).records.len());
}

use super::super::corpus::TIME;
use super::super::proto::{BlockId, Message, PartSetHeader, TimedWalMessage, VoteMessage};
use super::super::record::{from_peer, timed};
use super::*;

/// Addresses of four validators with the same power.
const NAMES: [&str; 4] = ["00", "01", "02", "03"];

fn vote(who: u8, round: i32, precommit: bool, block: Option<u8>, peer: &str) -> TimedWalMessage {
    let header = |fill| PartSetHeader { total: 1, hash: vec![fill; 32] };
    let id = block.map(|fill| BlockId { hash: vec![fill; 32], part_set_header: Some(header(fill)) });
    let r#type = if precommit { 2 } else { 1 };
    let vote = SignedVote { r#type, round, block_id: id, validator_address: vec![who], ..SignedVote::default() };
    from_peer(Message { sum: Some(Inner::Vote(VoteMessage { vote: Some(vote) })) }, peer.into(), TIME)
}

fn time_out(round: i32, step: u8) -> TimedWalMessage {
    timed(Entry::TimeoutInfo(TimeoutInfo { duration: None, height: 1, round, step: step.into() }), TIME)
}

/// Round, step, whether it is prevoting, and how many votes were taken.
fn led(messages: &[TimedWalMessage]) -> (u32, u8, bool, usize) {
    let (powers, refused) = (NAMES.map(|name| (name, 25)).into(), BTreeSet::new());
    let mut steps = Steps::new(&powers, &refused);
    for message in messages {
        steps.take(&Record { offset: 0, message: message.clone() });
    }
    (steps.round, steps.step, steps.prevoting(), steps.taken().len())
}

fn prevotes(round: i32, blocks: [Option<u8>; 3]) -> Vec<TimedWalMessage> {
    (0..).zip(blocks).map(|(who, block)| vote(who, round, false, block, "p")).collect()
}

fn precommits(round: i32, blocks: [Option<u8>; 3]) -> Vec<TimedWalMessage> {
    (0..).zip(blocks).map(|(who, block)| vote(who, round, true, block, "p")).collect()
}

#[test]
fn time_outs_lead_on_and_never_back() {
    assert_eq!(led(&[]), (0, NEW_HEIGHT, false, 0));
    assert_eq!(led(&[time_out(0, NEW_HEIGHT)]), (0, PROPOSE, false, 0));
    assert_eq!(led(&[time_out(0, NEW_HEIGHT), time_out(0, PROPOSE)]), (0, PREVOTE, true, 0));
    let further = [time_out(0, PRECOMMIT_WAIT), time_out(1, PRECOMMIT_WAIT), time_out(2, PROPOSE)];
    assert_eq!(led(&further), (2, PREVOTE, true, 0));
    let back = [time_out(2, PREVOTE_WAIT), time_out(1, PRECOMMIT_WAIT), time_out(2, PROPOSE)];
    assert_eq!(led(&back), (2, PRECOMMIT, true, 0));
}

#[test]
fn prevotes_are_looked_at_when_one_comes_in_at_prevote_or_later() {
    let mixed = prevotes(0, [Some(1), None, Some(1)]);
    let early = [&mixed[..], &[time_out(0, PROPOSE)]].concat();
    assert_eq!(led(&early), (0, PREVOTE, false, 3));
    let late = [&mixed[..2], &[time_out(0, PROPOSE)], &mixed[2..]].concat();
    assert_eq!(led(&late), (0, PREVOTE_WAIT, true, 3));
    let nil = [&[time_out(0, PROPOSE)], &prevotes(0, [None; 3])[..]].concat();
    assert_eq!(led(&nil), (0, PRECOMMIT, true, 3));
    // Of a block that isn't there it waits for more.
    let block = [&[time_out(0, PROPOSE)], &prevotes(0, [Some(1); 3])[..]].concat();
    assert_eq!(led(&block), (0, PREVOTE_WAIT, true, 3));
}

#[test]
fn two_thirds_of_a_later_round_lead_there() {
    assert_eq!(led(&prevotes(3, [Some(1), None, None])), (3, PROPOSE, false, 3));
    assert_eq!(led(&prevotes(3, [None; 3])[..2]), (0, NEW_HEIGHT, false, 2));
    assert_eq!(led(&precommits(2, [Some(1), None, None])), (2, PROPOSE, false, 3));
    assert_eq!(led(&precommits(2, [None; 3])), (2, PRECOMMIT, true, 3));
    assert_eq!(led(&precommits(2, [Some(1); 3])), (2, COMMIT, true, 3));
}

#[test]
fn the_first_vote_of_a_validator_counts() {
    let twice = [vote(0, 1, false, Some(1), "p"), vote(0, 1, false, None, "p")];
    assert_eq!(led(&twice).3, 1);
    assert_eq!(led(&[&twice[..], &prevotes(1, [Some(1); 3])[1..2]].concat()).0, 0);
}

#[test]
fn of_a_peer_two_later_rounds_are_taken() {
    let of = |peer| (1..5).map(move |round| vote(0, round, false, None, peer));
    assert_eq!(led(&of("p").collect::<Vec<_>>()).3, 2);
    assert_eq!(led(&of("p").chain(of("q")).collect::<Vec<_>>()).3, 4);
    let led_on = [time_out(0, PRECOMMIT_WAIT)].into_iter().chain(of("p"));
    assert_eq!(led(&led_on.collect::<Vec<_>>()).3, 4);
}

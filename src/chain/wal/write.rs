//! The two logs that fleet writes. Both begin with `#ENDHEIGHT` 0, as every new log does, and the `#ENDHEIGHT` after
//! which a node replays.

use std::collections::BTreeMap;
use std::ops::Range;

use super::proto::{Entry, Message, TimedWalMessage, TimeoutInfo, Timestamp};
use super::record::{self, Record, TooLarge};
use super::replay::marker;
use super::signed::Signed;
use super::view::signature_of;

/// Steps of a round whose time-outs are written (`consensus/types/round_state.go`).
const NEW_HEIGHT: u32 = 1;
const PROPOSE: u32 = 3;
const PRECOMMIT_WAIT: u32 = 7;

/// The last round that a union has messages of. With CometBFT's default time-outs, which grow by half a second a round,
/// a chain would be there after two years, so a message of a later one is a validator's lie, and would have the log end
/// millions of rounds before it.
const LAST_ROUND: u32 = 10_000;

/// The shortest log of one node that forgets nothing signed: its own records of the height in progress as they were,
/// and last what its signer has signed last, with the time-outs that lead the node there. `own` is empty where they are
/// dropped.
///
/// A node looks at its prevotes only when one more comes in at the step Prevote or later. If all came in while it was at
/// Propose, it would stay there for ever, for its signer gives it no new one. So its own vote comes behind the time-out
/// that ends Propose, and is taken out of where the records had it. A time-out that the node is beyond by its own
/// records is ignored.
///
/// The time-outs have a validator sign nothing new: what they ask for is of earlier rounds, or a proposal or prevote of
/// the last one's round, all of them at or below what is signed; a signer refuses these, or gives the same signature
/// again (`privval/file.go` `CheckHRS`). After a proposal the prevote is still to come, so the node is not led past
/// Propose.
pub fn short(
    height: u64,
    initial_height: u64,
    own: &[Record],
    last: Option<&Signed>,
    time: Timestamp,
) -> Result<Vec<u8>, TooLarge> {
    let ended = own.iter().find(|record| record.end_height() == Some(marker(height, initial_height)));
    // No time stands for one that nobody knows: the height didn't begin when fleet writes this.
    let began = ended.and_then(|record| record.message.time).unwrap_or_default();
    let mut log = begin(height, initial_height, began)?;
    let last = last.filter(|signed| u64::try_from(signed.height()) == Ok(height));
    let is_last = |record: &Record| last.is_some_and(|signed| signature_of(record) == Some(signed.signature()));
    for record in own.iter().filter(|record| record.end_height().is_none() && record.height() == Some(height)) {
        if !is_last(record) {
            record::write(&mut log, &record.message)?;
        }
    }
    if let Some(signed) = last {
        write_last(&mut log, height, signed, time)?;
    }
    Ok(log)
}

fn write_last(log: &mut Vec<u8>, height: u64, signed: &Signed, time: Timestamp) -> Result<(), TooLarge> {
    let round = u32::try_from(signed.round()).unwrap_or_default();
    if round == 0 {
        record::write(log, &time_out(height, 0, NEW_HEIGHT, time))?;
    }
    lead(log, height, 0..round, time)?;
    if matches!(signed, Signed::Vote(_)) {
        record::write(log, &time_out(height, round, PROPOSE, time))?;
    }
    record::write(log, &record::from_peer(signed.message(), peer(round), time))
}

/// The time-outs that end these rounds. None may be passed over: a time-out of a later round takes a node there, but by
/// it the node reckons the proposer on by one turn only, and then refuses the right one's proposals
/// (`consensus/state.go` `enterPrecommit`, `enterNewRound`).
fn lead(log: &mut Vec<u8>, height: u64, rounds: Range<u32>, time: Timestamp) -> Result<(), TooLarge> {
    rounds
        .map(|round| time_out(height, round, PRECOMMIT_WAIT, time))
        .try_for_each(|message| record::write(log, &message))
}

/// The log that gives one node without power every message of the height in progress ([`Collected::rounds`]), so that
/// it hands them to the others. Messages of rounds above 10 000 are left out.
///
/// A node takes a proposal only in its round, and in a replay no time passes that would bring it there, so before each
/// round but the first the log has the time-out that ends the one before. A node that signs must not get this log: the
/// time-out would have it precommit.
///
/// [`Collected::rounds`]: super::collect::Collected::rounds
pub fn union(
    height: u64,
    initial_height: u64,
    rounds: &BTreeMap<u32, Vec<Message>>,
    time: Timestamp,
) -> Result<Vec<u8>, TooLarge> {
    let mut log = begin(height, initial_height, time)?;
    let mut at = 0;
    for (round, messages) in rounds.range(..=LAST_ROUND) {
        lead(&mut log, height, at..*round, time)?;
        at = *round;
        for message in messages {
            record::write(&mut log, &record::from_peer(message.clone(), peer(*round), time))?;
        }
    }
    Ok(log)
}

/// The peer that a message written by fleet is from, one per round.
///
/// The name "" would say that the node had made the message itself. A replay treats both alike (votes are told to be
/// the node's own by their address), but for one thing: of each peer it takes votes of at most two rounds that it hasn't
/// come to yet (`consensus/types/height_vote_set.go`), and a name of one round can't use that up.
fn peer(round: u32) -> String {
    format!("fleet-round-{round}")
}

fn time_out(height: u64, round: u32, step: u32, time: Timestamp) -> TimedWalMessage {
    let (height, round) = (height.cast_signed(), round.cast_signed());
    let duration = Some(tendermint_proto::google::protobuf::Duration::default());
    let timeout = TimeoutInfo { duration, height, round, step };
    record::timed(Entry::TimeoutInfo(timeout), time)
}

fn begin(height: u64, initial_height: u64, time: Timestamp) -> Result<Vec<u8>, TooLarge> {
    let mut log = Vec::new();
    record::write(&mut log, &record::end_height(0, time))?;
    match marker(height, initial_height) {
        0 => {}
        before => record::write(&mut log, &record::end_height(before.cast_signed(), time))?,
    }
    Ok(log)
}

#[cfg(test)]
mod tests;

//! The two logs that fleet writes. Both begin with `#ENDHEIGHT` 0, as every new log does, and the `#ENDHEIGHT` after
//! which a node replays.

use std::collections::BTreeMap;

use super::proto::{Entry, Message, TimedWalMessage, TimeoutInfo, Timestamp};
use super::record::{self, Record, TooLarge};
use super::replay::marker;
use super::signed::Signed;
use super::view::signature_of;

/// Step 7 of a round (`consensus/types/round_state.go`).
const PRECOMMIT_WAIT: u32 = 7;

/// The shortest log of one node that forgets nothing signed: its own records of the height in progress as they were,
/// and what its signer has signed last where they don't have it. `own` is empty where they are dropped.
pub fn short(
    height: u64,
    initial_height: u64,
    own: &[Record],
    last: Option<&Signed>,
    time: Timestamp,
) -> Result<Vec<u8>, TooLarge> {
    let mut log = begin(height, initial_height, time)?;
    let own = own.iter().filter(|record| record.end_height().is_none() && record.height() == Some(height));
    for record in own.clone() {
        record::write(&mut log, &record.message)?;
    }
    let missing = |signed: &&Signed| {
        let there = own.clone().filter_map(signature_of).any(|signature| signature == signed.signature());
        !there && u64::try_from(signed.height()) == Ok(height)
    };
    if let Some(signed) = last.filter(missing) {
        let round = u32::try_from(signed.round()).unwrap_or_default();
        record::write(&mut log, &record::from_peer(signed.message(), peer(round), time))?;
    }
    Ok(log)
}

/// The log that gives one node without power every message of the height in progress ([`Collected::rounds`]), so that
/// it hands them to the others.
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
    for (round, messages) in rounds {
        if let Some(before) = round.checked_sub(1) {
            record::write(&mut log, &time_out(height, before, time))?;
        }
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

fn time_out(height: u64, round: u32, time: Timestamp) -> TimedWalMessage {
    let (height, round) = (height.cast_signed(), round.cast_signed());
    let timeout = TimeoutInfo {
        duration: Some(tendermint_proto::google::protobuf::Duration::default()),
        height,
        round,
        step: PRECOMMIT_WAIT,
    };
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

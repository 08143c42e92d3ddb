//! The votes in `/consensus_state`: a bit array with its power, and one string a validator.

use crate::model::facts::{VoteSeen, VoteTally};

/// `BA{4:xx_x} 90/100 = 0.90` and the strings of the votes as one tally; the bits decide whether a vote was seen.
pub fn tally(bit_array: &str, votes: &[String]) -> Result<VoteTally, String> {
    if bit_array == "nil-BitArray" {
        return Ok(VoteTally::default());
    }
    let (bits, power, total) = parse(bit_array).ok_or_else(|| format!("bit array: {bit_array:?}"))?;
    if !votes.is_empty() && votes.len() != bits.len() {
        return Err(format!("{} votes for a bit array of {}", votes.len(), bits.len()));
    }
    let seen = |(index, bit): (usize, bool)| match (bit, votes.get(index)) {
        (false, _) => VoteSeen::Missing,
        (true, Some(vote)) => read(vote),
        (true, None) => unread(),
    };
    Ok(VoteTally { votes: bits.into_iter().enumerate().map(seen).collect(), power, total })
}

fn parse(text: &str) -> Option<(Vec<bool>, u64, u64)> {
    let (size, rest) = text.strip_prefix("BA{")?.split_once(':')?;
    let (bits, rest) = rest.split_once("} ")?;
    let (power, total) = rest.split_once(" = ")?.0.split_once('/')?;
    let bits: Vec<bool> = bits.bytes().map(bit).collect::<Option<_>>()?;
    (size.parse() == Ok(bits.len())).then_some(())?;
    Some((bits, power.parse().ok()?, total.parse().ok()?))
}

const fn bit(byte: u8) -> Option<bool> {
    match byte {
        b'x' => Some(true),
        b'_' => Some(false),
        _ => None,
    }
}

/// `Vote{3:C55A3606B884 27/00/SIGNED_MSG_TYPE_PREVOTE(Prevote) F1A7EC04AD87 …}`; the hash is all zeros for nil.
fn read(vote: &str) -> VoteSeen {
    let hash = vote.split_once(") ").and_then(|(_, rest)| rest.split_whitespace().next());
    match hash {
        Some(hash) if !hash.is_empty() && hash.bytes().all(|byte| byte == b'0') => VoteSeen::Nil,
        Some(hash) if hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => VoteSeen::Block(hash.to_uppercase()),
        _ => unread(),
    }
}

/// The bit says that there is a vote; for what can't be read.
const fn unread() -> VoteSeen {
    VoteSeen::Block(String::new())
}

//! What the tests of the verdict expect, in few words.

use fleet::model::verdict::{Cause, ChainState, ChainVerdict};

use crate::world::*;

pub const SEVEN: [u64; 7] = [30, 20, 15, 12, 10, 8, 5];

pub fn seven() -> World {
    healthy(&SEVEN, &[])
}

#[track_caller]
pub fn stopped(verdict: &ChainVerdict, cause: Cause, likely: &str) {
    assert_eq!(verdict.state, ChainState::Stopped { since_ms: Some(NOW - 252_000) }, "{verdict:#?}");
    fits(verdict, cause, likely);
}

#[track_caller]
pub fn fits(verdict: &ChainVerdict, cause: Cause, likely: &str) {
    assert_eq!(verdict.cause, cause, "{verdict:#?}");
    assert_eq!(verdict.likely, likely);
}

pub fn missing(verdict: &ChainVerdict) -> Vec<String> {
    verdict.missing.iter().map(|one| format!("{} {} ({})", one.who, one.power, one.why)).collect()
}

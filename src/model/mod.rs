//! The values everything else speaks of. Pure: no async, clock, environment, randomness or files.

pub mod backup;
pub mod calendar;
pub mod event;
pub mod facts;
pub mod fold;
pub mod inventory;
pub mod nearest;
pub mod plan;
pub mod restore;
pub mod schedule;
pub mod selector;
pub mod size;
pub mod snapshot;
pub mod source;
pub mod verdict;
pub mod wal;

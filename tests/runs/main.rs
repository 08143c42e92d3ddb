//! Journal, plans and runs as people and programs read them.

#![allow(clippy::unwrap_used)] // clippy takes only the functions marked #[test] for tests

mod events;
mod journal;
#[allow(dead_code)]
mod plans;

//! The engine against scripted hosts, with a paused clock.
#![allow(clippy::unwrap_used, clippy::too_many_lines)] // clippy takes only the functions marked #[test] for tests

mod arming;
mod backup;
mod clear;
mod links;
mod outcomes;
mod plans;
mod restore;
mod resume;
mod runs;
mod waits;
mod wal;
mod world;

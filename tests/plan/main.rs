//! Plans, refusals and runs as the operator reads them, and the rules behind them.
#![allow(clippy::unwrap_used)] // clippy takes only the functions marked #[test] for tests

mod agreement;
mod backup;
mod invariants;
mod oracle;
mod overruled;
mod restore;
mod rules;
mod screens;
mod tellers;
mod world;

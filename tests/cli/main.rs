//! The command line as a program: a clear environment, a private home, and simulated hosts.
#![allow(clippy::unwrap_used)] // clippy takes only the functions marked #[test] for tests

mod demo;
mod fleet;
mod help;
mod hosts;
mod output;
mod prompt;
mod readme;
mod runs;
mod schedule;
mod terminal;
mod wrong;

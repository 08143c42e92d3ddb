//! fleet operates a fleet of bare-metal blockchain validators over plain SSH.
//!
//! Data flows in one direction: an inventory is selected from, facts are gathered (read-only), a pure function
//! makes a plan, the plan is checked against the safety invariants and confirmed, and one engine carries it out
//! while every event goes to the journal and to the screen.
//!
//! The layers, kept by `tests/layers.rs`: `model` knows nothing but itself; `chain` knows `model`; `ops` knows
//! `chain` and `model`; `engine` knows `chain` and `model`;
//! `ssh` and `journal` know these and the traits of `engine`;
//! `render` knows `model`; `app` knows all; `sim` stands beside, and only `app` and the tests see it.
//! `model`, `chain` and `ops` are pure: no async, clock, environment, randomness or files.

pub mod app;
pub mod chain;
pub mod cli;
pub mod engine;
pub mod error;
pub mod journal;
pub mod model;
pub mod ops;
pub mod render;
pub mod sim;
pub mod ssh;
pub mod store;

//! The snapshot store: what comes in, what is proven, what is found when it is damaged, and what is never removed.
#![allow(clippy::unwrap_used)] // clippy takes only the functions marked #[test] for tests

mod bucket;
mod commands;
mod damage;
mod encrypt;
mod intake;
mod leases;
mod prunes;
mod random;
mod tools;
mod world;

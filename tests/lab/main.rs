//! fleet against real hosts: systemd and OpenSSH in containers, a CometBFT chain on them (`scripts/lab`).
//!
//! `scripts/test` runs these where it can: as root, after `scripts/lab install`. Alone: `cargo test --test lab`; the lab
//! then stays up for the next time, until `scripts/lab down --name test --purge`.

#![allow(clippy::unwrap_used, reason = "what a test stands on must be there")]

mod backup;
mod chain;
mod clear;
mod controller;
mod died;
mod faults;
mod fork;
mod frozen;
mod lab;
mod lost;
mod process;
mod reboots;
mod refusals;
mod restarts;
mod restore;
mod several;
mod simd;
mod wal;

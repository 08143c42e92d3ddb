//! The SSH layer, and the commands that are little more than it, against real `sshd`s on loopback.

#![allow(clippy::unwrap_used, reason = "what a test stands on must be there")]

mod auth;
mod bad_input;
mod exec;
mod fleet;
mod host_keys;
mod killed;
mod known_hosts;
mod link;
mod resident;
mod restore;
mod seal;
mod sshd;
mod trust;
mod wal;
mod ways;

//! Simulated hosts, and fleet against them.
#![allow(clippy::unwrap_used)] // clippy takes only the functions marked #[test] for tests

mod again;
mod arming;
mod broken;
mod clear;
mod facts;
mod faults;
mod hosts;
mod keys;
mod killed;
mod killed_clear;
mod killed_wal;
mod locks;
mod logs;
mod many;
mod outcomes;
mod profiles;
mod restart;
mod restore;
mod rig;
mod rpc;
mod signals;
mod statesync;
mod wal;

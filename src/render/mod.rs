//! What people read: screens and lines from values of `model`. Pure; nothing here prints.

pub mod exec;
pub mod metrics;
pub mod next;
pub mod paint;
mod plain;
pub mod plan;
pub mod refusal;
pub mod run;
pub mod schedule;
pub mod snapshot;
pub mod span;
pub mod status;
pub mod trust;
pub mod wal;
pub mod words;

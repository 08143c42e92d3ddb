//! What people and programs are shown.

pub mod exec;
pub mod next;
mod paint;
mod plain;
pub mod span;
pub mod status;
pub mod trust;

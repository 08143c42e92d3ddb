//! What people and programs are shown.

pub mod span;
pub mod status;

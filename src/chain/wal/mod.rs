//! Write-ahead logs of the consensus: what is in them, and what may be done to them without stranding or forking a
//! chain.

pub mod messages;
pub mod rule;

//! Journal, plans and runs as people and programs read them.

mod events;
mod journal;
#[allow(dead_code)]
mod plans;

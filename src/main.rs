//! fleet.
fn main() {}

//! What `fleet status` says of facts: the verdict, rule by rule, and the screen.

#![allow(clippy::unwrap_used, reason = "what a test stands on must be there")]

mod any;
mod causes;
mod expect;
mod screens;
mod states;
mod world;

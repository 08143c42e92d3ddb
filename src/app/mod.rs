//! Composition: each command gathers, plans, confirms, executes and reports with the layers below.

pub mod gather;
pub mod scope;
pub mod signals;
pub mod sim;
pub mod when;

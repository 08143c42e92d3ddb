//! Composition: each command gathers, plans, confirms, executes and reports with the layers below.

pub mod context;
pub mod execute;
pub mod gather;
pub mod lock;
pub mod operate;
pub mod resume;
pub mod scope;
pub mod screen;
pub mod signals;
pub mod status;
pub mod watch;
pub mod when;

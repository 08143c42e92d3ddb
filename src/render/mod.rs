//! What people read: screens and lines from values of `model`. Pure; nothing here prints.

pub mod paint;
pub mod plan;
pub mod refusal;
pub mod run;
pub mod span;
pub mod status;
pub mod words;

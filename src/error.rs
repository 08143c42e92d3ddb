//! Errors: what kind, what happened, what to try next. The kind alone decides the exit code, in one table.

use std::fmt;

/// What went wrong, as far as the exit code is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The operation was carried out and did not succeed.
    Failed,
    /// The command line or the inventory is wrong; nothing was touched.
    Usage,
    /// A safety rule or a checklist refuses; nothing was touched.
    Refused,
    /// Some hosts failed or their outcome is unknown.
    Incomplete,
    /// Not every host could be armed; nothing was changed.
    NotArmed,
    /// Another run holds the lock of a host.
    Locked,
    /// The run was interrupted by the signal of this number.
    Interrupted(u8),
}

impl Kind {
    /// The process's exit code.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::Incomplete => 4,
            Self::NotArmed => 5,
            Self::Locked => 75,
            Self::Interrupted(signal) => 128 + signal,
        }
    }
}

/// An error for the operator.
#[derive(Debug)]
pub struct Error {
    /// Decides the exit code.
    pub kind: Kind,
    /// What happened; the first line stands alone.
    pub message: String,
    /// What to try next, one line each.
    pub hints: Vec<String>,
}

impl Error {
    /// An error of `kind` without hints.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hints: Vec::new() }
    }

    /// A mistake in the command line or in a file the operator wrote.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// An operation that was tried and failed.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Kind::Failed, message)
    }

    /// The same error with one more thing to try next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)?;
        for hint in &self.hints {
            write!(f, "\nnext: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// A result for the operator.
pub type Result<T> = std::result::Result<T, Error>;

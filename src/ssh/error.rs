//! What can go wrong on the way to a host, and whether a command may have run there all the same.

use std::fmt;

use crate::error::Error;

/// What went wrong with a connection or with a command on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkErrorKind {
    /// The inventory, `ssh_config` or a key file can't be used; nothing was sent.
    Config,
    /// No connection came about, or it was found dead before the command was sent.
    Connect,
    /// No connection came about in time.
    Timeout,
    /// The host key is unknown, changed or revoked; nothing was sent.
    HostKey,
    /// The host took none of the keys.
    Auth,
    /// The host's sshd forbids forwarding.
    ForwardForbidden,
    /// Nobody listens at the far end of a tunnel.
    Refused,
    /// The login may not become root.
    Privilege,
    /// The link died after the command was sent: the outcome is unknown.
    Lost,
    /// The command didn't end in time: the outcome is unknown.
    Overdue,
    /// More output than is kept: the outcome is unknown.
    TooMuch,
    /// The command itself failed.
    Failed,
    /// The operator stopped waiting for it: the outcome is unknown.
    GivenUp,
}

/// A failed connection or command.
#[derive(Debug, Clone)]
pub struct LinkError {
    /// What kind of failure.
    pub kind: LinkErrorKind,
    /// What happened, with the host's address.
    pub message: String,
    /// What to try next.
    pub hint: Option<String>,
    /// What the command had written until then.
    pub partial: Option<Partial>,
}

/// What a command had written when its link died.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Partial {
    /// Its standard output so far.
    pub stdout: Vec<u8>,
    /// Its standard error so far.
    pub stderr: Vec<u8>,
}

impl LinkError {
    /// An error of `kind` without a hint.
    pub fn new(kind: LinkErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, partial: None }
    }

    /// The same error with what to try next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same error with what had been written until then.
    #[must_use]
    pub fn partial(mut self, partial: Partial) -> Self {
        self.partial = Some(partial);
        self
    }

    /// Whether the command may have run, or may still run, on the host.
    pub const fn is_unknown(&self) -> bool {
        use LinkErrorKind::{GivenUp, Lost, Overdue, TooMuch};
        matches!(self.kind, Lost | Overdue | TooMuch | GivenUp)
    }
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for LinkError {}

impl From<LinkError> for Error {
    fn from(error: LinkError) -> Self {
        let kind = match error.kind {
            LinkErrorKind::Config => crate::error::Kind::Usage,
            _ => crate::error::Kind::Failed,
        };
        Self { kind, message: error.message, hints: error.hint.into_iter().collect() }
    }
}

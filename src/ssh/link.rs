//! One connection to one host.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use russh::ChannelOpenFailure;
use russh::client::Handle;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::channel::{Event, Exit, MOST, Remote, Tunnel};
use super::dial::Connection;
use super::error::{LinkError, LinkErrorKind, Partial};
use super::gate::Gate;
use super::settings::Settings;
use super::stream::Leash;

/// Commands at once on one connection: sshd's `MaxSessions` is 10.
const SESSIONS: usize = 8;
/// Connects at once through one jump host: its sshd, and those behind it, drop more.
const THROUGH: usize = 16;
/// How long opening a channel may take.
const OPENING: Duration = Duration::from_secs(15);

/// The whole of what a command wrote, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
    /// How it ended.
    pub exit: Exit,
}

impl Output {
    /// Whether it ended with status 0.
    pub fn is_success(&self) -> bool {
        self.exit == Exit::Code(0)
    }
}

/// Who slows down for a slow reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Nobody: every channel is read at once, up to a bound. For connections that are shared.
    Drained,
    /// The sender, and with it the whole connection. For one bulk transfer.
    Direct,
}

/// A connection to a host, logged in.
pub struct Link {
    handle: Handle<Gate>,
    _leash: Leash,
    settings: Arc<Settings>,
    flow: Flow,
    sessions: Arc<Semaphore>,
    through: Semaphore,
    _via: Option<Arc<Link>>,
}

impl Link {
    pub(super) fn new(connection: Connection, settings: Arc<Settings>, flow: Flow, via: Option<Arc<Self>>) -> Self {
        Self {
            handle: connection.handle,
            _leash: connection.leash,
            settings,
            flow,
            sessions: Arc::new(Semaphore::new(SESSIONS)),
            through: Semaphore::new(THROUGH),
            _via: via,
        }
    }

    /// The host's name.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// How the host is reached.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether it is known to be dead.
    pub fn is_closed(&self) -> bool {
        self.handle.is_closed()
    }

    /// Leave to connect through this host; bounded, so that its sshd isn't swamped.
    pub(super) async fn leave(&self) -> Option<SemaphorePermit<'_>> {
        self.through.acquire().await.ok()
    }

    /// Starts `command`, which the login's own shell interprets: better use [`super::shell`].
    pub async fn open(self: &Arc<Self>, command: &str) -> Result<Remote, LinkError> {
        let opening = async {
            let permit = Arc::clone(&self.sessions).acquire_owned().await.map_err(|_| russh::Error::Disconnect)?;
            Ok((self.handle.channel_open_session().await?, permit))
        };
        let (channel, permit) = match timeout(OPENING, opening).await {
            Ok(opened) => opened.map_err(|error| self.unopened(&error))?,
            Err(_) => return Err(self.down("no channel in 15 s")),
        };
        // Without waiting for the reply, so that input can follow in the same round trip.
        channel.exec(true, command).await.map_err(|error| self.unopened(&error))?;
        Ok(Remote::new(channel, self.flow == Flow::Drained, permit, Arc::clone(self)))
    }

    /// Runs `command` with `stdin` and returns all it writes, up to 64 MiB.
    pub async fn run(self: &Arc<Self>, command: &str, stdin: &[u8], bound: Duration) -> Result<Output, LinkError> {
        self.run_until(command, stdin, bound, pending()).await
    }

    /// The same, given up when `stop` comes.
    pub async fn run_until(
        self: &Arc<Self>,
        command: &str,
        stdin: &[u8],
        bound: Duration,
        stop: impl Future<Output = ()>,
    ) -> Result<Output, LinkError> {
        let mut remote = self.open(command).await?;
        let input = remote.input();
        let data = Bytes::copy_from_slice(stdin);
        let feed = async move {
            // A command need not read its input; how it ended says more than a broken pipe.
            if input.write(data).await.is_ok() {
                let _ = input.eof().await;
            }
            pending::<Infallible>().await
        };
        let mut partial = Partial::default();
        let end = tokio::select! {
            end = timeout(bound, collect(&mut remote, &mut partial)) => end.map_or(End::Overdue(bound), End::Came),
            () = stop => End::GivenUp,
            never = feed => match never {},
        };
        finish(end, partial)
    }

    /// Connects from the host to `host:port`.
    pub async fn tcp(self: &Arc<Self>, host: &str, port: u16) -> Result<Tunnel, LinkError> {
        let opening = self.handle.channel_open_direct_tcpip(host, u32::from(port), "127.0.0.1", 0);
        let channel = match timeout(OPENING, opening).await {
            Ok(Ok(channel)) => channel,
            Ok(Err(russh::Error::ChannelOpenFailure(failure))) => {
                return Err(self.no_tunnel(&failure, host, port));
            }
            Ok(Err(error)) => return Err(self.unopened(&error)),
            Err(_) => return Err(self.down(&format!("no tunnel to {host}:{port} in 15 s"))),
        };
        Ok(Tunnel::new(channel, self.flow == Flow::Drained, Arc::clone(self)))
    }

    fn no_tunnel(&self, failure: &ChannelOpenFailure, host: &str, port: u16) -> LinkError {
        let name = self.name();
        if *failure == ChannelOpenFailure::AdministrativelyProhibited {
            return LinkError::new(LinkErrorKind::ForwardForbidden, format!("sshd on {name} forbids forwarding"))
                .hint(format!("AllowTcpForwarding local (and PermitOpen {host}:{port}) in sshd_config on {name}"));
        }
        LinkError::new(LinkErrorKind::Refused, format!("{host}:{port}, seen from {name}: nothing answers there"))
    }

    fn unopened(&self, error: &russh::Error) -> LinkError {
        match error {
            russh::Error::ChannelOpenFailure(_) => {
                self.down("sshd refused one more session").hint("MaxSessions in its sshd_config")
            }
            _ => self.down("the connection is dead; nothing was sent"),
        }
    }

    fn down(&self, what: &str) -> LinkError {
        LinkError::new(LinkErrorKind::Connect, format!("ssh {}: {what}", self.settings.endpoint()))
    }
}

/// How the wait for a command ended.
pub(super) enum End {
    /// By this last event.
    Came(Event),
    /// It took longer than this.
    Overdue(Duration),
    /// The operator wouldn't wait.
    GivenUp,
}

/// Turns the end of a command into its output.
pub(super) fn finish(end: End, partial: Partial) -> Result<Output, LinkError> {
    use LinkErrorKind::{GivenUp, Lost, Overdue, TooMuch};
    let (kind, message) = match end {
        End::Came(Event::Exit(exit)) => {
            return Ok(Output { stdout: partial.stdout, stderr: partial.stderr, exit });
        }
        End::Came(Event::TooMuch) => (TooMuch, "more than 64 MiB of output".into()),
        End::Came(_) => (Lost, "the link died after the command was sent".into()),
        End::Overdue(bound) => (Overdue, format!("still running after {} s", bound.as_secs_f64())),
        End::GivenUp => (GivenUp, "interrupted while it ran".into()),
    };
    let hint = "look at the host: what was sent may have been carried out";
    Err(LinkError::new(kind, message).hint(hint).partial(partial))
}

/// Reads until the command ends; what it wrote is left in `partial`, also when this is given up.
async fn collect(remote: &mut Remote, partial: &mut Partial) -> Event {
    loop {
        match remote.next().await {
            Event::Stdout(data) => partial.stdout.extend_from_slice(&data),
            Event::Stderr(data) => partial.stderr.extend_from_slice(&data),
            end => return end,
        }
        if partial.stdout.len() + partial.stderr.len() > MOST {
            return Event::TooMuch;
        }
    }
}

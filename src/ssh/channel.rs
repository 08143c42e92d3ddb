//! A command that runs on a host, and a tunnel through one.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::timeout;

use super::link::Link;
use super::stream::ByteStream;

/// How much of a channel is kept for a reader who doesn't come, in bytes.
pub const MOST: usize = 64 << 20;
/// How long output may still trickle in after the exit status: a background child may hold the pipe for ever.
const TRICKLE: Duration = Duration::from_secs(2);

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// With this status.
    Code(u32),
    /// By this signal, named without `SIG`.
    Signal(String),
}

/// What comes from a running command. After `Exit` or `Lost` nothing else comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Bytes of its standard output.
    Stdout(Bytes),
    /// Bytes of its standard error.
    Stderr(Bytes),
    /// It has ended.
    Exit(Exit),
    /// The link died: whether and how it ended is unknown.
    Lost,
    /// More came than is kept: the rest is gone.
    TooMuch,
}

/// The writing end of a channel; the channel is closed with it.
#[derive(Clone)]
pub struct Input(Arc<Closing>);

struct Closing(Option<ChannelWriteHalf<Msg>>);

impl Drop for Closing {
    fn drop(&mut self) {
        if let (Some(half), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move { half.close().await });
        }
    }
}

impl Input {
    fn new(half: ChannelWriteHalf<Msg>) -> Self {
        Self(Arc::new(Closing(Some(half))))
    }

    /// Sends `data` to the command's standard input, as fast as it takes it.
    pub async fn write(&self, data: impl Into<Bytes>) -> io::Result<()> {
        let Some(half) = &self.0.0 else { return Ok(()) };
        half.data_bytes(data).await.map_err(io::Error::other)
    }

    /// Ends the command's standard input.
    pub async fn eof(&self) -> io::Result<()> {
        let Some(half) = &self.0.0 else { return Ok(()) };
        half.eof().await.map_err(io::Error::other)
    }
}

/// Where a channel's messages come from.
enum Source {
    /// Read by a task of its own, so that a slow reader can't stall the connection.
    Drained(Drained),
    /// Read by whoever asks: a slow reader slows the sender down, and everything else on the connection.
    Direct(ChannelReadHalf),
}

struct Drained {
    messages: mpsc::UnboundedReceiver<ChannelMsg>,
    kept: Arc<AtomicUsize>,
}

impl Drained {
    fn new(mut half: ChannelReadHalf) -> Self {
        let (sender, messages) = mpsc::unbounded_channel();
        let kept = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&kept);
        tokio::spawn(async move {
            while let Some(message) = half.wait().await {
                let fits = count.fetch_add(size(&message), Ordering::AcqRel) <= MOST;
                if !fits || sender.send(message).is_err() {
                    break;
                }
            }
            drop(sender);
            // Whatever else comes must still be taken off the connection.
            while half.wait().await.is_some() {}
        });
        Self { messages, kept }
    }

    fn taken(&self, message: &ChannelMsg) {
        self.kept.fetch_sub(size(message), Ordering::AcqRel);
    }

    /// Whether the messages ended because there were too many.
    fn overflowed(&self) -> bool {
        self.kept.load(Ordering::Acquire) > MOST
    }
}

fn size(message: &ChannelMsg) -> usize {
    match message {
        ChannelMsg::Data { data } | ChannelMsg::ExtendedData { data, .. } => data.len(),
        _ => 0,
    }
}

impl Source {
    async fn next(&mut self) -> Option<ChannelMsg> {
        match self {
            Self::Direct(half) => half.wait().await,
            Self::Drained(drained) => {
                let message = drained.messages.recv().await?;
                drained.taken(&message);
                Some(message)
            }
        }
    }

    fn overflowed(&self) -> bool {
        matches!(self, Self::Drained(drained) if drained.overflowed())
    }
}

/// A running command.
pub struct Remote {
    input: Input,
    source: Source,
    exit: Option<Exit>,
    done: Option<Event>,
    held: VecDeque<Event>,
    _permit: OwnedSemaphorePermit,
    _link: Arc<Link>,
}

impl Remote {
    /// Takes over a channel on which a command was just asked for.
    pub(super) fn new(channel: Channel<Msg>, drained: bool, permit: OwnedSemaphorePermit, link: Arc<Link>) -> Self {
        let (read, write) = channel.split();
        let source = if drained { Source::Drained(Drained::new(read)) } else { Source::Direct(read) };
        let held = VecDeque::new();
        Self { input: Input::new(write), source, exit: None, done: None, held, _permit: permit, _link: link }
    }

    /// The writing end, for use beside `next`.
    pub fn input(&self) -> Input {
        self.input.clone()
    }

    /// Sends `data` to its standard input, as fast as it takes it.
    pub async fn write(&self, data: &[u8]) -> io::Result<()> {
        self.input.write(Bytes::copy_from_slice(data)).await
    }

    /// Ends its standard input.
    pub async fn eof(&self) -> io::Result<()> {
        self.input.eof().await
    }

    /// What comes next. Safe to give up and to call again.
    pub async fn next(&mut self) -> Event {
        loop {
            if let Some(event) = self.held.pop_front() {
                return event;
            }
            if let Some(done) = &self.done {
                return done.clone();
            }
            let message = match &self.exit {
                None => self.source.next().await,
                Some(_) => timeout(TRICKLE, self.source.next()).await.unwrap_or(None),
            };
            self.take(message);
        }
    }

    fn take(&mut self, message: Option<ChannelMsg>) {
        match message {
            Some(ChannelMsg::Data { data }) => self.held.push_back(Event::Stdout(data)),
            Some(ChannelMsg::ExtendedData { data, .. }) => self.held.push_back(Event::Stderr(data)),
            Some(ChannelMsg::ExitStatus { exit_status }) => self.exit = Some(Exit::Code(exit_status)),
            Some(ChannelMsg::ExitSignal { signal_name, .. }) => self.exit = Some(Exit::Signal(name(&signal_name))),
            // No status after a refused request or a closed channel: nobody knows.
            Some(ChannelMsg::Failure | ChannelMsg::Close) | None => self.end(),
            Some(_) => {}
        }
    }

    fn end(&mut self) {
        self.done = Some(match self.exit.take() {
            _ if self.source.overflowed() => Event::TooMuch,
            Some(exit) => Event::Exit(exit),
            None => Event::Lost,
        });
    }
}

fn name(signal: &Sig) -> String {
    match signal {
        Sig::Custom(name) => name.clone(),
        known => format!("{known:?}"),
    }
}

/// A TCP connection from a host to somewhere, through its link.
pub struct Tunnel {
    io: Box<dyn ByteStream>,
    _link: Arc<Link>,
}

impl Tunnel {
    pub(super) fn new(channel: Channel<Msg>, drained: bool, link: Arc<Link>) -> Self {
        let io: Box<dyn ByteStream> = if drained {
            let (read, write) = channel.split();
            let writer = write.make_writer();
            let reader =
                DrainedRead { source: Drained::new(read), rest: Bytes::new(), ended: false, _input: Input::new(write) };
            Box::new(tokio::io::join(reader, writer))
        } else {
            Box::new(channel.into_stream())
        };
        Self { io, _link: link }
    }
}

struct DrainedRead {
    source: Drained,
    rest: Bytes,
    ended: bool,
    _input: Input,
}

impl AsyncRead for DrainedRead {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.rest.is_empty() && !self.ended {
            match ready!(self.source.messages.poll_recv(cx)) {
                Some(ChannelMsg::Data { data }) => {
                    self.source.kept.fetch_sub(data.len(), Ordering::AcqRel);
                    self.rest = data;
                }
                Some(ChannelMsg::Eof | ChannelMsg::Close) => self.ended = true,
                Some(other) => self.source.taken(&other),
                None => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            }
        }
        let count = buf.remaining().min(self.rest.len());
        buf.put_slice(&self.rest[..count]);
        self.rest.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Tunnel {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

//! The way to a simulated host: its listener, its SSH connections, and what can go wrong with them.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use russh::keys::{PrivateKey, PublicKey};
use russh::server::run_stream;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;

use super::control::Fault;
use super::host::Folders;
use super::ssh::Session;
use super::world::World;
use super::{process, vote};
use crate::error::Result;
use crate::model::facts::SignerState;

/// How the way to a host is now.
#[derive(Debug, Clone, Default)]
pub struct Knobs {
    /// Grows with each cut.
    pub cuts: u64,
    /// See [`Fault::Refuse`].
    pub refuse: bool,
    /// See [`Fault::Mute`].
    pub mute: bool,
    /// See [`Fault::Hang`].
    pub hang: bool,
    /// See [`Fault::Freeze`].
    pub freeze: bool,
    /// See [`Fault::Isolate`].
    pub isolate: bool,
    /// See [`Fault::RpcHangs`].
    pub rpc_hangs: bool,
    /// See [`Fault::ForwardRefused`].
    pub forward_refused: bool,
}

/// A host as its connections see it.
pub struct Host {
    /// Where it is on disk.
    pub folders: Folders,
    /// What its node signs with, where signatures are to be real.
    pub signer: Option<PrivateKey>,
    /// The SSH server's settings, with its own key.
    pub config: Arc<russh::server::Config>,
    /// The one public key that is let in.
    pub client: PublicKey,
    /// What goes wrong.
    pub knobs: watch::Sender<Knobs>,
    /// Bytes from the server until every connection is lost.
    left: Mutex<Option<u64>>,
}

impl Host {
    /// A host to which the way is clear.
    pub fn new(folders: Folders, signer: Option<PrivateKey>, config: russh::server::Config, client: PublicKey) -> Self {
        let knobs = watch::Sender::new(Knobs::default());
        Self { folders, signer, config: Arc::new(config), client, knobs, left: Mutex::new(None) }
    }

    /// Turns a knob of the link.
    pub fn fault(&self, fault: Fault) {
        self.knobs.send_modify(|knobs| match fault {
            Fault::Cut => knobs.cuts += 1,
            Fault::Refuse(on) => knobs.refuse = on,
            Fault::Mute(on) => knobs.mute = on,
            Fault::Hang(on) => knobs.hang = on,
            Fault::Freeze(on) => knobs.freeze = on,
            Fault::Isolate(on) => knobs.isolate = on,
            Fault::RpcHangs(on) => knobs.rpc_hangs = on,
            Fault::ForwardRefused(on) => knobs.forward_refused = on,
            Fault::DropAfter(bytes) => *self.left() = Some(bytes),
            _ => {}
        });
    }

    /// Writes what the node's signer has signed last.
    pub fn write_signer(&self, chain_id: &str, state: SignerState) -> Result<()> {
        self.folders.write_signer(&vote::state_file(self.signer.as_ref(), chain_id, state, process::now_ms())?)
    }

    fn left(&self) -> std::sync::MutexGuard<'_, Option<u64>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many of `bytes` may still go out; fewer mean that the link is to be cut after them.
    fn spend(&self, bytes: usize) -> usize {
        let mut left = self.left();
        let Some(budget) = *left else { return bytes };
        let allowed = usize::try_from(budget).unwrap_or(usize::MAX).min(bytes);
        *left = (allowed == bytes).then(|| budget - allowed as u64);
        allowed
    }
}

/// Waits until the knobs are so.
async fn when(host: &Host, reached: impl FnMut(&Knobs) -> bool) {
    let _ = host.knobs.subscribe().wait_for(reached).await; // the sender lives in `host`
}

/// Accepts connections for ever; while they are refused the port stays bound, so that nobody else takes it.
pub async fn listen(world: Arc<World>, host: Arc<Host>, mut listener: TcpListener) -> io::Result<()> {
    let address = listener.local_addr()?;
    loop {
        tokio::select! {
            accepted = listener.accept() => drop(tokio::spawn(connection(world.clone(), host.clone(), accepted?.0))),
            () = when(&host, |knobs| knobs.refuse) => {
                drop(listener);
                let bound = bind(address)?;
                when(&host, |knobs| !knobs.refuse).await;
                listener = bound.listen(1024)?;
            }
        }
    }
}

/// A socket on a loopback port, 0 for any, that refuses connections until it listens.
pub fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Any free port on loopback.
pub fn any_port() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

async fn connection(world: Arc<World>, host: Arc<Host>, stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let cuts = host.knobs.borrow().cuts;
    let (near, far) = tokio::io::duplex(1 << 16);
    if !host.knobs.borrow().mute {
        let session = Session::new(world, Arc::clone(&host));
        tokio::spawn(run_stream(Arc::clone(&host.config), near, session));
    }
    let (mut from_client, mut to_client) = stream.into_split();
    let (mut from_server, mut to_server) = tokio::io::split(far);
    tokio::select! {
        _ = copy(&host, &mut from_client, &mut to_server, |bytes| bytes) => {}
        _ = copy(&host, &mut from_server, &mut to_client, |bytes| host.spend(bytes)) => {}
        () = when(&host, |knobs| knobs.cuts > cuts) => {}
    }
}

/// Copies until an end, standing still while the host is frozen and cutting every link when `allowed` says so.
async fn copy(
    host: &Host,
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    allowed: impl Fn(usize) -> usize,
) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 15];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        when(host, |knobs| !knobs.freeze).await;
        let sent = allowed(read);
        to.write_all(&buffer[..sent]).await?;
        if sent < read {
            host.fault(Fault::Cut);
        }
    }
}

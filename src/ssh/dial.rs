//! Bringing one connection up: the stream, the key exchange, the login, all under one time-out.

use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::RngExt as _;
use russh::client::{self, Handle};
use russh::keys::Algorithm;
use russh::{AlgorithmKind, Error, Preferred, cipher};
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::{sleep, timeout};

use super::auth::{AuthFault, Desk};
use super::error::{LinkError, LinkErrorKind};
use super::gate::{Fault, Gate, Seen, Shown, key_types};
use super::known_hosts::Records;
use super::link::Link;
use super::settings::{Family, Settings, Way};
use super::stream::{Leash, Leashed, Proxy, Socket, leash};

/// How often a handshake that sshd cuts off (`MaxStartups`) is begun again, within the time-out.
const HANDSHAKES: u32 = 12;

/// A connection that has come up.
pub struct Connection {
    /// The library's end of it.
    pub handle: Handle<Gate>,
    /// Ends it when dropped.
    pub leash: Leash,
}

/// A channel's window, in bytes: OpenSSH's own. Its sshd fills a larger one too and moves that buffer for every few KiB it
/// reads, which made a stream slower than its disk; a long way is made up for by more streams.
const WINDOW: u32 = 2 << 20;

/// One try at a host.
pub struct Dial<'a> {
    /// The host.
    pub settings: &'a Arc<Settings>,
    /// Its recorded keys.
    pub records: &'a Records,
    /// The connection to its jump host.
    pub via: Option<&'a Arc<Link>>,
}

impl Dial<'_> {
    /// Connects and logs in.
    pub async fn connect(&self, desk: &Desk) -> Result<Connection, AuthFault> {
        let stage = Mutex::new("connecting");
        let bound = self.settings.connect_timeout;
        if let Ok(result) = timeout(bound, self.come_up(desk, &stage)).await {
            return result;
        }
        let stage = *stage.lock().unwrap_or_else(PoisonError::into_inner);
        Err(overdue(self.settings, stage).into())
    }

    async fn come_up(&self, desk: &Desk, stage: &Mutex<&'static str>) -> Result<Connection, AuthFault> {
        let enter = |name| *stage.lock().unwrap_or_else(PoisonError::into_inner) = name;
        let mut round = 0;
        let mut connection = loop {
            enter("connecting");
            let (hold, stream) = self.stream().await?;
            enter("waiting for its sshd's greeting and key exchange");
            let gate = Gate::Check { settings: Arc::clone(self.settings), records: Box::new(self.records.clone()) };
            let config = client_config(key_types(&self.records.types()), self.records);
            match client::connect_stream(config, stream, gate).await {
                Ok(handle) => break Connection { handle, leash: hold },
                Err(fault) if round < HANDSHAKES && is_cut_off(&fault) => round += 1,
                Err(fault) => return Err(self.explain(fault).into()),
            }
            sleep(pause(round)).await;
        };
        enter("logging in");
        desk.login(&mut connection.handle, self.settings).await?;
        Ok(connection)
    }

    /// Looks at the key of one type that the host shows, and goes no further. `None`: it has none of this type.
    pub async fn look(&self, kind: &Algorithm) -> Result<Option<Shown>, LinkError> {
        let seen = Seen::default();
        match timeout(self.settings.connect_timeout, self.glance(kind, &seen)).await {
            Ok(result) => result?,
            Err(_) => return Err(overdue(self.settings, "looking at its host keys")),
        }
        Ok(seen.lock().unwrap_or_else(PoisonError::into_inner).take())
    }

    async fn glance(&self, kind: &Algorithm, seen: &Seen) -> Result<(), LinkError> {
        let config = client_config(vec![kind.clone()], self.records);
        let mut round = 0;
        loop {
            let (_hold, stream) = self.stream().await?;
            let gate = Gate::Look { seen: Arc::clone(seen), records: Box::new(self.records.clone()) };
            match client::connect_stream(Arc::clone(&config), stream, gate).await {
                Err(fault) if round < HANDSHAKES && is_cut_off(&fault) => round += 1,
                Err(Fault::Ssh(Error::UnknownKey | Error::NoCommonAlgo { kind: AlgorithmKind::Key, .. })) | Ok(_) => {
                    return Ok(());
                }
                Err(fault) => return Err(self.explain(fault)),
            }
            sleep(pause(round)).await;
        }
    }

    async fn stream(&self) -> Result<(Leash, Leashed), LinkError> {
        let settings = self.settings;
        let fail = |what: &str, error: &io::Error| {
            LinkError::new(LinkErrorKind::Connect, format!("ssh {}: {what}{error}", settings.endpoint()))
        };
        match (&settings.way, self.via) {
            (_, Some(via)) => via.tcp(&settings.host, settings.port).await.map(leash).map_err(|error| {
                let message = format!("ssh {} through {}: {}", settings.endpoint(), via.name(), error.message);
                LinkError { message, kind: LinkErrorKind::Connect, ..error }
            }),
            (Way::Command(command), None) => {
                Proxy::start(command).map(leash).map_err(|error| fail(&format!("ProxyCommand \"{command}\": "), &error))
            }
            _ => tcp(settings).await.and_then(Socket::new).map(leash).map_err(|error| {
                fail("", &error).hint("is the host up, is sshd running there, and is its address right?")
            }),
        }
    }

    fn explain(&self, fault: Fault) -> LinkError {
        let at = self.settings.endpoint();
        match fault {
            Fault::Link(error) => error,
            Fault::Ssh(Error::NoCommonAlgo { kind, theirs, .. }) => {
                let message = format!("ssh {at}: no common {kind:?} algorithm; the host offers {}", theirs.join(", "));
                LinkError::new(LinkErrorKind::Connect, message)
                    .hint("host keys: ssh-keygen -A there makes an ed25519 key; fleet doesn't verify RSA ones")
            }
            Fault::Ssh(error) if matches!(self.settings.way, Way::Command(_)) => {
                let message = format!("ssh {at}: the ProxyCommand gave no SSH connection ({error})");
                LinkError::new(LinkErrorKind::Connect, message).hint("run the ProxyCommand by hand")
            }
            Fault::Ssh(error) => LinkError::new(LinkErrorKind::Connect, format!("ssh {at}: {error}"))
                .hint("if sshd drops connections: MaxStartups and PerSourcePenalties in its sshd_config"),
        }
    }
}

/// How long to wait before the next handshake: longer each time, and not in step with other hosts.
fn pause(round: u32) -> Duration {
    let most = 50 << round.min(5);
    Duration::from_millis(rand::rng().random_range(most / 4..most))
}

/// Whether the connection was cut during the greeting or the key exchange.
fn is_cut_off(fault: &Fault) -> bool {
    matches!(fault, Fault::Ssh(Error::Disconnect | Error::HUP | Error::IO(_)))
}

/// A connection to the first address that answers; each has its share of the time.
async fn tcp(settings: &Settings) -> io::Result<TcpStream> {
    let wanted = |address: &SocketAddr| match settings.family {
        None => true,
        Some(Family::V4) => address.is_ipv4(),
        Some(Family::V6) => address.is_ipv6(),
    };
    let found = lookup_host((settings.host.as_str(), settings.port)).await?;
    let addresses: Vec<SocketAddr> = found.filter(wanted).collect();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let count = u32::try_from(addresses.len()).unwrap_or(1).max(1);
    for address in addresses {
        match timeout(settings.connect_timeout / count, tcp_to(address, settings.bind.as_deref())).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(_) => last = io::Error::new(io::ErrorKind::TimedOut, format!("no answer from {address}")),
        }
    }
    Err(last)
}

async fn tcp_to(address: SocketAddr, bind: Option<&str>) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(local) = bind {
        let local = lookup_host((local, 0)).await?.find(|local| local.is_ipv4() == address.is_ipv4());
        socket.bind(local.ok_or_else(|| io::Error::other("BindAddress has no such address"))?)?;
    }
    socket.connect(address).await
}

fn client_config(types: Vec<Algorithm>, records: &Records) -> Arc<client::Config> {
    const CIPHERS: &[cipher::Name] = &[
        cipher::AES_128_GCM,
        cipher::AES_256_GCM,
        cipher::CHACHA20_POLY1305,
        cipher::AES_256_CTR,
        cipher::AES_128_CTR,
    ];
    let certificates = if records.has_authority() { types.clone() } else { Vec::new() };
    Arc::new(client::Config {
        window_size: WINDOW,
        keepalive_interval: Some(Duration::from_secs(15)),
        keepalive_max: 3,
        preferred: Preferred {
            key: Cow::Owned(types),
            host_key_certificates: Cow::Owned(certificates),
            cipher: Cow::Borrowed(CIPHERS),
            ..Preferred::DEFAULT
        },
        ..client::Config::default()
    })
}

fn overdue(settings: &Settings, stage: &str) -> LinkError {
    let seconds = (settings.connect_timeout.as_secs_f64() * 10.0).round() / 10.0;
    let message = format!("ssh {} timed out after {seconds} s, {stage}", settings.endpoint());
    LinkError::new(LinkErrorKind::Timeout, message).hint("is the host up, and is its address right?")
}

//! The connections of a run: one to each host, opened when first needed and shared by all who need it.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared, join_all};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::model::inventory::{Address, Inventory, Jump, SshOptions};

use super::agent::Agents;
use super::auth::{AuthFault, Desk};
use super::config::{self, SshConfig};
use super::dial::Dial;
use super::error::{LinkError, LinkErrorKind};
use super::hop::Hop;
use super::keys::Keyring;
use super::known_hosts::{KnownHosts, Records};
use super::link::{Flow, Link};
use super::settings::{Settings, Setup, Way};

mod look;

pub use look::Look;

/// Connects at once, all hosts together.
const DIALING: usize = 64;
/// `ssh -G` processes at once.
const ASKING: usize = 8;
/// Jump hosts one behind the other.
const DEPTH: usize = 8;
/// How long a jump host is waited for, its passphrase prompts included.
const JUMP: Duration = Duration::from_secs(180);
/// How long connections that nobody needs any more may take to be given up.
const CLOSE: Duration = Duration::from_secs(2);

/// The connections of a run. A clone is another handle to the same ones.
#[derive(Clone)]
pub struct Links(Arc<Inner>);

struct Inner {
    inventory: Arc<Inventory>,
    desk: Desk,
    known: Mutex<HashMap<Vec<PathBuf>, Arc<KnownHosts>>>,
    attempts: Mutex<HashMap<Node, Attempt>>,
    /// Begun by [`Links::open_ahead`] and not asked for yet.
    ahead: Mutex<HashMap<String, JoinHandle<Opened>>>,
    dialing: Semaphore,
    asking: Semaphore,
}

type Opened = Result<Arc<Link>, LinkError>;
type Attempt = Shared<BoxFuture<'static, Opened>>;

/// An end of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Node {
    /// A host of the inventory.
    Host(String),
    /// A jump host outside of it.
    Hop {
        /// Where it is.
        hop: Hop,
        /// The keys of the host behind it.
        identity: Vec<PathBuf>,
        /// The records of the host behind it.
        known_hosts: Vec<PathBuf>,
    },
}

impl Node {
    /// The host's name in the inventory, or the jump host's own.
    pub fn name(&self) -> &str {
        match self {
            Self::Host(name) => name,
            Self::Hop { hop, .. } => &hop.host,
        }
    }
}

/// What must be known before a host is connected to.
pub struct Prepared {
    /// How it is reached.
    pub settings: Arc<Settings>,
    /// Its recorded keys.
    pub records: Records,
    next: Option<Node>,
}

impl Links {
    /// The connections to the hosts of `inventory`, with the surroundings the environment gives.
    pub fn new(inventory: Arc<Inventory>) -> Self {
        Self::with(inventory, Setup::from_env())
    }

    /// The same with other surroundings.
    pub fn with(inventory: Arc<Inventory>, setup: Setup) -> Self {
        raise_file_limit();
        Self(Arc::new(Inner {
            inventory,
            desk: Desk { setup, keyring: Keyring::default(), agents: Agents::default() },
            known: Mutex::default(),
            attempts: Mutex::default(),
            ahead: Mutex::default(),
            dialing: Semaphore::new(DIALING),
            asking: Semaphore::new(ASKING),
        }))
    }

    /// The shared connection to `host`. Callers that come while it is being opened wait for the same attempt; one
    /// that has died is opened anew.
    pub async fn link(&self, host: &str) -> Result<Arc<Link>, LinkError> {
        self.0.shared(Node::Host(host.to_owned()), 0).await
    }

    /// A connection to `host` of its own, over the shared one of its jump host: for leases.
    pub async fn fresh(&self, host: &str) -> Result<Arc<Link>, LinkError> {
        let ahead = self.0.ahead.lock().unwrap_or_else(PoisonError::into_inner).remove(host);
        if let Some(task) = ahead
            && let Ok(Ok(link)) = task.await
            && !link.is_closed()
        {
            return Ok(link);
        }
        Arc::clone(&self.0).open(Node::Host(host.to_owned()), Flow::Drained, 0).await
    }

    /// Begins to open what the next [`Links::fresh`] of this host returns, while the operator reads the plan.
    pub fn open_ahead(&self, host: &str) {
        let open = || tokio::spawn(Arc::clone(&self.0).open(Node::Host(host.to_owned()), Flow::Drained, 0));
        self.0.ahead.lock().unwrap_or_else(PoisonError::into_inner).entry(host.to_owned()).or_insert_with(open);
    }

    /// Gives up what [`Links::open_ahead`] began and nobody asked for, so that no key exchange is under way when the
    /// process ends.
    pub async fn close_ahead(&self) {
        let ahead = std::mem::take(&mut *self.0.ahead.lock().unwrap_or_else(PoisonError::into_inner));
        ahead.values().for_each(JoinHandle::abort);
        let _ = tokio::time::timeout(CLOSE, join_all(ahead.into_values())).await;
    }

    /// A connection to `host` that is its own all the way, where a slow reader slows the sender down: for one bulk
    /// transfer.
    pub async fn bulk(&self, host: &str) -> Result<Arc<Link>, LinkError> {
        Arc::clone(&self.0).open(Node::Host(host.to_owned()), Flow::Direct, 0).await
    }

    /// How `host` is reached, and what is recorded about its keys; nothing is sent to it.
    pub async fn prepare(&self, host: &str) -> Result<Prepared, LinkError> {
        self.0.prepare(&Node::Host(host.to_owned())).await
    }

    /// Whether somebody is being asked for a passphrase.
    pub fn is_asking(&self) -> bool {
        self.0.desk.keyring.is_asking()
    }

    /// Forgets the records of host keys, after some were written.
    pub fn forget_records(&self) {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Inner {
    fn shared(self: &Arc<Self>, node: Node, depth: usize) -> Attempt {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(attempt) = attempts.get(&node) {
            match attempt.peek() {
                None => return attempt.clone(),
                Some(Ok(link)) if !link.is_closed() => return attempt.clone(),
                Some(_) => {}
            }
        }
        // In a task of its own: it goes on when the caller who began it gives up.
        let task = tokio::spawn(Arc::clone(self).open(node.clone(), Flow::Drained, depth));
        let ended = |error: &dyn std::fmt::Display| LinkError::new(LinkErrorKind::Connect, error.to_string());
        let attempt: Attempt = async move { task.await.unwrap_or_else(|error| Err(ended(&error))) }.boxed().shared();
        attempts.insert(node, attempt.clone());
        attempt
    }

    fn open(self: Arc<Self>, node: Node, flow: Flow, depth: usize) -> BoxFuture<'static, Result<Arc<Link>, LinkError>> {
        async move {
            let prepared = self.prepare(&node).await?;
            loop {
                let via = self.via(&prepared, flow, depth).await?;
                match self.dial(&prepared, flow, via).await {
                    Ok(link) => return Ok(Arc::new(link)),
                    Err(AuthFault::Locked(path)) => self.desk.keyring.unlock(&path, &self.desk.setup).await?,
                    Err(AuthFault::Link(error)) => return Err(error),
                }
            }
        }
        .boxed()
    }

    async fn dial(&self, prepared: &Prepared, flow: Flow, via: Option<Arc<Link>>) -> Result<Link, AuthFault> {
        let Prepared { settings, records, .. } = prepared;
        let _turn = self.dialing.acquire().await;
        let gateway = via.clone();
        let _leave = match &gateway {
            Some(gateway) => gateway.leave().await,
            None => None,
        };
        let connection = Dial { settings, records, via: via.as_ref() }.connect(&self.desk).await?;
        Ok(Link::new(connection, Arc::clone(settings), flow, via))
    }

    /// The connection to the jump host, where there is one.
    async fn via(
        self: &Arc<Self>,
        prepared: &Prepared,
        flow: Flow,
        depth: usize,
    ) -> Result<Option<Arc<Link>>, LinkError> {
        let Some(node) = prepared.next.clone() else { return Ok(None) };
        let (name, outside) = (node.name().to_owned(), matches!(node, Node::Hop { .. }));
        let fail = |what: &str| LinkError::new(LinkErrorKind::Config, format!("jump host {name}: {what}"));
        if depth >= DEPTH {
            return Err(fail("the jump hosts go round in a circle").hint("set jump = \"none\" for the first of them"));
        }
        let opening = async {
            match flow {
                Flow::Drained => self.shared(node, depth + 1).await,
                Flow::Direct => Arc::clone(self).open(node, flow, depth + 1).await,
            }
        };
        match tokio::time::timeout(JUMP, opening).await {
            Ok(Ok(link)) => Ok(Some(link)),
            Ok(Err(error)) => {
                let host = &prepared.settings.name;
                let message = format!("{host} is reached through {name}: {}", error.message);
                // Only a host of the inventory can be named to `fleet trust`, which looks at the whole way.
                let trust = |hint: String| hint.replace(&format!("trust {name}"), &format!("trust {host}"));
                let hint = if outside { error.hint.map(trust) } else { error.hint };
                Err(LinkError { message, hint, ..error })
            }
            Err(_) => Err(fail("it didn't come up in 180 s").hint("set jump = \"none\" for the jump host itself")),
        }
    }

    async fn prepare(&self, node: &Node) -> Result<Prepared, LinkError> {
        let (name, address, options) = self.describe(node)?;
        let config = self.ssh_config(&address, &options).await?;
        let mut settings = Settings::resolve(&self.desk.setup, &name, &address, &options, &config)?;
        if let Node::Hop { hop: Hop { behind: Some(behind), .. }, .. } = node {
            settings.way = Way::Hop((**behind).clone());
        }
        let next = match &settings.way {
            Way::Direct | Way::Command(_) => None,
            Way::Host(name) => Some(Node::Host(name.clone())),
            Way::Hop(hop) => Some(Node::Hop {
                hop: hop.clone(),
                identity: options.identity.clone(),
                known_hosts: options.known_hosts.clone(),
            }),
        };
        let records = self.known_hosts(&settings.known_hosts)?.about(&settings.subject);
        Ok(Prepared { settings: Arc::new(settings), records, next })
    }

    fn describe(&self, node: &Node) -> Result<(String, Address, SshOptions), LinkError> {
        match node {
            Node::Host(name) => {
                let unknown = || LinkError::new(LinkErrorKind::Config, format!("no host \"{name}\" in the inventory"));
                let host = self.inventory.host(name).ok_or_else(unknown)?;
                if let Some(circle) = circle(&self.inventory, name) {
                    let message = format!("jump hosts go round in a circle: {circle}");
                    return Err(LinkError::new(LinkErrorKind::Config, message)
                        .hint(format!("set jump = \"none\" for {name} in the inventory")));
                }
                Ok((name.clone(), host.address.clone(), host.ssh.clone()))
            }
            Node::Hop { hop, identity, known_hosts } => {
                let address = Address { host: hop.host.clone(), port: hop.port };
                let (identity, known_hosts) = (identity.clone(), known_hosts.clone());
                let options = SshOptions { user: hop.user.clone(), identity, known_hosts, ..SshOptions::default() };
                Ok((hop.host.clone(), address, options))
            }
        }
    }

    async fn ssh_config(&self, address: &Address, options: &SshOptions) -> Result<SshConfig, LinkError> {
        let _turn = self.asking.acquire().await;
        let port = address.port.or(options.port);
        config::ask(&self.desk.setup.ssh, &address.host, options.user.as_deref(), port).await
    }

    fn known_hosts(&self, files: &[PathBuf]) -> Result<Arc<KnownHosts>, LinkError> {
        let mut cache = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = cache.get(files) {
            return Ok(Arc::clone(known));
        }
        let known = Arc::new(read_known_hosts(files)?);
        cache.insert(files.to_vec(), Arc::clone(&known));
        Ok(known)
    }
}

fn read_known_hosts(files: &[PathBuf]) -> Result<KnownHosts, LinkError> {
    let mut known = KnownHosts::default();
    for file in files {
        match std::fs::read(file) {
            Ok(bytes) => known.read(file, &String::from_utf8_lossy(&bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => {
                let message = format!("{}: {error}", file.display());
                return Err(
                    LinkError::new(LinkErrorKind::Config, message).hint("make it readable, or name another file")
                );
            }
        }
    }
    Ok(known)
}

/// The jump hosts of `name`, if they lead back to it: `a → b → a`.
fn circle(inventory: &Inventory, name: &str) -> Option<String> {
    let mut trail = vec![name];
    loop {
        let host = inventory.host(trail.last()?)?;
        let Some(Jump::Host(next)) = &host.ssh.jump else { return None };
        let seen = trail.contains(&next.as_str());
        trail.push(next);
        if seen {
            return Some(trail.join(" → "));
        }
    }
}

/// Lets the process open as many files as it may: the usual 1024 ends at about 1,000 hosts.
fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where it can't be raised, connecting says so in time.
    let _ = setrlimit(Resource::Nofile, limit);
}

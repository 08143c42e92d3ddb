//! How one host is reached: the inventory over `ssh_config` over defaults, decided before a byte is sent.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::model::inventory::{Address, Jump, SshOptions};

use super::config::{SshConfig, Tokens, home_path};
use super::error::{LinkError, LinkErrorKind};
use super::hop::Hop;
use super::known_hosts::Subject;

/// How long a connection may take to come up, where nothing else is said.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What a run knows of its own surroundings.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The home folder: what `~` stands for.
    pub home: PathBuf,
    /// The local login.
    pub login: String,
    /// The agent's socket.
    pub agent: Option<PathBuf>,
    /// The `ssh` program that knows `ssh_config`, with its leading arguments; empty for none.
    pub ssh: Vec<String>,
    /// A file with the passphrase of the encrypted keys, for runs without a terminal.
    pub passphrase_file: Option<PathBuf>,
    /// Whether passphrases may be asked for on the terminal.
    pub ask: bool,
}

impl Setup {
    /// What the environment says.
    pub fn from_env() -> Self {
        let var = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let login = var("USER").or_else(|| var("LOGNAME")).unwrap_or_else(|| "root".into());
        Self {
            home: var("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from),
            login: login.to_string_lossy().into_owned(),
            agent: var("SSH_AUTH_SOCK").map(PathBuf::from),
            ssh: vec!["ssh".into()],
            passphrase_file: var("FLEET_KEY_PASSPHRASE_FILE").map(PathBuf::from),
            ask: std::fs::File::open("/dev/tty").is_ok_and(rustix::termios::isatty),
        }
    }
}

/// The way to a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// A TCP connection of our own.
    Direct,
    /// Through this host of the inventory.
    Host(String),
    /// Through a host that isn't in the inventory.
    Hop(Hop),
    /// Through this command's standard input and output.
    Command(String),
}

/// A private key file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The file.
    pub path: PathBuf,
    /// Whether the inventory names it: then it must be readable, and it is tried first.
    pub named: bool,
}

/// How one host is reached.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The host's name in the inventory, or the jump host's own.
    pub name: String,
    /// The name or address to connect to.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The login.
    pub user: String,
    /// Key files in order.
    pub identities: Vec<Identity>,
    /// Certificate files beyond those that lie beside a key.
    pub certificates: Vec<PathBuf>,
    /// Whether the agent's other keys are left alone.
    pub identities_only: bool,
    /// The agent's socket.
    pub agent: Option<PathBuf>,
    /// Files with host keys; new keys go to the first.
    pub known_hosts: Vec<PathBuf>,
    /// Whether names are hashed when a key is recorded.
    pub hash_names: bool,
    /// Under which name the host's key is recorded.
    pub subject: Subject,
    /// The way there.
    pub way: Way,
    /// How long all of it may take.
    pub connect_timeout: Duration,
    /// `inet` or `inet6`, where only one is wanted.
    pub family: Option<Family>,
    /// The local address to connect from.
    pub bind: Option<String>,
    /// What `ssh_config` says and fleet doesn't follow.
    pub notes: Vec<String>,
}

/// Which IP addresses of a name are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

impl Settings {
    /// Puts together what the inventory (`address`, `options`) and `ssh_config` say about the host `name`.
    pub fn resolve(
        setup: &Setup,
        name: &str,
        address: &Address,
        options: &SshOptions,
        config: &SshConfig,
    ) -> Result<Self, LinkError> {
        let host = config.get("hostname").unwrap_or(&address.host).to_owned();
        let user = options.user.as_deref().or_else(|| config.get("user")).unwrap_or(&setup.login).to_owned();
        let configured_port = || config.get("port").and_then(|port| port.parse().ok());
        let port = address.port.or(options.port).or_else(configured_port).unwrap_or(22);
        let alias = config.some("hostkeyalias").map(str::to_owned);
        let tokens = Tokens {
            host: &host,
            original: &address.host,
            port,
            user: &user,
            login: &setup.login,
            home: &setup.home,
            alias: alias.as_deref().unwrap_or(&address.host),
        };
        let subject =
            Subject { name: alias.clone().unwrap_or_else(|| host.clone()), port: alias.is_none().then_some(port) };
        let paths = |key| -> Result<Vec<PathBuf>, LinkError> {
            config.all(key).filter(|path| *path != "none").map(|path| tokens.path(path)).collect()
        };
        Ok(Self {
            name: name.to_owned(),
            port,
            identities: identities(setup, options, paths("identityfile")?),
            certificates: paths("certificatefile")?,
            identities_only: config.is_on("identitiesonly"),
            agent: agent(setup, config, &tokens)?,
            known_hosts: known_hosts(setup, options, config, &tokens)?,
            hash_names: config.is_on("hashknownhosts"),
            subject,
            way: way(options.jump.as_ref(), config, &tokens)?,
            connect_timeout: connect_timeout(options, config),
            family: match config.get("addressfamily") {
                Some("inet") => Some(Family::V4),
                Some("inet6") => Some(Family::V6),
                _ => None,
            },
            bind: config.some("bindaddress").map(str::to_owned),
            notes: notes(config)?,
            host: host.clone(),
            user: user.clone(),
        })
    }

    /// `address:port`, with brackets around an IPv6 address.
    pub fn endpoint(&self) -> String {
        Address { host: self.host.clone(), port: Some(self.port) }.to_string()
    }
}

fn connect_timeout(options: &SshOptions, config: &SshConfig) -> Duration {
    let configured = || config.get("connecttimeout")?.parse().ok().filter(|&s| s > 0).map(Duration::from_secs);
    options.connect_timeout.or_else(configured).unwrap_or(CONNECT_TIMEOUT)
}

fn identities(setup: &Setup, options: &SshOptions, configured: Vec<PathBuf>) -> Vec<Identity> {
    let configured = if setup.ssh.is_empty() || configured.is_empty() {
        ["id_ed25519", "id_ecdsa", "id_rsa"].map(|name| setup.home.join(".ssh").join(name)).to_vec()
    } else {
        configured
    };
    let named = options.identity.iter().map(|path| Identity { path: home_path(path, &setup.home), named: true });
    let mut all: Vec<Identity> = named.collect();
    for path in configured {
        if !all.iter().any(|identity| identity.path == path) {
            all.push(Identity { path, named: false });
        }
    }
    all
}

fn agent(setup: &Setup, config: &SshConfig, tokens: &Tokens<'_>) -> Result<Option<PathBuf>, LinkError> {
    Ok(match config.get("identityagent") {
        None | Some("SSH_AUTH_SOCK") => setup.agent.clone(),
        Some("none") => None,
        Some(variable) if variable.starts_with('$') && !variable.starts_with("${") => {
            std::env::var_os(&variable[1..]).map(PathBuf::from)
        }
        Some(path) => Some(tokens.path(path)?),
    })
}

fn known_hosts(
    setup: &Setup,
    options: &SshOptions,
    config: &SshConfig,
    tokens: &Tokens<'_>,
) -> Result<Vec<PathBuf>, LinkError> {
    if !options.known_hosts.is_empty() {
        return Ok(options.known_hosts.iter().map(|path| home_path(path, &setup.home)).collect());
    }
    let listed = |key: &str, default: PathBuf| match config.get(key) {
        None => Ok(vec![default]),
        Some(files) => files.split_whitespace().filter(|file| *file != "none").map(|file| tokens.path(file)).collect(),
    };
    let mut files: Vec<PathBuf> = listed("userknownhostsfile", setup.home.join(".ssh/known_hosts"))?;
    files.extend(listed("globalknownhostsfile", "/etc/ssh/ssh_known_hosts".into())?);
    Ok(files)
}

fn way(jump: Option<&Jump>, config: &SshConfig, tokens: &Tokens<'_>) -> Result<Way, LinkError> {
    match jump {
        Some(Jump::None) => return Ok(Way::Direct),
        Some(Jump::Host(name)) => return Ok(Way::Host(name.clone())),
        Some(Jump::Other { user, address }) => {
            let (user, host) = (user.clone(), address.host.clone());
            return Ok(Way::Hop(Hop { user, host, port: address.port, behind: None }));
        }
        None => {}
    }
    if let Some(jump) = config.some("proxyjump") {
        let bad = || LinkError::new(LinkErrorKind::Config, format!("ssh_config: ProxyJump \"{jump}\" can't be read"));
        return Hop::parse(&tokens.expand(jump)?).map(Way::Hop).ok_or_else(bad);
    }
    match config.some("proxycommand") {
        Some(command) => Ok(Way::Command(tokens.expand(command)?)),
        None => Ok(Way::Direct),
    }
}

/// What `ssh_config` says that fleet doesn't follow. Where ignoring it would trust more than `ssh` does: an error.
fn notes(config: &SshConfig) -> Result<Vec<String>, LinkError> {
    for key in ["revokedhostkeys", "proxyusefdpass"] {
        if let Some(value) = config.some(key).filter(|value| *value != "no") {
            let message = format!("ssh_config: {key} {value} isn't supported");
            return Err(LinkError::new(LinkErrorKind::Config, message).hint(
                "revoke a host key by a line \"@revoked * KEY\" in known_hosts; use ProxyJump or a ProxyCommand",
            ));
        }
    }
    let mut notes = Vec::new();
    if let Some(lax @ ("no" | "off" | "false" | "accept-new")) = config.get("stricthostkeychecking") {
        notes.push(format!("ssh_config says StrictHostKeyChecking {lax}; fleet stays strict"));
    }
    for key in ["knownhostscommand", "pkcs11provider", "bindinterface"] {
        if let Some(value) = config.some(key) {
            notes.push(format!("ssh_config says {key} {value}, which fleet doesn't use"));
        }
    }
    Ok(notes)
}

/// What to call `path` in a message: with `~` where it lies in the home folder.
pub fn short_path(path: &Path, home: &Path) -> String {
    match path.strip_prefix(home) {
        Ok(rest) if home != Path::new("/") => format!("~/{}", rest.display()),
        _ => path.display().to_string(),
    }
}

#[cfg(test)]
#[path = "settings/tests.rs"]
mod tests;

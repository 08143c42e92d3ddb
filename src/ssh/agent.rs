//! The SSH agent: asked once for its keys, and to sign one thing at a time, since agents collapse under a fan-out.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use russh::keys::HashAlg;
use russh::keys::agent::client::AgentClient;
use russh::keys::agent::{AgentIdentity, AgentSessionBinding};
use tokio::net::UnixStream;
use tokio::sync::Mutex;

/// How long an agent may take to list its keys.
const LISTING: Duration = Duration::from_secs(5);

/// The agents of a run, by socket.
#[derive(Debug, Default)]
pub struct Agents {
    keys: Mutex<HashMap<PathBuf, Result<Vec<AgentIdentity>, String>>>,
    signing: Mutex<()>,
}

impl Agents {
    /// The keys of the agent at `socket`, or why it can't be asked.
    pub async fn keys(&self, socket: &Path) -> Result<Vec<AgentIdentity>, String> {
        let mut keys = self.keys.lock().await;
        if let Some(known) = keys.get(socket) {
            return known.clone();
        }
        let listed = match tokio::time::timeout(LISTING, list(socket)).await {
            Ok(listed) => listed.map_err(|error| format!("agent {}: {error}", socket.display())),
            Err(_) => Err(format!("agent {}: no answer in 5 s", socket.display())),
        };
        keys.insert(socket.to_path_buf(), listed.clone());
        listed
    }

    /// A signer for one login.
    pub fn signer<'a>(&'a self, socket: &'a Path, binding: Option<AgentSessionBinding>) -> Signer<'a> {
        Signer { agents: self, socket, binding }
    }
}

async fn list(socket: &Path) -> Result<Vec<AgentIdentity>, russh::keys::Error> {
    connect(socket).await?.request_identities().await
}

async fn connect(socket: &Path) -> Result<AgentClient<UnixStream>, russh::keys::Error> {
    AgentClient::connect_uds(socket).await
}

/// Signs one login with an agent's key.
pub struct Signer<'a> {
    agents: &'a Agents,
    socket: &'a Path,
    binding: Option<AgentSessionBinding>,
}

impl Signer<'_> {
    async fn sign(
        &self,
        key: &AgentIdentity,
        hash: Option<HashAlg>,
        data: Vec<u8>,
    ) -> Result<Vec<u8>, russh::keys::Error> {
        let _alone = self.agents.signing.lock().await;
        let mut agent = connect(self.socket).await?;
        if let Some(binding) = &self.binding {
            // Keys bound to a destination need it; an agent that doesn't know it refuses, and signs all the same.
            let _ = agent.bind_session(binding, false).await;
        }
        agent.sign_request(key, hash, data).await
    }
}

impl russh::Signer for Signer<'_> {
    type Error = SignFault;

    async fn auth_sign(
        &mut self,
        key: &AgentIdentity,
        hash: Option<HashAlg>,
        data: Vec<u8>,
    ) -> Result<Vec<u8>, SignFault> {
        self.sign(key, hash, data).await.map_err(|error| SignFault::Agent(error.to_string()))
    }
}

/// Why nothing was signed.
#[derive(Debug)]
pub enum SignFault {
    /// The connection is gone.
    Gone,
    /// The agent would not.
    Agent(String),
    /// The key must be unlocked first.
    Locked,
}

impl From<russh::SendError> for SignFault {
    fn from(_: russh::SendError) -> Self {
        Self::Gone
    }
}

/// Finds out whether a host would take a key that is still locked.
pub struct Locked;

impl russh::Signer for Locked {
    type Error = SignFault;

    async fn auth_sign(&mut self, _: &AgentIdentity, _: Option<HashAlg>, _: Vec<u8>) -> Result<Vec<u8>, SignFault> {
        Err(SignFault::Locked)
    }
}

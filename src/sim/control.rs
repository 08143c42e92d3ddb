//! The control socket: what tests, the demo and the hosts' own programs ask of a simulation. A request and a reply are
//! a line of JSON each.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::host::failed;
use crate::error::{Error, Result};
use crate::model::facts::SignerState;

/// A question or an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// A program of a host was called.
    Call {
        /// The host.
        host: String,
        /// `systemctl` or `journalctl`.
        program: String,
        /// Its arguments.
        args: Vec<String>,
    },
    /// Something goes wrong on a host, or right again.
    Fault {
        /// The host.
        host: String,
        /// What.
        fault: Fault,
    },
    /// How the chain is.
    Chain,
}

/// What can go wrong on a host. With `false` it goes right again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Every SSH connection is lost now; what runs on the host runs on.
    Cut,
    /// New SSH connections are refused.
    Refuse(bool),
    /// New SSH connections are accepted and never spoken to.
    Mute(bool),
    /// After so many more bytes from the server every connection is lost, once.
    DropAfter(u64),
    /// Commands are accepted and never run.
    Hang(bool),
    /// The host stands still: processes, node and connections.
    Freeze(bool),
    /// The node dies at each start.
    StartFails(bool),
    /// The node ignores SIGTERM.
    WontStop(bool),
    /// The node's process dies by SIGKILL.
    Kill,
    /// The node's consensus panics; its process lives on.
    Panic,
    /// The node loses its peers.
    Isolate(bool),
    /// `/consensus_state` never answers.
    RpcHangs(bool),
    /// TCP forwarding is forbidden.
    ForwardRefused(bool),
    /// `sudo` asks for a password.
    SudoRefused(bool),
}

/// The outcome of a request, as of a program.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// Exit status.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Reply {
    /// Success with this output.
    pub fn out(text: impl Into<String>) -> Self {
        Self { out: text.into(), ..Self::default() }
    }

    /// A failure.
    pub fn err(code: i32, text: impl Into<String>) -> Self {
        Self { code, err: text.into(), ..Self::default() }
    }
}

/// How a simulated chain is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainState {
    /// Height of the last block.
    pub height: u64,
    /// Step of the round in progress.
    pub step: u8,
    /// Power that takes part.
    pub online: u64,
    /// The least power that makes a block.
    pub quorum: u64,
    /// What each validator signed last, by host.
    pub signers: std::collections::BTreeMap<String, SignerState>,
}

/// A client of the control socket; each request is a connection of its own.
#[derive(Debug, Clone)]
pub struct Control {
    socket: PathBuf,
}

impl Control {
    /// Of the simulation in this folder.
    pub fn new(sim: &Path) -> Self {
        Self { socket: sim.join("control") }
    }

    /// Sends a request and waits for its outcome.
    pub fn ask(&self, request: &Request) -> Result<Reply> {
        let mut stream = UnixStream::connect(&self.socket).map_err(failed(self.socket.display()))?;
        let line = serde_json::to_string(request).map_err(|e| Error::failed(e.to_string()))?;
        writeln!(stream, "{line}").map_err(failed("control"))?;
        let mut reply = String::new();
        BufReader::new(stream).read_line(&mut reply).map_err(failed("control"))?;
        serde_json::from_str(&reply).map_err(|e| Error::failed(format!("simulation: control: {e}: {reply:?}")))
    }

    /// Makes something go wrong on a host, or right again.
    pub fn fault(&self, host: &str, fault: Fault) -> Result<()> {
        let reply = self.ask(&Request::Fault { host: host.to_owned(), fault })?;
        if reply.code == 0 { Ok(()) } else { Err(Error::failed(reply.err)) }
    }

    /// How the chain is.
    pub fn chain(&self) -> Result<ChainState> {
        let reply = self.ask(&Request::Chain)?;
        serde_json::from_str(&reply.out).map_err(|e| Error::failed(format!("simulation: {e}")))
    }
}

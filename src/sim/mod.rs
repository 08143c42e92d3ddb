//! Simulated hosts, for the demo and for faults: real SSH servers in a process of their own, which run the real remote
//! scripts under `sh`, with a stub `systemctl`, in front of a small consensus model with voting power.

pub mod control;
mod host;
pub mod layout;
mod link;
pub mod model;
mod process;
pub mod rpc;
mod serve;
mod ssh;
mod systemctl;
mod unit;
mod vote;
mod world;

use std::io::{BufRead as _, BufReader, Write};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

pub use control::{ChainState, Control, Fault};
pub use layout::Layout;
pub use serve::serve;

use crate::error::{Error, Result};
use control::Request;
use host::failed;

/// How long a simulation may take to be ready.
const READY: Duration = Duration::from_secs(20);
/// How long it may take to clean up.
const GONE: Duration = Duration::from_secs(10);

/// A running simulation; its processes and files are gone when it is dropped.
pub struct Sim {
    child: Child,
    stdin: Option<ChildStdin>,
    folder: tempfile::TempDir,
    inventory: PathBuf,
}

impl Sim {
    /// Starts one with `exe`, fleet's own program, and waits until its hosts answer.
    pub fn start(layout: &Layout, exe: &Path) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("fleet-sim-").tempdir().map_err(failed("folder"))?;
        let description = folder.path().join("layout.json");
        let text = serde_json::to_string(layout).map_err(|error| Error::failed(error.to_string()))?;
        host::write(&description, text.as_bytes())?;
        let mut command = Command::new(exe);
        command.arg("sim").arg("--dir").arg(folder.path().join("sim")).arg("--layout").arg(description);
        command.env_remove("FLEET_INVENTORY").stdin(Stdio::piped()).stdout(Stdio::piped());
        command.process_group(0); // a Ctrl-C in the terminal is for fleet
        let mut child = command.spawn().map_err(failed(exe.display()))?;
        let stdin = child.stdin.take();
        let inventory = folder.path().join("sim/inventory.toml");
        let mut sim = Self { child, stdin, folder, inventory };
        sim.wait_until_ready()?;
        Ok(sim)
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let Some(stdout) = self.child.stdout.take() else { return Err(Error::failed("simulation: no output")) };
        let (said, ready) = mpsc::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            let _ = BufReader::new(stdout).read_line(&mut line); // nothing read: it ended
            let _ = said.send(line);
        });
        match ready.recv_timeout(READY) {
            Ok(line) if line.contains("\"ready\":true") => Ok(()),
            Ok(_) => Err(Error::failed("the simulation ended before its hosts were ready")),
            Err(_) => Err(Error::failed(format!("the simulated hosts were not ready in {} s", READY.as_secs()))),
        }
    }

    /// Its folder.
    pub fn dir(&self) -> PathBuf {
        self.folder.path().join("sim")
    }

    /// The inventory of its hosts.
    pub fn inventory(&self) -> &Path {
        &self.inventory
    }

    /// The folder of one host.
    pub fn host(&self, name: &str) -> PathBuf {
        self.dir().join("hosts").join(name)
    }

    /// Its control socket.
    pub fn control(&self) -> Control {
        Control::new(&self.dir())
    }

    /// Ends it and leaves its folder behind.
    pub fn keep(mut self) -> PathBuf {
        let _ = self.child.kill(); // killed, it takes nothing away
        self.folder.disable_cleanup(true);
        self.dir()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        drop(self.stdin.take()); // it ends by itself and cleans up
        let tries = GONE.as_millis() / 10;
        for _ in 0..tries {
            if !matches!(self.child.try_wait(), Ok(None)) {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill(); // it was hung, or is gone already
        let _ = self.child.wait();
        process::end_all(&self.dir()); // what a killed simulation has left
    }
}

/// Answers for a stub program of a simulated host, whose environment says which. Returns its exit status.
pub fn call(program: &str, args: &[String], out: &mut dyn Write, err: &mut dyn Write) -> Result<u8> {
    let variable = |name: &str| {
        std::env::var(name).map_err(|_| Error::usage("fleet sim --call is for the programs of simulated hosts"))
    };
    let (dir, host) = (variable("FLEET_SIM_DIR")?, variable("FLEET_SIM_HOST")?);
    let request = Request::Call { host, program: program.to_owned(), args: args.to_vec() };
    let reply = Control::new(Path::new(&dir)).ask(&request)?;
    out.write_all(reply.out.as_bytes()).and_then(|()| err.write_all(reply.err.as_bytes())).map_err(failed("output"))?;
    Ok(u8::try_from(reply.code).unwrap_or(1))
}

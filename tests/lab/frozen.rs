//! Nodes that die all at once, at a moment of the consensus that the test chooses.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fleet::chain::wal::replay::Log;
use fleet::chain::wal::view::View;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::lab::{Lab, Node};
use crate::process::until;

/// What a validator has signed last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spoken {
    pub power: u64,
    pub height: u64,
    pub step: u64,
}

impl Node {
    /// The folder of its log, its signer's state and its databases, seen from here.
    pub fn data(&self) -> PathBuf {
        self.log_folder().parent().unwrap().to_owned()
    }

    pub fn log_folder(&self) -> PathBuf {
        self.wal.parent().unwrap().to_owned()
    }

    pub fn spoken(&self) -> Option<Spoken> {
        let state: Value = serde_json::from_slice(&fs::read(&self.signer_file).ok()?).ok()?;
        let height = state["height"].as_str()?.parse().ok()?;
        Some(Spoken { power: self.power, height, step: state["step"].as_u64()? })
    }

    /// The last height that ended in its log.
    pub fn last_ended(&self) -> Option<u64> {
        View::of(&Log::whole([fs::read(&self.wal).ok()?.as_slice()])).last_end_height
    }

    /// The processes of its unit, as this machine numbers them.
    fn processes(&self) -> Vec<Pid> {
        let space = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
        let own = space(&self.host.leader.to_string());
        let all = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let of_unit = |pid: &String| {
            let group = fs::read_to_string(Path::new("/proc").join(pid).join("cgroup")).unwrap_or_default();
            group.contains(&format!("/{}", self.unit)) && space(pid) == own
        };
        all.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
            .filter(of_unit)
            .filter_map(|pid| Pid::from_raw(pid.parse().ok()?))
            .collect()
    }
}

impl Lab {
    /// Freezes all nodes of the main chain at a moment at which `is` holds of what the validators have signed for the
    /// height in progress, then kills them; the height.
    pub fn kill_all_when(&self, what: &str, is: impl Fn(&[Spoken]) -> bool) -> u64 {
        let nodes = self.nodes();
        for node in &nodes {
            // Nobody starts again by itself.
            let folder = node.host.path(&format!("/etc/systemd/system/{}.d", node.unit));
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("dead.conf"), "[Service]\nRestart=no\n").unwrap();
            node.host.inside(&["systemctl", "daemon-reload"]);
        }
        let processes: Vec<Pid> = nodes.iter().flat_map(Node::processes).collect();
        let to_all = |signal| {
            for pid in &processes {
                let _ = kill_process(*pid, signal);
            }
        };
        let validators = self.validators();
        let height = until(60, what, || {
            // The moment is short: look closely for a while.
            for _ in 0..2_000 {
                if at(&validators, &is).is_some() {
                    to_all(Signal::STOP);
                    std::thread::sleep(Duration::from_millis(20));
                    let height = at(&validators, &is);
                    if height.is_some_and(|height| nodes.iter().all(|node| node.last_ended() < Some(height))) {
                        return height;
                    }
                    to_all(Signal::CONT);
                }
                std::thread::sleep(Duration::from_micros(500));
            }
            None
        });
        to_all(Signal::KILL);
        nodes.iter().for_each(Node::stop);
        height
    }

    /// Starts every node of the main chain, one after the other.
    pub fn start_all(&self) {
        for node in self.nodes() {
            node.host.inside(&["systemctl", "start", &node.unit]);
        }
        let nodes = self.nodes();
        until(60, "all nodes answer", || nodes.iter().all(|node| node.height().is_some()).then_some(()));
    }
}

/// The height in progress, where `is` holds of what has been signed for it.
fn at(validators: &[Node], is: &impl Fn(&[Spoken]) -> bool) -> Option<u64> {
    let spoken: Vec<Spoken> = validators.iter().filter_map(Node::spoken).collect();
    let height = spoken.iter().map(|one| one.height).max()?;
    let of_height: Vec<Spoken> = spoken.into_iter().filter(|one| one.height == height).collect();
    is(&of_height).then_some(height)
}

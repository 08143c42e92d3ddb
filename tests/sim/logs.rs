//! The write-ahead logs of simulated hosts.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::rig::Rig;

/// The files of a log by name.
pub type Log = BTreeMap<String, Vec<u8>>;

/// The run that [`set_aside`] stands for: one before all others.
const RUN: &str = "0";

fn data(rig: &Rig, host: &str) -> PathBuf {
    rig.sim.host(host).join("home/data")
}

/// The files of the log in a folder.
fn in_folder(folder: &Path) -> Log {
    let entries = fs::read_dir(folder).into_iter().flatten().map(Result::unwrap);
    let files = entries.map(|entry| (entry.file_name().into_string().unwrap(), entry.path()));
    files.filter(|(name, _)| name.starts_with("wal")).map(|(name, path)| (name, fs::read(path).unwrap())).collect()
}

/// The log that a host's node reads.
pub fn log(rig: &Rig, host: &str) -> Log {
    in_folder(&data(rig, host).join("cs.wal"))
}

/// What a run has set aside.
#[derive(Debug, PartialEq)]
pub struct Aside {
    /// The log that was in place before.
    pub log: Log,
    /// What was in its place when it was put back.
    pub replaced: Log,
    /// The log that took its place, by the mark; none where it is back.
    pub by: Option<Log>,
}

/// What says which log took another's place.
fn mark(log: &[u8]) -> String {
    format!("{} {}\n", hex::encode(Sha256::digest(log)), log.len())
}

/// What is set aside on a host. The mark's hash must be that of the log that is in place.
pub fn aside(rig: &Rig, host: &str) -> Option<Aside> {
    let entries = fs::read_dir(data(rig, host)).unwrap().map(|entry| entry.unwrap().path());
    let mut folders = entries.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("cs.wal.fleet-"));
    let folder = folders.next()?;
    assert_eq!(folders.next(), None);
    let by = fs::read_to_string(folder.join(".sha256")).ok().map(|text| {
        let log = log(rig, host);
        assert_eq!(text, mark(&log["wal"]));
        log
    });
    Some(Aside { log: in_folder(&folder), replaced: in_folder(&folder.join("replaced")), by })
}

/// What a host's signer has signed last.
pub fn signer(rig: &Rig, host: &str) -> String {
    fs::read_to_string(data(rig, host).join("priv_validator_state.json")).unwrap()
}

/// Sets another log as a run of fleet does, and gives the one that it sets aside.
pub fn set_aside(rig: &Rig, host: &str) -> Log {
    let (folder, old, new) = (data(rig, host).join(format!("cs.wal.fleet-{RUN}")), log(rig, host), b"another log");
    // What an earlier run had set aside is back.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    for (name, bytes) in &old {
        fs::write(folder.join(name), bytes).unwrap();
    }
    fs::write(folder.join(".signer"), signer(rig, host)).unwrap();
    fs::write(folder.join(".sha256"), mark(new)).unwrap();
    fs::write(data(rig, host).join("cs.wal/wal"), new).unwrap();
    old
}

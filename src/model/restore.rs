//! What is brought back to hosts: the databases of one snapshot.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};
use crate::model::backup::{Profile, left_out};
use crate::model::snapshot::{LinkEntry, Manifest};

/// The root of a snapshot of databases.
pub const ROOT: &str = "data";
/// Blocks that a node may be expected to take in a second by block sync. Nothing tells before it runs: it depends on what
/// is in the blocks.
const RATE: f64 = 20.0;
/// So many links are named in a hint.
const LISTED: usize = 10;

/// What a plan brings to the databases of each of its nodes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restore {
    /// The store: a folder of the controller.
    pub store: String,
    /// Hosts that are sent to at once.
    pub parallel: usize,
    /// The snapshot's id.
    pub snapshot: String,
    /// The service it was taken of, as it is shown.
    pub of: String,
    /// Its height, where it is known.
    pub height: Option<u64>,
    /// What is exchanged: names in the folder of the databases.
    pub entries: Vec<String>,
    /// Files in them.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Nodes that tell the chain's height when the databases are in place: the host and the address of the RPC there.
    pub tips: Vec<(String, String)>,
}

impl Restore {
    /// Of the databases in `manifest`.
    ///
    /// # Errors
    /// `Refused`: the snapshot is of something else, or holds what is never restored: a key or a signer's state.
    pub fn of(manifest: &Manifest, store: &str, parallel: usize) -> Result<Self> {
        let refused = |text: String| Error::new(Kind::Refused, format!("refused: {text}"));
        if manifest.profile != Profile::Data.name() {
            let text = format!("{} is a snapshot of {}, not of databases", manifest.id, manifest.profile);
            return Err(refused(text).hint(by_hand(manifest)));
        }
        if let Some(link) = manifest.links.first() {
            let text = format!("{} holds {:?}, a symbolic link, which is never restored", manifest.id, link.path);
            return Err(refused(text).hint("take another snapshot; fleet's own of databases hold none"));
        }
        let mut entries = BTreeSet::new();
        let folders = manifest.folders.iter().map(|folder| folder.path.as_str());
        for path in manifest.files.iter().map(|file| file.path.as_str()).chain(folders.filter(|path| *path != ROOT)) {
            let Some(name) = path.strip_prefix(ROOT).and_then(|rest| rest.strip_prefix('/')) else {
                return Err(refused(format!("{} holds {path:?}, which is in no folder of databases", manifest.id)));
            };
            let entry = name.split('/').next().unwrap_or_default();
            if let Some(reason) = left_out(Profile::Data, name).or_else(|| entry_flaw(entry)) {
                let text = format!("{} holds {path:?}, which is never restored: {reason}", manifest.id);
                return Err(refused(text).hint("take another snapshot; fleet's own hold none of it"));
            }
            entries.insert(entry.to_owned());
        }
        if entries.is_empty() {
            return Err(refused(format!("{} holds no databases", manifest.id)));
        }
        Ok(Self {
            store: store.to_owned(),
            parallel,
            snapshot: manifest.id.clone(),
            of: manifest.service.clone(),
            height: manifest.node.as_ref().and_then(|node| node.height),
            entries: entries.into_iter().collect(),
            files: manifest.files.len() as u64,
            bytes: manifest.file_bytes(),
            tips: Vec::new(),
        })
    }

    /// How far the snapshot is behind a chain at height `tip`, and how long the way is; `None` where its height is unknown.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // an estimate
    pub fn behind(&self, tip: u64, block_time_ms: u64) -> Option<String> {
        let height = self.height?;
        let blocks = tip.saturating_sub(height);
        let growth = 1000.0 / block_time_ms.max(100) as f64;
        let seconds = blocks as f64 / (RATE - growth).max(1.0);
        Some(format!(
            "the snapshot is of height {height}, the chain is at {tip}: {blocks} blocks to catch up, about {} min if the \
             node takes {RATE} a second (assumed: the rate shows only when it runs)",
            (seconds / 60.0).ceil() as u64
        ))
    }

    /// The entry that would take `path` with it, in the folder of databases `db_dir`.
    pub fn entry_of(&self, db_dir: &str, path: &str) -> Option<&String> {
        let name = path.strip_prefix(db_dir)?.strip_prefix('/')?;
        self.entries.iter().find(|entry| name.split('/').next() == Some(entry))
    }
}

/// What brings back a snapshot that is of no databases of a node.
fn by_hand(manifest: &Manifest) -> String {
    let loads = if manifest.streamed { ", then psql --dbname=NEW_DATABASE --file=postgres/DATABASE.sql" } else { "" };
    let links: String = manifest.links.iter().take(LISTED).filter_map(makes).collect();
    let more = manifest.links.len().saturating_sub(LISTED);
    let more = if more > 0 { format!(", and {more} more links of its list") } else { String::new() };
    format!(
        "unpack it by hand: zstd -dc SEGMENT | tar x{loads}{links}{more}; its segments: fleet snapshot show {} --files",
        manifest.id
    )
}

/// The command that makes a link beside the files that were unpacked.
fn makes(link: &LinkEntry) -> Option<String> {
    // What a shell can't take has a control character, and no manifest has such links.
    let quoted = shlex::try_join(["ln", "-s", "--", link.target.as_str(), link.path.as_str()]).ok()?;
    Some(format!(", then {quoted}"))
}

/// Why a name can't be exchanged in the folder of the databases.
fn entry_flaw(entry: &str) -> Option<&'static str> {
    match entry {
        "cs.wal" => Some("the write-ahead log belongs to the signer's state"),
        _ if entry.starts_with('.') => Some("a hidden name"),
        _ if entry.contains(".fleet-") => Some("a name that fleet gives to what it has set aside"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::snapshot::{FORMAT, FileEntry};

    fn manifest(paths: &[&str]) -> Manifest {
        let file = |path: &&str| FileEntry {
            path: (*path).to_owned(),
            size: 5,
            mode: 0o644,
            mtime_ns: 0,
            inode: 1,
            sha256: "a".repeat(64),
            segments: vec![0],
        };
        Manifest {
            format: FORMAT,
            id: "S".into(),
            parent: None,
            made_ms: 0,
            host: "sentry-1".into(),
            service: "sentry-1".into(),
            profile: "data".into(),
            sealed: true,
            down_ms: None,
            node: None,
            streamed: false,
            roots: BTreeMap::from([(ROOT.to_owned(), "/var/lib/v/data".to_owned())]),
            files: paths.iter().map(file).collect(),
            folders: Vec::new(),
            links: Vec::new(),
            left_out: Vec::new(),
            segments: Vec::new(),
        }
    }

    #[test]
    fn what_is_exchanged_are_the_entries_of_the_folder() {
        let restore =
            Restore::of(&manifest(&["data/state.db/a", "data/state.db/b", "data/upgrade-info.json"]), "/s", 4).unwrap();
        assert_eq!(restore.entries, ["state.db", "upgrade-info.json"]);
        assert_eq!((restore.files, restore.bytes), (3, 15));
        assert_eq!(restore.entry_of("/d", "/d/state.db/x/state.json"), Some(&"state.db".to_owned()));
        assert_eq!(restore.entry_of("/d", "/d/priv_validator_state.json"), None);
        assert_eq!(restore.entry_of("/d", "/e/state.db"), None);
    }

    #[test]
    fn a_snapshot_with_a_signers_state_a_key_or_a_log_is_refused() {
        for path in [
            "data/priv_validator_state.json",
            "data/state.db/priv_validator_state.json",
            "data/priv_validator_key.json",
            "data/cs.wal/wal",
            "data/.fleet-R/x",
            "data/state.db.fleet-R/x",
            "config/config.toml",
        ] {
            let error = Restore::of(&manifest(&["data/state.db/a", path]), "/s", 4).unwrap_err();
            assert_eq!(error.kind, Kind::Refused, "{path}");
            assert!(error.message.contains(path), "{error}");
        }
    }

    #[test]
    fn the_way_to_the_chain_is_as_long_as_the_blocks_between() {
        let restore = Restore { height: Some(1000), ..Restore::default() };
        let told = |tip| restore.behind(tip, 6000).unwrap();
        assert!(told(13_000).contains("12000 blocks to catch up, about 11 min"), "{}", told(13_000));
        assert!(told(900).contains(" 0 blocks to catch up, about 0 min"), "{}", told(900));
        assert_eq!(Restore::default().behind(5, 6000), None);
    }

    #[test]
    fn a_snapshot_of_something_else_is_refused() {
        let error =
            Restore::of(&Manifest { profile: "config".into(), ..manifest(&["config/a"]) }, "/s", 4).unwrap_err();
        assert!(error.to_string().contains("not of databases") && error.to_string().contains("by hand"), "{error}");
        assert!(Restore::of(&manifest(&[]), "/s", 4).is_err());
    }

    #[test]
    fn links_are_made_by_hand_and_never_restored() {
        let links = |count: usize| {
            let link = |n: usize| LinkEntry { path: format!("cosmovisor/a{n}"), target: "$(x) 'y'".into() };
            (0..count).map(link).collect::<Vec<_>>()
        };
        let of = |profile: &str, count| {
            let manifest = Manifest { profile: profile.into(), links: links(count), ..manifest(&["data/a/b"]) };
            Restore::of(&manifest, "/s", 4).unwrap_err()
        };
        let hint = &of("cosmovisor", 2).hints[0];
        let quoted = shlex::try_quote("$(x) 'y'").unwrap();
        let wanted = format!(", then ln -s -- {quoted} cosmovisor/a0, then ln -s -- {quoted} cosmovisor/a1; its");
        assert!(hint.contains(&wanted), "{hint}");
        let hint = &of("cosmovisor", 12).hints[0];
        assert!(hint.contains("cosmovisor/a9, and 2 more links") && !hint.contains("a10"), "{hint}");
        let error = of("data", 1);
        assert!(error.kind == Kind::Refused && error.message.contains("symbolic link"), "{error}");
    }
}

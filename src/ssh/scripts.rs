//! The only shell that runs on hosts: constant scripts, data only as quoted arguments.

/// A script with what they all share in front, and what some share.
macro_rules! script {
    ($($file:literal),+) => {
        concat!(include_str!("remote/common.sh"), $("\n", include_str!(concat!("remote/", $file))),+)
    };
}

/// Takes or renews the lock.
pub const LOCK: &str = script!("lock.sh");
/// Gives the lock back.
pub const UNLOCK: &str = script!("unlock.sh");
/// Reads the lock.
pub const PROBE_LOCK: &str = script!("probe_lock.sh");
/// Reads one service's unit.
pub const PROBE_UNIT: &str = script!("wal.sh", "seal.sh", "restore.sh", "probe_unit.sh");
/// Reads the host and its services.
pub const PROBE_HOST: &str = script!("probe_host.sh");
/// Reads the files that config.toml names.
pub const PROBE_FILES: &str = script!("probe_files.sh");
/// Reads a genesis file.
pub const PROBE_GENESIS: &str = script!("probe_genesis.sh");
/// Lists a node's write-ahead logs.
pub const PROBE_WAL: &str = script!("probe_wal.sh");
/// Reads a stretch of a file.
pub const PROBE_STRETCH: &str = script!("probe_stretch.sh");
/// Says that a clone is in use.
pub const CLONE_USED: &str = script!("clone_used.sh");
/// Asks RPC by the host's curl.
pub const PROBE_HTTP: &str = script!("probe_http.sh");
/// Carries out one step.
pub const ACT: &str = script!("wal.sh", "seal.sh", "restore.sh", "act.sh");
/// Lists what is in folders.
pub const LIST: &str = script!("found.sh", "list.sh");
/// Lists what is in a clone.
pub const LIST_CLONE: &str = script!("found.sh", "list_clone.sh");
/// Tells which tables a clone can be without.
pub const KNOWN: &str = script!("known.sh");
/// Lists files by their names.
pub const LIST_NAMED: &str = script!("found.sh", "list_named.sh");
/// Finds files that hold a key.
pub const SECRETS: &str = script!("secrets.sh");
/// Hashes files.
pub const HASH: &str = script!("hash.sh");
/// Hashes a unit's program.
pub const BINARY: &str = script!("binary.sh");
/// Streams files as a tar archive.
pub const PACK: &str = script!("pack.sh");
/// Streams a dump of a database.
pub const DUMP: &str = script!("dump.sh");
/// Takes a snapshot in.
pub const RECEIVE: &str = script!("receive.sh");
/// Removes a clone.
pub const UNSEAL: &str = script!("unseal.sh");
/// A stop that waits.
pub const ARM: &str = script!("arm.sh");

//! A snapshot's manifest: every file of it, and in which segments of the store its bytes are.
//!
//! A manifest is complete in itself: it names every file and every segment it needs, whichever snapshot brought them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

mod check;
mod diff;
mod gather;
mod summary;
#[cfg(test)]
mod tests;

pub use check::{id_flaw, is_sha256, path_flaw, target_flaw};
pub use diff::{Amount, ChangedLink, Difference, Links, diff};
pub use gather::Gathered;
pub use summary::{Amounts, Summary};

use crate::error::{Error, Result};

/// The format of manifests that this program reads and writes.
pub const FORMAT: u32 = 1;

/// What the address of a bucket begins with.
pub const BUCKET: &str = "s3://";

/// Whether a store's place is the address of a bucket, and not a folder.
pub fn is_bucket(place: &Path) -> bool {
    place.to_str().is_some_and(|address| address.starts_with(BUCKET))
}

/// A store's place as somebody named it. The error says why nothing can be kept there.
pub fn store_place(named: PathBuf) -> std::result::Result<PathBuf, String> {
    let is_scheme = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    let text = named.to_str().unwrap_or_default();
    match text.split_once(':') {
        Some((scheme, _)) if scheme.eq_ignore_ascii_case("s3") && !is_bucket(&named) => {
            Err(format!("a bucket is written {BUCKET}BUCKET/FOLDER"))
        }
        Some((scheme, rest)) if rest.starts_with("//") && is_scheme(scheme) && !is_bucket(&named) => {
            Err(format!("a store is a folder or {BUCKET}BUCKET/FOLDER; fleet doesn't speak {scheme}"))
        }
        _ => Ok(named),
    }
}

/// What stands between a large file's path and the number of a piece of it, in the segment that holds the piece.
pub const PART: &str = ".fleet-part-";

/// The name in its segment of a piece of a file that is larger than a segment: `cat PATH.fleet-part-*` joins them.
pub fn part_name(path: &str, piece: usize) -> String {
    format!("{path}{PART}{piece:06}")
}

/// One snapshot of one service of one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`]; another one is refused.
    pub format: u32,
    /// Its id; ids sort by time.
    pub id: String,
    /// The snapshot it was made upon: files that hadn't changed since are in that one's segments.
    pub parent: Option<String>,
    /// When it was made, Unix ms.
    pub made_ms: i64,
    /// The host's name in the inventory.
    pub host: String,
    /// The service, as it is shown: `val-1` or `val-1/oracle`.
    pub service: String,
    /// What of it was taken, by the name of the profile.
    pub profile: String,
    /// Whether the service was stopped while it was cloned.
    pub sealed: bool,
    /// How long the service was down for it, ms.
    pub down_ms: Option<u64>,
    /// Where the node stood, if it is one.
    pub node: Option<NodeState>,
    /// Its files were made while they were read: nothing on the host could be hashed, and their checksums are only of what
    /// came.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub streamed: bool,
    /// Folders of the host by the name that begins the paths of their files; absolute paths.
    pub roots: BTreeMap<String, String>,
    /// Regular files.
    pub files: Vec<FileEntry>,
    /// Folders.
    pub folders: Vec<FolderEntry>,
    /// Symbolic links. They are text and in no segment: nothing of fleet makes or follows one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<LinkEntry>,
    /// What was not taken.
    pub left_out: Vec<LeftOut>,
    /// Segments of the store that hold the files.
    pub segments: Vec<SegmentEntry>,
}

/// Where a node stood when it was stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeState {
    /// The chain.
    pub chain_id: String,
    /// Its last height; of a snapshot that its application took, the height of that.
    pub height: Option<u64>,
    /// The application's hash after that height, upper-case hex: the next block's header has it. Known where that block, or the
    /// application itself at that height, could be asked for when the manifest was written.
    pub app_hash: Option<String>,
    /// SHA-256 of the genesis file, hex.
    pub genesis: Option<String>,
    /// The database's kind, by the node's `config.toml`.
    pub backend: String,
    /// The node's version.
    pub version: Option<String>,
    /// SHA-256 of the unit's program, hex; below cosmovisor of the binary that it runs.
    pub binary_sha256: Option<String>,
}

/// One regular file. In JSON a row of its fields in this order, for there may be 500,000 of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "FileRow", into = "FileRow")]
pub struct FileEntry {
    /// `ROOT/relative`; see [`path_flaw`].
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// Permissions.
    pub mode: u32,
    /// When it was changed last on the host, Unix ns.
    pub mtime_ns: i64,
    /// Its inode on the host.
    pub inode: u64,
    /// SHA-256 of its bytes, hex; of what is encrypted that of its segment, for a key's own would tell of the key.
    pub sha256: String,
    /// Where its bytes are, as indexes of [`Manifest::segments`]: none for an empty file, one as a rule, and for a
    /// file that is larger than a segment those of its pieces, in order.
    pub segments: Vec<u32>,
}

type FileRow = (String, u64, u32, i64, u64, String, Vec<u32>);

impl From<FileRow> for FileEntry {
    fn from((path, size, mode, mtime_ns, inode, sha256, segments): FileRow) -> Self {
        Self { path, size, mode, mtime_ns, inode, sha256, segments }
    }
}

impl From<FileEntry> for FileRow {
    fn from(file: FileEntry) -> Self {
        (file.path, file.size, file.mode, file.mtime_ns, file.inode, file.sha256, file.segments)
    }
}

impl FileEntry {
    /// Its segments with the name that it, or its piece, has in each.
    pub fn places(&self) -> impl Iterator<Item = (u32, String)> {
        let whole = self.segments.len() == 1;
        self.segments.iter().enumerate().map(move |(piece, segment)| {
            let name = if whole { self.path.clone() } else { part_name(&self.path, piece) };
            (*segment, name)
        })
    }
}

/// One folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderEntry {
    /// `ROOT` or `ROOT/relative`.
    pub path: String,
    /// Permissions.
    pub mode: u32,
    /// When it was changed last on the host, Unix ns.
    pub mtime_ns: i64,
}

/// One symbolic link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkEntry {
    /// `ROOT/relative`.
    pub path: String,
    /// What it holds; see [`target_flaw`].
    pub target: String,
}

/// Something that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// What.
    pub path: String,
    /// Why.
    pub reason: String,
}

/// One segment of the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentEntry {
    /// SHA-256 of the compressed bytes, hex: its name.
    pub sha256: String,
    /// Its size in the store, bytes.
    pub bytes: u64,
    /// Bytes of the files in it, uncompressed and without the archive's own.
    pub content_bytes: u64,
    /// Who can read it: age's recipients. For none it isn't encrypted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<String>,
}

impl SegmentEntry {
    /// Whether it is encrypted: what is in it can't be looked at here.
    pub fn is_encrypted(&self) -> bool {
        !self.recipients.is_empty()
    }

    /// Where it is in a store.
    pub fn place(&self) -> String {
        let end = if self.is_encrypted() { ".tar.age" } else { ".tar.zst" };
        format!("segments/{}/{}{end}", self.sha256.get(..2).unwrap_or_default(), self.sha256)
    }
}

impl Manifest {
    /// Reads a manifest. Another format is refused, and so is one that contradicts itself.
    pub fn read(json: &[u8]) -> Result<Self> {
        let manifest: Self = of_our_format(json)?;
        manifest.check()?;
        Ok(manifest)
    }

    /// The bytes that are stored.
    pub fn json(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|error| Error::failed(error.to_string()))
    }

    /// Bytes of all files.
    pub fn file_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }
}

/// What `json` holds, if its format is ours: of a manifest, or of what is kept beside it.
pub(crate) fn of_our_format<T: serde::de::DeserializeOwned>(json: &[u8]) -> Result<T> {
    #[derive(Deserialize)]
    struct Numbered {
        format: u32,
    }
    let spoilt = |error: serde_json::Error| Error::failed(format!("not readable: {error}"));
    let Numbered { format } = serde_json::from_slice(json).map_err(spoilt)?;
    if format != FORMAT {
        let text = format!("format {format}, but this fleet knows only format {FORMAT}");
        return Err(Error::failed(text).hint("use the fleet that made it"));
    }
    serde_json::from_slice(json).map_err(spoilt)
}

//! A store in a temporary folder with a clock that is set by hand and objects that can fail.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use fleet::engine::Clock;
use fleet::error::Result;
use fleet::model::snapshot::{FORMAT, FileEntry, Gathered, Manifest};
use fleet::store::{Batch, Cut, Expected, Folder, Object, Objects, Put, Store, Taken};
use sha2::{Digest as _, Sha256};
use tempfile::{NamedTempFile, TempDir};
use tokio::runtime::Runtime;

/// Files by their paths.
pub type Tree = BTreeMap<String, Vec<u8>>;

/// 2026-02-08 14:00:00 UTC.
pub const START_MS: i64 = 1_770_559_200_000;

/// A clock that stands.
#[derive(Default)]
pub struct Standing(AtomicI64);

impl Standing {
    /// Goes on.
    pub fn pass(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::Relaxed);
    }
}

impl Clock for Standing {
    fn unix_ns(&self) -> i64 {
        self.0.load(Ordering::Relaxed) * 1_000_000
    }
}

/// Objects of which some operations fail.
pub struct Failing {
    inner: Folder,
    /// So many operations are left before all fail; negative: none fails.
    left: AtomicI64,
    how: io::ErrorKind,
}

impl Failing {
    fn next(&self) -> io::Result<()> {
        match self.left.load(Ordering::Relaxed) {
            0 => Err(self.how.into()),
            left if left < 0 => Ok(()),
            _ => {
                self.left.fetch_sub(1, Ordering::Relaxed);
                Ok(())
            }
        }
    }
}

#[async_trait]
impl Objects for Failing {
    fn place(&self) -> String {
        self.inner.place()
    }
    async fn is_empty(&self) -> io::Result<bool> {
        self.inner.is_empty().await
    }
    fn stage(&self) -> io::Result<NamedTempFile> {
        self.next()?;
        self.inner.stage()
    }
    async fn put(&self, name: &str, file: NamedTempFile, how: Put) -> io::Result<()> {
        self.next()?;
        self.inner.put(name, file, how).await
    }
    async fn open(&self, name: &str) -> io::Result<File> {
        self.next()?;
        self.inner.open(name).await
    }
    async fn size(&self, name: &str) -> io::Result<u64> {
        self.next()?;
        self.inner.size(name).await
    }
    async fn list(&self, under: &str) -> io::Result<Vec<Object>> {
        self.next()?;
        self.inner.list(under).await
    }
    async fn remove(&self, name: &str) -> io::Result<()> {
        self.next()?;
        self.inner.remove(name).await
    }
    async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.next()?;
        self.inner.rename(from, to).await
    }
    async fn sweep(&self) -> io::Result<()> {
        self.next()?;
        self.inner.sweep().await
    }
}

/// A store and what is needed to work with it.
pub struct World {
    pub runtime: Runtime,
    pub clock: Arc<Standing>,
    pub store: Store,
    home: TempDir,
}

impl World {
    pub fn new() -> Self {
        Self::in_objects(|root| Arc::new(Folder::new(root)))
    }

    /// In what is made for the store's folder.
    pub fn in_objects(objects: impl FnOnce(&Path) -> Arc<dyn Objects>) -> Self {
        // What is synced in memory takes no time.
        let memory = Path::new("/dev/shm");
        let home = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let clock = Arc::new(Standing(AtomicI64::new(START_MS)));
        let objects = objects(&home.path().join("store"));
        let store = runtime.block_on(Store::init(objects, Arc::clone(&clock) as Arc<dyn Clock>)).unwrap();
        Self { runtime, clock, store, home }
    }

    /// The store's folder.
    pub fn root(&self) -> PathBuf {
        self.home.path().join("store")
    }

    /// A folder beside it.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// The same store, whose operations fail so after some.
    pub fn failing(&self, after: i64, how: io::ErrorKind) -> Store {
        let failing = Failing { inner: Folder::new(&self.root()), left: AtomicI64::new(-1), how };
        let failing = Arc::new(failing);
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let store = self.runtime.block_on(Store::open(Arc::clone(&failing) as Arc<dyn Objects>, clock)).unwrap();
        failing.left.store(after, Ordering::Relaxed);
        store
    }

    pub fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// A whole backup of `tree`, as the host's side does it.
    pub fn backup(&self, store: &Store, id: &str, tree: &Tree, cut: Cut) -> Result<Manifest> {
        self.backup_from(store, id, tree, cut, |archive| Box::new(io::Cursor::new(archive)))
    }

    /// The same; the stream is what `through` makes of the archive.
    pub fn backup_from(
        &self,
        store: &Store,
        id: &str,
        tree: &Tree,
        cut: Cut,
        through: impl FnOnce(Vec<u8>) -> Box<dyn Read>,
    ) -> Result<Manifest> {
        let hold = self.run(store.hold(fleet::store::Purpose::Backup, "ops@here", id))?;
        let mut all = Gathered::default();
        let parent = match self.run(store.ids())?.last() {
            Some(parent) => Some(self.run(store.manifest(parent))?),
            None => None,
        };
        let mut left = expected(tree);
        let pending = self.run(store.pending())?;
        let known = pending.iter().map(|record| (&record.files, &record.segments));
        for (files, segments) in known.chain(parent.iter().map(|parent| (&parent.files, &parent.segments))) {
            for file in files {
                if left.get(&file.path).is_some_and(|new| new.sha256 == file.sha256) {
                    left.remove(&file.path);
                    all.add(file, segments)?;
                }
            }
        }
        let archive = archive(&tree.iter().filter(|(path, _)| left.contains_key(*path)).collect::<Vec<_>>());
        let taken = store.take(&batch(id), cut, left, through(archive), &mut |_| ())?;
        taken.files.iter().try_for_each(|file| all.add(file, &taken.segments))?;
        let manifest = manifest(id, parent.map(|parent| parent.id), &all);
        self.run(store.commit(&manifest))?;
        self.run(hold.release());
        Ok(manifest)
    }

    /// What a restore of `id` gives.
    pub fn restored(&self, id: &str) -> Result<Tree> {
        let manifest = self.run(self.store.manifest(id))?;
        let mut tree = Tree::new();
        self.store.extract(&manifest, |_| true, &mut |file: &FileEntry, content: &mut dyn Read| {
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes).map_err(|error| fleet::error::Error::failed(error.to_string()))?;
            tree.insert(file.path.clone(), bytes);
            Ok(())
        })?;
        Ok(tree)
    }

    /// Takes an archive as it is.
    pub fn take(&self, expected: BTreeMap<String, Expected>, archive: impl Read) -> Result<Taken> {
        self.store.take(&batch("01A"), small(), expected, archive, &mut |_| ())
    }

    /// The names of all files in the store.
    pub fn files(&self) -> BTreeSet<String> {
        names(&self.root(), &self.root())
    }
}

fn names(root: &Path, folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() { names(root, &path) } else { [name].into() }
        })
        .collect()
}

/// Segments so small that a few files make several.
pub fn small() -> Cut {
    Cut { level: 1, content: 1000 }
}

pub fn batch(id: &str) -> Batch {
    Batch { id: id.into(), host: "val-1".into(), service: "val-1".into(), profile: "data".into() }
}

pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// What the host says of its files.
pub fn expected(tree: &Tree) -> BTreeMap<String, Expected> {
    let one = |(path, bytes): (&String, &Vec<u8>)| {
        let size = bytes.len() as u64;
        (path.clone(), Expected { size, mode: 0o600, mtime_ns: 1_000_000_007, inode: 5, sha256: sha256(bytes) })
    };
    tree.iter().map(one).collect()
}

pub fn manifest(id: &str, parent: Option<String>, all: &Gathered) -> Manifest {
    let mut files = all.files.clone();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Manifest {
        format: FORMAT,
        id: id.into(),
        parent,
        made_ms: START_MS,
        host: "val-1".into(),
        service: "val-1".into(),
        profile: "data".into(),
        sealed: true,
        down_ms: None,
        node: None,
        streamed: false,
        roots: [("data".to_owned(), "/var/lib/x/data".to_owned())].into(),
        files,
        folders: Vec::new(),
        links: Vec::new(),
        left_out: Vec::new(),
        segments: all.segments.clone(),
    }
}

/// A tree of these files.
pub fn tree<const N: usize>(files: [(&str, &[u8]); N]) -> Tree {
    files.into_iter().map(|(path, bytes)| (path.to_owned(), bytes.to_vec())).collect()
}

/// Bytes that don't compress, always the same.
pub fn noise(seed: u32, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12345);
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[1]
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// A tar of these files, as a host would send it.
pub fn archive(files: &[(&String, &Vec<u8>)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o600);
        tar.append_data(&mut header, path, bytes.as_slice()).unwrap();
    }
    tar.into_inner().unwrap()
}

/// All files of a tree as a tar.
pub fn archive_of(tree: &Tree) -> Vec<u8> {
    archive(&tree.iter().collect::<Vec<_>>())
}

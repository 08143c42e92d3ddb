//! The snapshot store: segments of many files each, named by their SHA-256, and a manifest for each snapshot.
//!
//! ```text
//! fleet-store.json            format and id; what has no such file is no store
//! segments/ab/abcd….tar.zst   plain tar, zstd: `zstd -dc SEGMENT | tar x` needs no fleet
//! segments/ab/abcd….tar.age   keys, encrypted: `age -d -i KEY SEGMENT | tar x`
//! manifests/ID.json           written last of all: where it is, the snapshot is whole
//! manifests/ID.sha256         for `sha256sum -c manifests/ID.sha256` in the store's root
//! verified/ID.json            when the snapshot was read back
//! damaged/SHA256.json         segments that were found damaged: no snapshot is built on them
//! pending/ID/….json           segments of backups that aren't finished, with their files
//! pending/ID/commit.json      where the list is written and the manifest isn't yet
//! quarantine/MS/…             what a prune has set aside, by when (Unix ms)
//! locks/….json                leases of those who work here
//! ```
//!
//! A file that is larger than a segment is cut into pieces, each in a segment of its own, as `PATH.fleet-part-000000`
//! and so on; `cat PATH.fleet-part-*` joins them.

use std::ffi::OsString;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::runtime::Handle;

mod archive;
mod bucket;
mod copy;
mod damage;
mod encrypt;
mod extract;
mod folder;
mod hold;
mod intake;
mod layout;
mod manifests;
mod objects;
mod pending;
mod prune;
mod segment;
mod verified;
mod verify;

pub use bucket::Bucket;
pub use copy::Copied;
pub use damage::Usable;
pub use encrypt::LARGEST_ENCRYPTED;
pub use folder::Folder;
pub use hold::{Hold, Purpose};
pub use intake::{Batch, Cut, Expected, Taken};
pub use objects::{Object, Objects, Put};
pub use pending::Pending;
pub use prune::{Pruned, Times};
pub use verified::{Part, Verified};
pub use verify::{Checked, Flaw};

use crate::engine::{Clock, SystemClock};
use crate::error::{Error, Kind, Result};
use crate::model::size::size;
use crate::model::snapshot::{FORMAT, SegmentEntry, is_bucket, of_our_format, store_place};

/// A manifest of half a million files has about 100 MB; no more than this is read of any.
const LARGEST: u64 = 4 * 1024 * 1024 * 1024;

/// What must be free on a store's disk before a node is stopped for a backup, bytes.
const LEAST_FREE: u64 = 500_000_000;

/// A store that is there.
#[derive(Clone)]
pub struct Store {
    objects: Arc<dyn Objects>,
    clock: Arc<dyn Clock>,
    runtime: Handle,
}

/// What a place holds: a bucket where it is the address of one, else a folder.
fn objects(place: &Path) -> Result<Arc<dyn Objects>> {
    store_place(place.to_owned()).map_err(Error::usage)?;
    match place.to_str().filter(|_| is_bucket(place)) {
        Some(address) => {
            let named =
                |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
            Ok(Arc::new(Bucket::at(address, std::env::vars_os().filter_map(named))?))
        }
        None => Ok(Arc::new(Folder::new(place))),
    }
}

#[derive(Serialize, Deserialize)]
struct Mark {
    format: u32,
    id: String,
}

impl Store {
    /// The store in a folder or a bucket.
    pub async fn at(place: &Path) -> Result<Self> {
        Self::open(objects(place)?, Arc::new(SystemClock)).await
    }

    /// The store there; one is made if the place is empty or missing.
    pub async fn at_or_new(place: &Path) -> Result<Self> {
        Self::init(objects(place)?, Arc::new(SystemClock)).await
    }

    /// Refuses a place that is something else than a store or empty; changes nothing.
    pub async fn may_be_at(place: &Path) -> Result<()> {
        let store = Self { objects: objects(place)?, clock: Arc::new(SystemClock), runtime: Handle::current() };
        if store.is_empty().await? { Ok(()) } else { Self::at(place).await.map(drop) }
    }

    /// Refuses a folder on a disk that is full: no node should stand still for a copy that nothing takes in.
    pub fn has_room(place: &Path) -> Result<()> {
        let there = place.ancestors().find(|folder| folder.is_dir()).filter(|_| !is_bucket(place));
        let Some(disk) = there.and_then(|folder| rustix::fs::statvfs(folder).ok()) else { return Ok(()) };
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if free >= LEAST_FREE {
            return Ok(());
        }
        let text = format!(
            "{}: {} are free on its disk, {} at least are wanted",
            place.display(),
            size(free),
            size(LEAST_FREE)
        );
        Err(Error::new(Kind::Refused, text)
            .hint("make room (fleet snapshot prune) or name another store; nothing was changed"))
    }

    /// The store in these objects, which must be one.
    pub async fn open(objects: Arc<dyn Objects>, clock: Arc<dyn Clock>) -> Result<Self> {
        let store = Self { objects, clock, runtime: Handle::current() };
        match store.json::<Mark>(layout::MARK).await? {
            Some(_) => Ok(store),
            None if store.is_empty().await? => Err(Error::usage(format!("there is no store at {}", store.place()))
                .hint("the first backup makes it; is its disk mounted, and its path right?")),
            None => Err(store.no_store()),
        }
    }

    /// The store in these objects; one is made where nothing is yet.
    pub async fn init(objects: Arc<dyn Objects>, clock: Arc<dyn Clock>) -> Result<Self> {
        let store = Self { objects, clock, runtime: Handle::current() };
        if store.json::<Mark>(layout::MARK).await?.is_some() {
            return Ok(store);
        }
        if !store.is_empty().await? {
            return Err(store.no_store());
        }
        let mark = Mark { format: FORMAT, id: hex::encode(rand::random::<[u8; 16]>()) };
        match store.put_json(layout::MARK, &mark, Put::New).await {
            // Another one was quicker.
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(store.failed(layout::MARK, &error)),
            _ => Ok(store),
        }
    }

    fn no_store(&self) -> Error {
        Error::usage(format!("{} isn't a store of fleet, and it isn't empty", self.place()))
            .hint("name an empty folder, or the folder that has fleet-store.json in it")
    }

    async fn is_empty(&self) -> Result<bool> {
        self.objects.is_empty().await.map_err(|error| self.failed("", &error))
    }

    /// Where a segment is, for people.
    pub fn place_of(&self, segment: &SegmentEntry) -> String {
        format!("{}/{}", self.place(), layout::segment(segment))
    }

    /// Where it is, for people.
    pub fn place(&self) -> String {
        self.objects.place()
    }

    /// An error of the objects, for the operator.
    fn failed(&self, name: &str, error: &io::Error) -> Error {
        let place = self.place();
        let at = if name.is_empty() { place.clone() } else { format!("{place}: {name}") };
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::failed(format!("{at}: no space left"))
                .hint(format!(
                    "make room on its disk, or remove old snapshots: fleet snapshot prune --store {place} --dry-run"
                )),
            _ => Error::failed(format!("{at}: {error}")),
        }
    }

    /// All bytes of a small object; `None` where there is none.
    async fn bytes(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let failed = |error: &io::Error| self.failed(name, error);
        let file = match self.objects.open(name).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(|error| failed(&error))?,
        };
        let mut bytes = Vec::new();
        file.take(LARGEST).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
        Ok(Some(bytes))
    }

    /// A small object of our format; `None` where there is none.
    async fn json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let Some(bytes) = self.bytes(name).await? else { return Ok(None) };
        of_our_format(&bytes).map(Some).map_err(|mut error| {
            error.message = format!("{}: {name}: {}", self.place(), error.message);
            error
        })
    }

    async fn put_bytes(&self, name: &str, bytes: &[u8], how: Put) -> io::Result<()> {
        let mut file = self.objects.stage()?;
        file.write_all(bytes)?;
        self.objects.put(name, file, how).await
    }

    async fn put_json(&self, name: &str, value: &impl Serialize, how: Put) -> io::Result<()> {
        self.put_bytes(name, &serde_json::to_vec(value)?, how).await
    }

    async fn names(&self, under: &str) -> Result<Vec<Object>> {
        self.objects.list(under).await.map_err(|error| self.failed(under, &error))
    }

    async fn move_to(&self, from: &str, to: &str) -> Result<()> {
        self.objects.rename(from, to).await.map_err(|error| self.failed(from, &error))
    }

    /// Removes an object; one that isn't there any more is no error.
    async fn remove(&self, name: &str) -> Result<()> {
        match self.objects.remove(name).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.failed(name, &error)),
            _ => Ok(()),
        }
    }
}

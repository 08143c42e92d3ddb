//! Brings the databases of a snapshot to a host: proves the store, streams, hashes on the host.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tar::{Builder, EntryType, Header};
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::sleep;

use crate::app::execute::owner;
use crate::app::gather::{Depth, gather};
use crate::app::scope::hosts_of;
use crate::chain::verdict::diagnose;
use crate::engine::{Clock as _, Fault, Progress, Sent, Supply, SystemClock};
use crate::error::Error;
use crate::model::facts::Known;
use crate::model::inventory::Inventory;
use crate::model::plan::{Finding, Plan};
use crate::model::restore::ROOT;
use crate::model::snapshot::{FileEntry, Manifest};
use crate::model::verdict::ChainState;
use crate::ops::{self, Situation};
use crate::ssh::LinkError;
use crate::ssh::source::{Receiver, Receiving, Source, Unpacking};
use crate::ssh::transport::SshTransport;
use crate::store::{Hold, Part, Purpose, Store};

/// How often what doesn't match is sent: a link may die, or somebody else write there.
const ATTEMPTS: usize = 2;
/// What is kept free on the host beyond the files' bytes.
const SPARE: u64 = 16 << 20;
/// How long a host may take to tell its facts once more.
const FACTS: Duration = Duration::from_secs(30);
/// What is said of a pipe that its host has closed.
const TOOK_NO_MORE: &str = "the host took no more";

/// Sends the databases of one snapshot in one run.
pub struct Sender {
    pub transport: Arc<SshTransport>,
    pub inventory: Arc<Inventory>,
    /// Powers and addresses of an earlier gather.
    pub known: Known,
    /// Hosts at once.
    pub hosts: Semaphore,
    /// The store, from the first host on: a run that is past this goes on without it.
    pub source: OnceCell<Proven>,
}

/// A snapshot of which all is proven in its store.
pub struct Proven {
    store: Store,
    manifest: Arc<Manifest>,
    /// Keeps a prune away.
    _hold: Hold,
}

type Tell<'a> = &'a (dyn Fn(Progress) + Send + Sync);

#[async_trait]
impl Supply for Sender {
    async fn send(&self, sent: &Sent, tell: &(dyn Fn(Progress) + Send + Sync)) -> Result<(), Fault> {
        let _turn = self.hosts.acquire().await;
        let Proven { store, manifest, .. } = self.source.get_or_try_init(|| prove(sent, tell)).await?;
        let source = self.transport.source(&sent.target.service.host).await?;
        let folder = Receiver { run: &sent.run, db_dir: &sent.target.db_dir };
        let there = source.list(&[&folder.path()]).await.map_err(Fault::from)?;
        let there: u64 = there.iter().flatten().map(|found| found.size).sum();
        let bytes = (manifest.file_bytes() + SPARE).saturating_sub(there);
        source.open(folder, bytes, &sent.restore.entries).await.map_err(Fault::from)?;
        match bring(&source, folder, (store, manifest), tell).await {
            Ok(()) => source.close(folder, &sent.restore.entries).await.map_err(Fault::from),
            Err(Wrong::Link(fault)) => Err(fault),
            Err(Wrong::Content(text)) => {
                // What isn't what it should be is of no use to anybody.
                let _ = source.discard(folder).await;
                Err(Fault::answer(&text))
            }
        }
    }

    async fn check(&self, plan: &Plan) -> Result<(), String> {
        let chain = self.inventory.chains.get(&plan.chain).ok_or("its chain isn't in the inventory any more")?;
        let hosts = hosts_of(&self.inventory, &plan.chain);
        let now_ms = SystemClock.unix_ms();
        let facts = gather(&*self.transport, &self.inventory, (&hosts, Depth::Quick), now_ms, FACTS).await;
        let verdict = diagnose(chain, &self.inventory, &facts, None, &self.known);
        let situation = Situation {
            inventory: &self.inventory,
            facts: &facts,
            advancing: verdict.state == ChainState::Advancing,
            mute: None,
            last: None,
            cached_set: self.known.set.as_ref(),
            cached_addresses: Some(&self.known.addresses),
            genesis_content: BTreeMap::new(),
        };
        let findings = ops::against(plan, &situation);
        if findings.is_empty() { Ok(()) } else { Err(told(&findings)) }
    }
}

/// What of the findings counts, in a line.
fn told(findings: &[Finding]) -> String {
    let one = |one: &Finding| format!("{}: {}: {}", one.rule, one.services.join(", "), one.text);
    findings.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// Reads every segment and every file of the snapshot, before anything is sent.
async fn prove(sent: &Sent, tell: Tell<'_>) -> Result<Proven, Fault> {
    let store = Store::at(Path::new(&sent.restore.store)).await.map_err(Fault::from)?;
    let hold = store.hold(Purpose::Restore, &owner(), &sent.run).await.map_err(Fault::from)?;
    let id = &sent.restore.snapshot;
    let manifest = store.manifest(id).await.map_err(Fault::from)?;
    let all = manifest.segments.iter().map(|segment| segment.bytes).sum();
    let mut done = 0;
    let mut told = |bytes: u64| {
        done += bytes;
        tell(Progress { done, all });
    };
    let checked = store.verify(&BTreeSet::from([id.clone()]), Part::ALL, &mut told).await;
    match checked.map_err(Fault::from)?.flaws.first() {
        None => Ok(Proven { store, manifest: Arc::new(manifest), _hold: hold }),
        Some(flaw) => {
            hold.release().await;
            let text = format!(
                "{}: {}: {}; nothing was sent. Bring it back from a copy of the store, or restore another snapshot",
                store.place(),
                flaw.object,
                flaw.what
            );
            Err(Fault::answer(&text))
        }
    }
}

async fn bring(
    source: &Source,
    folder: Receiver<'_>,
    (store, manifest): (&Store, &Arc<Manifest>),
    tell: Tell<'_>,
) -> Result<(), Wrong> {
    let all = manifest.file_bytes();
    for _ in 0..ATTEMPTS {
        let missing = missing(source, folder, manifest).await?;
        if missing.is_empty() {
            return Ok(());
        }
        let bytes: u64 = manifest.files.iter().filter(|file| missing.contains(&file.path)).map(|file| file.size).sum();
        let counter = Arc::new(AtomicU64::new(all - bytes));
        pour(source.unpack(folder).await?, (store, manifest), missing, (&counter, all, tell)).await?;
    }
    let missing = missing(source, folder, manifest).await?;
    match missing.first() {
        None => Ok(()),
        Some(path) => Err(Wrong::Content(format!(
            "{} of the files aren't on the host what they are in the store, \"{path}\" for one; all was removed there",
            missing.len()
        ))),
    }
}

async fn pour(
    (receiving, unpacking): (Receiving, Unpacking),
    (store, manifest): (&Store, &Arc<Manifest>),
    files: BTreeSet<String>,
    (counter, all, tell): (&Arc<AtomicU64>, u64, Tell<'_>),
) -> Result<(), Wrong> {
    let (store, manifest, count) = (store.clone(), Arc::clone(manifest), Arc::clone(counter));
    let pouring = tokio::task::spawn_blocking(move || write(&store, &manifest, &files, receiving, &count));
    let telling = async {
        loop {
            sleep(Duration::from_secs(1)).await;
            tell(Progress { done: counter.load(Ordering::Relaxed), all });
        }
    };
    let poured = tokio::select! {
        poured = pouring => poured.map_err(|error| Fault::answer(&error.to_string()))?,
        never = telling => never,
    };
    let unpacked = unpacking.await.map_err(|error| Fault::answer(&error.to_string()))?;
    match (poured, unpacked) {
        // The host's own word tells more than the pipe that it closed.
        (Err(error), unpacked) if unpacked.is_ok() || error.message != TOOK_NO_MORE => Err(Fault::from(error).into()),
        (_, unpacked) => Ok(unpacked?),
    }
}

/// Why a snapshot isn't on its host.
enum Wrong {
    /// The way there: what has come stays for the next attempt.
    Link(Fault),
    /// What has come.
    Content(String),
}

impl From<Fault> for Wrong {
    fn from(fault: Fault) -> Self {
        Self::Link(fault)
    }
}

impl From<LinkError> for Wrong {
    fn from(error: LinkError) -> Self {
        Self::Link(error.into())
    }
}

/// Files of the manifest that aren't in the folder yet with their bytes, by their path in the manifest.
async fn missing(source: &Source, folder: Receiver<'_>, manifest: &Manifest) -> Result<BTreeSet<String>, Wrong> {
    let path = folder.path();
    let found = source.list(&[&path]).await?.into_iter().flatten();
    let mut wanted: BTreeMap<&str, &FileEntry> =
        manifest.files.iter().map(|file| (name_of(&file.path), file)).collect();
    let mut there = Vec::new();
    for one in found.filter(|one| one.kind != 'd' && !one.name.starts_with(b".fetch")) {
        let name = String::from_utf8_lossy(&one.name).into_owned();
        match wanted.get(name.as_str()) {
            Some(file) if one.kind == 'f' && file.size == one.size => there.push(name),
            Some(_) => {}
            None => {
                return Err(Wrong::Content(format!("{path}/{name} is no file of the snapshot; all was removed there")));
            }
        }
    }
    let hashes = source.hash(&path, &there).await?;
    for (name, sha256) in there.iter().zip(hashes) {
        if wanted.get(name.as_str()).is_some_and(|file| file.sha256 == sha256) {
            wanted.remove(name.as_str());
        }
    }
    Ok(wanted.into_values().map(|file| file.path.clone()).collect())
}

/// A file's name in the folder of the databases.
fn name_of(path: &str) -> &str {
    path.strip_prefix(ROOT).map_or(path, |rest| rest.trim_start_matches('/'))
}

/// Writes folders and these files as a tar archive.
fn write(
    store: &Store,
    manifest: &Manifest,
    files: &BTreeSet<String>,
    receiving: Receiving,
    count: &AtomicU64,
) -> Result<(), Error> {
    let pipe = |error: io::Error| match error.kind() {
        io::ErrorKind::BrokenPipe => Error::failed(TOOK_NO_MORE),
        _ => Error::failed(error.to_string()),
    };
    let mut tar = Builder::new(receiving);
    for folder in manifest.folders.iter().filter(|folder| folder.path != ROOT) {
        let mut header = header(EntryType::Directory, folder.mode, folder.mtime_ns, 0);
        tar.append_data(&mut header, name_of(&folder.path), io::empty()).map_err(pipe)?;
    }
    store.extract(manifest, |file| files.contains(&file.path), &mut |file, content| {
        let mut header = header(EntryType::Regular, file.mode, file.mtime_ns, file.size);
        tar.append_data(&mut header, name_of(&file.path), Counted { content, count }).map_err(pipe)
    })?;
    tar.into_inner().and_then(|mut receiving| receiving.flush()).map_err(pipe)
}

fn header(kind: EntryType, mode: u32, mtime_ns: i64, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode & 0o7777);
    header.set_mtime(u64::try_from(mtime_ns.div_euclid(1_000_000_000)).unwrap_or(0));
    header.set_size(size);
    header
}

/// Counts what is read.
struct Counted<'a> {
    content: &'a mut dyn Read,
    count: &'a AtomicU64,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.content.read(buffer)?;
        self.count.fetch_add(length as u64, Ordering::Relaxed);
        Ok(length)
    }
}

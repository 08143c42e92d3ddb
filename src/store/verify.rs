//! Reads snapshots back: every segment's name, every file's SHA-256 and size, in bounded memory.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read as _};

use serde::Serialize;

use super::manifests::checksums;
use super::segment::{Hashed, entries, hash};
use super::verified::Part;
use super::{Store, extract, layout};
use crate::error::{Error, Result};
use crate::model::snapshot::{Manifest, SegmentEntry};

/// What was read back.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Checked {
    /// Segments that were read.
    pub segments: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that were proven.
    pub files: u64,
    /// What is damaged.
    pub flaws: Vec<Flaw>,
    /// Snapshots of which nothing that was read is damaged.
    pub good: Vec<String>,
}

/// Something that is damaged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Flaw {
    /// What is wrong.
    pub what: String,
    /// The object of the store.
    pub object: String,
    /// The files that can't be read back.
    pub files: Vec<String>,
    /// The snapshots that need them.
    pub snapshots: Vec<String>,
}

/// A file that a segment must hold.
struct Want {
    size: u64,
    sha256: String,
    snapshots: Vec<usize>,
}

/// What a segment must hold, by name.
struct Holding {
    entry: SegmentEntry,
    snapshots: BTreeSet<usize>,
    files: BTreeMap<String, Vec<Want>>,
}

/// A file in pieces.
struct Joined {
    path: String,
    sha256: String,
    pieces: Vec<(SegmentEntry, String)>,
    snapshots: BTreeSet<usize>,
}

#[derive(Default)]
struct Plan {
    ids: Vec<String>,
    holdings: BTreeMap<String, Holding>,
    joined: BTreeMap<(String, String), Joined>,
    bytes: BTreeMap<String, u64>,
    checked: Checked,
}

impl Store {
    /// Reads `ids` back, or a part of the store. `told` hears the bytes of each segment that was read.
    ///
    /// What is damaged is no error but a flaw in what is returned. What was found is recorded for each snapshot.
    pub async fn verify(
        &self,
        ids: &BTreeSet<String>,
        part: Part,
        told: &mut (dyn FnMut(u64) + Send),
    ) -> Result<Checked> {
        let mut plan = Plan::default();
        for id in ids {
            match self.proven_manifest(id).await {
                Ok(manifest) => plan.add(&manifest, part)?,
                Err(error) => plan.checked.flaws.push(Flaw {
                    what: error.message,
                    object: layout::manifest(id),
                    files: Vec::new(),
                    snapshots: vec![id.clone()],
                }),
            }
        }
        let damaged = self.damaged().await?;
        for holding in std::mem::take(&mut plan.holdings).into_values() {
            let name = layout::segment(&holding.entry);
            told(holding.entry.bytes);
            let result = match self.objects.open(&name).await {
                Ok(file) => blocking(move || one(&file, holding)).await?,
                Err(error) => unreadable(holding, &error),
            };
            self.looked_at(&result.holding.entry.sha256, result.what.is_some(), &damaged).await?;
            plan.note(&name, result);
        }
        for (_, joined) in std::mem::take(&mut plan.joined) {
            told(joined.pieces.iter().map(|(segment, _)| segment.bytes).sum());
            let store = self.clone();
            let result = blocking(move || store.in_pieces(joined)).await?;
            let (Joined { pieces, .. }, found) = &result;
            for (segment, _) in pieces {
                // Of pieces that don't make the file, each may be the one; behind one that can't be read none was looked at.
                let ends = found.as_ref().is_some_and(|(object, _)| *object == layout::segment(segment));
                let any = found.as_ref().is_some_and(|(_, what)| what == WRONG_FILE);
                self.looked_at(&segment.sha256, ends || any, &damaged).await?;
                if ends && !any {
                    break;
                }
            }
            plan.note_joined(result);
        }
        self.record(ids, part, plan).await
    }

    /// The manifest, if its checksum list is that of its segments, too.
    async fn proven_manifest(&self, id: &str) -> Result<Manifest> {
        let json = self.manifest_bytes(id).await?;
        let manifest = self.manifest(id).await?;
        let sums = self.bytes(&layout::checksums(id)).await?.unwrap_or_default();
        if sums != checksums(&manifest, &json)?.as_bytes() {
            return Err(self.spoilt(id, Error::failed("its list of checksums isn't that of its segments")));
        }
        Ok(manifest)
    }

    async fn record(&self, ids: &BTreeSet<String>, part: Part, plan: Plan) -> Result<Checked> {
        let mut checked = plan.checked;
        let bad: BTreeSet<&String> = checked.flaws.iter().flat_map(|flaw| &flaw.snapshots).collect();
        for id in ids {
            if bad.contains(id) {
                self.was_bad(id).await?;
            } else {
                self.was_good(id, part, plan.bytes.get(id).copied().unwrap_or(0)).await?;
            }
        }
        checked.good = ids.iter().filter(|id| !bad.contains(id)).cloned().collect();
        Ok(checked)
    }

    fn in_pieces(&self, joined: Joined) -> (Joined, Option<(String, String)>) {
        let mut all = Hashed::new(io::sink());
        for (segment, name) in &joined.pieces {
            if let Err(error) = self.piece(segment, name, &mut all) {
                let found = Some((layout::segment(segment), error.message));
                return (joined, found);
            }
        }
        let (_, sha256, _) = all.finish();
        let first = joined.pieces.first().map(|(segment, _)| layout::segment(segment));
        let found = (sha256 != joined.sha256).then(|| (first.unwrap_or_default(), WRONG_FILE.to_owned()));
        (joined, found)
    }

    fn piece(&self, segment: &SegmentEntry, name: &str, all: &mut Hashed<io::Sink>) -> Result<()> {
        let damaged = |error: io::Error| Error::failed(error.to_string());
        let mut entries = entries(self.checked(segment)?).map_err(damaged)?;
        match entries.next()? {
            Some(entry) if entry.path == name && entry.size == segment.content_bytes => {
                io::copy(&mut entries, all).map_err(damaged)?;
            }
            _ => return Err(Error::failed("it doesn't hold the piece that it should")),
        }
        match entries.next()? {
            None => Ok(()),
            Some(_) => Err(Error::failed(TOO_MUCH)),
        }
    }
}

pub(super) const WRONG_NAME: &str = "its bytes aren't those it is named by";
const WRONG_FILE: &str = "a file in it has other bytes than it had";
const TOO_MUCH: &str = "it holds more than it should";

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::failed(error.to_string()))
}

/// What came of one segment.
struct Outcome {
    holding: Holding,
    /// What is wrong with it.
    what: Option<String>,
    /// Whether nothing in it can be used, as its name is wrong.
    whole: bool,
    /// Files that were not proven.
    damaged: Vec<String>,
    proven: u64,
}

/// Why an object can't be read.
pub(super) fn why(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::NotFound { "it is missing".to_owned() } else { error.to_string() }
}

fn unreadable(holding: Holding, error: &io::Error) -> Outcome {
    let damaged = holding.files.keys().cloned().collect();
    Outcome { holding, what: Some(why(error)), whole: true, damaged, proven: 0 }
}

/// What is encrypted can't be looked at: its files are as good as its name is.
fn encrypted(holding: Holding, named: bool) -> Outcome {
    let damaged = if named { Vec::new() } else { holding.files.keys().cloned().collect() };
    let proven = if named { holding.files.len() as u64 } else { 0 };
    Outcome { holding, what: (!named).then(|| WRONG_NAME.to_owned()), whole: !named, damaged, proven }
}

/// Reads one segment. One whose name is wrong is read all the same, to tell what in it is still good.
fn one(file: &File, holding: Holding) -> Outcome {
    let named = match hash(file) {
        Ok((sha256, bytes)) => sha256 == holding.entry.sha256 && bytes == holding.entry.bytes,
        Err(error) => return unreadable(holding, &error),
    };
    if holding.entry.is_encrypted() {
        return encrypted(holding, named);
    }
    let mut left: BTreeSet<&str> = holding.files.keys().map(String::as_str).collect();
    let mut proven = 0;
    let walked = walk(file, &holding, &mut |name, good| {
        if good && left.remove(name) {
            proven += 1;
        }
    });
    let mut damaged: Vec<String> = left.into_iter().map(str::to_owned).collect();
    damaged.sort();
    let what = match walked {
        _ if !named => Some(WRONG_NAME.to_owned()),
        Err(error) => Some(error.message),
        Ok(()) if !damaged.is_empty() => Some(WRONG_FILE.to_owned()),
        Ok(()) => None,
    };
    Outcome { holding, what, whole: !named, damaged, proven }
}

/// Tells of each file that should be in it whether it is as it was. Nothing makes it read more than the manifest says.
fn walk(file: &File, holding: &Holding, found: &mut dyn FnMut(&str, bool)) -> Result<()> {
    let damaged = |error: io::Error| Error::failed(error.to_string());
    let mut entries = entries(file.try_clone().map_err(damaged)?).map_err(damaged)?;
    let mut left = holding.entry.content_bytes;
    while let Some(entry) = entries.next()? {
        let Some(rest) = left.checked_sub(entry.size).filter(|_| entry.size > 0) else {
            return Err(Error::failed(TOO_MUCH));
        };
        left = rest;
        let Some((name, wants)) = holding.files.get_key_value(&entry.path) else { continue };
        let (sha256, bytes) = hash((&mut entries).take(entry.size)).map_err(damaged)?;
        found(name, wants.iter().all(|want| want.sha256 == sha256 && want.size == bytes));
    }
    if left > 0 { Err(Error::failed("it holds less than it should")) } else { Ok(()) }
}

impl Plan {
    fn add(&mut self, manifest: &Manifest, part: Part) -> Result<()> {
        let snapshot = self.ids.len();
        self.ids.push(manifest.id.clone());
        let mut of_pieces = BTreeSet::new();
        for file in manifest.files.iter().filter(|file| file.segments.len() > 1) {
            let pieces = file.places().map(|(number, name)| Ok((extract::segment(manifest, number)?.clone(), name)));
            let pieces: Vec<(SegmentEntry, String)> = pieces.collect::<Result<_>>()?;
            of_pieces.extend(file.segments.iter().copied());
            if !pieces.first().is_some_and(|(segment, _)| part.has(&segment.sha256)) {
                continue;
            }
            let bytes: u64 = pieces.iter().map(|(segment, _)| segment.bytes).sum();
            *self.bytes.entry(manifest.id.clone()).or_default() += bytes;
            let names: Vec<&str> = pieces.iter().map(|(segment, _)| segment.sha256.as_str()).collect();
            let key = (file.path.clone(), format!("{} {}", file.sha256, names.join(" ")));
            let (path, sha256) = (file.path.clone(), file.sha256.clone());
            let joined =
                self.joined.entry(key).or_insert_with(|| Joined { path, sha256, pieces, snapshots: BTreeSet::new() });
            joined.snapshots.insert(snapshot);
        }
        for (number, segment) in (0u32..).zip(&manifest.segments) {
            if !of_pieces.contains(&number) && part.has(&segment.sha256) {
                let fresh = || Holding { entry: segment.clone(), snapshots: BTreeSet::new(), files: BTreeMap::new() };
                self.holdings.entry(segment.sha256.clone()).or_insert_with(fresh).snapshots.insert(snapshot);
                *self.bytes.entry(manifest.id.clone()).or_default() += segment.bytes;
            }
        }
        for file in manifest.files.iter().filter(|file| file.segments.len() == 1) {
            let segment = extract::segment(manifest, file.segments[0])?;
            let Some(holding) = self.holdings.get_mut(&segment.sha256) else { continue };
            let wants = holding.files.entry(file.path.clone()).or_default();
            if let Some(want) = wants.iter_mut().find(|want| want.sha256 == file.sha256 && want.size == file.size) {
                want.snapshots.push(snapshot);
            } else {
                let sha256 = file.sha256.clone();
                wants.push(Want { size: file.size, sha256, snapshots: vec![snapshot] });
            }
        }
        Ok(())
    }

    fn names(&self, snapshots: impl IntoIterator<Item = usize>) -> Vec<String> {
        let snapshots: BTreeSet<usize> = snapshots.into_iter().collect();
        snapshots.into_iter().filter_map(|snapshot| self.ids.get(snapshot).cloned()).collect()
    }

    fn note(&mut self, object: &str, result: Outcome) {
        self.checked.segments += 1;
        self.checked.bytes += result.holding.entry.bytes;
        self.checked.files += result.proven;
        let Some(what) = result.what else { return };
        let holding = result.holding;
        let of_files = result.damaged.iter().filter_map(|file| holding.files.get(file)).flatten();
        let snapshots = if result.whole || result.damaged.is_empty() {
            self.names(holding.snapshots.iter().copied())
        } else {
            self.names(of_files.flat_map(|want| want.snapshots.iter().copied()))
        };
        self.checked.flaws.push(Flaw { what, object: object.to_owned(), files: result.damaged, snapshots });
    }

    fn note_joined(&mut self, (joined, found): (Joined, Option<(String, String)>)) {
        self.checked.segments += joined.pieces.len() as u64;
        self.checked.bytes += joined.pieces.iter().map(|(segment, _)| segment.bytes).sum::<u64>();
        match found {
            None => self.checked.files += 1,
            Some((object, what)) => {
                let snapshots = self.names(joined.snapshots.iter().copied());
                self.checked.flaws.push(Flaw { what, object, files: vec![joined.path], snapshots });
            }
        }
    }
}

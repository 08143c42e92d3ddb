//! Brings a snapshot's files: hashed at the source, streamed, hashed as received.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::future::join_all;

use super::choose::{Known, parts, worth};
use super::counters::Counters;
use super::keep::Keeper;
use crate::engine::{Fault, Progress, Wanted};
use crate::model::snapshot::{FileEntry, Gathered};
use crate::ssh::source::Source;
use crate::store::{Batch, Cut, Expected, Usable};

/// What one stream may bring alone, bytes: another connection is worth its time only for more.
const OF_ONE: u64 = 64 << 20;
/// How often a part of a clone is asked for: nothing changes there, but the link may die.
const ATTEMPTS: usize = 2;
/// How often a file is asked for that may have changed between its hash and its bytes.
const ATTEMPTS_LIVE: usize = 8;

/// A root's name, and where it is on the host.
type Place<'a> = (&'a str, &'a str);
/// Files by their place.
pub type Listed<'a> = BTreeMap<Place<'a>, Vec<(String, Expected)>>;

impl Keeper {
    /// Hashes and streams what isn't known; the bytes that came.
    pub(super) async fn bring_all(
        &self,
        wanted: &Wanted,
        (batch, source): (&Batch, &Source),
        (known, usable, listed): (&Known<'_>, &Usable, Listed<'_>),
        gathered: &mut Gathered,
        tell: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<u64, Fault> {
        let all: u64 = listed.values().flatten().map(|(_, file)| file.size).sum();
        let (done, came) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let pending = self.store.pending().await.map_err(Fault::from)?;
        let mut there = Known::default();
        for record in pending.iter().filter(|record| record.batch.host == batch.host) {
            there.add(worth(&record.files, &record.segments, |segment| usable.has(segment)), &record.segments);
        }
        let counters = Counters { done, came: Arc::clone(&came), all, tell };
        for (place, files) in listed {
            let bytes: u64 = files.iter().map(|(_, file)| file.size).sum();
            let streams = bytes.div_ceil(OF_ONE).clamp(1, self.streams);
            // The first goes over the connection that is there.
            let open = std::iter::once(Some(source.clone())).chain(std::iter::repeat(None));
            let brought = parts(files, streams).into_iter().zip(open).map(|(part, source)| {
                self.bring_part(wanted, (batch, source), (place, part), [known, &there], &counters)
            });
            for taken in join_all(brought).await {
                for one in taken? {
                    for file in &one.files {
                        gathered.add(file, &one.segments).map_err(Fault::from)?;
                    }
                }
            }
        }
        Ok(came.load(Ordering::Relaxed))
    }

    /// What fails is looked at again. Of hosts that run on a file may be written all the time: one that has changed meanwhile
    /// comes by itself from then on, with nothing else between its hash and its bytes.
    async fn bring_part(
        &self,
        wanted: &Wanted,
        (batch, source): (&Batch, Option<Source>),
        (place, part): (Place<'_>, Vec<(String, Expected)>),
        known: [&Known<'_>; 2],
        counters: &Counters<'_>,
    ) -> Result<Vec<Gathered>, Fault> {
        let attempts = if wanted.item.profile.is_sealed() { ATTEMPTS } else { ATTEMPTS_LIVE };
        let mut source = match source {
            Some(source) => self.alive(source, batch).await?,
            None => self.source(batch).await?,
        };
        let (mut brought, mut waiting) = (Vec::new(), vec![(part, 1)]);
        while let Some((part, attempt)) = waiting.pop() {
            match self.try_part(&source, batch, (place, &part), known, counters).await {
                Ok(taken) => brought.extend(taken),
                Err(fault) if attempt == attempts => return Err(fault),
                Err(_) => {
                    source = self.alive(source, batch).await?;
                    let now = self.look_again(wanted, &source, place.0, &part).await?;
                    let (same, moved): (Vec<_>, Vec<_>) =
                        now.into_iter().zip(&part).partition(|(now, before)| now == *before);
                    let same: Vec<(String, Expected)> = same.into_iter().map(|(now, _)| now).collect();
                    waiting.extend((!same.is_empty()).then_some((same, attempt + 1)));
                    waiting.extend(moved.into_iter().map(|(now, _)| (vec![now], attempt + 1)));
                }
            }
        }
        Ok(brought)
    }

    async fn try_part(
        &self,
        source: &Source,
        batch: &Batch,
        ((root, folder), part): (Place<'_>, &[(String, Expected)]),
        known: [&Known<'_>; 2],
        counters: &Counters<'_>,
    ) -> Result<[Gathered; 2], Fault> {
        let names: Vec<String> = part.iter().map(|(name, _)| name.clone()).collect();
        let hashes = source.hash(folder, &names).await.map_err(Fault::from)?;
        let (mut again, mut reused) = (BTreeMap::new(), Gathered::default());
        for ((name, expected), sha256) in part.iter().zip(hashes) {
            let (path, expected) = (format!("{root}/{name}"), Expected { sha256, ..expected.clone() });
            match known.iter().find_map(|known| known.same(&path, &expected)) {
                Some((file, segments)) => {
                    counters.reuse(expected.size);
                    reused.add(&now(file, &expected), segments).map_err(Fault::from)?;
                }
                None => {
                    again.insert(path, expected);
                }
            }
        }
        if again.is_empty() {
            return Ok([reused, Gathered::default()]);
        }
        Ok([reused, self.stream(source, batch, (root, folder), &again, counters).await?])
    }

    /// The same files as they are now; one that is gone is an error of its own.
    async fn look_again(
        &self,
        wanted: &Wanted,
        source: &Source,
        root: &str,
        part: &[(String, Expected)],
    ) -> Result<Vec<(String, Expected)>, Fault> {
        let mut chosen = self.choose(wanted, source).await?;
        let now = |(name, _): &(String, Expected)| {
            let gone = || Fault::answer(&format!("{root}/{name} is gone since it was listed"));
            let found = chosen.files.remove(&(root.to_owned(), name.clone())).ok_or_else(gone)?;
            Ok((name.clone(), found))
        };
        part.iter().map(now).collect()
    }

    async fn stream(
        &self,
        source: &Source,
        batch: &Batch,
        (root, folder): (&str, &str),
        files: &BTreeMap<String, Expected>,
        counters: &Counters<'_>,
    ) -> Result<Gathered, Fault> {
        let below = |path: &String| path.strip_prefix(root).map_or("", |rest| rest.trim_start_matches('/')).to_owned();
        let names: Vec<String> = files.keys().map(below).collect();
        let packed = source.pack(root, folder, &names).await.map_err(Fault::from)?;
        let (store, batch, files) = (self.store.clone(), batch.clone(), files.clone());
        counters.count(move |told| store.take(&batch, Cut::default(), files, packed, told)).await
    }
}

/// A known file with the times it has now.
fn now(file: &FileEntry, found: &Expected) -> FileEntry {
    FileEntry { mode: found.mode, mtime_ns: found.mtime_ns, inode: found.inode, ..file.clone() }
}

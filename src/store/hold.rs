//! Leases on the store: backups, restores, copies and verifications go on beside each other; a prune is alone.
//!
//! A lease is put first and the others are looked at then, so that of two that exclude each other at least one sees
//! the other. It counts by its end; a holder that couldn't renew it in time stops by itself.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::objects::Put;
use super::{Store, layout};
use crate::engine::Clock;
use crate::error::{Error, Kind, Result};
use crate::model::snapshot::{FORMAT, id_flaw};

/// So long a lease counts after its last renewal, ms.
const LEASE_MS: i64 = 120_000;
const RENEWED_EVERY: Duration = Duration::from_secs(30);
/// Of two that meet, one comes again after this, so often.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
const TRIES: u32 = 3;

/// What somebody does in a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// Brings a snapshot in.
    Backup,
    /// Reads snapshots back.
    Verify,
    /// Brings a snapshot to a host.
    Restore,
    /// Copies snapshots to or from another store.
    Copy,
    /// Removes snapshots, and segments that none needs.
    Prune,
}

impl Purpose {
    /// Whether both can't go on at once.
    pub fn excludes(self, other: Self) -> bool {
        self == Self::Prune || other == Self::Prune
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Backup => "backup",
            Self::Verify => "verification",
            Self::Restore => "restore",
            Self::Copy => "copy",
            Self::Prune => "prune",
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Lease {
    format: u32,
    purpose: Purpose,
    owner: String,
    run: String,
    since_ms: i64,
    until_ms: i64,
}

/// A lease that is held and renewed until this is released or dropped.
pub struct Hold {
    clock: Arc<dyn Clock>,
    until_ms: Arc<AtomicI64>,
    stop: oneshot::Sender<()>,
    renewing: JoinHandle<()>,
}

impl Store {
    /// Takes a lease. `owner` is whom others are told of, `run` an id that nobody else has; a lease that the same run
    /// has left is taken over.
    ///
    /// # Errors
    /// `Locked` when somebody works here who excludes this.
    pub async fn hold(&self, purpose: Purpose, owner: &str, run: &str) -> Result<Hold> {
        if let Some(flaw) = id_flaw(run) {
            return Err(Error::usage(format!("\"{}\" is no id of a run: {flaw}", run.escape_debug())));
        }
        let now = self.clock.unix_ms();
        let (owner, run) = (owner.to_owned(), run.to_owned());
        let lease = Lease { format: FORMAT, purpose, owner, run, since_ms: now, until_ms: now + LEASE_MS };
        let name = format!("{}/{}.json", layout::LOCKS, lease.run);
        let mut tries = 0;
        loop {
            self.put_lease(&name, &lease).await.map_err(|error| self.failed(&name, &error))?;
            match self.excluding(&lease).await {
                Ok(None) => break,
                found => {
                    self.remove(&name).await?;
                    let Some(other) = found? else { break };
                    tries += 1;
                    if tries == TRIES || lease.run > other.run {
                        return Err(self.locked(&other));
                    }
                }
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
        let swept = self.objects.sweep().await;
        let hold = self.held(name, lease);
        swept.map_err(|error| self.failed("", &error)).map(|()| hold)
    }

    async fn put_lease(&self, name: &str, lease: &Lease) -> io::Result<()> {
        self.put_json(name, lease, Put::Replace).await
    }

    /// Another lease that excludes this one; those that have run out are removed.
    async fn excluding(&self, own: &Lease) -> Result<Option<Lease>> {
        for object in self.names(layout::LOCKS).await? {
            let Some(other) = self.json::<Lease>(&object.name).await? else { continue };
            if other.run == own.run {
                continue;
            }
            if other.until_ms <= self.clock.unix_ms() {
                self.remove(&object.name).await?;
            } else if own.purpose.excludes(other.purpose) {
                return Ok(Some(other));
            }
        }
        Ok(None)
    }

    fn locked(&self, other: &Lease) -> Error {
        let since = jiff::Timestamp::from_millisecond(other.since_ms)
            .map_or_else(|_| other.since_ms.to_string(), |time| time.strftime("%F %T UTC").to_string());
        let (place, purpose, owner) = (self.place(), other.purpose, &other.owner);
        let text = format!("{place}: {owner} holds it for a {purpose} since {since}, run {}", other.run);
        Error::new(Kind::Locked, text)
            .hint("wait for its end; the lock of a fleet that died runs out within two minutes by itself")
    }

    fn held(&self, name: String, lease: Lease) -> Hold {
        let until_ms = Arc::new(AtomicI64::new(lease.until_ms));
        let (stop, stopped) = oneshot::channel();
        let renewing = tokio::spawn(renew(self.clone(), name, lease, Arc::clone(&until_ms), stopped));
        Hold { clock: Arc::clone(&self.clock), until_ms, stop, renewing }
    }
}

async fn renew(
    store: Store,
    name: String,
    mut lease: Lease,
    until_ms: Arc<AtomicI64>,
    mut stop: oneshot::Receiver<()>,
) {
    while tokio::time::timeout(RENEWED_EVERY, &mut stop).await.is_err() {
        let now = store.clock.unix_ms();
        // One that has run out may have been taken for dead.
        if now >= lease.until_ms {
            return;
        }
        let next = Lease { until_ms: now + LEASE_MS, ..lease.clone() };
        if store.put_lease(&name, &next).await.is_ok() {
            until_ms.store(next.until_ms, Ordering::Relaxed);
            lease = next;
        }
    }
    let _ = store.remove(&name).await;
}

impl Hold {
    /// An error if the lease has run out, so that others may be at work.
    pub fn check(&self) -> Result<()> {
        if self.clock.unix_ms() < self.until_ms.load(Ordering::Relaxed) {
            return Ok(());
        }
        Err(Error::failed("the lease on the store could not be renewed and has run out").hint("start again"))
    }

    /// Gives the lease back. One that is dropped is given back as well, but later.
    pub async fn release(self) {
        drop(self.stop);
        let _ = self.renewing.await;
    }
}

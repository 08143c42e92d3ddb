//! Removes snapshots, and later the segments that none needs any more.
//!
//! What goes is moved into quarantine, what is needed is looked up again, and only what has lain there for a grace
//! time is removed: a backup that, by whatever mishap, went on beside the prune finds its segments again.

use std::collections::BTreeSet;

use serde::Serialize;

use super::hold::Hold;
use super::{Store, layout};
use crate::error::{Error, Result};

/// How long what isn't needed is kept all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// In quarantine, ms.
    pub grace_ms: i64,
    /// Segments of a backup that was cut off and not taken up again, ms.
    pub pending_ms: i64,
}

impl Default for Times {
    fn default() -> Self {
        let day_ms = 24 * 3600 * 1000;
        Self { grace_ms: day_ms, pending_ms: 7 * day_ms }
    }
}

/// What a prune did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Pruned {
    /// Segments set aside.
    pub set_aside: u64,
    /// Their bytes, which are free after the grace time.
    pub set_aside_bytes: u64,
    /// Segments brought back, for they are needed after all.
    pub brought_back: u64,
    /// Objects removed that had been set aside long enough.
    pub removed: u64,
    /// Their bytes.
    pub removed_bytes: u64,
}

impl Store {
    /// Removes the snapshots `go`, sets aside the segments that none of the others needs, and removes what was set
    /// aside long enough ago.
    ///
    /// # Errors
    /// When any manifest or pending record can't be read: nothing is changed then.
    pub async fn prune(&self, hold: &Hold, go: &BTreeSet<String>, times: Times) -> Result<Pruned> {
        let now = self.clock.unix_ms();
        self.needed(now - times.pending_ms).await?;
        for id in go {
            hold.check()?;
            let name = layout::manifest(id);
            self.move_to(&name, &layout::set_aside(&name, now)).await?;
            self.remove(&layout::verified(id)).await?;
        }
        self.set_lists_aside(hold, now).await?;
        self.drop_old_pending(hold, now - times.pending_ms).await?;
        let mut pruned = Pruned::default();
        let needed = self.needed(i64::MIN).await?;
        for object in self.names(layout::SEGMENTS).await? {
            if layout::segment_of(&object.name).is_some_and(|segment| !needed.contains(segment)) {
                hold.check()?;
                self.move_to(&object.name, &layout::set_aside(&object.name, now)).await?;
                if let Some(segment) = layout::segment_of(&object.name) {
                    self.remove(&layout::damaged(segment)).await?;
                }
                pruned.set_aside += 1;
                pruned.set_aside_bytes += object.size;
            }
        }
        self.empty_quarantine(hold, now - times.grace_ms, &mut pruned).await?;
        Ok(pruned)
    }

    /// Segments that a manifest needs, or a pending record made since then.
    async fn needed(&self, since_ms: i64) -> Result<BTreeSet<String>> {
        let mut needed = BTreeSet::new();
        for (_, summary) in self.summaries().await? {
            let stop = |error: Error| error.hint("nothing was removed");
            needed.extend(summary.map_err(stop)?.segments.into_iter().map(|segment| segment.sha256));
        }
        let records = self.pending_records().await?;
        let young = records.into_values().filter(|record| record.made_ms >= since_ms);
        needed.extend(young.flat_map(|record| record.segments).map(|segment| segment.sha256));
        Ok(needed)
    }

    /// Checksum lists whose manifest isn't there.
    async fn set_lists_aside(&self, hold: &Hold, now: i64) -> Result<()> {
        let ids = self.ids().await?;
        for object in self.names(layout::MANIFESTS).await? {
            if layout::list_of(&object.name).is_some_and(|id| !ids.contains(id)) {
                hold.check()?;
                self.move_to(&object.name, &layout::set_aside(&object.name, now)).await?;
            }
        }
        Ok(())
    }

    async fn drop_old_pending(&self, hold: &Hold, before_ms: i64) -> Result<()> {
        for (name, record) in self.pending_records().await? {
            if record.made_ms < before_ms {
                hold.check()?;
                self.remove(&name).await?;
            }
        }
        Ok(())
    }

    /// Brings back what is needed after all and removes what was set aside before `before_ms`.
    async fn empty_quarantine(&self, hold: &Hold, before_ms: i64, pruned: &mut Pruned) -> Result<()> {
        let there = self.segment_sizes().await?;
        let mut missing = self.needed(i64::MIN).await?;
        missing.retain(|segment| !there.contains_key(segment));
        for object in self.names(layout::QUARANTINE).await? {
            let Some((since_ms, name)) = layout::set_aside_since(&object.name) else { continue };
            hold.check()?;
            if layout::segment_of(name).is_some_and(|segment| missing.contains(segment)) {
                self.move_to(&object.name, name).await?;
                pruned.brought_back += 1;
            } else if since_ms < before_ms {
                self.remove(&object.name).await?;
                pruned.removed += 1;
                pruned.removed_bytes += object.size;
            }
        }
        Ok(())
    }
}

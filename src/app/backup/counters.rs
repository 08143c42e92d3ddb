//! How far an item has come.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::engine::{Fault, Progress};
use crate::error::Error;
use crate::model::snapshot::Gathered;

/// What all parts of an item have in common.
pub struct Counters<'a> {
    /// Bytes that are there.
    pub done: Arc<AtomicU64>,
    /// Bytes that came for it.
    pub came: Arc<AtomicU64>,
    /// Bytes that have to come; 0 when unknown.
    pub all: u64,
    /// Hears how far it has come.
    pub tell: &'a (dyn Fn(Progress) + Send + Sync),
}

impl Counters<'_> {
    /// Takes a stream in on a thread of its own, and tells meanwhile how far it has come.
    pub async fn count(
        &self,
        take: impl FnOnce(&mut dyn FnMut(u64)) -> Result<Gathered, Error> + Send + 'static,
    ) -> Result<Gathered, Fault> {
        let (done, came) = (Arc::clone(&self.done), Arc::clone(&self.came));
        let taking = tokio::task::spawn_blocking(move || {
            take(&mut |bytes| {
                done.fetch_add(bytes, Ordering::Relaxed);
                came.fetch_add(bytes, Ordering::Relaxed);
            })
        });
        let telling = async {
            loop {
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                self.tell();
            }
        };
        tokio::select! {
            taken = taking => taken.map_err(|error| Fault::answer(&error.to_string()))?.map_err(Fault::from),
            never = telling => never,
        }
    }

    /// Counts what is there already.
    pub fn reuse(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Tells how far it has come.
    pub fn tell(&self) {
        let done = self.done.load(Ordering::Relaxed);
        (self.tell)(Progress { done, all: self.all.max(done) });
    }
}

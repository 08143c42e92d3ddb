//! Brings dumps of databases into the store: streamed as they are made, and hashed as they come.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::choose::Chosen;
use super::counters::Counters;
use super::keep::{Keeper, kept};
use crate::engine::{Fault, Progress, Wanted};
use crate::model::backup::{Kept, Postgres};
use crate::model::snapshot::{Gathered, LeftOut};
use crate::store::{Batch, Cut};

/// Bytes of a dump in one segment; two are held in memory.
const PIECE: u64 = 32 << 20;
/// What dumps of databases don't hold.
const SERVER: &str = "roles and their passwords are the server's, not a database's: pg_dumpall --globals-only";

impl Keeper {
    pub(super) async fn dump(
        &self,
        wanted: &Wanted,
        batch: &Batch,
        postgres: &Postgres,
        tell: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Kept, Fault> {
        let source = self.source(batch).await?;
        let came = Arc::new(AtomicU64::new(0));
        let counters = Counters { done: Arc::default(), came: Arc::clone(&came), all: 0, tell };
        let mut gathered = Gathered::default();
        for database in &postgres.databases {
            let dumped = source.dump(&postgres.user, database).await.map_err(Fault::from)?;
            let (store, batch) = (self.store.clone(), batch.clone());
            let (path, cut) = (format!("postgres/{database}.sql"), Cut { content: PIECE, ..Cut::default() });
            let taken = counters.count(move |told| store.take_stream(&batch, cut, &path, dumped, told)).await?;
            for file in &taken.files {
                gathered.add(file, &taken.segments).map_err(Fault::from)?;
            }
        }
        let left_out = vec![LeftOut { path: "postgres".into(), reason: SERVER.into() }];
        let chosen = Chosen { left_out, ..Chosen::default() };
        let parent = self.parent(batch).await.map_err(Fault::from)?.map(|parent| parent.id);
        let about = self.about(wanted, None, &chosen).await;
        let manifest = self.commit(wanted, about, batch, (chosen, gathered), parent).await?;
        Ok(kept(&manifest, came.load(Ordering::Relaxed)))
    }
}

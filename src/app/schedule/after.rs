//! What follows a scheduled backup: its snapshots are read back, old ones go, and others are told.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::clock::{call, said};
use crate::app::context::Context;
use crate::app::signals;
use crate::app::snapshot::{prove as read_back, prune_by};
use crate::engine::Interrupt;
use crate::error::{Error, Kind, Result};
use crate::journal::put;
use crate::model::backup::Kept;
use crate::model::inventory::{Inventory, Schedule};
use crate::model::schedule::Record;
use crate::ops::schedule::{due_ms, period_ms};
use crate::render::metrics::{Told, textfile};
use crate::render::words::counted;
use crate::store::{Part, Store};

/// Reads back what was made and prunes by `[backup.keep]`; in words what was done. An interrupt leaves it.
pub async fn prove(
    inventory: &Inventory,
    schedule: &Schedule,
    kept: &[(String, Kept)],
    record: &mut Record,
) -> Result<String> {
    let mut interrupt = signals::listen().map_err(|error| Error::failed(format!("signals: {error}")))?;
    tokio::select! {
        done = prove_and_prune(inventory, schedule, kept, record) => done,
        Ok(level) = interrupt.wait_for(|level| *level != Interrupt::None) => match *level {
            Interrupt::Gently(signal) | Interrupt::Now(signal) => {
                Err(Error::new(Kind::Interrupted(signal), "interrupted while its snapshots were read back"))
            }
            Interrupt::None => Err(Error::failed("interrupted by nothing")),
        },
    }
}

async fn prove_and_prune(
    inventory: &Inventory,
    schedule: &Schedule,
    kept: &[(String, Kept)],
    record: &mut Record,
) -> Result<String> {
    if kept.is_empty() {
        return Ok("no snapshot".to_owned());
    }
    let store = Store::at(&schedule.store).await?;
    let came: BTreeMap<&str, u64> = kept.iter().map(|(_, one)| (one.snapshot.as_str(), one.came)).collect();
    let ids: BTreeSet<String> = came.keys().map(|id| (*id).to_owned()).collect();
    let checked = read_back(&store, &ids, Part::ALL).await?;
    for id in &checked.good {
        record.add(&store.summary(id).await?, came.get(id.as_str()).copied().unwrap_or(0));
    }
    if let Some(flaw) = checked.flaws.first() {
        let text = format!("damaged: {}: {}", flaw.object, flaw.what);
        return Err(Error::failed(text).hint(format!("fleet snapshot verify --store {}", store.place())));
    }
    let proven = format!("{} proven", counted(ids.len(), "snapshot"));
    let keep = &inventory.backup.keep;
    if !keep.is_any() {
        return Ok(proven);
    }
    match prune_by(&store, keep).await {
        Ok(gone) => Ok(format!("{proven}, {gone} pruned")),
        // Somebody works in the store; the next run prunes.
        Err(error) if error.kind == Kind::Locked => Ok(proven),
        Err(error) => Err(Error { message: format!("prune: {}", error.message), ..error }),
    }
}

/// Leaves the textfile, or says why not.
pub fn measure(
    context: &Context,
    schedule: &Schedule,
    chain_id: &str,
    record: &Record,
) -> std::result::Result<(), String> {
    let Some(path) = &schedule.metrics else { return Ok(()) };
    let now_ms = context.now_ms();
    let next_ms = due_ms(&context.inventory.name, schedule, record, now_ms);
    let period_ms = period_ms(&schedule.rule, now_ms);
    let told = Told { chain_id, schedule: &schedule.name, record, next_ms, period_ms };
    // node_exporter is another user.
    put(path, textfile(&told).as_bytes(), 0o644)
        .map_err(|error| format!("its metrics weren't written: {}: {error}{}", path.display(), missing(path)))
}

fn missing(path: &Path) -> String {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir());
    folder.map(|folder| format!("\nnext: mkdir -p {}", folder.display())).unwrap_or_default()
}

/// Fetches the URL with curl, which knows TLS, proxies and redirects; the URL, itself a secret, is not in its arguments.
pub async fn ping(url: &str) -> std::result::Result<(), String> {
    let args = ["--silent", "--show-error", "--fail", "--location", "--max-time", "20", "--retry", "2"];
    let args = [&args[..], &["--output", "/dev/null", "--config", "-"]].concat();
    match call("curl", &args, &format!("url = \"{url}\"\n")).await {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("its ping failed: {}", said(&output))),
        Err(error) => Err(format!("its ping failed: curl: {error}")),
    }
}

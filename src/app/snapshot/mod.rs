//! `fleet snapshot`: lists, shows, proves, compares, copies and prunes snapshots; needs no host.

mod change;
mod look;
pub(super) mod pick;

pub use change::{prove, prune_by};

use std::path::PathBuf;

use crate::app::execute::owner;
use crate::app::load;
use crate::cli::{Global, SnapshotCommand, StoreArgs};
use crate::engine::{Clock as _, SystemClock};
use crate::error::{Error, Result};
use crate::journal::new_id;
use crate::model::inventory::Inventory;
use crate::model::snapshot::{is_bucket, store_place};
use crate::store::{Hold, Purpose, Store};

/// `fleet snapshot …`
pub fn snapshot(global: &Global, command: &SnapshotCommand) -> Result<u8> {
    let runtime = tokio::runtime::Runtime::new().map_err(|error| Error::failed(error.to_string()))?;
    runtime.block_on(async {
        match command {
            SnapshotCommand::List { store } => look::list(global, &opened(global, store).await?).await,
            SnapshotCommand::Show { id, files, store } => {
                look::show(global, &opened(global, store).await?, id, *files).await
            }
            SnapshotCommand::Diff { from, to, store } => {
                look::diff(global, &opened(global, store).await?, from, to).await
            }
            SnapshotCommand::Verify(args) => change::verify(global, &opened(global, &args.store).await?, args).await,
            SnapshotCommand::Prune(args) => change::prune(global, &opened(global, &args.store).await?, args).await,
            SnapshotCommand::Copy { to, ids, store } => {
                change::copy(global, &opened(global, store).await?, to, ids).await
            }
        }
    })
}

fn inventory(global: &Global) -> Result<Inventory> {
    load::inventory(global.inventory.as_deref())
}

async fn opened(global: &Global, args: &StoreArgs) -> Result<Store> {
    let path = match &args.store {
        Some(path) => path.clone(),
        None => place(args, &inventory(global)?)?,
    };
    Store::at(&path).await
}

/// The store that is named, else that of the inventory; as it is named from anywhere.
pub fn place(args: &StoreArgs, inventory: &Inventory) -> Result<PathBuf> {
    let named = args.store.clone().or_else(|| inventory.backup.store.clone()).ok_or_else(|| {
        Error::usage("no store is named")
            .hint("name one with --store DIR, or in the inventory: [backup] store = \"/srv/snapshots\"")
    })?;
    let named = store_place(named).map_err(|flaw| Error::usage(format!("--store: {flaw}")))?;
    if is_bucket(&named) {
        return Ok(named);
    }
    std::path::absolute(named).map_err(|error| Error::usage(format!("--store: {error}")))
}

/// A lease on the store, for a run of its own.
async fn hold(store: &Store, purpose: Purpose) -> Result<Hold> {
    store.hold(purpose, &owner(), &new_id(SystemClock.unix_ms())).await
}

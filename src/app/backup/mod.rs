//! `fleet backup`.

mod bring;
mod choose;
mod clone;
mod counters;
mod dump;
mod keep;
mod keys;
mod node;
mod scope;
mod secrets;
mod statesync;

use std::path::Path;
use std::sync::Arc;

use tokio::sync::{Mutex, Semaphore};

use crate::app::context::Context;
use crate::app::execute::Finished;
use crate::app::gather::{Depth, gather};
use crate::app::operate::{millis, plan_and_run};
use crate::app::scope::hosts_of;
use crate::app::snapshot::place;
use crate::cli::BackupArgs;
use crate::engine::Archive;
use crate::error::{Error, Result};
use crate::model::backup::{AT_ONCE, Profile};
use crate::model::inventory::{Chain, rate};
use crate::model::plan::{Operation, Plan};
use crate::model::selector::{Selector, select};
use crate::ops::{BackupOf, Request};
use crate::ssh::rate::Rate;
use crate::store::Store;
use keep::Keeper;
pub use scope::{Asked, scope_of};

/// Copies of nodes, and of other hosts, into a store.
pub async fn backup(context: &Context, args: &BackupArgs) -> Result<u8> {
    Ok(back_up(context, args).await?.map_or(0, |finished| finished.exit))
}

/// The same, and what came of it; `None` where the operator left or only looked.
pub async fn back_up(context: &Context, args: &BackupArgs) -> Result<Option<Finished>> {
    let selector = context.selector(args.selector.as_deref())?;
    let asked = Asked::named(&args.profile, &context.inventory)?;
    let scope = scope_of(&context.inventory, selector.as_deref(), &asked)?;
    let store = place(&args.store, &context.inventory)?;
    let named = selector.as_deref().and_then(|text| Selector::parse(text).ok());
    let named = named.map(|selector| selector.naming(&context.inventory)).unwrap_or_default();
    let asked = BackupOf {
        store: utf8(&store)?,
        profiles: asked.profiles,
        lists: asked.lists,
        named,
        parallel: args.parallel.or(context.inventory.backup.parallel).unwrap_or(AT_ONCE).get(),
        streams: args.streams.or(context.inventory.backup.streams).unwrap_or(AT_ONCE).get(),
        rate: match &args.limit_rate {
            Some(text) => {
                Some(rate(text).map_err(|(what, hint)| Error::usage(format!("--limit-rate: {what}")).hint(hint))?)
            }
            None => context.inventory.backup.rate,
        },
        recipients: context.inventory.backup.recipients.clone(),
    };
    if asked.profiles.contains(&Profile::Keys) && asked.recipients.is_empty() {
        let what = "keys are kept only encrypted, and the inventory names nobody who can read them";
        return Err(Error::usage(what).hint(
            "make two keys by age-keygen, keep them off this machine, and name their recipients: [backup] recipients = \
             [\"age1…\", \"age1…\"]",
        ));
    }
    Store::may_be_at(&store).await?;
    context.must_be_able_to_confirm(&args.confirm)?;
    let chain = context.inventory.chain(&scope.chain).unwrap_or(Chain::NONE);
    let allow_missing = match &args.allow_missing {
        Some(text) => select(text, &context.inventory)?.hosts,
        None => Vec::new(),
    };
    let request = Request {
        backup: Some(asked),
        allow_missing,
        stop_timeout_ms: millis(args.stop_timeout),
        ..Request::of(Operation::Backup, &scope.chain, scope.hosts.clone(), context.now_ms(), &args.confirm.accept)
    };
    request.check()?;
    let mut hosts = hosts_of(&context.inventory, &scope.chain);
    hosts.extend(scope.hosts.iter().filter(|host| !hosts.contains(host)).cloned().collect::<Vec<_>>());
    let bound = args.confirm.facts_timeout;
    let facts = gather(&*context.transport, &context.inventory, (&hosts, Depth::Full), context.now_ms(), bound).await;
    plan_and_run(context, chain, &request, &facts, (&args.confirm, None)).await
}

/// Where a plan's copies go; `None` for a plan that makes none.
pub async fn archive(context: &Context, plan: &Plan) -> Result<Option<Arc<dyn Archive>>> {
    let Some(backup) = &plan.backup else { return Ok(None) };
    if backup.items.iter().any(|item| item.profile.is_sealed()) {
        Store::has_room(Path::new(&backup.store))?;
    }
    let store = Store::at_or_new(Path::new(&backup.store)).await?;
    Ok(Some(Arc::new(Keeper {
        transport: Arc::clone(&context.transport),
        store,
        rate: backup.rate.map(|rate| Arc::new(Rate::new(rate))),
        hosts: Semaphore::new(backup.parallel),
        streams: backup.streams as u64,
        hold: Mutex::new(None),
    })))
}

fn utf8(path: &Path) -> Result<String> {
    let text = path.to_str().ok_or_else(|| Error::usage("--store: its path isn't UTF-8"))?;
    Ok(text.to_owned())
}

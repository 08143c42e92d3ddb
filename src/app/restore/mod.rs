//! `fleet restore`.

mod release;
mod send;

use std::path::Path;
use std::sync::Arc;

use tokio::sync::{OnceCell, Semaphore};

use crate::app::context::Context;
use crate::app::gather::{Depth, gather};
use crate::app::operate::{millis, plan_and_run};
use crate::app::scope::{hosts_of, scope};
use crate::app::snapshot::{pick, place};
use crate::cli::{RestoreArgs, RestoreCommand};
use crate::engine::Supply;
use crate::error::{Error, Kind, Result};
use crate::journal::powers;
use crate::model::backup::Profile;
use crate::model::plan::{Operation, Plan};
use crate::model::restore::Restore;
use crate::model::snapshot::Manifest;
use crate::ops::{Request, RestoreOf};
use crate::store::Store;

use send::Sender;

/// Brings nodes' databases back from a snapshot.
pub async fn restore(context: &Context, args: &RestoreArgs) -> Result<u8> {
    if let Some(RestoreCommand::Release(args)) = &args.command {
        return release::release(context, args).await;
    }
    let selector = args.hosts.iter().map(|one| format!("({one})")).collect::<Vec<_>>().join(" or ");
    let scope = scope(&context.inventory, context.selector(Some(&selector))?.as_deref())?;
    let chain = &context.inventory.chains[&scope.chain];
    let path = place(&args.store, &context.inventory)?;
    let store = Store::at(&path).await?;
    let asked = asked(&store, &path, args, &chain.chain_id).await?;
    context.must_be_able_to_confirm(&args.confirm)?;
    let request = Request {
        restore: Some(asked),
        stop_timeout_ms: millis(args.stop_timeout),
        block_timeout_ms: millis(args.catch_up),
        ..Request::of(Operation::Restore, &scope.chain, scope.hosts.clone(), context.now_ms(), &args.confirm.accept)
    };
    request.check()?;
    let hosts = hosts_of(&context.inventory, &scope.chain);
    let bound = args.confirm.facts_timeout;
    let facts = gather(&*context.transport, &context.inventory, (&hosts, Depth::Full), context.now_ms(), bound).await;
    let finished = plan_and_run(context, chain, &request, &facts, (&args.confirm, None)).await?;
    Ok(finished.map_or(0, |finished| finished.exit))
}

/// Where a plan's snapshot comes from; `None` for a plan that brings none back.
pub fn supply(context: &Context, plan: &Plan) -> Option<Arc<dyn Supply>> {
    let restore = plan.restore.as_ref()?;
    Some(Arc::new(Sender {
        transport: Arc::clone(&context.transport),
        inventory: Arc::clone(&context.inventory),
        known: powers::load(&context.places, &plan.chain_id).unwrap_or_default(),
        hosts: Semaphore::new(restore.parallel),
        source: OnceCell::new(),
    }))
}

/// What the snapshot holds, by its manifest.
async fn asked(store: &Store, path: &Path, args: &RestoreArgs, chain_id: &str) -> Result<RestoreOf> {
    let id = wanted(store, args.snapshot.as_deref().unwrap_or_default(), chain_id).await?;
    let manifest = store.manifest(&id).await?;
    if manifest.profile == Profile::Keys.name() {
        return Err(by_hand(store, &manifest));
    }
    store.has_segments(&manifest).await?;
    let place = path.to_str().ok_or_else(|| Error::usage("--store: its path isn't UTF-8"))?;
    let restore = Restore::of(&manifest, place, args.parallel.get())?;
    let no_node = || Error::usage(format!("{id} doesn't tell of which chain it is")).hint("fleet snapshot show");
    let node = manifest.node.ok_or_else(no_node)?;
    Ok(RestoreOf { restore, node, catch_up_ms: millis(args.catch_up) })
}

/// Keys are never written by fleet.
fn by_hand(store: &Store, manifest: &Manifest) -> Error {
    let text = format!("refused: {} holds keys of {}, and fleet writes none", manifest.id, manifest.service);
    let refused = Error::new(Kind::Refused, text).hint(
        "a validator's key that is on two machines signs twice, which is punished for good: first prove that the old machine \
         never starts again, and bring its priv_validator_state.json",
    );
    let of = |segment| format!("where the identity is: age -d -i IDENTITY {} | tar x", store.place_of(segment));
    manifest.segments.iter().map(of).fold(refused, Error::hint)
}

/// The id that is meant; the latest is that of databases of this chain, of one host or any.
async fn wanted(store: &Store, text: &str, chain_id: &str) -> Result<String> {
    let host = text.strip_suffix("latest").and_then(|rest| rest.strip_suffix(':'));
    if text != "latest" && host.is_none() {
        return pick::one(store, text).await;
    }
    for id in store.ids().await?.iter().rev() {
        let summary = store.summary(id).await?;
        let of_chain = summary.node.is_some_and(|node| node.chain_id == chain_id);
        if of_chain && summary.profile == Profile::Data.name() && host.is_none_or(|host| host == summary.host) {
            return Ok(id.clone());
        }
    }
    let of = host.map_or_else(String::new, |host| format!(" of {host}"));
    Err(Error::usage(format!("there is no snapshot of databases{of} of {chain_id} in {}", store.place()))
        .hint("see what there is: fleet snapshot list"))
}

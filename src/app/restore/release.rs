//! `fleet restore release`.

use std::io::Write as _;

use crate::app::context::{Context, turned_down};
use crate::app::gather::{Depth, gather};
use crate::app::scope::scope;
use crate::cli::ReleaseArgs;
use crate::error::{Error, Kind, Result};
use crate::model::inventory::ServiceId;
use crate::model::size::size;
use crate::ssh::LinkError;
use crate::ssh::source::{Kept, Receiver, Source};

/// A node, and what is kept there.
struct Found {
    service: ServiceId,
    unit: String,
    db_dir: String,
    source: Source,
    kept: Vec<Kept>,
}

/// Removes the old databases that restores have kept.
pub async fn release(context: &Context, args: &ReleaseArgs) -> Result<u8> {
    let scope = scope(&context.inventory, context.selector(Some(&args.selector))?.as_deref())?;
    let (hosts, bound) = ((&*scope.hosts, Depth::Quick), args.facts_timeout);
    let facts = gather(&*context.transport, &context.inventory, hosts, context.now_ms(), bound).await;
    let hosts = scope.hosts.iter().filter_map(|host| context.inventory.host(host));
    let services = hosts.flat_map(|host| &host.services).filter(|one| one.chain.as_ref() == Some(&scope.chain));
    let mut found = Vec::new();
    for service in services {
        let config = facts.service(&service.id).and_then(|facts| facts.config.as_ref());
        let config = config.ok_or_else(|| unreadable(&service.id))?;
        let source = context.transport.source(&service.id.host).await;
        let source = source.map_err(|fault| Error::failed(fault.reason))?;
        let mut kept = source.kept(&config.db_dir).await.map_err(failed)?;
        kept.retain(|one| args.run.as_ref().is_none_or(|run| *run == one.run));
        let (service, unit, db_dir) = (service.id.clone(), service.unit.clone(), config.db_dir.clone());
        found.push(Found { service, unit, db_dir, source, kept });
    }
    found.retain(|one| !one.kept.is_empty());
    if found.is_empty() {
        let _ = writeln!(context.for_people(), "nothing is kept there");
        return Ok(0);
    }
    for one in &found {
        for Kept { run, bytes } in &one.kept {
            let _ = writeln!(context.for_people(), "{}  run {run}: {} in {}", one.service, size(*bytes), one.db_dir);
        }
    }
    if !args.yes && !context.yes_to("Remove them for good?")? {
        return Err(turned_down());
    }
    Ok(remove(context, &found).await)
}

async fn remove(context: &Context, found: &[Found]) -> u8 {
    let mut exit = 0;
    for one in found {
        for Kept { run, .. } in &one.kept {
            let removed = one.source.release(Receiver { run, db_dir: &one.db_dir }, &one.unit).await;
            let _ = match removed {
                Ok(()) => writeln!(context.for_people(), "{}  run {run}: removed", one.service),
                Err(error) => {
                    exit = Kind::Incomplete.exit_code();
                    writeln!(context.for_people(), "{}  run {run}: {}", one.service, error.message)
                }
            };
        }
    }
    exit
}

fn unreadable(service: &ServiceId) -> Error {
    Error::failed(format!("{service}: where its databases are can't be told")).hint("see why: fleet status")
}

fn failed(error: LinkError) -> Error {
    Error { hints: error.hint.into_iter().collect(), ..Error::failed(error.message) }
}

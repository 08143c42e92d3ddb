//! `fleet wal restore`.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::timeout;

use super::revive::request;
use super::{config_of, facts};
use crate::app::context::Context;
use crate::app::operate::plan_and_run;
use crate::app::scope::{Scope, scope};
use crate::chain::wal::back;
use crate::cli::WalRestoreArgs;
use crate::engine::wal;
use crate::error::{Error, Kind, Result};
use crate::model::facts::Facts;
use crate::model::inventory::ServiceId;
use crate::model::plan::Operation;

/// Restarts nodes with the logs that were set aside last, where nothing has been signed since.
pub async fn restore(context: &Context, args: &WalRestoreArgs) -> Result<u8> {
    let scope = scope(&context.inventory, context.selector(Some(&args.selector))?.as_deref())?;
    context.must_be_able_to_confirm(&args.confirm)?;
    let chain = &context.inventory.chains[&scope.chain];
    let facts = facts(context, chain, args.confirm.facts_timeout).await;
    let against = against(context, &scope, &facts, args.confirm.facts_timeout).await;
    if !against.is_empty() {
        let text = format!("refused: {}\n  nothing was changed", against.join("; "));
        return Err(Error::new(Kind::Refused, text).hint(
            "a node gets back the log that was set aside last, as long as it has signed nothing since: fleet wal show",
        ));
    }
    let request =
        request(context, Operation::RestoreWal, &scope.chain, scope.hosts.clone(), &args.confirm, &args.watch);
    let finished = plan_and_run(context, chain, &request, &facts, (&args.confirm, Some(&args.watch))).await?;
    Ok(finished.map_or(0, |finished| finished.exit))
}

/// Which nodes keep the log they have, and why.
async fn against(context: &Context, scope: &Scope, facts: &Facts, bound: Duration) -> Vec<String> {
    let hosts = scope.hosts.iter().filter_map(|host| context.inventory.host(host));
    let services = hosts.flat_map(|host| &host.services);
    let of_chain = services.filter(|service| service.chain.as_ref() == Some(&scope.chain));
    let looks = of_chain.map(|service| async move {
        let reason = match timeout(bound, look(context, facts, &service.id)).await {
            Ok(Ok(reason)) => reason?,
            Ok(Err(why)) => format!("can't be looked at: {why}"),
            Err(_) => format!("can't be looked at: no answer in {} s", bound.as_secs()),
        };
        Some(format!("{} {reason}", service.id))
    });
    join_all(looks).await.into_iter().flatten().collect()
}

async fn look(context: &Context, facts: &Facts, service: &ServiceId) -> std::result::Result<Option<String>, String> {
    let config = config_of(facts, service)?;
    if !config.remote_signer.is_empty() {
        return Ok(Some("has a remote signer: what that has signed since can't be told".into()));
    }
    let files = wal::files(&*context.transport, &service.host, &config.wal_file, &config.state_file).await;
    files.map(|files| back::against(&files)).map_err(|fault| fault.reason)
}

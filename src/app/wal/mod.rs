//! `fleet wal`: looking at write-ahead logs, and what is done with them.

pub mod bundle;
pub mod restore;
pub mod revive;

use std::time::Duration;

use futures::future::join_all;
use tokio::time::timeout;

use crate::app::context::Context;
use crate::app::gather::{Depth, gather};
use crate::app::memory;
use crate::app::scope::{hosts_of, scope};
use crate::chain::wal::survey::{Node, Survey};
use crate::cli::{Output, WalShowArgs};
use crate::engine::wal::{self, Which};
use crate::error::Result;
use crate::model::facts::{Facts, HostFacts, KeyFacts, NodeConfig};
use crate::model::inventory::{Chain, ServiceId};
use crate::model::wal::WalReport;
use crate::render;

/// Shows the logs of the selected nodes; what is mute is told from all of the chain's.
pub async fn show(context: &Context, args: &WalShowArgs) -> Result<u8> {
    let scope = scope(&context.inventory, context.selector(args.selector.as_deref())?.as_deref())?;
    let chain = &context.inventory.chains[&scope.chain];
    let (mut report, mut silent) = look(context, chain, args).await?;
    if !report.mute.is_empty() {
        let again;
        (again, silent) = look(context, chain, args).await?;
        report = report.looked_at_again(again);
    }
    report.logs.retain(|row| {
        row.service.as_ref().is_none_or(|service| service.host.contains(':') || scope.hosts.contains(&service.host))
    });
    if context.global.output == Output::Text {
        context.print(&render::wal::wal_text(&report, context.width(), context.color()));
    } else {
        context.print(&render::wal::wal_json(&report).to_string());
    }
    Ok(match (report.mute.is_empty(), silent) {
        (false, _) => 1,
        (true, true) => 4,
        (true, false) => 0,
    })
}

/// What all logs of the chain tell, and whether any could not be read.
async fn look(context: &Context, chain: &Chain, args: &WalShowArgs) -> Result<(WalReport, bool)> {
    let bundled = bundle::load(&args.from, &chain.chain_id)?;
    let facts = facts(context, chain, args.timeout).await;
    let mut nodes = read(context, chain, &facts, Which::All, args.timeout).await;
    nodes.extend(bundled);
    let report = survey(context, chain, &facts).await.report(&nodes);
    Ok((report, nodes.iter().any(|node| node.logs.is_err())))
}

/// The facts of every host of the chain.
pub(super) async fn facts(context: &Context, chain: &Chain, bound: Duration) -> Facts {
    let hosts = hosts_of(&context.inventory, &chain.name);
    gather(&*context.transport, &context.inventory, (&hosts, Depth::Quick), context.now_ms(), bound).await
}

/// The logs of every node of the chain.
pub(super) async fn read(context: &Context, chain: &Chain, facts: &Facts, which: Which, bound: Duration) -> Vec<Node> {
    let hosts = hosts_of(&context.inventory, &chain.name);
    // A silent host's validator is known from an earlier gather.
    let known = memory::powers(context, chain, facts).addresses;
    let of_host = |host: &String| context.inventory.host(host).into_iter().flat_map(|host| &host.services);
    let services = hosts.iter().flat_map(of_host).filter(|service| service.chain.as_ref() == Some(&chain.name));
    let known = &known;
    join_all(services.map(|service| async move {
        let address = address_of(facts, &service.id).or_else(|| known.get(&service.id.to_string()).cloned());
        let logs = match timeout(bound, logs_of(context, facts, &service.id, which)).await {
            Ok(logs) => logs,
            Err(_) => Err(format!("no answer in {} s", bound.as_secs())),
        };
        Node { service: service.id.clone(), address, logs }
    }))
    .await
}

async fn logs_of(
    context: &Context,
    facts: &Facts,
    service: &ServiceId,
    which: Which,
) -> std::result::Result<crate::chain::wal::found::NodeLogs, String> {
    let config = config_of(facts, service)?;
    let state_file = if config.remote_signer.is_empty() { &*config.state_file } else { "" };
    let files = (&*config.wal_file, state_file);
    wal::read(&*context.transport, &service.host, files, which).await.map_err(|fault| fault.reason)
}

/// The config of a node; an error says why it isn't known.
fn config_of<'a>(facts: &'a Facts, service: &ServiceId) -> std::result::Result<&'a NodeConfig, String> {
    let found = match facts.hosts.get(&service.host) {
        Some(HostFacts::Silent(silence)) => return Err(silence.reason.clone()),
        _ => facts.service(service).ok_or("its host told nothing of it")?,
    };
    let why = found.config_error.clone().unwrap_or_else(|| "its config could not be read".into());
    found.config.as_ref().ok_or(why)
}

fn address_of(facts: &Facts, service: &ServiceId) -> Option<String> {
    match &facts.service(service)?.key {
        KeyFacts::Present { address, .. } => Some(address.clone()),
        _ => None,
    }
}

/// What nodes' RPC tells of the height in progress: of those that answer, the one that is furthest.
pub(super) async fn survey<'a>(context: &Context, chain: &'a Chain, facts: &Facts) -> Survey<'a> {
    let mut told: Vec<(u64, ServiceId, String)> = Vec::new();
    for (service, facts) in facts.services() {
        let Some(status) = facts.rpc.status.as_ref().filter(|status| status.chain_id == chain.chain_id) else {
            continue;
        };
        let named = context.inventory.service(&service).and_then(|service| service.rpc.clone());
        let configured = facts.config.as_ref().and_then(|config| config.rpc.clone());
        told.extend(named.or(configured).map(|rpc| (status.height, service, rpc)));
    }
    told.sort_by_key(|(height, ..)| std::cmp::Reverse(*height));
    let mut survey = Survey {
        chain_id: &chain.chain_id,
        initial_height: 1,
        reported: told.first().map_or(0, |(height, ..)| *height),
        voters: None,
    };
    for (_, service, rpc) in told {
        survey.voters = wal::voters(&*context.transport, &service.host, &rpc, &chain.chain_id).await;
        if survey.voters.is_some() {
            break;
        }
    }
    survey
}

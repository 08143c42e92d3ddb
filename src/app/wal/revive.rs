//! `fleet wal revive`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;

use futures::future::join;

use super::{bundle, facts, read, survey};
use crate::app::context::Context;
use crate::app::execute::Finished;
use crate::app::memory;
use crate::app::operate::{millis, plan_and_run};
use crate::app::scope::scope;
use crate::chain::verdict::diagnose;
use crate::chain::wal::record;
use crate::chain::wal::survey::Node;
use crate::cli::{ConfirmArgs, Output, WalReviveArgs, WatchArgs};
use crate::engine::Ended;
use crate::engine::wal::Which;
use crate::error::{Error, Kind, Result};
use crate::model::facts::{Facts, KeyFacts, ServiceFacts};
use crate::model::inventory::{Chain, ServiceId};
use crate::model::plan::{Operation, WalContent};
use crate::model::verdict::ChainState;
use crate::ops::Request;
use crate::ops::wal::{Revival, against, told};
use crate::render::refusal::refusal_text;
use crate::render::wal::revival_text;

/// Gives one node without power every message of the height in progress, and gives it its own log back when no block
/// comes of it.
pub async fn revive(context: &Context, args: &WalReviveArgs) -> Result<u8> {
    let scope = scope(&context.inventory, context.selector(None)?.as_deref())?;
    context.must_be_able_to_confirm(&args.confirm)?;
    let chain = &context.inventory.chains[&scope.chain];
    let bundled = bundle::load(&args.from, &chain.chain_id)?;
    let facts = facts(context, chain, args.confirm.facts_timeout).await;
    let known = memory::powers(context, chain, &facts);
    if diagnose(chain, &context.inventory, &facts, None, &known).state == ChainState::Advancing {
        let after = chain.halt_after.as_secs();
        return Err(Error::usage(format!("{} advances: there is nothing to revive", chain.chain_id))
            .hint(format!("if it has just stopped: it counts as such {after} s after its last block (halt_after)")));
    }
    let on = carrier(context, chain, &facts, args.on.as_deref())?;
    // Its lease's connection is there when the plan is.
    context.links.open_ahead(&on.host);
    let log = match log_for(context, args, chain, &facts, (&on, bundled)).await {
        Ok(log) => log,
        Err(refusal) => {
            context.links.close_ahead().await;
            return Err(refusal);
        }
    };
    let wals = BTreeMap::from([(on.to_string(), log)]);
    let request =
        request(context, Operation::ReviveWal, &scope.chain, vec![on.host.clone()], &args.confirm, &args.watch);
    let request = Request { wals, ..request };
    let finished = plan_and_run(context, chain, &request, &facts, (&args.confirm, Some(&args.watch))).await?;
    match finished {
        Some(Finished { ended: Ended::NoBlock(_), exit, .. }) => {
            let _ = writeln!(context.for_people(), "no block came: {on} gets its own log back");
            put_back(context, chain, &on, args).await?;
            Ok(exit)
        }
        Some(finished) => Ok(finished.exit),
        None => Ok(0),
    }
}

/// The log for the node `on`, out of all logs and these bundles; an error says what speaks against it.
async fn log_for(
    context: &Context,
    args: &WalReviveArgs,
    chain: &Chain,
    facts: &Facts,
    (on, bundled): (&ServiceId, Vec<Node>),
) -> Result<WalContent> {
    let reading = read(context, chain, facts, Which::OfHeight, args.confirm.facts_timeout);
    let (mut nodes, survey) = join(reading, survey(context, chain, facts)).await;
    let mut running = running(facts, &nodes);
    // Whoever sends a bundle keeps its nodes running.
    running.extend(bundled.iter().map(|node| node.service.clone()));
    nodes.extend(bundled);
    let revival = survey
        .revive(&nodes, &running, on, record::time(context.now_ms()))
        .map_err(|reason| refused(&reason).hint("look at what there is: fleet wal show"))?;
    let findings = against(&revival, &args.confirm.accept);
    tell(context, &revival, on);
    if findings.is_empty() {
        Ok(WalContent::new(&revival.log))
    } else {
        Err(Error::new(Kind::Refused, refusal_text(&findings, context.width())))
    }
}

async fn put_back(context: &Context, chain: &Chain, on: &ServiceId, args: &WalReviveArgs) -> Result<()> {
    let facts = facts(context, chain, args.confirm.facts_timeout).await;
    let confirm = ConfirmArgs { yes: true, plan_digest: None, ..args.confirm.clone() };
    let hosts = vec![on.host.clone()];
    let request = request(context, Operation::RestoreWal, &chain.name, hosts, &confirm, &args.watch);
    plan_and_run(context, chain, &request, &facts, (&confirm, None)).await.map(drop)
}

/// What is asked of the planner.
pub(super) fn request(
    context: &Context,
    operation: Operation,
    chain: &str,
    hosts: Vec<String>,
    confirm: &ConfirmArgs,
    watch: &WatchArgs,
) -> Request {
    Request {
        block_timeout_ms: millis(watch.block_timeout),
        ..Request::of(operation, chain, hosts, context.now_ms(), &confirm.accept)
    }
}

/// The node that hands out the messages: one that signs nothing, runs, and stands at the chain's height, for only such a
/// one replays its log.
fn carrier(context: &Context, chain: &Chain, facts: &Facts, named: Option<&str>) -> Result<ServiceId> {
    let height = |facts: &ServiceFacts| {
        facts.rpc.status.as_ref().filter(|status| status.chain_id == chain.chain_id).map(|status| status.height)
    };
    let highest = facts.services().filter_map(|(_, facts)| height(facts)).max();
    let fits = |facts: &ServiceFacts| !has_key(facts) && highest.is_some() && height(facts) == highest;
    let of_chain =
        |id: &ServiceId| context.inventory.service(id).is_some_and(|one| one.chain.as_ref() == Some(&chain.name));
    let mut fitting = facts.services().filter(|(id, facts)| of_chain(id) && fits(facts)).map(|(id, _)| id);
    let found = match named {
        Some(host) => fitting.find(|id| id.host == host),
        None => fitting.next(),
    };
    found.ok_or_else(|| {
        let what = named.map_or_else(|| "no node".to_owned(), |host| format!("{host} isn't one that"));
        refused(&format!("{what} signs nothing, runs, and stands at the chain's height"))
            .hint("start a sentry that is in sync (fleet start sentry-1) and try again")
    })
}

fn has_key(facts: &ServiceFacts) -> bool {
    let remote = facts.config.as_ref().is_some_and(|config| !config.remote_signer.is_empty());
    let power = facts.rpc.status.as_ref().is_some_and(|status| status.voting_power > 0);
    remote || power || !matches!(facts.key, KeyFacts::Missing | KeyFacts::Present { .. })
}

fn running(facts: &Facts, nodes: &[Node]) -> BTreeSet<ServiceId> {
    let runs = |service: &ServiceId| facts.service(service).is_some_and(|facts| facts.unit.main_pid > 0);
    nodes.iter().map(|node| node.service.clone()).filter(runs).collect()
}

pub(super) fn refused(reason: &str) -> Error {
    Error::new(Kind::Refused, format!("refused (wal-strands): {reason}\n  nothing was changed"))
}

/// What was found and what is expected, before the plan.
fn tell(context: &Context, revival: &Revival, on: &ServiceId) {
    if context.global.output == Output::Text {
        context.print(&revival_text(&told(revival, on), context.width()));
    }
}

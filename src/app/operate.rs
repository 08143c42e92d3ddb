//! Every operation on a chain goes this way: gather, plan, confirm, execute, report.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::app::confirm::Choice;
use crate::app::context::{Context, turned_down};
use crate::app::execute::{self, Begin, Finished};
use crate::app::gather::{Depth, gather};
use crate::app::scope::{Scope, hosts_of, scope};
use crate::app::wal::bundle;
use crate::app::when::future_ms;
use crate::app::{memory, signals, watch};
use crate::chain::signer::committed;
use crate::chain::verdict::diagnose;
use crate::cli::{ClearArgs, ConfirmArgs, HaltArgs, RestartArgs, StartArgs, StopArgs, WalClearArgs, WatchArgs};
use crate::engine::Ended;
use crate::error::{Error, Kind, Result};
use crate::model::facts::{Facts, Known, NodeStatus};
use crate::model::inventory::{Chain, Inventory, ServiceId};
use crate::model::plan::{Operation, Plan};
use crate::model::selector::select;
use crate::model::verdict::{Cause, ChainState};
use crate::ops::{self, Clear, Planned, Request, Situation};
use crate::render::refusal::refusal_text;

/// What the operator asked for, whatever the verb.
pub struct Asked<'a> {
    operation: Operation,
    selector: Option<&'a str>,
    start_at: Option<&'a str>,
    stop: StopArgs,
    watch: Option<&'a WatchArgs>,
    confirm: &'a ConfirmArgs,
    /// Whose logs to clear, and how.
    clear: Option<(&'a str, &'a ClearArgs)>,
}

/// `fleet halt`
pub async fn halt(context: &Context, args: &HaltArgs) -> Result<u8> {
    let asked = Asked {
        operation: Operation::Halt,
        selector: args.selector.as_deref(),
        start_at: None,
        stop: args.stop.clone(),
        watch: None,
        confirm: &args.confirm,
        clear: None,
    };
    operate(context, &asked).await
}

/// `fleet start`
pub async fn start(context: &Context, args: &StartArgs) -> Result<u8> {
    let asked = Asked {
        operation: Operation::Start,
        selector: args.selector.as_deref(),
        start_at: args.start_at.as_deref(),
        stop: StopArgs { stop_timeout: Duration::from_secs(90), ..StopArgs::default() },
        watch: Some(&args.watch),
        confirm: &args.confirm,
        clear: None,
    };
    operate(context, &asked).await
}

/// `fleet restart`
pub async fn restart(context: &Context, args: &RestartArgs) -> Result<u8> {
    if !args.coordinated {
        return Err(Error::usage("restart how?")
            .hint(
                "fleet restart --coordinated   stops all nodes at one instant, proves it, and starts them by voting \
                 power: for a chain that has stopped. A few seconds without blocks",
            )
            .hint(
                "one node at a time, the chain going on: fleet halt -l val-3, then fleet start -l val-3, and wait for \
                 its signature before the next",
            ));
    }
    if args.clear_wal.is_none() && (args.clear.drop_records || !args.clear.from.is_empty()) {
        return Err(
            Error::usage("--drop-records and --from are for clearing logs").hint("say whose: --clear-wal val-3")
        );
    }
    let asked = Asked {
        operation: Operation::CoordinatedRestart,
        selector: args.selector.as_deref(),
        start_at: args.start_at.as_deref(),
        stop: args.stop.clone(),
        watch: Some(&args.watch),
        confirm: &args.confirm,
        clear: args.clear_wal.as_deref().map(|selector| (selector, &args.clear)),
    };
    operate(context, &asked).await
}

/// `fleet wal clear`: a restart of these nodes with their logs cleared.
pub async fn clear(context: &Context, args: &WalClearArgs) -> Result<u8> {
    let asked = Asked {
        operation: Operation::CoordinatedRestart,
        selector: Some(&args.selector),
        start_at: None,
        stop: args.stop.clone(),
        watch: Some(&args.watch),
        confirm: &args.confirm,
        clear: Some((&args.selector, &args.clear)),
    };
    operate(context, &asked).await
}

async fn operate(context: &Context, asked: &Asked<'_>) -> Result<u8> {
    // Everything that can be wrong without asking a host is said before one is asked.
    let scope = scope(&context.inventory, context.selector(asked.selector)?.as_deref())?;
    let request = request(context, asked, &scope)?;
    request.check()?;
    context.must_be_able_to_confirm(asked.confirm)?;
    let Some(chain) = context.inventory.chains.get(&scope.chain) else {
        return Err(Error::usage(format!("there is no chain {}", scope.chain)));
    };
    // Hosts that the operation leaves alone are asked too: their power is ours, not foreign.
    let hosts = hosts_of(&context.inventory, &scope.chain);
    let bound = asked.confirm.facts_timeout;
    let facts = gather(&*context.transport, &context.inventory, (&hosts, Depth::Full), context.now_ms(), bound).await;
    let finished = plan_and_run(context, chain, &request, &facts, (asked.confirm, asked.watch)).await?;
    Ok(finished.map_or(0, |finished| finished.exit))
}

/// Plans what was asked, has it confirmed and carries it out; `None` where the operator left or only looked.
pub async fn plan_and_run(
    context: &Context,
    chain: &Chain,
    request: &Request,
    facts: &Facts,
    args: (&ConfirmArgs, Option<&WatchArgs>),
) -> Result<Option<Finished>> {
    let planned = match plan(context, chain, request, facts).await {
        Ok(planned) => planned,
        Err(refusal) => {
            context.links.close_ahead().await;
            return Err(refusal);
        }
    };
    let baseline = baseline(&context.inventory, chain, facts);
    confirm_and_run(context, args, planned, baseline).await
}

fn request(context: &Context, asked: &Asked<'_>, scope: &Scope) -> Result<Request> {
    let now_ms = context.now_ms();
    let time = |option, text: Option<&str>| text.map(|text| future_ms(option, text, now_ms)).transpose();
    let allow_missing = match &asked.stop.allow_missing {
        Some(text) => select(text, &context.inventory)?.hosts,
        None => Vec::new(),
    };
    Ok(Request {
        operation: asked.operation,
        chain: scope.chain.clone(),
        hosts: scope.hosts.clone(),
        at_ms: time("--at", asked.stop.at.as_deref())?,
        start_at_ms: time("--start-at", asked.start_at)?,
        now_ms,
        allow_missing,
        allow_missing_percent: asked.stop.allow_missing_power.as_deref().map(percent).transpose()?,
        kill_after_ms: asked.stop.kill_after.map(millis),
        stop_timeout_ms: millis(asked.stop.stop_timeout),
        no_wait: asked.stop.no_wait,
        accept: asked.confirm.accept.clone(),
        block_timeout_ms: asked.watch.map_or(0, |watch| millis(watch.block_timeout)),
        wals: BTreeMap::new(),
        clear: asked.clear.map(|asked| clear_of(context, asked, scope)).transpose()?,
        backup: None,
        restore: None,
    })
}

/// Whose logs are cleared: of nodes that the operation stops and starts.
fn clear_of(context: &Context, (selector, args): (&str, &ClearArgs), scope: &Scope) -> Result<Clear> {
    let hosts = self::scope(&context.inventory, Some(selector))?.hosts;
    if let Some(host) = hosts.iter().find(|host| !scope.hosts.contains(host)) {
        return Err(Error::usage(format!("--clear-wal '{selector}' names {host}, which isn't restarted"))
            .hint("restart it as well, or leave it out"));
    }
    let bundles = bundle::texts(&args.from, &context.inventory.chains[&scope.chain].chain_id)?;
    Ok(Clear { hosts, drop_records: args.drop_records, bundles })
}

/// Whole ms.
pub fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn percent(text: &str) -> Result<f64> {
    let number = text.strip_suffix('%').and_then(|number| number.trim().parse().ok());
    number.ok_or_else(|| {
        Error::usage(format!("--allow-missing-power '{text}' is not a share of the power"))
            .hint("write a percentage: --allow-missing-power 5%")
    })
}

async fn plan(context: &Context, chain: &Chain, request: &Request, facts: &Facts) -> Result<Planned> {
    let known = if chain.is_none() { Known::default() } else { memory::powers(context, chain, facts) };
    let verdict = diagnose(chain, &context.inventory, facts, None, &known);
    let situation = Situation {
        inventory: &context.inventory,
        facts,
        advancing: verdict.state == ChainState::Advancing,
        mute: (verdict.cause == Cause::SignerRefusing).then(|| verdict.likely.clone()),
        last: statuses(chain, facts).map(|status| (status.height, status.app_hash.clone())).max(),
        cached_set: known.set.as_ref(),
        cached_addresses: Some(&known.addresses),
        genesis_content: memory::geneses(context, facts).await,
    };
    ops::plan(request, &situation)
        .map_err(|refusal| Error::new(Kind::Refused, refusal_text(&refusal.findings, context.width())))
}

/// The greatest height that may be committed already, by RPC and by what the chain's signers have signed; 0 when
/// nobody tells.
fn baseline(inventory: &Inventory, chain: &Chain, facts: &Facts) -> u64 {
    let of_chain = |id: &ServiceId| inventory.service(id).is_some_and(|one| one.chain.as_ref() == Some(&chain.name));
    let signed = facts.services().filter(|(id, _)| of_chain(id)).filter_map(|(_, service)| committed(&service.signer));
    statuses(chain, facts).map(|status| status.height).chain(signed).max().unwrap_or(0)
}

/// What the chain's nodes report.
fn statuses<'a>(chain: &'a Chain, facts: &'a Facts) -> impl Iterator<Item = &'a NodeStatus> {
    let statuses = facts.services().filter_map(|(_, service)| service.rpc.status.as_ref());
    statuses.filter(|status| status.chain_id == chain.chain_id)
}

async fn confirm_and_run(
    context: &Context,
    (confirm, watched): (&ConfirmArgs, Option<&WatchArgs>),
    planned: Planned,
    baseline: u64,
) -> Result<Option<Finished>> {
    let Planned { mut plan, mut remarks } = planned;
    let mut silent = unseen(&plan);
    loop {
        context.show_plan(&plan, &remarks, confirm);
        if confirm.dry_run {
            return Ok(None);
        }
        open_leases(context, &plan);
        let other = (!silent.is_empty()).then(|| ops::without(&plan, &silent, "can't be armed"));
        let other = other.filter(|other| !other.targets.is_empty());
        let choice = context.confirmed(&plan, other.as_ref(), confirm);
        if !matches!(choice, Ok(Choice::Go | Choice::GoWithout)) {
            context.links.close_ahead().await;
        }
        match choice? {
            Choice::Go => {}
            Choice::GoWithout => plan = other.unwrap_or(plan),
            Choice::Leave => return Err(turned_down()),
        }
        let interrupt = signals::listen().map_err(|error| Error::failed(format!("signals: {error}")))?;
        let begin = Begin::new(context, &plan, baseline, confirm.reason.as_deref()).await?;
        let finished = execute::run(context, &plan, begin, interrupt.clone()).await?;
        match (&finished.ended, watched) {
            (Ended::NotArmed(missing), _) if context.is_interactive(confirm) => {
                remarks.clear();
                silent = missing.iter().map(|one| one.service.clone()).collect();
            }
            (Ended::Done, Some(args)) => {
                watch::watch(context, &plan, args.blocks, interrupt).await;
                return Ok(Some(finished));
            }
            _ => return Ok(Some(finished)),
        }
    }
}

/// Nodes whose host gave no facts: they can't be armed.
fn unseen(plan: &Plan) -> Vec<ServiceId> {
    plan.targets.values().filter(|target| !target.seen).map(|target| target.service.clone()).collect()
}

/// Opens the connections that a stop's leases need, while the operator reads: between the word and the stop every moment
/// counts.
fn open_leases(context: &Context, plan: &Plan) {
    let seen = |service: &&ServiceId| plan.target(service).is_some_and(|target| target.seen);
    let hosts: BTreeSet<&str> = plan.stops().filter(seen).map(|service| service.host.as_str()).collect();
    for host in hosts {
        context.links.open_ahead(host);
    }
}

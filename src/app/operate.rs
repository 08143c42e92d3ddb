//! Every operation on a chain goes this way: gather, plan, confirm, execute, report.

use std::io::Write as _;
use std::time::Duration;

use crate::app::context::Context;
use crate::app::gather::gather;
use crate::app::scope::{Scope, scope};
use crate::app::when::future_ms;
use crate::app::{execute, signals, watch};
use crate::chain::genesis::content_hash;
use crate::chain::verdict::{Identities, diagnose};
use crate::cli::{ConfirmArgs, HaltArgs, RestartArgs, StartArgs, StopArgs, WatchArgs};
use crate::engine::{Answer, Ended, Missing, Probe, Prober as _};
use crate::error::{Error, Kind, Result};
use crate::model::facts::Facts;
use crate::model::inventory::{Host, Inventory, ServiceId};
use crate::model::plan::{Operation, Plan};
use crate::model::selector::select;
use crate::model::verdict::ChainState;
use crate::ops::{self, Planned, Request, Situation};
use crate::render;

/// How long a host may take to tell its facts before a plan is made.
const GATHER: Duration = Duration::from_secs(6);

/// What the operator asked for, whatever the verb.
pub struct Asked<'a> {
    operation: Operation,
    selector: Option<&'a str>,
    start_at: Option<&'a str>,
    stop: StopArgs,
    watch: Option<&'a WatchArgs>,
    confirm: &'a ConfirmArgs,
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
    let asked = Asked {
        operation: Operation::CoordinatedRestart,
        selector: args.selector.as_deref(),
        start_at: args.start_at.as_deref(),
        stop: args.stop.clone(),
        watch: Some(&args.watch),
        confirm: &args.confirm,
    };
    operate(context, &asked).await
}

async fn operate(context: &Context, asked: &Asked<'_>) -> Result<u8> {
    // Everything that can be wrong without asking a host is said before one is asked.
    let scope = scope(&context.inventory, context.selector(asked.selector)?.as_deref())?;
    let request = request(context, asked, &scope)?;
    context.must_be_able_to_confirm(asked.confirm)?;
    // Hosts that the operation leaves alone are asked too: their power is ours, not foreign.
    let hosts = hosts_of(&context.inventory, &scope.chain);
    let facts = gather(&*context.transport, &context.inventory, &hosts, context.now_ms(), GATHER).await;
    let (planned, facts) = plan(context, &request, &scope, facts).await?;
    confirm_and_run(context, asked, planned, &facts).await
}

fn request(context: &Context, asked: &Asked<'_>, scope: &Scope) -> Result<Request> {
    let now_ms = context.now_ms();
    let time = |option, text: Option<&str>| text.map(|text| future_ms(option, text, now_ms)).transpose();
    let allow_missing = match &asked.stop.allow_missing {
        Some(text) => select(text, &context.inventory)?.hosts,
        None => Vec::new(),
    };
    let (at_ms, start_at_ms) = (time("--at", asked.stop.at.as_deref())?, time("--start-at", asked.start_at)?);
    if let (Some(at), Some(start)) = (at_ms, start_at_ms)
        && start <= at
    {
        return Err(Error::usage("--start-at is not after --at").hint("leave time for every host to stop: 30 s or more"));
    }
    Ok(Request {
        operation: asked.operation,
        chain: scope.chain.clone(),
        hosts: scope.hosts.clone(),
        at_ms,
        start_at_ms,
        now_ms,
        allow_missing,
        allow_missing_percent: asked.stop.allow_missing_power.as_deref().map(percent).transpose()?,
        kill_after_ms: asked.stop.kill_after.map(millis),
        stop_timeout_ms: millis(asked.stop.stop_timeout),
        no_wait: asked.stop.no_wait,
        accept: asked.confirm.accept.clone(),
        block_timeout_ms: asked.watch.map_or(120_000, |watch| millis(watch.block_timeout)),
    })
}

/// Every host that runs a service of the chain.
pub fn hosts_of(inventory: &Inventory, chain: &str) -> Vec<String> {
    let runs = |host: &&Host| host.services.iter().any(|service| service.chain.as_deref() == Some(chain));
    inventory.hosts.iter().filter(runs).map(|host| host.name.clone()).collect()
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn percent(text: &str) -> Result<f64> {
    let number = text.strip_suffix('%').and_then(|number| number.trim().parse().ok());
    match number {
        Some(number) if (0.0..100.0).contains(&number) => Ok(number),
        _ => Err(Error::usage(format!("--allow-missing-power '{text}' is not a share of the power"))
            .hint("write a percentage under 100: --allow-missing-power 5%")),
    }
}

async fn plan(context: &Context, request: &Request, scope: &Scope, facts: Facts) -> Result<(Planned, Facts)> {
    let Some(chain) = context.inventory.chains.get(&scope.chain) else {
        return Err(Error::usage(format!("there is no chain {}", scope.chain)));
    };
    let verdict = diagnose(chain, &context.inventory, &facts, None, &Identities::new());
    let advancing = verdict.state == ChainState::Advancing;
    context.remember_powers(&chain.chain_id, &facts);
    let cached = context.recall_powers(&chain.chain_id);
    let situation = Situation {
        inventory: &context.inventory,
        facts: &facts,
        advancing,
        last: last_block(&facts, scope, context),
        cached_set: cached.as_ref(),
        genesis_content: genesis(context, &facts, scope).await,
    };
    match ops::plan(request, &situation) {
        Ok(planned) => Ok((planned, facts)),
        Err(refusal) => {
            let text = render::plan::refusal_text(&refusal.findings, context.width());
            let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
            Err(Error::new(Kind::Refused, format!("{first}\n{}", rest.trim_end())))
        }
    }
}

/// The greatest height any node reports, and its app hash.
fn last_block(facts: &Facts, scope: &Scope, context: &Context) -> Option<(u64, String)> {
    statuses(facts, scope, context).map(|status| (status.height, status.app_hash.clone())).max()
}

fn statuses<'a>(
    facts: &'a Facts,
    scope: &'a Scope,
    context: &'a Context,
) -> impl Iterator<Item = &'a crate::model::facts::NodeStatus> {
    let hosts = scope.hosts.iter().filter_map(|name| context.inventory.host(name));
    let services = hosts.flat_map(|host| &host.services).filter(|one| one.chain.as_ref() == Some(&scope.chain));
    services.filter_map(|service| facts.service(&service.id)?.rpc.status.as_ref())
}

/// The hash of the genesis by content, read from one host: the same for every operator, whatever its bytes.
async fn genesis(context: &Context, facts: &Facts, scope: &Scope) -> Option<String> {
    let hosts = scope.hosts.iter().filter_map(|name| context.inventory.host(name));
    for service in hosts.flat_map(|host| &host.services).filter(|one| one.chain.as_ref() == Some(&scope.chain)) {
        let Some(path) = facts.service(&service.id).and_then(|facts| Some(facts.config.as_ref()?.genesis_file.clone()))
        else {
            continue;
        };
        if let Ok(Answer::Body(body)) = context.transport.probe(&service.id.host, &Probe::Genesis { path }).await {
            return content_hash(&body).ok();
        }
    }
    None
}

async fn confirm_and_run(context: &Context, asked: &Asked<'_>, planned: Planned, facts: &Facts) -> Result<u8> {
    let Planned { mut plan, mut remarks } = planned;
    loop {
        context.show_plan(&plan, &remarks)?;
        if asked.confirm.dry_run {
            return Ok(0);
        }
        if !context.confirmed(&plan, asked.confirm)? {
            writeln!(context.err(), "left; nothing was changed").ok();
            return Ok(0);
        }
        let interrupt = signals::listen().map_err(|error| Error::failed(format!("signals: {error}")))?;
        let baseline = facts.hosts.values().filter_map(greatest_height).max().unwrap_or(0);
        let finished = execute::run(context, &plan, asked.confirm.reason.as_deref(), baseline, interrupt.clone()).await?;
        match (finished.ended, context.is_interactive(asked.confirm)) {
            (Ended::NotArmed(missing), true) => {
                remarks.clear();
                plan = without(&plan, &missing);
            }
            (Ended::Done, _) if let Some(args) = asked.watch => {
                watch::watch(context, &plan, args.blocks, interrupt).await;
                return Ok(0);
            }
            _ => return Ok(finished.exit),
        }
    }
}

fn without(plan: &Plan, missing: &[Missing]) -> Plan {
    let services: Vec<ServiceId> = missing.iter().map(|one| one.service.clone()).collect();
    let reason = missing.first().map_or("", |one| &one.reason);
    ops::without(plan, &services, reason)
}

fn greatest_height(host: &crate::model::facts::HostFacts) -> Option<u64> {
    match host {
        crate::model::facts::HostFacts::Answered(host) => {
            host.services.values().filter_map(|service| service.rpc.status.as_ref().map(|status| status.height)).max()
        }
        crate::model::facts::HostFacts::Silent(_) => None,
    }
}

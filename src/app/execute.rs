//! One run of the engine, with journal and screen.

use std::sync::Arc;

use tokio::sync::watch;

use crate::app::context::Context;
use crate::app::screen::Screen;
use crate::engine::{Ended, Identity, Interrupt, Log, Run, SystemClock};
use crate::error::{Error, Kind, Result};
use crate::journal::RunDir;
use crate::model::event::{RunState, What};
use crate::model::plan::{Operation, Plan};

/// How a run ended, and with which exit code.
pub struct Finished {
    /// How.
    pub ended: Ended,
    /// The exit code.
    pub exit: u8,
}

/// Carries a confirmed plan out as a new run.
pub async fn run(
    context: &Context,
    plan: &Plan,
    reason: Option<&str>,
    baseline: u64,
    interrupt: watch::Receiver<Interrupt>,
) -> Result<Finished> {
    let directory = RunDir::create(&context.places, plan)?;
    let identity = Identity {
        run: directory.id().to_owned(),
        owner: owner(),
        reason: reason.map_or_else(|| format!("{} of {}", plan.operation.words(), plan.chain_id), Into::into),
    };
    let started = What::RunStarted {
        run: identity.run.clone(),
        digest: plan.digest().to_string(),
        owner: identity.owner.clone(),
    };
    go(context, plan, identity, directory, RunState::default(), baseline, interrupt, started).await
}

/// Goes on with a run whose fleet died.
pub async fn resume(
    context: &Context,
    directory: RunDir,
    plan: &Plan,
    state: RunState,
    interrupt: watch::Receiver<Interrupt>,
) -> Result<Finished> {
    let identity = Identity {
        run: directory.id().to_owned(),
        owner: owner(),
        reason: format!("{} of {}", plan.operation.words(), plan.chain_id),
    };
    let (baseline, resumed) = (state.baseline, What::Resumed { owner: identity.owner.clone() });
    go(context, plan, identity, directory, state, baseline, interrupt, resumed).await
}

#[allow(clippy::too_many_arguments)] // each is a thing of its own; two callers
async fn go(
    context: &Context,
    plan: &Plan,
    identity: Identity,
    directory: RunDir,
    state: RunState,
    baseline: u64,
    interrupt: watch::Receiver<Interrupt>,
    first: What,
) -> Result<Finished> {
    let screen = Screen::new(context, plan);
    let run_id = identity.run.clone();
    let log = Arc::new(Log::new(Box::new(directory), screen.sink(), state));
    log.intend(context.now_ms(), first)
        .map_err(|reason| Error::failed(reason).hint("make room or set XDG_STATE_HOME; nothing was changed"))?;
    let mut run = Run {
        plan: plan.clone(),
        identity,
        transport: context.transport.clone(),
        log: Arc::clone(&log),
        clock: Arc::new(SystemClock),
        interrupt,
        baseline,
    };
    let ended = run.execute().await;
    let (kind, summary, next) = words(plan, &run_id, &ended, &log.state());
    let exit = kind.map_or(0, Kind::exit_code);
    log.emit(context.now_ms(), What::RunEnded { exit, summary, next });
    screen.finish();
    Ok(Finished { ended, exit })
}

/// The kind, the last line and what to do next.
fn words(plan: &Plan, run: &str, ended: &Ended, state: &RunState) -> (Option<Kind>, String, Option<String>) {
    let resume = Some(format!("fleet resume {run}"));
    match ended {
        Ended::Done => (None, done(plan, state), None),
        Ended::NoBlock(reason) => {
            let summary = format!("all nodes are started, but no block has come: {reason}");
            (Some(Kind::Failed), summary, Some("fleet status".into()))
        }
        Ended::Incomplete(reason) => (Some(Kind::Incomplete), reason.clone(), resume),
        Ended::NotArmed(missing) => {
            let names = missing.iter().map(|one| one.service.to_string()).collect::<Vec<_>>().join(", ");
            let next = format!("reach {names} and try again, or go on without: --allow-missing '{}'", hosts(missing));
            (Some(Kind::NotArmed), format!("not armed: {names}; nothing was changed"), Some(next))
        }
        Ended::Locked(reason) => {
            let next = "fleet lock show; wait for that run to end".into();
            (Some(Kind::Locked), format!("{reason}; nothing was changed"), Some(next))
        }
        Ended::Interrupted(signal, text) => {
            let under_way = state.ended.is_none() && state.touched() && plan.operation != Operation::Halt;
            (Some(Kind::Interrupted(*signal)), format!("interrupted: {text}"), resume.filter(|_| under_way))
        }
    }
}

fn hosts(missing: &[crate::engine::Missing]) -> String {
    let mut hosts: Vec<&str> = missing.iter().map(|one| one.service.host.as_str()).collect();
    hosts.dedup();
    hosts.join(",")
}

fn done(plan: &Plan, state: &RunState) -> String {
    let whole = seconds(state.last_ms - state.started_ms);
    match (plan.operation, state.first_block) {
        (Operation::Halt, _) => format!("done in {whole}: all stopped"),
        (_, Some((_, at))) => {
            let without = state.fired_ms.map(|fired| format!(", {} without blocks", seconds(at - fired)));
            format!("done in {whole}: chain advancing{}", without.unwrap_or_default())
        }
        _ => format!("done in {whole}"),
    }
}

#[allow(clippy::cast_precision_loss)] // ms of a run
fn seconds(ms: i64) -> String {
    format!("{:.1} s", ms as f64 / 1000.0)
}

/// `user@host` of whoever runs fleet.
pub fn owner() -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_else(|_| "someone".into());
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("{user}@{host}")
}

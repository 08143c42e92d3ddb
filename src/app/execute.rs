//! One run of the engine, with journal and screen.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use tokio::sync::watch;

use crate::app::backup;
use crate::app::context::Context;
use crate::app::restore;
use crate::app::screen::Screen;
use crate::engine::{Archive, Ended, Identity, Interrupt, Log, Missing, Run, Supply, SystemClock};
use crate::error::{Error, Kind, Result};
use crate::journal::Journal;
use crate::model::backup::Kept;
use crate::model::event::{Outcome, RunState, What};
use crate::model::fold::fold;
use crate::model::inventory::ServiceId;
use crate::model::plan::{Action, Operation, Plan};
use crate::model::size::size;
use crate::render::words::{counted, seconds};

/// How a run ended, and with which exit code.
pub struct Finished {
    /// How.
    pub ended: Ended,
    /// The exit code.
    pub exit: u8,
    /// What happened.
    pub state: RunState,
    /// Hosts it went on without.
    pub without: Vec<String>,
}

/// Where a run begins.
pub struct Begin {
    /// Its journal.
    pub journal: Journal,
    /// What has happened already.
    pub state: RunState,
    /// The greatest height known; 0 when none is.
    pub baseline: u64,
    /// For what, for others who meet its lock.
    pub reason: Option<String>,
    /// Services that a resumed run gives up.
    pub given_up: Vec<ServiceId>,
    /// Where the plan's copies go.
    pub archive: Option<Arc<dyn Archive>>,
    /// Where the plan's snapshot comes from.
    pub supply: Option<Arc<dyn Supply>>,
}

impl Begin {
    /// A new run.
    pub async fn new(context: &Context, plan: &Plan, baseline: u64, reason: Option<&str>) -> Result<Self> {
        let (archive, supply) = (backup::archive(context, plan).await?, restore::supply(context, plan));
        let journal = Journal::create(&context.places, plan, context.now_ms())?;
        let (state, reason) = (RunState::default(), reason.map(Into::into));
        Ok(Self { journal, state, baseline, reason, given_up: Vec::new(), archive, supply })
    }
}

/// Carries a confirmed plan out, from where `begin` stands.
pub async fn run(
    context: &Context,
    plan: &Plan,
    begin: Begin,
    interrupt: watch::Receiver<Interrupt>,
) -> Result<Finished> {
    let run_id = begin.journal.run().id().to_owned();
    let reason = begin.reason.unwrap_or_else(|| plan.title());
    let identity = Identity { run: run_id.clone(), owner: owner(), reason };
    let first = if begin.state.run.is_empty() {
        What::RunStarted { run: run_id.clone(), digest: plan.digest().to_string(), owner: identity.owner.clone() }
    } else {
        What::Resumed { owner: identity.owner.clone() }
    };
    let screen = Screen::new(context, plan, begin.state.clone());
    let log = Arc::new(Log::new(Box::new(begin.journal), screen.sink(), begin.state));
    log.intend(context.now_ms(), first)
        .map_err(|reason| Error::failed(reason).hint("make room or set XDG_STATE_HOME; nothing was changed"))?;
    for service in begin.given_up {
        log.emit(context.now_ms(), What::LeftOut { service, reason: "given up".into() });
    }
    let mut run = Run {
        plan: plan.clone(),
        identity,
        transport: context.transport.clone(),
        log: Arc::clone(&log),
        clock: Arc::new(SystemClock),
        interrupt,
        baseline: begin.baseline,
        made: OnceLock::new(),
        archive: begin.archive,
        supply: begin.supply,
    };
    let ended = run.execute().await;
    if let Some(archive) = &run.archive {
        archive.end().await;
    }
    let (kind, summary, next) = words(plan, &run_id, &ended, &log.state());
    let exit = kind.map_or(0, Kind::exit_code);
    log.emit(context.now_ms(), What::RunEnded { exit, summary, next });
    screen.finish(plan);
    let state = log.state();
    let planned = plan.left_out.iter().map(|one| &one.service);
    let without: BTreeSet<&String> = planned.chain(&state.left_out).map(|service| &service.host).collect();
    let without = without.into_iter().cloned().collect();
    Ok(Finished { ended, exit, state, without })
}

/// The kind, the last line and what to do next.
fn words(plan: &Plan, run: &str, ended: &Ended, state: &RunState) -> (Option<Kind>, String, Option<String>) {
    let resume = Some(format!(
        "fleet resume {run}   looks at every host again and goes on; with --give-up without those that it can't reach"
    ));
    match ended {
        Ended::Done => finished(plan, state),
        Ended::NoBlock(reason) if plan.restore.is_some() => {
            let summary = format!("the databases are in place and the nodes started, but not well yet: {reason}");
            let next = "watch it catch up, or see why it doesn't: fleet status; one that is another node than before, or \
                        has another key: fleet halt it first";
            (Some(Kind::Failed), summary, Some(next.into()))
        }
        Ended::NoBlock(reason) => {
            let kept: Vec<String> = kept(plan, state).into_iter().chain(refused(state)).collect();
            no_block(plan, &undone(plan, state), &kept, reason)
        }
        Ended::Incomplete(reason) => {
            let nothing = if starts_anything(plan, state) { "" } else { ". Nothing was started" };
            (Some(Kind::Incomplete), format!("{reason}{nothing}"), resume)
        }
        Ended::NotArmed(missing) => not_armed(plan, missing),
        Ended::Locked(reason) => {
            let next =
                "wait for that run to end (fleet lock show); if its fleet died: fleet resume, where it was started"
                    .into();
            (Some(Kind::Locked), format!("{reason}; nothing was changed"), Some(next))
        }
        Ended::Interrupted(signal, text) => {
            let under_way = state.touched() && state.done_stages.len() < plan.stages.len();
            (Some(Kind::Interrupted(*signal)), format!("interrupted: {text}"), resume.filter(|_| under_way))
        }
    }
}

fn no_block(plan: &Plan, down: &[String], kept: &[String], reason: &str) -> (Option<Kind>, String, Option<String>) {
    // Elsewhere the chain may go on.
    let here = if plan.power.ours_elsewhere + plan.power.foreign == 0 { "" } else { " to these nodes" };
    let (summary, next) = match fold(down.iter().map(String::as_str)) {
        none if none.is_empty() => {
            (format!("all nodes are started, but no block has come{here}: {reason}"), "fleet status".into())
        }
        names => (format!("no block has come{here}, and {names} doesn't run: {reason}"), start_again(down)),
    };
    (Some(Kind::Failed), [&[summary], kept].concat().join("; "), Some(next))
}

fn start_again(down: &[String]) -> String {
    format!("see why: fleet status; then fleet start -l '{}'", hosts_of(down).join(" or "))
}

/// Whether a start was sent, or none is planned.
fn starts_anything(plan: &Plan, state: &RunState) -> bool {
    let starting = |stage: usize| {
        let tasks = plan.stages.get(stage).map_or(&[][..], |stage| &stage.tasks);
        tasks.iter().flat_map(|task| &task.steps).any(|step| step.action == Action::Start)
    };
    plan.starts().next().is_none() || state.steps.keys().any(|(stage, ..)| starting(*stage))
}

/// A run that has what it needs may still have left something undone.
fn finished(plan: &Plan, state: &RunState) -> (Option<Kind>, String, Option<String>) {
    let (undone, kept) = (undone(plan, state), kept(plan, state));
    let whole = undone.is_empty() && kept.is_empty();
    if let (Some(refused), true) = (refused(state), whole) {
        let summary = format!("{}; {refused}", done(plan, state));
        return (Some(Kind::Refused), summary, Some("look at what there is: fleet wal show".into()));
    }
    if whole {
        return (None, done(plan, state), None);
    }
    let but = match fold(undone.iter().map(String::as_str)) {
        none if none.is_empty() => String::new(),
        names => format!(", but not {names}"),
    };
    let next = match plan.operation {
        _ if undone.is_empty() => "fleet wal show".to_owned(),
        Operation::Halt => "fleet status".to_owned(),
        _ => start_again(&undone),
    };
    let summary = [&[done(plan, state) + &but], &*kept].concat().join("; ");
    (Some(Kind::Incomplete), summary, Some(next))
}

/// Services whose stop or start failed or is unknown.
fn undone(plan: &Plan, state: &RunState) -> Vec<String> {
    let bad = bad_steps(plan, state).filter(|(_, action, _)| !changes_log(*action));
    let mut names: Vec<String> = bad.map(|(service, ..)| service.to_string()).collect();
    names.dedup();
    // Given up by `resume` after the run had begun with them.
    let begun = |name: &String| state.steps.keys().any(|(_, service, _)| service == name);
    names.extend(state.left_out.iter().map(ToString::to_string).filter(begun));
    names
}

/// That a clearing was refused, and why.
fn refused(state: &RunState) -> Option<String> {
    let (carried_out, why) = state.decided.as_ref()?;
    (!carried_out).then(|| format!("the WALs are as they were, clearing is refused: {}", why.join("; ")))
}

/// Whether a node starts without it, with the log that it has.
fn changes_log(action: Action) -> bool {
    matches!(action, Action::SetWal | Action::UndoWal)
}

/// Nodes that are started with the log they had, and why.
fn kept(plan: &Plan, state: &RunState) -> Vec<String> {
    let bad = bad_steps(plan, state).filter(|(_, action, _)| changes_log(*action));
    bad.map(|(service, _, reason)| format!("{service} keeps the log it has: {reason}")).collect()
}

/// Steps that were to change something and didn't, or may not have, and why.
fn bad_steps<'a>(plan: &'a Plan, state: &'a RunState) -> impl Iterator<Item = (&'a ServiceId, Action, &'a str)> {
    let tasks =
        plan.stages.iter().enumerate().flat_map(|(index, stage)| stage.tasks.iter().map(move |one| (index, one)));
    let tasks = tasks.filter(|(_, task)| !state.left_out.contains(&task.service));
    let steps = tasks.flat_map(|(stage, task)| task.steps.iter().enumerate().map(move |step| (stage, task, step)));
    let acting = steps.filter(|(_, _, (_, step))| step.action != Action::Observe);
    acting.filter_map(|(stage, task, (number, step))| {
        match state.steps.get(&(stage, task.service.to_string(), number))?.as_ref()? {
            Outcome::Failed { reason } | Outcome::Unknown { reason } => Some((&task.service, step.action, &**reason)),
            Outcome::Done | Outcome::Skipped => None,
        }
    })
}

/// The hosts of services named `host` or `host/service`.
fn hosts_of(services: &[String]) -> Vec<&str> {
    let mut hosts: Vec<&str> = services.iter().filter_map(|name| name.split('/').next()).collect();
    hosts.dedup();
    hosts
}

fn not_armed(plan: &Plan, missing: &[Missing]) -> (Option<Kind>, String, Option<String>) {
    let mut hosts: Vec<&str> = missing.iter().map(|one| one.service.host.as_str()).collect();
    hosts.dedup();
    let (some, all) = (hosts.len(), plan.hosts().len());
    let selector = fold(hosts);
    let next = format!("reach {selector} and try again, or go on without: --allow-missing '{selector}'");
    (Some(Kind::NotArmed), format!("not armed: {some} of {all} hosts, nothing was changed"), Some(next))
}

fn done(plan: &Plan, state: &RunState) -> String {
    let whole = seconds(state.last_ms - state.started_ms);
    match (plan.operation, state.first_block) {
        (Operation::Halt, _) => format!("done in {whole}: all stopped"),
        (Operation::Restore, _) => format!("done in {whole}: {}", restored_words(plan)),
        (Operation::Backup, _) => format!("done in {whole}: {}", kept_words(state)),
        (_, Some((_, at))) => {
            let after = state.fired_ms.map(|fired| format!(", first block {} after the stop", seconds(at - fired)));
            format!("done in {whole}: chain advancing{}", after.unwrap_or_default())
        }
        _ => format!("done in {whole}"),
    }
}

fn restored_words(plan: &Plan) -> String {
    let hosts = plan.hosts();
    let names = fold(hosts.iter().map(String::as_str));
    let old = "their old databases are kept until fleet restore release";
    let height = plan.restore.as_ref().and_then(|restore| restore.height);
    format!(
        "{names} restored{}, and well again; {old}",
        height.map_or_else(String::new, |height| format!(" from height {height}"))
    )
}

fn kept_words(state: &RunState) -> String {
    let sum = |of: fn(&Kept) -> u64| state.kept.iter().map(|(_, one)| of(one)).sum();
    let (all, came) = (size(sum(|one| one.bytes)), size(sum(|one| one.came)));
    format!("{}, {all} in all, {came} of it new", counted(state.kept.len(), "snapshot"))
}

/// `user@host` of whoever runs fleet.
pub fn owner() -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_else(|_| "someone".into());
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("{user}@{host}")
}

//! `fleet resume`: goes on with a run whose fleet died, from its journal, looking before it repeats anything.

mod ahead;

use std::io::Write as _;
use std::time::Duration;

use futures::future::join_all;

use crate::app::backup;
use crate::app::context::{Context, turned_down};
use crate::app::execute::{self, Begin};
use crate::app::gather::{Depth, gather};
use crate::app::restore;
use crate::app::{signals, watch};
use crate::cli::ResumeArgs;
use crate::engine::{Answer, Ended, Fence, Log, Probe, Prober as _, Transport as _};
use crate::error::{Error, Kind, Result};
use crate::journal::{Journal, RunDir, Stored, last_unfinished};
use crate::model::event::{RunState, What};
use crate::model::fold::fold;
use crate::model::inventory::ServiceId;
use crate::model::plan::{Action, Plan, Stage};
use crate::render::words::time;

/// How long a host may take to say what runs there.
const LOOK: Duration = Duration::from_secs(10);
/// How long a run may have stood still that is taken up without being named, ms.
const BY_ITSELF_MS: i64 = 24 * 3600 * 1000;

/// Goes on with the named run, or with the last that isn't finished.
pub async fn resume(context: &Context, args: &ResumeArgs) -> Result<u8> {
    let directory = find(context, args)?;
    let Stored { plan, mut state, .. } = unfinished(&directory)?;
    stop_again(&plan, &mut state);
    check_inventory(context, &plan)?;
    if !state.touched() {
        return give_back(context, &directory, &plan, state).await;
    }
    if let Some(by) = overtaken(context, &plan, &state).await {
        return Err(close(context, &directory, state, &by)?);
    }
    let given_up = if args.give_up { silent(context, &plan).await } else { Vec::new() };
    let stage = plan.stages.get(state.done_stages.len()).map_or("the end", |stage| stage.name.as_str());
    let (run, title) = (directory.id(), plan.title());
    let facts =
        gather(&*context.transport, &context.inventory, (&plan.hosts(), Depth::Full), context.now_ms(), LOOK).await;
    let to_come = ahead::ahead(&plan, &state, &facts);
    let mut out = context.for_people();
    let _ = writeln!(out, "run {run}, {title}; {stage} was under way");
    let _ = writeln!(out, "still to come: {to_come}");
    let since = ahead::started_since(&plan, &state, &facts);
    if !since.is_empty() {
        let names = fold(since.iter().map(String::as_str));
        let _ = writeln!(out, "started since by somebody else, would be stopped again: {names}");
    }
    drop(out);
    if !args.yes && !context.yes_to("Look at every host again and go on?")? {
        return Err(turned_down());
    }
    let interrupt = signals::listen().map_err(|error| Error::failed(format!("signals: {error}")))?;
    let (archive, supply) = (backup::archive(context, &plan).await?, restore::supply(context, &plan));
    let journal = Journal::take_up(&directory)?;
    let begin = Begin { journal, baseline: state.baseline, state, reason: None, given_up, archive, supply };
    let finished = execute::run(context, &plan, begin, interrupt.clone()).await?;
    if finished.ended == Ended::Done {
        watch::watch(context, &plan, 3, interrupt).await;
    }
    Ok(finished.exit)
}

/// A reboot may have started a node whose log or databases are still to be replaced: the stop before it is gone through once more.
fn stop_again(plan: &Plan, state: &mut RunState) {
    let replaces = |action| matches!(action, Action::SetWal | Action::UndoWal | Action::Swap);
    let steps = |stage: &Stage| stage.tasks.iter().flat_map(|task| &task.steps).any(|step| replaces(step.action));
    // A clearing lets such a node keep its log.
    if plan.clearing.is_none() && plan.stages.get(state.done_stages.len()).is_some_and(steps) {
        state.done_stages.clear();
    }
}

/// The later run that has held one of this run's hosts: what this one meant to do is no longer what is wanted.
async fn overtaken(context: &Context, plan: &Plan, state: &RunState) -> Option<String> {
    let looks = plan.hosts().into_iter().map(|host| async move {
        let Ok(Answer::Lock(Some(lock))) = context.transport.probe(&host, &Probe::Lock).await else { return None };
        let later = match state.epochs.get(&host) {
            Some(ours) => lock.epoch > *ours,
            // One that had held none yet. Runs' ids are in the order of time.
            None => state.epochs.is_empty() && lock.run > state.run,
        };
        (lock.run != state.run && later).then_some(lock.run)
    });
    join_all(looks).await.into_iter().flatten().max()
}

/// Ends an overtaken run in its journal; nothing is left of it to go on with.
fn close(context: &Context, directory: &RunDir, state: RunState, by: &str) -> Result<Error> {
    let summary = format!("overtaken by run {by}: nothing is left to go on with");
    let log = Log::new(Box::new(Journal::take_up(directory)?), Box::new(|_| {}), state);
    log.emit(context.now_ms(), What::RunEnded { exit: 1, summary: summary.clone(), next: None });
    Ok(Error::failed(format!("run {} was {summary}; no host was touched", directory.id()))
        .hint("see what is true now: fleet status"))
}

fn find(context: &Context, args: &ResumeArgs) -> Result<RunDir> {
    if let Some(run) = &args.run {
        return RunDir::open(&context.places, run);
    }
    let last = last_unfinished(&context.places)?
        .ok_or_else(|| Error::usage("there is no unfinished run").hint("see all: fleet runs list"))?;
    let stored = last.read()?;
    let at_ms = stored.state.last_ms;
    // A time to come is of a clock that was wrong.
    if stored.is_left() && !(-BY_ITSELF_MS / 24..BY_ITSELF_MS).contains(&(context.now_ms() - at_ms)) {
        let id = last.id();
        return Err(Error::usage(format!("the last unfinished run, {id}, stands since {}", time(at_ms)))
            .hint(format!("what it was to do may no longer be wanted; if it is: fleet resume {id}")));
    }
    Ok(last)
}

fn unfinished(directory: &RunDir) -> Result<Stored> {
    let stored = directory.read()?;
    if stored.alive {
        return Err(Error::new(Kind::Locked, format!("run {} still goes on", directory.id()))
            .hint(format!("fleet runs show --follow {}", directory.id())));
    }
    if stored.is_unfinished() {
        return Ok(stored);
    }
    let ended = stored.state.ended.map_or_else(String::new, |(_, summary)| format!(": {summary}"));
    Err(Error::usage(format!("run {} is finished{ended}", directory.id())))
}

fn check_inventory(context: &Context, plan: &Plan) -> Result<()> {
    for host in plan.hosts() {
        if context.inventory.host(&host).is_none() {
            let text = format!("the run's host {host} is not in {}", context.inventory.source.display());
            return Err(Error::usage(text).hint("give the inventory the run was started with: -i FILE"));
        }
    }
    Ok(())
}

/// A run that died before it changed anything leaves its locks behind, and nothing to go on with.
async fn give_back(context: &Context, directory: &RunDir, plan: &Plan, state: RunState) -> Result<u8> {
    let journal = Journal::take_up(directory)?;
    let run = directory.id();
    // A lock may have been taken without a word of it in the journal.
    let unlocks = plan.hosts().into_iter().map(|host| async move {
        let held = context.transport.probe(&host, &Probe::Lock).await;
        match held {
            Ok(Answer::Lock(Some(lock))) if lock.run == run && !lock.released => {
                let fence = Fence { run: run.to_owned(), epoch: lock.epoch };
                context.transport.unlock(&host, &fence).await.err().map(|_| host)
            }
            Ok(_) => None,
            Err(_) => Some(host),
        }
    });
    let failed: Vec<String> = join_all(unlocks).await.into_iter().flatten().collect();
    let log = Log::new(Box::new(journal), Box::new(|_| {}), state);
    log.emit(context.now_ms(), What::Unlocked { failed: failed.clone() });
    let summary = format!("run {run} had changed nothing; its locks are given back");
    log.emit(context.now_ms(), What::RunEnded { exit: 5, summary: summary.clone(), next: None });
    let left = match fold(failed.iter().map(String::as_str)) {
        none if none.is_empty() => String::new(),
        hosts => format!(", but not on {hosts}: there they run out within a minute"),
    };
    let _ = writeln!(context.for_people(), "{summary}{left}\nnext: start the operation anew");
    Ok(0)
}

/// Services of hosts that give no answer now.
async fn silent(context: &Context, plan: &Plan) -> Vec<ServiceId> {
    let asks = plan.hosts().into_iter().map(|host| async move {
        let answer = context.transport.probe(&host, &Probe::Lock).await;
        (!matches!(answer, Ok(Answer::Lock(_)))).then_some(host)
    });
    let silent: Vec<String> = join_all(asks).await.into_iter().flatten().collect();
    let services = plan.targets.values().map(|target| target.service.clone());
    services.filter(|service| silent.contains(&service.host)).collect()
}

//! `fleet resume`: goes on with a run whose fleet died, from its journal, looking before it repeats anything.

use crate::app::context::Context;
use crate::app::execute::{self, Begin};
use crate::app::{signals, watch};
use crate::cli::ResumeArgs;
use crate::engine::{Answer, Ended, Probe, Prober as _};
use crate::error::{Error, Kind, Result};
use crate::journal::{Journal, RunDir, Stored, last_unfinished};
use crate::model::event::RunState;
use crate::model::plan::Plan;

/// Goes on with the named run, or with the last that isn't finished.
pub async fn resume(context: &Context, args: &ResumeArgs) -> Result<u8> {
    let directory = find(context, args)?;
    let Stored { plan, mut state, .. } = unfinished(&directory)?;
    check_inventory(context, &plan)?;
    if !state.touched() {
        let text = format!("run {} changed nothing: there is nothing to go on with", directory.id());
        return Err(
            Error::usage(text).hint("its locks run out by themselves within a minute; start the operation anew")
        );
    }
    if args.give_up {
        leave_out_silent(context, &plan, &mut state).await;
    }
    let text = format!(
        "run {} of {}: {}; stage {} of {} was under way",
        directory.id(),
        plan.chain_id,
        plan.operation.words(),
        state.done_stages.len() + 1,
        plan.stages.len()
    );
    let _ = std::io::Write::write_all(&mut context.for_people(), (text + "\n").as_bytes());
    if !args.yes && !context.yes_to("Look at every host again and go on?")? {
        return Ok(0);
    }
    let interrupt = signals::listen().map_err(|error| Error::failed(format!("signals: {error}")))?;
    let begin = Begin { journal: Journal::take_up(&directory)?, baseline: state.baseline, state, reason: None };
    let finished = execute::run(context, &plan, begin, interrupt.clone()).await?;
    if finished.ended == Ended::Done {
        watch::watch(context, &plan, 3, interrupt).await;
    }
    Ok(finished.exit)
}

fn find(context: &Context, args: &ResumeArgs) -> Result<RunDir> {
    match &args.run {
        Some(run) => RunDir::open(&context.places, run),
        None => last_unfinished(&context.places)?
            .ok_or_else(|| Error::usage("there is no unfinished run").hint("see all: fleet runs list")),
    }
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

/// On `--give-up`: goes on without the hosts that give no answer.
async fn leave_out_silent(context: &Context, plan: &Plan, state: &mut RunState) {
    for target in plan.targets.values() {
        let answer = context.transport.probe(&target.service.host, &Probe::Lock).await;
        if !matches!(answer, Ok(Answer::Lock(_))) {
            state.left_out.push(target.service.clone());
        }
    }
}

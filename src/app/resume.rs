//! `fleet resume`: goes on with a run whose fleet died, from its journal, looking before it repeats anything.

use crate::app::context::Context;
use crate::app::{execute, signals, watch};
use crate::cli::ResumeArgs;
use crate::engine::{Answer, Ended, Probe, Prober as _};
use crate::error::{Error, Kind, Result};
use crate::journal::RunDir;
use crate::model::event::RunState;
use crate::model::plan::Plan;
use crate::ops;

/// Goes on with the named run, or with the last that isn't finished.
pub async fn resume(context: &Context, args: &ResumeArgs) -> Result<u8> {
    let (directory, plan, state) = open(context, args)?;
    check_inventory(context, &plan)?;
    if !state.touched() {
        return forget(context, directory, &plan, &state).await;
    }
    let state = if args.give_up { without_silent(context, &plan, state).await } else { state };
    context.print(&format!(
        "run {} of {}: {}, stage {} of {} was under way",
        directory.id(),
        plan.chain_id,
        plan.operation.words(),
        state.stage + 1,
        plan.stages.len()
    ));
    if !args.yes && !context.yes_to("Look at every host again and go on?")? {
        return Ok(0);
    }
    let interrupt = signals::listen().map_err(|error| Error::failed(format!("signals: {error}")))?;
    let finished = execute::resume(context, directory, &plan, state, interrupt.clone()).await?;
    if finished.ended == Ended::Done {
        watch::watch(context, &plan, 3, interrupt).await;
    }
    Ok(finished.exit)
}

fn open(context: &Context, args: &ResumeArgs) -> Result<(RunDir, Plan, RunState)> {
    let directory = match &args.run {
        Some(run) => RunDir::open(&context.places, run)?,
        None => RunDir::last_unfinished(&context.places)?
            .ok_or_else(|| Error::usage("there is no unfinished run").hint("see all: fleet runs list"))?,
    };
    let (plan, events) = (directory.plan()?, directory.events()?);
    let state = RunState::of(&events);
    let finished = matches!(&state.ended, Some((0, _)));
    if finished {
        return Err(Error::usage(format!("run {} is finished: {}", directory.id(), state.ended.map_or(String::new(), |end| end.1))));
    }
    Ok((directory.take_over()?, plan, state))
}

fn check_inventory(context: &Context, plan: &Plan) -> Result<()> {
    for host in plan.hosts() {
        if context.inventory.host(&host).is_none() {
            return Err(Error::usage(format!("the run's host {host} is not in {}", context.inventory.source.display()))
                .hint("give the inventory the run was started with: -i FILE"));
        }
    }
    Ok(())
}

/// Nothing was sent that could have changed a host: give the locks back and say so.
async fn forget(context: &Context, directory: RunDir, plan: &Plan, state: &RunState) -> Result<u8> {
    let summary = execute::give_up(context, directory, plan, state).await?;
    context.print(&summary);
    Ok(0)
}

/// On `--give-up`: goes on without the hosts that give no answer.
async fn without_silent(context: &Context, plan: &Plan, mut state: RunState) -> RunState {
    for target in plan.targets.values() {
        let answer = context.transport.probe(&target.service.host, &Probe::Lock).await;
        if !matches!(answer, Ok(Answer::Lock(_))) {
            state.left_out.push(target.service.clone());
        }
    }
    state
}

/// The rules, for `fleet rules`.
pub fn rules(context: &Context, rule: Option<&str>) -> Result<u8> {
    let all = ops::rules::all();
    match rule {
        None => all.iter().for_each(|rule| context.print(&format!("{:<20} {}", rule.name, rule.text))),
        Some(name) => {
            let Some(rule) = all.iter().find(|rule| rule.name == name) else {
                return Err(Error::new(Kind::Usage, format!("there is no rule '{name}'")).hint("list them: fleet rules"));
            };
            context.print(&format!("{}: {}\n\n{}", rule.name, rule.text, rule.about));
        }
    }
    Ok(0)
}

//! Parallel and ranked stages, and how a stage ends.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::StreamExt;
use futures::future::{BoxFuture, join, join_all};
use futures::stream::FuturesUnordered;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::engine::arm::order;
use crate::engine::barrier::interrupted_now;
use crate::engine::rank::in_order;
use crate::engine::run::{Ended, Interrupt, Run};
use crate::engine::{Fault, Turn, holds};
use crate::engine::{archive, check};
use crate::model::event::{Outcome, What};
use crate::model::plan::{Action, Check, Needs, Operation, Shape, Stage, Step, Target, Task};

/// How long a ranked stage waits for all to be ready, and then for one start before it issues the next.
const GATE: Duration = Duration::from_secs(2);
/// What an operator who leaves before the blocks is told.
pub(super) const STARTED: &str = "the starts are done; blocks were not waited for";
/// The same while a snapshot comes.
const FETCHING: &str = "nothing was stopped; what has come stays until the run is resumed";
/// The same while copies are brought into the store.
const KEEPING: &str = "no node stands still for it; what has come stays until the run is resumed";
/// What a host says whose turn was called off because of another.
const CALLED_OFF: &str = "its turn never came, nothing was done";
/// How long the last look at a host may take.
const LAST_LOOK: Duration = Duration::from_secs(3);

pub(super) async fn run(run: &Run, index: usize, stage: &Stage) -> Result<(), Ended> {
    wait_for_start(run, stage).await?;
    let mut interrupt = run.interrupt.clone();
    let gentle_exit = observes_chain(stage);
    let streaming = if run.plan.operation == Operation::Backup { KEEPING } else { FETCHING };
    let streams = stage.streams();
    let until = Instant::now() + Duration::from_millis(stage.timeout_ms);
    tokio::select! {
        () = carry_out(run, index, stage, until) => match left_in_the_middle(run, index, stage) {
            Some(ended) => Err(ended),
            None => conclude(run, index, stage),
        },
        signal = interrupted_now(&mut interrupt) => {
            Err(Ended::Interrupted(signal, format!("{} was under way; what came of it is unknown", stage.name)))
        }
        signal = interrupted_gently(run.interrupt.clone()), if gentle_exit || streams => {
            Err(Ended::Interrupted(signal, if streams { streaming } else { STARTED }.into()))
        }
    }
}

/// Whether a stage only watches the chain: leaving it leaves nothing undone.
pub(super) fn observes_chain(stage: &Stage) -> bool {
    let mut steps = stage.tasks.iter().flat_map(|task| &task.steps).peekable();
    steps.peek().is_some()
        && steps.all(|step| matches!(step.verify, Check::Connected | Check::NewBlock | Check::Healthy))
}

async fn interrupted_gently(mut interrupt: tokio::sync::watch::Receiver<Interrupt>) -> u8 {
    loop {
        if let Interrupt::Gently(signal) = *interrupt.borrow_and_update() {
            return signal;
        }
        if interrupt.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Looks once more at what was started: a node that dies of its own config lives for a moment.
pub(super) async fn look_again(run: &Run) {
    let left_out = run.state().left_out;
    let stages = run.plan.stages.iter().enumerate();
    let started = stages.flat_map(|(index, stage)| stage.tasks.iter().map(move |task| (index, task)));
    let looks = started.filter(|(_, task)| !left_out.contains(&task.service)).map(|(index, task)| async move {
        let number = task.steps.iter().position(|step| step.action == Action::Start)?;
        let before = run.state().steps.remove(&(index, task.service.to_string(), number));
        before.flatten().filter(Outcome::is_good)?;
        let target = run.plan.target(&task.service)?;
        let seen = timeout(LAST_LOOK, check::look(&*run.transport, Check::Alive, target, 0)).await;
        let Ok(Ok(check::Look::Not(reason))) = seen else { return None };
        Some((index, task.service.clone(), number, reason))
    });
    for (stage, service, step, reason) in join_all(looks).await.into_iter().flatten() {
        run.emit(What::StepEnded { stage, service, step, outcome: Outcome::Failed { reason }, took_ms: 0 });
    }
}

async fn wait_for_start(run: &Run, stage: &Stage) -> Result<(), Ended> {
    let Some(not_before) = stage.not_before_ms else { return Ok(()) };
    let mut interrupt = run.interrupt.clone();
    while let Ok(left @ 1..) = u64::try_from(not_before - run.clock.unix_ms()) {
        run.emit(What::Waiting { text: format!("the agreed start is in {} s", left.div_ceil(1000)) });
        tokio::select! {
            () = sleep(Duration::from_millis(left).min(Duration::from_secs(10))) => {}
            signal = interrupted_now(&mut interrupt) => {
                return Err(Ended::Interrupted(signal, "everything is stopped; nothing was started".into()));
            }
        }
    }
    Ok(())
}

async fn carry_out(run: &Run, index: usize, stage: &Stage, until: Instant) {
    if stage.shape == Shape::Rolling {
        return rolling(run, index, stage).await;
    }
    let mut pending: FuturesUnordered<BoxFuture<'_, ()>> = FuturesUnordered::new();
    let ranked = matches!(stage.shape, Shape::Ranked(_));
    let mut turns = Vec::new();
    for (task, before) in in_order(run, stage).await.into_iter().zip(0_u32..) {
        let turn = Arc::new(Turn::default());
        // Those in front may take their time first.
        let patience = if ranked { GATE * (before + 1) } else { Duration::ZERO };
        pending.push(Box::pin(carry_out_task(run, index, task, until, patience, Arc::clone(&turn))));
        turns.push(turn);
    }
    if !ranked {
        for turn in &turns {
            turn.go.notify_one();
        }
        while !enough(run, index, stage) && pending.next().await.is_some() {}
        return;
    }
    join(async { while pending.next().await.is_some() {} }, one_after_the_other(run, index, stage, &turns)).await;
}

/// One task after the other, each with all its time; one that isn't good, or an operator who leaves, ends it there.
async fn rolling(run: &Run, index: usize, stage: &Stage) {
    for task in &stage.tasks {
        let turn = Arc::new(Turn::default());
        turn.go.notify_one();
        let bound: u64 = task.steps.iter().map(|step| step.timeout_ms).sum();
        let until = Instant::now() + Duration::from_millis(bound);
        carry_out_task(run, index, task.clone(), until, Duration::ZERO, turn).await;
        let good = good_tasks(run, index, stage).any(|good| good == task);
        if !good || *run.interrupt.borrow() != Interrupt::None {
            return;
        }
    }
}

/// The end of the run, where the operator left a rolling stage with tasks to come.
fn left_in_the_middle(run: &Run, index: usize, stage: &Stage) -> Option<Ended> {
    let Interrupt::Gently(signal) = *run.interrupt.borrow() else { return None };
    let good = good_tasks(run, index, stage).count();
    let left = stage.shape == Shape::Rolling && good < stage.tasks.len();
    let text = format!("{}: {good} of {} are done, the others were not touched", stage.name, stage.tasks.len());
    left.then_some(Ended::Interrupted(signal, text))
}

/// Nobody starts before all have checked that they may, and nobody at all when one may not: what was stopped runs again.
/// Then each as soon as the one before lives or has failed. A slow one delays the rest only so long.
async fn one_after_the_other(run: &Run, index: usize, stage: &Stage, turns: &[Arc<Turn>]) {
    let _ = timeout(GATE, join_all(turns.iter().map(|turn| turn.ready.notified()))).await;
    let refused = turns.iter().any(|turn| turn.refused.load(Ordering::Relaxed));
    if stage.proves_nodes() && turns.iter().all(|turn| turn.waits.load(Ordering::Relaxed)) {
        run.emit(What::ProvenStopped { stage: index, nodes: turns.len() });
    }
    if stage.proves_nodes() && refused {
        for turn in turns {
            turn.called_off.store(true, Ordering::Relaxed);
            turn.go.notify_one();
        }
        return;
    }
    for turn in turns {
        turn.go.notify_one();
        let _ = timeout(GATE, turn.alive.notified()).await;
    }
}

/// Stages that only look end as soon as they have seen enough; the others wait for everyone.
fn enough(run: &Run, index: usize, stage: &Stage) -> bool {
    let looks_only = stage.tasks.iter().flat_map(|task| &task.steps).all(|step| step.action == Action::Observe);
    looks_only && !matches!(stage.needs, Needs::All) && has_enough(run, index, stage)
}

async fn carry_out_task(run: &Run, index: usize, task: Task, until: Instant, patience: Duration, turn: Arc<Turn>) {
    carry_out_steps(run, index, &task, until, patience, &turn).await;
    // However it ended, the others don't wait for it.
    turn.ready.notify_one();
    turn.alive.notify_one();
}

async fn carry_out_steps(run: &Run, index: usize, task: &Task, until: Instant, patience: Duration, turn: &Turn) {
    let Some(target) = run.plan.target(&task.service) else { return };
    for (number, step) in task.steps.iter().enumerate() {
        let begun = Instant::now();
        let key = (index, task.service.to_string(), number);
        let before = run.state().steps.get(&key).cloned();
        if let Some(Some(outcome)) = &before
            && outcome.is_good()
        {
            continue;
        }
        // Under way when fleet died: look first, never repeat blindly. A reboot has brought up what is enabled.
        let resumed = before.is_some() || (step.action == Action::Start && run.state().resumed);
        let outcome = carry_out_step(run, index, number, target, step, (until, patience), resumed, turn).await;
        let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let good = outcome.is_good();
        if before.is_none() && step.action == Action::Start && outcome == Outcome::Skipped {
            run.emit(What::Remark { text: format!("{} runs already: it isn't started again", task.service) });
        }
        run.emit(What::StepEnded { stage: index, service: task.service.clone(), step: number, outcome, took_ms });
        // What can't be kept of a host keeps nothing else of it back.
        if !good && !step.archives() {
            return;
        }
    }
}

#[allow(clippy::too_many_arguments)] // which step of which run, and its bounds; one caller
async fn carry_out_step(
    run: &Run,
    index: usize,
    number: usize,
    target: &Target,
    step: &Step,
    (until, patience): (Instant, Duration),
    resumed: bool,
    turn: &Turn,
) -> Outcome {
    let bound = || until.min(Instant::now() + patience + Duration::from_millis(step.timeout_ms));
    let until = bound();
    match step.action {
        Action::Observe => return observe(run, target, step, until).await,
        Action::Archive { item } => return archive::keep(run, item, target, until).await,
        _ => {}
    }
    if step.action == Action::Fetch {
        let service = target.service.clone();
        if let Err(reason) = run.intend(What::StepStarted { stage: index, service, step: number }) {
            return Outcome::Failed { reason };
        }
        return archive::send(run, target, until).await;
    }
    if resumed && matches!(timeout_at(until, look(run, target, step)).await, Ok(Ok(check::Look::Holds { .. }))) {
        return Outcome::Skipped;
    }
    if step.action == Action::Seal
        && let Err(reason) = archive::prepare(run, target, until).await
    {
        return Outcome::Failed { reason };
    }
    let until = bound();
    let order = order(run, index, number, target, step);
    if step.action == Action::SetWal && order.wal.is_none() {
        return Outcome::Failed { reason: "there is no log for it; it keeps its own".into() };
    }
    let service = target.service.clone();
    if let Err(reason) = run.intend(What::StepStarted { stage: index, service, step: number }) {
        // What was stopped must come back even when the disk is full: say so and go on.
        run.emit(What::Remark { text: reason });
    }
    match timeout_at(until, run.transport.act(&order, turn)).await {
        Ok(Ok(receipt)) => match (receipt.refusal, holds(step.verify, &receipt.seen)) {
            // What an earlier fleet had sent took effect after the look.
            (Some(_), Ok(())) if resumed => Outcome::Skipped,
            (Some(reason), _) => Outcome::Failed { reason },
            (None, Ok(())) => Outcome::Done,
            // systemd doesn't start a failed unit by itself again.
            (None, Err(reason)) if step.action == Action::Start && receipt.seen.unit.active_state == "failed" => {
                Outcome::Failed { reason }
            }
            (None, Err(_)) => check::settle_sent(&*run.transport, step.verify, target, until).await,
        },
        Ok(Err(fault)) if !fault.sent => Outcome::Failed { reason: fault.reason },
        Ok(Err(_)) | Err(_) => lost(step, check::settle_sent(&*run.transport, step.verify, target, until).await),
    }
}

/// A log that isn't back may still be on its way where the host's own word is lost: no node may start meanwhile.
fn lost(step: &Step, outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Failed { reason } if step.action == Action::UndoWal => Outcome::Unknown { reason },
        outcome => outcome,
    }
}

async fn look(run: &Run, target: &Target, step: &Step) -> Result<check::Look, Fault> {
    check::look(&*run.transport, step.verify, target, run.state().baseline).await
}

async fn observe(run: &Run, target: &Target, step: &Step, until: Instant) -> Outcome {
    if step.verify == Check::Healthy {
        let tell = |why: &str| run.emit(What::Waiting { text: format!("{}: {why}", target.service) });
        // What comes after the first answer is made with its help.
        let (seen, height) = check::settle_telling(&*run.transport, (Check::NewBlock, target, 0), until, tell).await;
        let Some(height) = height.map(|height| height.max(run.state().baseline)) else { return seen };
        return check::settle_telling(&*run.transport, (step.verify, target, height), until, tell).await.0;
    }
    if step.verify == Check::NewBlock && run.state().baseline == 0 {
        // Nothing told the height before: only what comes after the first answer is a new block.
        if let (_, Some(height)) = check::settle(&*run.transport, step.verify, target, 0, until).await {
            run.emit(What::Baseline { height });
        }
    }
    let baseline = run.state().baseline;
    let (outcome, height) = check::settle(&*run.transport, step.verify, target, baseline, until).await;
    if let Some(height) = height {
        run.emit(What::Block { service: target.service.clone(), height, signed: None, total: None });
    }
    outcome
}

/// Ends a stage by what its tasks came to.
pub(super) fn conclude(run: &Run, index: usize, stage: &Stage) -> Result<(), Ended> {
    let good = good_tasks(run, index, stage).count();
    let ok = has_enough(run, index, stage);
    let summary = format!("{good} of {}", stage.tasks.len());
    run.emit(What::StageEnded { stage: index, ok, summary });
    if ok {
        return Ok(());
    }
    let bad = first_bad(run, index, stage);
    if observes_chain(stage) {
        return Err(Ended::NoBlock(bad));
    }
    Err(Ended::Incomplete(format!("{}: {good} of {}; {bad}", stage.name, stage.tasks.len())))
}

fn has_enough(run: &Run, index: usize, stage: &Stage) -> bool {
    let good: Vec<&Task> = good_tasks(run, index, stage).collect();
    match stage.needs {
        Needs::All => good.len() == stage.tasks.len(),
        Needs::Settled => stage.tasks.iter().all(|task| is_settled(run, index, task)),
        Needs::AtLeast(count) => good.len() >= count,
        Needs::Power(power) => run.power_of(good.into_iter()) >= power,
    }
}

fn good_tasks<'a>(run: &Run, index: usize, stage: &'a Stage) -> impl Iterator<Item = &'a Task> {
    let steps = run.state().steps;
    stage.tasks.iter().filter(move |task| {
        (0..task.steps.len()).all(|number| {
            let key = (index, task.service.to_string(), number);
            matches!(steps.get(&key), Some(Some(outcome)) if outcome.is_good())
        })
    })
}

/// Whether it is known what came of a task's last step.
fn is_settled(run: &Run, index: usize, task: &Task) -> bool {
    let key = (index, task.service.to_string(), task.steps.len().saturating_sub(1));
    let outcome = run.state().steps.get(&key).cloned().flatten();
    matches!(outcome, Some(Outcome::Done | Outcome::Skipped | Outcome::Failed { .. }))
}

fn first_bad(run: &Run, index: usize, stage: &Stage) -> String {
    let steps = run.state().steps;
    let reasons = stage.tasks.iter().filter_map(|task| {
        let outcome = |number| steps.get(&(index, task.service.to_string(), number));
        let bad = (0..task.steps.len()).map(outcome).find(|one| !matches!(one, Some(Some(one)) if one.is_good()))?;
        match bad {
            Some(Some(Outcome::Failed { reason })) => Some(format!("{}: {reason}", task.service)),
            Some(Some(Outcome::Unknown { reason })) => Some(format!("{}: unknown, {reason}", task.service)),
            Some(Some(_)) => None,
            Some(None) | None => Some(format!("{}: not done in time", task.service)),
        }
    });
    let cause = |reason: &String| reason.ends_with(CALLED_OFF);
    reasons.min_by_key(cause).unwrap_or_else(|| "not enough of them".into())
}

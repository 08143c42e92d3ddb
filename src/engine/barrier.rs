//! All or nothing at one instant: phase one arms every host, phase two commits.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::{Instant as Deadline, sleep, timeout};

use crate::chain::rpc;
use crate::chain::signer::committed;
use crate::engine::arm::{Ready, arm_all};
use crate::engine::check;
use crate::engine::run::{Ended, Interrupt, Missing, Run};
use crate::engine::{Fault, Observation, Receipt, RpcQuery, decide, holds};
use crate::model::event::{Outcome, StopTime, What};
use crate::model::facts::SignerFacts;
use crate::model::plan::{Check, Instant, Shape, Stage, Target, Task};

/// How long a host may take to acknowledge the instant.
const ACKNOWLEDGE: Duration = Duration::from_secs(3);
/// What an instant is ahead of the last byte sent, beyond the largest round trip, ms.
const MARGIN_MS: f64 = 30.0;
/// How much earlier than the instant a stop may seem to have begun, µs.
const SLACK_US: i64 = 500_000;
/// How often an armed host is asked whether it still waits, when the instant is far.
const PING: Duration = Duration::from_secs(10);
/// How often the watched nodes are asked for a new block.
const POLL: Duration = Duration::from_millis(40);

/// When to fire, and what the operator is told about it.
struct Firing {
    instant_ms: i64,
    after_height: Option<u64>,
    remark: Option<String>,
}

pub(super) async fn run(run: &Run, index: usize, stage: &Stage) -> Result<(), Ended> {
    let Shape::Barrier(instant) = &stage.shape else { return Ok(()) };
    // Fired or about to be: the instant that was agreed on is past, and what came of it is seen on the hosts.
    let resumed = run.state().touched();
    let tasks = if resumed { still_to_do(run, index, stage).await } else { stage.tasks.clone() };
    if tasks.is_empty() {
        // Everything had stopped already when fleet died; what was signed until then is no new block.
        let targets = stage.tasks.iter().filter_map(|task| run.plan.target(&task.service));
        let seen = join_all(targets.map(|target| check::observe(&*run.transport, target))).await;
        if let Some(height) = seen.iter().flatten().filter_map(|one| committed(&one.signer)).max() {
            run.emit(What::Baseline { height });
        }
        return super::stage::conclude(run, index, &run.without_left_out(stage));
    }
    let mut ready = arm_all(run, index, &tasks, instant).await?;
    let stage = &run.without_left_out(stage);
    let instant = if resumed { &Instant::Now } else { instant };
    let firing = match wait_for_instant(run, instant, &mut ready).await {
        Ok(firing) => firing,
        Err(ended) => return Err(disarm(run, ready, ended).await),
    };
    if let Err(reason) = announce(run, index, &ready, &firing) {
        return Err(disarm(run, ready, Ended::Incomplete(reason)).await);
    }
    let firing_ms = firing.instant_ms;
    let mut interrupt = run.interrupt.clone();
    tokio::select! {
        stopped = join_all(ready.into_iter().map(|one| fire(run, index, one, firing_ms))) => finish(run, index, stage, stopped),
        signal = interrupted_now(&mut interrupt) => {
            Err(Ended::Interrupted(signal, "the stop was under way; what came of it is unknown".into()))
        }
    }
}

/// On a resumed run: the tasks whose service isn't stopped yet. The others are settled by looking.
async fn still_to_do(run: &Run, index: usize, stage: &Stage) -> Vec<Task> {
    let looks = join_all(stage.tasks.iter().map(|task| async move {
        let target = run.plan.target(&task.service)?;
        Some(matches!(check::look(&*run.transport, Check::Stopped, target, 0).await, Ok(check::Look::Holds { .. })))
    }))
    .await;
    let mut left = Vec::new();
    for (task, stopped) in stage.tasks.iter().zip(looks) {
        if stopped == Some(true) {
            let service = task.service.clone();
            run.emit(What::StepEnded { stage: index, service, step: 0, outcome: Outcome::Skipped, took_ms: 0 });
        } else {
            left.push(task.clone());
        }
    }
    left
}

async fn wait_for_instant(run: &Run, instant: &Instant, ready: &mut [Ready]) -> Result<Firing, Ended> {
    let mut interrupt = run.interrupt.clone();
    tokio::select! {
        biased;
        signal = interrupted(&mut interrupt) => Err(Ended::Interrupted(signal, "nothing was changed".into())),
        firing = async {
            decide::ask_validators(run).await;
            match instant {
                Instant::Now => Ok(soon(run, ready, None, None)),
                Instant::At { unix_ms } => wait_until(run, *unix_ms, ready).await,
                Instant::AfterBlock { max_wait_ms, quiet_ms } => {
                    Ok(after_block(run, ready, *max_wait_ms, *quiet_ms).await)
                }
            }
        } => firing,
    }
}

/// As soon as the instant can have reached every host.
#[allow(clippy::cast_possible_truncation)] // a round trip in ms fits any integer
fn soon(run: &Run, ready: &[Ready], after_height: Option<u64>, remark: Option<String>) -> Firing {
    Firing { instant_ms: run.clock.unix_ms() + (largest_rtt(ready) + MARGIN_MS) as i64, after_height, remark }
}

fn largest_rtt(ready: &[Ready]) -> f64 {
    ready.iter().map(|one| one.clock.rtt_ms).fold(0.0, f64::max)
}

/// Waits for the agreed time; asks the hosts all the while whether they still wait.
async fn wait_until(run: &Run, unix_ms: i64, ready: &mut [Ready]) -> Result<Firing, Ended> {
    /// How long before the instant the hosts get it.
    const AHEAD_MS: i64 = 1_500;
    /// How long before that the validators are asked for once more: they may have changed while all waited.
    const LAST_MS: i64 = 8_000;
    let mut asked = false;
    loop {
        let left_ms = unix_ms - run.clock.unix_ms() - AHEAD_MS;
        let Ok(left) = u64::try_from(left_ms) else { break };
        if left == 0 {
            break;
        }
        if left_ms < LAST_MS && !asked {
            asked = true;
            decide::ask_validators(run).await;
            continue;
        }
        run.emit(What::Waiting { text: format!("armed; the agreed time is in {} s", left_ms / 1000 + 1) });
        sleep(Duration::from_millis(left).min(PING)).await;
        let pings = join_all(ready.iter_mut().map(|one| timeout(ACKNOWLEDGE, one.handle.clock()))).await;
        let lost = ready.iter().zip(pings).filter_map(|(one, ping)| match ping {
            Ok(Ok(_)) => None,
            Ok(Err(fault)) => Some(Missing { service: one.task.service.clone(), reason: fault.reason }),
            Err(_) => Some(Missing { service: one.task.service.clone(), reason: "no answer while armed".into() }),
        });
        let lost: Vec<Missing> = lost.collect();
        if !lost.is_empty() {
            return Err(Ended::NotArmed(lost));
        }
    }
    #[allow(clippy::cast_possible_truncation)] // a round trip in ms fits any integer
    if run.clock.unix_ms() + largest_rtt(ready) as i64 >= unix_ms {
        let reason = "armed too late: the agreed time has passed".to_owned();
        let missing = |one: &Ready| Missing { service: one.task.service.clone(), reason: reason.clone() };
        return Err(Ended::NotArmed(ready.iter().map(missing).collect()));
    }
    Ok(Firing { instant_ms: unix_ms, after_height: None, remark: None })
}

/// Waits for the next block, after which nobody signs for `timeout_commit`: a stop there loses no vote.
async fn after_block(run: &Run, ready: &[Ready], max_wait_ms: u64, quiet_ms: u64) -> Firing {
    let needed = 2.0 * (largest_rtt(ready) + MARGIN_MS);
    #[allow(clippy::cast_precision_loss)] // a time-out in ms is small
    if quiet_ms as f64 <= needed {
        let remark =
            format!("the quiet time after a block ({quiet_ms} ms) is shorter than {needed:.0} ms; not waited for");
        return soon(run, ready, None, Some(remark));
    }
    let until = Deadline::now() + Duration::from_millis(max_wait_ms);
    let mut first = None;
    while Deadline::now() < until {
        let seen = greatest_height(run, ready).await;
        match (first, seen) {
            (None, Some(_)) => first = seen,
            (Some(before), Some(now)) if now > before => {
                run.emit(What::Baseline { height: now });
                return soon(run, ready, Some(now), None);
            }
            _ => {}
        }
        sleep(POLL).await;
    }
    soon(run, ready, None, Some(format!("no block came within {max_wait_ms} ms; not waited for any longer")))
}

/// The greatest height that the first few nodes report now.
async fn greatest_height(run: &Run, ready: &[Ready]) -> Option<u64> {
    let watched = ready.iter().filter(|one| one.target.rpc.is_some()).take(3);
    let asks = watched.map(|one| async {
        let body = timeout(Duration::from_secs(1), check::rpc_body(&*run.transport, &one.target, RpcQuery::Status));
        rpc::status(&body.await.ok()?.ok()?).ok().map(|status| status.height)
    });
    join_all(asks).await.into_iter().flatten().max()
}

/// Writes the intent down, for every host, before a byte goes out.
fn announce(run: &Run, index: usize, ready: &[Ready], firing: &Firing) -> Result<(), String> {
    for one in ready {
        run.intend(What::StepStarted { stage: index, service: one.task.service.clone(), step: 0 })?;
    }
    run.intend(What::Firing {
        instant_ms: firing.instant_ms,
        after_height: firing.after_height,
        remark: firing.remark.clone(),
    })
}

async fn disarm(run: &Run, mut ready: Vec<Ready>, ended: Ended) -> Ended {
    join_all(ready.iter_mut().map(|one| one.handle.disarm())).await;
    match ended {
        Ended::NotArmed(missing) => {
            for one in &missing {
                run.emit(What::NotArmed { service: one.service.clone(), reason: one.reason.clone() });
            }
            run.back_out("a host was lost while armed").await;
            Ended::NotArmed(missing)
        }
        other => {
            run.emit(What::Disarmed { reason: "the run ends before the stop".into() });
            other
        }
    }
}

/// What came of one fired task.
struct Fired {
    stop: Option<StopTime>,
    signer: SignerFacts,
}

async fn fire(run: &Run, index: usize, mut one: Ready, instant_ms: i64) -> Fired {
    let begun = Deadline::now();
    #[allow(clippy::cast_possible_truncation)] // an offset of clocks in ns fits for centuries
    let host_ns = instant_ms * 1_000_000 + (one.clock.offset_ms * 1e6) as i64;
    let wait_ms = u64::try_from(instant_ms - run.clock.unix_ms()).unwrap_or(0);
    let step_ms = one.task.steps.first().map_or(0, |step| step.timeout_ms);
    let bound = Duration::from_millis(wait_ms + step_ms) + Duration::from_secs(2);
    let attempt = async {
        timeout(ACKNOWLEDGE, one.handle.fire(host_ns))
            .await
            .unwrap_or_else(|_| Err(Fault::unknown("not acknowledged")))?;
        timeout(bound, one.handle.receipt()).await.unwrap_or_else(|_| Err(Fault::unknown("no word of the stop")))
    };
    let (outcome, seen) = match attempt.await {
        Ok(receipt) => judge(run, &one.target, receipt).await,
        Err(_) => settle(run, &one.target, begun + bound).await,
    };
    let service = one.task.service.clone();
    let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    run.emit(What::StepEnded { stage: index, service: service.clone(), step: 0, outcome, took_ms });
    fired(&one, seen, instant_ms)
}

#[allow(clippy::cast_possible_truncation)] // an offset of clocks in µs fits for centuries
fn fired(one: &Ready, seen: Option<Observation>, instant_ms: i64) -> Fired {
    let Some(seen) = seen else { return Fired { stop: None, signer: SignerFacts::Unknown } };
    let offset_us = (one.clock.offset_ms * 1e3) as i64;
    // A unit that had stopped before says nothing of this stop; clocks may be off by less than the slack.
    let since_us = instant_ms * 1000 - SLACK_US;
    let known = seen.stop_began_us - offset_us >= since_us && seen.stop_ended_us > 0;
    let stop = known.then(|| StopTime {
        service: one.task.service.clone(),
        began_us: seen.stop_began_us - offset_us,
        ended_us: seen.stop_ended_us - offset_us,
    });
    Fired { stop, signer: seen.signer }
}

/// The host's word counts only together with what it saw afterwards.
async fn judge(run: &Run, target: &Target, receipt: Receipt) -> (Outcome, Option<Observation>) {
    if let Some(reason) = receipt.refusal {
        return (Outcome::Failed { reason }, Some(receipt.seen));
    }
    match holds(Check::Stopped, &receipt.seen) {
        Ok(()) => (Outcome::Done, Some(receipt.seen)),
        // A last process or a lock may take a moment longer than the unit.
        Err(_) => settle(run, target, Deadline::now() + Duration::from_secs(5)).await,
    }
}

async fn settle(run: &Run, target: &Target, until: Deadline) -> (Outcome, Option<Observation>) {
    let outcome = check::settle_sent(&*run.transport, Check::Stopped, target, until).await;
    (outcome, check::observe(&*run.transport, target).await)
}

fn finish(run: &Run, index: usize, stage: &Stage, fired: Vec<Fired>) -> Result<(), Ended> {
    if let Some(height) = fired.iter().filter_map(|one| committed(&one.signer)).max() {
        run.emit(What::Baseline { height });
    }
    let stops: Vec<StopTime> = fired.into_iter().filter_map(|one| one.stop).collect();
    if !stops.is_empty() {
        run.emit(What::StopTimes { stops });
    }
    super::stage::conclude(run, index, stage)
}

/// Waits until the operator wants to leave, gently or not.
pub(super) async fn interrupted(interrupt: &mut tokio::sync::watch::Receiver<Interrupt>) -> u8 {
    loop {
        if let Interrupt::Gently(signal) | Interrupt::Now(signal) = *interrupt.borrow_and_update() {
            return signal;
        }
        if interrupt.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Waits until the operator wants to leave at once.
pub(super) async fn interrupted_now(interrupt: &mut tokio::sync::watch::Receiver<Interrupt>) -> u8 {
    loop {
        if let Interrupt::Now(signal) = *interrupt.borrow_and_update() {
            return signal;
        }
        if interrupt.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

//! Phase one of a barrier: every command waits on its host under a lease.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::timeout;

use crate::engine::run::{Ended, Missing, Run};
use crate::engine::{Armed, ClockSample, Fault, Fence, Order};
use crate::model::event::What;
use crate::model::plan::{Action, Instant, Step, Target, Task, WalContent};

/// How long one host may take to be armed.
const ARM: Duration = Duration::from_secs(20);
/// How long the lease of an armed host holds beyond what it waits for, s.
const LEASE_S: u64 = 300;
/// Samples of a host's clock; the one with the shortest round trip counts, and one this short is good enough, ms.
const SAMPLES: usize = 3;
const SHORT_MS: f64 = 5.0;

/// One armed task.
pub(super) struct Ready {
    pub task: Task,
    pub target: Target,
    pub handle: Box<dyn Armed>,
    pub clock: ClockSample,
}

/// Arms these tasks all at once; those that can't be armed are left out, if they may be, or all are disarmed.
pub(super) async fn arm_all(run: &Run, index: usize, tasks: &[Task], instant: &Instant) -> Result<Vec<Ready>, Ended> {
    let lease_s = LEASE_S
        + match instant {
            Instant::At { unix_ms } => u64::try_from((unix_ms - run.clock.unix_ms()) / 1000).unwrap_or(0),
            Instant::Now | Instant::AfterBlock { .. } => 0,
        };
    let attempts = join_all(tasks.iter().map(|task| arm(run, index, task, lease_s))).await;
    let (mut ready, mut missing) = (Vec::new(), Vec::<Missing>::new());
    for (task, attempt) in tasks.iter().zip(attempts) {
        match attempt {
            Ok(one) => ready.push(one),
            Err(fault) => missing.extend(run.whole_host(&task.service.host, &fault.reason)),
        }
    }
    // A host is in or out: what its other nodes need must not be stopped under them.
    let out = |one: &Ready| missing.iter().any(|other| other.service.host == one.task.service.host);
    let (mut dropped, mut ready): (Vec<_>, Vec<_>) = ready.into_iter().partition(out);
    join_all(dropped.iter_mut().map(|one| one.handle.disarm())).await;
    for one in &ready {
        run.emit(What::Armed {
            service: one.task.service.clone(),
            offset_ms: one.clock.offset_ms,
            error_ms: one.clock.rtt_ms / 2.0,
        });
    }
    match run.go_on_without(missing).await {
        Ok(()) => Ok(ready),
        Err(ended) => {
            join_all(ready.iter_mut().map(|one| one.handle.disarm())).await;
            Err(ended)
        }
    }
}

async fn arm(run: &Run, index: usize, task: &Task, lease_s: u64) -> Result<Ready, Fault> {
    let (Some(target), Some(step)) = (run.plan.target(&task.service), task.steps.first()) else {
        return Err(Fault::answer("the plan has no target for it"));
    };
    let order = order(run, index, 0, target, step);
    let attempt = async {
        let mut handle = run.transport.arm(&order, lease_s).await?;
        let mut best = handle.clock().await?;
        for _ in 1..SAMPLES {
            if best.rtt_ms < SHORT_MS {
                break;
            }
            let sample = handle.clock().await?;
            if sample.rtt_ms < best.rtt_ms {
                best = sample;
            }
        }
        Ok(Ready { task: task.clone(), target: target.clone(), handle, clock: best })
    };
    timeout(ARM, attempt).await.unwrap_or_else(|_| Err(Fault::answer(&format!("not armed within {} s", ARM.as_secs()))))
}

/// One step of the plan as an order for its host.
pub(super) fn order(run: &Run, stage: usize, step_index: usize, target: &Target, step: &Step) -> Order {
    let epoch = run.state().epochs.get(&target.service.host).copied().unwrap_or(0);
    Order {
        fence: Fence { run: run.identity.run.clone(), epoch },
        step: format!("{stage}.{step_index}.{}", target.service.service),
        action: step.action,
        expect: step.expect,
        target: target.clone(),
        timeout_ms: step.timeout_ms,
        wal: (step.action == Action::SetWal).then(|| log_of(run, &target.service.to_string())).flatten(),
    }
}

/// The log to write for a service: one that was decided on, or the plan's.
fn log_of(run: &Run, service: &str) -> Option<WalContent> {
    run.made.get().and_then(|made| made.get(service)).or_else(|| run.plan.wals.get(service)).cloned()
}

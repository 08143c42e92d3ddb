//! The stages of a stop: all nodes at one instant, then what they needed, then proof.

use crate::model::plan::{Action, Check, Instant, Needs, Operation, Shape, Stage, Step, Task};
use crate::ops::policy::runs;
use crate::ops::scene::{Member, Scene};

/// How long a proof that something is stopped may take, ms.
pub const PROOF_MS: u64 = 15_000;
/// What a kill needs to take effect, ms.
const AFTER_KILL_MS: u64 = 10_000;

pub fn stages(scene: &Scene<'_>) -> Vec<Stage> {
    let halt = scene.request.operation == Operation::Halt;
    let (nodes, needed): (Vec<_>, Vec<_>) = scene.members.iter().partition(|member| member.is_node());
    let stop = |members: &[&Member<'_>]| members.iter().map(|member| stop(scene, member)).collect::<Vec<Task>>();
    let timeout_ms = stop_ms(scene);
    let barrier = Stage {
        name: "halt".into(),
        shape: Shape::Barrier(instant(scene)),
        needs: Needs::All,
        timeout_ms,
        not_before_ms: None,
        safe_point: true,
        tasks: stop(&nodes),
    };
    let mut last_first = needed.clone();
    last_first.reverse();
    let sidecars = Stage {
        name: "sidecars".into(),
        shape: Shape::Parallel,
        // On the way to a start one that won't stop must not keep the chain down.
        needs: if halt { Needs::All } else { Needs::AtLeast(0) },
        safe_point: false,
        tasks: stop(&last_first),
        ..barrier.clone()
    };
    // Where a restart's first start is that of all nodes in one stage, that stage proves it as well; so does the change
    // of a log.
    let bare = scene.request.start_at_ms.is_none() && scene.request.clear.is_none() && needed.is_empty();
    let before_log =
        matches!(scene.request.operation, Operation::ReviveWal | Operation::RestoreWal | Operation::Restore);
    let at_next = before_log || (bare && scene.power_view().total > 0);
    let proven: Vec<&Member<'_>> = match (halt, at_next) {
        (true, _) => nodes.into_iter().chain(needed).collect(),
        (false, false) => nodes,
        (false, true) => Vec::new(),
    };
    [barrier, sidecars, proof("verify", proven)].into_iter().filter(|stage| !stage.tasks.is_empty()).collect()
}

/// A stage that proves services stopped.
pub fn proof<'a>(name: &str, members: impl IntoIterator<Item = &'a Member<'a>>) -> Stage {
    let step = Step { expect: Check::Nothing, action: Action::Observe, verify: Check::Stopped, timeout_ms: PROOF_MS };
    Stage {
        name: name.into(),
        shape: Shape::Parallel,
        needs: Needs::All,
        timeout_ms: PROOF_MS,
        not_before_ms: None,
        safe_point: false,
        tasks: members.into_iter().map(|member| task(member, step.clone())).collect(),
    }
}

/// A task of one step.
pub fn task(member: &Member<'_>, step: Step) -> Task {
    Task { service: member.service.id.clone(), steps: vec![step] }
}

fn stop(scene: &Scene<'_>, member: &Member<'_>) -> Task {
    let action = Action::Stop { kill_after_ms: scene.request.kill_after_ms };
    task(member, Step { expect: Check::Nothing, action, verify: Check::Stopped, timeout_ms: stop_ms(scene) })
}

fn stop_ms(scene: &Scene<'_>) -> u64 {
    let killed = scene.request.kill_after_ms.map_or(0, |after| after.saturating_add(AFTER_KILL_MS));
    scene.request.stop_timeout_ms.max(killed)
}

fn instant(scene: &Scene<'_>) -> Instant {
    // Those that are stopped already sign nothing that a block could be waited for.
    let running = scene.members.iter().filter(|member| member.is_node() && member.facts.is_some_and(runs));
    let configs = running.filter_map(Member::config);
    let quiet_ms = configs.map(|config| config.timeout_commit_ms).min().unwrap_or(0);
    let block_time_ms = u64::try_from(scene.chain.block_time.as_millis()).unwrap_or(u64::MAX);
    match scene.request.at_ms {
        Some(unix_ms) => Instant::At { unix_ms },
        None if scene.situation.advancing && quiet_ms > 0 && !scene.request.no_wait => {
            Instant::AfterBlock { max_wait_ms: block_time_ms.saturating_mul(3), quiet_ms }
        }
        None => Instant::Now,
    }
}

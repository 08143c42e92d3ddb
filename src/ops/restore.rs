//! The stages of a restore: the snapshot is brought beside the databases while the nodes run; then they are stopped, their
//! databases exchanged, and they start and reach the chain again.

use crate::model::plan::{Action, Check, Needs, Shape, Stage, Step, Target};
use crate::model::restore::Restore;
use crate::ops::halt::{self, task};
use crate::ops::scene::{Member, Scene};
use crate::ops::start;

/// How long a snapshot may take to come, ms. What makes no progress ends much earlier.
const FETCH_MS: u64 = 48 * 3_600_000;
/// How long the exchange of all databases of a node may take, ms: renames only.
const SWAP_MS: u64 = 60_000;

/// What is brought back, and who tells the chain's height then; `None` where that isn't what was asked for.
pub fn restore(scene: &Scene<'_>) -> Option<Restore> {
    let asked = scene.request.restore.as_ref()?;
    let tip = |target: Target| target.rpc.filter(|_| target.seen).map(|rpc| (target.service.host, rpc));
    Some(Restore { tips: scene.others().into_iter().filter_map(tip).collect(), ..asked.restore.clone() })
}

pub fn stages(scene: &Scene<'_>) -> Vec<Stage> {
    let catch_up_ms = scene.request.restore.as_ref().map_or(0, |asked| asked.catch_up_ms);
    let fetch = stage(scene, "fetch", &step(Check::Nothing, Action::Fetch, Check::Nothing, FETCH_MS));
    let swap = stage(scene, "swap", &step(Check::Stopped, Action::Swap, Check::Swapped, SWAP_MS));
    let healthy = stage(scene, "healthy", &step(Check::Nothing, Action::Observe, Check::Healthy, catch_up_ms));
    let mut stages = vec![fetch];
    stages.extend(halt::stages(scene));
    stages.push(Stage { safe_point: false, ..swap });
    stages.extend(start::starts(scene));
    stages.push(healthy);
    stages.retain(|stage| !stage.tasks.is_empty());
    stages
}

fn step(expect: Check, action: Action, verify: Check, timeout_ms: u64) -> Step {
    Step { expect, action, verify, timeout_ms }
}

fn stage(scene: &Scene<'_>, name: &str, step: &Step) -> Stage {
    let nodes = scene.members.iter().filter(|member: &&Member<'_>| member.is_node());
    Stage {
        name: name.into(),
        shape: Shape::Parallel,
        needs: Needs::All,
        timeout_ms: step.timeout_ms,
        not_before_ms: None,
        safe_point: true,
        tasks: nodes.map(|member| task(member, step.clone())).collect(),
    }
}

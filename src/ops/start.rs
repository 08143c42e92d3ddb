//! The stages of a start: needed services, nodes without power, validators by power; then the chain is watched.

use std::cmp::Reverse;

use crate::model::plan::{Action, Check, Needs, Operation, Order, Shape, Stage, Step};
use crate::ops::halt::{proof, task};
use crate::ops::scene::{Class, Member, Scene};

/// How long a unit may take to have a live process, ms.
const START_MS: u64 = 30_000;
/// How long nodes may take to find peers, ms.
const CONNECT_MS: u64 = 60_000;

pub fn stages(scene: &Scene<'_>) -> Vec<Stage> {
    let mut stages: Vec<Stage> = proofs(scene);
    stages.extend(starts(scene));
    // Only what follows the wait waits: the last proof, and the first start.
    if let Some(first) = stages.iter_mut().find(|stage| matches!(stage.shape, Shape::Ranked(_))) {
        first.not_before_ms = scene.request.start_at_ms;
        first.safe_point = scene.request.operation == Operation::Start;
    }
    let nodes: Vec<&Member<'_>> = scene.members.iter().filter(|member| member.is_node()).collect();
    stages.push(watch("connected", Check::Connected, CONNECT_MS.min(scene.request.block_timeout_ms), &nodes));
    stages.push(watch("blocks", Check::NewBlock, scene.request.block_timeout_ms, &nodes));
    stages.retain(|stage| !stage.tasks.is_empty());
    stages
}

/// Proof that what is to be started is stopped. A restart has it from its stop, unless it waits before it starts.
fn proofs(scene: &Scene<'_>) -> Vec<Stage> {
    let stopped = scene.members.iter().filter(|member| member.starts && member.is_node());
    match (scene.request.operation, scene.request.start_at_ms) {
        (Operation::Start, at) => vec![Stage { safe_point: true, not_before_ms: at, ..proof("verify", stopped) }],
        (_, Some(_)) => vec![Stage { not_before_ms: scene.request.start_at_ms, ..proof("still-stopped", stopped) }],
        (_, None) => Vec::new(),
    }
}

/// Where powers are known, sentries and validators are one stage: all have proven that they may start before the first
/// does, and then they follow each other closely. A node that dials another too early tries again only seconds later.
/// Otherwise a sentry must run before it can tell the order of the validators.
pub fn starts(scene: &Scene<'_>) -> Vec<Stage> {
    let of = |class| scene.members.iter().filter(move |member| member.starts && member.class == class);
    let mut sentries: Vec<&Member<'_>> = of(Class::Sentry).collect();
    sentries.sort_by_key(|member| name_order(member));
    let mut validators: Vec<&Member<'_>> = of(Class::Validator).collect();
    validators.sort_by_key(|member| (Reverse(member.target.power), name_order(member)));
    let needed: Vec<&Member<'_>> = of(Class::Needed).collect();
    let services = start("services", &needed);
    if scene.power_view().total == 0 {
        return vec![services, start("sentries", &sentries), start("nodes", &validators)];
    }
    vec![services, start("nodes", &[sentries, validators].concat())]
}

fn start(name: &str, members: &[&Member<'_>]) -> Stage {
    let step = Step { expect: Check::Stopped, action: Action::Start, verify: Check::Alive, timeout_ms: START_MS };
    Stage {
        name: name.into(),
        shape: Shape::Ranked(Order::AsPlanned),
        needs: Needs::All,
        timeout_ms: START_MS * 2 + 2_000 * members.len() as u64,
        not_before_ms: None,
        safe_point: false,
        tasks: members.iter().map(|member| task(member, step.clone())).collect(),
    }
}

fn watch(name: &str, verify: Check, timeout_ms: u64, members: &[&Member<'_>]) -> Stage {
    let step = Step { expect: Check::Nothing, action: Action::Observe, verify, timeout_ms };
    Stage {
        name: name.into(),
        shape: Shape::Parallel,
        needs: Needs::All,
        timeout_ms,
        not_before_ms: None,
        safe_point: true,
        tasks: members.iter().map(|member| task(member, step.clone())).collect(),
    }
}

/// `val-2` before `val-10`.
fn name_order(member: &Member<'_>) -> (String, usize, String, String) {
    let host = &member.service.id.host;
    let stem = host.trim_end_matches(|c: char| c.is_ascii_digit());
    (stem.into(), host.len(), host.clone(), member.service.id.service.clone())
}

//! Write-ahead logs: what a chain's logs tell, and the stages that set one or put one back.

mod revive;
#[cfg(test)]
mod tests;

pub use revive::{Revival, against, told};

use std::collections::BTreeSet;

use crate::model::plan::{Action, Check, Clearing, Needs, Operation, Shape, Stage, Step};
use crate::ops::halt::task;
use crate::ops::request::{Clear, Request};
use crate::ops::scene::{Member, Scene};

/// How long a log may take to be written, ms.
const WRITE_MS: u64 = 60_000;
/// How long the reading of all logs, the decision and the writing may take, ms.
const DECIDE_MS: u64 = 180_000;

/// The stage that sets the log of every node.
pub fn set(scene: &Scene<'_>) -> Stage {
    stage(scene, Action::SetWal, Check::WalSet)
}

/// The stage that puts the set-aside log of every node back. A host refuses where the signer has signed since; that node
/// starts with the log it has.
pub fn undo(scene: &Scene<'_>) -> Stage {
    Stage { needs: Needs::Settled, ..stage(scene, Action::UndoWal, Check::WalBack) }
}

fn stage(scene: &Scene<'_>, action: Action, verify: Check) -> Stage {
    let step = Step { expect: Check::Stopped, action, verify, timeout_ms: WRITE_MS };
    let nodes = scene.members.iter().filter(|member: &&Member<'_>| member.is_node());
    Stage {
        name: "log".into(),
        shape: Shape::Parallel,
        needs: Needs::All,
        timeout_ms: WRITE_MS,
        not_before_ms: None,
        safe_point: false,
        tasks: nodes.map(|member| task(member, step.clone())).collect(),
    }
}

/// The stage that decides whether logs are cleared, and clears them; none where that isn't asked for.
pub fn clear(scene: &Scene<'_>) -> Vec<Stage> {
    let Some(clear) = &scene.request.clear else { return Vec::new() };
    let stage = stage(scene, Action::SetWal, Check::WalSet);
    let tasks: Vec<_> = stage.tasks.into_iter().filter(|task| clear.hosts.contains(&task.service.host)).collect();
    if tasks.is_empty() {
        return Vec::new();
    }
    vec![Stage {
        name: "decide".into(),
        shape: Shape::Decide,
        // One that keeps its log starts with it.
        needs: Needs::AtLeast(0),
        timeout_ms: DECIDE_MS,
        tasks,
        ..stage
    }]
}

/// What the decision about a clearing rests on beside the hosts' files.
pub fn clearing(scene: &Scene<'_>) -> Option<Clearing> {
    let clear = scene.request.clear.as_ref()?;
    let accepted = scene.request.accept.iter().filter(|rule| ["wal-strands", "possible-fork"].contains(&rule.as_str()));
    Some(Clearing {
        drop_records: clear.drop_records,
        others: scene.others(),
        goes_on_without: goes_on_without(scene, clear),
        accepted: accepted.cloned().collect(),
        bundles: clear.bundles.clone(),
    })
}

/// Whether the validators that vote now and aren't stopped are a quorum, and those that are cleared too few to take part in
/// another block's: a committed block has the locks of a quorum, all but these still there.
fn goes_on_without(scene: &Scene<'_>, clear: &Clear) -> bool {
    let votes = scene.votes();
    let address = |member: &Member<'_>| member.target.address.clone();
    let planned: BTreeSet<String> = scene.members.iter().filter_map(address).collect();
    let cleared = scene.members.iter().filter(|member| clear.hosts.contains(&member.host.name));
    let cleared: BTreeSet<String> = cleared.filter_map(address).collect();
    let online: u64 =
        votes.online.iter().filter(|(address, _)| !planned.contains(*address)).map(|(_, power)| power).sum();
    let view = scene.power_view();
    let lost = scene.powers.sum(&cleared.iter().map(String::as_str).collect()) + view.total.saturating_sub(view.quorum);
    let known = scene.members.iter().all(|member| !member.may_sign() || member.target.power.is_some());
    scene.situation.advancing && known && view.quorum > 0 && online >= view.quorum && lost < view.quorum
}

/// What an operation does to logs, for the agreement.
pub fn policy(request: &Request) -> &'static str {
    match (request.operation, &request.clear) {
        (Operation::ReviveWal, _) => "revive",
        (Operation::RestoreWal, _) => "restore",
        (_, None) => "keep",
        (_, Some(Clear { drop_records: false, .. })) => "clear",
        (_, Some(Clear { drop_records: true, .. })) => "clear, records dropped",
    }
}

//! Write-ahead logs: what a chain's logs tell, and the stages that set one or put one back.

mod bundle;
mod revive;
mod survey;
#[cfg(test)]
mod tests;

pub use bundle::Bundle;
pub use revive::{Revival, against, told};
pub use survey::{Node, Survey};

use crate::model::plan::{Action, Check, Needs, Operation, Shape, Stage, Step};
use crate::ops::halt::task;
use crate::ops::scene::{Member, Scene};

/// How long a log may take to be written, ms.
const WRITE_MS: u64 = 60_000;

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

/// What an operation does to logs, for the agreement.
pub fn policy(operation: Operation) -> &'static str {
    match operation {
        Operation::Halt | Operation::Start | Operation::CoordinatedRestart => "keep",
        Operation::ReviveWal => "revive",
        Operation::RestoreWal => "restore",
    }
}

//! What depends on a plan as a whole: how much of each stage must succeed, and what must come from others.

use crate::model::plan::{Finding, Needs, Order, Plan, Shape, Stage, Task};
use crate::ops::rules;

/// Fills in needs, the order of validators and the findings about power, from what the plan holds.
pub fn settle(plan: &mut Plan) {
    plan.notices.retain(|finding| !["needs-others", "order-unknown"].contains(&finding.rule.as_str()));
    drop_lonely_connect(plan);
    let needs: Vec<Needs> = plan.stages.iter().map(|stage| needs(plan, stage)).collect();
    for (stage, needs) in plan.stages.iter_mut().zip(needs) {
        stage.needs = needs;
    }
    order_validators(plan);
    let found: Vec<Finding> = [needs_others(plan)].into_iter().flatten().collect();
    plan.notices.extend(found);
    rules::sort(&mut plan.notices);
}

/// One hung host must not keep the chain down: a start goes on with what the quorum needs, and without knowing the
/// quorum with whatever started; the blocks decide.
fn needs(plan: &Plan, stage: &Stage) -> Needs {
    let quorum = plan.power.quorum;
    match stage.name.as_str() {
        "services" => Needs::AtLeast(0),
        "nodes" => {
            let missing = quorum.saturating_sub(plan.running_power());
            let enough = plan.power_of(stage.tasks.iter().map(|task| &task.service)) >= missing;
            if missing > 0 && enough { Needs::Power(missing) } else { Needs::AtLeast(1) }
        }
        "connected" if quorum > 0 && plan.power.planned >= quorum => Needs::Power(quorum),
        "sentries" | "connected" => Needs::AtLeast(1),
        "blocks" => Needs::AtLeast(stage.tasks.len().min(2)),
        _ => stage.needs,
    }
}

/// A single node that holds the quorum by itself needs no peer.
fn drop_lonely_connect(plan: &mut Plan) {
    let alone = plan.power.quorum > 0 && plan.power.planned >= plan.power.quorum;
    plan.stages.retain(|stage| !(alone && stage.name == "connected" && stage.tasks.len() == 1));
}

/// Without powers the first node that runs is asked; where there is none, the order stays unknown and the plan says so.
fn order_validators(plan: &mut Plan) {
    if plan.power.total > 0 {
        return;
    }
    let tasks = |name: &str| plan.stages.iter().find(|stage| stage.name == name).map_or(&[][..], |stage| &stage.tasks);
    let validators: Vec<String> = tasks("nodes").iter().map(|task: &Task| task.service.to_string()).collect();
    let runs_before = tasks("blocks").len() > validators.len();
    if let Some(stage) = plan.stages.iter_mut().find(|stage| stage.name == "nodes") {
        stage.shape = Shape::Ranked(if runs_before { Order::ByPowerOfChain } else { Order::AsPlanned });
    }
    if validators.len() > 1 && !runs_before {
        plan.notices.push(rules::finding("order-unknown", validators, "voting powers are unknown: started by name"));
    }
}

fn needs_others(plan: &Plan) -> Option<Finding> {
    let power = &plan.power;
    // On a chain that advances, our nodes that are left alone go on.
    let with_ours = if plan.advancing { power.ours_elsewhere } else { 0 };
    let short =
        plan.power_short().filter(|short| *short > with_ours && plan.operation.brings_blocks(plan.advancing))?;
    let text = format!(
        "this plan brings {} of {}, the quorum is {}: {short} must come from others (ours that it leaves alone {}, foreign {})",
        power.planned, power.total, power.quorum, power.ours_elsewhere, power.foreign
    );
    Some(rules::finding("needs-others", Vec::new(), text))
}

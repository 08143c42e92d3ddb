//! The same plan without some services: what the prompt offers when they can't be armed.

use std::collections::BTreeSet;

use crate::model::inventory::ServiceId;
use crate::model::plan::{LeftOut, Plan, distinct_power};
use crate::ops::needs;

/// The plan without these services, and why; its power, needs and digest are its own. A host's last node
/// takes what it needs along. Without any node left the plan has no targets and must not be run.
pub fn without(plan: &Plan, services: &[ServiceId], reason: &str) -> Plan {
    let mut plan = plan.clone();
    let ours = plan.power.planned + plan.power.ours_elsewhere;
    for service in services {
        let Some(target) = plan.targets.remove(&service.to_string()) else { continue };
        if target.chain_id == plan.chain_id || plan.backup.is_some() {
            plan.left_out.push(LeftOut { service: target.service, power: target.power, reason: reason.into() });
        }
    }
    let hosts: BTreeSet<String> = nodes(&plan).map(|service| service.host.clone()).collect();
    // What is kept of a host needs no node there.
    let kept = plan.backup.is_some();
    plan.targets.retain(|_, target| kept || hosts.contains(&target.service.host));
    plan.power.planned = distinct_power(plan.targets.values());
    plan.power.ours_elsewhere = ours - plan.power.planned;
    drop_tasks(&mut plan);
    drop_findings(&mut plan);
    needs::settle(&mut plan);
    plan
}

fn nodes(plan: &Plan) -> impl Iterator<Item = &ServiceId> {
    plan.targets.values().filter(|target| target.chain_id == plan.chain_id).map(|target| &target.service)
}

fn drop_tasks(plan: &mut Plan) {
    let kept: BTreeSet<ServiceId> = plan.targets.values().map(|target| target.service.clone()).collect();
    // The time of the start is on the first stage that starts something, whichever that is now.
    let start_at = plan.agreement.start_at_ms;
    let safe = first_start(plan).is_some_and(|index| plan.stages[index].safe_point);
    for stage in &mut plan.stages {
        stage.tasks.retain(|task| kept.contains(&task.service));
    }
    plan.stages.retain(|stage| !stage.tasks.is_empty());
    if let Some(index) = first_start(plan) {
        plan.stages[index].not_before_ms = start_at;
        plan.stages[index].safe_point = safe;
    }
}

fn first_start(plan: &Plan) -> Option<usize> {
    let starts: BTreeSet<&ServiceId> = plan.starts().collect();
    plan.stages.iter().position(|stage| {
        matches!(stage.shape, crate::model::plan::Shape::Ranked(_))
            && stage.tasks.iter().any(|task| starts.contains(&task.service))
    })
}

/// Findings about what is gone are gone, and with them what was accepted only for it.
fn drop_findings(plan: &mut Plan) {
    let targets = &plan.targets;
    plan.notices.retain_mut(|finding| {
        let general = finding.services.is_empty();
        finding.services.retain(|service| targets.contains_key(service));
        general || !finding.services.is_empty()
    });
    let notices = &plan.notices;
    plan.accepted.retain(|rule| notices.iter().any(|finding| finding.rule == *rule));
}

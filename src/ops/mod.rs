//! The planners: what is asked for and what is true go in, a plan or a refusal comes out. Pure, like `model`.

pub mod backup;
mod halt;
mod needs;
pub mod policy;
mod powers;
mod request;
mod restore;
pub mod retention;
pub mod rules;
mod scene;
pub mod schedule;
mod start;
pub mod wal;
mod without;

pub use request::{BackupOf, Clear, Planned, Refusal, Request, RestoreOf, Situation};
pub use without::without;

use std::collections::BTreeMap;

use crate::model::plan::{Agreement, AllowMissing, FORMAT, Finding, Operation, Plan, Stage, Target};
use crate::ops::rules::Verdict;
use crate::ops::scene::Scene;

/// The plan for a halt, a start or a coordinated restart; or everything that speaks against it.
pub fn plan(request: &Request, situation: &Situation<'_>) -> Result<Planned, Refusal> {
    let scene = Scene::new(request, situation)?;
    let verdict = rules::judge(&scene);
    if verdict.refused() {
        return Err(Refusal { findings: verdict.findings });
    }
    let mut plan = assemble(&scene, &verdict);
    let findings = policy::violations(&plan, situation.inventory, situation.facts, &scene.votes());
    let (accepted, findings) = rules::split(findings, &request.accept);
    if !findings.is_empty() {
        return Err(Refusal { findings });
    }
    plan.accepted.extend(accepted.iter().map(|finding| finding.rule.clone()));
    plan.accepted.sort();
    plan.accepted.dedup();
    plan.notices.extend(accepted);
    rules::sort(&mut plan.notices);
    Ok(Planned { plan, remarks: verdict.remarks })
}

/// What speaks against a plan by what is true now: its hosts may have been looked at hours ago.
pub fn against(plan: &Plan, situation: &Situation<'_>) -> Vec<Finding> {
    let request = Request::of(plan.operation, &plan.chain, plan.hosts(), 0, &[]);
    match Scene::new(&request, situation) {
        Ok(scene) => {
            let findings = policy::violations(plan, situation.inventory, situation.facts, &scene.votes());
            rules::split(findings, &plan.accepted).1
        }
        Err(refusal) => refusal.findings,
    }
}

fn assemble(scene: &Scene<'_>, verdict: &Verdict) -> Plan {
    let mut plan = Plan {
        format: FORMAT,
        operation: scene.request.operation,
        chain: scene.chain.name.clone(),
        chain_id: scene.chain.chain_id.clone(),
        targets: targets(scene),
        power: scene.power_view(),
        stages: stages(scene),
        notices: verdict.findings.clone(),
        accepted: verdict.accepted.clone(),
        left_out: scene.left_out.clone(),
        allow_missing: AllowMissing {
            hosts: scene.allowed_hosts(),
            power: scene.powers.share(scene.request.allow_missing_percent),
        },
        agreement: agreement(scene),
        block_time_ms: u64::try_from(scene.chain.block_time.as_millis()).unwrap_or(u64::MAX),
        wals: scene.request.wals.clone(),
        clearing: wal::clearing(scene),
        backup: backup::backup(scene),
        restore: restore::restore(scene),
        advancing: scene.situation.advancing,
    };
    needs::settle(&mut plan);
    plan
}

/// What the steps act on; a host's own node stands for its host, too.
fn targets(scene: &Scene<'_>) -> BTreeMap<String, Target> {
    let parts = backup::parts(scene).into_iter().map(|part| part.target);
    let nodes = scene.members.iter().map(|one| one.target.clone());
    parts.chain(nodes).map(|target| (target.service.to_string(), target)).collect()
}

fn stages(scene: &Scene<'_>) -> Vec<Stage> {
    match scene.request.operation {
        Operation::Halt => halt::stages(scene),
        Operation::Start => start::stages(scene),
        Operation::CoordinatedRestart => [halt::stages(scene), wal::clear(scene), start::stages(scene)].concat(),
        Operation::ReviveWal => [halt::stages(scene), vec![wal::set(scene)], start::stages(scene)].concat(),
        Operation::Backup => backup::stages(scene),
        Operation::Restore => restore::stages(scene),
        Operation::RestoreWal => [halt::stages(scene), vec![wal::undo(scene)], start::stages(scene)].concat(),
    }
}

fn agreement(scene: &Scene<'_>) -> Agreement {
    let Scene { request, situation, .. } = scene;
    Agreement {
        chain_id: scene.chain.chain_id.clone(),
        genesis: scene.genesis(),
        last: situation.last.clone().filter(|_| !situation.advancing),
        operation: request.operation.words().into(),
        wal: wal::policy(request).into(),
        at_ms: request.at_ms,
        start_at_ms: request.start_at_ms,
        // A fork, or a chain that stands, is everybody's.
        accepted: wal::clearing(scene).map(|clearing| clearing.accepted).unwrap_or_default(),
        ..Agreement::default()
    }
}

//! Plans as the planners make them, by hand.

use std::collections::BTreeMap;

use fleet::model::inventory::{NODE, ServiceId};
use fleet::model::plan::{
    Action, Agreement, AllowMissing, Check, FORMAT, Finding, Instant, LeftOut, Needs, Operation, Order, Plan,
    PowerView, Severity, Shape, Stage, Step, Target, Task,
};

/// Powers of the seven validators.
pub const POWERS: [u64; 7] = [30, 20, 15, 12, 10, 8, 5];

pub fn node(host: &str) -> ServiceId {
    ServiceId { host: host.into(), service: NODE.into() }
}

fn target(service: &ServiceId, power: Option<u64>) -> Target {
    Target {
        wal_file: String::new(),
        service: service.clone(),
        unit: "virtengined.service".into(),
        home: "/var/lib/virtengine".into(),
        db_dir: "/var/lib/virtengine/data".into(),
        state_file: "/var/lib/virtengine/data/priv_validator_state.json".into(),
        rpc: Some("127.0.0.1:26657".into()),
        chain_id: "virtengine-1".into(),
        address: power.map(|_| "AB".repeat(20)),
        power,
        node_id: None,
        seen: true,
    }
}

fn step(action: Action, verify: Check) -> Step {
    Step { expect: Check::Nothing, action, verify, timeout_ms: 90_000 }
}

fn stage(name: &str, shape: Shape, needs: Needs, services: &[ServiceId], step: &Step) -> Stage {
    let tasks = services.iter().map(|service| Task { service: service.clone(), steps: vec![step.clone()] }).collect();
    let timeout_ms = step.timeout_ms;
    Stage { name: name.into(), shape, needs, timeout_ms, not_before_ms: None, safe_point: name == "halt", tasks }
}

/// A coordinated restart of two sentries and these validators.
pub fn restart(validators: &[(&str, u64)], total: u64) -> Plan {
    let sentries = [node("sentry-1"), node("sentry-2")];
    let ranked: Vec<ServiceId> = validators.iter().map(|(name, _)| node(name)).collect();
    let all: Vec<ServiceId> = sentries.iter().chain(&ranked).cloned().collect();
    let powers: BTreeMap<String, u64> = validators.iter().map(|(name, power)| ((*name).to_owned(), *power)).collect();
    let targets = all.iter().map(|id| (id.to_string(), target(id, powers.get(&id.host).copied()))).collect();
    let planned = powers.values().sum();
    let barrier = Shape::Barrier(Instant::AfterBlock { max_wait_ms: 18_000, quiet_ms: 5_000 });
    let kill_after_ms = None;
    let connected = Step { timeout_ms: 30_000, ..step(Action::Observe, Check::Connected) };
    let blocks = Step { timeout_ms: 120_000, ..step(Action::Observe, Check::NewBlock) };
    Plan {
        wals: BTreeMap::new(),
        clearing: None,
        backup: None,
        restore: None,
        format: FORMAT,
        operation: Operation::CoordinatedRestart,
        chain: "virtengine".into(),
        chain_id: "virtengine-1".into(),
        targets,
        power: PowerView {
            total,
            quorum: total * 2 / 3 + 1,
            planned,
            ours_elsewhere: 0,
            foreign: total - planned,
            source: "the chain".into(),
        },
        stages: vec![
            stage("halt", barrier, Needs::All, &all, &step(Action::Stop { kill_after_ms }, Check::Stopped)),
            stage("verify", Shape::Parallel, Needs::All, &all, &step(Action::Observe, Check::Stopped)),
            stage("sentries", Shape::Parallel, Needs::All, &sentries, &step(Action::Start, Check::Alive)),
            stage("start", Shape::Ranked(Order::AsPlanned), Needs::All, &ranked, &step(Action::Start, Check::Alive)),
            stage("connect", Shape::Parallel, Needs::AtLeast(2), &all, &connected),
            stage("blocks", Shape::Parallel, Needs::AtLeast(2), &all, &blocks),
        ],
        notices: Vec::new(),
        accepted: Vec::new(),
        left_out: Vec::new(),
        allow_missing: AllowMissing::default(),
        agreement: Agreement {
            chain_id: "virtengine-1".into(),
            operation: "coordinated-restart".into(),
            wal: "kept".into(),
            ..Agreement::default()
        },
        block_time_ms: 6_000,
        advancing: false,
    }
}

/// All of the default fleet, power 100 of 100.
pub fn healthy() -> Plan {
    let names: Vec<String> = (1..=7).map(|number| format!("val-{number}")).collect();
    let validators: Vec<(&str, u64)> = names.iter().map(String::as_str).zip(POWERS).collect();
    restart(&validators, 100)
}

/// One operator with 12 of 100, who knows the powers only from the last gather.
pub fn twelve_percent() -> Plan {
    let mut plan = restart(&[("val-1", 8), ("val-2", 4)], 100);
    plan.power.source = "the last gather at height 120".into();
    plan
}

/// A chain that has stopped: everyone agrees on a time, and two things are worth a look.
pub fn halted() -> Plan {
    let mut plan = healthy();
    plan.stages[0].shape = Shape::Barrier(Instant::At { unix_ms: 1_770_559_200_000 });
    plan.stages[2].not_before_ms = Some(1_770_559_320_000);
    plan.agreement.last = Some((1_204_331, "C0FFEE".into()));
    plan.accepted = vec!["clock".into()];
    plan.notices = vec![
        finding("disk", Severity::Warning, &["val-2", "val-3"], "91 % of the disk is used", "free some room"),
        finding("unit-enabled", Severity::Note, &["val-4"], "the unit is not enabled", "systemctl enable it"),
    ];
    plan
}

/// Without val-7, which can't be reached.
pub fn left_out() -> Plan {
    let mut plan = healthy();
    for stage in &mut plan.stages {
        stage.tasks.retain(|task| task.service.host != "val-7");
    }
    plan.targets.remove("val-7");
    plan.power.planned = 95;
    plan.power.ours_elsewhere = 5;
    plan.left_out = vec![LeftOut {
        service: node("val-7"),
        power: Some(5),
        reason: "ssh 10.0.0.17:22 timed out after 10 s".into(),
    }];
    plan.allow_missing = AllowMissing { hosts: vec!["val-5".into(), "val-6".into()], power: 5 };
    plan
}

pub fn finding(rule: &str, severity: Severity, services: &[&str], text: &str, next: &str) -> Finding {
    let services = services.iter().map(|name| (*name).to_owned()).collect();
    Finding { rule: rule.into(), severity, services, text: text.into(), next: next.into() }
}

//! Plans for the scripted hosts.

use std::collections::BTreeMap;

use fleet::model::backup::{Backup, Item, Profile};
use fleet::model::inventory::{NODE, ServiceId};
use fleet::model::plan::{
    Action, Agreement, AllowMissing, Check, Clearing, FORMAT, Instant, Needs, Operation, Order, Plan, PowerView, Shape,
    Stage, Step, Target, Task,
};
use fleet::model::restore::Restore;

use crate::world::{NODES, address};

pub fn service(host: &str) -> ServiceId {
    ServiceId { host: host.into(), service: NODE.into() }
}

fn target(host: &str, power: u64) -> Target {
    Target {
        wal_file: String::new(),
        service: service(host),
        unit: "node.service".into(),
        home: "/home".into(),
        db_dir: "/home/data".into(),
        state_file: "/home/data/state".into(),
        rpc: Some("127.0.0.1:26657".into()),
        chain_id: "c-1".into(),
        address: (power > 0).then(|| address(host)),
        power: Some(power),
        node_id: None,
        seen: true,
    }
}

fn step(expect: Check, action: Action, verify: Check, timeout_ms: u64) -> Step {
    Step { expect, action, verify, timeout_ms }
}

fn stage(name: &str, shape: Shape, needs: Needs, hosts: &[&str], step: &Step) -> Stage {
    Stage {
        name: name.into(),
        shape,
        needs,
        timeout_ms: step.timeout_ms * 2,
        not_before_ms: None,
        safe_point: matches!(name, "halt" | "connected" | "blocks"),
        tasks: hosts.iter().map(|host| Task { service: service(host), steps: vec![step.clone()] }).collect(),
    }
}

/// A coordinated restart at this instant.
pub fn restart(instant: Instant) -> Plan {
    let all: Vec<&str> = NODES.iter().map(|(host, _)| *host).collect();
    let look = |verify, timeout_ms| step(Check::Nothing, Action::Observe, verify, timeout_ms);
    let stop = step(Check::Nothing, Action::Stop { kill_after_ms: None }, Check::Stopped, 90_000);
    let start = step(Check::Stopped, Action::Start, Check::Alive, 30_000);
    let ranked = Shape::Ranked(Order::AsPlanned);
    Plan {
        wals: BTreeMap::new(),
        clearing: None,
        backup: None,
        restore: None,
        format: FORMAT,
        operation: Operation::CoordinatedRestart,
        chain: "c".into(),
        chain_id: "c-1".into(),
        targets: NODES.iter().map(|(host, power)| (service(host).to_string(), target(host, *power))).collect(),
        power: PowerView {
            total: 40,
            quorum: 27,
            planned: 40,
            ours_elsewhere: 0,
            foreign: 0,
            source: "the chain".into(),
        },
        stages: vec![
            stage("halt", Shape::Barrier(instant), Needs::All, &all, &stop),
            stage("verify", Shape::Parallel, Needs::All, &all, &look(Check::Stopped, 15_000)),
            stage("sentries", ranked.clone(), Needs::AtLeast(1), &all[..1], &start),
            stage("nodes", ranked, Needs::Power(27), &all[1..], &start),
            stage("connected", Shape::Parallel, Needs::Power(27), &all, &look(Check::Connected, 60_000)),
            stage("blocks", Shape::Parallel, Needs::AtLeast(2), &all, &look(Check::NewBlock, 120_000)),
        ],
        notices: Vec::new(),
        accepted: Vec::new(),
        left_out: Vec::new(),
        allow_missing: AllowMissing::default(),
        agreement: Agreement::default(),
        block_time_ms: 6000,
        advancing: false,
    }
}

pub fn now() -> Plan {
    restart(Instant::Now)
}

/// Clones every node's databases, one after the other, and keeps two items of each.
pub fn backup() -> Plan {
    let all: Vec<&str> = NODES.iter().map(|(host, _)| *host).collect();
    let seal = step(Check::Nothing, Action::Seal, Check::Sealed, 60_000);
    let item = |host: &&str, profile| Item {
        service: service(host),
        profile,
        roots: BTreeMap::new(),
        backend: String::new(),
        genesis: None,
        version: None,
        keys: None,
        list: None,
        postgres: None,
    };
    let items: Vec<Item> =
        all.iter().flat_map(|host| [item(host, Profile::Config), item(host, Profile::Data)]).collect();
    let mut store = stage("store", Shape::Parallel, Needs::All, &all, &seal);
    for (number, task) in store.tasks.iter_mut().enumerate() {
        let keep = |item| step(Check::Nothing, Action::Archive { item }, Check::Nothing, 600_000);
        task.steps = vec![keep(number * 2), keep(number * 2 + 1)];
    }
    Plan {
        operation: Operation::Backup,
        backup: Some(Backup { store: "/store".into(), parallel: 2, streams: 2, rate: None, items }),
        stages: vec![stage("seal", Shape::Rolling, Needs::AtLeast(1), &all, &seal), store],
        ..now()
    }
}

/// Exchanges every node's databases for those of a snapshot.
pub fn restore_data() -> Plan {
    let all: Vec<&str> = NODES.iter().map(|(host, _)| *host).collect();
    let fetch = step(Check::Nothing, Action::Fetch, Check::Nothing, 600_000);
    let swap = step(Check::Stopped, Action::Swap, Check::Swapped, 60_000);
    let start = step(Check::Stopped, Action::Start, Check::Alive, 30_000);
    let healthy = step(Check::Nothing, Action::Observe, Check::Healthy, 600_000);
    let mut plan = now();
    plan.operation = Operation::Restore;
    plan.restore = Some(Restore {
        store: "/store".into(),
        parallel: 2,
        snapshot: "S".into(),
        of: "s1".into(),
        height: Some(90),
        entries: vec!["state.db".into()],
        files: 3,
        bytes: 9,
        tips: vec![("s1".into(), "127.0.0.1:26657".into())],
    });
    plan.targets.iter_mut().for_each(|(name, target)| target.node_id = Some(name.clone()));
    let halt = plan.stages.swap_remove(0);
    plan.stages = vec![
        stage("fetch", Shape::Parallel, Needs::All, &all, &fetch),
        halt,
        stage("swap", Shape::Parallel, Needs::All, &all, &swap),
        stage("nodes", Shape::Ranked(Order::AsPlanned), Needs::Power(27), &all, &start),
        stage("healthy", Shape::Parallel, Needs::All, &all, &healthy),
    ];
    plan
}

/// Puts every node's log back between its stop and its start.
pub fn restore() -> Plan {
    let all: Vec<&str> = NODES.iter().map(|(host, _)| *host).collect();
    let undo = step(Check::Stopped, Action::UndoWal, Check::WalBack, 60_000);
    let mut plan = now();
    plan.operation = Operation::RestoreWal;
    plan.stages.insert(2, stage("log", Shape::Parallel, Needs::Settled, &all, &undo));
    plan
}

/// Clears every node's log between its stop and its start.
pub fn clear() -> Plan {
    let all: Vec<&str> = NODES.iter().map(|(host, _)| *host).collect();
    let set = step(Check::Stopped, Action::SetWal, Check::WalSet, 60_000);
    let mut plan = now();
    plan.targets.values_mut().for_each(|target| target.wal_file = "/home/data/cs.wal/wal".into());
    plan.stages.insert(2, stage("decide", Shape::Decide, Needs::AtLeast(0), &all, &set));
    plan.clearing = Some(Clearing::default());
    plan
}

/// The stop alone.
pub fn halt() -> Plan {
    let mut plan = now();
    plan.operation = Operation::Halt;
    plan.stages.truncate(2);
    plan
}

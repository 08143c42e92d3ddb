//! The invariants over any plan, judged by an oracle of its own.

use std::collections::{BTreeMap, BTreeSet};

use fleet::model::facts::*;
use fleet::model::inventory::{NODE, ServiceId};
use fleet::model::plan::{Action, Check, Operation, Plan, Step, Task};
use fleet::model::restore::Restore;
use fleet::ops::policy::{Votes, violations};
use fleet::ops::without;
use proptest::prelude::*;

use crate::oracle::{Node, broken, double};
use crate::world::{World, address, hosts, stop};

const NODES: usize = 5;

fn name(index: usize) -> String {
    format!("val-{}", index + 1)
}

fn node() -> impl Strategy<Value = Node> {
    let often = || prop::bool::weighted(0.85);
    (0..4_usize, prop::bool::weighted(0.3), any::<bool>(), often(), often())
        .prop_map(|(key, remote, alive, has_key, has_state)| Node { key, remote, alive, has_key, has_state, votes: 0 })
}

/// Nodes, each key with one power, which votes or doesn't.
fn fleet_of() -> impl Strategy<Value = BTreeMap<String, Node>> {
    let votes = prop::collection::vec(prop_oneof![Just(0_u64), 1..40_u64], 4);
    (prop::collection::vec(node(), NODES), votes).prop_map(|(mut nodes, votes)| {
        for node in &mut nodes {
            node.votes = votes[node.key];
        }
        nodes.into_iter().enumerate().map(|(index, node)| (name(index), node)).collect()
    })
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![Just(Operation::Halt), Just(Operation::Start), Just(Operation::CoordinatedRestart)]
}

fn key_address(node: &Node) -> String {
    address(node.key + 1)
}

/// The facts that such nodes would give.
fn world(nodes: &BTreeMap<String, Node>) -> World {
    let powers: Vec<u64> =
        (0..4).map(|key| nodes.values().find(|node| node.key == key).map_or(1, |node| node.votes.max(1))).collect();
    let mut world = World::new(&hosts(&[&format!("val-[1-{NODES}]")], &[]), &powers).remembered(&powers);
    world.cached.as_mut().unwrap().1.clear();
    for (host, node) in nodes {
        world = world.on(host, |facts| {
            if !node.alive {
                stop(facts);
            }
            let address = key_address(node);
            let config = facts.config.as_mut().unwrap();
            config.remote_signer = if node.remote { "tcp://0.0.0.0:26659".into() } else { String::new() };
            // A node tells its address by RPC while it runs, and a remote signer's address only so.
            let told = if node.signs() { address.clone() } else { String::new() };
            let status =
                NodeStatus { chain_id: "virtengine-1".into(), height: 5, address: told, ..NodeStatus::default() };
            facts.rpc.status = (node.alive || node.remote).then_some(status);
            facts.key =
                if node.has_key { KeyFacts::Present { address, public_key: "key".into() } } else { KeyFacts::Missing };
            if !node.has_state {
                facts.signer = SignerFacts::Missing;
            }
        });
    }
    world
}

fn votes(nodes: &BTreeMap<String, Node>, quorum: u64) -> Votes {
    let voting = nodes.values().filter(|node| node.votes > 0 && node.alive && node.signs());
    Votes { online: voting.map(|node| (key_address(node), node.votes)).collect(), quorum }
}

fn id(host: &str) -> ServiceId {
    ServiceId { host: host.into(), service: NODE.into() }
}

fn check() -> impl Strategy<Value = Check> {
    prop_oneof![1 => Just(Check::Nothing), 6 => Just(Check::Stopped), 6 => Just(Check::Alive)]
}

/// Steps in any order, mostly as planners make them.
fn steps() -> impl Strategy<Value = Vec<(usize, Step)>> {
    let halt = (check(), prop_oneof![1 => check(), 9 => Just(Check::Stopped)])
        .prop_map(|(expect, verify)| (expect, Action::Stop { kill_after_ms: None }, verify));
    let start =
        (prop_oneof![1 => check(), 9 => Just(Check::Stopped)], prop_oneof![1 => check(), 9 => Just(Check::Alive)])
            .prop_map(|(expect, verify)| (expect, Action::Start, verify));
    let seal =
        prop_oneof![1 => check(), 9 => Just(Check::Sealed)].prop_map(|verify| (Check::Nothing, Action::Seal, verify));
    let swap =
        prop_oneof![1 => check(), 9 => Just(Check::Swapped)].prop_map(|verify| (Check::Stopped, Action::Swap, verify));
    let look = check().prop_map(|verify| (Check::Nothing, Action::Observe, verify));
    let step = prop_oneof![4 => halt, 4 => start, 2 => seal, 2 => swap, 1 => look]
        .prop_map(|(expect, action, verify)| Step { expect, action, verify, timeout_ms: 1000 });
    prop::collection::vec((0..NODES, step), 1..10)
}

/// A plan of these steps over all nodes.
fn by_hand(operation: Operation, steps: Vec<(usize, Step)>) -> Plan {
    let mut plan =
        crate::world::World::new(&hosts(&[&format!("val-[1-{NODES}]")], &[]), &[10; NODES]).plan().unwrap().plan;
    plan.operation = operation;
    plan.restore = Some(Restore::default());
    plan.stages.truncate(1);
    plan.stages[0].tasks =
        steps.into_iter().map(|(index, step)| Task { service: id(&name(index)), steps: vec![step] }).collect();
    plan
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn the_policy_finds_what_the_oracle_finds(
        nodes in fleet_of(), steps in steps(), operation in operation(), quorum in 1..80_u64,
    ) {
        let world = world(&nodes);
        let plan = by_hand(operation, steps);
        let found = violations(&plan, &world.inventory, &world.facts, &votes(&nodes, quorum));
        let found: BTreeSet<&str> = found.iter().map(|finding| finding.rule.as_str()).collect();
        let expected = broken(&plan, &nodes, quorum);
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn no_planner_makes_a_plan_that_the_oracle_forbids(
        nodes in fleet_of(), operation in operation(), selected in prop::collection::vec(any::<bool>(), NODES),
    ) {
        let mut world = world(&nodes).operation(operation);
        world.request.hosts.retain(|host| selected[host[4..].parse::<usize>().unwrap() - 1]);
        let mut names: BTreeSet<&str> = nodes.iter().filter(|(_, node)| node.alive).map(|(name, _)| &**name).collect();
        let chosen: BTreeSet<&str> = world.request.hosts.iter().map(String::as_str).collect();
        if operation != Operation::Halt {
            names.extend(&chosen);
        }
        let twins = operation != Operation::Halt
            && chosen.iter().any(|host| nodes[*host].signs() && double(&nodes, &names, nodes[*host].key));
        match world.plan() {
            Ok(planned) => {
                prop_assert_eq!(broken(&planned.plan, &nodes, 1), BTreeSet::new());
                prop_assert!(!twins, "two signers are passed over");
                starts_only_after_stops(&planned.plan, &nodes, operation)?;
            }
            Err(refusal) => {
                let never = |rule: &str| refusal.findings.iter().any(|finding| finding.rule == rule);
                prop_assert_eq!(never("one-signer"), twins);
                prop_assert!(chosen.is_empty() || twins || never("signer-pair"), "{:?}", refusal.findings);
            }
        }
    }

    #[test]
    fn a_plan_without_some_services_keeps_the_invariants(
        nodes in fleet_of(), operation in operation(), gone in prop::collection::vec(any::<bool>(), NODES),
    ) {
        let world = world(&nodes).operation(operation);
        let Ok(planned) = world.plan() else { return Ok(()) };
        let gone: Vec<ServiceId> = (0..NODES).filter(|index| gone[*index]).map(|index| id(&name(index))).collect();
        let plan = without(&planned.plan, &gone, "can't be armed");
        prop_assert_eq!(broken(&plan, &nodes, 1), BTreeSet::new());
        prop_assert!(violations(&plan, &world.inventory, &world.facts, &votes(&nodes, 1)).is_empty());
        let tasks: Vec<&Task> = plan.stages.iter().flat_map(|stage| &stage.tasks).collect();
        prop_assert!(tasks.iter().all(|task| !gone.contains(&task.service)));
        prop_assert!(plan.stages.iter().all(|stage| !stage.tasks.is_empty()));
        prop_assert_eq!(plan.targets.len(), NODES - gone.len());
        prop_assert_eq!(plan.left_out.len(), gone.len());
        // The power is of the addresses that are left, each once, whoever else signs for it.
        let left: BTreeMap<String, u64> =
            plan.targets.values().filter_map(|target| Some((target.address.clone()?, target.power?))).collect();
        prop_assert_eq!(plan.power.planned, left.values().sum::<u64>());
        let sum = |power: &fleet::model::plan::PowerView| power.planned + power.ours_elsewhere + power.foreign;
        prop_assert_eq!(sum(&plan.power), sum(&planned.plan.power));
        prop_assert_eq!(gone.is_empty(), plan.digest() == planned.plan.digest());
    }
}

/// What runs is stopped and proven stopped before anything is started; what doesn't run is proven stopped at its start.
fn starts_only_after_stops(
    plan: &Plan,
    nodes: &BTreeMap<String, Node>,
    operation: Operation,
) -> Result<(), TestCaseError> {
    let steps: Vec<(&ServiceId, &Step)> = plan
        .stages
        .iter()
        .flat_map(|stage| &stage.tasks)
        .flat_map(|task| task.steps.iter().map(move |step| (&task.service, step)))
        .collect();
    let first_start = steps.iter().position(|(_, step)| step.action == Action::Start).unwrap_or(steps.len());
    let last_stop = steps.iter().rposition(|(_, step)| matches!(step.action, Action::Stop { .. }));
    prop_assert!(last_stop.is_none_or(|last| last < first_start));
    for (service, step) in &steps[first_start..] {
        if step.action == Action::Start {
            let proven =
                steps[..first_start].iter().any(|(other, step)| other == service && step.verify == Check::Stopped);
            prop_assert!(proven, "{service} is started without proof");
            prop_assert!(operation == Operation::CoordinatedRestart || !nodes[&service.host].alive);
        }
    }
    Ok(())
}

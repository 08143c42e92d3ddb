//! The decide stage: what only the stopped hosts can tell decides whether logs are cleared. The run goes on either way.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use sha2::{Digest as _, Sha256};
use tokio::time::timeout;

use crate::chain::rpc;
use crate::chain::wal::bundle::Bundle;
use crate::chain::wal::clear::{self, Fate, Fated};
use crate::chain::wal::record;
use crate::chain::wal::survey::{Node, Survey, name_of};
use crate::engine::barrier::interrupted_now;
use crate::engine::run::{Ended, Run};
use crate::engine::wal::Which;
use crate::engine::{check, stage, wal};
use crate::model::event::What;
use crate::model::inventory::ServiceId;
use crate::model::plan::{Check, Clearing, Replaces, Stage, Target, WalContent};

/// How long a host may take to tell its logs.
const READ: Duration = Duration::from_secs(60);
/// How a decide stage ends whose tasks aren't carried out.
const KEPT: &str = "kept";
/// How long a node may take to tell the validators.
const ASK: Duration = Duration::from_secs(2);

pub(super) async fn run(run: &Run, index: usize, stage: &Stage) -> Result<(), Ended> {
    let Some(clearing) = &run.plan.clearing else { return Ok(()) };
    // What an earlier fleet has begun is brought to its end: some have their short log already.
    let begun = run.state().decided.is_some_and(|(carried_out, _)| carried_out);
    let mut interrupt = run.interrupt.clone();
    let decision = tokio::select! {
        decision = decide(run, stage, clearing, begun) => decision,
        signal = interrupted_now(&mut interrupt) => {
            return Err(Ended::Interrupted(signal, "the logs were being read; none was touched".into()));
        }
    };
    let (logs, text) = match decision {
        Ok((logs, text)) => (Some(logs), text),
        // Those that have none yet fail, by name.
        Err(text) => (begun.then(BTreeMap::new), text),
    };
    let carried_out = logs.is_some();
    let logs = match run.intend(What::Decided { stage: index, carried_out, text }) {
        Ok(()) => logs,
        // A resumed run would not know that some are set.
        Err(reason) => {
            run.emit(What::Decided { stage: index, carried_out: false, text: vec![format!("{reason}: not begun")] });
            None
        }
    };
    if let Some(logs) = logs {
        let _ = run.made.set(logs);
        return stage::run(run, index, stage).await;
    }
    run.emit(What::StageEnded { stage: index, ok: true, summary: KEPT.into() });
    Ok(())
}

/// The logs to write and what speaks for it, or what speaks against it, one line each.
type Decision<K, L> = Result<(BTreeMap<K, L>, Vec<String>), Vec<String>>;

async fn decide(run: &Run, stage: &Stage, clearing: &Clearing, begun: bool) -> Decision<String, WalContent> {
    let nodes = nodes(run, stage, clearing).await.map_err(|reason| vec![reason])?;
    let chain = &run.plan.chain_id;
    let voters = rpc::voters(&run.state().validators, chain).ok();
    let asked = clear::Clearing {
        survey: Survey {
            chain_id: chain,
            initial_height: 1,
            reported: voters.as_ref().map_or(0, |(height, _)| height.saturating_sub(1)),
            voters,
        },
        nodes: &nodes,
        drop_records: clearing.drop_records,
        time: record::time(run.clock.unix_ms()),
    };
    let (logs, text) = judge(&asked, clearing, begun)?;
    let content = |(service, log): (ServiceId, Vec<u8>)| {
        let node = nodes.iter().find(|one| one.node.service == service)?;
        Some((service.to_string(), WalContent { replaces: replaces(&node.node), ..WalContent::new(&log) }))
    };
    Ok((logs.into_iter().filter_map(content).collect(), text))
}

fn judge(asked: &clear::Clearing<'_>, clearing: &Clearing, begun: bool) -> Decision<ServiceId, Vec<u8>> {
    if begun || clearing.goes_on_without {
        let logs = asked.logs().map_err(|reason| vec![reason])?;
        let why = if begun { "it was begun already" } else { "the chain has its quorum without these nodes" };
        return Ok((logs, vec![why.into()]));
    }
    let cleared = asked.judge().map_err(|reason| vec![reason])?;
    let name = |address: &str| name_of(asked.nodes.iter().map(|one| &one.node), address);
    let (accepted, refused): (Vec<_>, Vec<_>) = cleared
        .decision
        .refusals(cleared.height, &name)
        .into_iter()
        .partition(|(rule, _)| clearing.accepted.iter().any(|accepted| accepted == rule));
    if !refused.is_empty() {
        return Err(refused.into_iter().map(|(rule, text)| format!("{rule}: {text}")).collect());
    }
    let mut text: Vec<String> = accepted.into_iter().map(|(rule, text)| format!("accepted {rule}: {text}")).collect();
    text.push(cleared.decision.forecast.words(cleared.height));
    if !cleared.decision.witnesses.is_empty() {
        text.push(format!("by the logs of {}", cleared.decision.witnesses.join(", ")));
    }
    Ok((cleared.logs, text))
}

/// Every node of the chain whose logs can be had, and what becomes of them.
async fn nodes(run: &Run, stage: &Stage, clearing: &Clearing) -> Result<Vec<Fated>, String> {
    let cleared = |service: &ServiceId| stage.tasks.iter().any(|task| task.service == *service);
    let left_out = run.state().left_out;
    let ours = run.plan.targets.values().filter(|target| !target.wal_file.is_empty());
    let fate = |target: &&Target| match &target.service {
        service if left_out.contains(service) => Fate::Down,
        service if cleared(service) => Fate::Cleared,
        _ => Fate::Kept,
    };
    let ours = ours.map(|target| async move { Fated { node: read(run, target).await, fate: fate(&target) } });
    let others = clearing.others.iter().map(|target| async move {
        let alive = timeout(ASK, check::look(&*run.transport, Check::Alive, target, 0)).await;
        let fate = if matches!(alive, Ok(Ok(check::Look::Holds { .. }))) { Fate::Runs } else { Fate::Down };
        Fated { node: read(run, target).await, fate }
    });
    let (ours, others) = futures::join!(join_all(ours), join_all(others));
    let mut nodes: Vec<Fated> = ours.into_iter().chain(others).collect();
    for text in &clearing.bundles {
        // Whoever sends a bundle clears as well, by the agreement.
        let bundled = Bundle::parse(text, &run.plan.chain_id)?.nodes()?;
        nodes.extend(bundled.into_iter().map(|node| Fated { node, fate: Fate::Cleared }));
    }
    Ok(nodes)
}

async fn read(run: &Run, target: &Target) -> Node {
    let reading =
        wal::read(&*run.transport, &target.service.host, (&target.wal_file, &target.state_file), Which::OfHeight);
    let logs = match timeout(READ, reading).await {
        Ok(logs) => logs.map_err(|fault| fault.reason),
        Err(_) => Err(format!("no answer in {} s", READ.as_secs())),
    };
    Node { service: target.service.clone(), address: target.address.clone(), logs }
}

fn replaces(node: &Node) -> Option<Replaces> {
    let logs = node.logs.as_ref().ok()?;
    let size = node.live().map_or(0, |found| found.size);
    let signer = match &logs.signer {
        Some(Ok(text)) => hex::encode(Sha256::digest(text)),
        _ => String::new(),
    };
    Some(Replaces { size, signer })
}

/// Asks the nodes that run for the validators, and notes what the one that is furthest tells. A stop comes after it, and
/// then nobody tells.
pub(super) async fn ask_validators(run: &Run) {
    let Some(clearing) = &run.plan.clearing else { return };
    let targets = run.plan.targets.values().chain(&clearing.others);
    let asks = targets.filter_map(|target| {
        let address = target.rpc.as_ref()?;
        Some(timeout(ASK, wal::voter_pages(&*run.transport, &target.service.host, address, &run.plan.chain_id)))
    });
    let told = join_all(asks).await.into_iter().filter_map(|answer| answer.ok().flatten());
    // Those that still run on a resumed run may lag behind who told it before.
    let known = rpc::voters(&run.state().validators, &run.plan.chain_id).map_or(0, |(height, _)| height);
    if let Some((_, pages)) = told.max_by_key(|(height, _)| *height).filter(|(height, _)| *height > known) {
        run.emit(What::Validators { pages });
    }
}

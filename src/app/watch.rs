//! After the first block: the interval over the next blocks, and who signs. Leaving it early is no failure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::sync::watch::Receiver;
use tokio::time::{Instant, sleep, timeout};

use crate::app::context::Context;
use crate::chain::rpc;
use crate::cli::Output;
use crate::engine::{Answer, Interrupt, Probe, Prober as _, RpcQuery, validators};
use crate::journal::powers;
use crate::model::facts::{Commit, ValidatorSet};
use crate::model::fold::fold;
use crate::model::plan::{Plan, Target};
use crate::render::words::counted;

/// How often to look for the next block.
const POLL: Duration = Duration::from_millis(150);
/// The longest wait for one block, in block times.
const PATIENCE: u64 = 20;

/// What was seen of the blocks.
struct Seen {
    first: u64,
    last: u64,
    took: Duration,
    /// Addresses that signed the last of them.
    signed: BTreeSet<String>,
}

/// Watches `blocks` blocks and says what was seen; an interrupt ends it at once.
pub async fn watch(context: &Context, plan: &Plan, blocks: u32, mut interrupt: Receiver<Interrupt>) {
    if blocks == 0 || plan.backup.is_some() || context.global.output != Output::Text {
        return;
    }
    let Some((target, set)) = a_node(context, plan).await else { return };
    context.print(&format!("watching {}; Ctrl-C leaves, nothing is undone", counted(blocks as usize, "block")));
    let seen = tokio::select! {
        seen = follow(context, plan, &target, blocks) => seen,
        () = left(&mut interrupt) => None,
    };
    match seen {
        Some(seen) => context.print(&words(&names(context, plan), &set, &seen)),
        None => context.print("left; the chain goes on: fleet status"),
    }
}

async fn left(interrupt: &mut Receiver<Interrupt>) {
    while *interrupt.borrow_and_update() == Interrupt::None {
        if interrupt.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// A node that answers, and its validator set.
async fn a_node(context: &Context, plan: &Plan) -> Option<(Target, ValidatorSet)> {
    for target in plan.targets.values() {
        let Some(address) = &target.rpc else { continue };
        let ask = validators(&*context.transport, &target.service.host, address);
        if let Ok(Some(set)) = timeout(Duration::from_secs(3), ask).await {
            return Some((target.clone(), set));
        }
    }
    None
}

async fn follow(context: &Context, plan: &Plan, target: &Target, blocks: u32) -> Option<Seen> {
    let first = height(context, target).await?;
    let (mut last, begun) = (first, Instant::now());
    let mut moved = Instant::now();
    let mut counted = None;
    while last < first + u64::from(blocks) {
        sleep(POLL).await;
        if let Some(now) = height(context, target).await
            && now > last
        {
            (last, moved) = (now, Instant::now());
            counted.get_or_insert((now, moved));
        }
        if moved.elapsed() > Duration::from_millis(plan.block_time_ms.max(1000) * PATIENCE) {
            break;
        }
    }
    let (from, since) = counted.unwrap_or((first, begun));
    let signed = commit(context, target, last.saturating_sub(1)).await?.signed.into_iter().collect();
    Some(Seen { first: from, last, took: moved.duration_since(since), signed })
}

async fn ask(context: &Context, target: &Target, query: RpcQuery) -> Option<Vec<u8>> {
    let probe = Probe::Rpc { address: target.rpc.clone()?, query };
    match context.transport.probe(&target.service.host, &probe).await {
        Ok(Answer::Body(body)) => Some(body),
        _ => None,
    }
}

async fn height(context: &Context, target: &Target) -> Option<u64> {
    rpc::status(&ask(context, target, RpcQuery::Status).await?).ok().map(|status| status.height)
}

async fn commit(context: &Context, target: &Target, height: u64) -> Option<Commit> {
    rpc::commit(&ask(context, target, RpcQuery::Commit(Some(height))).await?).ok()
}

/// Our nodes by the address they sign for, those that the plan leaves alone too.
fn names(context: &Context, plan: &Plan) -> BTreeMap<String, String> {
    let known = powers::load(&context.places, &plan.chain_id).unwrap_or_default().addresses;
    let planned = plan.targets.values().filter_map(|one| Some((one.address.clone()?, one.service.to_string())));
    known.into_iter().map(|(name, address)| (address, name)).chain(planned).collect()
}

#[allow(clippy::cast_precision_loss)] // a handful of blocks
fn words(ours: &BTreeMap<String, String>, set: &ValidatorSet, seen: &Seen) -> String {
    let blocks = seen.last.saturating_sub(seen.first);
    let interval = if blocks == 0 { 0.0 } else { seen.took.as_secs_f64() / blocks as f64 };
    let total: u64 = set.validators.iter().map(|one| one.power).sum();
    let signed: u64 = set.validators.iter().filter(|one| seen.signed.contains(&one.address)).map(|one| one.power).sum();
    let absent: Vec<&str> = set
        .validators
        .iter()
        .filter(|one| one.power > 0 && !seen.signed.contains(&one.address))
        .map(|one| ours.get(&one.address).map_or(one.address.as_str(), String::as_str))
        .collect();
    let missing = if absent.is_empty() { String::new() } else { format!("; not signing: {}", fold(absent)) };
    let seen = match blocks {
        0 => format!("block {}", seen.last),
        _ => format!("blocks {} to {}: {interval:.2} s apart", seen.first, seen.last),
    };
    format!("{seen}; {signed} of {total} signed{missing}")
}

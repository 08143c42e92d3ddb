//! Bringing what a host holds into a store, and back: the engine knows the store only as [`Archive`] and [`Supply`].

use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use tokio::time::{Instant, timeout, timeout_at};

use crate::chain::rpc;
use crate::engine::run::Run;
use crate::engine::{Answer, Fault, Fence, Probe, RpcQuery};
use crate::model::backup::{Item, Kept};
use crate::model::event::{Outcome, What};
use crate::model::plan::{Plan, Target};
use crate::model::restore::Restore;

/// How often progress is told.
const TELL: Duration = Duration::from_secs(2);
/// How long a node may take to tell its height.
const ASK: Duration = Duration::from_secs(2);

/// One item that is to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// What.
    pub item: Item,
    /// The service it is of.
    pub target: Target,
    /// The run; its clone of the databases is what a sealed item is read from.
    pub fence: Fence,
}

/// Databases that are to be sent to a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Which.
    pub restore: Restore,
    /// To which node.
    pub target: Target,
    /// The run; the folder that they come into has its name.
    pub run: String,
}

/// How far it has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that are there.
    pub done: u64,
    /// Bytes that have to come.
    pub all: u64,
}

/// The receiving end. To keep an item again that is kept already, in the same run, changes nothing.
#[async_trait]
pub trait Archive: Send + Sync {
    /// Tells the host of an item whose databases are about to be cloned which tables are kept already: the clone can be
    /// without these. Nothing of the service changes.
    async fn prepare(&self, _wanted: &Wanted) -> Result<(), Fault> {
        Ok(())
    }

    /// Keeps one item; `tell` hears how far it has come.
    async fn keep(&self, wanted: &Wanted, tell: &(dyn Fn(Progress) + Send + Sync)) -> Result<Kept, Fault>;

    /// Gives back what it holds: nothing more is kept.
    async fn end(&self) {}
}

/// The sending end.
#[async_trait]
pub trait Supply: Send + Sync {
    /// Sends databases to a host, into a folder beside its own, and proves them there. What is there already isn't sent
    /// again.
    async fn send(&self, sent: &Sent, tell: &(dyn Fn(Progress) + Send + Sync)) -> Result<(), Fault>;

    /// Looks at the chain again before anything is stopped: why the plan is no longer safe, if it isn't.
    async fn check(&self, plan: &Plan) -> Result<(), String>;
}

/// Before a node is stopped for its clone.
pub(super) async fn prepare(run: &Run, target: &Target, until: Instant) -> Result<(), String> {
    let mut items = run.plan.backup.iter().flat_map(|backup| &backup.items);
    let item = items.find(|item| item.service == target.service && item.profile.is_sealed());
    let (Some(item), Some(archive)) = (item, &run.archive) else { return Ok(()) };
    match timeout_at(until, archive.prepare(&wanted(run, item, target))).await {
        Ok(prepared) => prepared.map_err(|fault| fault.reason),
        Err(_) => Err("to tell it what is in the store took too long".into()),
    }
}

fn wanted(run: &Run, item: &Item, target: &Target) -> Wanted {
    let epoch = run.state().epochs.get(&target.service.host).copied().unwrap_or(0);
    let fence = Fence { run: run.identity.run.clone(), epoch };
    Wanted { item: item.clone(), target: target.clone(), fence }
}

/// Keeps an item of the plan.
pub(super) async fn keep(run: &Run, number: usize, target: &Target, until: Instant) -> Outcome {
    let item = run.plan.backup.as_ref().and_then(|backup| backup.items.get(number));
    let (Some(item), Some(archive)) = (item, &run.archive) else {
        return Outcome::Failed { reason: "there is no store to bring it to".into() };
    };
    let wanted = wanted(run, item, target);
    match timeout_at(until, archive.keep(&wanted, &teller(run, target))).await {
        Ok(Ok(kept)) => {
            run.emit(What::Kept { service: target.service.clone(), kept });
            Outcome::Done
        }
        Ok(Err(fault)) => Outcome::Failed { reason: fault.reason },
        Err(_) => Outcome::Failed { reason: "it took too long".into() },
    }
}

/// Brings the plan's snapshot to a node.
pub(super) async fn send(run: &Run, target: &Target, until: Instant) -> Outcome {
    let (Some(restore), Some(supply)) = (&run.plan.restore, &run.supply) else {
        return Outcome::Failed { reason: "there is no store to bring it from".into() };
    };
    let sent = Sent { restore: restore.clone(), target: target.clone(), run: run.identity.run.clone() };
    match timeout_at(until, supply.send(&sent, &teller(run, target))).await {
        Ok(Ok(())) => Outcome::Done,
        Ok(Err(fault)) => Outcome::Failed { reason: fault.reason },
        Err(_) => Outcome::Failed { reason: "it took too long".into() },
    }
}

/// Tells how far those whose databases were exchanged are behind the chain, by its other nodes. Only votes above what
/// these have are new: the blocks to catch up have the validator's own from before the stop.
pub(super) async fn tell_behind(run: &Run) {
    let Some(restore) = &run.plan.restore else { return };
    let heights = restore.tips.iter().map(|(host, address)| async move {
        let probe = Probe::Rpc { address: address.clone(), query: RpcQuery::Status };
        match timeout(ASK, run.transport.probe(host, &probe)).await {
            Ok(Ok(Answer::Body(body))) => rpc::status(&body).ok(),
            _ => None,
        }
    });
    let statuses = join_all(heights).await.into_iter().flatten();
    let tip = statuses.filter(|status| status.chain_id == run.plan.chain_id).map(|status| status.height).max();
    let Some(tip) = tip else { return };
    run.emit(What::Baseline { height: tip });
    if let Some(text) = restore.behind(tip, run.plan.block_time_ms) {
        run.emit(What::Remark { text });
    }
}

/// Tells progress now and then.
fn teller<'a>(run: &'a Run, target: &'a Target) -> impl Fn(Progress) + Send + Sync + 'a {
    let told = std::sync::Mutex::new(Instant::now());
    move |Progress { done, all }| {
        let mut last = told.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if last.elapsed() >= TELL {
            *last = Instant::now();
            run.emit(What::Progress { service: target.service.clone(), done, all });
        }
    }
}

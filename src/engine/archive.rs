//! Bringing what a host holds into a store: the engine knows the receiving end only as [`Archive`].

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, timeout_at};

use crate::engine::run::Run;
use crate::engine::{Fault, Fence};
use crate::model::backup::{Item, Kept};
use crate::model::event::{Outcome, What};
use crate::model::plan::Target;

/// How often progress is told.
const TELL: Duration = Duration::from_secs(2);

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

/// How far it has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that are in the store.
    pub done: u64,
    /// Bytes that have to come.
    pub all: u64,
}

/// The receiving end. To keep an item again that is kept already, in the same run, changes nothing.
#[async_trait]
pub trait Archive: Send + Sync {
    /// Keeps one item; `tell` hears how far it has come.
    async fn keep(&self, wanted: &Wanted, tell: &(dyn Fn(Progress) + Send + Sync)) -> Result<Kept, Fault>;
}

/// Keeps an item of the plan.
pub(super) async fn keep(run: &Run, number: usize, target: &Target, until: Instant) -> Outcome {
    let item = run.plan.backup.as_ref().and_then(|backup| backup.items.get(number));
    let (Some(item), Some(archive)) = (item, &run.archive) else {
        return Outcome::Failed { reason: "there is no store to bring it to".into() };
    };
    let epoch = run.state().epochs.get(&target.service.host).copied().unwrap_or(0);
    let fence = Fence { run: run.identity.run.clone(), epoch };
    let wanted = Wanted { item: item.clone(), target: target.clone(), fence };
    let told = std::sync::Mutex::new(Instant::now());
    let tell = |progress: Progress| {
        let mut last = told.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if last.elapsed() >= TELL {
            *last = Instant::now();
            let Progress { done, all } = progress;
            run.emit(What::Progress { service: target.service.clone(), done, all });
        }
    };
    match timeout_at(until, archive.keep(&wanted, &tell)).await {
        Ok(Ok(kept)) => {
            run.emit(What::Kept { service: target.service.clone(), kept });
            Outcome::Done
        }
        Ok(Err(fault)) => Outcome::Failed { reason: fault.reason },
        Err(_) => Outcome::Failed { reason: "it took too long".into() },
    }
}

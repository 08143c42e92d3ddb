//! Sums of voting power over a plan: what each start brings, and which one reaches the quorum.

use std::collections::BTreeSet;

use crate::model::inventory::ServiceId;
use crate::model::plan::{Action, Plan, Target};

/// One start of a plan and the power that it brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rung {
    /// Which service.
    pub service: ServiceId,
    /// Its own power; `None` when unknown.
    pub power: Option<u64>,
    /// Power of the plan's services once it runs.
    pub reached: u64,
}

impl Plan {
    /// The services that the plan starts, in its order.
    pub fn starts(&self) -> impl Iterator<Item = &ServiceId> {
        self.acted_on(|action| action == Action::Start)
    }

    /// The services that the plan stops, in its order.
    pub fn stops(&self) -> impl Iterator<Item = &ServiceId> {
        self.acted_on(|action| matches!(action, Action::Stop { .. }))
    }

    fn acted_on(&self, wanted: impl Fn(Action) -> bool) -> impl Iterator<Item = &ServiceId> {
        let tasks = self.stages.iter().flat_map(|stage| &stage.tasks);
        tasks.filter(move |task| task.steps.iter().any(|step| wanted(step.action))).map(|task| &task.service)
    }

    /// The known power of these services; an address counts once, however many services sign for it.
    pub fn power_of<'a>(&self, services: impl IntoIterator<Item = &'a ServiceId>) -> u64 {
        distinct_power(services.into_iter().filter_map(|service| self.target(service)))
    }

    /// Power of the plan's services that run already and that the plan leaves running.
    pub fn running_power(&self) -> u64 {
        let touched: BTreeSet<&ServiceId> = self.starts().chain(self.stops()).collect();
        distinct_power(self.targets.values().filter(|target| !touched.contains(&target.service)))
    }

    /// Each start in the plan's order, with the power reached by it.
    pub fn ladder(&self) -> Vec<Rung> {
        let running = self.running_power();
        let starts: Vec<&ServiceId> = self.starts().collect();
        let rung = |(index, service): (usize, &&ServiceId)| Rung {
            service: (*service).clone(),
            power: self.target(service).and_then(|target| target.power),
            reached: running + self.power_of(starts[..=index].iter().copied()),
        };
        starts.iter().enumerate().map(rung).collect()
    }

    /// The start by which the plan's own power reaches the quorum; `None` when it doesn't, or runs already.
    pub fn quorum_crossing(&self) -> Option<ServiceId> {
        if self.power.quorum == 0 || self.running_power() >= self.power.quorum {
            return None;
        }
        self.ladder().into_iter().find(|rung| rung.reached >= self.power.quorum).map(|rung| rung.service)
    }

    /// Power that must come from others for the quorum; `None` when powers are unknown.
    pub fn power_short(&self) -> Option<u64> {
        (self.power.quorum > 0).then(|| self.power.quorum.saturating_sub(self.power.planned))
    }
}

/// The known power behind these targets, each address counted once.
pub fn distinct_power<'a>(targets: impl IntoIterator<Item = &'a Target>) -> u64 {
    let mut counted = BTreeSet::new();
    let powers = targets.into_iter().filter_map(|target| {
        let new = target.address.as_ref().is_none_or(|address| counted.insert(address));
        target.power.filter(|_| new)
    });
    powers.fold(0, u64::saturating_add)
}

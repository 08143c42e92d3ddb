//! What a resumed run still has to do, for whoever is asked whether it may.

use std::collections::BTreeSet;

use crate::model::event::{Outcome, RunState};
use crate::model::facts::{Facts, HostFacts};
use crate::model::inventory::ServiceId;
use crate::model::plan::{Action, Plan, Stage};
use crate::render::words::counted;

/// `stops 3 nodes, starts 9`, by the stages to come and what the hosts say now; what doesn't answer may run.
pub fn ahead(plan: &Plan, state: &RunState, facts: &Facts) -> String {
    let stops = to_stop(&plan.stages, state).filter(|service| !is_down(facts, service)).count();
    let starts = to_start(&plan.stages, state).count();
    match (stops, starts) {
        (0, 0) => "stops and starts nothing".into(),
        (0, _) => format!("starts {}", counted(starts, "service")),
        (_, 0) => format!("stops {}", counted(stops, "service")),
        _ => format!("stops {}, starts {starts}", counted(stops, "service")),
    }
}

/// What the run would stop although it was started since its last event, so by somebody else.
pub fn started_since(plan: &Plan, state: &RunState, facts: &Facts) -> Vec<String> {
    let later = |service: &&ServiceId| started_ms(facts, service).is_some_and(|at| at > state.last_ms);
    to_stop(&plan.stages, state).filter(later).map(ToString::to_string).collect()
}

fn to_come<'a>(stages: &'a [Stage], state: &'a RunState) -> impl Iterator<Item = (usize, &'a Stage)> {
    stages.iter().enumerate().skip(state.done_stages.len())
}

fn to_stop<'a>(stages: &'a [Stage], state: &'a RunState) -> impl Iterator<Item = &'a ServiceId> {
    let tasks = to_come(stages, state).flat_map(|(_, stage)| &stage.tasks);
    let stops = tasks.filter(|task| task.steps.iter().any(|step| matches!(step.action, Action::Stop { .. })));
    stops.map(|task| &task.service).filter(|service| !state.left_out.contains(service))
}

fn to_start<'a>(stages: &'a [Stage], state: &'a RunState) -> impl Iterator<Item = &'a ServiceId> {
    let tasks = to_come(stages, state).flat_map(|(index, stage)| stage.tasks.iter().map(move |task| (index, task)));
    let left = tasks.filter(move |(index, task)| {
        let starts = task.steps.iter().enumerate().filter(|(_, step)| step.action == Action::Start);
        let outcome = |number| state.steps.get(&(*index, task.service.to_string(), number)).cloned().flatten();
        starts.into_iter().any(|(number, _)| !outcome(number).as_ref().is_some_and(Outcome::is_good))
    });
    let services: BTreeSet<&ServiceId> = left.map(|(_, task)| &task.service).collect();
    services.into_iter().filter(|service| !state.left_out.contains(service))
}

fn is_down(facts: &Facts, service: &ServiceId) -> bool {
    facts.service(service).is_some_and(|one| matches!(one.unit.active_state.as_str(), "inactive" | "failed"))
}

/// When a unit that runs was started, Unix ms by the controller's clock: by how long ago it was on the host, whose own
/// clock may be off.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // µs and ms since a machine started
fn started_ms(facts: &Facts, service: &ServiceId) -> Option<i64> {
    let HostFacts::Answered(host) = facts.hosts.get(&service.host)? else { return None };
    let unit = &host.services.get(&service.service)?.unit;
    let since_ms = host.uptime_s * 1000.0 - unit.active_enter_us as f64 / 1000.0;
    (unit.active_state == "active" && unit.active_enter_us > 0).then(|| facts.at_ms - since_ms as i64)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::facts::{HostAnswer, ServiceFacts, UnitFacts};

    #[test]
    fn a_unit_was_started_as_long_ago_as_its_host_says() {
        let unit = UnitFacts { active_state: "active".into(), active_enter_us: 90_000_000, ..UnitFacts::default() };
        let services = BTreeMap::from([("node".to_owned(), ServiceFacts { unit, ..ServiceFacts::default() })]);
        let answer = HostAnswer { uptime_s: 100.0, clock_offset_ms: 3e6, services, ..HostAnswer::default() };
        let hosts = BTreeMap::from([("val-1".to_owned(), HostFacts::Answered(Box::new(answer)))]);
        let facts = Facts { at_ms: 1_000_000, hosts };
        let service = |host: &str| ServiceId { host: host.into(), service: "node".into() };
        assert_eq!(started_ms(&facts, &service("val-1")), Some(990_000));
        assert_eq!(started_ms(&facts, &service("val-2")), None);
    }
}

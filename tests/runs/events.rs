//! The events of whole runs, by hand.

use fleet::model::event::{Event, Outcome, StopTime, What};
use fleet::model::inventory::ServiceId;
use fleet::model::plan::{Plan, Stage};

use crate::plans::node;

/// When every run here begins: 2026-02-08 06:12:08.718 UTC.
pub const START: i64 = 1_770_531_128_718;
/// The id of every run here.
pub const RUN: &str = "01KGXZ3NQEV8ZPAB";

/// The events of one run, put together in order.
pub struct Script {
    pub plan: Plan,
    pub events: Vec<Event>,
}

impl Script {
    pub fn begin(plan: Plan) -> Self {
        let digest = plan.digest().to_string();
        let mut script = Self { plan, events: Vec::new() };
        script.at(0, What::RunStarted { run: RUN.into(), digest, owner: "ana@laptop".into() });
        script.at(2, What::Baseline { height: 1_204_331 });
        for (epoch, host) in (4..).zip(script.plan.hosts()) {
            script.at(20, What::Locked { host, epoch, taken_over: None });
        }
        script
    }

    pub fn at(&mut self, after_ms: i64, what: What) {
        self.events.push(Event { at_ms: START + after_ms, what });
    }

    pub fn stage(&self, index: usize) -> Stage {
        self.plan.stages[index].clone()
    }

    pub fn services(&self, index: usize) -> Vec<ServiceId> {
        self.stage(index).tasks.into_iter().map(|task| task.service).collect()
    }

    pub fn begin_stage(&mut self, after_ms: i64, index: usize) {
        let name = self.stage(index).name;
        self.at(after_ms, What::StageStarted { stage: index, name });
    }

    pub fn arm(&mut self, after_ms: i64, except: &[&str]) {
        self.begin_stage(25, 0);
        for (offset, service) in (0..).zip(self.services(0)) {
            if !except.contains(&service.host.as_str()) {
                self.at(after_ms, What::Armed { service, offset_ms: f64::from(offset) - 2.5, error_ms: 0.5 });
            }
        }
    }

    pub fn fire(&mut self, after_ms: i64) {
        for service in self.services(0) {
            self.at(after_ms, What::StepStarted { stage: 0, service, step: 0 });
        }
        let instant_ms = START + after_ms + 30;
        self.at(after_ms, What::Baseline { height: 1_204_332 });
        self.at(after_ms, What::Firing { instant_ms, after_height: Some(1_204_332), remark: None });
    }

    /// All stop; the first listed service first, each 1.25 ms after the one before.
    pub fn stop(&mut self, after_ms: i64, order: &[&str]) {
        let stops = (0..).zip(order).map(|(place, host)| {
            let began_us = (START + 430) * 1000 + place * 1250;
            StopTime { service: node(host), began_us, ended_us: began_us + 60_000 + place * 500 }
        });
        let stops = stops.collect();
        self.at(after_ms, What::StopTimes { stops });
    }

    /// Ends the step of every service of a stage, `bad` ones as said, and the stage.
    pub fn end_stage(&mut self, after_ms: i64, index: usize, bad: &[(&str, Outcome)]) {
        let all = self.services(index);
        for service in &all {
            let outcome = bad.iter().find(|(host, _)| *host == service.host).map_or(Outcome::Done, |bad| bad.1.clone());
            let service = service.clone();
            self.at(after_ms, What::StepEnded { stage: index, service, step: 0, outcome, took_ms: 80 });
        }
        let summary = format!("{} of {}", all.len() - bad.len(), all.len());
        self.at(after_ms, What::StageEnded { stage: index, ok: bad.is_empty(), summary });
    }

    pub fn start_step(&mut self, after_ms: i64, index: usize) {
        for service in self.services(index) {
            self.at(after_ms, What::StepStarted { stage: index, service, step: 0 });
        }
    }

    pub fn end(&mut self, after_ms: i64, exit: u8, summary: &str, next: Option<&str>) {
        let (summary, next) = (summary.to_owned(), next.map(str::to_owned));
        self.at(after_ms, What::Unlocked { failed: Vec::new() });
        self.at(after_ms, What::RunEnded { exit, summary, next });
    }
}

/// The order in which the nine hosts stop.
pub const STOPS: [&str; 9] = ["val-4", "val-1", "val-2", "val-3", "val-5", "val-6", "val-7", "sentry-1", "sentry-2"];

/// Everything up to the proof that all have stopped.
pub fn stopped(plan: Plan) -> Script {
    let mut script = Script::begin(plan);
    script.arm(380, &[]);
    script.fire(400);
    script.stop(520, &STOPS);
    script.end_stage(520, 0, &[]);
    script.begin_stage(521, 1);
    script.end_stage(560, 1, &[]);
    script
}

/// A coordinated restart in which everything goes well.
pub fn success(plan: Plan) -> Script {
    let mut script = stopped(plan);
    for (index, after_ms) in [(2, 565), (3, 640)] {
        script.begin_stage(after_ms, index);
        script.start_step(after_ms + 5, index);
        script.end_stage(after_ms + 60, index, &[]);
    }
    script.begin_stage(701, 4);
    script.end_stage(1500, 4, &[]);
    script.begin_stage(1501, 5);
    for host in ["val-1", "sentry-1"] {
        script.at(3880, What::Block { service: node(host), height: 1_204_333, signed: Some(100), total: Some(100) });
        let service = node(host);
        script.at(3880, What::StepEnded { stage: 5, service, step: 0, outcome: Outcome::Done, took_ms: 2379 });
    }
    script.at(3881, What::StageEnded { stage: 5, ok: true, summary: "2 of 9".into() });
    script.end(3900, 0, "done in 3.9 s: chain advancing, first block 3.4 s after the stop", None);
    script
}

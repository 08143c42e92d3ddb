//! Runs as lines, from their events.

use fleet::model::event::{Event, Outcome, RunState, StopTime, What};
use fleet::model::inventory::ServiceId;
use fleet::model::plan::Plan;
use fleet::render::paint::Paint;
use fleet::render::run::Teller;
use insta::assert_snapshot;

use crate::world::{POWERS, company};

const START: i64 = 1_770_531_128_718;

/// The events of a run of the default fleet.
struct Script {
    plan: Plan,
    events: Vec<Event>,
}

fn id(host: &str) -> ServiceId {
    ServiceId { host: host.into(), service: "node".into() }
}

impl Script {
    fn new() -> Self {
        let plan = company().plan().unwrap().plan;
        let mut script = Self { plan, events: Vec::new() };
        let digest = script.plan.digest().to_string();
        script.at(0, What::RunStarted { run: "01KGXZ3NQEV8ZPAB".into(), digest, owner: "ana@laptop".into() });
        script.at(1, What::Baseline { height: 1_204_331 });
        script
    }

    fn at(&mut self, after_ms: i64, what: What) {
        self.events.push(Event { at_ms: START + after_ms, what });
    }

    fn index(&self, name: &str) -> usize {
        self.plan.stages.iter().position(|stage| stage.name == name).unwrap()
    }

    fn services(&self, name: &str) -> Vec<ServiceId> {
        self.plan.stages[self.index(name)].tasks.iter().map(|task| task.service.clone()).collect()
    }

    fn lock(&mut self) {
        for (epoch, host) in (1..).zip(self.plan.hosts()) {
            self.at(20, What::Locked { host, epoch, taken_over: None });
        }
        self.begin(25, "halt");
    }

    fn arm(&mut self, except: &[&str]) {
        for service in self.services("halt") {
            if !except.contains(&service.host.as_str()) {
                self.at(300, What::Armed { service, offset_ms: 1.0, error_ms: 0.5 });
            }
        }
    }

    fn begin(&mut self, after_ms: i64, name: &str) {
        let stage = self.index(name);
        self.at(after_ms, What::StageStarted { stage, name: name.into() });
        if name == "nodes" {
            let nodes = self.services(name).len();
            self.at(after_ms, What::ProvenStopped { stage, nodes });
        }
    }

    fn fire(&mut self, after_height: Option<u64>, remark: Option<&str>) {
        for service in self.services("halt") {
            self.at(400, What::StepStarted { stage: 0, service, step: 0 });
        }
        self.at(401, What::Firing { instant_ms: START + 430, after_height, remark: remark.map(str::to_owned) });
    }

    /// All steps of a stage end, these in another way, and the stage.
    fn end(&mut self, after_ms: i64, name: &str, bad: &[(&str, Outcome)], ok: bool) {
        let (stage, services) = (self.index(name), self.services(name));
        let count = services.len();
        for service in services {
            let outcome = bad.iter().find(|(host, _)| *host == service.host).map_or(Outcome::Done, |bad| bad.1.clone());
            self.at(after_ms, What::StepEnded { stage, service, step: 0, outcome, took_ms: 80 });
        }
        self.at(after_ms, What::StageEnded { stage, ok, summary: format!("{} of {count}", count - bad.len()) });
    }

    fn stops(&mut self) {
        let stops = (0..).zip(self.services("halt")).map(|(place, service)| {
            let began_us = (START + 430) * 1000;
            StopTime { service, began_us, ended_us: began_us + 60_000 + place * 1_300 }
        });
        let stops = stops.collect();
        self.at(520, What::StopTimes { stops });
    }

    fn over(&mut self, after_ms: i64, exit: u8, summary: &str, next: Option<&str>) {
        self.at(after_ms, What::RunEnded { exit, summary: summary.into(), next: next.map(str::to_owned) });
    }

    fn told(&self) -> String {
        let mut teller = Teller::new(&self.plan, RunState::default(), Paint { color: false });
        let lines: Vec<String> = self.events.iter().flat_map(|event| teller.lines(event)).collect();
        assert!(lines.iter().all(|line| !line.contains('\x1b')));
        lines.join("\n")
    }
}

fn stopped() -> Script {
    let mut script = Script::new();
    script.lock();
    script.arm(&[]);
    script.fire(Some(1_204_332), None);
    script.stops();
    script.end(530, "halt", &[], true);
    script
}

#[test]
fn all_goes_well() {
    let mut script = stopped();
    for (name, at) in [("nodes", 900), ("connected", 2100)] {
        script.begin(at - 20, name);
        script.end(at, name, &[], true);
    }
    script.begin(2101, "blocks");
    for host in ["val-1", "sentry-1"] {
        script.at(3800, What::Block { service: id(host), height: 1_204_333, signed: None, total: None });
    }
    let stage = script.index("blocks");
    script.at(3801, What::StageEnded { stage, ok: true, summary: "2 of 9".into() });
    script.over(3900, 0, "done in 3.9 s: chain advancing, first block 3.4 s after the stop", None);
    assert_snapshot!(script.told());
}

#[test]
fn not_armed() {
    let mut script = Script::new();
    script.lock();
    script.arm(&["val-7"]);
    script.at(10_000, What::NotArmed { service: id("val-7"), reason: "ssh 10.0.0.17:22 timed out after 10 s".into() });
    script.at(10_001, What::Disarmed { reason: "not every host can be armed".into() });
    script.at(10_040, What::Unlocked { failed: Vec::new() });
    let next = "reach val-7 and try again, or go on without: --allow-missing 'val-7'";
    script.over(10_041, 5, "not armed: 1 of 9 hosts, nothing was changed", Some(next));
    assert_snapshot!(script.told());
}

#[test]
fn one_left_out_no_block_in_time_and_a_lock_taken_over() {
    let mut script = Script::new();
    for host in ["val-1", "val-2", "val-3"] {
        script.at(10, What::Locked { host: host.into(), epoch: 4, taken_over: Some("01KGXYAAAAAAAAAA".into()) });
    }
    script.lock();
    script.at(200, What::NotArmed { service: id("val-7"), reason: "ssh 10.0.0.17:22 timed out after 10 s".into() });
    script.at(201, What::LeftOut { service: id("val-7"), reason: "ssh 10.0.0.17:22 timed out after 10 s".into() });
    script.arm(&["val-7"]);
    script.fire(None, Some("no block came within 18000 ms; not waited for any longer"));
    assert_snapshot!(script.told());
}

#[test]
fn a_host_that_dies_at_the_instant() {
    let mut script = Script::new();
    script.lock();
    script.arm(&[]);
    script.fire(Some(1_204_332), None);
    let unknown = Outcome::Unknown { reason: "no answer".into() };
    script.end(30_500, "halt", &[("val-4", unknown)], false);
    script.over(
        30_600,
        4,
        "halt: 8 of 9; val-4: unknown, no answer. Nothing was started",
        Some("fleet resume 01KGXZ3NQEV8ZPAB   looks at every host again and goes on"),
    );
    assert_snapshot!(script.told());
}

#[test]
fn interrupted_and_taken_up() {
    let mut script = Script::new();
    script.lock();
    script.arm(&[]);
    script.fire(Some(1_204_332), None);
    script.at(
        2_000,
        What::Interrupted { signal: 2, text: "leaving once all are started again (a second one: at once)".into() },
    );
    script.over(
        3_000,
        130,
        "interrupted: the stop was under way; what came of it is unknown",
        Some("fleet resume 01KGXZ3NQEV8ZPAB   looks at every host again and goes on"),
    );
    script.at(60_000, What::Resumed { owner: "bob@desk".into() });
    script.end(60_500, "halt", &[], true);
    script.at(61_000, What::Unlocked { failed: vec!["val-3".into(), "val-4".into()] });
    assert_snapshot!(script.told());
}

#[test]
fn starts_that_fail() {
    let mut script = stopped();
    script.begin(600, "nodes");
    let failed = |reason: &str| Outcome::Failed { reason: reason.into() };
    script.end(
        31_000,
        "nodes",
        &[("val-6", failed("unit is failed (exit-code, exit 1)")), ("val-7", failed("the unit is not stopped"))],
        true,
    );
    script.over(
        33_000,
        4,
        "done in 33.0 s: chain advancing, first block 32.0 s after the stop, but not val-[6-7]",
        Some("see why: fleet status; then fleet start -l 'val-6 or val-7'"),
    );
    assert_snapshot!(script.told());
}

#[test]
fn what_goes_on_now_is_one_line_with_its_bound() {
    let mut script = stopped();
    script.begin(600, "nodes");
    let mut teller = Teller::new(&script.plan, RunState::default(), Paint { color: false });
    script.events.iter().for_each(|event| drop(teller.lines(event)));
    let line = teller.now(START + 1_600);
    assert_eq!(line.trim(), format!("1.6 s  start     0 of {}, at most 1m18s", POWERS.len() + 2));
}

//! A run as lines: a fold over its events, the same live and from a journal.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::backup::Kept;
use crate::model::event::{Event, Outcome, RunState, StopTime, What};
use crate::model::fold::fold;
use crate::model::inventory::ServiceId;
use crate::model::plan::{Check, Operation, Plan, Shape, Stage};
use crate::model::size::size;
use crate::render::paint::Paint;
use crate::render::plan::seals_running;
use crate::render::span::span;
use crate::render::words::{clock, seconds};

/// How long nothing may come before that is said, ms: proof of a segment that is read from a slow store takes a while.
const SILENT_MS: i64 = 60_000;

/// Turns events into lines.
pub struct Teller {
    plan: Plan,
    paint: Paint,
    detailed: bool,
    state: RunState,
    armed: usize,
    stops: Vec<StopTime>,
    blocks: Vec<(String, u64)>,
    order: Option<String>,
    /// Reasons and the services they keep from being armed, until all are told.
    missing: Vec<(String, Vec<String>)>,
    /// Runs and the hosts whose expired lock of theirs was taken over, until all are told.
    taken_over: Vec<(String, Vec<String>)>,
    /// By service: bytes of the item under way that are in the store, and that have to come.
    coming: BTreeMap<String, (u64, u64)>,
    /// When it began, Unix ms.
    store_since_ms: i64,
    /// When more came last, Unix ms.
    grew_ms: i64,
}

impl Teller {
    /// Of a run of this plan that stands at `state`.
    pub fn new(plan: &Plan, state: RunState, paint: Paint) -> Self {
        Self {
            plan: plan.clone(),
            paint,
            detailed: false,
            state,
            armed: 0,
            stops: Vec::new(),
            blocks: Vec::new(),
            order: None,
            missing: Vec::new(),
            taken_over: Vec::new(),
            coming: BTreeMap::new(),
            store_since_ms: 0,
            grew_ms: 0,
        }
    }

    /// The same, with a line for each step of each host.
    #[must_use]
    pub fn detailed(self, detailed: bool) -> Self {
        Self { detailed, ..self }
    }

    /// The state after the events so far.
    pub fn state(&self) -> &RunState {
        &self.state
    }

    /// What an event has to say; mostly nothing.
    pub fn lines(&mut self, event: &Event) -> Vec<String> {
        self.state.apply(event);
        let mut said = self.taken_over(&event.what);
        said.extend(self.not_armed(&event.what));
        if self.detailed {
            said.extend(self.detail(&event.what));
        }
        said.extend(self.said(&event.what));
        if let What::RunEnded { exit, summary, next } = &event.what {
            return self.last(*exit, summary, next.as_deref());
        }
        let elapsed = seconds(event.at_ms - self.state.started_ms);
        said.into_iter().map(|(name, text)| format!("{elapsed:>7}  {name:<9} {text}")).collect()
    }

    /// Those that can't be armed are told together, when the next event shows that there are no more.
    fn not_armed(&mut self, what: &What) -> Vec<(&'static str, String)> {
        if let What::NotArmed { service, reason } = what {
            collect(&mut self.missing, reason, service.to_string());
            return Vec::new();
        }
        let told = |(reason, names): (String, Vec<String>)| {
            ("arm", self.paint.bad(&format!("{}: {reason}", fold(names.iter().map(String::as_str)))))
        };
        std::mem::take(&mut self.missing).into_iter().map(told).collect()
    }

    /// The same for locks: one run's are told together.
    fn taken_over(&mut self, what: &What) -> Vec<(&'static str, String)> {
        if let What::Locked { host, taken_over, .. } = what {
            if let Some(run) = taken_over {
                collect(&mut self.taken_over, run, host.clone());
            }
            return Vec::new();
        }
        let told = |(run, hosts): (String, Vec<String>)| {
            let hosts = fold(hosts.iter().map(String::as_str));
            ("lock", format!("{hosts}: the expired lock of run {run} was taken over"))
        };
        std::mem::take(&mut self.taken_over).into_iter().map(told).collect()
    }

    /// What goes on now, for a line that is written over.
    pub fn now(&self, at_ms: i64) -> String {
        let Some(stage) = self.plan.stages.get(self.state.stage).filter(|_| self.state.ended.is_none()) else {
            return String::new();
        };
        let elapsed = seconds(at_ms - self.state.started_ms);
        if matches!(stage.shape, Shape::Barrier(_)) && self.state.fired_ms.is_none() {
            return format!("{elapsed:>7}  {:<9} {} of {} armed", "arm", self.armed, self.barrier_tasks());
        }
        if matches!(stage.name.as_str(), "store" | "fetch") && !self.coming.is_empty() {
            return format!("{elapsed:>7}  {:<9} {}", label(stage), self.progress(at_ms));
        }
        let good = self.done(self.state.stage);
        let bound = span(stage.timeout_ms);
        format!("{elapsed:>7}  {:<9} {good} of {}, at most {bound}", label(stage), stage.tasks.len())
    }

    /// What only the detailed telling says.
    fn detail(&self, what: &What) -> Vec<(&'static str, String)> {
        let line = match what {
            What::Armed { service, offset_ms, error_ms } => {
                Some(("arm", format!("{service} armed, its clock {offset_ms:+.1} ms, give or take {error_ms:.1}")))
            }
            What::StepEnded { stage, service, outcome, took_ms, .. } if outcome.is_good() => {
                let name = self.plan.stages.get(*stage).map_or("", label);
                let took = seconds(i64::try_from(*took_ms).unwrap_or(i64::MAX));
                Some((name, format!("{service} done in {took}")))
            }
            _ => None,
        };
        line.into_iter().collect()
    }

    fn said(&mut self, what: &What) -> Vec<(&'static str, String)> {
        let one = |name, text: String| vec![(name, text)];
        match what {
            What::Resumed { owner } => one("resume", format!("taken up by {owner}")),
            What::Armed { .. } => {
                self.armed += 1;
                let all = self.barrier_tasks();
                if self.armed == all { one("arm", format!("{all} of {all} armed")) } else { Vec::new() }
            }
            What::Disarmed { reason } => one("arm", format!("all disarmed, nothing was changed: {reason}")),
            What::LeftOut { service, .. } => one("arm", format!("going on without {service}")),
            What::ProvenStopped { stage, nodes }
                if self.plan.stages.get(*stage).is_some_and(|one| self.plan.proves_first(one)) =>
            {
                vec![("verify", format!("{nodes} of {nodes} proven stopped"))]
            }
            What::Firing { instant_ms, after_height, remark } => {
                self.fired(*instant_ms, *after_height, remark.as_ref())
            }
            What::StepEnded { stage, service, outcome, .. } => {
                let name = self.plan.stages.get(*stage).map_or("", label);
                match outcome {
                    Outcome::Done | Outcome::Skipped => Vec::new(),
                    Outcome::Failed { reason } => one(name, self.paint.bad(&format!("{service} failed: {reason}"))),
                    Outcome::Unknown { reason } => {
                        one(name, self.paint.unsure(&format!("{service} unknown: {reason}")))
                    }
                }
            }
            What::StopTimes { stops } => {
                self.stops.clone_from(stops);
                Vec::new()
            }
            What::OrderDecided { order, source } => {
                let names: Vec<String> = order.iter().map(ToString::to_string).collect();
                self.order = Some(format!("{} in order of power by {source}", fold(names.iter().map(String::as_str))));
                Vec::new()
            }
            What::Decided { carried_out, text, .. } => {
                let line =
                    |text: &String| ("decide", if *carried_out { text.clone() } else { self.paint.unsure(text) });
                let kept = (!carried_out).then(|| ("decide", self.paint.unsure("refused, the WALs are kept")));
                kept.into_iter().chain(text.iter().map(line)).collect()
            }
            What::Block { service, height, .. } => {
                self.blocks.push((service.to_string(), *height));
                Vec::new()
            }
            What::Progress { service, done, all } => {
                if self.coming.is_empty() {
                    self.store_since_ms = self.state.last_ms;
                }
                let before = self.coming.insert(service.to_string(), (*done, *all));
                if before.is_none_or(|(before, _)| before < *done) {
                    self.grew_ms = self.state.last_ms;
                }
                Vec::new()
            }
            What::Kept { service, kept } => {
                self.coming.remove(&service.to_string());
                one("store", kept_words(service, kept))
            }
            What::Waiting { text } => one("wait", text.clone()),
            What::Remark { text } => one("note", text.clone()),
            What::StageEnded { stage, ok, summary } => self.stage_ended(*stage, *ok, summary),
            What::Interrupted { text, .. } => one("interrupt", text.clone()),
            What::Unlocked { failed } if !failed.is_empty() => {
                let names = fold(failed.iter().map(String::as_str));
                one("lock", format!("not given back on {names}: the lease runs out by itself within a minute"))
            }
            _ => Vec::new(),
        }
    }

    fn barrier_tasks(&self) -> usize {
        let barrier = self.plan.stages.iter().find(|stage| matches!(stage.shape, Shape::Barrier(_)));
        let left_out: BTreeSet<_> = self.state.left_out.iter().collect();
        barrier.map_or(0, |stage| stage.tasks.iter().filter(|task| !left_out.contains(&task.service)).count())
    }

    fn fired(&self, instant_ms: i64, after: Option<u64>, remark: Option<&String>) -> Vec<(&'static str, String)> {
        let mut lines = Vec::new();
        if self.armed < self.barrier_tasks() {
            lines.push(("arm", format!("{} of {} armed", self.armed, self.barrier_tasks())));
        }
        lines.extend(remark.map(|remark| ("halt", remark.clone())));
        let after = after.map_or(String::new(), |height| format!(", after block {height}"));
        lines.push(("halt", format!("fired {}{after}", clock(instant_ms))));
        lines
    }

    fn stage_ended(&mut self, index: usize, ok: bool, summary: &str) -> Vec<(&'static str, String)> {
        let Some(stage) = self.plan.stages.get(index) else { return Vec::new() };
        let text = match stage.name.as_str() {
            "halt" => format!("{summary} stopped{}", apart(&self.stops)),
            "nodes" => format!("{}{}", self.started(index), self.crossing(index)),
            "sentries" | "services" => self.started(index),
            "blocks" => return self.seen_blocks(ok),
            "verify" | "still-stopped" => format!("{summary} proven stopped"),
            // Said when it was decided.
            "decide" if summary == "kept" => return Vec::new(),
            "decide" => format!("cleared on {summary}"),
            "log" if self.plan.operation == Operation::RestoreWal => format!("put back on {summary}"),
            "log" => format!("set on {summary}"),
            "connected" => format!("{summary} have peers"),
            "seal" if stage.tasks.iter().all(seals_running) => format!("{summary} cloned, and they run"),
            "seal" => format!("{summary} cloned"),
            "store" => return Vec::new(),
            "fetch" => format!("proven on {summary}"),
            "swap" => format!("databases exchanged on {summary}, the old ones are kept"),
            "healthy" => format!("{summary} at the chain's height, validators sign"),
            _ => summary.to_owned(),
        };
        vec![(label(stage), if ok { text } else { self.paint.bad(&text) })]
    }

    fn started(&self, index: usize) -> String {
        let stage = &self.plan.stages[index];
        let good = |service: &&ServiceId| self.has_started(index, service);
        let names: Vec<String> =
            stage.tasks.iter().map(|task| &task.service).filter(good).map(ToString::to_string).collect();
        match (&self.order, stage.name.as_str()) {
            _ if names.is_empty() => "none".into(),
            (Some(order), "nodes") => order.clone(),
            (None, "nodes") if names.len() > 1 && self.plan.power.total > 0 => in_order(&self.plan, &names),
            _ => fold(names.iter().map(String::as_str)),
        }
    }

    fn has_started(&self, index: usize, service: &ServiceId) -> bool {
        let of_service = |(stage, name, _): &(usize, String, usize)| *stage == index && *name == service.to_string();
        let mut steps = self.state.steps.iter().filter(|(key, _)| of_service(key)).peekable();
        steps.peek().is_some() && steps.all(|(_, outcome)| outcome.as_ref().is_some_and(Outcome::is_good))
    }

    /// The start by which the power of what has really started reaches the quorum.
    fn crossing(&self, index: usize) -> String {
        let mut running: Vec<ServiceId> = Vec::new();
        let before = self.plan.running_power();
        let quorum = self.plan.power.quorum;
        let rungs = self.plan.ladder().into_iter().filter(|rung| self.has_started(index, &rung.service));
        for rung in rungs {
            running.push(rung.service.clone());
            if quorum > before && before + self.plan.power_of(&running) >= quorum {
                return format!("; quorum reached with {}", rung.service);
            }
        }
        String::new()
    }

    fn seen_blocks(&self, ok: bool) -> Vec<(&'static str, String)> {
        let Some(height) = self.blocks.iter().map(|(_, height)| *height).min() else {
            return vec![("blocks", self.paint.bad("none came"))];
        };
        let names: BTreeSet<&str> = self.blocks.iter().map(|(name, _)| name.as_str()).collect();
        let text = format!("{height} on {}", fold(names));
        vec![("blocks", if ok { self.paint.good(&text) } else { self.paint.bad(&text) })]
    }

    /// The last lines: how it ended, and what to do next.
    fn last(&self, exit: u8, summary: &str, next: Option<&str>) -> Vec<String> {
        let first = match exit {
            0 => self.paint.good(summary),
            _ => format!("{}   (exit {exit})", self.paint.bad(summary)),
        };
        let next = next.map(|next| format!("next: {next}"));
        let details = format!("Details: fleet runs report {}", self.state.run);
        [Some(first), next, Some(details)].into_iter().flatten().collect()
    }

    /// How far what is under way has come, at which rate, and how long the rest takes at that.
    fn progress(&self, at_ms: i64) -> String {
        let (done, all) = self.coming.values().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        let since_ms = u64::try_from(at_ms - self.store_since_ms).unwrap_or(0).max(1);
        let rate = done.saturating_mul(1000) / since_ms;
        let left = (all - done.min(all)).checked_div(rate).map_or_else(String::new, |left| {
            format!(", {} left", seconds(i64::try_from(left.saturating_mul(1000)).unwrap_or(i64::MAX)))
        });
        let silent_ms = at_ms - self.grew_ms;
        let left = if silent_ms < SILENT_MS { left } else { format!(", nothing came for {}", seconds(silent_ms)) };
        format!("{} of {}, {}/s{left}", size(done), size(all), size(rate))
    }

    fn done(&self, stage: usize) -> usize {
        let of_stage = self.state.steps.iter().filter(|((index, ..), _)| *index == stage);
        of_stage.filter(|(_, outcome)| outcome.as_ref().is_some_and(Outcome::is_good)).count()
    }
}

/// Adds a name to those that stand under `key`.
fn collect(told: &mut Vec<(String, Vec<String>)>, key: &str, name: String) {
    match told.iter_mut().find(|(known, _)| known == key) {
        Some((_, names)) => names.push(name),
        None => told.push((key.to_owned(), vec![name])),
    }
}

/// Nodes without power, then the validators, who started by power.
fn in_order(plan: &Plan, names: &[String]) -> String {
    let power = |name: &&String| plan.targets.get(*name).and_then(|target| target.power) != Some(0);
    let (validators, others): (Vec<&String>, Vec<&String>) = names.iter().partition(power);
    let folded = |names: Vec<&String>| fold(names.into_iter().map(String::as_str));
    match (others.is_empty(), validators.is_empty()) {
        (_, true) => folded(others),
        (true, false) => format!("{} in order of power", folded(validators)),
        (false, false) => format!("{}, then {} in order of power", folded(others), folded(validators)),
    }
}

/// What a stage is called on the screen.
fn label(stage: &Stage) -> &'static str {
    let verifies = |check| stage.tasks.iter().flat_map(|task| &task.steps).any(|step| step.verify == check);
    match stage.name.as_str() {
        "halt" => "halt",
        "sidecars" => "sidecars",
        "services" | "sentries" | "nodes" => "start",
        "log" => "log",
        "decide" => "decide",
        "connected" => "connect",
        "blocks" => "blocks",
        "seal" => "seal",
        "fetch" => "fetch",
        "swap" => "swap",
        "healthy" => "healthy",
        "store" => "store",
        _ if verifies(Check::Stopped) => "verify",
        _ => "",
    }
}

fn kept_words(service: &ServiceId, kept: &Kept) -> String {
    let height = kept.height.map_or_else(String::new, |height| format!(", height {height}"));
    let Kept { profile, files, bytes, came, snapshot, .. } = kept;
    let (all, came) = (size(*bytes), size(*came));
    format!("{service} {profile}{height}: {files} files, {all}, {came} of it new; {snapshot}")
}

/// How far apart the units were inactive, and which were first and last.
#[allow(clippy::cast_precision_loss)] // µs of a spread
fn apart(stops: &[StopTime]) -> String {
    let first = stops.iter().min_by_key(|stop| stop.ended_us);
    let last = stops.iter().max_by_key(|stop| stop.ended_us);
    let (Some(first), Some(last)) = (first, last) else { return String::new() };
    if stops.len() < 2 {
        return String::new();
    }
    let ms = (last.ended_us - first.ended_us) as f64 / 1000.0;
    let spread = if ms < 10.0 { format!("{ms:.1}") } else { format!("{ms:.0}") };
    format!(", {spread} ms apart ({} first, {} last)", first.service, last.service)
}

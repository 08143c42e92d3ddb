//! The plan as the operator confirms it.

use std::collections::BTreeSet;

use crate::model::backup::{Item, Profile};
use crate::model::fold::fold;
use crate::model::plan::{Action, Check, Finding, Instant, LeftOut, Needs, Operation, Plan, Rung, Shape, Stage, Task};
use crate::model::size::size;
use crate::render::paint::Paint;
use crate::render::refusal::finding_lines;
use crate::render::span::span;
use crate::render::words::{counted, time};

/// Starts before the quorum that get a line each; more are folded.
const LISTED: usize = 12;
/// Digits of an app hash that are enough to compare by ear.
const SHOWN_HASH: usize = 16;
/// What is proven of a stopped node.
const PROOF: &str = "unit inactive, process gone, database free";
/// Where a row's text begins.
const NUMBER: usize = 4;
const NAME: usize = 10;
const WHO: usize = 14;

/// One row: what, on whom, and how.
struct Row {
    name: String,
    who: String,
    text: String,
}

/// The plan, what the rules say of it, and its digests. `remarks` are numbers that change by the minute.
pub fn plan_text(plan: &Plan, remarks: &[Finding], width: usize, color: bool) -> String {
    let mut lines = head(plan, width, Paint { color });
    lines.push(String::new());
    lines.extend(rows(plan, width));
    lines.push(String::new());
    lines.extend(below(plan).into_iter().map(|line| format!("  {line}")));
    let findings: Vec<&Finding> = plan.notices.iter().chain(remarks).collect();
    if !findings.is_empty() {
        lines.push(String::new());
        lines.extend(finding_rows(&findings, width, Paint { color }));
    }
    lines.join("\n") + "\n"
}

/// Where several say to do the same, it stands under the last of them.
fn finding_rows(findings: &[&Finding], width: usize, paint: Paint) -> Vec<String> {
    let mut lines = Vec::new();
    for (index, finding) in findings.iter().enumerate() {
        let said_again = findings.get(index + 1).is_some_and(|later| later.next == finding.next);
        let next = if said_again { String::new() } else { finding.next.clone() };
        lines.extend(finding_lines(&Finding { next, ..(*finding).clone() }, width, paint));
    }
    lines.dedup();
    lines
}

/// The offer of a plan without some hosts: what remains, and its digest.
pub fn without_text(plan: &Plan) -> String {
    let names = fold(plan.left_out.iter().map(|one| one.service.host.as_str()));
    let power = plan.left_out.iter().map(|one| one.power).sum::<Option<u64>>();
    let share = power.map_or_else(|| "(power unknown)".into(), |power| format!("({power} of {})", plan.power.total));
    let rest = match plan.power.total {
        0 => String::new(),
        _ => format!(" {} remain, quorum {}", plan.power.planned, plan.power.quorum),
    };
    format!("Without {names} {share}{rest}: plan {}", plan.digest())
}

fn head(plan: &Plan, width: usize, paint: Paint) -> Vec<String> {
    let power = match (plan.power.total, plan.power.source.as_str()) {
        (0, _) => "power unknown".into(),
        (total, "the chain") => format!("power {} of {total}", plan.power.planned),
        (total, source) => format!("power {} of {total} by {source}", plan.power.planned),
    };
    let hosts = counted(plan.hosts().len(), "host");
    let digest = plan.digest().to_string();
    let power = if plan.chain_id.is_empty() { String::new() } else { format!(", {power}") };
    let text = format!("Plan {digest}  {}, {hosts}{power}", plan.title());
    let mut lines = crate::render::words::wrapped(&text, width, 2);
    for line in &mut lines {
        *line = line.replacen(&digest, &paint.good(&digest), 1);
    }
    lines
}

fn rows(plan: &Plan, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut number = 0;
    let mut before = String::new();
    // What comes first in a restore needs no lock.
    let unlocked =
        if plan.restore.is_some() { plan.stages.iter().take_while(|stage| stage.streams()).count() } else { 0 };
    let of = |stages: &[Stage]| stages.iter().flat_map(|stage| stage_rows(plan, stage)).collect::<Vec<Row>>();
    let (first, rest) = plan.stages.split_at(unlocked);
    for row in of(first).into_iter().chain([lock_row(plan)]).chain(of(rest)) {
        let same = row.name == before;
        number += usize::from(!same);
        let left = if same { String::new() } else { format!("{number:>3} {}", row.name) };
        before.clone_from(&row.name);
        lines.extend(laid_out(&left, &row.who, &row.text, width));
    }
    lines
}

fn laid_out(left: &str, who: &str, text: &str, width: usize) -> Vec<String> {
    let margin = NUMBER + NAME + WHO;
    let text = crate::render::words::wrapped(text, width.saturating_sub(margin), 0);
    let wide = who.chars().count() >= WHO;
    let mut lines = vec![format!("{left:<w$}{who:<WHO$}", w = NUMBER + NAME)];
    for (index, part) in text.iter().enumerate() {
        if index > 0 || (wide && !part.is_empty()) {
            lines.push(" ".repeat(margin));
        }
        lines.last_mut().into_iter().for_each(|line| line.push_str(part));
    }
    lines.into_iter().map(|line| line.trim_end().to_owned()).collect()
}

fn lock_row(plan: &Plan) -> Row {
    let stops = plan.stages.iter().any(|stage| matches!(stage.shape, Shape::Barrier(_)));
    let locks = plan.stages.iter().any(Stage::needs_locks);
    let (name, text) = if stops {
        ("arm", "lock, privileges, clock; the stop waits on each host under a lease")
    } else if locks {
        ("lock", "lock, privileges")
    } else {
        ("read", "nothing is locked, nothing is stopped")
    };
    Row { name: name.into(), who: counted(plan.hosts().len(), "host"), text: text.into() }
}

fn stage_rows(plan: &Plan, stage: &Stage) -> Vec<Row> {
    let starts = stage.tasks.iter().flat_map(|task| &task.steps).any(|step| step.action == Action::Start);
    let row = |who: String, text: String| vec![Row { name: stage.name.clone(), who, text }];
    let services = || stage.tasks.iter().map(|task| task.service.to_string()).collect::<Vec<_>>();
    let folded = || fold(services().iter().map(String::as_str));
    let count = counted(stage.tasks.len(), if stage.name == "sidecars" { "service" } else { "node" });
    let proof = plan.proves_first(stage).then(|| Row { name: "verify".into(), who: count.clone(), text: PROOF.into() });
    let not_before = stage.not_before_ms.map(|at| format!(", not before {}", time(at))).unwrap_or_default();
    let rows = match (&stage.shape, stage.name.as_str()) {
        (Shape::Barrier(instant), _) => row(count, instant_words(instant)),
        (_, "nodes") => ladder_rows(plan, stage, &not_before),
        _ if starts => vec![Row { name: "start".into(), who: folded(), text: not_before }],
        (_, "still-stopped") => vec![Row { name: "verify".into(), who: count, text: format!("once more{not_before}") }],
        (_, "log") => row(count, log_words(plan, stage)),
        (Shape::Decide, _) => row(count, clear_words(plan)),
        (Shape::Rolling, _) => seal_rows(plan, stage),
        (_, "store") => store_rows(plan),
        (_, "fetch") => row(count, fetch_words(plan)),
        (_, "swap") => row(count, swap_words(plan)),
        (_, "sidecars") => row(count, format!("stopped after their nodes: {}", folded())),
        _ => row(count, watch_words(stage) + &not_before),
    };
    proof.into_iter().chain(rows).collect()
}

/// The nodes that stand still for a moment, with the power that each takes with it.
fn seal_rows(plan: &Plan, stage: &Stage) -> Vec<Row> {
    let words = |task: &Task| match (plan.advancing, seals_running(task)) {
        (true, true) => {
            "stopped, its tables linked, started again, by the host itself; the next when blocks come to it again"
        }
        (true, false) => "stands still: its tables are linked, and it isn't started",
        (false, _) => "stopped if it runs, its tables linked; if it ran, started again, by the host itself",
    };
    let mut before = "";
    let row = |task: &Task| {
        let power = plan.target(&task.service).and_then(|target| target.power).filter(|power| *power > 0);
        let without = power.map_or_else(String::new, |power| format!("  {power}"));
        let words = words(task);
        let text = if words == before { "" } else { words };
        before = words;
        Row { name: "seal".into(), who: format!("{}{without}", task.service), text: text.into() }
    };
    stage.tasks.iter().map(row).collect()
}

/// Whether blocks come to this node again before the next is sealed: it ran, and so did the chain.
pub fn seals_running(task: &Task) -> bool {
    task.steps.iter().any(|step| step.verify == Check::Healthy)
}

/// What is kept, by profile.
fn store_rows(plan: &Plan) -> Vec<Row> {
    let items = plan.backup.iter().flat_map(|backup| &backup.items);
    let mut items: Vec<&Item> = items.filter(|item| plan.target(&item.service).is_some()).collect();
    items
        .sort_by_key(|item| Profile::ALL.into_iter().position(|profile| profile == item.profile).unwrap_or(usize::MAX));
    let of = |name: &str| {
        let of_profile: Vec<&&Item> = items.iter().filter(|item| item.profile_name() == name).collect();
        let names: Vec<String> = of_profile.iter().map(|item| item.service.to_string()).collect();
        let text = match of_profile.iter().find_map(|item| item.keys.as_ref()) {
            Some(keys) => format!("keys, encrypted by age for {}", keys.recipients.join(", ")),
            None => name.into(),
        };
        Row { name: "store".into(), who: fold(names.iter().map(String::as_str)), text }
    };
    let mut names: Vec<&str> = items.iter().map(|item| item.profile_name()).collect();
    names.dedup();
    names.into_iter().map(of).collect()
}

fn log_words(plan: &Plan, stage: &Stage) -> String {
    if plan.operation == Operation::RestoreWal {
        return "the WAL that was set aside last is put back, unless its signer has signed since".into();
    }
    let content = stage.tasks.iter().filter_map(|task| plan.wals.get(&task.service.to_string()));
    let bytes: usize = content.map(|one| one.base64.len() * 3 / 4).sum();
    format!("the WAL is set aside, one with the messages above ({bytes} bytes) takes its place")
}

fn fetch_words(plan: &Plan) -> String {
    let Some(restore) = &plan.restore else { return String::new() };
    let height = restore.height.map_or_else(String::new, |height| format!(", height {height}"));
    format!(
        "{} of {}{height}: {} in {} files, into a folder beside the databases, hashed in the store and on the host; the \
         nodes run on, and nothing is locked",
        restore.snapshot,
        restore.of,
        size(restore.bytes),
        restore.files
    )
}

fn swap_words(plan: &Plan) -> String {
    let entries = plan.restore.as_ref().map_or(&[][..], |restore| &restore.entries);
    format!(
        "{}: each exchanged by renames, the old one kept as NAME.fleet-RUN; a hold keeps the unit down until all are",
        entries.join(", ")
    )
}

fn clear_words(plan: &Plan) -> String {
    let drops = plan.clearing.as_ref().is_some_and(|clearing| clearing.drop_records);
    let what =
        if drops { "a WAL of its signer's last vote alone" } else { "the shortest WAL that forgets nothing signed" };
    format!(
        "every WAL is read; if that can neither strand the chain nor fork it, each gets {what}, and its own is set aside; \
         else they start with their own"
    )
}

fn instant_words(instant: &Instant) -> String {
    match instant {
        Instant::Now => "all at one instant".into(),
        Instant::AfterBlock { max_wait_ms, .. } => {
            format!("all at one instant, right after a block (waited for up to {})", span(*max_wait_ms))
        }
        Instant::At { unix_ms } => format!("all at {}", time(*unix_ms)),
    }
}

fn watch_words(stage: &Stage) -> String {
    let bound = span(stage.timeout_ms);
    let verify = stage.tasks.iter().flat_map(|task| &task.steps).map(|step| step.verify).next();
    let needs = match stage.needs {
        Needs::All | Needs::Settled => String::new(),
        Needs::AtLeast(count) => format!(" on {count}"),
        Needs::Power(power) => format!(" on nodes with {power} of the power"),
    };
    match verify {
        Some(Check::Stopped) => PROOF.into(),
        Some(Check::Connected) => format!("RPC answers and there are peers{needs}, within {bound}"),
        Some(Check::Healthy) => {
            format!("RPC answers, new blocks, of validators their own signature{needs}, within {bound}")
        }
        Some(Check::NewBlock) => format!("a new block{needs}, within {bound}"),
        _ => String::new(),
    }
}

/// The starts of the nodes, with the power that each validator brings.
fn ladder_rows(plan: &Plan, stage: &Stage, not_before: &str) -> Vec<Row> {
    let here: BTreeSet<String> = stage.tasks.iter().map(|task| task.service.to_string()).collect();
    let rungs: Vec<Rung> = plan.ladder().into_iter().filter(|rung| here.contains(&rung.service.to_string())).collect();
    if plan.power.total == 0 {
        let names: Vec<String> = rungs.iter().map(|rung| rung.service.to_string()).collect();
        let order = match stage.shape {
            Shape::Ranked(crate::model::plan::Order::ByPowerOfChain) => {
                "in order of power, as a node started before tells it"
            }
            _ => "by name: powers are unknown",
        };
        let who = fold(names.iter().map(String::as_str));
        return vec![Row { name: "start".into(), who, text: format!("{order}{not_before}") }];
    }
    let crossing = plan.quorum_crossing();
    let until = rungs.iter().position(|rung| Some(&rung.service) == crossing.as_ref()).map_or(rungs.len(), |at| at + 1);
    let (before, after) = rungs.split_at(until);
    let powerless = before.iter().take_while(|rung| rung.power == Some(0)).count();
    let (powerless, before) = before.split_at(powerless);
    let mut groups: Vec<&[Rung]> = (!powerless.is_empty()).then_some(powerless).into_iter().collect();
    if before.len() > LISTED {
        let (first, rest) = before.split_at(2);
        let (middle, last) = rest.split_at(rest.len() - 1);
        groups.extend(first.chunks(1));
        groups.push(middle);
        groups.push(last);
    } else {
        groups.extend(before.chunks(1));
    }
    groups.extend((!after.is_empty()).then_some(after));
    let mut rows: Vec<Row> = groups.into_iter().map(|group| rung_row(plan, group, crossing.is_some())).collect();
    rows.first_mut().into_iter().for_each(|row| row.text.push_str(not_before));
    rows
}

fn rung_row(plan: &Plan, group: &[Rung], crosses: bool) -> Row {
    let names: Vec<String> = group.iter().map(|rung| rung.service.to_string()).collect();
    let who = fold(names.iter().map(String::as_str));
    let power: u64 = group.iter().filter_map(|rung| rung.power).sum();
    if power == 0 && group.iter().all(|rung| rung.power.is_some()) {
        return Row { name: "start".into(), who, text: String::new() };
    }
    let reached = group.last().map_or(0, |rung| rung.reached);
    let at = crosses && group.iter().any(|rung| Some(&rung.service) == plan.quorum_crossing().as_ref());
    let quorum =
        if at { format!("   quorum ({}): blocks expected from here", plan.power.quorum) } else { String::new() };
    Row {
        name: "start".into(),
        who: format!("{who}  {power}"),
        text: format!("{reached:>4} of {}{quorum}", plan.power.total),
    }
}

fn below(plan: &Plan) -> Vec<String> {
    // Those of the decision are known only when its logs are read: they are overruled then, if need be.
    let decision = plan.clearing.iter().flat_map(|clearing| &clearing.accepted);
    let accepted: BTreeSet<&str> = plan.accepted.iter().chain(decision).map(String::as_str).collect();
    let accepted =
        if accepted.is_empty() { "none".into() } else { accepted.into_iter().collect::<Vec<_>>().join(", ") };
    let wals = match plan.operation {
        Operation::ReviveWal => "The node's own WAL is set aside; no signer's state is touched.",
        Operation::RestoreWal => "The WAL that is replaced is kept aside; no signer's state is touched.",
        Operation::CoordinatedRestart if plan.clearing.is_some() => "No signer's state is touched.",
        Operation::Backup if keeps_keys(plan) => "Keys are kept as said above, no signer's state is.",
        Operation::Backup => "No key and no signer's state is kept.",
        Operation::Restore => "No key, no signer's state and no WAL is touched.",
        Operation::Halt | Operation::Start | Operation::CoordinatedRestart => "WALs are kept.",
    };
    let mut lines = vec![format!("{wals} Accepted rules: {accepted}.")];
    if let Some(stage) = plan.stages.iter().find(|stage| stage.shape == Shape::Decide) {
        let names: Vec<String> = stage.tasks.iter().map(|task| task.service.to_string()).collect();
        lines.push(format!("WALs to clear: {}; the others are kept.", fold(names.iter().map(String::as_str))));
    }
    if !plan.left_out.is_empty() {
        lines.push(format!("Left out: {}.", left_out(&plan.left_out)));
    }
    let remains = plan.power.total - plan.power.planned;
    // A plan that holds the quorum itself is known to stop the chain.
    let halts = plan.advancing && plan.stops().next().is_some() && plan.power.planned.max(remains) < plan.power.quorum;
    if plan.power.total > 0 && (plan.operation == Operation::Halt || halts) {
        let goes_on = match plan.operation {
            _ if remains >= plan.power.quorum => "the chain can go on",
            Operation::Halt => "the chain stops",
            _ => "the chain stands meanwhile",
        };
        let (total, quorum) = (plan.power.total, plan.power.quorum);
        lines.push(format!("Power that remains: {remains} of {total}, quorum {quorum}: {goes_on}."));
    }
    if let Some(backup) = &plan.backup {
        let rate = backup.rate.map_or_else(String::new, |rate| format!(", at most {} a second in all", size(rate)));
        lines.push(format!("Store: {}{rate}", backup.store));
        return lines;
    }
    lines.extend(plan.restore.as_ref().map(|restore| format!("Store: {}", restore.store)));
    lines.push(format!("Agreement for other operators: {}", plan.agreement.digest()));
    if !plan.advancing {
        let last = match &plan.agreement.last {
            Some((height, app_hash)) => {
                format!("{height}, app hash {}", app_hash.get(..SHOWN_HASH).unwrap_or(app_hash))
            }
            None => "unknown here, no own node tells it".into(),
        };
        lines.push(format!("To compare beside it: last height {last}"));
    }
    lines
}

fn keeps_keys(plan: &Plan) -> bool {
    plan.backup.iter().flat_map(|backup| &backup.items).any(|item| item.keys.is_some())
}

fn left_out(left_out: &[LeftOut]) -> String {
    let one = |one: &LeftOut| {
        let power = one.power.map_or_else(|| "power unknown".into(), |power| power.to_string());
        format!("{} ({power}; {})", one.service, one.reason)
    };
    left_out.iter().map(one).collect::<Vec<_>>().join(", ")
}

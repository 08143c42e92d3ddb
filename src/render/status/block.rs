//! The lines above and below the table.

use std::collections::BTreeMap;

use crate::model::facts::{Facts, HostFacts};
use crate::model::fold::fold;
use crate::model::verdict::{Cause, ChainState, ChainVerdict, Member, Missing};
use crate::render::next::next;
use crate::render::paint::Paint;
use crate::render::span::span;

/// More foreign validators than this are counted, not listed.
const LISTED: usize = 3;

/// Between the state and the powers of a chain.
const BESIDE: &str = "    ";

/// Where the text of a labelled line begins.
const INDENT: usize = 11;

/// What is said of one chain.
pub fn lines(verdict: &ChainVerdict, age_ms: Option<u64>, at_ms: i64, width: usize, paint: Paint) -> Vec<String> {
    let plain = format!("{}  {}", verdict.chain_id, state(verdict, age_ms, at_ms, Paint { color: false }));
    let mut lines = vec![format!("{}  {}", verdict.chain_id, state(verdict, age_ms, at_ms, paint))];
    let power = power(verdict);
    let beside = plain.chars().count() + BESIDE.len() + power.chars().count() <= width;
    if beside && !power.is_empty() {
        lines[0].extend([BESIDE, &power]);
    }
    let mut say = |label: &str, text: &str| lines.extend(labelled(label, text, width));
    if !beside {
        say("power", &power);
    }
    let (missing, foreign) = (missing(verdict), foreign(verdict));
    let together = format!("{missing}   foreign {foreign}");
    match (verdict.missing.is_empty(), verdict.foreign_total) {
        (true, 0) => {}
        (true, _) => say("foreign", &foreign),
        (false, _) if INDENT + together.chars().count() <= width => say("missing", &together),
        (false, _) => {
            say("missing", &missing);
            say("foreign", &foreign);
        }
    }
    say(if verdict.cause == Cause::None { "note" } else { "likely" }, &verdict.likely);
    verdict.notes.iter().for_each(|note| say("note", note));
    if let Some(next) = &verdict.next {
        say("next", next);
    }
    lines
}

fn state(verdict: &ChainVerdict, age_ms: Option<u64>, at_ms: i64, paint: Paint) -> String {
    let at = verdict.height.map_or(String::new(), |height| format!(" at {height}"));
    match &verdict.state {
        ChainState::Advancing => {
            let last = age_ms.map_or(String::new(), |age| format!(", {} ago", span(age)));
            format!("{}{at}{last}", paint.good("advancing"))
        }
        ChainState::Stopped { since_ms } => {
            let since = since_ms.and_then(|since| u64::try_from(at_ms.saturating_sub(since)).ok());
            let since = since.map_or(String::new(), |ms| format!(" for {}", span(ms)));
            format!("{}{at}{since}", paint.bad("STOPPED"))
        }
        ChainState::Idle => {
            let since = age_ms.map_or(String::new(), |age| format!(" for {}", span(age)));
            format!("{}{at}{since}", paint.good("idle"))
        }
        ChainState::Unknown(why) => format!("{}{at}: {why}", paint.unsure("UNKNOWN")),
    }
}

fn power(verdict: &ChainVerdict) -> String {
    let what = if verdict.state == ChainState::Advancing { "signed" } else { "online" };
    match verdict.power_total {
        0 => String::new(),
        total => format!("{what} {} of {total}, quorum {}", verdict.power_online, verdict.quorum),
    }
}

/// Who is missing, those with the same reason together.
fn missing(verdict: &ChainVerdict) -> String {
    let mut reasons: Vec<(bool, &str)> = Vec::new();
    let mut by_reason: BTreeMap<(bool, &str), Vec<&Missing>> = BTreeMap::new();
    for one in &verdict.missing {
        let key = (matches!(one.who, Member::Foreign(_)), one.why.as_str());
        let group = by_reason.entry(key).or_default();
        if group.is_empty() {
            reasons.push(key);
        }
        group.push(one);
    }
    reasons.iter().map(|key| group(key.0, key.1, &by_reason[key])).collect::<Vec<_>>().join(", ")
}

fn group(foreign: bool, why: &str, members: &[&Missing]) -> String {
    let power = members.iter().fold(0_u64, |sum, one| sum.saturating_add(one.power));
    let names: Vec<_> = members.iter().map(|one| one.who.to_string()).collect();
    let who = match (foreign, names.len()) {
        (true, count) if count > LISTED => format!("{count} foreign validators"),
        (true, _) => format!("foreign {}", names.join(", ")),
        (false, _) => fold(names.iter().map(String::as_str)),
    };
    format!("{who} {power} ({why})")
}

fn foreign(verdict: &ChainVerdict) -> String {
    match (verdict.foreign_total, verdict.power_total) {
        (0, 0) => "unknown".into(),
        (0, _) => "none".into(),
        (power, total) => format!("{power} of {total}, {} of it voting", verdict.foreign_voting),
    }
}

/// What the hosts themselves say that an operator should know before doing anything.
pub fn hosts(facts: &Facts, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut say = |text: &str| lines.extend(labelled("note", text, width));
    for (name, host) in &facts.hosts {
        let HostFacts::Answered(host) = host else { continue };
        if let Some(error) = &host.privilege_error {
            say(&format!("{name}: no root rights: {error}"));
        }
        if let Some(lock) = host.lock.as_ref().filter(|lock| !lock.released && lock.remaining_s > 0) {
            say(&format!("{name} is locked by {} for {} (run {})", lock.owner, lock.reason, lock.run));
        }
    }
    let hints = facts.hosts.iter().filter_map(|(name, host)| match host {
        HostFacts::Silent(silence) => Some((name.as_str(), silence.hint.as_deref()?)),
        HostFacts::Answered(_) => None,
    });
    for hint in next(hints) {
        lines.extend(labelled("next", hint.trim_start_matches("next: "), width));
    }
    if !lines.is_empty() {
        lines.insert(0, String::new());
    }
    lines
}

/// `  label    text`, wrapped between words and indented below its beginning.
fn labelled(label: &str, text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![format!("  {label:<9}")];
    for word in text.split_inclusive(' ') {
        let last = lines.last().map_or(0, |line| line.chars().count());
        if last > INDENT && last + word.trim_end().chars().count() > width {
            lines.push(" ".repeat(INDENT));
        }
        if let Some(line) = lines.last_mut() {
            line.push_str(word);
        }
    }
    lines.into_iter().map(|line| line.trim_end().to_string()).collect()
}

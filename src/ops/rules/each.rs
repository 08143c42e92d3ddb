//! Rules that look at one service at a time.

use crate::model::facts::{KeyFacts, SignerFacts};
use crate::model::plan::Severity;
use crate::model::size::size;
use crate::ops::policy::lone_half;
use crate::ops::powers::signs_remotely;
use crate::ops::rules::Found;
use crate::ops::scene::{Class, Member, unit_runs};

/// From here on a disk is nearly full, percent.
const DISK_WARN: u8 = 85;
/// From here on it is full, percent.
const DISK_FULL: u8 = 97;
/// Less free space than this is none, bytes.
const DISK_FREE: u64 = 500_000_000;
/// A clock this far off gets votes and block times wrong, ms.
const CLOCK_REFUSE_MS: f64 = 1_000.0;
/// A clock this far off is worth a look, ms.
const CLOCK_WARN_MS: f64 = 250.0;

pub fn chain_id(member: &Member<'_>) -> Option<Found> {
    let reported = &member.facts?.rpc.status.as_ref()?.chain_id;
    let expected = &member.target.chain_id;
    (member.is_node() && reported != expected).then(|| Found::new(format!("its node is on {reported}, not {expected}")))
}

pub fn signer_pair(member: &Member<'_>) -> Option<Found> {
    let facts = member.facts?;
    if member.target.chain_id.is_empty() {
        return None;
    }
    let lost = matches!((&facts.key, &facts.signer), (KeyFacts::Missing, SignerFacts::Missing));
    if lost && !signs_remotely(facts) && member.class == Class::Validator {
        return Some(Found::new("neither consensus key nor signer's state: the node would make a new key"));
    }
    lone_half(facts).map(Found::new)
}

pub fn unreadable(member: &Member<'_>) -> Option<Found> {
    let facts = member.facts?;
    if member.target.chain_id.is_empty() {
        return None;
    }
    if facts.config.is_none() {
        let why = facts.config_error.clone().unwrap_or_else(|| "no readable config.toml".into());
        return Some(Found::new("its config can't be read").figures(why));
    }
    if signs_remotely(facts) {
        return None;
    }
    let why = match (&facts.key, &facts.signer) {
        (KeyFacts::Unreadable(why), _) | (_, SignerFacts::Unreadable(why)) => why.clone(),
        (KeyFacts::Unknown, _) | (_, SignerFacts::Unknown) => "not looked at".into(),
        _ => return None,
    };
    Some(Found::new("its consensus key or signer's state can't be read").figures(why))
}

pub fn double_sign_check(member: &Member<'_>) -> Option<Found> {
    let found = match member.config()?.double_sign_check_height {
        0 => return None,
        1 => Found::new("double_sign_check_height is 1: newer versions would refuse to start")
            .severity(Severity::Warning),
        blocks => Found::new(format!("double_sign_check_height is {blocks}: the node would refuse to start")),
    };
    member.may_sign().then_some(found)
}

pub fn halt_height(member: &Member<'_>) -> Option<Found> {
    let height = member.config()?.halt_height;
    (height > 0).then(|| Found::new(format!("halt-height is set to {height}")))
}

pub fn halt_time(member: &Member<'_>) -> Option<Found> {
    let time = member.config()?.halt_time;
    (time > 0).then(|| Found::new(format!("halt-time is set to {time}")))
}

/// Whether nothing may be written on a disk any more that is used by so many percent, with so many bytes free.
pub fn is_full(used: u8, free: u64) -> bool {
    used >= DISK_FULL || free < DISK_FREE
}

pub fn disk(member: &Member<'_>) -> Option<Found> {
    let facts = member.facts?;
    let (used, free) = (facts.disk_used_percent.unwrap_or(0), facts.disk_free_bytes.unwrap_or(u64::MAX));
    let found = if is_full(used, free) {
        Found::new(format!("the disk is full ({DISK_FULL} % or more, or under 500 MB free)"))
    } else if used >= DISK_WARN {
        Found::new(format!("the disk is {DISK_WARN} % full or more")).severity(Severity::Warning)
    } else {
        return None;
    };
    let free = facts.disk_free_bytes.map_or(String::new(), |bytes| format!(", {} free", size(bytes)));
    Some(found.figures(format!("{used} %{free}")))
}

pub fn clock(member: &Member<'_>) -> Option<Found> {
    let answer = member.answer.filter(|_| member.is_node())?;
    let off = answer.clock_offset_ms.abs() - answer.clock_error_ms;
    let figures = format!("{:+.0} ms, give or take {:.0} ms", answer.clock_offset_ms, answer.clock_error_ms);
    if off > CLOCK_REFUSE_MS {
        Some(Found::new("its clock is more than 1 s off").figures(figures))
    } else if off > CLOCK_WARN_MS {
        Some(Found::new("its clock is more than 250 ms off").severity(Severity::Warning).figures(figures))
    } else if answer.clock_synced == Some(false) {
        Some(Found::new("its clock isn't synchronised").severity(Severity::Warning))
    } else {
        None
    }
}

pub fn unit_missing(member: &Member<'_>) -> Option<Found> {
    let unit = &member.facts?.unit;
    let state = unit.load_state.as_str();
    matches!(state, "not-found" | "masked" | "bad-setting" | "error")
        .then(|| Found::new(format!("the unit {} is {state}", member.target.unit)))
}

pub fn unit_enabled(member: &Member<'_>) -> Option<Found> {
    let state = member.facts?.unit.file_state.as_str();
    let comes_back = ["", "enabled", "static", "generated", "alias", "indirect", "masked"].contains(&state);
    (!comes_back).then(|| Found::new(format!("the unit is {state}: it won't come back after a reboot")))
}

pub fn outside_systemd(member: &Member<'_>) -> Option<Found> {
    let stray = member.facts?.processes.iter().find(|process| !process.in_unit)?;
    let figures = format!("process {}: {}", stray.pid, stray.command);
    Some(Found::new(format!("a process works on its home outside {}", member.target.unit)).figures(figures))
}

pub fn cosmovisor(member: &Member<'_>) -> Option<Found> {
    member.facts?.cosmovisor.then(|| Found::new("cosmovisor stands in front of the node"))
}

pub fn remote_signer(member: &Member<'_>) -> Option<Found> {
    let facts = member.facts?;
    signs_remotely(facts).then(|| Found::new("a remote signer holds its key and state: these aren't checked"))
}

pub fn watchdog(member: &Member<'_>) -> Option<Found> {
    let watchdogs = &member.answer.filter(|_| member.is_node())?.watchdogs;
    (!watchdogs.is_empty()).then(|| Found::new(format!("may be started by {}", watchdogs.join(", "))))
}

pub fn adaptive_sync(member: &Member<'_>) -> Option<Found> {
    (member.may_sign() && member.config()?.adaptive_sync).then(|| Found::new("adaptive_sync is on for a validator"))
}

pub fn kill_mode(member: &Member<'_>) -> Option<Found> {
    let facts = member.facts?;
    let mode = facts.unit.kill_mode.as_str();
    (facts.cosmovisor && matches!(mode, "process" | "none"))
        .then(|| Found::new(format!("KillMode={mode}: a stop may leave the node alive behind cosmovisor")))
}

pub fn held(member: &Member<'_>) -> Option<Found> {
    member.facts?.held.then(|| Found::new("a hold keeps the unit down: an earlier operation isn't finished"))
}

pub fn consensus_failure(member: &Member<'_>) -> Option<Found> {
    let facts = member.facts.filter(|facts| facts.consensus_failure && unit_runs(facts))?;
    let severity = if facts.rpc.status.is_some() || !member.starts { Severity::Warning } else { Severity::Note };
    Some(Found::new("CONSENSUS FAILURE in its log: the process lives but takes no part").severity(severity))
}

pub fn no_power(member: &Member<'_>) -> Option<Found> {
    let none = member.class == Class::Validator && member.target.power == Some(0);
    none.then(|| Found::new("a validator by its role, but its key isn't in the validator set"))
}

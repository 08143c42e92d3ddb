//! A row for each service that facts were gathered about.

use serde::Serialize;

use crate::model::facts::{Facts, HostAnswer, HostFacts, RpcFacts, ServiceFacts, SignerFacts, UnitFacts};
use crate::model::inventory::{Host, Inventory, Role, Service};
use crate::model::verdict::{ChainVerdict, Seat};

/// One row. `None` is what isn't known or doesn't apply.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// `val-1`, or `val-1/oracle`.
    pub name: String,
    pub role: Role,
    /// The chain's name in the inventory.
    pub chain: Option<String>,
    /// Why there is nothing else in this row.
    pub error: Option<String>,
    /// systemd's word, or what is more to the point.
    pub unit: Option<String>,
    pub height: Option<u64>,
    pub block_age_ms: Option<u64>,
    /// `0/prevote`, `panicked`, `hung`, `catching up`.
    pub consensus: Option<String>,
    pub voted: Option<bool>,
    pub power: Option<u64>,
    pub peers: Option<usize>,
    pub disk_used_percent: Option<u8>,
    pub version: Option<String>,
    pub clock_offset_ms: Option<f64>,
    pub catching_up: Option<bool>,
    /// `1204332/0/2`, `missing`, `remote`.
    pub signer: Option<String>,
}

/// In the inventory's order, without nodes of chains that have no verdict here; hosts without facts weren't asked and have none.
pub fn rows(verdicts: &[ChainVerdict], facts: &Facts, inventory: &Inventory) -> Vec<Row> {
    let asked = inventory.hosts.iter().filter_map(|host| Some((host, facts.hosts.get(&host.name)?)));
    asked.flat_map(|(host, told)| of_host(verdicts, facts, host, told)).collect()
}

fn of_host(verdicts: &[ChainVerdict], facts: &Facts, host: &Host, told: &HostFacts) -> Vec<Row> {
    let bare = |service: Option<&Service>| bare(host, service);
    match told {
        HostFacts::Silent(silence) => vec![Row { error: Some(silence.reason.clone()), ..bare(host.services.first()) }],
        HostFacts::Answered(_) if host.services.is_empty() => vec![Row { unit: Some("answers".into()), ..bare(None) }],
        HostFacts::Answered(answer) => host
            .services
            .iter()
            .filter(|service| service.chain.as_ref().is_none_or(|chain| verdicts.iter().any(|one| one.name == *chain)))
            .map(|service| of_service(verdicts, facts, answer, service, bare(Some(service))))
            .collect(),
    }
}

fn bare(host: &Host, service: Option<&Service>) -> Row {
    Row {
        name: service.map_or_else(|| host.name.clone(), |service| service.id.to_string()),
        role: host.role,
        chain: service.and_then(|service| service.chain.clone()),
        error: None,
        unit: None,
        height: None,
        block_age_ms: None,
        consensus: None,
        voted: None,
        power: None,
        peers: None,
        disk_used_percent: None,
        version: None,
        clock_offset_ms: None,
        catching_up: None,
        signer: None,
    }
}

fn of_service(verdicts: &[ChainVerdict], facts: &Facts, host: &HostAnswer, service: &Service, bare: Row) -> Row {
    let Some(told) = host.services.get(&service.id.service) else {
        return Row { error: Some("nothing about this unit".into()), ..bare };
    };
    let seat = service.chain.as_ref().and_then(|chain| seat(verdicts, chain, &bare.name));
    let status = told.rpc.status.as_ref();
    let age = |block_time_ms| u64::try_from(facts.at_ms.saturating_sub(block_time_ms)).unwrap_or(0);
    Row {
        unit: Some(unit(told)),
        height: status.map(|status| status.height),
        // A node that can't read its last block tells the time 0.
        block_age_ms: status.map(|status| status.block_time_ms).filter(|time| *time > 0).map(age),
        consensus: consensus(told),
        voted: seat.map(|seat| seat.voted),
        power: seat.map(|seat| seat.power),
        peers: told.rpc.peers.as_ref().map(Vec::len),
        disk_used_percent: told.disk_used_percent,
        version: told.version.clone().or_else(|| told.rpc.app.as_ref().map(|app| app.version.clone())),
        clock_offset_ms: Some(host.clock_offset_ms),
        catching_up: status.map(|status| status.catching_up),
        signer: signer(told),
        ..bare
    }
}

fn seat<'a>(verdicts: &'a [ChainVerdict], chain: &str, name: &str) -> Option<&'a Seat> {
    verdicts.iter().find(|verdict| verdict.name == chain)?.seats.get(name)
}

/// systemd's state, unless something else is more to the point.
fn unit(told: &ServiceFacts) -> String {
    let UnitFacts { load_state, active_state, sub_state, .. } = &told.unit;
    let outside = told.processes.iter().any(|process| !process.in_unit);
    match (load_state.as_str(), active_state.as_str(), sub_state.as_str()) {
        ("not-found", ..) => "no unit".into(),
        (_, "inactive" | "failed", _) if outside => "outside".into(),
        (_, "inactive", _) if told.held => "held".into(),
        (.., "auto-restart") => "restarts".into(),
        (_, "", _) => "?".into(),
        (_, active, _) => active.into(),
    }
}

fn consensus(told: &ServiceFacts) -> Option<String> {
    let RpcFacts { status, round, round_error, .. } = &told.rpc;
    let status = status.as_ref()?;
    if told.consensus_failure {
        return Some("panicked".into());
    }
    if status.catching_up {
        return Some("catching up".into());
    }
    match (round, round_error) {
        (_, Some(_)) => Some("hung".into()),
        (Some(round), None) => Some(format!("{}/{}", round.round, step(round.step))),
        (None, None) => None,
    }
}

/// Names short enough for 80 columns; `+` is the wait that follows.
fn step(step: u8) -> &'static str {
    match step {
        1 => "new height",
        2 => "new round",
        3 => "propose",
        4 => "prevote",
        5 => "prevote+",
        6 => "precommit",
        7 => "precommit+",
        8 => "commit",
        _ => "?",
    }
}

fn signer(told: &ServiceFacts) -> Option<String> {
    if told.config.as_ref().is_some_and(|config| !config.remote_signer.is_empty()) {
        return Some("remote".into());
    }
    match &told.signer {
        SignerFacts::Unknown => None,
        SignerFacts::Missing => Some("missing".into()),
        SignerFacts::Unreadable(_) => Some("unreadable".into()),
        SignerFacts::State(state) => Some(format!("{}/{}/{}", state.height, state.round, state.step)),
    }
}

//! Whether a check holds, and waiting until it does.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use crate::chain::rpc;
use crate::engine::{Answer, Fault, Observation, Probe, Prober, RpcQuery};
use crate::model::event::Outcome;
use crate::model::facts::{NodeStatus, ValidatorSet};
use crate::model::plan::{Check, Target};

/// How long to wait between two looks.
const PAUSE: Duration = Duration::from_millis(100);
/// The most pages of 100 validators that are read.
const PAGES: u32 = 20;
/// How long to go on looking at a host that doesn't answer after a command was sent.
const SETTLE: Duration = Duration::from_secs(30);
/// When what is in the way of something that takes long is first told; then each time after twice as long.
const TELL: Duration = Duration::from_secs(30);
/// The longest pause between two such words.
const TELL_AT_LAST: Duration = Duration::from_secs(300);
/// How long another node must have answered in a node's place: what answers while it opens its databases goes away.
const SURE: Duration = Duration::from_secs(10);
/// How long the last look may take.
const LOOK: Duration = Duration::from_secs(5);

/// Whether `check` holds by what was seen; if not, what is in the way.
pub fn holds(check: Check, seen: &Observation) -> Result<(), String> {
    match check {
        Check::Stopped => stopped(seen),
        Check::Alive => alive(seen),
        Check::WalSet if !seen.wal_set => Err("its write-ahead log isn't the one that was to be set".into()),
        Check::WalBack if !seen.wal_back => Err("the write-ahead log that was set aside isn't back".into()),
        Check::Sealed if !seen.sealed => Err("there is no whole clone of its databases".into()),
        Check::Swapped if !seen.swapped => Err("the snapshot's databases aren't in place".into()),
        Check::Nothing
        | Check::Connected
        | Check::NewBlock
        | Check::WalSet
        | Check::WalBack
        | Check::Sealed
        | Check::Swapped
        | Check::Healthy => Ok(()),
    }
}

fn stopped(seen: &Observation) -> Result<(), String> {
    let unit = &seen.unit;
    if !matches!(unit.active_state.as_str(), "inactive" | "failed") {
        return Err(format!("unit is {} ({})", unit.active_state, unit.sub_state));
    }
    if unit.job_queued {
        return Err("a job is queued for the unit".into());
    }
    if let Some(process) = seen.processes.first() {
        return Err(format!("process {} lives on: {}", process.pid, process.command));
    }
    if unit.cgroup_processes > 0 {
        return Err(format!("{} processes left in the unit's control group", unit.cgroup_processes));
    }
    if seen.database_locked {
        return Err("a process holds the database".into());
    }
    Ok(())
}

fn alive(seen: &Observation) -> Result<(), String> {
    let unit = &seen.unit;
    match unit.active_state.as_str() {
        "active" | "activating" if unit.main_pid > 0 => Ok(()),
        "active" | "activating" => Err(format!("unit is {} without a process", unit.active_state)),
        other => Err(format!("unit is {other} ({}, exit {})", unit.result, unit.exit_status)),
    }
}

/// What one look at a service saw of a check.
pub(super) enum Look {
    Holds {
        height: Option<u64>,
    },
    Not(String),
    /// Waiting changes nothing, if it is seen for a while.
    Never(String),
}

/// Looks once.
pub(super) async fn look(prober: &dyn Prober, check: Check, target: &Target, baseline: u64) -> Result<Look, Fault> {
    match check {
        Check::Nothing => Ok(Look::Holds { height: None }),
        Check::Stopped | Check::Alive | Check::WalSet | Check::WalBack | Check::Sealed | Check::Swapped => {
            let answer = prober.probe(&target.service.host, &Probe::Unit(Box::new(target.clone()))).await?;
            let Answer::Unit(seen) = answer else { return Err(wrong_answer()) };
            Ok(holds(check, &seen).map_or_else(Look::Not, |()| Look::Holds { height: None }))
        }
        Check::Connected => connected(prober, target).await,
        Check::NewBlock => new_block(prober, target, baseline).await,
        Check::Healthy => healthy(prober, target, baseline).await,
    }
}

async fn connected(prober: &dyn Prober, target: &Target) -> Result<Look, Fault> {
    let status = parse(&rpc_body(prober, target, RpcQuery::Status).await?, rpc::status)?;
    if status.chain_id != target.chain_id {
        return Ok(Look::Not(format!("is on chain {}, not {}", status.chain_id, target.chain_id)));
    }
    let peers = parse(&rpc_body(prober, target, RpcQuery::NetInfo).await?, rpc::net_info)?;
    Ok(if peers.is_empty() { Look::Not("has no peers yet".into()) } else { Look::Holds { height: None } })
}

async fn new_block(prober: &dyn Prober, target: &Target, baseline: u64) -> Result<Look, Fault> {
    let status = parse(&rpc_body(prober, target, RpcQuery::Status).await?, rpc::status)?;
    Ok(if status.height > baseline {
        Look::Holds { height: Some(status.height) }
    } else {
        Look::Not(format!("is at height {}", status.height))
    })
}

/// A validator's own word isn't enough: its signature is looked for in the block's commit.
async fn healthy(prober: &dyn Prober, target: &Target, baseline: u64) -> Result<Look, Fault> {
    let status = parse(&rpc_body(prober, target, RpcQuery::Status).await?, rpc::status)?;
    if status.chain_id != target.chain_id {
        return Ok(Look::Never(format!("is on chain {}, not {}", status.chain_id, target.chain_id)));
    }
    if let Some(other) = another_node(target, &status) {
        return Ok(Look::Never(other));
    }
    if status.height <= baseline || status.catching_up {
        let how = if status.catching_up { "catches up, at height" } else { "is at height" };
        return Ok(Look::Not(format!("{how} {}", status.height)));
    }
    let signs = target.power != Some(0) && status.voting_power > 0;
    // The last whole commit is that of the block before the last; the block after the first look may have its vote from
    // before the stop.
    let commit = RpcQuery::Commit(Some(status.height - 1));
    if signs && status.height - 1 > baseline + 1 {
        let commit = parse(&rpc_body(prober, target, commit).await?, rpc::commit)?;
        if commit.signed.contains(&status.address) {
            return Ok(Look::Holds { height: Some(status.height) });
        }
    }
    if signs {
        return Ok(Look::Not(format!("has not signed yet, at height {}", status.height)));
    }
    Ok(Look::Holds { height: Some(status.height) })
}

/// Whether another node answers than the one that was there before, or one with another key.
fn another_node(target: &Target, status: &NodeStatus) -> Option<String> {
    let expected = target.node_id.as_ref().filter(|id| **id != status.node_id);
    if let Some(id) = expected {
        return Some(format!("is node {}, not {id}", status.node_id));
    }
    let key = target.address.as_ref().filter(|key| !status.address.is_empty() && **key != status.address);
    key.map(|key| format!("signs as {}, not as {key}", status.address))
}

/// The body of one RPC answer.
pub(super) async fn rpc_body(prober: &dyn Prober, target: &Target, query: RpcQuery) -> Result<Vec<u8>, Fault> {
    let Some(address) = target.rpc.clone() else {
        return Err(Fault::answer("its RPC address is unknown"));
    };
    match prober.probe(&target.service.host, &Probe::Rpc { address, query }).await? {
        Answer::Body(body) => Ok(body),
        _ => Err(wrong_answer()),
    }
}

/// The whole validator set that a node reports, page by page.
pub async fn validators(prober: &dyn Prober, host: &str, address: &str) -> Option<ValidatorSet> {
    validator_pages(prober, host, address, rpc::validators).await
}

/// The pages of `/validators`, read until `whole` makes something of them.
pub(super) async fn validator_pages<T>(
    prober: &dyn Prober,
    host: &str,
    address: &str,
    whole: impl Fn(&[Vec<u8>]) -> Result<T, String>,
) -> Option<T> {
    let mut pages = Vec::new();
    for page in 1..=PAGES {
        let probe = Probe::Rpc { address: address.to_owned(), query: RpcQuery::Validators(page) };
        let Ok(Answer::Body(body)) = prober.probe(host, &probe).await else { return None };
        pages.push(body);
        if let Ok(set) = whole(&pages) {
            return Some(set);
        }
    }
    None
}

/// Reads an RPC body; what can't be read is a fault of the answer.
pub(super) fn parse<T>(body: &[u8], read: impl Fn(&[u8]) -> Result<T, String>) -> Result<T, Fault> {
    read(body).map_err(|reason| Fault::answer(&reason))
}

/// As [`settle`], after a command was sent: what came of it is looked for as long as the step may take, and a host that
/// doesn't answer gets more time than that.
pub(super) async fn settle_sent(prober: &dyn Prober, check: Check, target: &Target, until: Instant) -> Outcome {
    match settle(prober, check, target, 0, until).await.0 {
        Outcome::Unknown { .. } => settle(prober, check, target, 0, Instant::now() + SETTLE).await.0,
        known => known,
    }
}

/// Looks until the check holds, never will, or time is up; at least once. No answer at the end is unknown, never failed.
pub(super) async fn settle(
    prober: &dyn Prober,
    check: Check,
    target: &Target,
    baseline: u64,
    until: Instant,
) -> (Outcome, Option<u64>) {
    settle_telling(prober, (check, target, baseline), until, |_| ()).await
}

/// The same where that may take long: what is in the way is told now and then.
pub(super) async fn settle_telling(
    prober: &dyn Prober,
    (check, target, baseline): (Check, &Target, u64),
    until: Instant,
    tell: impl Fn(&str),
) -> (Outcome, Option<u64>) {
    let mut last = Err("no answer".to_owned());
    let bound = until.max(Instant::now() + LOOK);
    let (mut pause, mut due) = (TELL, Instant::now() + TELL);
    let mut never_since = None;
    loop {
        let seen = timeout_at(bound, look(prober, check, target, baseline)).await;
        let since = matches!(seen, Ok(Ok(Look::Never(_)))).then(|| never_since.unwrap_or_else(Instant::now));
        never_since = since;
        match seen {
            Ok(Ok(Look::Holds { height })) => return (Outcome::Done, height),
            Ok(Ok(Look::Never(reason))) if since.is_some_and(|since| since.elapsed() >= SURE) => {
                return (Outcome::Failed { reason }, None);
            }
            Ok(Ok(Look::Not(reason) | Look::Never(reason))) => last = Ok(reason),
            Ok(Err(fault)) => last = Err(fault.reason),
            Err(_) => {}
        }
        if Instant::now() >= due {
            tell(last.as_ref().unwrap_or_else(|reason| reason));
            pause = (pause * 2).min(TELL_AT_LAST);
            due = Instant::now() + pause;
        }
        if Instant::now() + PAUSE >= until {
            let outcome = match last {
                Ok(reason) => Outcome::Failed { reason },
                Err(reason) => Outcome::Unknown { reason },
            };
            return (outcome, None);
        }
        sleep(PAUSE).await;
    }
}

/// What is seen of a service now, where its host answers.
pub(super) async fn observe(prober: &dyn Prober, target: &Target) -> Option<Observation> {
    match prober.probe(&target.service.host, &Probe::Unit(Box::new(target.clone()))).await {
        Ok(Answer::Unit(seen)) => Some(*seen),
        _ => None,
    }
}

pub(super) fn wrong_answer() -> Fault {
    Fault::answer("the host answered something else")
}

impl Fault {
    /// The host answered, but not what was asked.
    pub fn answer(reason: &str) -> Self {
        Self { kind: super::FaultKind::Answer, sent: false, reason: reason.to_owned(), hint: None }
    }

    /// The command was sent; what came of it is unknown.
    pub fn unknown(reason: &str) -> Self {
        Self { kind: super::FaultKind::Link, sent: true, reason: reason.to_owned(), hint: None }
    }
}

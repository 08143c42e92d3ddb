//! Why: the rules in the order in which one makes the next pointless.

use std::collections::BTreeMap;

use super::seats::{Chair, Seats, Standing, sickness};
use super::view::{Node, View};
use super::{state, votes, words};
use crate::chain::quorum;
use crate::model::verdict::{Cause, ChainState};

mod power;

/// What fits the facts best.
pub struct Finding {
    pub cause: Cause,
    pub likely: String,
    pub next: Option<String>,
}

impl Finding {
    fn new(cause: Cause, likely: impl Into<String>, next: Option<String>) -> Self {
        Self { cause, likely: likely.into(), next }
    }
}

type Rule = fn(&View<'_>, &Seats<'_>) -> Option<Finding>;

/// Dangerous whether blocks come or not.
const ALWAYS: [Rule; 2] = [double_signer, divergence];

const STOPPED: [Rule; 5] = [all_down, planned_halt, partition, power::lacking, split];

pub fn find(view: &View<'_>, seats: &Seats<'_>, state: &ChainState) -> Finding {
    let first = |rules: &[Rule]| rules.iter().find_map(|rule| rule(view, seats));
    if let Some(danger) = first(&ALWAYS) {
        return danger;
    }
    match state {
        ChainState::Advancing => advancing(view, seats),
        ChainState::Idle => Finding::new(Cause::None, "idle: no empty blocks are made and nothing is to be done", None),
        ChainState::Stopped { .. } | ChainState::Unknown(_) => first(&STOPPED)
            .or_else(|| sick(view, &[Standing::Panicked, Standing::Hung, Standing::Waiting]))
            .unwrap_or_else(|| unexplained(view, seats)),
    }
}

/// Two live nodes with a local key for one address. Behind a remote signer an address signs once.
fn double_signer(view: &View<'_>, _: &Seats<'_>) -> Option<Finding> {
    let mut local: BTreeMap<&str, Vec<&Node<'_>>> = BTreeMap::new();
    for node in view.nodes.iter().filter(|node| node.runs() && !node.remote_signer()) {
        local.entry(node.address?).or_default().push(node);
    }
    let (address, nodes) = local.into_iter().find(|(_, nodes)| nodes.len() > 1)?;
    let likely = format!("double signing: {} run with one key ({address})", words::names(&nodes));
    let last = &nodes[nodes.len() - 1..];
    Some(Finding::new(Cause::DoubleSigner, likely, Some(format!("fleet halt -l {}", words::selector(view, last)))))
}

/// Different app hashes at one application height.
fn divergence(view: &View<'_>, seats: &Seats<'_>) -> Option<Finding> {
    let mut heights: BTreeMap<u64, BTreeMap<&str, Vec<&Node<'_>>>> = BTreeMap::new();
    for node in &view.nodes {
        if let Some(app) = node.rpc().and_then(|rpc| rpc.app.as_ref()).filter(|app| app.height > 0) {
            heights.entry(app.height).or_default().entry(&app.app_hash).or_default().push(node);
        }
    }
    let (height, hashes) = heights.into_iter().rev().find(|(_, hashes)| hashes.len() > 1)?;
    let mut groups: Vec<_> = hashes.into_values().map(|nodes| (power_behind(seats, &nodes), nodes)).collect();
    groups.sort_by_key(|(power, nodes)| std::cmp::Reverse((*power, nodes.len())));
    let told: Vec<_> = groups.iter().map(|(power, nodes)| format!("{} ({power})", words::names(nodes))).collect();
    let likely = format!("app hashes differ at height {height}: {}", told.join(" against "));
    let fewer: Vec<_> = groups.into_iter().skip(1).flat_map(|(_, nodes)| nodes).collect();
    let next = format!("compare binaries and data of {} with the rest; clear nothing", words::names(&fewer));
    Some(Finding::new(Cause::AppHashDivergence, likely, Some(next)))
}

fn all_down(view: &View<'_>, _: &Seats<'_>) -> Option<Finding> {
    let down = !view.nodes.is_empty() && view.nodes.iter().all(|node| node.facts.is_ok() && !node.runs());
    if !down || planned(view, view.nodes.iter()).is_some() {
        return None;
    }
    let all: Vec<_> = view.nodes.iter().collect();
    let next = format!(
        "fleet start{}",
        if view.one_of_many { format!(" -l {}", words::selector(view, &all)) } else { String::new() }
    );
    Some(Finding::new(Cause::AllDown, format!("all {} nodes are stopped", all.len()), Some(next)))
}

/// The height or time in app.toml was reached, by nodes without which there is no quorum.
fn planned_halt(view: &View<'_>, seats: &Seats<'_>) -> Option<Finding> {
    let (what, nodes) = planned(view, view.nodes.iter())?;
    let held = power_behind(seats, &nodes);
    let decides = if view.total == 0 { nodes.len() * 3 > view.nodes.len() } else { view.total - held < view.quorum };
    let likely = format!("halted as planned: {what} is set on {}", words::names(&nodes));
    let next = format!("set {} to 0 in app.toml there, or they halt again, then fleet start", what.split(' ').next()?);
    decides.then(|| Finding::new(Cause::PlannedHalt, likely, Some(next)))
}

/// Those that have reached their halt height or time, and which it is. An application may overshoot by a block or two.
fn planned<'a>(view: &View<'_>, nodes: impl Iterator<Item = &'a Node<'a>>) -> Option<(String, Vec<&'a Node<'a>>)> {
    let height = view.height().unwrap_or(0);
    let seconds = view.newest().map_or(0, |status| u64::try_from(status.block_time_ms / 1000).unwrap_or(0));
    let due = |node: &Node<'_>| {
        let config = node.facts.ok()?.config.as_ref()?;
        let at_height =
            config.halt_height > 0 && (config.halt_height..=config.halt_height.saturating_add(2)).contains(&height);
        let at_time = config.halt_time > 0 && seconds >= config.halt_time;
        if at_height {
            Some(format!("halt-height {}", config.halt_height))
        } else {
            at_time.then(|| format!("halt-time {}", config.halt_time))
        }
    };
    let due: Vec<_> = nodes.filter_map(|node| Some((due(node)?, node))).collect();
    let (what, _) = due.first()?;
    Some((what.clone(), due.iter().map(|(_, node)| *node).collect()))
}

/// The peer graph falls apart, the parts have seen different votes, and none has a quorum.
fn partition(view: &View<'_>, seats: &Seats<'_>) -> Option<Finding> {
    let islands = votes::islands(view)?;
    let heard = |island: &Vec<&Node<'_>>| {
        let rounds = island.iter().filter_map(|node| Some(votes::seen_in(view, node.round()?)));
        rounds.flatten().map(str::to_string).collect::<std::collections::BTreeSet<_>>()
    };
    let parts: Vec<_> = islands.iter().map(|island| (power_behind(seats, island), heard(island), island)).collect();
    let mut living: Vec<_> = parts.iter().filter(|(power, heard, _)| *power > 0 && !heard.is_empty()).collect();
    let set = view.set?;
    let short =
        living.iter().all(|(_, heard, _)| quorum::power_of(set, |address| heard.contains(address)) < view.quorum);
    let differ = living.windows(2).any(|pair| pair[0].1 != pair[1].1);
    let together: u64 = living.iter().map(|(power, ..)| *power).fold(0, u64::saturating_add);
    if living.len() < 2 || !short || !differ || together <= living.iter().map(|part| part.0).max()? {
        return None;
    }
    living.sort_by_key(|(power, ..)| std::cmp::Reverse(*power));
    let told: Vec<_> = living.iter().map(|(power, _, nodes)| format!("{} ({power})", words::names(nodes))).collect();
    let likely = format!("partition: {} don't see each other, none has the quorum", told.join(" and "));
    Some(Finding::new(Cause::Partition, likely, Some("look at the network and the sentries between them".into())))
}

/// Enough votes, but not for one block; rounds go by.
fn split(view: &View<'_>, seats: &Seats<'_>) -> Option<Finding> {
    let rounds = view.rounds();
    let round = rounds.iter().map(|(_, round)| round.round).max()?;
    let sums = votes::prevotes(view);
    let voted = seats.power(|seat| seat.voted);
    let agreed = sums.iter().any(|(what, power)| what != "nil" && *power >= view.quorum);
    if view.total == 0 || agreed || (voted < view.quorum && round == 0) {
        return None;
    }
    let mut told: Vec<_> = sums.into_iter().map(|(what, power)| (power, what)).collect();
    told.sort_by(|one, other| other.cmp(one));
    let told: Vec<_> = told.into_iter().map(|(power, what)| format!("{power} for {what}")).collect();
    let tally = if told.is_empty() { "no prevotes yet".to_string() } else { told.join(", ") };
    let likely = format!("online but split: round {round} without a block ({tally}; quorum {})", view.quorum);
    Some(Finding::new(
        Cause::Split,
        likely,
        Some("watch the rounds; if they don't end, fleet restart --coordinated".into()),
    ))
}

/// Nodes that answer and don't work, of the first of these kinds that there is.
fn sick(view: &View<'_>, kinds: &[Standing]) -> Option<Finding> {
    let of = |kind: Standing| view.nodes.iter().filter(|node| sickness(node) == Some(kind)).collect::<Vec<_>>();
    kinds.iter().find_map(|kind| power::sick(view, *kind, &of(*kind)))
}

fn unexplained(view: &View<'_>, seats: &Seats<'_>) -> Finding {
    let silent: Vec<_> = view.nodes.iter().filter(|node| node.facts.is_err()).collect();
    let likely = match view.rounds().iter().map(|(_, round)| (round.height, round.round)).max() {
        _ if view.newest().is_none() && !silent.is_empty() => {
            format!("unknown: no answer from {}, no node answers elsewhere", words::names(&silent))
        }
        _ if view.newest().is_none() => "unknown: processes run, but no RPC answers".into(),
        Some((height, round)) if view.total > 0 => {
            let voted = seats.power(|seat| seat.voted);
            format!("unknown: enough power is up; at {height}/{round} {voted} of {} have voted", view.total)
        }
        _ => "unknown: no node has told who votes".into(),
    };
    Finding::new(Cause::Unknown, likely, None)
}

/// Blocks come: what is wrong beside that.
fn advancing(view: &View<'_>, seats: &Seats<'_>) -> Finding {
    if let Some(finding) = sick(view, &[Standing::Panicked, Standing::Hung]) {
        return finding;
    }
    let out = |seat: &&Chair<'_>| !seat.takes_part() || seat.standing == Standing::Down;
    let absent: Vec<&Chair<'_>> = seats.all.iter().filter(|seat| !seat.owners.is_empty()).filter(out).collect();
    if let Some(seat) = absent.iter().max_by_key(|seat| seat.power) {
        let more = if absent.len() > 1 { format!(", and {} more", absent.len() - 1) } else { String::new() };
        // What stopped a moment ago has still signed the last block.
        let what = if seat.takes_part() { "no longer runs" } else { "doesn't sign" };
        let likely = format!("{} {what}: {}{more}", words::names(&seat.owners[..1]), words::why(view, seat));
        return Finding::new(Cause::None, likely, power::start(view, &absent));
    }
    let age = view.newest().map_or(0, |status| state::age_ms(view, status.block_time_ms));
    let likely = match view.newest() {
        Some(_) if age > state::late_after_ms(view) => {
            format!("the next block is late: the last one came {} s ago", age / 1000)
        }
        _ if view.total == 0 => "blocks come; who signs isn't known".into(),
        _ if seats.online() == view.total => "everybody signs".into(),
        _ => "all of ours sign".into(),
    };
    Finding::new(Cause::None, likely, None)
}

fn power_behind(seats: &Seats<'_>, nodes: &[&Node<'_>]) -> u64 {
    seats.power(|seat| nodes.iter().any(|node| node.address == Some(seat.address)))
}

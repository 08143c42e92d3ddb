//! The revival of a stranded chain: every message of the height in progress, given to one node without power, which hands
//! them to the others.

use std::collections::{BTreeMap, BTreeSet};

use crate::chain::wal::collect::{Collected, LeftOut, Why};
use crate::chain::wal::facts;
use crate::chain::wal::messages::{Case, Replay};
use crate::chain::wal::proto::Timestamp;
use crate::chain::wal::record::read;
use crate::chain::wal::rule::{Decision, decide};
use crate::chain::wal::survey::{self, Node, Survey, last_words, name_of};
use crate::chain::wal::validators::{Unproven, Validators};
use crate::chain::wal::view::View;
use crate::chain::wal::write::union;
use crate::model::inventory::ServiceId;
use crate::model::plan::Finding;
use crate::model::wal::RevivalReport;
use crate::ops::rules::finding;

/// A log that revives, and what it is expected to do.
pub struct Revival {
    /// The bytes of the log.
    pub log: Vec<u8>,
    /// What was collected.
    pub collected: Collected,
    /// What the rule says of it.
    pub decision: Decision,
    /// The height in progress.
    pub height: u64,
    /// The validators' nodes, by address.
    pub names: BTreeMap<String, String>,
}

impl Survey<'_> {
    /// The log that gives `on`, a node without power, every message that these nodes have; `running` are those whose
    /// consensus goes on meanwhile. What stands against it is in [`Revival::decision`]; the error says why there can't
    /// be one.
    pub fn revive(
        &self,
        nodes: &[Node],
        running: &BTreeSet<ServiceId>,
        on: &ServiceId,
        time: Timestamp,
    ) -> Result<Revival, String> {
        let height = self.height(nodes).ok_or("nobody tells the height in progress")?;
        let (of, voters) =
            self.voters.as_ref().ok_or("no node's RPC tells the validators, so no vote can be proven")?;
        if *of != height {
            return Err(format!(
                "the chain is at height {}, but its logs and signers at {height}",
                of.saturating_sub(1)
            ));
        }
        let signed = last_words(nodes, voters);
        let collected = survey::collect(nodes, &signed, voters, height);
        let log = union(height, self.initial_height, &collected.rounds, time).map_err(|_| "a message is too large")?;
        let case = Case {
            set: voters.powers(height),
            signers: signed
                .iter()
                .map(|(address, message)| (address.clone(), facts::spoken(message, height)))
                .collect(),
            online: online(nodes, running),
            known: collected.messages.clone(),
            replayed: replays(nodes, running, on, &log, voters, height),
            records_lost: true,
        };
        let names = voters.list().iter().map(|one| (one.address.clone(), name_of(nodes, &one.address)));
        Ok(Revival { log, decision: decide(&case), collected, height, names: names.collect() })
    }
}

fn online(nodes: &[Node], running: &BTreeSet<ServiceId>) -> BTreeSet<String> {
    nodes.iter().filter(|node| running.contains(&node.service)).filter_map(|node| node.address.clone()).collect()
}

/// What the nodes give the chain: the one that starts anew what the log has, the others what they have written down
/// since they began with this height.
fn replays(
    nodes: &[Node],
    running: &BTreeSet<ServiceId>,
    on: &ServiceId,
    log: &[u8],
    voters: &Validators,
    height: u64,
) -> Vec<Replay> {
    let given = facts::replay(&on.to_string(), None, &read(log).0, voters, height);
    let others = nodes.iter().filter(|node| node.service != *on && running.contains(&node.service));
    let others = others.filter_map(|node| {
        let view = View::of(node.live()?.log.as_ref().ok()?);
        Some(facts::replay(&node.service.to_string(), node.address.as_deref(), &view.records, voters, height))
    });
    [given].into_iter().chain(others).collect()
}

/// What speaks against a revival.
pub fn against(revival: &Revival, accepted: &[String]) -> Vec<Finding> {
    let name = |address: &str| revival.names.get(address).cloned().unwrap_or_else(|| address.into());
    let refusals = revival.decision.refusals(revival.height, &name);
    let refusals = refusals.into_iter().filter(|(rule, _)| !accepted.iter().any(|accepted| accepted == rule));
    refusals.map(|(rule, text)| finding(rule, Vec::new(), text)).collect()
}

/// A revival for the reader.
pub fn told(revival: &Revival, on: &ServiceId) -> RevivalReport {
    let Collected { messages, left_out, conflicts, .. } = &revival.collected;
    RevivalReport {
        height: revival.height,
        on: on.clone(),
        votes: messages.votes.len(),
        blocks: messages.blocks.len(),
        forecast: revival.decision.forecast.words(revival.height),
        goes_on: revival.decision.forecast.live(),
        left_out: left_out.iter().filter(|one| !matches!(one.why, Why::Height(_))).map(line).collect(),
        conflicts: conflicts.iter().map(|[one, _]| format!("{} in round {}", one.validator, one.round)).collect(),
    }
}

fn line(one: &LeftOut) -> String {
    let why = match &one.why {
        Why::Height(height) => format!("of height {height}"),
        Why::Unproven(Unproven::Unknown) => "of nobody in the validator set".into(),
        Why::Unproven(Unproven::Forged) => "its signature isn't its validator's on this chain".into(),
        Why::Unproven(Unproven::Index) => "it has another validator's place".into(),
        Why::Unproven(Unproven::Key) => "its key's type can't be verified".into(),
        Why::Malformed(reason) => (*reason).into(),
        Why::Part => "no vote or proposal names its block".into(),
        Why::Block => "its parts don't make the block it names".into(),
        Why::NoExtension => "a vote without its extension".into(),
    };
    format!("{} of {}: {why}", one.what, one.source)
}

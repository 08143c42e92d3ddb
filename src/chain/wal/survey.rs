//! Write-ahead logs: what a chain's logs tell together.

use std::collections::{BTreeMap, BTreeSet};

use crate::chain::signer::state;
use crate::chain::wal::collect::{Collected, Collector};
use crate::chain::wal::found::{Found, NodeLogs, Place};
use crate::chain::wal::record::{Cause, End};
use crate::chain::wal::replay::{Outcome, Reason};
use crate::chain::wal::signed::{Signed, last};
use crate::chain::wal::validators::Validators;
use crate::chain::wal::view::{View, signature_of};
use crate::model::inventory::ServiceId;
use crate::model::wal::{WalReport, WalRow};

/// One node and what its host has of its logs.
pub struct Node {
    /// Which.
    pub service: ServiceId,
    /// The address that it signs for with a local key, upper-case hex.
    pub address: Option<String>,
    /// Its logs; or why they weren't read.
    pub logs: Result<NodeLogs, String>,
}

impl Node {
    /// The log that its node replays.
    pub fn live(&self) -> Option<&Found> {
        self.logs.as_ref().ok()?.logs.iter().find(|found| found.place == Place::Live)
    }
}

/// What is known of a chain beside its logs.
pub struct Survey<'a> {
    /// Its chain id.
    pub chain_id: &'a str,
    /// The first height of the chain.
    pub initial_height: u64,
    /// The greatest height that a node has reported; 0 when none has.
    pub reported: u64,
    /// The validators of the height in progress with their keys, and that height.
    pub voters: Option<(u64, Validators)>,
}

impl Survey<'_> {
    /// What the logs of these nodes tell.
    pub fn report(&self, nodes: &[Node]) -> WalReport {
        let height = self.height(nodes);
        let mut report = WalReport {
            chain_id: self.chain_id.into(),
            height,
            logs: Vec::new(),
            spoken: Vec::new(),
            mute: Vec::new(),
            unknown: Vec::new(),
            notes: Vec::new(),
        };
        let signed = self.signed(nodes, height, &mut report);
        for node in nodes {
            report.logs.extend(self.rows(node, height, node.address.as_ref().and_then(|address| signed.get(address))));
        }
        self.judge(nodes, height, &signed, &mut report);
        report
    }

    /// The height in progress: one above the greatest that a log has ended, a signer has left behind or RPC has reported.
    pub fn height<'n>(&self, nodes: impl IntoIterator<Item = &'n Node, IntoIter: Clone>) -> Option<u64> {
        let logs = nodes.into_iter().filter_map(|node| node.logs.as_ref().ok());
        let of_signer = |logs: &NodeLogs| {
            let text = logs.signer.as_ref()?.as_ref().ok()?;
            state(text).ok().map(|state| state.height.saturating_sub(1))
        };
        let ended = |found: &Found| View::of(found.log.as_ref().ok()?).last_end_height;
        let committed = logs.clone().filter_map(of_signer).chain(logs.flat_map(|logs| &logs.logs).filter_map(ended));
        let committed = committed.chain([self.reported]).max().unwrap_or(0);
        (committed > 0 || self.voters.is_some()).then(|| (committed + 1).max(self.initial_height))
    }

    /// What each signer has signed last for the height in progress, by address; notes what can't be told.
    fn signed(&self, nodes: &[Node], height: Option<u64>, report: &mut WalReport) -> BTreeMap<String, Signed> {
        let Some((of, voters)) = &self.voters else {
            report.notes.push("no node's RPC tells the validators: votes can't be proven".into());
            return BTreeMap::new();
        };
        if Some(*of) != height {
            report.notes.push(format!("the validators are those of height {of}, as a node's RPC tells them"));
        }
        let mut signed = BTreeMap::new();
        let mut known = BTreeSet::new();
        for (address, told) in last_words(nodes, voters) {
            match told {
                Ok(message) => {
                    known.insert(address.clone());
                    let of_height = |one: &Signed| u64::try_from(one.height()).ok() == height;
                    signed.extend(message.filter(of_height).map(|message| (address, message)));
                }
                Err(reason) => {
                    let name = name_of(nodes, &address);
                    report.notes.push(format!("{name}: what it has signed last isn't known: {reason}"));
                }
            }
        }
        let name = |address: &String| name_of(nodes, address);
        let unknown = voters.list().iter().map(|one| &one.address).filter(|address| !known.contains(*address));
        report.unknown = unknown.map(name).collect();
        report.spoken = signed.keys().map(name).collect();
        signed
    }

    fn rows(&self, node: &Node, height: Option<u64>, signed: Option<&Signed>) -> Vec<WalRow> {
        let service = Some(node.service.clone());
        let logs = match &node.logs {
            Ok(logs) if !logs.logs.is_empty() => &logs.logs,
            Ok(_) => return vec![WalRow { service, flaw: Some("there is no log".into()), ..WalRow::default() }],
            Err(reason) => return vec![WalRow { service, flaw: Some(reason.clone()), ..WalRow::default() }],
        };
        logs.iter().map(|found| self.row(service.clone(), found, height, signed)).collect()
    }

    fn row(&self, service: Option<ServiceId>, found: &Found, height: Option<u64>, signed: Option<&Signed>) -> WalRow {
        let row =
            WalRow { service, kind: kind(found), path: found.path.clone(), bytes: found.size, ..WalRow::default() };
        let log = match &found.log {
            Ok(log) => log,
            Err(reason) => return WalRow { flaw: Some(reason.clone()), ..row },
        };
        let view = View::of(log);
        let outcome =
            height.filter(|_| found.place == Place::Live).map(|height| log.replay(height, self.initial_height));
        WalRow {
            last_end_height: view.last_end_height,
            furthest: view.furthest.map(|point| (point.height, point.round, point.step)),
            own_vote: signed.map(|signed| view.holds(signed.signature())),
            replayed: outcome.map_or_else(String::new, |replay| replayed(replay.outcome, replay.records.len())),
            flaw: flaw(&view.end),
            ..row
        }
    }

    /// Who could not vote again if every node were started with the log that it has.
    fn judge(&self, nodes: &[Node], height: Option<u64>, signed: &BTreeMap<String, Signed>, report: &mut WalReport) {
        let Some(height) = height else { return };
        let live = nodes.iter().filter_map(|node| node.logs.as_ref().ok()).flat_map(|logs| &logs.logs);
        let live = live.filter(|found| found.place == Place::Live).filter_map(|found| found.log.as_ref().ok());
        let replayed: BTreeSet<Vec<u8>> = live
            .flat_map(|log| log.replay(height, self.initial_height).records)
            .filter_map(|record| signature_of(&record).map(<[u8]>::to_vec))
            .collect();
        let mute = signed.iter().filter(|(_, one)| !replayed.contains(one.signature()));
        report.mute = mute.map(|(address, _)| name_of(nodes, address)).collect();
    }
}

/// What each local signer has signed last, by address. Of several tellings, as of a host and of a bundle made before, the
/// latest counts: a signer never goes back.
pub fn last_words<'n>(
    nodes: impl IntoIterator<Item = &'n Node>,
    voters: &Validators,
) -> BTreeMap<String, Result<Option<Signed>, String>> {
    let mut words: BTreeMap<String, Result<Option<Signed>, String>> = BTreeMap::new();
    for node in nodes {
        let Some(address) = node.address.as_ref().filter(|address| voters.index(address).is_some()) else { continue };
        let told = match node.logs.as_ref().map(|logs| &logs.signer) {
            Ok(Some(Ok(text))) => last(text, address, voters),
            Ok(None) => Err("there is no signer's state".into()),
            Ok(Some(Err(reason))) | Err(reason) => Err(reason.clone()),
        };
        let at = |told: &Result<Option<Signed>, String>| told.as_ref().ok().map(|one| one.as_ref().map(Signed::place));
        if words.get(address).is_none_or(|before| at(&told) > at(before)) {
            words.insert(address.clone(), told);
        }
    }
    words
}

/// Every message of `height` that these nodes have, in any of their logs, with what their signers have signed last.
pub fn collect<'n>(
    nodes: impl IntoIterator<Item = &'n Node>,
    signed: &BTreeMap<String, Result<Option<Signed>, String>>,
    voters: &Validators,
    height: u64,
) -> Collected {
    let mut collector = Collector::new(voters, height);
    for node in nodes {
        for found in node.logs.iter().flat_map(|logs| &logs.logs) {
            let Ok(log) = &found.log else { continue };
            collector.add_records(&format!("{} {}", node.service, found.path), &View::of(log).records);
        }
    }
    for (address, message) in signed {
        if let Ok(Some(message)) = message
            && u64::try_from(message.height()) == Ok(height)
        {
            collector.add(&format!("signer {address}"), &message.message());
        }
    }
    collector.finish()
}

/// A validator's service, or its address where it has none here.
pub fn name_of<'n>(nodes: impl IntoIterator<Item = &'n Node>, address: &str) -> String {
    let node = nodes.into_iter().find(|node| node.address.as_deref() == Some(address));
    node.map_or_else(|| address.into(), |node| node.service.to_string())
}

fn kind(found: &Found) -> String {
    let aside = found.path.rsplit_once('/').and_then(|(folder, _)| folder.rsplit_once(".fleet-"));
    match (found.place, aside) {
        (Place::Live, _) => "live".into(),
        (Place::Aside, Some((_, run))) => format!("aside {run}"),
        (Place::Aside, None) => "aside".into(),
        (Place::Corrupted, Some((_, run))) => format!("corrupted, aside {run}"),
        (Place::Corrupted, None) => "corrupted".into(),
    }
}

fn replayed(outcome: Outcome, records: usize) -> String {
    match outcome {
        Outcome::Whole => format!("{records} records"),
        Outcome::Repaired(_) => format!("{records} records after a repair"),
        Outcome::Nothing(Reason::Ended) => "nothing: the height has ended".into(),
        Outcome::Nothing(Reason::NoEndHeight) => "nothing: the height before doesn't end in it".into(),
        Outcome::Refused => "the node won't start: damage in an older file".into(),
        Outcome::Unread => "not told by its end alone".into(),
    }
}

fn flaw(end: &End) -> Option<String> {
    match end {
        End::Clean => None,
        End::Truncated(_) => Some("its last record is cut off".into()),
        End::Corrupted(damage) => Some(match &damage.cause {
            Cause::Truncated => "its last record is cut off".into(),
            Cause::Checksum => "damaged: a checksum is wrong".into(),
            Cause::Length(length) => format!("damaged: a record of {length} bytes"),
            Cause::Message(reason) => format!("damaged: {reason}"),
        }),
    }
}

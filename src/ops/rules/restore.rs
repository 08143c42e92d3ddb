//! Rules about a snapshot and the nodes that it is brought to.

use std::collections::BTreeSet;

use crate::model::facts::SignerFacts;
use crate::model::inventory::ServiceId;
use crate::model::plan::Finding;
use crate::model::size::size;
use crate::ops::powers::{nodes, signs_remotely};
use crate::ops::request::RestoreOf;
use crate::ops::rules::{Found, finding};
use crate::ops::scene::{Member, Scene};

/// What is kept free beside the snapshot: file systems need some, and a node writes on until it is stopped.
const SPARE: u64 = 64 << 20;
/// What a file takes beyond its bytes, at most.
const BLOCK: u64 = 4096;
/// The database of a Cosmos SDK application.
const APPLICATION: &str = "application.db";

fn asked<'a>(scene: &'a Scene<'_>) -> Option<&'a RestoreOf> {
    scene.request.restore.as_ref()
}

fn seen<'a>(scene: &'a Scene<'_>) -> impl Iterator<Item = &'a Member<'a>> {
    scene.members.iter().filter(|member| member.is_node() && member.facts.is_some())
}

/// Chain, kind and place of databases, and that nothing of the signer lies in what is exchanged.
pub fn fit(scene: &Scene<'_>) -> Vec<Found> {
    let Some(RestoreOf { restore, node, .. }) = asked(scene) else { return Vec::new() };
    let mut found = Vec::new();
    if node.chain_id != scene.chain.chain_id {
        found.push(Found::new(format!("the snapshot is of {}, not of {}", node.chain_id, scene.chain.chain_id)));
    }
    for member in seen(scene) {
        let Some(config) = member.config() else { continue };
        // One that doesn't say of which kind it is may be of any.
        if config.db_backend != node.backend || node.backend.is_empty() {
            let (own, other) = (kind(&config.db_backend), kind(&node.backend));
            let text = format!("its databases are {own}, those of the snapshot {other}");
            found.push(Found::new(text).of(&member.service.id));
        }
        // The Cosmos SDK has it there whatever db_dir says (server/start.go).
        let folder = format!("{}/data", member.target.home);
        if restore.entries.iter().any(|entry| entry == APPLICATION) && config.db_dir != folder {
            let text = format!("{folder}/{APPLICATION} would stay as it is: the node's db_dir is {}", config.db_dir);
            found.push(Found::new(text).of(&member.service.id));
        }
        for path in [&config.state_file, &config.wal_file] {
            if let Some(entry) = restore.entry_of(&config.db_dir, path) {
                let text = format!("{path} lies in {entry}, which would be exchanged");
                found.push(Found::new(text).of(&member.service.id));
            }
        }
    }
    found
}

fn kind(backend: &str) -> &str {
    if backend.is_empty() { "of an unknown kind" } else { backend }
}

/// The genesis, by content where it is known.
pub fn genesis(scene: &Scene<'_>) -> Vec<Found> {
    let Some(RestoreOf { node, .. }) = asked(scene) else { return Vec::new() };
    let contents = &scene.situation.genesis_content;
    let wanted = node.genesis.as_ref().map(|bytes| contents.get(bytes).unwrap_or(bytes));
    let other = |member: &Member<'_>| {
        let own = member.facts.and_then(|facts| scene.genesis_of(facts));
        let text = match (own, wanted) {
            (Some(own), Some(wanted)) if own == wanted => return None,
            (Some(_), Some(_)) => "its genesis file is another one than the snapshot's",
            (None, _) => "its genesis file can't be read",
            (_, None) => "the snapshot doesn't tell its genesis",
        };
        Some(Found::new(text).of(&member.service.id))
    };
    seen(scene).filter_map(other).collect()
}

/// The snapshot lies beside the old databases until these are released.
pub fn room(scene: &Scene<'_>) -> Vec<Found> {
    let Some(RestoreOf { restore, .. }) = asked(scene) else { return Vec::new() };
    let needed = restore.bytes + restore.files * BLOCK + SPARE;
    let short = |member: &Member<'_>| {
        let free = member.facts?.db_free_bytes?;
        let text = format!("{} are needed in {}, {} are free", size(needed), member.target.db_dir, size(free));
        (free < needed).then(|| Found::new(text).of(&member.service.id))
    };
    seen(scene).filter_map(short).collect()
}

/// Signers never go back: one that has signed above the snapshot's next height is mute until the chain is past that. Where
/// too many are, and nobody is left who has the blocks in between, there is no way on.
pub fn strands(scene: &Scene<'_>) -> Vec<Found> {
    let Some(height) = asked(scene).and_then(|asked| asked.restore.height) else { return Vec::new() };
    let signed = |member: &&Member<'_>| {
        let facts = member.facts.filter(|facts| !signs_remotely(facts));
        matches!(facts.map(|facts| &facts.signer), Some(SignerFacts::State(state)) if state.height > height + 1)
    };
    let mute: Vec<&Member<'_>> = seen(scene).filter(|member| member.may_sign()).filter(signed).collect();
    let addresses: BTreeSet<&str> = mute.iter().filter_map(|member| member.target.address.as_deref()).collect();
    let left = scene.powers.total().saturating_sub(scene.powers.sum(&addresses));
    let ours = |id: &ServiceId| scene.members.iter().any(|member| member.service.id == *id);
    let has_blocks = nodes(scene.chain, scene.situation).any(|(service, facts)| {
        let above = facts.and_then(|facts| facts.rpc.status.as_ref()).is_some_and(|status| status.height > height);
        above && !ours(&service.id)
    });
    if mute.is_empty() || left >= scene.powers.quorum() || has_blocks || scene.powers.foreign() > 0 {
        return Vec::new();
    }
    let text =
        format!("has signed above height {}, and no node would be left that has the blocks up to there", height + 1);
    mute.iter().map(|member| Found::new(text.clone()).of(&member.service.id)).collect()
}

/// How far the snapshot is behind the chain: true for the moment only, so beside the plan.
pub fn behind(scene: &Scene<'_>) -> Vec<Finding> {
    let statuses = nodes(scene.chain, scene.situation).filter_map(|(_, facts)| facts?.rpc.status.as_ref());
    let tip = statuses.filter(|status| status.chain_id == scene.chain.chain_id).map(|status| status.height).max();
    let block_time_ms = u64::try_from(scene.chain.block_time.as_millis()).unwrap_or(u64::MAX);
    let text = asked(scene).zip(tip).and_then(|(asked, tip)| asked.restore.behind(tip, block_time_ms));
    text.map(|text| finding("behind", Vec::new(), text)).into_iter().collect()
}

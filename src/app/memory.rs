//! What is remembered between two commands: powers and addresses of a chain, contents of geneses.

use std::collections::BTreeMap;

use crate::app::context::Context;
use crate::chain::genesis::content_hash;
use crate::chain::verdict::identities;
use crate::engine::{Answer, Probe, Prober as _};
use crate::journal::powers;
use crate::model::facts::{Facts, Known};
use crate::model::inventory::Chain;

/// Keeps the greatest validator set and the addresses of these facts, for a time when no node answers. Returns what
/// was known before.
pub fn powers(context: &Context, chain: &Chain, facts: &Facts) -> Known {
    let before = powers::load(&context.places, &chain.chain_id).unwrap_or_default();
    let sets = facts.services().filter_map(|(_, service)| {
        let of_chain = service.rpc.status.as_ref().is_some_and(|status| status.chain_id == chain.chain_id);
        service.rpc.validators.as_ref().filter(|_| of_chain)
    });
    let mut now = before.clone();
    now.addresses.extend(identities(&context.inventory, facts));
    now.set = sets.max_by_key(|set| set.height).cloned().or(now.set);
    // A cache that can't be written costs only its use in a later outage.
    if now != before {
        let _ = powers::store(&context.places, &chain.chain_id, &now);
    }
    before
}

/// sha256 by content of each genesis in the facts, by the sha256 of its bytes; each is read from one host only, and
/// only once ever.
pub async fn geneses(context: &Context, facts: &Facts) -> BTreeMap<String, String> {
    let mut places: BTreeMap<String, (String, String)> = BTreeMap::new();
    for (id, service) in facts.services() {
        if let (Some(bytes), Some(config)) = (&service.genesis_sha256, &service.config) {
            places.entry(bytes.clone()).or_insert((id.host, config.genesis_file.clone()));
        }
    }
    let mut contents = BTreeMap::new();
    for (bytes, (host, path)) in places {
        let kept = context.places.cache.join("genesis").join(&bytes);
        let hash = match std::fs::read_to_string(&kept) {
            Ok(hash) if hash.len() == 64 => Some(hash),
            _ => fetch(context, &host, path, &kept).await,
        };
        contents.extend(hash.map(|hash| (bytes, hash)));
    }
    contents
}

async fn fetch(context: &Context, host: &str, path: String, kept: &std::path::Path) -> Option<String> {
    let Ok(Answer::Body(body)) = context.transport.probe(host, &Probe::Genesis { path }).await else { return None };
    let hash = content_hash(&body).ok()?;
    if let Some(folder) = kept.parent()
        && std::fs::create_dir_all(folder).is_ok()
        && let Ok(mut file) = tempfile::NamedTempFile::new_in(folder)
        && std::io::Write::write_all(&mut file, hash.as_bytes()).is_ok()
    {
        let _ = file.persist(kept);
    }
    Some(hash)
}

//! `[chains.*]` and `[foreign.*]`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::problems::Problems;
use super::raw::{Ordered, RawChain, RawForeign, Text};
use super::values;
use super::{Chain, Foreign};

/// A chain that doesn't say how fast it is.
const USUAL_BLOCK_TIME: Duration = Duration::from_secs(6);
/// So many block times without a block mean halted, where the chain says nothing else.
const USUAL_BLOCKS_MISSED: u32 = 10;
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

pub(super) fn chains(raw: &Ordered<RawChain>, problems: &mut Problems) -> BTreeMap<String, Chain> {
    let mut chains = BTreeMap::new();
    let mut ids: BTreeMap<String, String> = BTreeMap::new();
    for (key, raw) in &raw.0 {
        let Some(chain) = chain(key, raw, problems) else { continue };
        if let (Some(other), Some(id)) = (ids.insert(chain.chain_id.clone(), chain.name.clone()), &raw.chain_id) {
            problems.add(id.span(), format!("chains {other} and {} have one chain id", chain.name), "");
        }
        chains.insert(chain.name.clone(), chain);
    }
    chains
}

fn chain(key: &Text, raw: &RawChain, problems: &mut Problems) -> Option<Chain> {
    let name = problems.read(Some(key), values::name);
    let missing = format!("chain {} has no chain_id", key.get_ref());
    let chain_id = problems.require(raw.chain_id.as_ref(), (&key.span(), &missing), values::chain_id);
    // Their values are read again for each node; here only for what is wrong with them.
    problems.read(raw.unit.as_ref(), values::unit);
    problems.read(raw.home.as_ref(), values::home);
    let binary = problems.read(raw.binary.as_ref(), values::binary);
    let block_time = problems.read(raw.block_time.as_ref(), |text| values::duration(text, HOUR));
    let block_time = block_time.unwrap_or(USUAL_BLOCK_TIME);
    let halt_after = problems.read(raw.halt_after.as_ref(), |text| {
        let span = values::duration(text, DAY)?;
        let note = format!("block_time is {}", values::show(block_time));
        if span < block_time { Err(("halt_after is shorter than block_time".to_owned(), note)) } else { Ok(span) }
    });
    let halt_after = halt_after.unwrap_or(block_time * USUAL_BLOCKS_MISSED);
    Some(Chain { name: name?, chain_id: chain_id?, binary, block_time, halt_after })
}

pub(super) fn foreign(raw: &Ordered<RawForeign>, problems: &mut Problems) -> BTreeMap<String, Foreign> {
    let mut all = BTreeMap::new();
    for (key, raw) in &raw.0 {
        let moniker = problems.read(Some(key), values::some);
        let missing = format!("foreign \"{}\" has no contact", key.get_ref().escape_debug());
        let contact = problems.require(raw.contact.as_ref(), (&key.span(), &missing), values::some);
        all.extend(moniker.zip(contact.map(|contact| Foreign { contact })));
    }
    all
}

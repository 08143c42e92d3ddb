//! Blocks out of their parts (CometBFT v0.38 `types/part_set.go`, `crypto/merkle/proof.go`).

use std::collections::BTreeMap;

use prost::Message as _;
use tendermint::block::Header;
use tendermint::crypto::default::Sha256;
use tendermint::merkle::{Hash, MerkleHash};

use super::proto::{Block, Part, Proof};

/// What a block id says of a block's parts: how many there are, and the root of their hashes.
pub type PartSet = (u32, Vec<u8>);

/// The part set that a part belongs to by its proof; `None` where the proof doesn't hold.
pub fn part_set(part: &Part) -> Option<PartSet> {
    let proof = part.proof.as_ref()?;
    let aunts: Vec<Hash> = proof.aunts.iter().map(|aunt| aunt.as_slice().try_into().ok()).collect::<Option<_>>()?;
    let leaf = Sha256::default().leaf_hash(&part.bytes);
    if leaf.as_slice() != proof.leaf_hash || proof.index != i64::from(part.index) {
        return None;
    }
    let root = root(proof, leaf, &aunts)?;
    Some((u32::try_from(proof.total).ok()?, root.to_vec()))
}

fn root(proof: &Proof, leaf: Hash, aunts: &[Hash]) -> Option<Hash> {
    let (index, total) = (u64::try_from(proof.index).ok()?, u64::try_from(proof.total).ok()?);
    climb(index, total, leaf, aunts)
}

/// The root over `total` leaves, of which `leaf` is the one at `index`.
fn climb(index: u64, total: u64, leaf: Hash, aunts: &[Hash]) -> Option<Hash> {
    if index >= total {
        return None;
    }
    if total == 1 {
        return aunts.is_empty().then_some(leaf);
    }
    let (aunt, below) = aunts.split_last()?;
    let left = total.next_power_of_two() / 2;
    let mut hash = Sha256::default();
    if index < left {
        let inner = climb(index, left, leaf, below)?;
        Some(hash.inner_hash(inner, *aunt))
    } else {
        let inner = climb(index - left, total - left, leaf, below)?;
        Some(hash.inner_hash(*aunt, inner))
    }
}

/// The header of the block that these parts make, by their index. `None` where one is missing or they make none.
pub fn header(total: u32, parts: &BTreeMap<u32, Part>) -> Option<Header> {
    if u32::try_from(parts.len()) != Ok(total) {
        return None;
    }
    let bytes: Vec<u8> = parts.values().flat_map(|part| part.bytes.iter().copied()).collect();
    Block::decode(bytes.as_slice()).ok()?.header?.try_into().ok()
}

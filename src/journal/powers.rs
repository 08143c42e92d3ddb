//! The voting powers last seen on each chain: the order of a start on a chain that can't be asked any more.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::journal::Places;
use crate::model::facts::Known;

const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Kept {
    format: u32,
    chain_id: String,
    #[serde(flatten)]
    known: Known,
}

/// What was last kept of a chain. A cache that is missing or can't be read is no cache: powers are then unknown.
pub fn load(places: &Places, chain_id: &str) -> Option<Known> {
    let kept: Kept = serde_json::from_slice(&fs::read(path(places, chain_id)).ok()?).ok()?;
    (kept.format == FORMAT && kept.chain_id == chain_id).then_some(kept.known)
}

/// Keeps a chain's set and addresses in place of the last ones; a reader sees the old or the new one, never a part.
pub fn store(places: &Places, chain_id: &str, known: &Known) -> io::Result<()> {
    let path = path(places, chain_id);
    let folder = places.cache.join("powers");
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    let kept = Kept { format: FORMAT, chain_id: chain_id.to_owned(), known: known.clone() };
    let mut file = tempfile::NamedTempFile::new_in(&folder)?;
    file.write_all(&serde_json::to_vec(&kept)?)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

fn path(places: &Places, chain_id: &str) -> PathBuf {
    places.cache.join("powers").join(file_name(chain_id) + ".json")
}

/// A chain id, or a fleet's name, as one harmless file name; two never share one.
pub(super) fn file_name(chain_id: &str) -> String {
    let harmless = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
    let written = chain_id
        .bytes()
        .map(|byte| if harmless(&byte) { char::from(byte).to_string() } else { format!("%{byte:02x}") });
    written.collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::facts::{Validator, ValidatorSet};

    fn set(height: u64) -> Known {
        let set = ValidatorSet { height, validators: vec![Validator { address: "AB".into(), power: 30 }] };
        Known { set: Some(set), addresses: BTreeMap::from([("val-1".into(), "AB".into())]) }
    }

    #[test]
    fn the_last_set_is_kept_and_chains_stay_apart() {
        let folder = tempfile::tempdir().unwrap();
        let places = Places { state: folder.path().join("s"), cache: folder.path().join("c") };
        assert_eq!(load(&places, "virtengine-1"), None);
        for (chain, height) in [("virtengine-1", 1), ("virtengine-1", 2), ("a/../b", 3), ("a%2f", 4), (".", 5)] {
            store(&places, chain, &set(height)).unwrap();
        }
        for (chain, height) in [("virtengine-1", 2), ("a/../b", 3), ("a%2f", 4), (".", 5)] {
            assert_eq!(load(&places, chain), Some(set(height)), "{chain}");
        }
        assert_eq!(fs::read_dir(places.cache.join("powers")).unwrap().count(), 4);
    }

    #[test]
    fn a_broken_or_foreign_cache_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let places = Places { state: folder.path().join("s"), cache: folder.path().join("c") };
        store(&places, "one", &set(1)).unwrap();
        fs::copy(path(&places, "one"), path(&places, "two")).unwrap();
        assert_eq!(load(&places, "two"), None);
        let whole = fs::read_to_string(path(&places, "one")).unwrap();
        fs::write(path(&places, "one"), &whole[..whole.len() / 2]).unwrap();
        assert_eq!(load(&places, "one"), None);
        fs::write(path(&places, "one"), whole.replace("\"format\":1", "\"format\":2")).unwrap();
        assert_eq!(load(&places, "one"), None);
    }
}

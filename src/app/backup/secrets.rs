//! Files that hold a key or a signer's state, whatever they are called.

use std::collections::BTreeMap;

use super::choose::Chosen;
use crate::engine::Fault;
use crate::model::backup::Profile;
use crate::model::snapshot::LeftOut;
use crate::ssh::source::Source;

/// Larger files than this hold no key, bytes.
const LARGEST: u64 = 1 << 20;
const REASON: &str = "a private key or a signer's state is in it";

/// Leaves out what holds one, as its host sees. `places` are the roots' folders. Databases aren't looked into: their files
/// are nothing without each other.
pub async fn leave_out(
    profile: Profile,
    places: &BTreeMap<String, String>,
    chosen: &mut Chosen,
    source: &Source,
) -> Result<(), Fault> {
    let mut suspects: BTreeMap<&String, Vec<String>> = BTreeMap::new();
    for ((root, name), file) in &chosen.files {
        let looked_into = match profile {
            Profile::Keys | Profile::Statesync | Profile::Postgres => false,
            Profile::Data => !name.contains('/'),
            _ => true,
        };
        if looked_into && (1..=LARGEST).contains(&file.size) {
            suspects.entry(root).or_default().push(name.clone());
        }
    }
    let mut found = Vec::new();
    for (root, names) in suspects {
        let Some(place) = places.get(root) else { continue };
        let secret = source.with_secrets(place, &names).await.map_err(Fault::from)?;
        found.extend(secret.into_iter().map(|name| (root.clone(), name)));
    }
    for (root, name) in found {
        if chosen.files.remove(&(root.clone(), name.clone())).is_some() {
            chosen.left_out.push(LeftOut { path: format!("{root}/{name}"), reason: REASON.into() });
        }
    }
    Ok(())
}

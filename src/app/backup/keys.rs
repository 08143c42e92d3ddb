//! Keys: from their host into an encrypted object of the store, through this machine's memory alone.

use std::collections::BTreeMap;

use super::choose::Chosen;
use super::keep::{Keeper, kept};
use crate::engine::{Fault, Wanted};
use crate::model::backup::{Excludes, KEYRINGS, Kept, Keys, Profile};
use crate::model::size::size;
use crate::model::snapshot::{FileEntry, Gathered, LeftOut, SegmentEntry};
use crate::ssh::source::Source;
use crate::store::{Batch, Expected, LARGEST_ENCRYPTED};

/// How often they are asked for: one may have changed between its hash and its bytes, or the link have died.
const ATTEMPTS: usize = 2;

impl Keeper {
    /// Always all of them: what is encrypted twice can't be compared.
    pub(super) async fn bring_keys(&self, wanted: &Wanted, batch: &Batch, keys: &Keys) -> Result<Kept, Fault> {
        let mut attempt = 1;
        let (chosen, segment) = loop {
            match self.encrypt(wanted, batch, keys).await {
                Err(_) if attempt < ATTEMPTS => attempt += 1,
                ended => break ended?,
            }
        };
        let mut gathered = Gathered::default();
        for file in entries(&chosen, &segment) {
            gathered.add(&file, std::slice::from_ref(&segment)).map_err(Fault::from)?;
        }
        let about = self.about(wanted, None, &chosen).await;
        let manifest = self.commit(wanted, about, batch, (chosen, gathered), None).await?;
        Ok(kept(&manifest, manifest.file_bytes()))
    }

    /// Hashed on the host, streamed, hashed as received, and encrypted.
    async fn encrypt(&self, wanted: &Wanted, batch: &Batch, keys: &Keys) -> Result<(Chosen, SegmentEntry), Fault> {
        let source = self.source(batch).await?;
        let chosen = choose(wanted, keys, &source).await?;
        let mut by_root: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (root, name) in chosen.files.keys() {
            by_root.entry(root).or_default().push(name.clone());
        }
        let (mut expected, mut streams) = (BTreeMap::new(), Vec::new());
        for (root, names) in by_root {
            let folder = wanted.item.roots.get(root).map_or("", String::as_str);
            let hashes = source.hash(folder, &names).await.map_err(Fault::from)?;
            for (name, sha256) in names.iter().zip(hashes) {
                let known = &chosen.files[&(root.to_owned(), name.clone())];
                expected.insert(format!("{root}/{name}"), Expected { sha256, ..known.clone() });
            }
            streams.push(source.pack(root, folder, &names).await.map_err(Fault::from)?);
        }
        let (store, recipients) = (self.store.clone(), keys.recipients.clone());
        let encrypting = tokio::task::spawn_blocking(move || store.encrypt(&recipients, expected, streams));
        let segment = encrypting.await.map_err(|error| Fault::answer(&error.to_string()))?.map_err(Fault::from)?;
        Ok((chosen, segment))
    }
}

/// The key files and keyrings that are there.
async fn choose(wanted: &Wanted, keys: &Keys, source: &Source) -> Result<Chosen, Fault> {
    let places: Vec<(&str, &str, &str)> = (wanted.item.roots.iter())
        .flat_map(|(root, folder)| {
            let names = keys.names.get(root).into_iter().flatten();
            names.map(|name| (root.as_str(), folder.as_str(), name.as_str()))
        })
        .collect();
    let pairs: Vec<(&str, &str)> = places.iter().map(|(_, folder, name)| (*folder, *name)).collect();
    let lists = source.list_named(&pairs).await.map_err(Fault::from)?;
    let mut chosen = Chosen::default();
    for ((root, folder, name), list) in places.into_iter().zip(lists) {
        if name != KEYRINGS && list.is_empty() {
            chosen.left_out.push(LeftOut { path: format!("{root}/{name}"), reason: "it isn't there".into() });
        }
        if name != KEYRINGS && list.iter().any(|found| found.kind != 'f') {
            let text = format!("{folder}/{name} isn't a file of its own: name the key's own file in config.toml");
            return Err(Fault::answer(&text));
        }
        chosen.add((Profile::Keys, &Excludes::default()), (root, folder), list);
    }
    let state = &wanted.target.state_file;
    chosen.files.retain(|(root, name), _| format!("{}/{name}", wanted.item.roots[root]) != *state);
    if chosen.files.is_empty() {
        return Err(Fault::answer(&format!("there are no keys in {}", wanted.target.home)));
    }
    let bytes: u64 = chosen.files.values().map(|file| file.size).sum();
    if bytes > LARGEST_ENCRYPTED {
        let (bytes, most) = (size(bytes), size(LARGEST_ENCRYPTED));
        return Err(Fault::answer(&format!(
            "its keys and keyrings have {bytes}, {most} at most are kept: what is in them?"
        )));
    }
    Ok(chosen)
}

/// The files of an encrypted segment.
fn entries<'a>(chosen: &'a Chosen, segment: &'a SegmentEntry) -> impl Iterator<Item = FileEntry> + 'a {
    chosen.files.iter().map(|((root, name), file)| FileEntry {
        path: format!("{root}/{name}"),
        size: file.size,
        mode: file.mode,
        mtime_ns: file.mtime_ns,
        inode: file.inode,
        sha256: segment.sha256.clone(),
        segments: vec![0],
    })
}

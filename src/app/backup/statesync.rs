//! Snapshots that a node's application has taken by itself (Cosmos SDK: `store/snapshots`): `HEIGHT/FORMAT/CHUNK`, and a
//! database `metadata.db` that names each when its last chunk is written.

use std::collections::BTreeMap;
use std::io::Read as _;

use super::choose::Chosen;
use crate::engine::{Fault, Wanted};
use crate::model::size::size;
use crate::model::snapshot::LeftOut;
use crate::ssh::source::Source;
use crate::store::Expected;

const ROOT: &str = "snapshots";
const METADATA: &str = "metadata.db/";
/// The most bytes of that database; it has a few hundred for each snapshot, and 32 for each chunk.
const LARGEST: u64 = 64 << 20;
/// So many heights are looked at, the newest first: only that one can be under way.
const TRIED: usize = 3;

type Files = BTreeMap<(String, String), Expected>;

/// Leaves of all that is there the newest height that is whole, and the database. A height is whole when the SHA-256 of its
/// last chunk stands in the database: that is written last of all.
pub async fn keep_newest(chosen: &mut Chosen, wanted: &Wanted, source: &Source) -> Result<(), Fault> {
    let folder = wanted.item.roots.get(ROOT).map_or("", String::as_str);
    let heights = heights(&chosen.files);
    let home = &wanted.target.home;
    if heights.is_empty() {
        return Err(Fault::answer(&format!(
            "there is no snapshot of its application in {folder}: snapshot-interval below [state-sync] in \
             {home}/config/app.toml is 0, or hasn't come round yet"
        )));
    }
    let metadata = metadata(&chosen.files, folder, source).await?;
    for (height, last) in heights.into_iter().take(TRIED) {
        let hashes = source.hash(folder, &last).await.map_err(Fault::from)?;
        let named = |hash: &String| {
            hex::decode(hash).is_ok_and(|hash| metadata.windows(32).any(|bytes| bytes == hash.as_slice()))
        };
        if hashes.iter().all(named) {
            retain(chosen, height);
            return Ok(());
        }
    }
    Err(Fault::answer(&format!("no snapshot in {folder} is whole: is one being taken? try again in a while")))
}

/// The height of what was kept.
pub fn height(chosen: &Chosen) -> Option<u64> {
    chosen.files.keys().find_map(|(_, name)| name.split_once('/')?.0.parse().ok())
}

/// Heights of which no chunk is missing below the last, newest first, with the last chunk of each format.
fn heights(files: &Files) -> Vec<(u64, Vec<String>)> {
    let mut chunks: BTreeMap<u64, BTreeMap<u32, Vec<u32>>> = BTreeMap::new();
    for (_, name) in files.keys() {
        let numbers: Vec<&str> = name.split('/').collect();
        if let [height, format, chunk] = numbers[..]
            && let (Ok(height), Ok(format), Ok(chunk)) = (height.parse(), format.parse(), chunk.parse())
        {
            chunks.entry(height).or_default().entry(format).or_default().push(chunk);
        }
    }
    let last = |(height, formats): (u64, BTreeMap<u32, Vec<u32>>)| {
        let of = |(format, mut chunks): (u32, Vec<u32>)| {
            chunks.sort_unstable();
            let whole = chunks.iter().copied().eq(0..u32::try_from(chunks.len()).ok()?);
            whole.then(|| format!("{height}/{format}/{}", chunks.len() - 1))
        };
        Some((height, formats.into_iter().map(of).collect::<Option<Vec<String>>>()?))
    };
    chunks.into_iter().rev().filter_map(last).collect()
}

/// The bytes of the database's files.
async fn metadata(files: &Files, folder: &str, source: &Source) -> Result<Vec<u8>, Fault> {
    let names: Vec<String> =
        files.keys().map(|(_, name)| name).filter(|name| name.starts_with(METADATA)).cloned().collect();
    let bytes: u64 = files.iter().filter(|((_, name), _)| name.starts_with(METADATA)).map(|(_, file)| file.size).sum();
    if bytes > LARGEST {
        let (bytes, most) = (size(bytes), size(LARGEST));
        return Err(Fault::answer(&format!("{folder}/{METADATA} has {bytes}, {most} at most are expected")));
    }
    let packed = source.pack(ROOT, folder, &names).await.map_err(Fault::from)?;
    let reading = tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        packed.take(2 * LARGEST).read_to_end(&mut bytes).map(|_| bytes)
    });
    let read = reading.await.map_err(|error| Fault::answer(&error.to_string()))?;
    read.map_err(|error| Fault::answer(&error.to_string()))
}

fn retain(chosen: &mut Chosen, height: u64) {
    let own = format!("{height}/");
    let stays = |name: &str| name.starts_with(&own) || name.starts_with(METADATA);
    let heights: std::collections::BTreeSet<String> = (chosen.files.keys())
        .filter(|(_, name)| !stays(name))
        .map(|(_, name)| name.split('/').next().unwrap_or_default().to_owned())
        .collect();
    let reason = "not the newest that is whole";
    let out = heights.into_iter().map(|name| LeftOut { path: format!("{ROOT}/{name}"), reason: reason.into() });
    chosen.left_out.extend(out);
    chosen.files.retain(|(_, name), _| stays(name));
    chosen.folders.retain(|folder| {
        let name = folder.path.strip_prefix(ROOT).map_or("", |name| name.trim_start_matches('/'));
        stays(&format!("{name}/"))
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(names: &[&str]) -> Files {
        let file = Expected { size: 5, mode: 0o600, mtime_ns: 1, inode: 1, sha256: String::new() };
        names.iter().map(|name| ((ROOT.to_owned(), (*name).to_owned()), file.clone())).collect()
    }

    #[test]
    fn heights_without_a_gap_come_newest_first() {
        let files = files(&[
            "9000/3/0",
            "9000/3/1",
            "10000/3/0",
            "10000/3/1",
            "10000/3/2",
            "10000/3/10",
            "11000/2/0",
            "11000/3/1",
            "12000/3/x",
            "metadata.db/CURRENT",
            "800/3/0",
            "800/2/0",
        ]);
        let found = heights(&files);
        let last = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<String>>();
        assert_eq!(found, [(9000, last(&["9000/3/1"])), (800, last(&["800/2/0", "800/3/0"]))]);
    }

    #[test]
    fn only_the_height_and_the_database_stay() {
        let files = files(&["900/3/0", "9000/3/0", "metadata.db/CURRENT", "8000/3/0", "8000/3/1"]);
        let mut chosen = Chosen { files, ..Chosen::default() };
        retain(&mut chosen, 900);
        let left: Vec<&str> = chosen.files.keys().map(|(_, name)| name.as_str()).collect();
        assert_eq!((left, height(&chosen)), (vec!["900/3/0", "metadata.db/CURRENT"], Some(900)));
        let out: Vec<&str> = chosen.left_out.iter().map(|one| one.path.as_str()).collect();
        assert_eq!(out, ["snapshots/8000", "snapshots/9000"]);
    }
}

//! Clones of databases: what is in one, which tables it can be without, and how long it may stay.

use std::time::Duration;

use tokio::time::sleep;

use super::choose::{Chosen, hardly_used, is_table, worth};
use super::keep::{Keeper, place};
use super::secrets;
use crate::engine::{Fault, Wanted};
use crate::model::backup::Profile;
use crate::model::size::size;
use crate::model::snapshot::{FileEntry, SegmentEntry};
use crate::ops::rules::is_full;
use crate::ssh::source::Source;
use crate::store::Usable;

/// How often a clone is said to be in use, and its disk looked at.
const LOOK: Duration = Duration::from_secs(10);

impl Keeper {
    /// Comes back only when the disk of a clone runs full: each table that the node drops stays there as long as the clone
    /// does. The node needs the room more, so the clone is gone then.
    pub(super) async fn runs_full(&self, wanted: &Wanted) -> Fault {
        let (host, db_dir) = (&wanted.item.service.host, &wanted.target.db_dir);
        let clone = place(wanted, db_dir);
        loop {
            sleep(LOOK).await;
            // One that doesn't answer is looked at again.
            let Ok((used, free)) = self.transport.use_clone(host, &clone).await else { continue };
            if is_full(used, free)
                && let Ok(source) = self.transport.source(host).await
            {
                let removed = source.unseal(&wanted.fence.run, db_dir).await.is_ok();
                let what = if removed { "its clone was removed" } else { "its clone could not be removed" };
                let room = size(free);
                return Fault::answer(&format!(
                    "{db_dir} is running full, {room} are free: {what}; make room, then back up again"
                ));
            }
        }
    }
}

/// What is in the clone of this run.
pub async fn choose_clone(wanted: &Wanted, source: &Source) -> Result<Chosen, Fault> {
    let mut chosen = Chosen::default();
    for (root, path) in &wanted.item.roots {
        let place = place(wanted, path);
        let (clone, stored) = source.list_clone(&place).await.map_err(Fault::from)?;
        chosen.add_clone((root, &place), clone, &stored);
    }
    if chosen.files.is_empty() && chosen.stored.is_empty() {
        return Err(Fault::answer("there is no clone of its databases, or nothing is in it: back up again"));
    }
    chosen.add_never_cloned(&wanted.item, &wanted.target);
    let places = wanted.item.roots.iter().map(|(root, path)| (root.clone(), place(wanted, path))).collect();
    secrets::leave_out(Profile::Data, &places, &mut chosen, source).await?;
    Ok(chosen)
}

/// Of a snapshot of databases the tables that the next one can be made of, as seal.sh prints tables: inode, size, time and
/// name, each line ended by a NUL, in the order of their bytes.
pub fn tables(files: &[FileEntry], segments: &[SegmentEntry], usable: &Usable) -> Vec<u8> {
    let root = format!("{}/", Profile::Data.name());
    let line = |file: &FileEntry| {
        let name = file.path.strip_prefix(&root).filter(|name| is_table(name))?;
        let (seconds, ns) = (file.mtime_ns.div_euclid(1_000_000_000), file.mtime_ns.rem_euclid(1_000_000_000));
        // `find` prints ten digits.
        Some(format!("{} {} {seconds}.{ns:09}0 ./{name}\0", file.inode, file.size))
    };
    let hardly = hardly_used(files.iter(), segments);
    let good = |segment: &SegmentEntry| usable.has(segment) && !hardly.contains(segment.sha256.as_str());
    let mut lines: Vec<String> = worth(files, segments, good).filter_map(line).collect();
    lines.sort_unstable();
    lines.concat().into_bytes()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt as _;
    use std::process::Command;

    use super::*;

    const SEAL: &str =
        concat!(include_str!("../../ssh/remote/common.sh"), "\n", include_str!("../../ssh/remote/seal.sh"));

    fn segment(name: &str, content_bytes: u64) -> SegmentEntry {
        SegmentEntry { sha256: name.repeat(64), bytes: 1, content_bytes, recipients: Vec::new() }
    }

    fn entry(name: &str, size: u64, segment: u32) -> FileEntry {
        let path = format!("data/{name}");
        FileEntry { path, size, mode: 0o600, mtime_ns: 0, inode: 7, sha256: "a".repeat(64), segments: vec![segment] }
    }

    #[test]
    fn tables_are_told_as_the_host_prints_them() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("state.db")).unwrap();
        let file = |name: &str| {
            let path = root.path().join(name);
            fs::write(&path, name).unwrap();
            let seen = fs::metadata(&path).unwrap();
            let mtime_ns = seen.mtime() * 1_000_000_000 + seen.mtime_nsec();
            FileEntry { mtime_ns, inode: seen.ino(), ..entry(name, seen.size(), 0) }
        };
        let files = ["state.db/000010.ldb", "state.db/000009.ldb", "a b.sst", "state.db/CURRENT"].map(file);
        let settings = format!("cd '{}'; db_dir=/d; state_file=/d/s; wal_file=/d/w/w", root.path().display());
        let script = format!("{SEAL}\n{settings}\ntables -printf \"$table\" | sort -z");
        let printed = Command::new("/bin/sh").arg("-c").arg(script).output().unwrap();
        let segments = [segment("b", 20)];
        let told = tables(&files, &segments, &Usable::all(&segments));
        assert_eq!(String::from_utf8(told).unwrap(), String::from_utf8(printed.stdout).unwrap());
    }

    #[test]
    fn what_lies_in_a_segment_that_is_gone_is_to_be_in_the_clone() {
        let files = [entry("a.ldb", 60, 0), entry("b.ldb", 90, 1)];
        let segments = [segment("b", 100), segment("c", 100)];
        assert_eq!(tables(&files, &segments, &Usable::all(&segments[1..])), b"7 90 0.0000000000 ./b.ldb\0");
    }

    #[test]
    fn what_lies_in_a_segment_of_little_use_is_to_be_in_the_clone() {
        let files = [entry("a.ldb", 60, 0), entry("b.ldb", 10, 1)];
        let segments = [segment("b", 100), segment("c", 100)];
        let told = tables(&files, &segments, &Usable::all(&segments));
        assert_eq!(told, b"7 60 0.0000000000 ./a.ldb\0");
    }
}

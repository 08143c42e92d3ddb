//! What of a host's folders becomes a snapshot, and what of that is in the store already. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::backup::{Excludes, Item, Profile, left_out, link_left_out};
use crate::model::plan::Target;
use crate::model::snapshot::{
    FileEntry, FolderEntry, LeftOut, LinkEntry, Manifest, SegmentEntry, path_flaw, target_flaw,
};
use crate::ssh::source::Found;
use crate::store::Expected;

/// A segment is used again only if at least this share of its content is, percent; else its files are brought anew, so
/// that a prune frees its space.
const WORTH: u64 = 50;

/// It is in each folder of a server's files (`PostgreSQL`, "Database File Layout").
const PG_VERSION: &str = "PG_VERSION";
const POSTGRES: &str = "a PostgreSQL server's files, of no use if copied while it runs: [backup.postgres] dumps them";

/// What is in a snapshot's folders.
#[derive(Debug, Default)]
pub struct Chosen {
    /// Files by root and the path below it. What isn't known yet is the hash.
    pub files: BTreeMap<(String, String), Expected>,
    /// Symbolic links.
    pub links: Vec<LinkEntry>,
    /// Folders.
    pub folders: Vec<FolderEntry>,
    /// What stays out.
    pub left_out: Vec<LeftOut>,
    /// Roots that are one file, and the folder it is in.
    pub parents: BTreeMap<String, String>,
    /// Whether anything is at any root.
    pub is_anything: bool,
    /// Of a clone, the snapshot that has the tables which the clone is without.
    pub base: Option<String>,
    /// The paths of those tables.
    pub stored: BTreeSet<String>,
}

impl Chosen {
    /// Sorts what a host lists below one root, which is at `place`.
    pub fn add(&mut self, (profile, excludes): (Profile, &Excludes), (root, place): (&str, &str), found: Vec<Found>) {
        let mut told = BTreeSet::new();
        let clusters = clusters(&found);
        for mut one in found {
            if one.name.is_empty() && one.kind == '-' {
                self.left_out.push(LeftOut { path: root.into(), reason: format!("there is no {place}") });
                continue;
            }
            if one.name.is_empty() {
                let (folder, name) = place.rsplit_once('/').unwrap_or(("", place));
                one.name = name.into();
                self.parents.insert(root.to_owned(), if folder.is_empty() { "/" } else { folder }.to_owned());
            }
            self.is_anything = true;
            let name = String::from_utf8_lossy(&one.name).into_owned();
            if let Some(top) = excludes.excluded(&name) {
                // With a folder goes all that is in it.
                if told.insert(top.to_owned()) {
                    self.left_out.push(LeftOut { path: escaped(&format!("{root}/{top}")), reason: "excluded".into() });
                }
                continue;
            }
            if let Some(cluster) = clusters.iter().find(|cluster| is_below(&name, cluster)) {
                if told.insert(cluster.clone()) {
                    let path = escaped(format!("{root}/{cluster}").trim_end_matches('/'));
                    self.left_out.push(LeftOut { path, reason: POSTGRES.into() });
                }
                continue;
            }
            // The clone's own marks.
            if profile.is_sealed() && matches!(name.split('/').next(), Some(".known" | ".sealed" | ".stored" | ".wal"))
            {
                continue;
            }
            let path = format!("{root}/{name}");
            match stays_out(profile, &one, &path, &name) {
                Some(reason) => {
                    self.left_out.push(LeftOut { path: escaped(&path), reason: reason.into() });
                }
                None if one.kind == 'd' => {
                    self.folders.push(FolderEntry { path, mode: one.mode, mtime_ns: one.mtime_ns });
                }
                None if one.kind == 'l' => {
                    self.links.push(LinkEntry { path, target: String::from_utf8_lossy(&one.target).into_owned() });
                }
                None => {
                    let Found { size, mode, mtime_ns, inode, .. } = one;
                    let expected = Expected { size, mode, mtime_ns, inode, sha256: String::new() };
                    self.files.insert((root.to_owned(), name), expected);
                }
            }
        }
    }

    /// A clone of databases, and the tables that it is without: the snapshot whose list it was told has them.
    pub fn add_clone(&mut self, root: (&str, &str), clone: Vec<Found>, stored: &[String]) {
        let base = |found: &Found| Some(std::str::from_utf8(&found.name).ok()?.strip_prefix(".known/")?.to_owned());
        self.base = clone.iter().find_map(base);
        self.stored.extend(stored.iter().map(|name| format!("{}/{name}", root.0)));
        self.add((Profile::Data, &Excludes::default()), root, clone);
    }

    /// What a clone of databases never has.
    pub fn add_never_cloned(&mut self, item: &Item, target: &Target) {
        let Some(folder) = item.roots.get("data") else { return };
        let wal = target.wal_file.rsplit_once('/').map_or("", |(folder, _)| folder);
        let never = [
            (target.state_file.as_str(), "the signer's state is never restored"),
            (wal, "the write-ahead log belongs to the signer's state"),
            (&format!("{folder}/snapshots"), "the application's own snapshots are a profile of their own"),
            (&format!("{folder}/**/LOCK"), "a database makes its lock anew"),
            (&format!("{folder}/wasm/**/cache"), "the application makes it anew"),
            (&format!("{folder}/**/*.fleet-*"), "fleet has set it aside"),
        ];
        for (path, reason) in never {
            if let Some(name) = path.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/')) {
                self.left_out.push(LeftOut { path: format!("data/{name}"), reason: reason.into() });
            }
        }
    }
}

/// Folders that hold the files of a server of `PostgreSQL`: copied one after the other while it runs, they are of no use.
fn clusters(found: &[Found]) -> Vec<String> {
    let names = found.iter().filter(|one| one.kind == 'f').filter_map(|one| std::str::from_utf8(&one.name).ok());
    let mut folders: Vec<String> = Vec::new();
    for name in names {
        let folder = match name.rsplit_once('/') {
            Some((folder, PG_VERSION)) => folder,
            None if name == PG_VERSION => "",
            _ => continue,
        };
        folders.push(folder.to_owned());
    }
    folders.sort_by_key(String::len);
    folders
}

fn is_below(name: &str, folder: &str) -> bool {
    folder.is_empty() || name.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Why what was found isn't taken, if it isn't.
fn stays_out(profile: Profile, one: &Found, path: &str, name: &str) -> Option<&'static str> {
    match (one.kind, std::str::from_utf8(&one.target)) {
        _ if name.as_bytes() != one.name => Some("its name isn't UTF-8"),
        ('f' | 'd', _) => path_flaw(path).or_else(|| left_out(profile, name)),
        ('l', Ok(target)) => {
            path_flaw(path).or_else(|| link_left_out(profile, name, target)).or_else(|| target_flaw(target))
        }
        ('l', Err(_)) => Some("a symbolic link whose target isn't UTF-8"),
        _ => Some("neither a file nor a folder"),
    }
}

fn escaped(path: &str) -> String {
    path.escape_default().to_string()
}

/// Files that the store has, by their path.
#[derive(Debug, Default)]
pub struct Known<'a>(BTreeMap<&'a str, (&'a FileEntry, &'a [SegmentEntry])>);

impl<'a> Known<'a> {
    /// These files of these segments; later ones win.
    pub fn add(&mut self, files: impl IntoIterator<Item = &'a FileEntry>, segments: &'a [SegmentEntry]) {
        self.0.extend(files.into_iter().map(|file| (file.path.as_str(), (file, segments))));
    }

    /// A table that is the same as before by its place, size, time and inode: tables never change once written.
    pub fn table(&self, path: &str, found: &Expected) -> Option<(&'a FileEntry, &'a [SegmentEntry])> {
        let table = is_table(path);
        let same =
            |file: &FileEntry| (file.size, file.mtime_ns, file.inode) == (found.size, found.mtime_ns, found.inode);
        self.0.get(path).copied().filter(|(file, _)| table && same(file))
    }

    /// A table that a clone is without.
    pub fn stored(&self, path: &str) -> Option<(&'a FileEntry, &'a [SegmentEntry])> {
        self.0.get(path).copied()
    }

    /// A file of these very bytes.
    pub fn same(&self, path: &str, found: &Expected) -> Option<(&'a FileEntry, &'a [SegmentEntry])> {
        let same = |file: &FileEntry| (file.size, &file.sha256) == (found.size, &found.sha256);
        self.0.get(path).copied().filter(|(file, _)| same(file))
    }
}

/// By its name, as `LevelDB` and `RocksDB` have it.
pub fn is_table(path: &str) -> bool {
    matches!(path.rsplit_once('.'), Some((_, "ldb" | "sst")))
}

/// The parent's files that are there in the same size.
pub fn still_there<'a>(parent: &'a Manifest, chosen: &'a Chosen) -> impl Iterator<Item = &'a FileEntry> {
    parent.files.iter().filter(|file| {
        if chosen.stored.contains(&file.path) {
            return true;
        }
        let (root, name) = file.path.split_once('/').unwrap_or((&file.path, ""));
        let now = chosen.files.get(&(root.to_owned(), name.to_owned()));
        now.is_some_and(|now| now.size == file.size)
    })
}

/// The files all of whose segments are `good`.
pub fn worth<'a>(
    files: &'a [FileEntry],
    segments: &'a [SegmentEntry],
    good: impl Fn(&SegmentEntry) -> bool,
) -> impl Iterator<Item = &'a FileEntry> {
    let good: Vec<bool> = segments.iter().map(good).collect();
    files.iter().filter(move |file| file.segments.iter().all(|number| good.get(*number as usize) == Some(&true)))
}

/// The segments of `files` that too little of is used any more.
pub fn hardly_used<'a>(files: impl Iterator<Item = &'a FileEntry>, segments: &'a [SegmentEntry]) -> BTreeSet<&'a str> {
    let mut used: BTreeMap<u32, u64> = BTreeMap::new();
    for file in files {
        // A file in pieces fills its segments.
        if let [one] = file.segments[..] {
            *used.entry(one).or_default() += file.size;
        } else {
            used.extend(file.segments.iter().map(|one| (*one, u64::MAX)));
        }
    }
    let numbered = segments.iter().zip(0_u32..);
    let hardly = numbered
        .filter(|(segment, number)| used.get(number).copied().unwrap_or(0) < segment.content_bytes / 100 * WORTH);
    hardly.map(|(segment, _)| segment.sha256.as_str()).collect()
}

/// Divides files into at most `streams` parts of about the same size.
pub fn parts(files: Vec<(String, Expected)>, streams: u64) -> Vec<Vec<(String, Expected)>> {
    let all: u64 = files.iter().map(|(_, file)| file.size + 512).sum();
    let share = all.div_ceil(streams.max(1)).max(1);
    let mut parts: Vec<Vec<(String, Expected)>> = Vec::new();
    let mut filled = share;
    for (path, file) in files {
        if filled >= share {
            parts.push(Vec::new());
            filled = 0;
        }
        filled += file.size + 512;
        parts.last_mut().into_iter().for_each(|part| part.push((path.clone(), file.clone())));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(kind: char, name: &str) -> Found {
        Found { kind, size: 5, mode: 0o644, mtime_ns: 7, inode: 9, target: Vec::new(), name: name.into() }
    }

    fn link(name: &str, target: &[u8]) -> Found {
        Found { target: target.into(), ..found('l', name) }
    }

    fn file(path: &str, segment: u32, size: u64) -> FileEntry {
        FileEntry {
            path: path.into(),
            size,
            mode: 0o644,
            mtime_ns: 7,
            inode: 9,
            sha256: "a".repeat(64),
            segments: vec![segment],
        }
    }

    #[test]
    fn files_folders_and_what_stays_out() {
        let mut chosen = Chosen::default();
        let list = ["config.toml", "priv_validator_key.json", "a\nb"].map(|name| found('f', name));
        let none = Excludes::default();
        chosen.add(
            (Profile::Config, &none),
            ("config", "/h/config"),
            [&list[..], &[found('d', "gentx"), found('p', "pipe")]].concat(),
        );
        assert_eq!(chosen.files.keys().map(|(_, name)| name.as_str()).collect::<Vec<_>>(), ["config.toml"]);
        assert_eq!(chosen.folders[0].path, "config/gentx");
        let out: Vec<&str> = chosen.left_out.iter().map(|one| one.path.as_str()).collect();
        assert_eq!(out, ["config/priv_validator_key.json", "config/a\\nb", "config/pipe"]);
    }

    #[test]
    fn a_link_is_its_target_as_text() {
        let links = || vec![link("current", b"upgrades/v2"), link("odd", b"-rf $(x)"), link("up", b"/../../etc")];
        let kept = |profile| {
            let mut chosen = Chosen::default();
            chosen.add((profile, &Excludes::default()), ("r", "/r"), links());
            assert_eq!(chosen.links.len() + chosen.left_out.len(), 3);
            chosen.links.into_iter().map(|link| format!("{} {}", link.path, link.target)).collect::<Vec<_>>()
        };
        assert_eq!(kept(Profile::Cosmovisor), ["r/current upgrades/v2", "r/odd -rf $(x)", "r/up /../../etc"]);
        for profile in [Profile::Data, Profile::Statesync, Profile::Keys] {
            assert_eq!(kept(profile), [""; 0], "{profile:?}");
        }
        let mut chosen = Chosen::default();
        let bad = [link("a", b"x\ny"), link("b", b"\xff"), link("c", b""), link("d\n", b"x"), link("e.key", b"x")];
        chosen.add((Profile::Config, &Excludes::default()), ("r", "/r"), bad.to_vec());
        chosen.add((Profile::Config, &Excludes::default()), ("tls", "/etc/tls"), vec![link("", b"/x.pem")]);
        assert_eq!((chosen.links.len(), chosen.left_out.len(), chosen.files.len()), (0, 6, 0));
    }

    #[test]
    fn what_a_glob_excludes_is_told_once_with_its_folder() {
        let mut chosen = Chosen::default();
        let globs = Excludes::new(&["*.tmp".to_owned(), "cache".to_owned()]).unwrap();
        let names = ["a.sh", "x.tmp", "cache/1", "cache/2", "deploy.key"].map(|name| found('f', name));
        chosen.add((Profile::Paths, &globs), ("opt", "/opt"), [&names[..], &[found('d', "cache")]].concat());
        assert_eq!(chosen.files.keys().map(|(_, name)| name.as_str()).collect::<Vec<_>>(), ["a.sh"]);
        let out: Vec<(&str, &str)> = chosen.left_out.iter().map(|one| (&*one.path, &*one.reason)).collect();
        let key = ("opt/deploy.key", "may hold a private key");
        assert_eq!(out, [("opt/x.tmp", "excluded"), ("opt/cache", "excluded"), key]);
        assert_eq!(chosen.folders, []);
    }

    #[test]
    fn the_files_of_a_running_server_are_told_once_and_never_kept() {
        let none = Excludes::default();
        let mut chosen = Chosen::default();
        let names = ["15/main/base/1/112", "15/main/base/1/PG_VERSION", "15/main/PG_VERSION", "15/mainly", "psql.rc"];
        let all = names.map(|name| found('f', name)).into_iter().chain([found('d', "15/main"), found('d', "15")]);
        chosen.add((Profile::Provider, &none), ("home", "/var/lib/postgresql"), all.collect());
        assert_eq!(chosen.files.keys().map(|(_, name)| name.as_str()).collect::<Vec<_>>(), ["15/mainly", "psql.rc"]);
        let out: Vec<(&str, &str)> = chosen.left_out.iter().map(|one| (&*one.path, &*one.reason)).collect();
        assert_eq!(out, [("home/15/main", POSTGRES)]);
        assert_eq!(chosen.folders.len(), 1);
        let mut chosen = Chosen::default();
        let all = ["base/1/112", "PG_VERSION"].map(|name| found('f', name)).into();
        chosen.add((Profile::Provider, &none), ("home", "/srv/pg"), all);
        assert!(chosen.files.is_empty() && chosen.left_out[0].path == "home", "{:?}", chosen.left_out);
    }

    #[test]
    fn a_root_is_a_folder_a_file_or_nothing() {
        let (mut chosen, none) = (Chosen::default(), Excludes::default());
        let of = (Profile::Paths, &none);
        chosen.add(of, ("gone", "/gone"), vec![found('-', "")]);
        assert!(!chosen.is_anything);
        assert_eq!(chosen.left_out[0].reason, "there is no /gone");
        chosen.add(of, ("etc-x.conf", "/etc/x.conf"), vec![found('f', "")]);
        chosen.add(of, ("top", "/top"), vec![found('f', "")]);
        chosen.add(of, ("tls.key", "/etc/tls.key"), vec![found('f', "")]);
        let files: Vec<String> = chosen.files.keys().map(|(root, name)| format!("{root}/{name}")).collect();
        assert_eq!(files, ["etc-x.conf/x.conf", "top/top"]);
        let parents: Vec<&str> = chosen.parents.values().map(String::as_str).collect();
        assert_eq!(parents, ["/etc", "/etc", "/"]);
        assert_eq!(chosen.left_out[1].path, "tls.key/tls.key");
    }

    #[test]
    fn only_tables_are_believed_by_their_time() {
        let files = [file("data/a.ldb", 0, 5), file("data/MANIFEST", 0, 5)];
        let mut known = Known::default();
        known.add(&files, &[]);
        let now = Expected { size: 5, mode: 0o600, mtime_ns: 7, inode: 9, sha256: String::new() };
        assert!(known.table("data/a.ldb", &now).is_some());
        assert!(known.table("data/MANIFEST", &now).is_none());
        assert!(known.table("data/a.ldb", &Expected { inode: 10, ..now.clone() }).is_none());
        assert!(known.same("data/MANIFEST", &Expected { sha256: "a".repeat(64), ..now.clone() }).is_some());
        assert!(known.same("data/MANIFEST", &Expected { sha256: "b".repeat(64), ..now }).is_none());
    }

    #[test]
    fn a_segment_of_which_little_is_left_is_not_used_again() {
        let segment =
            |name: &str| SegmentEntry { sha256: name.into(), bytes: 50, content_bytes: 1000, recipients: Vec::new() };
        let files = [file("data/a.ldb", 0, 900), file("data/b.ldb", 1, 400)];
        let segments = [segment("full"), segment("thin"), segment("empty")];
        assert_eq!(hardly_used(files.iter(), &segments), BTreeSet::from(["empty", "thin"]));
    }

    #[test]
    fn parts_are_about_the_same_size_and_hold_everything() {
        let expected = Expected { size: 1000, mode: 0, mtime_ns: 0, inode: 0, sha256: String::new() };
        let files: Vec<_> = (0..10).map(|n| (format!("{n}"), expected.clone())).collect();
        let sizes: Vec<usize> = parts(files.clone(), 3).iter().map(Vec::len).collect();
        assert_eq!(sizes, [4, 4, 2]);
        assert_eq!(parts(files, 1).len(), 1);
        assert!(parts(Vec::new(), 3).is_empty());
    }
}

//! What is damaged is found and named.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;

use fleet::store::{Checked, Part};

use super::world::{Tree, World, archive_of, expected, noise, sha256, small, tree};

fn files() -> Tree {
    let mut files: Tree = (0..4).map(|n| (format!("data/{n}"), noise(n, 400))).collect();
    files.insert("data/large".into(), noise(9, 2100));
    files.insert("data/empty".into(), Vec::new());
    files
}

fn verify(world: &World, part: Part) -> Checked {
    let ids = world.run(world.store.ids()).unwrap();
    world.run(world.store.verify(&ids, part, &mut |_| ())).unwrap()
}

#[test]
fn a_sound_store_is_found_sound_and_that_is_recorded() {
    let world = World::new();
    let manifest = world.backup(&world.store, "01A", &files(), small()).unwrap();
    let checked = verify(&world, Part::ALL);
    assert_eq!((checked.flaws, checked.files), (Vec::new(), 5));
    assert_eq!((checked.segments, checked.good), (manifest.segments.len() as u64, vec!["01A".to_owned()]));
    let known = world.run(world.store.verified("01A")).unwrap().unwrap();
    assert_eq!(known.whole_ms(), Some(super::world::START_MS));
    assert_eq!(known.bytes, manifest.segments.iter().map(|segment| segment.bytes).sum::<u64>());
}

#[test]
fn all_parts_together_are_the_whole() {
    let world = World::new();
    let manifest = world.backup(&world.store, "01A", &files(), small()).unwrap();
    let mut seen = 0;
    for n in 1..=3 {
        let whole = world.run(world.store.verified("01A")).unwrap().and_then(|known| known.whole_ms());
        assert_eq!(whole, None);
        seen += verify(&world, Part { n, of: 3 }).segments;
    }
    assert_eq!(seen, manifest.segments.len() as u64);
    assert!(world.run(world.store.verified("01A")).unwrap().unwrap().whole_ms().is_some());
}

#[test]
fn a_segment_that_was_found_damaged_is_not_built_on_until_it_is_whole_again() {
    let world = World::new();
    let manifest = world.backup(&world.store, "01A", &files(), small()).unwrap();
    let usable = || {
        let usable = world.run(world.store.usable()).unwrap();
        manifest.segments.iter().filter(|segment| usable.has(segment)).count()
    };
    for segment in &manifest.segments {
        let path = world.root().join(segment.place());
        let sound = fs::read(&path).unwrap();
        let mut bytes = sound.clone();
        bytes[20] ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert_eq!(usable(), manifest.segments.len(), "its size is the same");
        verify(&world, Part::ALL);
        assert!(usable() < manifest.segments.len(), "{}", segment.sha256);
        fs::write(&path, &sound[1..]).unwrap();
        assert!(usable() < manifest.segments.len());
        // Whole again: brought back by hand, or brought anew.
        fs::write(&path, &sound).unwrap();
        if segment == &manifest.segments[0] {
            verify(&world, Part::ALL);
        } else {
            world.take(expected(&files()), &*archive_of(&files())).unwrap();
        }
        assert_eq!(usable(), manifest.segments.len());
    }
}

#[test]
fn a_flipped_bit_anywhere_is_found_and_named() {
    let world = World::new();
    world.backup(&world.store, "01A", &files(), small()).unwrap();
    let names: Vec<String> = world.files().into_iter().filter(|name| !name.starts_with("fleet-store")).collect();
    for name in names {
        let path = world.root().join(&name);
        let sound = fs::read(&path).unwrap();
        let step = (sound.len() / 40).max(1);
        for at in (0..sound.len()).step_by(step).chain([sound.len() - 1]) {
            let mut bytes = sound.clone();
            bytes[at] ^= 1 << (at % 8);
            fs::write(&path, bytes).unwrap();
            let found = verify(&world, Part::ALL).flaws;
            let object = if name.ends_with(".sha256") { "manifests/01A.json" } else { name.as_str() };
            assert_eq!(found.iter().map(|flaw| flaw.object.as_str()).collect::<Vec<_>>(), [object], "{name} {at}");
            assert_eq!(found[0].snapshots, ["01A"], "{name} {at}");
        }
        fs::write(&path, &sound).unwrap();
    }
    assert_eq!(verify(&world, Part::ALL).flaws, []);
}

#[test]
fn the_files_and_the_snapshots_of_what_is_damaged_are_named() {
    let world = World::new();
    let mut later = files();
    let first = world.backup(&world.store, "01A", &later, small()).unwrap();
    later.remove("data/0");
    later.insert("data/new".into(), noise(20, 300));
    world.backup(&world.store, "01B", &later, small()).unwrap();
    let of = |path: &str| {
        let file = first.files.iter().find(|file| file.path == path).unwrap();
        let sha256 = &first.segments[file.segments[0] as usize].sha256;
        (sha256.clone(), world.root().join(format!("segments/{}/{sha256}.tar.zst", &sha256[..2])))
    };
    verify(&world, Part::ALL);
    fs::remove_file(of("data/large").1).unwrap();
    let path = of("data/0").1;
    let mut bytes = fs::read(&path).unwrap();
    let half = bytes.len() * 3 / 4;
    bytes.truncate(half);
    fs::write(&path, bytes).unwrap();
    let checked = verify(&world, Part::ALL);
    let named: Vec<_> = checked.flaws.iter().map(|flaw| (flaw.files.join(" "), flaw.snapshots.join(" "))).collect();
    assert!(named.contains(&("data/large".to_owned(), "01A 01B".to_owned())), "{:?}", checked.flaws);
    assert!(named.contains(&("data/0 data/1".to_owned(), "01A 01B".to_owned())), "{:?}", checked.flaws);
    assert_eq!(checked.good, [""; 0]);
    assert_eq!(world.run(world.store.verified("01A")).unwrap(), None);
    assert!(world.restored("01B").unwrap_err().message.contains("the segment segments/"));
}

#[test]
fn a_bomb_is_neither_unpacked_nor_believed() {
    let world = World::new();
    let mut manifest = world.backup(&world.store, "01A", &tree([("data/a", b"alpha")]), small()).unwrap();
    let mut bomb = zstd::Encoder::new(Vec::new(), 19).unwrap();
    let mut header = tar::Header::new_gnu();
    header.set_path("data/a").unwrap();
    header.set_size(8 << 40);
    header.set_cksum();
    bomb.write_all(header.as_bytes()).unwrap();
    for _ in 0..64 {
        bomb.write_all(&vec![0; 1 << 20]).unwrap();
    }
    let bytes = bomb.finish().unwrap();
    let name = sha256(&bytes);
    let folder = world.root().join("segments").join(&name[..2]);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(format!("{name}.tar.zst")), &bytes).unwrap();
    manifest.id = "01B".into();
    manifest.segments[0].bytes = bytes.len() as u64;
    manifest.segments[0].sha256 = name;
    world.run(world.store.commit(&manifest)).unwrap();
    let ids = BTreeSet::from(["01B".to_owned()]);
    let checked = world.run(world.store.verify(&ids, Part::ALL, &mut |_| ())).unwrap();
    assert_eq!(checked.flaws[0].what, "it holds more than it should");
    assert_eq!(checked.flaws[0].files, ["data/a"]);
}

#[test]
fn a_snapshot_is_committed_only_with_all_it_needs_and_only_once() {
    let world = World::new();
    let manifest = world.backup(&world.store, "01A", &files(), small()).unwrap();
    world.run(world.store.commit(&manifest)).unwrap();
    let mut other = manifest.clone();
    other.host = "val-2".into();
    assert!(world.run(world.store.commit(&other)).unwrap_err().message.contains("another snapshot 01A"));
    other.id = "01B".into();
    let segment = &mut other.segments[0];
    segment.bytes += 1;
    assert!(world.run(world.store.commit(&other)).unwrap_err().message.contains("has another size"));
    other.segments[0].sha256 = "ab".repeat(32);
    assert!(world.run(world.store.commit(&other)).unwrap_err().message.contains("is missing"));
    assert_eq!(world.run(world.store.ids()).unwrap().len(), 1);
}

#[test]
fn a_manifest_that_is_lost_is_told_from_one_that_was_never_written() {
    let mut cut_off = 0;
    for after in 0..40 {
        let world = World::new();
        let mut manifest = world.backup(&world.store, "01A", &tree([("data/a", b"alpha")]), small()).unwrap();
        let lost = |world: &World| world.run(world.store.lost()).unwrap().into_iter().collect::<Vec<_>>();
        // Nothing in it is new, so that it has no record but that of its commit.
        manifest.id = "01B".into();
        let committed = world.run(world.failing(after, std::io::ErrorKind::Other).commit(&manifest)).is_ok();
        let there = |end: &str| world.root().join(format!("manifests/01B.{end}")).exists();
        cut_off += usize::from(there("sha256") && !there("json"));
        assert_eq!(lost(&world), [""; 0], "{after}");
        manifest.id = "01C".into();
        world.run(world.store.commit(&manifest)).unwrap();
        assert_eq!(lost(&world), [""; 0], "{after}: a later one of the same");
        assert_eq!(world.run(world.store.pending()).unwrap(), []);
        fs::remove_file(world.root().join("manifests/01A.json")).unwrap();
        assert_eq!(lost(&world), ["01A"], "{after}");
        if committed {
            assert!(cut_off > 0);
            return;
        }
    }
    panic!("a commit needs more operations than that");
}

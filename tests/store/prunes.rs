//! What a prune removes, and what it never does.

use std::collections::BTreeSet;

use fleet::store::{Pruned, Purpose, Times};

use super::world::{START_MS, Tree, World, noise, small};

const TIMES: Times = Times { grace_ms: 1000, pending_ms: 10_000 };

fn prune(world: &World, go: &[&str]) -> fleet::error::Result<Pruned> {
    let hold = world.run(world.store.hold(Purpose::Prune, "ops", "01Z")).unwrap();
    let go: BTreeSet<String> = go.iter().map(|id| (*id).to_owned()).collect();
    let pruned = world.run(world.store.prune(&hold, &go, TIMES));
    world.run(hold.release());
    pruned
}

fn files(first: u32) -> Tree {
    (first..first + 4).map(|n| (format!("data/{n}"), noise(n, 900))).collect()
}

#[test]
fn segments_go_with_the_last_snapshot_that_needs_them_after_the_grace_time() {
    let world = World::new();
    world.backup(&world.store, "01A", &files(0), small()).unwrap();
    world.backup(&world.store, "01B", &files(2), small()).unwrap();
    let pruned = prune(&world, &["01A"]).unwrap();
    assert_eq!((pruned.set_aside, pruned.removed), (2, 0));
    assert_eq!(world.restored("01B").unwrap(), files(2));
    world.clock.pass(500);
    assert_eq!(prune(&world, &[]).unwrap(), Pruned::default());
    world.clock.pass(501);
    let pruned = prune(&world, &[]).unwrap();
    // Two segments, the manifest and its list.
    assert_eq!((pruned.removed, pruned.set_aside), (4, 0));
    assert!(!world.files().iter().any(|name| name.starts_with("quarantine")));
    assert_eq!(world.restored("01B").unwrap(), files(2));
}

#[test]
fn a_manifest_that_can_t_be_read_stops_everything() {
    let world = World::new();
    world.backup(&world.store, "01A", &files(0), small()).unwrap();
    world.backup(&world.store, "01B", &files(2), small()).unwrap();
    let path = world.root().join("manifests/01B.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("val-1", "val-2")).unwrap();
    let before = world.files();
    let error = prune(&world, &["01A"]).unwrap_err();
    assert!(error.message.contains("the manifest of 01B can't be read"), "{error}");
    assert!(error.hints.iter().any(|hint| hint == "nothing was removed"), "{error}");
    assert_eq!(world.files(), before);
}

#[test]
fn what_an_unfinished_backup_has_brought_is_kept_for_a_time() {
    let world = World::new();
    let store = world.failing(14, std::io::ErrorKind::Other);
    world.backup(&store, "01A", &files(0), small()).unwrap_err();
    let segments = |world: &World| world.files().iter().filter(|name| name.starts_with("segments")).count();
    let before = segments(&world);
    assert!(before > 0 && !world.run(world.store.pending()).unwrap().is_empty());
    std::fs::remove_file(world.root().join("locks/01A.json")).unwrap();
    let records = world.run(world.store.pending()).unwrap().len();
    prune(&world, &[]).unwrap();
    assert!(segments(&world) >= records && records > 0);
    world.clock.pass(20_000);
    prune(&world, &[]).unwrap();
    assert_eq!((segments(&world), world.run(world.store.pending()).unwrap().len()), (0, 0));
}

#[test]
fn a_backup_that_a_prune_raced_finds_its_segments_again() {
    let world = World::new();
    let mut manifest = world.backup(&world.store, "01A", &files(0), small()).unwrap();
    // The prune believes that nobody is there, while another one is about to commit upon the same segments.
    prune(&world, &["01A"]).unwrap();
    assert!(!world.files().iter().any(|name| name.starts_with("segments")));
    manifest.id = "01B".into();
    world.run(world.store.commit(&manifest)).unwrap();
    world.clock.pass(5000);
    prune(&world, &[]).unwrap();
    assert_eq!(world.restored("01B").unwrap(), files(0));
}

#[test]
fn what_is_needed_after_all_is_brought_back_before_anything_is_removed() {
    let world = World::new();
    let manifest = world.backup(&world.store, "01A", &files(0), small()).unwrap();
    let segment = &manifest.segments[0].sha256;
    let name = format!("segments/{}/{segment}.tar.zst", &segment[..2]);
    let aside = world.root().join(format!("quarantine/{}/{name}", START_MS - 1_000_000));
    std::fs::create_dir_all(aside.parent().unwrap()).unwrap();
    std::fs::rename(world.root().join(&name), aside).unwrap();
    let pruned = prune(&world, &[]).unwrap();
    assert_eq!((pruned.brought_back, pruned.removed), (1, 0));
    assert_eq!(world.restored("01A").unwrap(), files(0));
}

#[test]
fn a_prune_that_breaks_off_anywhere_loses_nothing_that_is_needed() {
    for after in 0..60 {
        let world = World::new();
        world.backup(&world.store, "01A", &files(0), small()).unwrap();
        world.backup(&world.store, "01B", &files(2), small()).unwrap();
        let hold = world.run(world.store.hold(Purpose::Prune, "ops", "01Z")).unwrap();
        let failing = world.failing(after, std::io::ErrorKind::Other);
        let go = BTreeSet::from(["01A".to_owned()]);
        let done = world.run(failing.prune(&hold, &go, TIMES)).is_ok();
        world.run(hold.release());
        assert_eq!(world.restored("01B").unwrap(), files(2), "{after}");
        world.clock.pass(5000);
        prune(&world, &[]).unwrap();
        world.clock.pass(5000);
        prune(&world, &[]).unwrap();
        assert_eq!(world.restored("01B").unwrap(), files(2), "{after}");
        if done {
            return;
        }
    }
    panic!("a prune needs more operations than that");
}

#[test]
fn a_copy_is_the_same_snapshot_and_brings_only_what_is_missing() {
    let world = World::new();
    world.backup(&world.store, "01A", &files(0), small()).unwrap();
    world.backup(&world.store, "01B", &files(2), small()).unwrap();
    let other = world.run(fleet::store::Store::at_or_new(&world.beside("copy"))).unwrap();
    let first = world.run(world.store.copy(&other, "01A", &mut |_| ())).unwrap().unwrap();
    let second = world.run(world.store.copy(&other, "01B", &mut |_| ())).unwrap().unwrap();
    assert_eq!((first.segments, first.there, second.segments, second.there), (4, 0, 2, 2));
    assert_eq!(world.run(other.manifest("01B")).unwrap(), world.run(world.store.manifest("01B")).unwrap());
}

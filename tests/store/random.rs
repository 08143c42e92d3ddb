//! Random histories of backup, change, prune, crash, damage, verify and restore, against a model.
//!
//! `FLEET_STORE_CASES` sets how many; the seed of one that fails is kept by proptest.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read as _};

use fleet::store::{Part, Purpose, Times};
use proptest::prelude::*;
use proptest::test_runner::Config;

use super::world::{Tree, World, noise, small};

const TIMES: Times = Times { grace_ms: 1000, pending_ms: 100_000 };

#[derive(Debug, Clone)]
enum Step {
    /// A file gets other bytes, or comes, or goes (no bytes).
    Change { file: u8, length: u16 },
    /// A backup.
    Backup,
    /// One whose stream ends at this part of it, of 255.
    CutOff(u8),
    /// One whose fleet dies after so many operations on the store.
    Crash(u8),
    /// A prune of these snapshots, of which the last one stays.
    Prune { keep: u8, crash: Option<u8> },
    /// Time passes.
    Pass(u16),
    /// A bit of a segment flips: the n-th segment, which byte; it is found, and then undone.
    Flip { segment: u8, at: u16 },
    /// Every snapshot is read back and restored.
    Verify,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..12u8, prop_oneof![Just(0), 1..800u16, 2000..3500u16])
            .prop_map(|(file, length)| Step::Change { file, length }),
        4 => Just(Step::Backup),
        2 => any::<u8>().prop_map(Step::CutOff),
        2 => (0..40u8).prop_map(Step::Crash),
        2 => (any::<u8>(), proptest::option::of(0..30u8)).prop_map(|(keep, crash)| Step::Prune { keep, crash }),
        2 => (0..2000u16).prop_map(Step::Pass),
        1 => (any::<u8>(), any::<u16>()).prop_map(|(segment, at)| Step::Flip { segment, at }),
        1 => Just(Step::Verify),
    ]
}

struct Model {
    world: World,
    now: Tree,
    kept: BTreeMap<String, Tree>,
    made: u32,
}

impl Model {
    fn id(&mut self) -> String {
        self.made += 1;
        format!("01{:04}", self.made)
    }

    fn go(&mut self, step: &Step) {
        match step {
            Step::Change { file, length } => {
                let (file, length) = (*file, *length);
                let path = format!("data/{file}");
                self.now.remove(&path);
                if length > 0 {
                    self.now.insert(path, noise(u32::from(file) * 7 + u32::from(length), usize::from(length)));
                }
            }
            Step::Backup => {
                let id = self.id();
                self.world.backup(&self.world.store, &id, &self.now, small()).unwrap();
                self.kept.insert(id, self.now.clone());
            }
            Step::CutOff(part) => self.cut_off(*part),
            Step::Crash(after) => {
                let id = self.id();
                let store = self.world.failing(i64::from(*after), io::ErrorKind::Other);
                let _ = self.world.backup(&store, &id, &self.now, small());
                self.died(&id);
            }
            Step::Prune { keep, crash } => self.prune(*keep, *crash),
            Step::Pass(ms) => self.world.clock.pass(i64::from(*ms)),
            Step::Flip { segment, at } => self.flip(*segment, *at),
            Step::Verify => self.all_is_there(),
        }
    }

    /// Whether the manifest was written decides whether a backup that broke off is a snapshot.
    fn died(&mut self, id: &str) {
        let _ = std::fs::remove_file(self.world.root().join(format!("locks/{id}.json")));
        if self.world.files().contains(&format!("manifests/{id}.json")) {
            self.kept.insert(id.to_owned(), self.now.clone());
        }
    }

    fn cut_off(&mut self, part: u8) {
        let id = self.id();
        let cut = |archive: Vec<u8>| -> Box<dyn io::Read> {
            let length = (archive.len() - 1) * usize::from(part) / 255;
            Box::new(io::Cursor::new(archive).take(length as u64))
        };
        let done = self.world.backup_from(&self.world.store, &id, &self.now, small(), cut);
        assert!(done.unwrap_err().message.contains("before its end marker"));
        self.died(&id);
        assert!(!self.kept.contains_key(&id));
    }

    fn prune(&mut self, keep: u8, crash: Option<u8>) {
        let id = self.id();
        let hold = self.world.run(self.world.store.hold(Purpose::Prune, "ops", &id)).unwrap();
        let all: Vec<String> = self.kept.keys().cloned().collect();
        let last = all.last().cloned();
        let chosen = all.into_iter().enumerate().filter(|(n, _)| keep >> (n % 8) & 1 == 0).map(|(_, id)| id);
        let go: BTreeSet<String> = chosen.filter(|id| Some(id) != last.as_ref()).collect();
        let store = match crash {
            Some(after) => self.world.failing(i64::from(after), io::ErrorKind::Other),
            None => self.world.store.clone(),
        };
        let done = self.world.run(store.prune(&hold, &go, TIMES));
        self.world.run(hold.release());
        assert!(done.is_ok() || crash.is_some(), "{done:?}");
        let there = self.world.run(self.world.store.ids()).unwrap();
        self.kept.retain(|id, _| !go.contains(id) || there.contains(id));
    }

    fn flip(&self, segment: u8, at: u16) {
        let segments: Vec<String> =
            self.world.files().into_iter().filter(|name| name.starts_with("segments")).collect();
        if segments.is_empty() {
            return;
        }
        let name = &segments[usize::from(segment) % segments.len()];
        let path = self.world.root().join(name);
        let sound = std::fs::read(&path).unwrap();
        let mut bytes = sound.clone();
        let at = usize::from(at) % bytes.len();
        bytes[at] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let ids = self.world.run(self.world.store.ids()).unwrap();
        let found = self.world.run(self.world.store.verify(&ids, Part::ALL, &mut |_| ())).unwrap();
        let needed = ids.iter().any(|id| {
            let manifest = self.world.run(self.world.store.manifest(id)).unwrap();
            manifest.segments.iter().any(|segment| name.contains(&segment.sha256))
        });
        let named = found.flaws.iter().any(|flaw| &flaw.object == name);
        assert_eq!(named, needed, "{name}: {found:?}");
        std::fs::write(&path, sound).unwrap();
    }

    /// What the store says it has, it has, and nothing that was finished is missing.
    fn all_is_there(&self) {
        let ids = self.world.run(self.world.store.ids()).unwrap();
        assert_eq!(ids, self.kept.keys().cloned().collect());
        let checked = self.world.run(self.world.store.verify(&ids, Part::ALL, &mut |_| ())).unwrap();
        assert_eq!(checked.flaws, []);
        for (id, tree) in &self.kept {
            assert_eq!(&self.world.restored(id).unwrap(), tree, "{id}");
        }
    }
}

fn cases() -> u32 {
    std::env::var("FLEET_STORE_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(200)
}

proptest! {
    #![proptest_config(Config { cases: cases(), ..Config::default() })]

    #[test]
    fn whatever_happens_a_finished_snapshot_is_whole(steps in proptest::collection::vec(step(), 1..25)) {
        let mut model = Model { world: World::new(), now: Tree::new(), kept: BTreeMap::new(), made: 0 };
        for step in &steps {
            model.go(step);
        }
        model.all_is_there();
    }
}

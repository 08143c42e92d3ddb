//! What `fuzz/` fuzzes, over the real logs of `tests/corpus/wal` and mutations of them; `FLEET_WAL_CASES` sets how many.

#![allow(clippy::unwrap_used)] // clippy takes only the functions marked #[test] for tests

use std::fs;
use std::path::{Path, PathBuf};

use fleet::chain::wal::record;
use proptest::prelude::*;
use proptest::sample::Index;
use prost::Message as _;

#[path = "../fuzz/entry_points.rs"]
mod entry_points;

fn corpus(named: &str) -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/wal");
    let list = |folder: &Path| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    let folders = list(&root).into_iter().filter(|path| path.is_dir());
    let mut files: Vec<PathBuf> = folders.flat_map(|folder| list(&folder)).collect();
    files.sort();
    let named = files.iter().filter(|path| path.file_name().unwrap().to_string_lossy().contains(named));
    named.map(|path| fs::read(path).unwrap()).collect()
}

/// The consensus messages of a log.
fn messages(log: &[u8]) -> Vec<Vec<u8>> {
    record::read(log).0.iter().filter_map(|record| Some(record.consensus()?.encode_to_vec())).collect()
}

/// One change of a file.
#[derive(Debug, Clone)]
enum Change {
    Flip(Index, u8),
    Cut(Index),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let bytes = proptest::collection::vec(any::<u8>(), 1..12);
    prop_oneof![
        (any::<Index>(), 1..=255_u8).prop_map(|(at, mask)| Change::Flip(at, mask)),
        any::<Index>().prop_map(Change::Cut),
        (any::<Index>(), bytes).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (any::<Index>(), 1..40_usize).prop_map(|(at, length)| Change::Remove(at, length)),
    ]
}

fn mutate(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        let place = |at: &Index, bytes: &[u8]| at.index(bytes.len() + 1);
        match change {
            Change::Flip(at, mask) => {
                let place = place(at, &bytes);
                bytes.iter_mut().skip(place).take(1).for_each(|byte| *byte ^= mask);
            }
            Change::Cut(at) => bytes.truncate(place(at, &bytes)),
            Change::Insert(at, more) => drop(bytes.splice(place(at, &bytes)..place(at, &bytes), more.iter().copied())),
            Change::Remove(at, length) => {
                let from = place(at, &bytes);
                let to = (from + length).min(bytes.len());
                bytes.drain(from..to);
            }
        }
    }
    bytes
}

#[test]
fn the_corpus_holds() {
    let (logs, states) = (corpus(".wal"), corpus(".state.json"));
    assert_eq!((logs.len(), states.len()), (12, 16));
    for log in &logs {
        entry_points::wal_records(log);
    }
    logs.iter().flat_map(|log| messages(log)).for_each(|message| entry_points::votes(&message));
    for state in &states {
        entry_points::signer_state(state);
    }
}

fn cases() -> u32 {
    std::env::var("FLEET_WAL_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(64)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn changed_logs(pick in any::<Index>(), changes in proptest::collection::vec(change(), 1..4)) {
        entry_points::wal_records(&mutate(pick.get(&corpus(".wal")).clone(), &changes));
    }

    #[test]
    fn changed_states(pick in any::<Index>(), changes in proptest::collection::vec(change(), 1..3)) {
        entry_points::signer_state(&mutate(pick.get(&corpus(".state.json")).clone(), &changes));
    }

    #[test]
    fn changed_messages(log in any::<Index>(), pick in any::<Index>(), changes in proptest::collection::vec(change(), 1..3)) {
        let logs = corpus(".wal");
        let log: &Vec<u8> = log.get(&logs);
        let messages = messages(log);
        entry_points::votes(&mutate(pick.get(&messages).clone(), &changes));
    }
}

//! Backups of databases of which the store has most tables already: only the others are linked and brought.

use std::fs;
use std::path::PathBuf;

use rustix::process::Signal;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::faults::{manifests, stub, verified, words};
use crate::rig::{Rig, eventually, small};

fn tables_of(rig: &Rig) -> PathBuf {
    rig.sim.host("sentry-1").join("home/data/own.db")
}

/// Writes a table as a node does: beside, and then under its name.
fn put(rig: &Rig, name: &str, text: &str) {
    let folder = tables_of(rig);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("new"), text).unwrap();
    fs::rename(folder.join("new"), folder.join(name)).unwrap();
}

/// The tables of a manifest are those that lie there, with their hashes.
fn is_what_lies_there(rig: &Rig, manifest: &Value) {
    let rows = manifest["files"].as_array().unwrap().iter();
    let told: Vec<(String, String)> = rows
        .map(|row| (row[0].as_str().unwrap().to_owned(), row[5].as_str().unwrap().to_owned()))
        .filter(|(path, _)| path.starts_with("data/own.db/"))
        .collect();
    let mut there: Vec<(String, String)> = fs::read_dir(tables_of(rig))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            (format!("data/own.db/{name}"), hex::encode(Sha256::digest(fs::read(&path).unwrap())))
        })
        .collect();
    there.sort();
    assert_eq!(told, there);
}

#[test]
fn tables_that_the_store_has_are_neither_linked_nor_brought_and_the_snapshot_is_whole() {
    let rig = Rig::new(&small());
    for name in ["1.ldb", "2.ldb", "a name.ldb"] {
        put(&rig, name, &name.repeat(9));
    }
    let (backup, seen) = (words(&rig, "sentry-1 --profile data"), rig.folder("seen"));
    stub(&rig, "sentry-1", "tar", ("--create", &format!("find own.db -name '*.ldb' | sort >{}", seen.display())));
    let linked = || fs::read_to_string(&seen).unwrap();
    rig.run(&backup).ended(0);
    assert_eq!(linked(), "own.db/1.ldb\nown.db/2.ldb\nown.db/a name.ldb\n");
    fs::remove_file(tables_of(&rig).join("1.ldb")).unwrap();
    // Of the same size as the one before.
    put(&rig, "2.ldb", &"another".repeat(9)[..45]);
    put(&rig, "3.ldb", "three");
    rig.run(&backup).ended(0);
    assert_eq!(linked(), "own.db/2.ldb\nown.db/3.ldb\n");
    let all = manifests(&rig.folder("store"));
    is_what_lies_there(&rig, &all[1]);
    assert_eq!(all[1]["parent"], all[0]["id"]);
    // From both of those before.
    put(&rig, "4.ldb", "four");
    rig.run(&backup).ended(0);
    assert_eq!(linked(), "own.db/4.ldb\n");
    is_what_lies_there(&rig, &manifests(&rig.folder("store"))[2]);
    verified(&rig);
    let left = fs::read_dir(tables_of(&rig).parent().unwrap()).unwrap();
    let left = left.filter(|entry| entry.as_ref().unwrap().file_name().to_str().unwrap().starts_with(".fleet"));
    assert_eq!(left.count(), 0, "a clone was left");
}

#[test]
fn without_the_snapshot_that_a_clone_builds_on_nothing_is_kept_and_the_next_one_is_whole() {
    let rig = Rig::new(&small());
    put(&rig, "1.ldb", "one");
    let (backup, store) = (words(&rig, "sentry-1 --profile data"), rig.folder("store"));
    rig.run(&backup).ended(0);
    put(&rig, "2.ldb", "two");
    let (once, go) = (rig.folder("once"), rig.folder("go"));
    let script = format!("touch {}; while [ ! -e {} ]; do sleep 0.05; done", once.display(), go.display());
    stub(&rig, "sentry-1", "tar", ("--create", &script));
    let run = rig.start(&backup);
    eventually("the stream has begun", || once.exists());
    run.signal(Signal::INT);
    run.wait().ended(130);
    fs::write(go, "").unwrap();
    for entry in fs::read_dir(store.join("manifests")).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    rig.run("resume --yes").ended(4).says("there is no snapshot");
    assert_eq!(manifests(&store).len(), 0);
    rig.run(&backup).ended(0);
    is_what_lies_there(&rig, &manifests(&store)[0]);
    verified(&rig);
}

/// The segment that holds this file in the newest snapshot.
fn segment_of(rig: &Rig, path: &str) -> PathBuf {
    let newest = manifests(&rig.folder("store")).pop().unwrap();
    let row = newest["files"].as_array().unwrap().iter().find(|row| row[0] == path).unwrap();
    let number = usize::try_from(row[6][0].as_u64().unwrap()).unwrap();
    let sha256 = newest["segments"][number]["sha256"].as_str().unwrap();
    rig.folder("store/segments").join(&sha256[..2]).join(format!("{sha256}.tar.zst"))
}

#[test]
fn files_of_a_segment_that_is_damaged_cut_off_or_gone_are_brought_anew() {
    let rig = Rig::new(&small());
    put(&rig, "1.ldb", "one");
    let (backup, store) = (words(&rig, "sentry-1 --profile data"), rig.folder("store"));
    let verify = |id: &str| rig.run(&format!("snapshot verify {id} --store {}", store.display()));
    rig.run(&backup).ended(0);
    let spoil: [fn(&mut Vec<u8>); 2] = [|bytes| bytes[20] ^= 1, |bytes| bytes.truncate(30)];
    for (count, spoil) in (2..).zip(spoil.map(Some).into_iter().chain([None])) {
        let segment = segment_of(&rig, "data/own.db/1.ldb");
        if let Some(spoil) = spoil {
            let mut bytes = fs::read(&segment).unwrap();
            spoil(&mut bytes);
            fs::write(&segment, bytes).unwrap();
        } else {
            fs::remove_file(&segment).unwrap();
        }
        // Only a look into it shows that a bit is wrong; the size of an object is seen anyway.
        if count == 2 {
            verify("").ended(1);
        }
        put(&rig, &format!("{count}.ldb"), "another");
        rig.run(&backup).ended(0);
        let newest = manifests(&store).pop().unwrap();
        is_what_lies_there(&rig, &newest);
        verify(newest["id"].as_str().unwrap()).ended(0);
        assert_eq!(manifests(&store).len(), count);
    }
}

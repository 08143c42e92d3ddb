//! `fleet snapshot` as a program, on a store that was filled before.

use assert_cmd::Command;
use serde_json::Value;

use super::world::{Tree, World, noise, small};

struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl World {
    /// Runs `fleet snapshot …` on the store, without a terminal.
    fn fleet(&self, args: &[&str]) -> Ran {
        let inventory = self.beside("inventory.toml");
        if !inventory.exists() {
            let text = include_str!("../../inventories/small.toml");
            std::fs::write(&inventory, format!("{text}\n[backup]\nstore = \"store\"\n[backup.keep]\nlast = 2\n"))
                .unwrap();
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_fleet"));
        command.env_clear().env("HOME", self.beside("home")).env("FLEET_INVENTORY", inventory).env("USER", "ops");
        let output = command.arg("snapshot").args(args).timeout(std::time::Duration::from_secs(120)).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ran { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Ran {
    fn says(&self, code: i32, parts: &[&str]) -> &Self {
        let all = format!("{}\n{}", self.out, self.err);
        assert_eq!(self.code, code, "{all}");
        for part in parts {
            assert!(all.contains(part), "no \"{part}\" in\n{all}");
        }
        self
    }

    fn json(&self) -> Value {
        assert_eq!(self.code, 0, "{}", self.err);
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }
}

fn files(first: u32) -> Tree {
    (first..first + 4).map(|n| (format!("data/{n}"), noise(n, 900))).collect()
}

fn three() -> World {
    let world = World::new();
    for (id, first) in [("01AA", 0), ("01AB", 2), ("01BB", 3)] {
        world.backup(&world.store, id, &files(first), small()).unwrap();
    }
    world
}

#[test]
fn they_are_listed_and_shown() {
    let world = three();
    let list = world.fleet(&["list"]);
    list.says(0, &["ID    MADE", "01AA  2026-02-08 14:00  val-1", "3.6 kB", "no"]);
    assert!(list.out.lines().all(|line| line.chars().count() <= 80), "{}", list.out);
    let rows = world.fleet(&["list", "-o", "json"]).json();
    assert_eq!(
        (rows[2]["id"].as_str(), rows[2]["parent"].as_str(), rows[2]["files"].as_u64()),
        (Some("01BB"), Some("01AB"), Some(4))
    );
    assert_eq!(world.fleet(&["list", "-o", "jsonl"]).out.lines().count(), 3);
    world.fleet(&["show", "latest"]).says(0, &["snapshot 01BB of val-1: data", "upon      01AB", "4 files, 3.6 kB"]);
    world.fleet(&["show", "01b"]).says(0, &["snapshot 01BB"]);
    world.fleet(&["show", "val-1:latest", "--files"]).says(0, &["data/6"]);
    let shown = world.fleet(&["show", "01AA", "--files", "-o", "json"]).json();
    assert_eq!(shown["file_list"][0]["path"], "data/0");
}

#[test]
fn an_id_that_is_wrong_says_what_to_write() {
    let world = three();
    world.fleet(&["show", "01A"]).says(2, &["2 snapshots begin with 01A", "next: write more of the id: 01AA, 01AB"]);
    world.fleet(&["show", "09"]).says(2, &["there is no snapshot \"09\"", "next: the newest are 01BB, 01AB, 01AA"]);
    world.fleet(&["show", "val-2:latest"]).says(2, &["no snapshot of val-2", "did you mean \"val-1\"?"]);
    world.fleet(&["list", "--store", "ftp://host/folder"]).says(2, &["s3://BUCKET/FOLDER", "doesn't speak ftp"]);
    world.fleet(&["list", "--store", "S3:/bucket"]).says(2, &["a bucket is written s3://BUCKET/FOLDER"]);
    world.fleet(&["copy", "ssh://host/folder"]).says(2, &["doesn't speak ssh"]);
    world.fleet(&["list", "--store", "/nowhere"]).says(2, &["there is no store at /nowhere", "next: "]);
    let home = world.beside("home");
    std::fs::create_dir(&home).unwrap();
    std::fs::write(home.join("letter"), "dear").unwrap();
    world.fleet(&["list", "--store", home.to_str().unwrap()]).says(2, &["isn't a store of fleet", "next: "]);
    world.fleet(&["verify", "--subset", "8/7"]).says(2, &["'8/7' is no part"]);
}

#[test]
fn two_are_compared() {
    let world = three();
    let found = world.fleet(&["diff", "01AA", "01AB"]);
    found.says(
        0,
        &["from 01AA to 01AB", "added    2 files, 1.8 kB\n  + data/4", "removed  2 files", "same     2 files"],
    );
    assert_eq!(world.fleet(&["diff", "01AA", "01AB", "-o", "json"]).json()["difference"]["same"], 2);
}

#[test]
fn what_is_damaged_is_told_and_exits_with_1() {
    let world = three();
    world.fleet(&["verify"]).says(0, &["sound: "]);
    world.fleet(&["list"]).says(0, &["3.6 kB  yes"]);
    assert!(world.fleet(&["list", "-o", "json"]).json()[0]["verified_ms"].is_i64());
    let name = world.files().into_iter().find(|name| name.starts_with("segments")).unwrap();
    std::fs::write(world.root().join(&name), "x").unwrap();
    let found = world.fleet(&["verify"]);
    found.says(1, &[name.as_str(), "its bytes", "  file data/", "needed by 01", "next: "]);
    let json: Value = serde_json::from_str(&world.fleet(&["verify", "-o", "json"]).out).unwrap();
    assert_eq!(json["flaws"][0]["object"], name.as_str());
    std::fs::write(world.root().join("manifests/01AB.json"), "{}").unwrap();
    world.fleet(&["list"]).says(1, &["01AB  can't be read"]);
    world.fleet(&["prune", "--yes"]).says(1, &["the manifest of 01AB can't be read", "next: nothing was removed"]);
}

#[test]
fn a_prune_tells_why_asks_and_removes() {
    let world = three();
    let before = world.files();
    let dry = world.fleet(&["prune", "--dry-run"]);
    dry.says(
        0,
        &[
            "01AA  2026-02-08 14:00  val-1  data  goes   no rule keeps it",
            "last 1 of 2",
            "1 snapshot to go, 2 to stay; ",
            " kB would be set aside",
        ],
    );
    world.fleet(&["prune"]).says(2, &["there is no terminal to ask on", "next: --yes"]);
    assert_eq!(world.files(), before);
    world.fleet(&["prune", "--keep-last", "1", "--yes"]).says(0, &["done: 2 snapshots removed; 3 segments"]);
    assert_eq!(world.run(world.store.ids()).unwrap().len(), 1);
    world.fleet(&["prune", "--keep-daily", "1", "--yes", "--grace", "1ms"]).says(0, &["done: 0 snapshots removed"]);
    assert!(!world.files().iter().any(|name| name.starts_with("quarantine")));
    assert_eq!(world.restored("01BB").unwrap(), files(3));
    let store = world.root().display().to_string();
    std::fs::write(world.beside("inventory.toml"), include_str!("../../inventories/small.toml")).unwrap();
    world.fleet(&["prune", "--store", &store]).says(2, &["no rule says which snapshots to keep", "next: "]);
    world.fleet(&["list"]).says(2, &["no store is named", "[backup] store"]);
}

#[test]
fn a_store_that_somebody_prunes_is_locked() {
    let world = three();
    // By the program's clock it must not have run out.
    let lease =
        r#"{"format":1,"purpose":"prune","owner":"ops@there","run":"01Z","since_ms":1,"until_ms":99999999999999}"#;
    std::fs::create_dir_all(world.root().join("locks")).unwrap();
    std::fs::write(world.root().join("locks/01Z.json"), lease).unwrap();
    for args in [&["verify"][..], &["prune", "--yes"], &["copy", "elsewhere"]] {
        world.fleet(args).says(75, &["ops@there holds it for a prune since 1970-01-01"]);
    }
    assert!(!std::path::Path::new("elsewhere").exists());
    world.fleet(&["list"]).says(0, &[]);
}

#[test]
fn they_are_copied() {
    let world = three();
    let to = world.beside("usb");
    let to = to.to_str().unwrap();
    world
        .fleet(&["copy", to, "01AA"])
        .says(0, &["done: 1 snapshot in ", "4 segments", "copied, 0 segments there already"]);
    world.fleet(&["copy", to]).says(0, &["3 segments (", "9 segments there already"]);
    world.fleet(&["verify", "--store", to]).says(0, &["sound: "]);
}

#[test]
fn what_is_sound_is_copied_though_other_snapshots_are_damaged() {
    let world = World::new();
    let only_of = |id: &str, first| world.backup(&world.store, id, &files(first), small()).unwrap().segments[0].place();
    let (missing, spoilt) = (only_of("01AA", 0), only_of("01AB", 10));
    only_of("01AC", 20);
    only_of("01BB", 30);
    std::fs::remove_file(world.root().join(&missing)).unwrap();
    let path = world.root().join(&spoilt);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[20] ^= 1;
    std::fs::write(path, bytes).unwrap();
    std::fs::write(world.root().join("manifests/01AC.json"), "{}").unwrap();
    let to = world.beside("usb");
    let to = to.to_str().unwrap();
    let (missing, spoilt) = (format!("{missing}: it is missing"), format!("{spoilt}: its bytes"));
    let parts =
        [&*missing, &*spoilt, "manifests/01AC.json: ", "needed by 01AB", "done: 1 of 4 snapshots in ", "next: "];
    world.fleet(&["copy", to]).says(1, &parts);
    world.fleet(&["list", "--store", to]).says(0, &["01BB"]);
    world.fleet(&["verify", "--store", to]).says(0, &["sound: ", "1 snapshot"]);
    let again: Value = serde_json::from_str(&world.fleet(&["copy", to, "-o", "json"]).out).unwrap();
    assert_eq!((&again["snapshots"], again["flaws"].as_array().map(Vec::len)), (&serde_json::json!(["01BB"]), Some(3)));
}

#[test]
fn a_copy_ends_where_the_other_store_fails() {
    let world = three();
    let to = world.beside("usb");
    world.fleet(&["copy", to.to_str().unwrap(), "01AA"]).says(0, &[]);
    std::fs::write(to.join("manifests/01AA.json"), "{}").unwrap();
    let other = ["manifests/01AA.json: ", "has another snapshot of this id", "done: 2 of 3 snapshots in "];
    world.fleet(&["copy", to.to_str().unwrap()]).says(1, &other);
    let store = world.failing(0, std::io::ErrorKind::StorageFull);
    let error = world.run(world.store.copy(&store, "01AB", &mut |_| ())).unwrap_err();
    assert!(error.message.contains("no space left"), "{error}");
}

#[test]
fn a_lost_manifest_is_damage_and_stops_a_prune() {
    let world = three();
    std::fs::remove_file(world.root().join("manifests/01AB.json")).unwrap();
    let before = world.files();
    let lost = "the manifest of 01AB is lost: manifests/01AB.json is";
    for args in [&["verify"][..], &["verify", "01ab"]] {
        world.fleet(args).says(1, &["manifests/01AB.json: ", lost, "needed by 01AB", "damaged: 1 object"]);
    }
    world.fleet(&["show", "01AB"]).says(1, &[lost]);
    world.fleet(&["verify", "01A"]).says(2, &["2 snapshots begin with 01A"]);
    world.fleet(&["list"]).says(1, &["01AA  2026", "01AB  can't be read", "01BB  2026"]);
    let next = ["next: bring it back", "remove manifests/01AB.sha256", "next: nothing was removed"];
    world.fleet(&["prune", "--yes"]).says(1, &[&[lost], &next[..]].concat());
    world.fleet(&["copy", world.beside("usb").to_str().unwrap()]).says(1, &[lost, "done: 2 of 3 snapshots in "]);
    let after: std::collections::BTreeSet<String> =
        world.files().into_iter().filter(|name| !name.starts_with("verified")).collect();
    assert_eq!(after, before);
    std::fs::remove_file(world.root().join("manifests/01AB.sha256")).unwrap();
    world.fleet(&["prune", "--yes"]).says(0, &["done: 0 snapshots removed"]);
    world.fleet(&["verify"]).says(0, &["sound: "]);
}

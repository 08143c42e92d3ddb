//! The tools that everybody has read what fleet writes, and fleet reads what they write.

use std::path::Path;
use std::process::{Command, Stdio};

use super::world::{Tree, World, archive_of, expected, noise, small};

/// Whether a tool is there; `scripts/test --install` installs them all.
fn has(tool: &str) -> bool {
    let found = Command::new(tool).arg("--help").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    assert!(found || std::env::var_os("CI").is_none(), "{tool} is missing");
    found
}

fn files() -> Tree {
    let mut files: Tree = (0..4).map(|n| (format!("data/{n}.ldb"), noise(n, 400))).collect();
    files.insert(format!("data/{}name", "long/".repeat(40)), noise(8, 300));
    files.insert("data/large".into(), noise(9, 2100));
    files
}

fn sh(script: &str, folder: &Path) {
    let status = Command::new("sh").args(["-euc", script]).current_dir(folder).status().unwrap();
    assert!(status.success(), "{script}");
}

#[test]
fn segments_are_read_without_fleet() {
    if !has("zstd") || !has("tar") {
        return;
    }
    let world = World::new();
    world.backup(&world.store, "01A", &files(), small()).unwrap();
    let out = world.beside("out");
    std::fs::create_dir(&out).unwrap();
    let script = r#"
        for segment in ../store/segments/*/*.tar.zst; do zstd -dc "$segment" | tar x --no-same-owner; done
        cat data/large.fleet-part-* >data/large
        rm data/large.fleet-part-*"#;
    sh(script, &out);
    for (path, bytes) in files() {
        assert_eq!(std::fs::read(out.join(&path)).unwrap(), bytes, "{path}");
    }
    assert_eq!(std::fs::read_dir(out.join("data")).unwrap().count(), files().len());
}

#[test]
fn keys_are_read_by_age_and_tar() {
    if !has("age") || !has("tar") {
        return;
    }
    let world = World::new();
    let out = world.beside("out");
    std::fs::create_dir(&out).unwrap();
    sh("for one in a b; do age-keygen -o ../$one 2>/dev/null; age-keygen -y ../$one; done >../readers", &out);
    let readers = std::fs::read_to_string(world.beside("readers")).unwrap();
    let readers: Vec<String> = readers.lines().map(str::to_owned).collect();
    let archive = std::io::Cursor::new(archive_of(&files()));
    world.store.encrypt(&readers, expected(&files()), vec![archive]).unwrap();
    for one in ["a", "b"] {
        let script = format!(
            "mkdir {one} && cd {one} && age -d -i ../../{one} ../../store/segments/*/*.tar.age | tar x --no-same-owner"
        );
        sh(&script, &out);
        for (path, bytes) in files() {
            assert_eq!(std::fs::read(out.join(one).join(&path)).unwrap(), bytes, "{path}");
        }
    }
}

#[test]
fn the_checksum_list_is_for_sha256sum() {
    if !has("sha256sum") {
        return;
    }
    let world = World::new();
    world.backup(&world.store, "01A", &files(), small()).unwrap();
    sh("sha256sum --quiet -c manifests/01A.sha256", &world.root());
    let path = world.root().join("manifests/01A.json");
    std::fs::write(&path, "{}").unwrap();
    sh("! sha256sum --quiet -c manifests/01A.sha256 2>/dev/null >&2", &world.root());
}

#[test]
fn the_tars_of_hosts_are_taken() {
    for tar in ["tar", "tar --format=posix", "tar --format=ustar", "busybox tar"] {
        let (program, _) = tar.split_once(' ').unwrap_or((tar, ""));
        if program == "busybox" && Command::new(program).stdout(Stdio::null()).status().is_err() || !has("tar") {
            continue;
        }
        let world = World::new();
        let host = world.beside("host");
        for (path, bytes) in files() {
            let path = host.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        for what in [".", "data"] {
            sh(&format!("{tar} -c -f ../host.tar {what}"), &host);
            let archive = std::fs::File::open(world.beside("host.tar")).unwrap();
            let taken = world.take(expected(&files()), archive).unwrap_or_else(|error| panic!("{tar}: {error}"));
            assert_eq!(taken.files.len(), files().len(), "{tar}");
        }
    }
}

//! The script that clones a node's databases: links made before the stop don't outlive what the node did until then.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Output};

const SCRIPTS: [&str; 3] = [
    include_str!("../../src/ssh/remote/common.sh"),
    include_str!("../../src/ssh/remote/wal.sh"),
    include_str!("../../src/ssh/remote/seal.sh"),
];

fn output(data: &Path, functions: &str) -> Output {
    let settings = format!(
        "home={1} db_dir={0} clone={0}/.fleet-1 state_file={0}/priv_validator_state.json wal_file={0}/cs.wal/wal copied=0",
        data.display(),
        data.parent().unwrap().display()
    );
    let script = format!("{}\n{settings}\n{functions}", SCRIPTS.join("\n"));
    Command::new("sh").arg("-c").arg(script).output().unwrap()
}

/// Runs the script's functions in a node's data folder.
fn call(data: &Path, functions: &str) {
    let done = output(data, functions);
    assert!(done.status.success(), "{functions}: {}", String::from_utf8_lossy(&done.stderr));
}

fn put(data: &Path, name: &str, text: &str) {
    let path = data.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// What is below a folder, by name, with its text and, of a table, its inode.
fn tree(folder: &Path) -> Vec<(String, String, u64)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(one) = folders.pop() {
        for entry in fs::read_dir(one).unwrap().map(Result::unwrap) {
            let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
            if name.starts_with('.') || name.starts_with("priv_validator_") || name == "cs.wal" || name == "LOCK" {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let inode =
                if path.extension().is_some_and(|end| end == "ldb") { entry.metadata().unwrap().ino() } else { 0 };
            let place = path.strip_prefix(folder).unwrap().display().to_string();
            found.push((place, fs::read_to_string(&path).unwrap(), inode));
        }
    }
    found.sort();
    found
}

#[test]
fn the_clone_is_what_was_there_when_the_node_stood_still() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    for (name, text) in [
        ("state.db/000001.ldb", "one"),
        ("state.db/000002.ldb", "two"),
        ("state.db/000003.ldb", "three"),
        ("state.db/a name.ldb", "odd"),
        ("state.db/000004.log", "journal"),
        ("state.db/LOCK", ""),
        ("priv_validator_state.json", "{}"),
        ("cs.wal/wal", "log"),
    ] {
        put(&data, name, text);
    }
    call(&data, "may_clone && link_tables");
    assert!(data.join(".fleet-1/state.db/000001.ldb").exists(), "nothing was linked before the stop");
    // The node goes on: a table goes, one gets another file of its name, one comes, and a database.
    fs::remove_file(data.join("state.db/000001.ldb")).unwrap();
    put(&data, "new", "two, again");
    fs::rename(data.join("new"), data.join("state.db/000002.ldb")).unwrap();
    put(&data, "state.db/000005.ldb", "five");
    put(&data, "state.db/000004.log", "another journal");
    put(&data, "late.db/000001.ldb", "late");
    call(&data, "clone_databases");
    let clone = data.join(".fleet-1");
    assert_eq!(tree(&clone), tree(&data));
    assert_eq!(fs::read_to_string(clone.join(".wal/wal")).unwrap(), "log");
    let marks: Vec<String> =
        fs::read_dir(&clone).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let known = |name: &&String| [".wal", ".sealed", ".stored"].contains(&name.as_str());
    assert!(marks.iter().filter(|name| name.starts_with('.')).all(|name| known(&name)), "{marks:?}");
    assert!(!clone.join("priv_validator_state.json").exists() && !clone.join("state.db/LOCK").exists());
}

#[test]
fn tables_that_are_in_the_store_are_named_and_not_linked() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    for name in ["1", "2", "3", "a name"] {
        put(&data, &format!("state.db/{name}.ldb"), name);
    }
    call(&data, r#"mkdir -p "$clone/.known"; cd "$db_dir"; tables -printf "$table" | sort -z >"$clone/.known/base""#);
    put(&data, "state.db/4.ldb", "four");
    call(&data, "may_clone && link_tables");
    // The node goes on: one goes, one gets another file of its name, one comes.
    fs::remove_file(data.join("state.db/1.ldb")).unwrap();
    put(&data, "new", "2");
    fs::rename(data.join("new"), data.join("state.db/2.ldb")).unwrap();
    put(&data, "state.db/5.ldb", "five");
    call(&data, "clone_databases");
    let clone = data.join(".fleet-1");
    let there: Vec<String> = tree(&clone).into_iter().map(|(name, ..)| name).collect();
    assert_eq!(there, ["state.db/2.ldb", "state.db/4.ldb", "state.db/5.ldb"]);
    let stored = fs::read_to_string(clone.join(".stored")).unwrap();
    let mut stored: Vec<&str> = stored.split_terminator('\0').collect();
    stored.sort_unstable();
    assert_eq!(stored, ["./state.db/3.ldb", "./state.db/a name.ldb"]);
    // What broke off is begun anew, and the list of what is in the store stays.
    fs::remove_file(clone.join(".sealed")).unwrap();
    call(&data, "drop_half");
    let left: Vec<_> = fs::read_dir(&clone).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, [".known"]);
}

#[test]
fn databases_without_the_applications_own_are_not_cloned() {
    let root = tempfile::tempdir().unwrap();
    let (data, store) = (root.path().join("data"), root.path().join("store"));
    put(&store, "state.db/CURRENT", "");
    put(&data, "application.db/CURRENT", "");
    call(&data, "may_clone");
    let done = output(&store, "may_clone");
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(!done.status.success() && said.contains("data/application.db is not in "), "{said}");
    // The same folder by another name.
    fs::remove_dir_all(&store).unwrap();
    std::os::unix::fs::symlink(&data, &store).unwrap();
    call(&store, "may_clone");
}

#[test]
fn what_would_be_copied_for_long_while_the_node_stands_still_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    put(&data, "state.db/all.bolt", "pages");
    let short = |bytes: u64, shares: &str| {
        output(&data, &format!("shares_blocks() {{ {shares}; }}\ncopied={bytes}\ncd \"$db_dir\" && is_short"))
    };
    assert!(short(4 << 30, "false").status.success() && short(5 << 30, "true").status.success());
    let done = short(5 << 30, "false");
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(
        !done.status.success() && said.contains("5368709120 bytes in ") && said.contains("halt the node first"),
        "{said}"
    );
}

/// A lock of a host: epoch and run, and whether it was released.
type Held = (u64, &'static str, bool);

/// A host's locks, and the settings of the script that go by them.
fn locks(root: &Path, held: &[Held]) -> String {
    for (epoch, run, released) in held {
        put(root, &format!("locks/{epoch}/run"), &format!("{run}\n"));
        if *released {
            put(root, &format!("locks/{epoch}/released"), "");
        }
    }
    let (locks, mark) = (root.join("locks"), root.join("mark"));
    format!("locks={} mark={} unit=node.service run=R epoch=3\nread_uptime\n", locks.display(), mark.display())
}

/// When the node may be started again: the locks, for how many seconds it stands still, and whether it may.
const AGAIN: [(&[Held], u64, bool); 5] = [
    (&[(2, "Q", true), (3, "R", false)], 1, true),
    (&[(2, "Q", true), (3, "R", false)], 290, true),
    (&[(2, "Q", true), (3, "R", false)], 302, false),
    (&[(3, "R", false), (10, "S", false)], 1, false),
    (&[(3, "R", true)], 1, false),
];

#[test]
fn the_host_starts_a_node_again_only_while_nobody_else_has_decided_and_for_five_minutes() {
    for (held, seconds, may) in AGAIN {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let settings = locks(root, held);
        put(root, "bin/systemctl", "#!/bin/sh\necho \"$*\" >>\"${0%/*}/called\"\n");
        Command::new("chmod").arg("+x").arg(root.join("bin/systemctl")).status().unwrap();
        // The shell that has stopped it is gone.
        let guard = r#"sh -c : & wait $!; sh -c "$guard" guard "$!" "$unit" "$mark" "$locks" "$epoch""#;
        let since = format!("echo $((uptime - {seconds})) >\"$mark\"");
        call(root, &format!("{settings}{since}\nPATH={}/bin:$PATH\n{guard}", root.display()));
        let called = fs::read_to_string(root.join("bin/called")).unwrap_or_default();
        let wanted = if may { "start --no-block node.service\n" } else { "" };
        assert_eq!((called.as_str(), root.join("mark").exists()), (wanted, !may), "{held:?} {seconds}");
        // The shell itself asks the same.
        let done = output(root, &format!("{settings}{since}\nmay_start_again"));
        assert_eq!(done.status.success(), may, "{held:?} {seconds}: {}", String::from_utf8_lossy(&done.stdout));
    }
}

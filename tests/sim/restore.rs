//! Databases come back from a snapshot, on simulated hosts.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::killed_clear::reboot;
use crate::rig::{Ran, Rig, eventually, small};

const DATABASES: [&str; 5] = ["application", "blockstore", "evidence", "state", "tx_index"];

/// A rig with a snapshot of the sentry's databases and one of its config in a store.
struct Kept {
    rig: Rig,
    store: PathBuf,
}

impl Kept {
    fn new() -> Self {
        let rig = Rig::new(&small());
        let store = rig.folder("store");
        let kept = Self { rig, store };
        kept.fleet("backup sentry-1 --profile config,data --facts-timeout 60s --yes").ended(0);
        kept
    }

    fn fleet(&self, words: &str) -> Ran {
        self.rig.run(&format!("{words} --store {}", self.store.display()))
    }

    fn data(&self, host: &str) -> PathBuf {
        self.rig.sim.host(host).join("home/data")
    }

    /// What is in the store below a folder.
    fn objects(&self, folder: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.store.join(folder)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { folders.push(path) } else { found.push(path) }
            }
        }
        found
    }

    fn is_held(&self, host: &str) -> bool {
        let root = self.rig.sim.host(host).join("root");
        let drop_in = root.join("etc/systemd/system/virtengined.service.d");
        root.join("var/lib/fleet/hold/virtengined.service").exists() || drop_in.exists()
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn nodes_get_a_sentrys_databases_sign_again_and_keep_their_old_ones_until_these_are_released() {
    let kept = Kept::new();
    let (rig, hosts) = (&kept.rig, ["val-3", "sentry-1"]);
    let before = rig.chain().signers;
    for host in hosts {
        fs::write(kept.data(host).join("state.db/mine"), "divergent").unwrap();
    }
    let pids = rig.pids();
    let plan = kept.fleet("restore latest val-3 sentry-1 --dry-run").ended(0).out;
    assert!(plan.contains("-sentry-1-data") && plan.contains("No key, no signer's state and no WAL"), "{plan}");
    assert_eq!(rig.pids(), pids, "a dry run restarts nothing");
    kept.fleet("restore latest val-3 sentry-1 --yes")
        .ended(0)
        .says("sentry-1,val-3 restored")
        .says("databases exchanged on 2 of 2");
    rig.is_well(&before, "restored");
    for (host, pid) in rig.pids() {
        assert_eq!(pid != pids[&host], hosts.contains(&host.as_str()), "{host}");
    }
    let run = rig.runs().pop().unwrap();
    for host in hosts {
        let data = kept.data(host);
        assert_eq!(names(&data.join("state.db")), ["000001.ldb", "CURRENT", "LOCK"], "{host}");
        let aside = data.join(format!("state.db.fleet-{run}"));
        assert_eq!(fs::read_to_string(aside.join("mine")).unwrap(), "divergent");
        assert!(!kept.is_held(host));
    }
    rig.run("restore release val-3 --yes").ended(0).says(&format!("run {run}: removed"));
    assert!(!names(&kept.data("val-3")).iter().any(|name| name.contains(".fleet-")));
    assert!(names(&kept.data("sentry-1")).contains(&format!("state.db.fleet-{run}")));
    rig.run("restore release val-3 --yes").ended(0).says("nothing is kept");
    rig.is_well(&before, "released");
}

#[test]
fn a_validator_whose_databases_are_wiped_signs_again_by_its_own_state() {
    let kept = Kept::new();
    let rig = &kept.rig;
    rig.ask("val-2", "systemctl stop virtengined");
    let before = rig.chain().signers;
    let state = fs::read(kept.data("val-2").join("priv_validator_state.json")).unwrap();
    let log = fs::read(kept.data("val-2").join("cs.wal/wal")).unwrap();
    for database in DATABASES {
        fs::remove_dir_all(kept.data("val-2").join(format!("{database}.db"))).unwrap();
    }
    // Nothing is touched where its key would stand alone.
    fs::rename(kept.data("val-2").join("priv_validator_state.json"), rig.folder("state.json")).unwrap();
    kept.fleet("restore sentry-1:latest val-2 --yes").ended(3).says("signer-pair");
    assert_eq!(names(&kept.data("val-2")), ["cs.wal"]);
    fs::copy(rig.folder("state.json"), kept.data("val-2").join("priv_validator_state.json")).unwrap();
    let started = kept.fleet("restore sentry-1:latest val-2 --yes").ended(0);
    rig.is_well(&before, &started.out);
    // It went on from there: an older snapshot takes nothing back.
    assert!(rig.chain().signers["val-2"] > before["val-2"]);
    assert_ne!(fs::read(kept.data("val-2").join("priv_validator_state.json")).unwrap(), state);
    assert!(fs::read(kept.data("val-2").join("cs.wal/wal")).unwrap().starts_with(&log));
    for database in DATABASES {
        let table = kept.data("val-2").join(format!("{database}.db/000001.ldb"));
        assert_eq!(fs::read_to_string(table).unwrap(), database);
    }
}

#[test]
fn a_store_that_is_damaged_or_none_stops_nothing() {
    let kept = Kept::new();
    let rig = &kept.rig;
    let (pids, files) = (rig.pids(), names(&kept.data("val-3")));
    let untouched = |what: &str| {
        assert_eq!(rig.pids(), pids, "{what}");
        assert_eq!(names(&kept.data("val-3")), files, "{what}");
        assert_eq!(rig.locked(), Vec::<String>::new(), "{what}");
    };
    kept.fleet("restore 01ZZZZ val-3 --yes").ended(2).says("there is no snapshot");
    let config = kept.objects("manifests").into_iter().find(|path| path.to_str().unwrap().ends_with("-config.json"));
    let config = config.unwrap().file_stem().unwrap().to_str().unwrap().to_owned();
    kept.fleet(&format!("restore {config} val-3 --yes")).ended(3).says("not of databases");
    rig.run(&format!("restore latest val-3 --yes --store {}", rig.folder("nowhere").display()))
        .ended(2)
        .says("there is no store");
    untouched("what isn't there");
    // A flipped bit is found before anything is sent.
    for segment in kept.objects("segments") {
        let whole = fs::read(&segment).unwrap();
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 1;
        fs::write(&segment, flipped).unwrap();
    }
    kept.fleet("restore latest val-3 --yes").ended(4).says("nothing was sent");
    untouched("a flipped bit");
    for segment in kept.objects("segments") {
        fs::remove_file(segment).unwrap();
    }
    kept.fleet("restore latest val-3 --yes").ended(1).says("is missing");
    for manifest in kept.objects("manifests") {
        fs::remove_file(manifest).unwrap();
    }
    kept.fleet("restore latest val-3 --yes").ended(2).says("there is no snapshot of databases");
    untouched("a lost segment, a lost manifest");
}

#[test]
fn a_killed_fleet_goes_on_where_it_was() {
    let kept = Kept::new();
    let rig = &kept.rig;
    let before = rig.chain().signers;
    for event in ["step_started", "locked", "firing"] {
        fs::write(kept.data("val-4").join("state.db/mine"), event).unwrap();
        let runs = rig.runs().len();
        let mut running = rig.start(&format!("restore latest val-4 --yes --store {}", kept.store.display()));
        eventually("its run", || rig.runs().len() > runs);
        rig.reached(event);
        running.child.kill().unwrap();
        running.child.wait().unwrap();
        rig.run("resume --yes").ended(0);
        rig.is_well(&before, event);
        assert!(!kept.data("val-4").join("state.db/mine").exists(), "{event}");
        assert!(!kept.is_held("val-4"), "{event}");
        rig.run("restore release val-4 --yes").ended(0);
    }
}

#[test]
fn a_reboot_in_the_middle_leaves_the_node_down_until_the_run_is_resumed() {
    let kept = Kept::new();
    let rig = &kept.rig;
    let before = rig.chain().signers;
    // The host stands still when it is about to set this one aside.
    let (here, mv) = (rig.folder("here"), rig.sim.host("val-3").join("bin/mv"));
    fs::write(&here, "").unwrap();
    let text = format!(
        "#!/bin/sh\nfor file; do\n\tcase $file in */state.db) [ ! -e {} ] || exec sleep 600 ;; esac\ndone\nexec /bin/mv \"$@\"\n",
        here.display()
    );
    fs::write(&mv, text).unwrap();
    fs::set_permissions(&mv, fs::Permissions::from_mode(0o755)).unwrap();
    let mut running = rig.start(&format!("restore latest val-3 --yes --store {}", kept.store.display()));
    let half = || names(&kept.data("val-3")).iter().any(|name| name.starts_with("evidence.db.fleet-"));
    eventually("half of it is exchanged", half);
    running.child.kill().unwrap();
    running.child.wait().unwrap();
    fs::remove_file(here).unwrap();
    reboot(rig, "val-3");
    assert_eq!((rig.active("val-3").as_str(), kept.is_held("val-3")), ("inactive", true));
    rig.run("restore release val-3 --yes").ended(4).says("fleet resume");
    rig.run("resume --yes").ended(0);
    rig.is_well(&before, "resumed");
    assert!(!kept.is_held("val-3"));
    rig.run("restore release val-3 --yes").ended(0);
}

#[test]
fn a_restore_that_was_left_is_not_resumed_once_another_has_come_in_between() {
    let kept = Kept::new();
    let rig = &kept.rig;
    let mut running = rig.start(&format!("restore latest val-4 --yes --store {}", kept.store.display()));
    eventually("its run", || rig.runs().len() > 1);
    rig.reached("step_started");
    running.child.kill().unwrap();
    running.child.wait().unwrap();
    let left = rig.runs().pop().unwrap();
    kept.fleet("restore latest val-4 --yes").ended(0);
    let pids = rig.pids();
    rig.run(&format!("resume {left} --yes")).ended(1).says("overtaken");
    assert_eq!(rig.pids(), pids);
}

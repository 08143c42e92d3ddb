//! What is kept of hosts beside their nodes, on simulated hosts: monitoring, a provider, databases, listed paths.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use fleet::sim::{Fault, Layout};
use serde_json::{Value, json};

use crate::rig::{Ran, Rig, small};

/// A validator, a monitoring host and a provider's, with a store.
struct Kept {
    rig: Rig,
    store: PathBuf,
}

impl Kept {
    fn new() -> Self {
        let rig = Rig::new(&Layout { hosts: Layout::with(&[10], 2).hosts, ..small() });
        let store = rig.folder("store");
        let kept = Self { rig, store };
        kept.without_node("sentry-1", "monitoring", "");
        let home = kept.at("sentry-2", "home/provider");
        let daemon = format!(
            "[[hosts.sentry-2.services]]\nname = \"daemon\"\nunit = \"provider.service\"\nhome = \"{}\"\n",
            home.display()
        );
        kept.without_node("sentry-2", "provider", &daemon);
        kept
    }

    /// Makes a host one that runs no node.
    fn without_node(&self, host: &str, role: &str, services: &str) {
        let text = fs::read_to_string(self.rig.sim.inventory()).unwrap();
        let (before, rest) = text.split_once(&format!("[hosts.{host}]\n")).unwrap();
        let (address, rest) = rest.split_once('\n').unwrap();
        let after = rest.split_once("\n[").map_or_else(String::new, |(_, after)| format!("[{after}"));
        let text = format!("{before}[hosts.{host}]\n{address}\nrole = \"{role}\"\n\n{services}\n{after}");
        fs::write(self.rig.sim.inventory(), text).unwrap();
    }

    fn append(&self, section: &str) {
        let text = fs::read_to_string(self.rig.sim.inventory()).unwrap();
        fs::write(self.rig.sim.inventory(), format!("{text}\n{section}\n")).unwrap();
    }

    fn at(&self, host: &str, path: &str) -> PathBuf {
        self.rig.sim.host(host).join(path)
    }

    fn write(&self, host: &str, path: &str, text: &str) -> PathBuf {
        let path = self.at(host, path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn backup(&self, words: &str) -> Ran {
        self.fleet(&format!("backup {words} --facts-timeout 60s"))
    }

    fn fleet(&self, words: &str) -> Ran {
        self.rig.run(&format!("{words} --store {}", self.store.display()))
    }

    /// The ids of all snapshots, the oldest first.
    fn ids(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.store.join("manifests")) else { return Vec::new() };
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut ids: Vec<String> = names.filter_map(|name| Some(name.strip_suffix(".json")?.to_owned())).collect();
        ids.sort();
        ids
    }

    fn manifest(&self, id: &str) -> Value {
        serde_json::from_slice(&fs::read(self.store.join(format!("manifests/{id}.json"))).unwrap()).unwrap()
    }
}

fn paths(manifest: &Value) -> Vec<String> {
    manifest["files"].as_array().unwrap().iter().map(|row| row[0].as_str().unwrap().to_owned()).collect()
}

/// What was left out, each with its reason.
fn left_out(manifest: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let all = manifest["left_out"].as_array().unwrap();
    all.iter().map(|one| (text(&one["path"]), text(&one["reason"]))).collect()
}

fn toml(paths: &[PathBuf]) -> String {
    let quoted: Vec<String> = paths.iter().map(|path| format!("{:?}", path.to_str().unwrap())).collect();
    format!("[{}]", quoted.join(", "))
}

/// Unpacks all segments of a store with plain tools.
fn unpacked(store: &Path, into: &Path) {
    fs::create_dir(into).unwrap();
    let script = "find \"$1\" -name '*.tar.zst' | while read -r one; do zstd -dc \"$one\" | tar -x -C \"$2\"; done";
    let status = Command::new("sh").args(["-c", script, "sh"]).arg(store.join("segments")).arg(into).status();
    assert!(status.unwrap().success());
}

#[test]
fn a_monitoring_host_is_kept_without_its_chain_being_asked() {
    let kept = Kept::new();
    let config = kept.write("sentry-1", "etc/prometheus/prometheus.yml", "scrape_configs: []\n");
    kept.write("sentry-1", "etc/prometheus/web.key", "secret");
    let data = kept.at("sentry-1", "var/prometheus");
    for file in ["01J1/index", "01J1/chunks/000001", "wal/00000001", "chunks_head/000001", "lock"] {
        kept.write("sentry-1", &format!("var/prometheus/{file}"), file);
    }
    let paths_of = [config.parent().unwrap().to_owned(), data, kept.at("sentry-1", "etc/grafana")];
    kept.append(&format!("[backup.monitoring]\npaths = {}\n\n[backup.keep]\nlast = 1", toml(&paths_of)));
    // No node is asked for anything.
    kept.rig.fault("val-1", Fault::Refuse(true));
    let plan = kept.backup("sentry-1 --dry-run").ended(0).out;
    assert!(plan.contains("backup of sentry-1, 1 host\n") && plan.contains("nothing is locked"), "{plan}");
    kept.backup("sentry-1 --yes").ended(0).says("1 snapshot");
    let first = kept.ids().pop().unwrap();
    let manifest = kept.manifest(&first);
    assert_eq!((&manifest["profile"], &manifest["service"]), (&"monitoring".into(), &"sentry-1".into()));
    assert_eq!(manifest["node"], Value::Null);
    let ends: Vec<bool> = ["prometheus/01J1/chunks/000001", "prometheus/01J1/index", "prometheus/prometheus.yml"]
        .iter()
        .map(|end| paths(&manifest).iter().any(|path| path.ends_with(end)))
        .collect();
    assert_eq!((ends, paths(&manifest).len()), (vec![true; 3], 3), "{:?}", paths(&manifest));
    for (end, why) in [
        ("/wal/00000001", "still being written"),
        ("/chunks_head/000001", "still being written"),
        ("/lock", "running Prometheus"),
        ("/web.key", "private key"),
        ("etc-grafana", "there is no"),
    ] {
        let all = left_out(&manifest);
        assert!(all.iter().any(|(path, reason)| path.ends_with(end) && reason.contains(why)), "{end}: {all:?}");
    }
    // The same again brings nothing, and everything that works on a store copes with it.
    kept.backup("sentry-1 --yes").ended(0).says("0 B of it new");
    let second = kept.ids().pop().unwrap();
    kept.fleet("snapshot list").ended(0).says("monitoring");
    kept.fleet(&format!("snapshot show {second} --files")).ended(0).says("while it was in use").says(".tar.zst");
    kept.fleet("snapshot verify").ended(0);
    kept.fleet(&format!("snapshot diff {first} {second}")).ended(0);
    let other = kept.rig.folder("other");
    kept.fleet(&format!("snapshot copy {} {second}", other.display())).ended(0);
    kept.fleet("snapshot prune --yes").ended(0);
    assert_eq!(kept.ids(), std::slice::from_ref(&second));
    kept.fleet(&format!("restore {second} val-1 --yes")).ended(3).says("zstd -dc SEGMENT | tar x");
    // Where there is nothing, that is told.
    for folder in ["etc/prometheus", "var/prometheus"] {
        fs::remove_dir_all(kept.at("sentry-1", folder)).unwrap();
    }
    kept.backup("sentry-1 --yes").ended(4).says("there is nothing at");
    assert_eq!(kept.ids(), [second]);
}

#[test]
fn listed_paths_and_a_providers_home_are_kept_of_any_host_while_it_runs() {
    let kept = Kept::new();
    let mut listed = Vec::new();
    for host in ["val-1", "sentry-2"] {
        for file in ["deploy.sh", "notes.tmp", "cache/a/b", "id_ed25519", "sub/x.sh"] {
            kept.write(host, &format!("ops/{file}"), file);
        }
        listed.extend([kept.at(host, "ops"), kept.write(host, "etc/one.conf", host)]);
    }
    let exclude = "exclude = [\"*.tmp\", \"cache/**\"]\nroles = [\"provider\"]";
    kept.append(&format!("[backup.profiles.scripts]\npaths = {}\n{exclude}", toml(&listed)));
    let pids = kept.rig.pids();
    kept.backup("val-1 --profile scripts --yes").ended(0).says("1 snapshot");
    assert_eq!(kept.rig.pids(), pids);
    let manifest = kept.manifest(&kept.ids()[0]);
    let names: Vec<String> = paths(&manifest).iter().map(|path| path.split_once('/').unwrap().1.to_owned()).collect();
    // All hosts are folders of one machine here, so each has the paths of both.
    assert_eq!(names, ["one.conf", "deploy.sh", "sub/x.sh", "one.conf", "deploy.sh", "sub/x.sh"]);
    let why = |end: &str| left_out(&manifest).into_iter().find(|(path, _)| path.ends_with(end)).map(|(_, why)| why);
    assert_eq!(why("/notes.tmp").as_deref(), Some("excluded"));
    assert_eq!(why("/cache/a").as_deref(), Some("excluded"));
    assert_eq!(why("/id_ed25519").as_deref(), Some("may hold a private key"));
    // Each file is where its root says.
    let row = &manifest["files"][0];
    let (root, name) = row[0].as_str().unwrap().split_once('/').unwrap();
    let place = Path::new(manifest["roots"][root].as_str().unwrap()).join(name);
    assert_eq!(fs::metadata(place).unwrap().len(), row[1].as_u64().unwrap());
    let folder = kept.rig.folder("unpacked");
    unpacked(&kept.store, &folder);
    assert_eq!(
        fs::read_to_string(folder.join(row[0].as_str().unwrap())).unwrap().len() as u64,
        row[1].as_u64().unwrap()
    );
    // What is usual for the role, beside a node of a chain.
    kept.write("sentry-2", "home/provider/provider.yaml", "bids: 5\n");
    kept.write("sentry-2", "home/provider/key.pem", "secret");
    let plan = kept.backup("all --dry-run").ended(0).out;
    assert!(plan.contains("backup of virtengine-1, 3 hosts"), "{plan}");
    kept.backup("sentry-2 --yes").ended(0).says("2 snapshots");
    let provider = kept.ids().into_iter().find(|id| id.ends_with("-sentry-2-daemon-provider")).unwrap();
    assert_eq!(paths(&kept.manifest(&provider)), ["home/provider.yaml"]);
    // A silent host may be missing; without it nothing is left.
    kept.rig.fault("sentry-2", Fault::Refuse(true));
    kept.backup("sentry-2 --yes --allow-missing sentry-2").ended(3).says("nothing-to-do");
    let missing = "--profile scripts --allow-missing sentry-2 --yes";
    kept.backup(&format!("sentry-2,val-1 {missing}")).ended(0).says("1 snapshot");
}

#[test]
fn a_file_that_is_written_all_the_time_comes_by_itself_and_never_half() {
    let kept = Kept::new();
    let log = kept.write("sentry-2", "home/provider/orders.log", "first\n");
    kept.write("sentry-2", "home/provider/provider.yaml", "bids: 5\n");
    let (tar, count) = (kept.at("sentry-2", "bin/tar"), kept.at("sentry-2", "count"));
    // It grows before so many of the archives, after it was hashed.
    let grows_before = |archives: usize| {
        let text = format!(
            "#!/bin/sh\ncase $* in *--create*)\necho >>{count}\n[ $(wc -l <{count}) -gt {archives} ] || echo more >>{log} ;;\n\
             esac\nexec /bin/tar \"$@\"\n",
            count = count.display(),
            log = log.display()
        );
        let _ = fs::remove_file(&count);
        fs::write(&tar, text).unwrap();
        fs::set_permissions(&tar, fs::Permissions::from_mode(0o755)).unwrap();
    };
    grows_before(1000);
    kept.backup("sentry-2 --profile provider --yes").ended(4).says("home/orders.log\" came with");
    assert_eq!(kept.ids(), Vec::<String>::new());
    grows_before(4);
    kept.backup("sentry-2 --profile provider --yes").ended(0).says("1 snapshot");
    let manifest = kept.manifest(&kept.ids()[0]);
    assert_eq!(paths(&manifest), ["home/orders.log", "home/provider.yaml"]);
    let folder = kept.rig.folder("unpacked");
    unpacked(&kept.store, &folder);
    assert_eq!(fs::read(folder.join("home/orders.log")).unwrap(), fs::read(&log).unwrap());
    kept.fleet("snapshot verify").ended(0);
}

#[test]
fn a_link_is_kept_as_text_and_the_next_snapshot_has_its_new_target() {
    let kept = Kept::new();
    for version in ["v1", "v2"] {
        kept.write("val-1", &format!("home/cosmovisor/upgrades/{version}/bin/virtengined"), version);
    }
    let folder = kept.at("val-1", "home/cosmovisor");
    symlink("upgrades/v1", folder.join("current")).unwrap();
    symlink("../config/node_key.json", folder.join("secret")).unwrap();
    let back_up = || {
        kept.backup("val-1 --profile cosmovisor --yes").ended(0);
        kept.ids().pop().unwrap()
    };
    let links = |id: &str| kept.manifest(id)["links"].clone();
    let first = back_up();
    assert_eq!(links(&first), json!([{ "path": "cosmovisor/current", "target": "upgrades/v1" }]));
    let why = ("cosmovisor/secret".to_owned(), "a symbolic link to a key or a signer's state".to_owned());
    assert_eq!(left_out(&kept.manifest(&first)), [why]);
    fs::remove_file(folder.join("current")).unwrap();
    symlink("upgrades/v2", folder.join("current")).unwrap();
    let second = back_up();
    assert_eq!(links(&second), json!([{ "path": "cosmovisor/current", "target": "upgrades/v2" }]));
    kept.fleet(&format!("snapshot show {second} --files")).ended(0).says("  cosmovisor/current -> upgrades/v2\n");
    let shown = kept.fleet(&format!("snapshot show {second} --files -o json")).ended(0).out;
    assert_eq!(serde_json::from_str::<Value>(&shown).unwrap()["link_list"], links(&second));
    let changed = "changed  1 symbolic link\n  ~ cosmovisor/current -> upgrades/v2, was upgrades/v1";
    kept.fleet(&format!("snapshot diff {first} {second}")).ended(0).says(changed);
    kept.fleet("snapshot verify").ended(0);
    kept.fleet(&format!("snapshot copy {} {second}", kept.rig.folder("other").display())).ended(0);
    let copy = fs::read(kept.rig.folder("other").join(format!("manifests/{second}.json"))).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&copy).unwrap()["links"], links(&second));
    // Segments hold none: who unpacks them makes the links.
    let unpacked_at = kept.rig.folder("unpacked");
    unpacked(&kept.store, &unpacked_at);
    assert!(unpacked_at.join("cosmovisor/upgrades/v2/bin/virtengined").is_file());
    assert!(!unpacked_at.join("cosmovisor/current").is_symlink());
    let said = "tar x, then ln -s -- upgrades/v2 cosmovisor/current; its segments";
    kept.fleet(&format!("restore {second} val-1 --yes")).ended(3).says(said);
    kept.fleet("snapshot prune --keep-last 1 --yes").ended(0);
    assert_eq!(kept.ids(), [second]);
}

#[test]
fn databases_are_dumped_whole_or_not_at_all() {
    let kept = Kept::new();
    kept.append("[backup.postgres]\ndatabases = [\"provider\", \"billing\"]\nuser = \"postgres\"");
    let pg_dump = |end: &str| {
        let program = kept.write("sentry-2", "bin/pg_dump", "");
        // 40 MB of SQL are two segments.
        let text = format!(
            "#!/bin/sh\necho \"-- $*\"\nn=1\n[ -e {big} ] && n=40000\nyes 'INSERT INTO t VALUES ({fill});' | head -n $n\n{end}\n",
            big = kept.at("sentry-2", "big").display(),
            fill = "x".repeat(1000)
        );
        fs::write(&program, text).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    };
    for (end, why) in [
        ("exit 1", "nothing was said"),
        ("echo 'pg_dump: error: no such db' >&2; exit 1", "no such db"),
        ("kill -9 $$", "exit 4"),
    ] {
        pg_dump(end);
        kept.backup("sentry-2 --profile postgres --yes").ended(4).says(why);
        assert_eq!(kept.ids(), Vec::<String>::new(), "{end}");
    }
    pg_dump("exit 0");
    kept.backup("sentry-2 --profile postgres --yes").ended(0).says("1 snapshot");
    let id = kept.ids().pop().unwrap();
    let manifest = kept.manifest(&id);
    assert_eq!(paths(&manifest), ["postgres/billing.sql", "postgres/provider.sql"]);
    assert_eq!((&manifest["streamed"], &manifest["node"]), (&true.into(), &Value::Null));
    let segments = manifest["segments"].as_array().unwrap().len();
    kept.fleet(&format!("snapshot show {id}")).ended(0).says("as it was received, only").says("pg_dumpall");
    kept.fleet(&format!("restore {id} val-1 --yes")).ended(3).says("psql");
    // The same dump is the same segments; a large one comes in pieces, and is put together again.
    kept.backup("sentry-2 --profile postgres --yes").ended(0);
    let again = kept.manifest(&kept.ids().pop().unwrap());
    assert_eq!((&again["segments"], segments), (&manifest["segments"], 2));
    fs::write(kept.at("sentry-2", "big"), "").unwrap();
    kept.backup("sentry-2 --profile postgres --yes").ended(0);
    let large = kept.manifest(&kept.ids().pop().unwrap());
    assert_eq!(large["files"][0][6].as_array().unwrap().len(), 2);
    kept.fleet("snapshot verify").ended(0);
    let folder = kept.rig.folder("unpacked");
    unpacked(&kept.store, &folder);
    let pieces =
        ["000000", "000001"].map(|n| fs::read(folder.join(format!("postgres/billing.sql.fleet-part-{n}"))).unwrap());
    assert!(pieces.concat().starts_with(b"-- --format=plain --no-password --dbname=billing\nINSERT"));
    assert_eq!(pieces.concat().len() as u64, large["files"][0][1].as_u64().unwrap());
}

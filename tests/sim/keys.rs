//! Keys are kept encrypted, and nowhere else, on simulated hosts.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use age::x25519::Identity;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::rig::{Ran, Rig, small};

const KEYRING: &[u8] = b"the secret of a keyring, long enough to be found";

/// A rig whose first validator has a keyring, and who can read what is kept of it.
struct Keys {
    rig: Rig,
    identities: [Identity; 2],
}

impl Keys {
    fn new() -> Self {
        let rig = Rig::new(&small());
        let keyring = rig.sim.host("val-1").join("home/keyring-test");
        fs::create_dir(&keyring).unwrap();
        fs::write(keyring.join("owner.info"), KEYRING).unwrap();
        fs::write(keyring.join("priv_validator_state.json"), "{}").unwrap();
        symlink("/etc/passwd", keyring.join("link")).unwrap();
        Self { rig, identities: [Identity::generate(), Identity::generate()] }
    }

    fn name_readers(&self) {
        let readers = self.identities.each_ref().map(|identity| identity.to_public().to_string());
        let mut inventory = fs::OpenOptions::new().append(true).open(self.rig.sim.inventory()).unwrap();
        write!(inventory, "\n[backup]\nrecipients = {readers:?}\n").unwrap();
    }

    fn store(&self) -> PathBuf {
        self.rig.folder("store")
    }

    fn fleet(&self, words: &str) -> Ran {
        self.rig.run(&format!("{words} --store {}", self.store().display()))
    }

    fn back_up(&self, words: &str) -> Ran {
        self.fleet(&format!("backup val-1 --profile keys --facts-timeout 60s -v {words}"))
    }

    fn home(&self, name: &str) -> Vec<u8> {
        fs::read(self.rig.sim.host("val-1").join("home").join(name)).unwrap()
    }

    /// Its private keys: as bytes, base64 and hex, the seed alone, too.
    fn secrets(&self) -> Vec<Vec<u8>> {
        let of = |name| {
            let json: Value = serde_json::from_slice(&self.home(name)).unwrap();
            let base64 = json["priv_key"]["value"].as_str().unwrap().to_owned();
            let raw = BASE64.decode(&base64).unwrap();
            let seed = BASE64.encode(&raw[..32]);
            [base64.as_bytes()[..40].to_vec(), seed[..40].into(), hex::encode(&raw[..32]).into(), raw[..32].to_vec()]
        };
        let files = [of("config/priv_validator_key.json"), of("config/node_key.json")];
        files.into_iter().flatten().chain([KEYRING.to_vec()]).collect()
    }
}

/// All files below a folder.
fn below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, mut files): (Vec<PathBuf>, Vec<PathBuf>) = entries.partition(|path| path.is_dir());
    files.extend(folders.iter().flat_map(|folder| below(folder)));
    files
}

/// What holds any of these bytes.
fn holding(folder: &Path, secrets: &[Vec<u8>]) -> Vec<PathBuf> {
    let holds = |path: &PathBuf| {
        let bytes = fs::read(path).unwrap_or_default();
        secrets.iter().any(|secret| bytes.windows(secret.len()).any(|window| window == secret))
    };
    below(folder).into_iter().filter(holds).collect()
}

/// What is in an object, for who can read it.
fn read(object: &Path, identity: &Identity) -> BTreeMap<String, Vec<u8>> {
    let age = age::Decryptor::new(fs::File::open(object).unwrap()).unwrap();
    let tar = age.decrypt(std::iter::once(identity as &dyn age::Identity)).unwrap();
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(tar).entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        files.insert(entry.path().unwrap().to_str().unwrap().to_owned(), bytes);
    }
    files
}

#[test]
fn keys_are_kept_for_who_can_read_them_and_are_nowhere_else() {
    let keys = Keys::new();
    let rig = &keys.rig;
    keys.back_up("--yes").ended(2).says("age-keygen");
    assert_eq!((rig.runs(), keys.store().exists()), (Vec::new(), false));
    keys.name_readers();
    let pids = rig.pids();
    keys.back_up("--dry-run").ended(0).says(&keys.identities[0].to_public().to_string()[..12]);
    keys.back_up("--yes").ended(0).says("1 snapshot");
    assert_eq!(rig.pids(), pids, "nothing stands still for it");
    assert_eq!(below(&keys.store().join("locks")), [""; 0].map(PathBuf::from), "its lease ends with it");

    let objects = below(&keys.store().join("segments"));
    assert_eq!(objects.len(), 1);
    assert!(objects[0].to_str().unwrap().ends_with(".tar.age"), "{objects:?}");
    let names = ["config/node_key.json", "config/priv_validator_key.json"];
    let mut wanted: BTreeMap<String, Vec<u8>> = names.map(|name| (name.to_owned(), keys.home(name))).into();
    wanted.insert("home/keyring-test/owner.info".into(), KEYRING.into());
    for identity in &keys.identities {
        assert!(read(&objects[0], identity) == wanted, "{:?}", read(&objects[0], identity).keys());
    }

    let secrets = keys.secrets();
    assert!(!holding(&rig.sim.host("val-1"), &secrets).is_empty(), "the search itself");
    assert_eq!(holding(&rig.folder(""), &secrets), [""; 0].map(PathBuf::from));
    let hashes: Vec<Vec<u8>> = wanted.values().map(|bytes| hex::encode(Sha256::digest(bytes)).into()).collect();
    assert_eq!(holding(&rig.folder(""), &hashes), [""; 0].map(PathBuf::from), "hashes tell of keys");
    let shown = keys.fleet("snapshot show latest --files").ended(0).says("encrypted by age for").out;
    assert!(shown.contains("priv_validator_state.json: the signer's state is never restored"), "{shown}");
    assert!(shown.contains("keyring-test/link: a symbolic link"), "{shown}");
}

#[test]
fn a_snapshot_of_keys_is_proven_compared_copied_and_pruned_but_never_restored() {
    let keys = Keys::new();
    let rig = &keys.rig;
    keys.name_readers();
    keys.back_up("--yes").ended(0);
    keys.back_up("--yes").ended(0);
    let list = keys.fleet("snapshot list").ended(0).out;
    let ids: Vec<&str> =
        list.lines().filter_map(|line| line.split(' ').next().filter(|id| id.ends_with("-keys"))).collect();
    assert_eq!(ids.len(), 2, "{list}");
    keys.fleet(&format!("snapshot diff {} {}", ids[0], ids[1])).ended(0).says("changed  3 files");
    keys.fleet("snapshot verify").ended(0).says("6 files");
    keys.fleet(&format!("snapshot copy {}", rig.folder("copy").display())).ended(0).says("2 segments");
    rig.run(&format!("snapshot verify --store {}", rig.folder("copy").display())).ended(0);

    let (pids, before) = (rig.pids(), keys.home("config/priv_validator_key.json"));
    let refused = keys.fleet(&format!("restore {} val-1 --yes", ids[0])).ended(3).says("age -d -i").says("signs twice");
    assert!(refused.err.contains(".tar.age | tar x"), "{}", refused.err);
    assert_eq!((rig.pids(), keys.home("config/priv_validator_key.json")), (pids, before));

    keys.fleet("snapshot prune --keep-last 1 --grace 1s --yes").ended(0).says("1 snapshot removed; 1 segment");
    keys.fleet("snapshot verify").ended(0);
    let object = below(&keys.store().join("segments")).pop().unwrap();
    let mut bytes = fs::read(&object).unwrap();
    let end = bytes.len() - 1;
    bytes[end] ^= 1;
    fs::write(&object, bytes).unwrap();
    keys.fleet("snapshot verify").ended(1).says("damaged: 1 object").says("config/node_key.json");
}

#[test]
fn a_key_that_is_only_linked_is_not_taken_for_one() {
    let keys = Keys::new();
    keys.name_readers();
    let file = keys.rig.sim.host("val-1").join("home/config/node_key.json");
    fs::rename(&file, file.with_extension("elsewhere")).unwrap();
    symlink("node_key.elsewhere", &file).unwrap();
    keys.back_up("--yes").ended(4).says("isn't a file of its own");
    assert!(!keys.store().join("segments").exists());
}

#[test]
fn a_key_or_a_signers_state_stays_out_whatever_its_file_is_called() {
    let rig = Rig::new(&small());
    let home = rig.sim.host("val-1").join("home");
    let key = fs::read(home.join("config/priv_validator_key.json")).unwrap();
    let state = "{\n  \"height\": \"7\",\n  \"round\": 0,\n  \"step\": 3\n}";
    let secret: [(&str, &[u8]); 6] = [
        ("config/-copy.json", &key),
        ("config/id", b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk"),
        ("config/write-file-atomic-0123", b""),
        ("config/state-copy", state.as_bytes()),
        ("data/key copy.json", &key),
        ("data/priv_validator_state.json.bak", state.as_bytes()),
    ];
    let plain: [(&str, &[u8]); 2] = [("config/notes.json", b"{\"pub_key\": 1}"), ("data/state.db/000009.log", &key)];
    for (name, bytes) in secret.into_iter().chain(plain) {
        fs::write(home.join(name), bytes).unwrap();
    }
    let store = rig.folder("store");
    rig.run(&format!("backup val-1 --profile config,data --facts-timeout 60s --yes --store {}", store.display()))
        .ended(0);
    let manifests = fs::read_dir(store.join("manifests")).unwrap().map(|entry| entry.unwrap().path());
    let manifests = manifests.filter(|path| path.extension().is_some_and(|end| end == "json"));
    let all: Vec<Value> = manifests.map(|path| serde_json::from_slice(&fs::read(path).unwrap()).unwrap()).collect();
    let rows = |list: &str, path: &dyn Fn(&Value) -> String| -> Vec<String> {
        all.iter().flat_map(|manifest| manifest[list].as_array().unwrap().iter().map(path)).collect()
    };
    let kept = rows("files", &|row| row[0].as_str().unwrap().to_owned());
    let out = rows("left_out", &|row| row["path"].as_str().unwrap().to_owned());
    for (name, _) in secret {
        assert!(!kept.contains(&name.to_owned()) && out.contains(&name.to_owned()), "{name}: {kept:?} {out:?}");
    }
    for (name, _) in plain {
        assert!(kept.contains(&name.to_owned()), "{name}: {kept:?}");
    }
}

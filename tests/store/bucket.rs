//! A store in a bucket of a server that speaks S3, on loopback.

use std::collections::BTreeSet;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use fleet::store::{Bucket, Objects, Part, Purpose, Put, Store, Times};

use super::world::{Tree, World, noise, sha256, small};

const STORE: &str = "s3://copies/fleet";

/// A server with an empty bucket.
struct Service {
    child: Child,
    address: String,
}

impl Service {
    fn start() -> Self {
        let mut command = Command::new("moto_server");
        command.args(["-H", "127.0.0.1", "-p", "0"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("moto_server is missing: scripts/test --install brings it");
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let address =
            said.find_map(|line| line.split_once("Running on ").map(|(_, address)| address.trim().to_owned()));
        // What it says of each request has to go somewhere.
        std::thread::spawn(move || said.for_each(drop));
        let service = Self { child, address: address.expect("it says where it listens") };
        service.ask("PUT", "", b"");
        service
    }

    /// A request without fleet; the answer's body.
    fn ask(&self, method: &str, name: &str, body: &[u8]) -> String {
        let host = self.address.trim_start_matches("http://");
        let mut stream = TcpStream::connect(host).unwrap();
        let length = body.len();
        write!(stream, "{method} /copies{name} HTTP/1.0\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n").unwrap();
        stream.write_all(body).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.split(' ').nth(1).is_some_and(|code| code.starts_with('2')), "{answer}");
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    fn environment(&self) -> [(String, String); 5] {
        [
            ("AWS_ENDPOINT_URL", self.address.as_str()),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "ops"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
    }

    fn bucket(&self, address: &str) -> Bucket {
        Bucket::at(address, self.environment().into_iter()).unwrap()
    }

    /// A store in the bucket.
    fn world(&self) -> World {
        World::in_objects(|_| Arc::new(self.bucket(STORE)))
    }

    /// `fleet snapshot …`, told of this service.
    fn fleet(&self, args: &[&str]) -> (Option<i32>, String) {
        let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_fleet"));
        command.env_clear().envs(self.environment()).env("HOME", "/nonexistent").arg("snapshot").args(args);
        let output = command.timeout(std::time::Duration::from_secs(120)).output().unwrap();
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        (output.status.code(), said)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn put(world: &World, bucket: &Bucket, name: &str, bytes: &[u8], how: Put) -> io::Result<()> {
    let mut file = bucket.stage().unwrap();
    file.write_all(bytes).unwrap();
    world.run(bucket.put(name, file, how))
}

fn read(world: &World, bucket: &Bucket, name: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    world.run(bucket.open(name))?.read_to_end(&mut bytes).map(|_| bytes)
}

fn files(first: u32) -> Tree {
    (first..first + 4).map(|n| (format!("data/{n}"), noise(n, 900))).collect()
}

#[test]
fn a_second_object_of_a_name_is_rejected_by_the_service() {
    let (service, world) = (Service::start(), World::new());
    let bucket = service.bucket("s3://copies/some/where/");
    assert!(world.run(bucket.is_empty()).unwrap());
    put(&world, &bucket, "locks/a.json", b"one", Put::New).unwrap();
    let second = put(&world, &bucket, "locks/a.json", b"two", Put::New).unwrap_err();
    assert_eq!(second.kind(), io::ErrorKind::AlreadyExists, "{second}");
    assert_eq!(read(&world, &bucket, "locks/a.json").unwrap(), b"one");
    put(&world, &bucket, "locks/a.json", b"three", Put::Replace).unwrap();
    assert_eq!(world.run(bucket.size("locks/a.json")).unwrap(), 5);
    put(&world, &service.bucket("s3://copies/some/whereelse"), "locks/b.json", b"", Put::New).unwrap();
    put(&world, &bucket, "locksmith", b"", Put::New).unwrap();
    world.run(bucket.rename("locks/a.json", "locks/c.json")).unwrap();
    let names: Vec<String> = world.run(bucket.list("locks")).unwrap().into_iter().map(|object| object.name).collect();
    assert_eq!(names, ["locks/c.json"]);
    world.run(bucket.remove("locks/c.json")).unwrap();
    let missing = read(&world, &bucket, "locks/c.json").unwrap_err();
    assert_eq!(missing.kind(), io::ErrorKind::NotFound, "{missing}");
    assert!(!world.run(bucket.is_empty()).unwrap());
}

#[test]
fn an_object_of_many_parts_comes_back_whole() {
    let (service, world) = (Service::start(), World::new());
    let bucket = service.bucket(STORE);
    let bytes = noise(1, 40 << 20);
    put(&world, &bucket, "segments/large", &bytes, Put::New).unwrap();
    assert_eq!(sha256(&read(&world, &bucket, "segments/large").unwrap()), sha256(&bytes));
    let second = put(&world, &bucket, "segments/large", &bytes[..20 << 20], Put::New).unwrap_err();
    assert_eq!(second.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(world.run(bucket.size("segments/large")).unwrap(), 40 << 20);
}

#[test]
fn what_is_kept_in_a_bucket_is_proven_found_damaged_pruned_and_brought_back() {
    let service = Service::start();
    let world = service.world();
    let first = world.backup(&world.store, "01A", &files(0), small()).unwrap();
    let second = world.backup(&world.store, "01B", &files(2), small()).unwrap();
    let verify =
        || world.run(world.store.verify(&world.run(world.store.ids()).unwrap(), Part::ALL, &mut |_| ())).unwrap();
    assert_eq!(verify().flaws, []);
    assert_eq!(world.restored("01B").unwrap(), files(2));

    let old = first.segments.iter().find(|one| !second.segments.contains(one)).unwrap();
    let name = format!("segments/{}/{}.tar.zst", &old.sha256[..2], old.sha256);
    put(&world, &service.bucket(STORE), &name, b"something else", Put::Replace).unwrap();
    let flaws = verify().flaws;
    assert_eq!(flaws.len(), 1, "{flaws:?}");
    assert_eq!(flaws[0].snapshots, ["01A"]);

    let hold = world.run(world.store.hold(Purpose::Prune, "ops@one", "01P")).unwrap();
    let locked = world.run(world.store.hold(Purpose::Backup, "ops@two", "01C")).map(drop).unwrap_err();
    assert!(locked.message.contains("ops@one holds it for a prune"), "{locked}");
    let times = Times { grace_ms: 1, pending_ms: 1 };
    world.run(world.store.prune(&hold, &BTreeSet::from(["01A".to_owned()]), times)).unwrap();
    world.run(hold.release());
    assert_eq!(verify().flaws, []);
    assert_eq!(world.run(world.store.ids()).unwrap(), BTreeSet::from(["01B".to_owned()]));

    let folder = world.beside("folder");
    let copy = world.run(Store::at_or_new(&folder)).unwrap();
    world.run(world.store.copy(&copy, "01B", &mut |_| ())).unwrap().unwrap();
    let ids = BTreeSet::from(["01B".to_owned()]);
    assert_eq!(world.run(copy.verify(&ids, Part::ALL, &mut |_| ())).unwrap().flaws, []);
}

#[test]
fn a_bucket_is_a_store_like_a_folder_on_the_command_line() {
    let service = Service::start();
    let world = World::new();
    world.backup(&world.store, "01A", &files(0), small()).unwrap();
    let folder = world.root();
    let (code, said) = service.fleet(&["copy", STORE, "--store", folder.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = service.fleet(&["verify", "--store", STORE]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = service.fleet(&["list", "--store", STORE]);
    assert!(code == Some(0) && said.contains("01A"), "{said}");
    let (code, said) = service.fleet(&["list", "--store", "s3://copies/elsewhere"]);
    assert!(code == Some(2) && said.contains("there is no store at s3://copies/elsewhere"), "{said}");
    let (code, said) = service.fleet(&["list", "--store", "s3://"]);
    assert!(code == Some(2) && said.contains("names no bucket"), "{said}");
    service.ask("PUT", "/other/file", b"x");
    let (code, said) = service.fleet(&["copy", "s3://copies/other", "--store", folder.to_str().unwrap()]);
    assert!(code == Some(2) && said.contains("isn't a store of fleet"), "{said}");
}

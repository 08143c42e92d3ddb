//! What is encrypted is what the host had said, for those who were named, or nothing.

use std::io::{Cursor, Read as _};

use age::x25519::Identity;
use fleet::store::LARGEST_ENCRYPTED;

use super::world::{Tree, World, archive_of, expected, noise, tree};

fn keys() -> Tree {
    tree([("config/node_key.json", b"secret"), ("home/keyring-test/a.info", &noise(3, 70_000))])
}

fn readers(identities: &[Identity]) -> Vec<String> {
    identities.iter().map(|identity| identity.to_public().to_string()).collect()
}

#[test]
fn each_of_those_who_were_named_can_read_it_and_nobody_else() {
    let world = World::new();
    let identities = [Identity::generate(), Identity::generate()];
    let streams = vec![Cursor::new(archive_of(&keys()))];
    let segment = world.store.encrypt(&readers(&identities), expected(&keys()), streams).unwrap();
    assert_eq!((segment.content_bytes, segment.is_encrypted()), (70_006, true));
    let object = std::fs::read(world.store.place_of(&segment)).unwrap();
    for identity in &identities {
        let tar = age::Decryptor::new(&object[..]).unwrap();
        let mut tar = tar.decrypt(std::iter::once(identity as &dyn age::Identity)).unwrap();
        let mut bytes = Vec::new();
        tar.read_to_end(&mut bytes).unwrap();
        assert!(bytes.windows(6).any(|window| window == b"secret"));
    }
    let other = Identity::generate();
    let tar = age::Decryptor::new(&object[..]).unwrap();
    assert!(tar.decrypt(std::iter::once(&other as &dyn age::Identity)).is_err());
}

#[test]
fn what_is_not_as_it_was_said_leaves_nothing_behind() {
    let world = World::new();
    let readers = readers(&[Identity::generate(), Identity::generate()]);
    let before = world.files();
    let other = tree([("config/node_key.json", b"secreT"), ("home/keyring-test/a.info", &noise(3, 70_000))]);
    let longer = tree([("config/node_key.json", b"secret "), ("home/keyring-test/a.info", &noise(3, 70_000))]);
    let fewer = tree([("config/node_key.json", b"secret")]);
    let mut more = keys();
    more.insert("home/more".into(), b"x".to_vec());
    let whole = archive_of(&keys());
    for (archive, what) in [
        (archive_of(&other), "other bytes than the host had said"),
        (archive_of(&longer), "another size"),
        (archive_of(&fewer), "did not come"),
        (archive_of(&more), "not asked for"),
        (whole[..2000].to_vec(), "ends before"),
    ] {
        let error = world.store.encrypt(&readers, expected(&keys()), vec![Cursor::new(archive)]).unwrap_err();
        assert!(error.message.contains(what), "{what}: {error}");
        assert_eq!(world.files(), before, "{what}");
    }
    let mut large = expected(&keys());
    for file in large.values_mut() {
        file.size = LARGEST_ENCRYPTED;
    }
    let error = world.store.encrypt(&readers, large, vec![Cursor::new(whole)]).unwrap_err();
    assert!(error.message.contains("more than keys have"), "{error}");
}

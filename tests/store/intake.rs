//! What a stream may be, and what of it is refused.

use std::io::{self, Read};

use fleet::store::{Cut, Expected};
use tar::{EntryType, Header};

use super::world::{Tree, World, archive, archive_of, batch, expected, noise, small, tree};

fn two() -> Tree {
    tree([("data/a.ldb", b"alpha"), ("data/b/000123.log", b"beta")])
}

/// A header and its content, whatever it is.
fn block(kind: EntryType, name: &str, content: &[u8]) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_size(content.len() as u64);
    header.set_mode(0o600);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn ended(mut archive: Vec<u8>) -> Vec<u8> {
    archive.extend([0; 1024]);
    archive
}

/// A PAX record: its length, a key and a value.
fn record(key: &str, value: &str) -> Vec<u8> {
    let rest = format!(" {key}={value}\n");
    let length = (1..9999).find(|length: &usize| *length == rest.len() + length.to_string().len()).unwrap();
    format!("{length}{rest}").into_bytes()
}

#[test]
fn what_was_asked_for_is_taken_and_comes_back() {
    let world = World::new();
    let mut files = two();
    files.insert("data/empty".into(), Vec::new());
    files.insert(format!("data/{}", "long/".repeat(60) + "name"), noise(1, 700));
    files.insert("data/-rf $(reboot);".into(), noise(2, 900));
    files.insert("data/large".into(), noise(3, 3500));
    world.backup(&world.store, "01A", &files, small()).unwrap();
    assert_eq!(world.restored("01A").unwrap(), files);
    assert!(!world.files().iter().any(|name| name.contains("partial/") || name.starts_with("pending/")));
}

#[test]
fn the_same_files_give_the_same_segments() {
    let (one, two_) = (World::new(), World::new());
    let first = one.backup(&one.store, "01A", &two(), small()).unwrap();
    let second = two_.backup(&two_.store, "01B", &two(), small()).unwrap();
    assert_eq!(first.segments, second.segments);
}

#[test]
fn files_that_are_known_are_not_streamed_again() {
    let world = World::new();
    let mut files = two();
    let first = world.backup(&world.store, "01A", &files, small()).unwrap();
    files.insert("data/c".into(), b"gamma".to_vec());
    let second = world.backup(&world.store, "01B", &files, small()).unwrap();
    assert_eq!(second.parent.as_deref(), Some("01A"));
    assert!(first.segments.iter().all(|segment| second.segments.contains(segment)));
    assert_eq!(world.restored("01B").unwrap(), files);
}

#[test]
fn folders_and_a_leading_dot_may_be_there() {
    let world = World::new();
    let mut bytes = block(EntryType::Directory, "./", b"");
    bytes.extend(block(EntryType::Directory, "./data/", b""));
    bytes.extend(block(EntryType::Regular, "./data/a", b"x"));
    let taken = world.take(expected(&tree([("data/a", b"x")])), ended(bytes).as_slice()).unwrap();
    assert_eq!(taken.files[0].path, "data/a");
}

#[test]
fn pax_may_give_a_path_and_nothing_else_that_matters() {
    let world = World::new();
    let asked = || expected(&tree([("data/é", b"x")]));
    let with = |records: &[u8]| {
        ended([block(EntryType::XHeader, "x", records), block(EntryType::Regular, "y", b"x")].concat())
    };
    let good = [record("mtime", "1.5"), record("path", "data/é")].concat();
    assert_eq!(world.take(asked(), with(&good).as_slice()).unwrap().files[0].path, "data/é");
    for (key, value) in [("size", "9"), ("linkpath", "/etc"), ("GNU.sparse.major", "1"), ("SCHILY.xattr.user.x", "y")] {
        let bad = with(&[record("path", "data/é"), record(key, value)].concat());
        let error = world.take(asked(), bad.as_slice()).unwrap_err();
        assert!(error.message.contains(key), "{error}");
    }
}

#[test]
fn anything_else_refuses_the_stream() {
    let world = World::new();
    let file = |name: &str, content: &[u8]| block(EntryType::Regular, name, content);
    let long = "x/".repeat(3000);
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (block(EntryType::Symlink, "data/a", b""), "a symbolic link"),
        (block(EntryType::Link, "data/a", b""), "a hard link"),
        (block(EntryType::Char, "data/a", b""), "a device"),
        (block(EntryType::Block, "data/a", b""), "a device"),
        (block(EntryType::Fifo, "data/a", b""), "a pipe"),
        (block(EntryType::GNUSparse, "data/a", b"x"), "a sparse file"),
        (block(EntryType::XGlobalHeader, "data/a", &record("path", "data/a")), "a global header"),
        (block(EntryType::GNULongLink, "data/a", b"x"), "a long link"),
        (block(EntryType::Continuous, "data/a", b"x"), "of an unknown kind"),
        (block(EntryType::new(b'M'), "data/a", b"x"), "of an unknown kind"),
        (block(EntryType::Directory, "data/", b"x"), "a folder with content"),
        (block(EntryType::Directory, "other/", b""), "was not asked for"),
        ([block(EntryType::Directory, "./", b""), block(EntryType::Directory, ".", b"")].concat(), "came twice"),
        (file("/data/a", b"x"), "an absolute path"),
        (file("data/../a", b"x"), "\"..\""),
        (file("data/a\nb", b"x"), "a control character"),
        (file("data//a", b"x"), "an empty part"),
        (file("data/b", b"x"), "was not asked for"),
        ([file("data/a", b"x"), file("data/a", b"x")].concat(), "came twice"),
        (file("data/a", b"xx"), "came with 2 bytes"),
        (file("data/a", b"y"), "other bytes than the host had said"),
        (
            [block(EntryType::GNULongName, "L", long.as_bytes()), file("data/a", b"x")].concat(),
            "an extended header of 6000",
        ),
        ([block(EntryType::XHeader, "x", &record("path", &long)), file("data/a", b"x")].concat(), "an extended header"),
        (
            [block(EntryType::GNULongName, "L", b"data/a"), block(EntryType::GNULongName, "L", b"data/a")].concat(),
            "two long",
        ),
        (block(EntryType::GNULongName, "L", b"data/a"), "ends in the middle"),
        (block(EntryType::XHeader, "x", b"99 path=x\n"), "PAX record"),
        (Vec::new(), "\"data/a\" did not come"),
    ];
    for (bytes, what) in cases {
        let error = world.take(expected(&tree([("data/a", b"x")])), ended(bytes).as_slice()).unwrap_err();
        assert!(error.message.contains(what), "{what}: {error}");
    }
    let mut name = block(EntryType::Regular, "data/a", b"x");
    name[5] = 0xff;
    assert!(
        world.take(expected(&two()), ended(name.clone()).as_slice()).unwrap_err().message.contains("wrong checksum")
    );
    let mut header = Header::from_byte_slice(&name[..512]).clone();
    header.set_cksum();
    name[..512].copy_from_slice(header.as_bytes());
    assert!(world.take(expected(&two()), ended(name).as_slice()).unwrap_err().message.contains("isn't UTF-8"));
    assert!(!world.files().iter().any(|name| name.starts_with("segments") || name.starts_with("partial")));
}

#[test]
fn a_stream_without_its_end_or_with_more_behind_it_is_refused() {
    let world = World::new();
    let files = two();
    let whole = archive_of(&files);
    for cut in [0, 1, 511, 512, 514, 600, 1024, 1100, 2048, 2500] {
        let error = world.take(expected(&files), &whole[..cut]).unwrap_err();
        let named = error.message.contains("data/a.ldb") || error.message.contains("000123.log") || cut >= 2048;
        assert!(error.message.contains("before its end marker") && named, "{cut}: {error}");
    }
    let error = world.take(expected(&files), [whole.as_slice(), b"more"].concat().as_slice()).unwrap_err();
    assert!(error.message.contains("follows the end"), "{error}");
    let endless = whole.as_slice().chain(io::repeat(0));
    assert!(world.take(expected(&files), endless).unwrap_err().message.contains("follows the end"));
}

#[test]
fn sizes_that_lie_need_no_memory() {
    let world = World::new();
    let mut header = Header::new_gnu();
    header.set_path("data/a").unwrap();
    header.set_size(u64::MAX / 4);
    header.set_cksum();
    let lie = Expected { size: u64::MAX / 4, mode: 0o600, mtime_ns: 0, inode: 1, sha256: "0".repeat(64) };
    let stream = header.as_bytes().as_slice().chain(&b"short"[..]);
    let error = world.take([("data/a".to_owned(), lie)].into(), stream).unwrap_err();
    assert!(error.message.contains("before its end marker"), "{error}");
}

#[test]
fn a_stream_that_was_cut_off_loses_one_segment_at_most() {
    let world = World::new();
    let files: Tree = (0..9).map(|n| (format!("data/{n}"), noise(n, 450))).collect();
    let whole = archive(&files.iter().collect::<Vec<_>>());
    // Two files fit into a segment; the seventh breaks off.
    let cut = whole[..6 * 1024 + 600].to_vec();
    let error =
        world.backup_from(&world.store, "01A", &files, small(), |_| Box::new(io::Cursor::new(cut))).unwrap_err();
    assert!(error.message.contains("\"data/6\""), "{error}");
    let records = world.run(world.store.pending()).unwrap();
    let mut kept: Vec<&str> = records.iter().flat_map(|one| &one.files).map(|file| file.path.as_str()).collect();
    kept.sort_unstable();
    assert_eq!(kept, ["data/0", "data/1", "data/2", "data/3", "data/4", "data/5"]);
    let mut streamed = 0;
    let count = |archive: Vec<u8>| -> Box<dyn Read> {
        streamed = archive.len();
        Box::new(io::Cursor::new(archive))
    };
    world.backup_from(&world.store, "01B", &files, small(), count).unwrap();
    assert_eq!(streamed, 3 * 1024 + 1024);
    assert_eq!(world.restored("01B").unwrap(), files);
    assert!(!world.files().iter().any(|name| name.starts_with("pending") || name.starts_with("partial")));
}

#[test]
fn a_full_store_is_named_and_nothing_is_committed() {
    let world = World::new();
    let files: Tree = (0..4).map(|n| (format!("data/{n}"), noise(n, 900))).collect();
    let mut committed = false;
    for after in 0..60 {
        let store = world.failing(after, io::ErrorKind::StorageFull);
        match world.backup(&store, "01A", &files, small()) {
            Ok(_) => {
                committed = true;
                break;
            }
            Err(error) => {
                assert!(error.message.contains("no space left"), "{after}: {error}");
                assert!(error.hints[0].contains("fleet snapshot prune"), "{error}");
            }
        }
        if world.files().contains("manifests/01A.json") {
            // The manifest was the last but for what is cleaned up.
            committed = true;
            break;
        }
    }
    assert!(committed);
    world.backup(&world.store, "01B", &files, small()).unwrap();
    assert!(!world.files().iter().any(|name| name.starts_with("partial")), "{:?}", world.files());
}

#[test]
fn an_id_that_is_a_path_is_refused() {
    let world = World::new();
    let store = &world.store;
    let error = store.take(&batch("../x"), Cut::default(), expected(&two()), io::empty(), &mut |_| ()).unwrap_err();
    assert!(error.message.contains("is no id"), "{error}");
    assert_eq!(world.run(store.manifest("../x")).unwrap_err().kind.exit_code(), 2);
}

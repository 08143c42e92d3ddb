use super::*;

fn file(path: &str, size: u64, segments: &[u32]) -> FileEntry {
    let sha256 = format!("{size:064x}");
    FileEntry { path: path.into(), size, mode: 0o600, mtime_ns: 1, inode: 2, sha256, segments: segments.into() }
}

fn segment(number: u64, content_bytes: u64) -> SegmentEntry {
    SegmentEntry { sha256: format!("{number:064x}"), bytes: 10, content_bytes, recipients: Vec::new() }
}

fn manifest(files: Vec<FileEntry>) -> Manifest {
    Manifest {
        format: FORMAT,
        id: "01JD7QK3V8ZPABCD".into(),
        parent: None,
        made_ms: 1,
        host: "val-1".into(),
        service: "val-1".into(),
        profile: "data".into(),
        sealed: true,
        down_ms: Some(900),
        node: None,
        streamed: false,
        roots: [("data".to_owned(), "/var/lib/x/data".to_owned())].into(),
        files,
        folders: vec![FolderEntry { path: "data".into(), mode: 0o700, mtime_ns: 0 }],
        links: Vec::new(),
        left_out: Vec::new(),
        segments: vec![segment(1, 100), segment(2, 50)],
    }
}

#[test]
fn a_manifest_is_read_as_it_was_written_and_its_files_are_rows() {
    let written = manifest(vec![file("data/a", 60, &[0]), file("data/b", 150, &[0, 1]), file("data/c", 0, &[])]);
    let json = serde_json::to_string(&written).unwrap();
    assert!(json.contains(r#"["data/a",60,384,1,2,""#), "{json}");
    assert_eq!(Manifest::read(json.as_bytes()).unwrap(), written);
    let summary = Summary::read(json.as_bytes()).unwrap();
    assert_eq!(summary, Summary::from(&written));
    assert_eq!((summary.files.count, summary.files.bytes, summary.stored_bytes()), (3, 210, 20));
}

#[test]
fn another_format_is_refused_before_its_fields_are_looked_at() {
    for read in [|json: &[u8]| Manifest::read(json).unwrap_err(), |json: &[u8]| Summary::read(json).unwrap_err()] {
        assert!(read(br#"{"format":2,"files":"none"}"#).message.contains("format 2"));
        assert!(read(b"[]").message.contains("not readable"));
    }
}

#[test]
fn one_that_contradicts_itself_is_refused() {
    let of = |files: Vec<FileEntry>| manifest(files).check().unwrap_err().message;
    assert!(of(vec![file("data/a", 1, &[]), file("data/a", 1, &[0])]).contains("twice"));
    assert!(of(vec![file("data", 1, &[0])]).contains("twice"));
    assert!(of(vec![file("data/a", 1, &[2])]).contains("isn't listed"));
    assert!(of(vec![file("data/a", 1, &[])]).contains("in no segment"));
    assert!(of(vec![file("data/a", 0, &[0])]).contains("empty"));
    assert!(of(vec![file("data/a", 101, &[0])]).contains("larger"));
    assert!(of(vec![file("data/a", 149, &[0, 1])]).contains("pieces"));
    assert!(of(vec![file("other/a", 1, &[0])]).contains("no root"));
    let mut id = manifest(Vec::new());
    id.id = "../x".into();
    assert!(id.check().unwrap_err().message.contains("no id"));
    let mut name = manifest(Vec::new());
    name.segments[0].sha256 = "../../etc/passwd".into();
    assert!(name.check().unwrap_err().message.contains("no segment"));
}

fn linked(links: &[(&str, &str)]) -> Manifest {
    let link = |(path, target): &(&str, &str)| LinkEntry { path: (*path).into(), target: (*target).into() };
    Manifest { links: links.iter().map(link).collect(), ..manifest(vec![file("data/a/b", 1, &[0])]) }
}

#[test]
fn links_are_written_only_where_there_are_any() {
    let without = serde_json::to_string(&linked(&[])).unwrap();
    assert!(!without.contains("links"), "{without}");
    assert_eq!(Manifest::read(without.as_bytes()).unwrap(), linked(&[]));
    let with = linked(&[("data/current", "/../x y"), ("data/up", "..")]);
    let json = serde_json::to_string(&with).unwrap();
    assert_eq!(Manifest::read(json.as_bytes()).unwrap(), with);
    assert_eq!(Summary::read(json.as_bytes()).unwrap(), Summary::from(&with));
}

#[test]
fn a_link_that_could_do_harm_is_refused() {
    let long = "x".repeat(4097);
    for (links, why) in [
        (&[("data/l", "")][..], "to nothing"),
        (&[("data/l", "a\nb")], "control character"),
        (&[("data/l", &long)], "4096"),
        (&[("data/../l", "a")], "\"..\""),
        (&[("/etc/l", "a")], "absolute"),
        (&[("other/l", "a")], "no root"),
        (&[("data/l", "a"), ("data/l", "b")], "twice"),
        (&[("data/a/b", "a")], "twice"),
        (&[("data", "a")], "below a symbolic link"),
        (&[("data/a", "/etc")], "below a symbolic link: \"data/a/b\""),
    ] {
        let error = linked(links).check().unwrap_err().message;
        assert!(error.contains(why), "{links:?}: {error}");
    }
}

#[test]
fn links_differ_by_path_and_target() {
    let first = linked(&[("data/z", "1"), ("data/gone", "1"), ("data/same", "1")]);
    let second = linked(&[("data/same", "1"), ("data/new", "1"), ("data/z", "2")]);
    let found = diff(&first, &second);
    let link = |path: &str| LinkEntry { path: path.into(), target: "1".into() };
    assert_eq!((&found.links.added, &found.links.removed), (&vec![link("data/new")], &vec![link("data/gone")]));
    let changed = ChangedLink { path: "data/z".into(), from: "1".into(), to: "2".into() };
    assert_eq!((found.links.changed, found.same), (vec![changed], 1));
    assert_eq!(diff(&second, &second).links, Links::default());
}

#[test]
fn paths_that_could_do_harm_have_a_flaw() {
    let long = "x/".repeat(2049);
    for path in
        ["", "/etc/passwd", "a/../b", "..", "a//b", "./a", "a/", "a\nb", "a\u{7f}", "a.fleet-part-000001", &long]
    {
        assert!(path_flaw(path).is_some(), "{path}");
    }
    for path in ["a", "a/b", "a/...", "-rf", "$(reboot)", "é", "a.fleet-part-x", "a\\b"] {
        assert_eq!(path_flaw(path), None, "{path}");
    }
}

#[test]
fn two_snapshots_differ_by_path_and_content() {
    let first = manifest(vec![file("data/a", 1, &[0]), file("data/b", 2, &[0]), file("data/c", 3, &[0])]);
    let second = manifest(vec![file("data/d", 9, &[0]), file("data/c", 4, &[0]), file("data/a", 1, &[1])]);
    let found = diff(&first, &second);
    assert_eq!((found.added.paths, found.added.bytes), (vec!["data/d".to_owned()], 9));
    assert_eq!((found.removed.paths, found.removed.bytes), (vec!["data/b".to_owned()], 2));
    assert_eq!((found.changed.paths, found.changed.bytes), (vec!["data/c".to_owned()], 4));
    assert_eq!((found.same, found.same_bytes), (1, 1));
}

#[test]
fn a_segment_lies_by_its_hash_and_what_it_is() {
    let mut segment = SegmentEntry { sha256: "ab01".into(), bytes: 1, content_bytes: 1, recipients: Vec::new() };
    assert_eq!(segment.place(), "segments/ab/ab01.tar.zst");
    segment.recipients = vec!["age1".into()];
    assert_eq!(segment.place(), "segments/ab/ab01.tar.age");
}

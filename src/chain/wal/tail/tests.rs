use super::super::corpus::{HALTED, TIME, TRUNCATED};
use super::super::proto::{BlockPart, Inner, Message, Part, Proof};
use super::super::record::{self, end_height, from_peer};
use super::*;

const LIMIT: u64 = 64 << 20;

const WINDOW: usize = MARGIN + 256 * 1024;

/// Reads a log as a host would send it; gives the result and the bytes that were sent.
fn fetch(files: &[(&str, &[u8])], committed: Option<u64>, limit: u64) -> (Step, u64) {
    let listed =
        files.iter().map(|(name, bytes)| Listed { name: (*name).into(), size: bytes.len() as u64, modified_s: 0 });
    let group = Group::new("wal", &listed.collect::<Vec<_>>());
    let (mut window, mut sent) = (Window::default(), 0);
    loop {
        match group.step(&window, committed, limit) {
            Step::Read(stretch) => {
                let bytes = files.iter().find(|(name, _)| *name == stretch.file).unwrap().1;
                let (from, length) =
                    (usize::try_from(stretch.offset).unwrap(), usize::try_from(stretch.length).unwrap());
                assert!(length > 0);
                sent += stretch.length;
                window.prepend(bytes[from..from + length].to_vec());
            }
            step => return (step, sent),
        }
    }
}

fn log(step: Step) -> Log {
    match step {
        Step::Enough(log) => log,
        step => panic!("{step:?}"),
    }
}

/// A record with a block part that holds `bytes`.
fn part(bytes: Vec<u8>) -> record::Record {
    let proof = Some(Proof { total: 1, index: 0, leaf_hash: vec![0; 32], aunts: Vec::new() });
    let part = Part { index: 0, bytes, proof };
    let inner = Inner::BlockPart(BlockPart { height: 1, round: 0, part: Some(part) });
    record::Record { offset: 0, message: from_peer(Message { sum: Some(inner) }, "peer".into(), TIME) }
}

/// Records without a height's end, of so many bytes and a bit: large ones, which read fast.
fn filler(size: usize) -> Vec<u8> {
    let mut record = Vec::new();
    record::write(&mut record, &part(vec![0; 50_000]).message).unwrap();
    record.repeat(size.div_ceil(record.len()))
}

#[test]
fn a_group_is_its_chunks_and_its_head() {
    let names = ["wal", "wal.001", "wal.1000", "wal.000", "wal.CORRUPTED", "wal.01", "wall.002", "wal.bak.003"];
    let listed: Vec<_> = names.iter().map(|name| Listed { name: (*name).into(), size: 1, modified_s: 0 }).collect();
    let group = Group::new("wal", &listed);
    let files: Vec<_> = group.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(files, ["wal.000", "wal.001", "wal.1000", "wal"]);
    assert_eq!(group.size(), 4);
}

#[test]
fn a_small_log_is_read_whole() {
    let (step, sent) = fetch(&[("wal", HALTED[1])], Some(2), LIMIT);
    assert_eq!(log(step), Log::whole([HALTED[1]]));
    assert_eq!(sent, HALTED[1].len() as u64);
    let (step, _) = fetch(&[("wal.000", HALTED[1]), ("wal", b"")], Some(2), LIMIT);
    assert_eq!(log(step), Log::whole([HALTED[1], b""]));
    let (step, sent) = fetch(&[], None, LIMIT);
    assert_eq!((step, sent), (Step::Enough(Log::whole([b"".as_slice()])), 0));
}

#[test]
fn of_a_large_log_only_the_end_is_read() {
    let (older, mut head) = (filler(1 << 20), filler(4 << 20));
    head.extend_from_slice(HALTED[1]);
    let files = [("wal.000", older.as_slice()), ("wal", head.as_slice())];
    let (step, sent) = fetch(&files, Some(2), LIMIT);
    let whole = Log::whole([older.as_slice(), head.as_slice()]);
    let tail = log(step);
    assert!(sent < 2 << 20, "{sent}");
    assert_eq!(tail.replay(3, 1), {
        let mut expected = whole.replay(3, 1);
        let moved = whole.bytes().len() - tail.bytes().len();
        expected.records.iter_mut().for_each(|record| record.offset -= moved);
        expected
    });
    assert!(whole.bytes().ends_with(tail.bytes()));
}

#[test]
fn damage_has_the_whole_head_read() {
    let mut head = filler(3 << 20);
    head.extend_from_slice(TRUNCATED);
    let (step, sent) = fetch(&[("wal", &head)], Some(2), LIMIT);
    assert_eq!(sent, head.len() as u64);
    assert!(matches!(log(step).replay(3, 1).outcome, Outcome::Repaired(_)));
}

#[test]
fn memory_is_bounded() {
    let head = filler(5 << 20);
    let (step, sent) = fetch(&[("wal", &head)], Some(2), 4 << 20);
    assert_eq!(step, Step::TooLong);
    assert_eq!(sent, 4 << 20);
}

/// A transaction can hold a record, here one that ends height 99 where its block part ends.
#[test]
fn a_record_inside_a_block_part_is_not_believed() {
    let mut forged = Vec::new();
    record::write(&mut forged, &end_height(99, TIME)).unwrap();
    let mut genuine = Vec::new();
    record::write(&mut genuine, &part(forged.repeat(1000)).message).unwrap();
    let inside = genuine.windows(forged.len()).position(|bytes| bytes == forged).unwrap();
    let mut end = filler(WINDOW - 2000 - HALTED[1].len());
    end.extend_from_slice(HALTED[1]);
    let begin = genuine.len() + end.len() - WINDOW;
    assert!(begin > inside, "the window begins in the part");
    let head = [filler(1 << 20), genuine, end].concat();
    let tail = log(fetch(&[("wal", &head)], None, LIMIT).0);
    let ends: Vec<_> = Decoder::new(tail.bytes()).filter_map(|next| next.unwrap().end_height()).collect();
    assert_eq!(ends, [0, 1, 2]);
}

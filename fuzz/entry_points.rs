//! What is fuzzed, and what must hold for any bytes at all. A panic is a finding.

use fleet::chain::wal::collect::{Collected, Collector};
use fleet::chain::wal::facts;
use fleet::chain::wal::proto::{Message, Timestamp};
use fleet::chain::wal::record::{self, Decoder, End, HEADER};
use fleet::chain::wal::replay::{Log, Outcome};
use fleet::chain::wal::signed;
use fleet::chain::wal::tail::{Group, Listed, Step, Window};
use fleet::chain::wal::validators::{Key, Validator, Validators};
use fleet::chain::wal::view::View;
use fleet::chain::wal::write;
use prost::Message as _;

const TIME: Timestamp = Timestamp { seconds: 1_795_000_000, nanos: 0 };

/// The validators of `tests/corpus/wal/halted`.
pub fn validators() -> Validators {
    let validator = |(address, key, power): (&str, &str, u64)| Validator {
        address: address.into(),
        key: Key::new("tendermint/PubKeyEd25519", key).expect("a key"),
        power,
    };
    let list = [
        ("3B22EE020A3FBFC1909255FC5BBECCEC3EDC6275", "mTVvPFKEvwTicKex//4n8+pN4haWoWzvtp1z1r3JYD8=", 40),
        ("2D9A4C7669AB7483CA7E98013B7867A67C4E1AA8", "+ElI2Og0LB47eITO6FlZ9G9gb3BZUr9aP1FfI3oMcMw=", 30),
        ("EDC5EBC68C25258449F2E550EF56F46EF078DEBF", "JJ5PavgG90mWlhXkV2LVqb0i8g3x1/U5hhYnM9wY5Rs=", 20),
        ("E03C7114A7A9EDDAF557D9CD459BEDFFB39023DE", "LwmhCLUEBQZLzC9cgT+8KW8hlRiqbhJ9cFPBkhy/gPY=", 10),
    ];
    Validators::new("corpus-halted", list.map(validator).to_vec())
}

/// A log: reading ends, in order, and what is written of it reads the same.
pub fn wal_records(bytes: &[u8]) {
    let (records, end) = record::read(bytes);
    let offsets: Vec<usize> = records.iter().map(|record| record.offset).collect();
    assert!(offsets.windows(2).all(|pair| pair[0] + HEADER < pair[1]));
    assert!(end != End::Clean || Decoder::new(bytes).all(|next| next.is_ok()));
    let mut again = Vec::new();
    for record in &records {
        record::write(&mut again, &record.message).expect("it was small enough");
    }
    let messages = |records: &[record::Record]| records.iter().map(|record| record.message.clone()).collect::<Vec<_>>();
    assert_eq!(messages(&record::read(&again).0), messages(&records));
    let log = Log::whole([bytes]);
    let view = View::of(&log);
    for height in view.last_end_height.into_iter().flat_map(|height| [height, height.saturating_add(1)]) {
        let replay = log.replay(height, 1);
        assert!(replay.records.is_empty() || matches!(replay.outcome, Outcome::Whole | Outcome::Repaired(_)));
        assert!(replay.records.iter().all(|record| view.records.contains(record)));
        let validators = validators();
        let given = facts::replay("node", None, &replay.records, &validators, height).messages;
        let mut collector = Collector::new(&validators, height);
        collector.add_records("log", &replay.records);
        let all = collector.finish().messages;
        assert!(given.votes.is_subset(&all.votes));
        assert!(given.blocks.iter().all(|(_, block)| all.blocks.iter().any(|(_, known)| known == block)));
        assert!(write::short(height, 1, &replay.records, None, TIME).is_ok());
    }
    let group = Group::new("wal", &[Listed { name: "wal".into(), size: bytes.len() as u64, modified_s: 0 }]);
    let mut window = Window::default();
    if !bytes.is_empty() {
        assert!(matches!(group.step(&window, None, u64::MAX), Step::Read(_)));
        window.prepend(bytes.to_vec());
    }
    assert_eq!(group.step(&window, None, u64::MAX), Step::Enough(log));
}

/// A signer's state file: what it gives is verified.
pub fn signer_state(bytes: &[u8]) {
    let validators = validators();
    let text = String::from_utf8_lossy(bytes);
    for validator in validators.list() {
        if let Ok(Some(signed)) = signed::last(&text, &validator.address, &validators) {
            let height = u64::try_from(signed.height()).expect("a height");
            let collected = collect(&validators, height, &signed.message());
            assert_eq!(collected.left_out, []);
        }
    }
}

/// A consensus message: it is left out, or written and read again as it was.
pub fn votes(bytes: &[u8]) {
    let Ok(message) = Message::decode(bytes) else { return };
    let validators = validators();
    let collected = collect(&validators, 3, &message);
    let log = write::union(3, 1, &collected.rounds, TIME).expect("it was small enough");
    let replay = Log::whole([log.as_slice()]).replay(3, 1);
    assert_eq!(replay.outcome, Outcome::Whole);
    let given = facts::replay("node", None, &replay.records, &validators, 3).messages;
    assert!(given.votes.is_subset(&collected.messages.votes) && given.blocks == collected.messages.blocks);
    let mut again = Collector::new(&validators, 3);
    again.add_records("log", &replay.records);
    assert_eq!(again.finish().rounds, collected.rounds);
}

fn collect(validators: &Validators, height: u64, message: &Message) -> Collected {
    let mut collector = Collector::new(validators, height);
    collector.add("fuzz", message);
    collector.finish()
}

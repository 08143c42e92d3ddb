//! The real logs of `tests/corpus/wal` (see the README there).

use serde_json::Value;

use super::proto::Timestamp;
use super::record::{Record, read};
use super::signed::{Signed, last};
use super::validators::{Key, Validator, Validators};

macro_rules! wal {
    ($($name:literal),+) => {
        include_bytes!(concat!("../../../tests/corpus/wal/", $($name),+))
    };
}

pub const CLEAN: &[u8] = wal!("clean/node0.wal");
pub const CORRUPTED: &[u8] = wal!("corrupted/node0.wal.CORRUPTED");
pub const TRUNCATED: &[u8] = wal!("truncated/node1.wal");
pub const HALTED: [&[u8]; 4] =
    [wal!("halted/node0.wal"), wal!("halted/node1.wal"), wal!("halted/node2.wal"), wal!("halted/node3.wal")];
pub const HALTED_STATES: [&[u8]; 4] = [
    wal!("halted/node0.state.json"),
    wal!("halted/node1.state.json"),
    wal!("halted/node2.state.json"),
    wal!("halted/node3.state.json"),
];
pub const ROUNDS: [&[u8]; 3] = [wal!("rounds/node0.wal"), wal!("rounds/node1.wal"), wal!("rounds/node2.wal")];
pub const ROUNDS_STATES: [&[u8]; 3] =
    [wal!("rounds/node0.state.json"), wal!("rounds/node1.state.json"), wal!("rounds/node2.state.json")];

/// The log of node 1, the states of all signers and the validators of a network of another version.
pub struct Network {
    pub log: &'static [u8],
    pub states: [&'static [u8]; 4],
    genesis: &'static [u8],
}

macro_rules! network {
    ($version:literal) => {
        Network {
            log: wal!($version, "/node1.wal"),
            states: [
                wal!($version, "/node0.state.json"),
                wal!($version, "/node1.state.json"),
                wal!($version, "/node2.state.json"),
                wal!($version, "/node3.state.json"),
            ],
            genesis: wal!($version, "/genesis.json"),
        }
    };
}

pub const OTHER_VERSIONS: [Network; 2] = [network!("v0.37"), network!("v0.39")];

impl Network {
    pub fn validators(&self) -> Validators {
        validators(self.genesis)
    }
}

pub const TIME: Timestamp = Timestamp { seconds: 1_795_000_000, nanos: 7 };

/// A network's validators, node 0's first: the powers fall.
pub fn halted() -> Validators {
    validators(wal!("halted/genesis.json"))
}

pub fn rounds() -> Validators {
    validators(wal!("rounds/genesis.json"))
}

fn validators(genesis: &[u8]) -> Validators {
    let genesis: Value = serde_json::from_slice(genesis).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_string();
    let validator = |value: &Value| Validator {
        address: text(&value["address"]),
        key: Key::new(&text(&value["pub_key"]["type"]), &text(&value["pub_key"]["value"])).unwrap(),
        power: text(&value["power"]).parse().unwrap(),
    };
    let list = genesis["validators"].as_array().unwrap().iter().map(validator).collect();
    Validators::new(&text(&genesis["chain_id"]), list)
}

pub fn records(log: &[u8]) -> Vec<Record> {
    read(log).0
}

/// What a node's signer signed last.
pub fn spoken(state: &[u8], node: usize, validators: &Validators) -> Signed {
    let address = &validators.list()[node].address;
    last(std::str::from_utf8(state).unwrap(), address, validators).unwrap().unwrap()
}

//! Every example is an inventory, and no text at all makes the parser panic.

use std::fs;
use std::path::Path;

use fleet::model::inventory::parse;
use proptest::prelude::*;

const COMPANY: &str = include_str!("../inventories/company.toml");

#[test]
fn every_example_is_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("inventories");
    let files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 3, "{files:?}");
    for file in files {
        if let Err(error) = parse(&fs::read_to_string(&file).unwrap(), &file) {
            panic!("{error}");
        }
    }
}

#[test]
fn many_hosts_are_read() {
    let head = "format = 1\nfleet.name = \"x\"\n";
    let text = format!("{head}[hosts.\"h-[1-2500]\"]\naddress = \"n-[1-2500].example.org\"\nrole = \"monitoring\"\n");
    assert_eq!(parse(&text, Path::new("x")).unwrap().hosts.len(), 2500);
}

/// One change of a valid inventory: bytes `at..at + cut`, on characters' boundaries, become `put`.
fn mutated(text: &str, at: usize, cut: usize, put: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let at = at % chars.len();
    let end = (at + cut).min(chars.len());
    chars[..at].iter().copied().chain(put.chars()).chain(chars[end..].iter().copied()).collect()
}

proptest! {
    #[test]
    fn any_text_is_borne(text in any::<String>()) {
        let _ = parse(&text, Path::new("x"));
    }

    #[test]
    fn any_change_of_a_valid_one_is_borne(
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..12, "[\\PC\\n\"\\[\\]=.,0-9a-z-]{0,6}"), 1..5)
    ) {
        let mut text = COMPANY.to_owned();
        for (at, cut, put) in changes {
            text = mutated(&text, at.index(COMPANY.len()), cut, &put);
        }
        if let Err(error) = parse(&text, Path::new("i.toml")) {
            prop_assert!(error.to_string().contains("i.toml:"), "no place in: {}", error);
        }
    }
}

//! Answers recorded from four validators (40, 30, 20, 10) of CometBFT 0.38.25: running, halted without the 40, and
//! in round 1 just after its return.

use proptest::prelude::*;

use super::*;
use crate::model::facts::VoteSeen;

macro_rules! recorded {
    ($name:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/rpc/", $name, ".json"))
    };
}

const FIRST: &str = "FF2E2634F94531AFBDE6AA5CCC26E07E24EE75F0";

#[test]
fn status_of_a_running_node() {
    let status = status(recorded!("running/status")).unwrap();
    assert_eq!(status.chain_id, "fixture-1");
    assert_eq!(status.comet_version, "0.38.25");
    assert_eq!((status.height, status.voting_power, status.catching_up), (25, 30, false));
    assert_eq!(status.address, "9563DBC33B755A4F06C5535B7A078CA53F3E82A2");
    assert_eq!(status.app_hash, "0000000000000000");
    assert_eq!(status.block_time_ms, 1_795_494_388_483);
}

#[test]
fn peers() {
    assert_eq!(net_info(recorded!("running/net_info")).unwrap().len(), 3);
    assert_eq!(net_info(recorded!("halted/net_info")).unwrap().len(), 2);
    assert_eq!(net_info(recorded!("alone/net_info")).unwrap(), []);
    assert_eq!(net_info(br#"{"result":{"n_peers":"0","peers":null}}"#).unwrap(), []);
    assert!(status(recorded!("alone/status")).unwrap().catching_up);
}

#[test]
fn a_halted_round_says_who_is_missing() {
    let round = consensus_state(recorded!("halted/consensus_state")).unwrap();
    assert_eq!((round.height, round.round, round.step), (27, 0, 4));
    assert_eq!((round.prevotes.power, round.prevotes.total), (60, 100));
    assert_eq!(round.prevotes.votes, [VoteSeen::Missing, VoteSeen::Nil, VoteSeen::Nil, VoteSeen::Nil]);
    assert_eq!(round.precommits.power, 0);
}

#[test]
fn votes_are_those_of_the_round_in_progress() {
    let round = consensus_state(recorded!("halted/consensus_state_round1")).unwrap();
    let block = || VoteSeen::Block("5529F65BA538".into());
    assert_eq!((round.height, round.round, round.step), (27, 1, 6));
    assert_eq!(round.prevotes.votes, [block(), VoteSeen::Missing, block(), block()]);
    assert_eq!((round.prevotes.power, round.precommits.power), (70, 20));
    assert_eq!(round.precommits.votes[2], block());
}

#[test]
fn a_round_without_its_entry_has_no_votes() {
    let body = br#"{"result":{"round_state":{"height/round/step":"5/2/1","height_vote_set":[
        {"round":0,"prevotes":["nil-Vote"],"prevotes_bit_array":"BA{1:_} 0/7 = 0.00","precommits":["nil-Vote"],
         "precommits_bit_array":"BA{1:_} 0/7 = 0.00"}]}}}"#;
    assert_eq!(consensus_state(body).unwrap().prevotes, crate::model::facts::VoteTally::default());
}

#[test]
fn vote_strings_of_each_version() {
    let table = [
        (
            "Vote{0:FF2E2634F945 27/00/SIGNED_MSG_TYPE_PREVOTE(Prevote) 000000000000 F51007B8DCD0 @ 2026-01-01T00:00:00Z}",
            VoteSeen::Nil,
        ),
        (
            "Vote{0:FF2E2634F945 27/00/1(Prevote) ab12cd34ef56 F51007B8DCD0 @ 2026-01-01T00:00:00Z}",
            VoteSeen::Block("AB12CD34EF56".into()),
        ),
        ("something else", VoteSeen::Block(String::new())),
    ];
    for (vote, seen) in table {
        assert_eq!(votes::tally("BA{1:x} 7/7 = 1.00", &[vote.into()]).unwrap().votes, [seen], "{vote}");
    }
}

#[test]
fn a_long_validator_set_is_whole() {
    let bits = "x_".repeat(150);
    let votes: Vec<String> = (0..300).map(|index| format!("Vote{{{index}:A 1/00/1(Prevote) 00 B}}")).collect();
    let tally = votes::tally(&format!("BA{{300:{bits}}} 150/300 = 0.50"), &votes).unwrap();
    assert_eq!(tally.votes.len(), 300);
    assert_eq!(tally.votes.iter().filter(|vote| **vote == VoteSeen::Nil).count(), 150);
}

#[test]
fn bad_bit_arrays() {
    for text in ["", "BA{}", "BA{2:x} 1/2 = 0.5", "BA{1:y} 1/1 = 1.0", "BA{1:x} 1/-1 = 1.0", "BA{1:x}"] {
        assert!(votes::tally(text, &[]).unwrap_err().contains("bit array"), "{text}");
    }
    assert!(votes::tally("BA{2:xx} 2/2 = 1.0", &["nil-Vote".into()]).is_err());
}

#[test]
fn validators_whole_and_by_page() {
    let whole = validators(&[recorded!("running/validators")]).unwrap();
    let pages: [&[u8]; 2] = [recorded!("running/validators_page1"), recorded!("running/validators_page2")];
    assert_eq!(whole.validators.iter().map(|one| one.power).collect::<Vec<_>>(), [40, 30, 20, 10]);
    assert_eq!(whole.validators[0].address, FIRST);
    assert_eq!(validators(&pages).unwrap().validators, whole.validators);
    assert_eq!(validators(&pages[..1]).unwrap_err(), "3 of 4 validators");
}

#[test]
fn pages_of_two_heights_are_refused() {
    let page = |height: u64| {
        format!(
            r#"{{"result":{{"block_height":"{height}","total":"2","validators":[{{"address":"a","voting_power":1}}]}}}}"#
        )
    };
    assert_eq!(validators(&[page(4), page(4)]).unwrap().validators[0].address, "A");
    assert!(validators(&[page(4), page(5)]).unwrap_err().contains("two heights, 4 and 5"));
}

#[test]
fn application() {
    let app = abci_info(recorded!("halted/abci_info")).unwrap();
    assert_eq!((app.height, app.app_version, app.version.as_str()), (26, 1, "2.0.0"));
    assert_eq!(app.app_hash, "AAAAAAAAAAA=");
    let empty = abci_info(br#"{"result":{"response":{"data":"x","last_block_app_hash":null}}}"#).unwrap();
    assert_eq!((empty.height, empty.app_hash.as_str()), (0, ""));
}

#[test]
fn the_application_s_hash_after_a_height_stands_in_the_next_block() {
    let body = recorded!("running/commit");
    assert_eq!(app_hash_after(25, "fixture-1", body).unwrap(), "0000000000000000");
    assert!(app_hash_after(26, "fixture-1", body).unwrap_err().contains("height 26"));
    assert!(app_hash_after(25, "fixture-2", body).unwrap_err().contains("fixture-1"));
}

#[test]
fn a_commit_names_who_signed_the_block() {
    let commit = commit(recorded!("running/commit")).unwrap();
    assert_eq!(commit.height, 26);
    assert_eq!(commit.signed.len(), 3, "one was absent");
    assert!(commit.signed.contains(&FIRST.to_string()));
}

#[test]
fn numbers_come_as_numbers_too() {
    let body = br#"{"result":{"node_info":{"id":"n"},"sync_info":{"latest_block_height":7,
        "latest_block_time":"1970-01-01T00:00:01Z","catching_up":false},"validator_info":{"address":"ab","voting_power":3}}}"#;
    let status = status(body).unwrap();
    assert_eq!((status.height, status.voting_power, status.block_time_ms), (7, 3, 1000));
}

#[test]
fn errors_are_one_readable_line() {
    let table: [(&[u8], &str); 8] = [
        (
            recorded!("running/error_height"),
            "RPC error: height 99999 must be less than or equal to the current blockchain height 26",
        ),
        (br#"{"error":{"code":-32601,"message":"Method not found","data":""}}"#, "RPC error: Method not found"),
        (b"404 page not found\n", "not an RPC answer: \"404 page not found\""),
        (b"", "empty RPC answer"),
        (b"\n \n", "empty RPC answer"),
        (br#"{"jsonrpc":"2.0","result":{"node_in"#, "RPC answer cut off"),
        (b"{}", "RPC answer with neither result nor error"),
        (br#"{"result":{"signed_header":{"commit":{"height":"-1"}}}}"#, "unexpected RPC answer: not a number: \"-1\""),
    ];
    for (body, expected) in table {
        let error = commit(body).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
        assert!(!error.contains('\n'));
    }
}

proptest! {
    #[test]
    fn no_body_panics(body in proptest::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,80}") {
        let _ = (status(&body), net_info(&body), abci_info(&body), commit(&body), validators(&[&body]));
        let wrapped = format!(r#"{{"result":{{"round_state":{{"height/round/step":{text:?}}}}}}}"#);
        let _ = (consensus_state(&body), consensus_state(wrapped.as_bytes()), votes::tally(&text, &[]));
    }
}

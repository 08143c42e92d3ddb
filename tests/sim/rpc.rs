//! A simulated node's RPC speaks as the real one does: the reader of real answers takes it.

use fleet::chain::rpc as read;
use fleet::model::facts::VoteSeen;
use fleet::sim::model::{Model, Node};
use fleet::sim::rpc;

/// Seven validators, of which the second and third are down, and a sentry, halted at 100.
fn halted() -> Model {
    let node = |(i, power): (usize, &u64)| {
        Node::new(&format!("val-{}", i + 1), format!("{i:040x}"), format!("{i:040X}"), "AAAA".into(), *power)
    };
    let mut nodes: Vec<_> = [30, 20, 15, 12, 10, 8, 5].iter().enumerate().map(node).collect();
    nodes.push(Node::new("sentry-1", "f".repeat(40), "F".repeat(40), String::new(), 0));
    let mut model = Model::new("c-1", 1000, 100, nodes, 1_000_000);
    for name in ["val-1", "val-4", "val-5", "val-6", "val-7", "sentry-1"] {
        model.start(name, 1_000_000);
    }
    (0..100).for_each(|i| model.step(1_000_000 + i * 20));
    model
}

fn body(model: &Model, node: &str, target: &str) -> (u16, Vec<u8>) {
    let (status, value) = rpc::answer(model, node, target, 1_002_000);
    (status, value.to_string().into_bytes())
}

fn good(model: &Model, node: &str, target: &str) -> Vec<u8> {
    let (status, body) = body(model, node, target);
    assert_eq!(status, 200, "{target}: {}", String::from_utf8_lossy(&body));
    body
}

#[test]
fn status_and_peers() {
    let model = halted();
    let status = read::status(&good(&model, "val-1", "/status")).unwrap();
    assert_eq!((status.height, status.block_time_ms, status.catching_up), (100, 1_000_000, false));
    assert_eq!((status.chain_id.as_str(), status.moniker.as_str(), status.voting_power), ("c-1", "val-1", 30));
    assert_eq!(read::net_info(&good(&model, "val-1", "/net_info")).unwrap().len(), 5);
    let app = read::abci_info(&good(&model, "val-1", "/abci_info")).unwrap();
    assert_eq!(app.height, 100);
    assert_eq!(good(&model, "val-1", "/health"), br#"{"id":-1,"jsonrpc":"2.0","result":{}}"#);
}

#[test]
fn votes_of_a_halted_round() {
    let model = halted();
    for node in ["val-1", "sentry-1"] {
        let round = read::consensus_state(&good(&model, node, "/consensus_state?")).unwrap();
        assert_eq!((round.height, round.round, round.step), (101, 0, 4));
        assert_eq!((round.prevotes.power, round.prevotes.total, round.precommits.power), (65, 100, 0));
        let seen: Vec<bool> = round.prevotes.votes.iter().map(|vote| *vote != VoteSeen::Missing).collect();
        assert_eq!(seen, [true, false, false, true, true, true, true]);
        assert!(matches!(round.prevotes.votes[0], VoteSeen::Block(_)), "{:?}", round.prevotes.votes[0]);
    }
    let dump = good(&model, "val-1", "/dump_consensus_state");
    assert!(String::from_utf8(dump).unwrap().contains("\"validators\""));
}

#[test]
fn validators_by_page_and_commits_by_height() {
    let model = halted();
    let pages: Vec<_> =
        (1..=3).map(|page| good(&model, "val-1", &format!("/validators?page={page}&per_page=3"))).collect();
    let set = read::validators(&pages).unwrap();
    assert_eq!(set.validators.iter().map(|v| v.power).collect::<Vec<_>>(), [30, 20, 15, 12, 10, 8, 5]);
    assert_eq!(set.height, 101, "those of the height in progress");
    let (status, error) = body(&model, "val-1", "/validators?page=4&per_page=3");
    assert_eq!(status, 500);
    assert!(read::validators(&[error]).unwrap_err().contains("page should be within [1, 3] range"));
    let commit = read::commit(&good(&model, "val-1", "/commit?height=100")).unwrap();
    assert_eq!((commit.height, commit.signed.len()), (100, 7));
    assert_eq!(read::commit(&good(&model, "val-1", "/commit")).unwrap().height, 100);
    assert_eq!(body(&model, "val-1", "/commit?height=101").0, 500);
    assert_eq!(body(&model, "val-1", "/commit?height=x").0, 500);
    assert_eq!(body(&model, "val-1", "/nothing").0, 500);
}

use std::collections::BTreeSet;

use super::*;
use crate::chain::wal::bundle::Bundle;
use crate::chain::wal::corpus::{self, HALTED, HALTED_STATES, TIME};
use crate::chain::wal::found::{Found, NodeLogs, Place};
use crate::chain::wal::replay::Log;
use crate::chain::wal::survey::{Node, Survey};
use crate::model::inventory::ServiceId;
use crate::model::wal::WalReport;

/// The height in progress of the halted network.
const HEIGHT: u64 = 3;

fn id(host: &str) -> ServiceId {
    ServiceId { host: host.into(), service: "node".into() }
}

fn found(place: Place, path: &str, log: &[u8]) -> Found {
    Found { place, path: path.into(), size: log.len() as u64, log: Ok(Log::whole([log])) }
}

/// The halted network's validators, with a log each or none, and a sentry without one.
fn nodes(log: impl Fn(usize) -> Vec<Found>) -> Vec<Node> {
    let validators = corpus::halted();
    let node = |(index, state): (usize, &&[u8])| Node {
        service: id(&format!("val-{}", index + 1)),
        address: Some(validators.list()[index].address.clone()),
        logs: Ok(NodeLogs { signer: Some(Ok(String::from_utf8(state.to_vec()).unwrap())), logs: log(index) }),
    };
    let sentry = Node { service: id("sentry-1"), address: None, logs: Ok(NodeLogs::default()) };
    HALTED_STATES.iter().enumerate().map(node).chain([sentry]).collect()
}

fn live(index: usize) -> Vec<Found> {
    vec![found(Place::Live, "/data/cs.wal/wal", HALTED[index])]
}

fn survey() -> Survey<'static> {
    Survey {
        chain_id: "corpus-halted",
        initial_height: 1,
        reported: HEIGHT - 1,
        voters: Some((HEIGHT, corpus::halted())),
    }
}

fn running() -> BTreeSet<ServiceId> {
    ["val-1", "val-2", "val-3", "val-4", "sentry-1"].map(id).into()
}

fn report(nodes: &[Node]) -> WalReport {
    survey().report(nodes)
}

fn rules_of(nodes: &[Node], accepted: &[&str]) -> Vec<String> {
    let revival = survey().revive(nodes, &running(), &id("sentry-1"), TIME).unwrap();
    let accepted: Vec<String> = accepted.iter().map(ToString::to_string).collect();
    against(&revival, &accepted).into_iter().map(|finding| finding.rule).collect()
}

#[test]
fn logs_that_are_whole_leave_nobody_mute() {
    let told = report(&nodes(live));
    assert_eq!(told.height, Some(HEIGHT));
    assert!(!told.spoken.is_empty(), "{told:?}");
    assert_eq!((told.mute.len(), told.unknown.len(), told.notes.len()), (0, 0, 0), "{told:?}");
    let rows: Vec<_> = told.logs.iter().map(|row| (row.kind.as_str(), row.last_end_height, row.own_vote)).collect();
    assert!(rows.contains(&("live", Some(HEIGHT - 1), Some(true))), "{rows:?}");
    assert_eq!(rows.last(), Some(&("", None, None)), "the sentry has none");
}

#[test]
fn set_aside_logs_are_not_replayed_and_their_signers_are_mute() {
    let aside = |index: usize| vec![found(Place::Aside, "/data/cs.wal.fleet-01RUN/wal", HALTED[index])];
    let told = report(&nodes(aside));
    assert_eq!(told.mute, told.spoken);
    assert!(told.logs.iter().any(|row| row.kind == "aside 01RUN" && row.replayed.is_empty()), "{told:?}");
}

#[test]
fn a_silent_host_and_a_damaged_state_are_unknown_and_said() {
    let mut nodes = nodes(live);
    nodes[0].logs = Err("no answer in 5 s".into());
    if let Ok(logs) = &mut nodes[1].logs {
        logs.signer = Some(Ok("{}".into()));
    }
    let told = report(&nodes);
    assert_eq!(told.unknown, ["val-1", "val-2"]);
    assert_eq!(told.notes.len(), 2, "{:?}", told.notes);
    assert!(told.logs.iter().any(|row| row.flaw.as_deref() == Some("no answer in 5 s")));
}

#[test]
fn a_revival_rests_on_every_log_and_every_signer() {
    let none = nodes(|_| Vec::new());
    let revival = survey().revive(&none, &running(), &id("sentry-1"), TIME).unwrap();
    let signed = report(&none).spoken.len();
    assert_eq!(revival.collected.messages.votes.len(), signed, "of deleted logs only the signers' last votes are left");
    let all = survey().revive(&nodes(live), &running(), &id("sentry-1"), TIME).unwrap();
    assert_eq!(
        (revival.collected.messages.blocks.len(), all.collected.messages.blocks.len()),
        (0, 1),
        "logs have blocks"
    );
    assert_eq!(rules_of(&nodes(live), &[]), [""; 0]);
    assert!(told(&all, &id("sentry-1")).goes_on);
}

#[test]
fn a_revival_without_the_votes_it_needs_is_refused_by_name() {
    let mut nodes = nodes(|_| Vec::new());
    for node in &mut nodes[..2] {
        node.logs = Err("no answer in 5 s".into());
    }
    let rules = rules_of(&nodes, &[]);
    assert!(rules.contains(&"wal-strands".into()), "{rules:?}");
    assert!(!rules_of(&nodes, &["wal-strands"]).contains(&"wal-strands".into()));
}

#[test]
fn a_revival_of_another_height_than_the_validators_is_none() {
    let survey = Survey { voters: Some((HEIGHT + 1, corpus::halted())), ..survey() };
    assert!(survey.revive(&nodes(live), &running(), &id("sentry-1"), TIME).is_err());
    let survey = Survey { voters: None, ..survey };
    assert!(survey.revive(&nodes(live), &running(), &id("sentry-1"), TIME).is_err());
    assert_eq!(survey.report(&nodes(live)).notes.len(), 1);
}

#[test]
fn a_bundle_gives_another_operator_what_the_nodes_have() {
    let ours = nodes(live);
    let text = serde_json::to_string(&Bundle::new("corpus-halted", "ana@laptop", &ours[..3])).unwrap();
    assert!(!text.contains("priv_key"));
    let bundle = Bundle::parse(&text, "corpus-halted").unwrap();
    assert_eq!(bundle.len(), 3);
    let theirs = bundle.nodes().unwrap();
    assert_eq!(theirs[0].service.to_string(), "ana@laptop:val-1");
    for (node, original) in theirs.iter().zip(&ours) {
        assert_eq!((&node.address, &node.logs), (&original.address, &original.logs));
    }
    // Without them it can't be done, with them it can.
    let mut few = nodes(|_| Vec::new());
    few.drain(..3);
    assert!(rules_of(&few, &[]).contains(&"wal-strands".into()));
    let mut running = running();
    running.extend(theirs.iter().map(|node| node.service.clone()));
    few.extend(theirs);
    let revival = survey().revive(&few, &running, &id("sentry-1"), TIME).unwrap();
    assert!(against(&revival, &[]).is_empty());
}

#[test]
fn what_is_no_bundle_of_this_chain_is_said() {
    let good = serde_json::to_string(&Bundle::new("corpus-halted", "ana@laptop", &nodes(live))).unwrap();
    let table = [
        ("{}".to_owned(), "not a bundle of fleet"),
        (good[..good.len() / 2].to_owned(), "not a bundle of fleet"),
        (good.replacen("\"format\":1", "\"format\":2", 1), "a bundle of format 2"),
        (good.replacen("corpus-halted", "other-1", 1), "a bundle of chain other-1"),
    ];
    for (text, reason) in table {
        let error = Bundle::parse(&text, "corpus-halted").unwrap_err();
        assert!(error.starts_with(reason), "{error}");
    }
    let torn = good.replacen("\"end\":\"", "\"end\":\"!", 1);
    assert!(Bundle::parse(&torn, "corpus-halted").unwrap().nodes().is_err());
}

#[test]
fn of_two_tellings_of_a_signer_the_later_counts() {
    let ours = nodes(live);
    let mut stale = nodes(live);
    for node in &mut stale {
        let Ok(logs) = &mut node.logs else { continue };
        // A state before any signature, as of a bundle made long ago.
        logs.signer = Some(Ok(r#"{"height":"0","round":0,"step":0}"#.into()));
    }
    let expected = report(&ours).spoken;
    let both =
        |first: Vec<Node>, second: Vec<Node>| report(&first.into_iter().chain(second).collect::<Vec<_>>()).spoken;
    assert_eq!(both(nodes(live), stale), expected);
    let mut silent = nodes(live);
    for node in &mut silent {
        node.logs = Err("no answer in 5 s".into());
    }
    assert_eq!(both(silent, ours), expected);
}

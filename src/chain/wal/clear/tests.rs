use super::super::corpus::{self, HALTED, HALTED_STATES, TIME};
use super::super::found::{Found, NodeLogs, Place};
use super::super::replay::Log;
use super::super::rule::Forecast;
use super::super::validators::{Key, Validator};
use super::*;

/// The height in progress of the halted network: all but val-1 have prevoted.
const HEIGHT: u64 = 3;

fn fated(index: usize, fate: Fate) -> Fated {
    let (service, address) = match corpus::halted().list().get(index) {
        Some(validator) => (format!("val-{}", index + 1), Some(validator.address.clone())),
        None => ("sentry-1".to_owned(), None),
    };
    let (log, signer) = match HALTED.get(index) {
        Some(log) => (*log, Some(Ok(String::from_utf8(HALTED_STATES[index].to_vec()).unwrap()))),
        None => (HALTED[1], None),
    };
    let logs = vec![found(log)];
    let service = ServiceId { host: service, service: "node".into() };
    Fated { node: Node { service, address, logs: Ok(NodeLogs { signer, logs }) }, fate }
}

fn found(log: &[u8]) -> Found {
    let path = "/data/cs.wal/wal".into();
    Found { place: Place::Live, path, size: log.len() as u64, log: Ok(Log::whole([log])) }
}

/// All four validators and a sentry, which has what val-2 has.
fn all(fate: Fate) -> Vec<Fated> {
    (0..=HALTED.len()).map(|index| fated(index, fate)).collect()
}

fn clearing(nodes: &[Fated]) -> Clearing<'_> {
    let voters = Some((HEIGHT, corpus::halted()));
    let survey = Survey { chain_id: "corpus-halted", initial_height: 1, reported: HEIGHT - 1, voters };
    Clearing { survey, nodes, drop_records: false, time: TIME }
}

/// One with another logs' folder in it: none.
fn without_log(mut one: Fated) -> Fated {
    if let Ok(logs) = &mut one.node.logs {
        logs.logs.clear();
    }
    one
}

#[test]
fn a_halted_chain_survives_the_clearing_of_all_logs() {
    for drop_records in [false, true] {
        let nodes = all(Fate::Cleared);
        let cleared = Clearing { drop_records, ..clearing(&nodes) }.judge().unwrap();
        assert!(cleared.decision.allowed(), "{:?}", cleared.decision);
        assert_eq!((cleared.logs.len(), cleared.height), (5, HEIGHT));
        let blocks = headers(&read(&cleared.logs[&nodes[1].node.service]).0).len();
        assert_eq!(blocks, usize::from(!drop_records));
        for one in &nodes {
            let short = &cleared.logs[&one.node.service];
            assert!(short.len() < one.node.live().unwrap().log.as_ref().unwrap().bytes().len());
            let replay = Log::whole([short.as_slice()]).replay(HEIGHT, 1);
            assert_eq!(replay.outcome, Outcome::Whole);
        }
    }
}

#[test]
fn logs_that_are_gone_already_strand_it() {
    let nodes: Vec<Fated> = all(Fate::Kept).into_iter().map(without_log).collect();
    let lost = clearing(&nodes).judge().unwrap().decision;
    assert!(matches!(lost.forecast, Forecast::Strands(_)), "{lost:?}");
    let name = |address: &str| super::super::survey::name_of(nodes.iter().map(|one| &one.node), address);
    let [(rule, text)] = &lost.refusals(HEIGHT, &name)[..] else { panic!("{lost:?}") };
    assert!(*rule == "wal-strands" && text.contains("val-2 (30)"), "{text}");
    // The same logs, kept or cleared, are enough; so are those of nodes that run.
    for fate in [Fate::Kept, Fate::Cleared, Fate::Runs] {
        assert!(clearing(&all(fate)).judge().unwrap().decision.allowed(), "{fate:?}");
    }
    assert!(!clearing(&all(Fate::Down)).judge().unwrap().decision.allowed());
}

#[test]
fn a_signer_that_cannot_be_read_has_no_short_log() {
    let mut nodes = all(Fate::Cleared);
    if let Ok(logs) = &mut nodes[1].node.logs {
        logs.signer = Some(Ok("{}".into()));
    }
    assert!(clearing(&nodes).judge().unwrap_err().contains("val-2"));
    // Kept, its log still has what it has said.
    nodes[1].fate = Fate::Kept;
    assert!(clearing(&nodes).judge().unwrap().decision.allowed());
    nodes[1] = without_log(fated(1, Fate::Kept));
    if let Ok(logs) = &mut nodes[1].node.logs {
        logs.signer = Some(Ok("{}".into()));
    }
    let decision = clearing(&nodes).judge().unwrap().decision;
    assert!(decision.forecast.live(), "the three others are 70 of 100");
}

#[test]
fn validators_of_an_earlier_height_hold_where_a_block_says_so() {
    let nodes = all(Fate::Cleared);
    let earlier = |voters| {
        let mut asked = clearing(&nodes);
        asked.survey.voters = Some((HEIGHT - 1, voters));
        asked.judge()
    };
    assert!(earlier(corpus::halted()).unwrap().decision.allowed());
    let but = |change: fn(&mut Validator)| {
        let mut list = corpus::halted().list().to_vec();
        list.iter_mut().for_each(change);
        Validators::new("corpus-halted", list)
    };
    assert!(earlier(but(|one| one.power += 1)).unwrap_err().contains("height 3 aren't known"));
    assert!(earlier(but(|one| one.key = Key::Other("bls".into()))).is_err());
    let mut asked = clearing(&nodes);
    asked.survey.voters = None;
    assert!(asked.judge().unwrap_err().contains("no node's RPC"));
}

#[test]
fn a_node_that_lags_keeps_its_own_height_and_gives_nothing_back() {
    let mut nodes = all(Fate::Cleared);
    let whole = Log::whole([HALTED[0]]);
    let first_end = View::of(&whole).records.iter().find(|one| one.end_height() == Some(1)).unwrap().offset;
    // The records up to the end of height 1, and the end itself.
    let behind = View::of(&whole).records.iter().find(|one| one.offset > first_end).unwrap().offset;
    if let Ok(logs) = &mut nodes[0].node.logs {
        *logs = NodeLogs {
            signer: Some(Ok(r#"{"height":"1","round":0,"step":0}"#.into())),
            logs: vec![found(&HALTED[0][..behind])],
        };
    }
    let cleared = clearing(&nodes).judge().unwrap();
    let short = Log::whole([cleared.logs[&nodes[0].node.service].as_slice()]);
    assert_eq!(View::of(&short).last_end_height, Some(1));
}

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use fleet::engine::Recorder as _;
use fleet::journal::{Journal, Places, RunDir, last_unfinished, list};
use fleet::model::event::{Event, RunState, What};
use tempfile::TempDir;

use crate::events::{RUN, START, Script, success};
use crate::plans::healthy;

fn places() -> (TempDir, Places) {
    let folder = tempfile::tempdir().unwrap();
    let places = Places { state: folder.path().join("state/fleet"), cache: folder.path().join("cache/fleet") };
    (folder, places)
}

/// A run with these events whose fleet is gone.
fn past(places: &Places, at_ms: i64, events: &[Event]) -> RunDir {
    let mut journal = Journal::create(places, &healthy(), at_ms).unwrap();
    for event in events {
        journal.record(event).unwrap();
    }
    journal.run().clone()
}

fn remark(text: &str) -> Event {
    Event { at_ms: START, what: What::Remark { text: text.into() } }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn what_is_recorded_is_read_back() {
    let (_folder, places) = places();
    let script = success(healthy());
    let run = past(&places, START, &script.events);
    let stored = run.read().unwrap();
    assert_eq!(stored.plan, healthy());
    assert_eq!(stored.plan.digest(), healthy().digest());
    assert_eq!(stored.past.events, script.events);
    assert_eq!(stored.past.dropped, None);
    assert_eq!(stored.state, RunState::of(&script.events));
    assert!(!stored.alive);
    assert!(!stored.is_unfinished());
}

#[test]
fn a_run_that_has_ended_takes_no_more_room_than_its_events() {
    let (_folder, places) = places();
    let script = success(healthy());
    assert!(script.events.iter().any(|event| matches!(event.what, What::RunEnded { .. })));
    let events = fs::metadata(past(&places, START, &script.events).path().join("events.jsonl")).unwrap();
    assert!(events.blocks() * 512 < events.len() + (1 << 16), "{} bytes take {}", events.len(), events.blocks() * 512);
}

#[test]
fn only_the_user_can_read_a_run() {
    let (_folder, places) = places();
    let run = past(&places, START, &[remark("x")]);
    for folder in [&places.state, &places.runs(), run.path()] {
        assert_eq!(mode(folder), 0o700, "{}", folder.display());
    }
    for name in ["plan.json", "events.jsonl", "lock"] {
        assert_eq!(mode(&run.path().join(name)), 0o600, "{name}");
    }
}

#[test]
fn a_tail_cut_at_any_byte_is_dropped_and_named() {
    let (_folder, places) = places();
    let events = [remark("first"), remark("second \u{e9}"), remark("last \u{2192} cut")];
    let run = past(&places, START, &events);
    let path = run.path().join("events.jsonl");
    let whole = fs::read(&path).unwrap();
    let last = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    for cut in last..whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        let past = run.past().unwrap();
        assert_eq!(past.events, events[..2], "cut at {cut}");
        assert_eq!(past.dropped.is_some(), cut > last, "cut at {cut}");
        Journal::take_up(&run).unwrap().record(&events[2]).unwrap();
        let past = run.past().unwrap();
        assert_eq!((past.events.as_slice(), past.dropped), (&events[..], None), "taken up after a cut at {cut}");
    }
}

#[test]
fn a_bad_line_in_the_middle_is_named() {
    let (_folder, places) = places();
    let run = past(&places, START, &[remark("1"), remark("2"), remark("3")]);
    let path = run.path().join("events.jsonl");
    let whole = fs::read_to_string(&path).unwrap();
    for bad in ["{\"at_ms\":1,\"event\":\"unheard_of\"}", "{\"at_ms\":1,\"ev", "", "\u{0}\u{0}"] {
        let mut lines: Vec<&str> = whole.lines().collect();
        lines[1] = bad;
        fs::write(&path, lines.join("\n") + "\n").unwrap();
        let error = run.past().unwrap_err().to_string();
        assert!(error.contains("events.jsonl:2: not an event"), "{bad}: {error}");
        assert!(Journal::take_up(&run).is_err(), "{bad}");
    }
}

#[test]
fn another_format_is_refused() {
    let (_folder, places) = places();
    let run = past(&places, START, &[]);
    let path = run.path().join("plan.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"format\": 1", "\"format\": 2")).unwrap();
    let error = run.plan().unwrap_err().to_string();
    assert!(error.contains("plan.json: format 2, but this fleet knows only format 1"), "{error}");
    fs::write(&path, &text[..text.len() / 2]).unwrap();
    assert!(run.plan().unwrap_err().to_string().contains("plan.json:"));
}

#[test]
fn one_fleet_at_a_time() {
    let (_folder, places) = places();
    let journal = Journal::create(&places, &healthy(), START).unwrap();
    let run = journal.run().clone();
    assert!(run.is_alive());
    let error = Journal::take_up(&run).unwrap_err();
    assert_eq!(error.kind.exit_code(), 75);
    assert!(error.message.contains(&format!("process {}", std::process::id())), "{error}");
    drop(journal);
    assert!(!run.is_alive());
    let taken = Journal::take_up(&run).unwrap();
    assert!(run.is_alive());
    drop(taken);
}

#[test]
fn looking_at_a_run_does_not_keep_it_from_being_taken_up() {
    let (_folder, places) = places();
    let run = past(&places, START, &[remark("1")]);
    let looker = std::thread::spawn({
        let run = run.clone();
        move || (0..2000).filter(|_| run.is_alive()).count()
    });
    for _ in 0..100 {
        drop(Journal::take_up(&run).unwrap());
    }
    looker.join().unwrap();
}

#[test]
fn runs_are_listed_newest_first_and_found_by_a_unique_start() {
    let (_folder, places) = places();
    assert_eq!(list(&places).unwrap(), []);
    assert!(RunDir::open(&places, "01").unwrap_err().to_string().contains("no run was made yet"));
    let old = past(&places, START, &[]);
    let new = past(&places, START + 3_600_000, &[]);
    fs::create_dir(places.runs().join(".new-01KGXZ3NQEV8ZPAB")).unwrap();
    fs::create_dir(places.runs().join("notes")).unwrap();
    assert_eq!(list(&places).unwrap(), [new.clone(), old.clone()]);
    assert_eq!(RunDir::open(&places, old.id()).unwrap(), old);
    assert_eq!(RunDir::open(&places, &new.id().to_lowercase()[..10]).unwrap(), new);
    let several = RunDir::open(&places, "01").unwrap_err().to_string();
    assert!(several.contains("2 runs begin with 01") && several.contains(old.id()), "{several}");
    for unknown in ["", "zzz", "../../etc"] {
        let error = RunDir::open(&places, unknown).unwrap_err();
        assert_eq!(error.kind.exit_code(), 2, "{unknown}");
        assert!(error.to_string().contains(&format!("the most recent runs are {}, {}", new.id(), old.id())), "{error}");
    }
    let mistyped = old.id().replacen("01", "10", 1);
    assert!(RunDir::open(&places, &mistyped).unwrap_err().to_string().contains("did you mean"));
}

#[test]
fn the_last_unfinished_run_is_the_one_to_resume() {
    let (_folder, places) = places();
    assert_eq!(last_unfinished(&places).unwrap(), None);
    let script = success(healthy());
    let cut = past(&places, START, &script.events[..40]);
    past(&places, START + 1, &script.events);
    let mut refused = Script::begin(healthy());
    refused.end(30, 5, "not armed", None);
    past(&places, START + 2, &refused.events);
    assert_eq!(last_unfinished(&places).unwrap(), Some(cut));
    let mut incomplete = script.events[..40].to_vec();
    let (exit, summary, next) = (4, "unknown".to_owned(), None);
    incomplete.push(Event { at_ms: START, what: What::RunEnded { exit, summary, next } });
    let incomplete = past(&places, START + 3, &incomplete);
    assert_eq!(last_unfinished(&places).unwrap(), Some(incomplete.clone()));
    fs::write(incomplete.path().join("events.jsonl"), "?\n").unwrap();
    assert!(last_unfinished(&places).is_err());
}

#[test]
fn a_folder_that_cannot_be_written_is_met_before_anything_is_touched() {
    let (folder, mut places) = places();
    fs::write(folder.path().join("file"), "").unwrap();
    places.state = folder.path().join("file/fleet");
    let error = Journal::create(&places, &healthy(), START).unwrap_err();
    assert_eq!(error.kind.exit_code(), 2);
    let text = error.to_string();
    assert!(text.contains("can't be recorded") && text.contains("nothing was touched"), "{text}");
    assert!(text.contains("XDG_STATE_HOME"), "{text}");
}

#[test]
fn the_state_of_every_prefix_is_a_state_on_the_way() {
    let script = success(healthy());
    let mut state = RunState::default();
    for (count, event) in script.events.iter().enumerate() {
        assert_eq!(state, RunState::of(&script.events[..count]));
        state.apply(event);
    }
    assert_eq!(state.run, RUN);
    assert_eq!(state.ended.unwrap().0, 0);
}

#[test]
fn a_stage_that_was_gone_through_twice_is_done_once() {
    let mut script = success(healthy());
    let done = RunState::of(&script.events).done_stages;
    let first = script.events.iter().find(|event| matches!(event.what, What::StageEnded { .. })).unwrap().clone();
    script.events.push(first);
    assert_eq!(RunState::of(&script.events).done_stages, done);
}

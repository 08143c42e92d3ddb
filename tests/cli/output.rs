//! For whom the output is: colour, width, JSON.

use fleet::sim::Layout;
use serde_json::Value;

use super::fleet::{Fleet, Ran};
use super::hosts::three;
use super::terminal::{Terminal, plain};

/// Colours begin with this.
const ESCAPE: char = '\x1b';
const STATUS: [&str; 3] = ["status", "--timeout", "60s"];

fn with(args: &[&'static str]) -> Vec<&'static str> {
    [&STATUS[..], args].concat()
}

#[test]
fn colour_is_for_terminals_unless_asked_for() {
    let (fleet, _sim) = Fleet::simulated(&three());
    let is_colored = |ran: &Ran| {
        assert!(ran.out.contains("advancing"), "{ran}");
        ran.out.contains(ESCAPE)
    };
    assert!(!is_colored(&fleet.run(&STATUS)), "piped");
    assert!(is_colored(&fleet.run(&with(&["--color", "always"]))));
    assert!(!is_colored(&fleet.run(&with(&["--color", "never"]))));
    let on_terminal = |args: &[&str]| {
        let (code, shown) = Terminal::start(&fleet, 120, args).end();
        assert!(code == 0 && shown.contains("advancing"), "{shown}");
        shown.contains(ESCAPE)
    };
    assert!(on_terminal(&STATUS));
    assert!(!on_terminal(&with(&["--color", "never"])));
    assert!(!is_colored(&fleet.run_with(("NO_COLOR", "1"), &STATUS)));
    let mut quiet = fleet;
    quiet.set("NO_COLOR", "1");
    let (code, shown) = Terminal::start(&quiet, 120, &STATUS).end();
    assert!(code == 0 && !shown.contains(ESCAPE), "{shown}");
}

#[test]
fn screens_fit_80_columns_and_say_more_at_120() {
    let (fleet, _sim) = Fleet::simulated(&Layout { block_time_ms: 300, ..Layout::lost_quorum() });
    let restart = ["restart", "--coordinated", "--dry-run", "--facts-timeout", "60s"];
    let mut heads = Vec::new();
    for columns in [80, 120] {
        for args in [&STATUS[..], &restart] {
            let (code, shown) = Terminal::start(&fleet, columns, args).end();
            assert_eq!(code, i32::from(args == STATUS), "{shown}");
            let shown = plain(&shown);
            let wide = shown.lines().filter(|line| line.chars().count() > columns.into());
            assert_eq!(wide.collect::<Vec<_>>(), [""; 0], "{args:?} at {columns}");
            heads.extend(shown.lines().find(|line| line.starts_with("HOST")).map(str::to_owned));
        }
    }
    assert!(heads[1].len() > heads[0].len(), "{heads:?}");
}

/// One document.
fn document(ran: &Ran) -> Value {
    serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error} in\n{ran}"))
}

/// A document on each line.
fn lines(ran: &Ran) -> Vec<Value> {
    let parsed = ran.out.lines().map(|line| serde_json::from_str(line).map_err(|error| format!("{error}: {line}")));
    parsed.collect::<Result<_, _>>().unwrap()
}

#[test]
fn every_command_speaks_json() {
    let (fleet, _sim) = Fleet::simulated(&three());
    let json = |args: &[&str]| document(fleet.run(&[args, &["-o", "json"]].concat()).says(0, &[]));
    let jsonl = |args: &[&str]| lines(fleet.run(&[args, &["-o", "jsonl"]].concat()).says(0, &[]));
    let restart = ["restart", "--coordinated", "--facts-timeout", "60s"];
    let dry = json(&[&restart[..], &["--dry-run"]].concat());
    let ran = json(&[&restart[..], &["--yes"]].concat());
    assert_eq!(ran["exit"], 0, "{ran}");
    assert_eq!(dry["digest"], ran["digest"]);
    assert!(ran["events"].as_array().unwrap().len() > 10);
    let run = ran["run"].as_str().unwrap();
    assert_eq!(json(&["runs", "list"])[0]["run"], run);
    assert_eq!(json(&["runs", "report", run])["plan"]["operation"], dry["plan"]["operation"]);
    assert_eq!(json(&["runs", "show", run]), ran["events"]);
    assert_eq!(jsonl(&["runs", "show", run]).len(), ran["events"].as_array().unwrap().len());
    assert_eq!(jsonl(&["runs", "list"]).len(), 1);
    let halted = jsonl(&["halt", "--yes", "--facts-timeout", "60s"]);
    assert_eq!(halted.last().unwrap()["event"], "run_ended");
    let started = jsonl(&["start", "--yes", "--facts-timeout", "60s"]);
    assert_eq!(started.last().unwrap()["exit"], 0);
    assert_eq!(json(&STATUS)["chains"][0]["chain_id"], "virtengine-1");
    assert_eq!(jsonl(&STATUS).len(), 1);
    assert_eq!(json(&["lock", "show"]).as_array().unwrap().len(), 3);
    assert_eq!(jsonl(&["lock", "show"])[2]["host"], "val-3");
    assert_eq!(json(&["inventory", "check"])["hosts"], 3);
    assert_eq!(jsonl(&["inventory", "show"])[0]["host"], "val-1");
    assert!(json(&["rules"]).as_array().unwrap().len() > 20);
    assert_eq!(jsonl(&["rules", "chain-id"])[0]["rule"], "chain-id");
}

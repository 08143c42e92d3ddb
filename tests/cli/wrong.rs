//! Input that is wrong before any host is asked: a clear error, the right exit code, and nothing changed.

use super::fleet::Fleet;

const SMALL: &str = include_str!("../../inventories/small.toml");
const COMPANY: &str = include_str!("../../inventories/company.toml");

/// Runs it, and checks the code, the words, and that no run was begun.
#[track_caller]
fn refused(fleet: &Fleet, args: &[&str], code: i32, words: &[&str]) {
    let ran = fleet.run(args);
    ran.says(code, words);
    assert_eq!(ran.out, "", "errors go to standard error");
    assert_eq!(fleet.runs(), 0);
}

/// The small inventory with one thing wrong.
fn edited(from: &str, to: &str) -> Fleet {
    let fleet = Fleet::with(SMALL);
    fleet.edit(from, to);
    fleet
}

#[test]
fn inventories_are_refused_with_file_line_and_column() {
    let twice = format!("{SMALL}\n[hosts.val-2]\naddress = \"10.0.0.99\"\nrole = \"full\"\nchain = \"virtengine\"\n");
    for (fleet, words) in [
        (edited("role = ", "rol = "), &["unknown key \"rol\"", "fleet.toml:20:1", "did you mean \"role\"?"]),
        (edited("\"validator\"", "\"validatr\""), &["unknown role \"validatr\"", "fleet.toml:20:8", "\"validator\"?"]),
        (
            edited("\"sentry-1\"", "\"sentry-9\""),
            &["unknown host or group \"sentry-9\"", "fleet.toml:30:11", "group canary"],
        ),
        (edited("format = 1", "format = 2"), &["unknown format", "fleet.toml:2", "2"]),
        (Fleet::with(&twice), &["val-2 is there twice", "fleet.toml:32:8", "one name"]),
    ] {
        for args in
            [&["status"][..], &["inventory", "check"], &["restart", "--coordinated", "--yes"], &["lock", "show"]]
        {
            refused(&fleet, args, 2, words);
        }
    }
}

#[test]
fn a_missing_inventory_is_named_with_the_places_looked_at() {
    let fleet = Fleet::with(SMALL);
    refused(&fleet, &["status", "-i", "/nowhere.toml"], 2, &["there is no inventory", "/nowhere.toml", "next: "]);
    let ran = fleet.command(&["status"]).env_remove("FLEET_INVENTORY").output().unwrap();
    let err = String::from_utf8(ran.stderr).unwrap();
    let user = fleet.home().join("config/fleet/inventory.toml").display().to_string();
    assert!(ran.status.code() == Some(2) && err.contains(&user) && err.contains("FLEET_INVENTORY"), "{err}");
}

#[test]
fn selectors_are_refused_with_their_place() {
    let fleet = Fleet::with(SMALL);
    for (selector, words) in [
        ("role:full", &["no host matches", "^^^^^^^^^", "fleet inventory show"][..]),
        ("val-1 and val-2", &["no host matches", "fleet inventory show"]),
        ("sentri-1", &["unknown host or group", "did you mean \"sentry-1\"?"]),
        ("(val-1", &["this bracket isn't closed", "  (val-1\n  ^"]),
    ] {
        refused(&fleet, &["status", selector], 2, words);
        refused(&fleet, &["status", "-l", selector], 2, words);
        refused(&fleet, &["halt", "--yes", selector], 2, words);
        refused(&fleet, &["halt", "--yes", "--allow-missing", selector], 2, words);
    }
    refused(&fleet, &["status", "val-1", "-l", "val-2"], 2, &["no host matches", "(val-1) and (val-2)"]);
}

#[test]
fn times_need_a_zone_and_an_order() {
    let fleet = Fleet::with(SMALL);
    let restart = |options: &[&'static str]| [&["restart", "--coordinated", "--yes"], options].concat();
    let whole = "next: write it whole, e.g. --at 2";
    for (options, words) in [
        (&["--at", "2020-01-01T00:00:00Z"][..], &["--at 2020-01-01T00:00:00Z is in the past", whole][..]),
        (&["--at", "2090-01-01T00:00:00"], &["--at '2090-01-01T00:00:00' has no time zone", whole]),
        (&["--at", "tomorrow"], &["--at 'tomorrow' is not a time", whole]),
        (&["--start-at", "2090-01-01T00:00"], &["--start-at '2090-01-01T00:00' has no time zone", "e.g. --start-at 2"]),
        (
            &["--at", "2090-01-01T00:00:00Z", "--start-at", "2089-12-31T00:00:00Z"],
            &["--start-at is not after --at", "next: nobody may start before all have stopped"],
        ),
        (&["--block-timeout", "5"], &["'5' is not a span of time; write 500ms, 10s or 1m30s"]),
        (&["--stop-timeout", "0s"], &["'0s' must be more than zero"]),
        (&["--allow-missing-power", "5"], &["'5' is not a share of the power", "--allow-missing-power 5%"]),
    ] {
        refused(&fleet, &restart(options), 2, words);
    }
}

#[test]
fn rules_are_accepted_by_their_names() {
    let fleet = Fleet::with(SMALL);
    let restart = ["restart", "--coordinated", "--yes", "--accept"];
    refused(&fleet, &[&restart[..], &["nosuch"]].concat(), 2, &["there is no rule 'nosuch'", "fleet rules"]);
    let words = ["'one-signer' can't be overruled", "next: stop one of them for good"];
    refused(&fleet, &[&restart[..], &["one-signer"]].concat(), 2, &words);
    refused(&fleet, &["rules", "chain-ix"], 2, &["there is no rule 'chain-ix'", "did you mean \"chain-id\"?"]);
    fleet.run(&["rules", "chain-id"]).says(0, &["chain-id (refused)", "next: "]);
}

#[test]
fn with_two_chains_one_must_be_named() {
    let fleet = Fleet::with(COMPANY);
    for args in [&["halt", "--yes"][..], &["start", "--yes"], &["restart", "--coordinated", "--yes"]] {
        refused(&fleet, args, 2, &["which chain is meant?", "settlement and virtengine", "-l 'chain:settlement'"]);
    }
    let one = ["halt", "--yes", "chain:settlement or chain:virtengine"];
    refused(&fleet, &one, 2, &["which chain is meant?"]);
    refused(&fleet, &["halt", "--yes", "role:bastion"], 2, &["runs a node of a chain", "fleet inventory show"]);
}

#[test]
fn a_bare_restart_explains_both_ways() {
    let fleet = Fleet::with(SMALL);
    let words = ["restart how?", "fleet restart --coordinated", "one node at a time", "fleet start -l val-3"];
    refused(&fleet, &["restart", "--yes"], 2, &words);
}

#[test]
fn logs_are_cleared_only_of_nodes_that_are_restarted() {
    let fleet = Fleet::with(SMALL);
    let restart = ["restart", "--coordinated", "--yes"];
    for options in [&["--drop-records"][..], &["--from", "bundle.json"]] {
        let words = ["--drop-records and --from are for clearing logs", "next: say whose: --clear-wal val-3"];
        refused(&fleet, &[&restart[..], options].concat(), 2, &words);
    }
    let words = ["--clear-wal 'sentry-1' names sentry-1, which isn't restarted", "next: restart it as well"];
    refused(&fleet, &[&restart[..], &["val-1", "--clear-wal", "sentry-1"]].concat(), 2, &words);
    refused(&fleet, &[&restart[..], &["--clear-wal", "val-77"]].concat(), 2, &["unknown host or group"]);
}

#[test]
fn a_bundle_must_be_there_and_of_the_chain() {
    let fleet = Fleet::with(SMALL);
    let file = fleet.home().join("bundle.json").display().to_string();
    for args in [&["restart", "--coordinated", "--yes", "--clear-wal", "all"][..], &["wal", "clear", "all", "--yes"]] {
        let given = [args, &["--from", &file]].concat();
        let _ = std::fs::remove_file(&file);
        refused(&fleet, &given, 2, &[&file, "No such file"]);
        std::fs::write(&file, "{}").unwrap();
        refused(&fleet, &given, 2, &[&file]);
        let other = r#"{"format":1,"chain_id":"another-1","owner":"bob@desk","nodes":[]}"#;
        std::fs::write(&file, other).unwrap();
        refused(&fleet, &given, 2, &[&file, "another-1"]);
    }
}

#[test]
fn without_a_terminal_somebody_must_have_said_yes() {
    let fleet = Fleet::with(SMALL);
    for args in [&["halt"][..], &["start"], &["restart", "--coordinated"]] {
        refused(&fleet, args, 2, &["no terminal to confirm", "--yes", "--plan-digest", "next: ", "--dry-run"]);
        for digest in ["zzz", "7f3", "7f3c-", "7f3c-19ag", "7F3C-19AB"] {
            let given = [args, &["--plan-digest", digest]].concat();
            refused(&fleet, &given, 2, &[&format!("--plan-digest '{digest}' is not a digest"), "next: ", "--dry-run"]);
        }
    }
}

#[test]
fn unknown_runs_are_named_with_the_known_ones() {
    let fleet = Fleet::with(SMALL);
    for args in [&["runs", "show", "01ABC"][..], &["runs", "report", "01ABC"], &["resume", "01ABC"]] {
        refused(&fleet, args, 2, &["there is no run \"01ABC\"", "state/fleet/runs"]);
    }
    refused(&fleet, &["resume"], 2, &["there is no unfinished run", "fleet runs list"]);
    let none = fleet.run(&["runs", "list"]);
    none.says(0, &[]);
    assert!(none.out.is_empty() && none.err.starts_with("no runs yet in /"), "{none}");
    assert_eq!(fleet.run(&["runs", "list", "-o", "json"]).out, "[]\n");
}

#[test]
fn a_wrong_command_line_is_explained() {
    let fleet = Fleet::with(SMALL);
    for (args, words) in [
        (&["statsu"][..], &["unrecognized subcommand 'statsu'", "'status'", "--help"][..]),
        (&["status", "--colour", "never"], &["unexpected argument '--colour'", "--color"]),
        (&["status", "-o", "yaml"], &["invalid value 'yaml'", "text, json, jsonl"]),
        (&["unlock", "val-1"], &["--run <RUN>"]),
        (&["exec", "val-1"], &["<CMD>"]),
    ] {
        refused(&fleet, args, 2, words);
    }
}

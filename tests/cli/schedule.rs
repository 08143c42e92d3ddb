//! `fleet schedule`: the clock that is installed, with stubs in place of systemctl and crontab, and what it calls.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use fleet::sim::{Fault, Layout, Sim};
use rustix::fs::FlockOperation;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::fleet::{BOUND, FLEET, Fleet, eventually, untouched};
use super::hosts::three;

const SMALL: &str = include_str!("../../inventories/small.toml");
const COMPANY: &str = include_str!("../../inventories/company.toml");
const CONFIG: &str = "[backup]\nstore = \"snapshots\"\n[backup.keep]\nlast = 2\n\n[[schedule]]\nname = \"config\"\n\
                      every = \"1h\"\nprofiles = [\"config\"]\nmetrics = \"config.prom\"\n";

/// Simulated hosts whose config is kept each hour, with more lines of the schedule.
fn hourly(more: &str) -> (Fleet, Sim) {
    let (fleet, sim) = Fleet::simulated(&three());
    append(&fleet, &format!("{CONFIG}{more}"));
    (fleet, sim)
}

fn append(fleet: &Fleet, text: &str) {
    let path = fleet.home().join("fleet.toml");
    fs::write(&path, format!("{}\n{text}", fs::read_to_string(&path).unwrap())).unwrap();
}

/// Where a schedule is remembered.
fn record(fleet: &Fleet, schedule: &str) -> PathBuf {
    let folders = fs::read_dir(fleet.home().join("state/fleet/schedules")).unwrap();
    let mut files = folders.map(|entry| entry.unwrap().path().join(format!("{schedule}.json")));
    files.find(|path| path.is_file()).unwrap()
}

fn remembered(fleet: &Fleet) -> Value {
    serde_json::from_str(&fs::read_to_string(record(fleet, "config")).unwrap()).unwrap()
}

/// As if the last run were many hours ago.
fn long_ago(fleet: &Fleet) {
    let mut value = remembered(fleet);
    value["since_ms"] = 1.into();
    fs::write(record(fleet, "config"), value.to_string()).unwrap();
}

fn snapshots(fleet: &Fleet) -> Vec<Value> {
    serde_json::from_str(&fleet.run(&["snapshot", "list", "-o", "json"]).out).unwrap()
}

/// The value of a metric; of several samples, each of theirs.
fn metric(fleet: &Fleet, name: &str) -> Vec<f64> {
    let text = fs::read_to_string(fleet.home().join("config.prom")).unwrap();
    let samples = text.lines().filter(|line| line.starts_with(&format!("{name}{{")));
    samples.map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap()).collect()
}

/// A server of HTTP for one request; its address, and the first line of what was asked.
fn listener(status: &'static str) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/ping/secret", listener.local_addr().unwrap());
    let (send, receive) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).unwrap();
            let _ = write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            if send.send(line).is_err() {
                return;
            }
        }
    });
    (address, receive)
}

#[test]
fn what_is_due_is_kept_proven_pruned_measured_and_pinged_and_made_up_for_once() {
    let (address, asked) = listener("200 OK");
    let (fleet, _sim) = hourly(&format!("ping = \"{address}\"\n"));
    let quiet = |args: &[&str]| {
        let ran = fleet.run(&[&["schedule", "run-due"], args].concat());
        ran.says(0, &[]);
        assert_eq!((&*ran.out, &*ran.err), ("", ""), "all is well");
    };
    quiet(&[]);
    assert_eq!(fleet.runs(), 0, "seen for the first time, it is due at the next full hour");
    quiet(&["--now", "config"]);
    assert_eq!(asked.recv_timeout(BOUND).unwrap(), "GET /ping/secret HTTP/1.1\r\n");
    assert!(snapshots(&fleet).len() == 3 && snapshots(&fleet).iter().all(|one| one["verified_ms"].is_i64()));
    quiet(&[]);
    assert_eq!(fleet.runs(), 1);
    for runs in [2, 3] {
        long_ago(&fleet);
        // Another way to name the inventory, as seen from the home.
        quiet(&["-i", "fleet.toml"]);
        quiet(&[]);
        assert_eq!(fleet.runs(), runs, "what was missed is made up for once");
    }
    assert_eq!(snapshots(&fleet).len(), 6, "the last two of each host");
    let proven = metric(&fleet, "fleet_backup_last_verified_timestamp_seconds");
    let exit = metric(&fleet, "fleet_backup_last_run_exit_code");
    assert_eq!((proven.len(), &exit[..]), (3, &[0.0][..]));
    assert!(metric(&fleet, "fleet_backup_snapshot_bytes").iter().all(|bytes| *bytes > 0.0));
    assert_eq!(metric(&fleet, "fleet_backup_period_seconds"), [3600.0]);
    let file = fs::metadata(fleet.home().join("config.prom")).unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o644, "node_exporter is another user");
    fleet.run(&["schedule", "list"]).says(0, &["config", "every 1h", "val-[1-3]", "fleet schedule install"]);
    let rows: Value = serde_json::from_str(&fleet.run(&["schedule", "list", "-o", "json"]).out).unwrap();
    assert_eq!((&rows[0]["ended"]["exit"], &rows[0]["failures"]), (&0.into(), &0.into()));
    assert_eq!(rows[0]["proven"].as_array().unwrap().len(), 3);
    promtool(&["check", "metrics"], &fs::read(fleet.home().join("config.prom")).unwrap());
}

#[test]
fn a_failure_is_told_with_its_code_and_counted_and_what_is_proven_stays() {
    let (address, asked) = listener("200 OK");
    let (fleet, sim) = hourly(&format!("ping = \"{address}\"\n"));
    fleet.run(&["schedule", "run-due", "--now", "config"]).says(0, &[]);
    let before = metric(&fleet, "fleet_backup_last_verified_timestamp_seconds");
    sim.control().fault("val-3", Fault::Refuse(true)).unwrap();
    long_ago(&fleet);
    let ran = fleet.run(&["schedule", "run-due"]);
    ran.says(4, &["config: exit 4: done in ", "2 snapshots", "without val-3", "next: fleet runs report "]);
    assert_eq!(ran.out, "");
    assert_eq!(metric(&fleet, "fleet_backup_last_run_exit_code"), [4.0]);
    assert_eq!(metric(&fleet, "fleet_backup_failures_total"), [1.0]);
    let after = metric(&fleet, "fleet_backup_last_verified_timestamp_seconds");
    let renewed: Vec<bool> = before.iter().zip(&after).map(|(before, after)| after > before).collect();
    assert_eq!(renewed, [true, true, false]);
    assert_eq!(asked.iter().take(1).count(), 1);
    assert!(asked.try_recv().is_err(), "only what went well is pinged");
    fleet.run(&["schedule", "list"]).says(0, &["config: done in ", "without val-3"]);
    let ran = fleet.run(&["schedule", "run-due"]);
    assert_eq!((ran.code, ran.err), (0, String::new()), "it waits for its next time");
}

#[test]
fn neither_a_failed_ping_nor_metrics_that_cannot_be_written_fail_a_backup() {
    let (address, _asked) = listener("404 Not Found");
    let (fleet, _sim) = hourly(&format!("ping = \"{address}\"\n"));
    fleet.edit("\"config.prom\"", "\"nowhere/config.prom\"");
    let ran = fleet.run(&["schedule", "run-due", "--now", "config"]);
    ran.says(0, &["config: its ping failed: ", "404", "config: its metrics weren't written: ", "next: mkdir -p "]);
    assert!(!ran.err.contains("secret"), "{ran}");
    assert_eq!(remembered(&fleet)["failures"], 0);
}

#[test]
fn a_validator_that_is_not_named_is_never_stopped() {
    let (fleet, _sim) = Fleet::simulated(&Layout::with(&[50, 30, 20], 1));
    append(&fleet, &CONFIG.replace("[\"config\"]", "[\"data\"]\nhosts = \"sentry-1 or chain:virtengine\""));
    fleet.run(&["schedule", "run-due", "--now", "config"]).says(0, &[]);
    let kept: Vec<Value> = snapshots(&fleet).into_iter().map(|mut one| one["host"].take()).collect();
    assert_eq!(kept, ["sentry-1"]);
    fleet.edit("hosts = \"sentry-1 or chain:virtengine\"", "hosts = \"val-3\"");
    fleet.run(&["schedule", "run-due", "--now", "config"]).says(0, &[]);
    assert_eq!(snapshots(&fleet).len(), 2);
    let text = fs::read_to_string(fleet.home().join("config.prom")).unwrap();
    assert!(
        text.contains("host=\"val-3\"") && !text.contains("sentry-1"),
        "a host that is out is measured no more\n{text}"
    );
}

#[test]
fn two_of_one_chain_never_go_on_at_once() {
    let (fleet, sim) = hourly("");
    fleet.run(&["schedule", "run-due"]).says(0, &[]);
    long_ago(&fleet);
    let lock = fleet.home().join("state/fleet/schedules/virtengine-1.lock");
    let held = fs::OpenOptions::new().read(true).write(true).open(&lock).unwrap();
    rustix::fs::flock(&held, FlockOperation::NonBlockingLockExclusive).unwrap();
    let ran = fleet.run(&["schedule", "run-due"]);
    assert_eq!((ran.code, &*ran.out, &*ran.err), (75, "", ""));
    fleet.run(&["schedule", "run-due", "-v"]).says(75, &["virtengine-1: exit 75: another run-due", "stays due"]);
    untouched(&sim);
    drop(held);
    let start = || {
        let mut command = Command::new(FLEET);
        command.args(["schedule", "run-due"]).env_clear().envs(fleet.environment()).current_dir(fleet.home());
        command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap()
    };
    let both = [start(), start()].map(|mut one| one.wait().unwrap().code().unwrap());
    assert!(both.contains(&0) && both.iter().all(|code| [0, 75].contains(code)), "{both:?}");
    assert_eq!(fleet.runs(), 1);
}

#[test]
fn a_run_that_met_a_lock_stays_due() {
    let (fleet, sim) = hourly("hosts = \"val-3\"\n");
    fleet.edit("profiles = [\"config\"]", "profiles = [\"data\"]");
    fleet.run(&["schedule", "run-due"]).says(0, &[]);
    long_ago(&fleet);
    let at = (jiff::Timestamp::now() + jiff::SignedDuration::from_mins(10)).to_string();
    let mut halt = Command::new(FLEET);
    halt.args(["halt", "--yes", "--facts-timeout", "60s", "--at", &at]).env_clear().envs(fleet.environment());
    let mut halt = halt.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    eventually("val-3 is locked", || sim.dir().join("hosts/val-3/root/run/fleet").exists());
    let ran = fleet.run(&["schedule", "run-due"]);
    kill_process(Pid::from_raw(halt.id().cast_signed()).unwrap(), Signal::INT).unwrap();
    assert_eq!(halt.wait().unwrap().code(), Some(130));
    ran.says(75, &["config: exit 75: val-3 is locked by ops@"]);
    assert_eq!((&remembered(&fleet)["since_ms"], &remembered(&fleet)["failures"]), (&1.into(), &0.into()));
    fleet.run(&["schedule", "run-due"]).says(0, &[]);
    assert!(snapshots(&fleet)[0]["down_ms"].is_u64());
    assert_eq!(metric(&fleet, "fleet_backup_node_down_seconds").len(), 1);
}

#[test]
fn a_run_that_was_cut_short_is_shown_and_made_again_later() {
    let (fleet, sim) = hourly("");
    fleet.run(&["schedule", "run-due"]).says(0, &[]);
    long_ago(&fleet);
    sim.control().fault("val-3", Fault::Hang(true)).unwrap();
    let mut command = Command::new(FLEET);
    command.args(["schedule", "run-due"]).env_clear().envs(fleet.environment()).current_dir(fleet.home());
    let mut killed = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    eventually("it has begun", || remembered(&fleet)["started_ms"].is_i64());
    killed.kill().unwrap();
    killed.wait().unwrap();
    sim.control().fault("val-3", Fault::Hang(false)).unwrap();
    let now = jiff::Timestamp::now().as_millisecond();
    fleet.run(&["schedule", "list"]).says(0, &["died", "config: its last run was cut short"]);
    let runs = fleet.runs();
    fleet.run(&["schedule", "run-due"]).says(0, &[]);
    assert_eq!(fleet.runs(), runs, "not again at once");
    let mut value = remembered(&fleet);
    value["started_ms"] = (now - 3_700_000).into();
    fs::write(record(&fleet, "config"), value.to_string()).unwrap();
    fleet.run(&["schedule", "run-due"]).says(0, &[]);
    assert_eq!((fleet.runs(), &remembered(&fleet)["ended"]["exit"]), (runs + 1, &0.into()));
}

/// A folder with these programs in it, each a line of shell.
fn stubs(fleet: &Fleet, programs: &[(&str, &str)]) -> String {
    let folder = fleet.home().join("stubs");
    fs::create_dir_all(&folder).unwrap();
    for (name, line) in programs {
        let path = folder.join(name);
        fs::write(&path, format!("#!/bin/sh\n{line}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    folder.display().to_string()
}

/// A fleet that never reaches this machine's systemctl and crontab.
fn alone(inventory: &str, programs: &[(&str, &str)]) -> Fleet {
    let mut fleet = Fleet::with(inventory);
    let stubs = stubs(&fleet, programs);
    fleet.set("PATH", &stubs);
    fleet
}

fn small() -> String {
    format!("{SMALL}\n{CONFIG}")
}

fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).map(|all| all.map(|entry| entry.unwrap().file_name().into_string().unwrap()));
    let mut names: Vec<String> = entries.map(Iterator::collect).unwrap_or_default();
    names.sort();
    names
}

#[test]
fn a_timer_is_installed_and_removed_by_systemctl() {
    let fleet = alone(&small(), &[("systemctl", "echo \"$@\" >>\"$HOME/calls\"")]);
    let units = fleet.home().join("config/systemd/user");
    let shown = fleet.run(&["schedule", "install", "--dry-run"]);
    shown
        .says(0, &["fleet-schedule-small.timer:\n", "OnCalendar=*:0/5", "Persistent=true", "\"schedule\" \"run-due\""]);
    assert!(!units.exists() && !fleet.home().join("calls").exists());
    fleet.run(&["schedule", "install"]).says(0, &["installed: 1 schedule", "fleet-schedule-small.timer"]);
    fleet.run(&["schedule", "install"]).says(0, &["installed: 1 schedule"]);
    assert_eq!(files(&units), ["fleet-schedule-small.service", "fleet-schedule-small.timer"]);
    let service = fs::read_to_string(units.join("fleet-schedule-small.service")).unwrap();
    let state = format!("Environment=\"XDG_STATE_HOME={}\"", fleet.home().join("state").display());
    assert!(shown.out.contains(&service) && service.contains(&state), "{service}");
    fleet.run(&["schedule", "list"]).says(0, &["every five minutes by ", "fleet-schedule-small.timer"]);
    fs::write(units.join("other.timer"), "").unwrap();
    fleet.run(&["schedule", "remove"]).says(0, &["removed: ", "fleet-schedule-small.timer"]);
    assert_eq!(files(&units), ["other.timer"]);
    let once = "--user daemon-reload\n--user enable --now fleet-schedule-small.timer\n";
    let gone = "--user disable --now fleet-schedule-small.timer\n--user clean --what=state fleet-schedule-small.timer\n\
                --user daemon-reload\n--user reset-failed fleet-schedule-small.service\n";
    assert_eq!(fs::read_to_string(fleet.home().join("calls")).unwrap(), format!("{once}{once}{gone}"));
    fleet.run(&["schedule", "remove"]).says(0, &["nothing was installed for small"]);
}

#[test]
fn where_the_timer_cannot_be_nothing_is_left_and_cron_is_named() {
    let failing = ("systemctl", "echo 'Failed to connect to bus' >&2; exit 1");
    for (programs, why) in [(&[][..], "No such file"), (&[failing], "Failed to connect to bus")] {
        let fleet = alone(&small(), programs);
        let ran = fleet.run(&["schedule", "install"]);
        ran.says(1, &["systemctl --user daemon-reload: ", why, "next: ", "--cron", "nothing is installed"]);
        assert_eq!(files(&fleet.home().join("config/systemd/user")), [""; 0]);
    }
    let fleet = alone(&small(), &[]);
    let ran = fleet.run(&["schedule", "install", "--cron"]);
    ran.says(1, &["there is no crontab program here", "*/5 * * * * ", "schedule run-due # fleet-schedule-small"]);
}

#[test]
fn a_unit_that_is_not_ours_is_left_alone() {
    let fleet = alone(&small(), &[("systemctl", "echo \"$@\" >>\"$HOME/calls\"")]);
    let units = fleet.home().join("config/systemd/user");
    fs::create_dir_all(&units).unwrap();
    fs::write(units.join("fleet-schedule-small.timer"), "[Timer]\n").unwrap();
    fleet.run(&["schedule", "install"]).says(2, &["fleet-schedule-small.timer is there", "next: move it aside"]);
    fleet.run(&["schedule", "remove"]).says(0, &["nothing was installed"]);
    assert_eq!(files(&units), ["fleet-schedule-small.timer"]);
    assert!(!fleet.home().join("calls").exists());
}

#[test]
fn a_line_of_the_crontab_is_installed_and_removed() {
    let crontab = "case $1 in -l) [ -e \"$HOME/tab\" ] || { echo 'no crontab for ops' >&2; exit 1; }; \
                   while read -r line; do printf '%s\\n' \"$line\"; done <\"$HOME/tab\" ;; \
                   -) while read -r line; do printf '%s\\n' \"$line\"; done >\"$HOME/tab.new\"; /bin/mv \"$HOME/tab.new\" \"$HOME/tab\" ;; esac";
    let fleet = alone(&small(), &[("crontab", crontab)]);
    let tab = fleet.home().join("tab");
    let line = fleet.run(&["schedule", "install", "--cron", "--dry-run"]);
    line.says(0, &["*/5 * * * * XDG_STATE_HOME=", "--inventory ", " schedule run-due # fleet-schedule-small\n"]);
    assert!(!tab.exists());
    fleet.run(&["schedule", "install", "--cron"]).says(0, &["installed: 1 schedule", "crontab"]);
    assert_eq!(fs::read_to_string(&tab).unwrap(), line.out);
    let mine = "0 1 * * * mine\n";
    fs::write(&tab, format!("{mine}{}", line.out)).unwrap();
    fleet.run(&["schedule", "install", "--cron"]).says(0, &[]);
    assert_eq!(fs::read_to_string(&tab).unwrap(), format!("{mine}{}", line.out));
    fleet.run(&["schedule", "list"]).says(0, &["every five minutes by a line of your crontab"]);
    fleet.run(&["schedule", "remove"]).says(0, &["removed: the line of your crontab"]);
    assert_eq!(fs::read_to_string(&tab).unwrap(), mine);
}

#[test]
fn a_crontab_that_cannot_be_read_is_not_overwritten() {
    let crontab = "[ \"$1\" = -l ] && { echo 'cannot open' >&2; exit 1; }; echo >\"$HOME/tab\"";
    let fleet = alone(&small(), &[("crontab", crontab)]);
    fleet.run(&["schedule", "install", "--cron"]).says(1, &["crontab -l: cannot open"]);
    assert!(!fleet.home().join("tab").exists());
}

#[test]
fn what_is_wrong_is_said_before_anything_is_written() {
    for (inventory, args, words) in [
        (SMALL, &["list"][..], &["has no schedule", "next: ", "[[schedule]] name = "][..]),
        (&small(), &["run-due", "--now", "confg"], &["there is no schedule \"confg\"", "did you mean \"config\"?"]),
        (&small(), &["list", "-l", "val-1"], &["--limit isn't for schedules", "hosts = "]),
        (&small().replace("every", "evry"), &["list"], &["unknown key \"evry\"", "fleet.toml:39:1", "\"every\"?"]),
    ] {
        let fleet = alone(inventory, &[]);
        let ran = fleet.run(&[&["schedule"], args].concat());
        ran.says(2, words);
        assert_eq!(ran.out, "");
        assert_eq!(files(fleet.home()), ["fleet.toml", "stubs", "tmp"], "nothing was written");
    }
}

#[test]
fn one_that_is_not_clear_keeps_the_others_from_nothing() {
    let (_, schedule) = CONFIG.split_once("\n\n").unwrap();
    let fleet = alone(&format!("{COMPANY}\n{}", schedule.replace("\"config\"\n", "\"another\"\n")), &[]);
    let line = fs::read_to_string(fleet.home().join("fleet.toml")).unwrap();
    let line = line.lines().collect::<Vec<_>>().iter().rposition(|line| *line == "[[schedule]]").unwrap() + 1;
    let place = format!("fleet.toml:{line}:1");
    fleet.run(&["inventory", "check"]).says(2, &["schedule another: which chain is meant?", &place, "hosts = "]);
    append(&fleet, "[[schedule]]\nname = \"good\"\nevery = \"1h\"\nprofiles = [\"config\"]\nhosts = \"sentry-1\"\n");
    let bad = "schedule another: which chain is meant?";
    fleet.run(&["schedule", "list"]).says(2, &["good", bad, "next: "]);
    fleet.run(&["schedule", "install", "--dry-run"]).says(2, &["OnCalendar=", bad]);
    fleet.run(&["schedule", "run-due"]).says(2, &["another: exit 2: schedule another: which chain is meant?"]);
    assert!(record(&fleet, "good").is_file(), "it is remembered from now on");
    let asked = fleet.run(&["schedule", "run-due", "--now", "another"]);
    asked.says(2, &["another: exit 2: "]);
}

#[test]
fn a_spoilt_record_keeps_the_others_from_nothing() {
    let (fleet, _sim) =
        hourly("[[schedule]]\nname = \"other\"\nevery = \"1h\"\nprofiles = [\"config\"]\nhosts = \"val-1\"\n");
    fleet.run(&["schedule", "run-due"]).says(0, &[]);
    long_ago(&fleet);
    fs::write(record(&fleet, "other"), "{").unwrap();
    fleet.run(&["schedule", "run-due"]).says(1, &["other: exit 1: ", "other.json: EOF", "next: if it can't be mended"]);
    assert_eq!(remembered(&fleet)["ended"]["exit"], 0);
}

/// promtool's verdict, where it is installed; the metrics that the rules name are looked at elsewhere in any case.
fn promtool(args: &[&str], input: &[u8]) {
    let spawned = Command::new("promtool").args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut child) = spawned else { return };
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn the_alert_rules_are_rules() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/alerts.yml");
    let text = fs::read_to_string(&path).unwrap();
    let count = |what: &str| text.lines().filter(|line| line.trim_start().starts_with(what)).count();
    assert!(count("- alert: ") > 3 && count("- alert: ") == count("expr: ") && count("expr: ") == count("summary: "));
    promtool(&["check", "rules", path.to_str().unwrap()], b"");
}

//! What the remote scripts print, as facts: lines of `key=value`.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::chain::config::node_config;
use crate::chain::signer;
use crate::chain::wal::found::{Files, Folder};
use crate::chain::wal::tail::Listed;
use crate::engine::{FactsTarget, Observation};
use crate::model::facts::{HostAnswer, KeyFacts, LockFacts, Process, ServiceFacts, SignerFacts, UnitFacts};

/// The lines of an answer, split at the first `=`.
pub fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| line.split_once('='))
}

/// The value of a key that stands once.
pub fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    pairs(text).find(|(name, _)| *name == key).map(|(_, value)| value)
}

/// Whether the script ran to its end.
pub fn is_whole(text: &str) -> bool {
    value(text, "done").is_some()
}

/// The host's lock, if it has ever had one.
pub fn lock(text: &str) -> Option<LockFacts> {
    let mut lock = LockFacts { epoch: value(text, "lock.epoch")?.parse().ok()?, ..LockFacts::default() };
    for (key, value) in pairs(text) {
        match key {
            "lock.run" => lock.run = value.into(),
            "lock.owner" => lock.owner = value.into(),
            "lock.reason" => lock.reason = value.into(),
            "lock.digest" => lock.digest = value.into(),
            "lock.remaining" => lock.remaining_s = value.parse().unwrap_or_default(),
            "lock.released" => lock.released = true,
            "lock.under_way" => lock.under_way.push(value.into()),
            _ => {}
        }
    }
    Some(lock)
}

/// What `unit_facts` printed of one service.
pub fn observation(text: &str) -> Observation {
    let mut seen = Observation::default();
    for (key, value) in pairs(text) {
        match key {
            "process" => seen.processes.extend(process(value)),
            "wal.set" => seen.wal_set = true,
            "wal.back" => seen.wal_back = true,
            "sealed" => seen.sealed = true,
            "swapped" => seen.swapped = true,
            "database.locked" => seen.database_locked |= value == "1",
            "unit.ActiveExitTimestamp" => seen.stop_began_us = timestamp_us(value),
            "unit.InactiveEnterTimestamp" => seen.stop_ended_us = timestamp_us(value),
            _ => {
                unit_property(&mut seen.unit, key, value);
                seen.signer = signer_line(key, value).unwrap_or(seen.signer);
            }
        }
    }
    seen
}

fn unit_property(unit: &mut UnitFacts, key: &str, value: &str) {
    let Some(property) = key.strip_prefix("unit.") else { return };
    match property {
        "LoadState" => unit.load_state = value.into(),
        "ActiveState" => unit.active_state = value.into(),
        "SubState" => unit.sub_state = value.into(),
        "UnitFileState" => unit.file_state = value.into(),
        "MainPID" => unit.main_pid = value.parse().unwrap_or_default(),
        "NRestarts" => unit.restarts = value.parse().unwrap_or_default(),
        "Restart" => unit.restart_policy = value.into(),
        "KillMode" => unit.kill_mode = value.into(),
        "Result" => unit.result = value.into(),
        "ExecMainStatus" => unit.exit_status = value.parse().unwrap_or_default(),
        "Job" => unit.job_queued = !matches!(value, "" | "0"),
        "processes" => unit.cgroup_processes = value.parse().unwrap_or_default(),
        "ActiveEnterTimestampMonotonic" => unit.active_enter_us = value.parse().unwrap_or_default(),
        "ActiveExitTimestampMonotonic" => unit.active_exit_us = value.parse().unwrap_or_default(),
        "InactiveEnterTimestampMonotonic" => unit.inactive_enter_us = value.parse().unwrap_or_default(),
        _ => {}
    }
}

/// `PID IN_UNIT COMMAND`
fn process(value: &str) -> Option<Process> {
    let mut words = value.splitn(3, ' ');
    let pid = words.next()?.parse().ok()?;
    let in_unit = words.next()? == "1";
    Some(Process { pid, in_unit, command: words.next().unwrap_or_default().trim().into() })
}

/// systemd's `Tue 2026-11-24 04:37:00.123456 UTC` as Unix µs; 0 when there is none or its zone isn't known here.
fn timestamp_us(value: &str) -> i64 {
    let mut words = value.split(' ').skip(1);
    let (Some(date), Some(time), Some(zone)) = (words.next(), words.next(), words.next()) else { return 0 };
    let Ok(civil) = format!("{date}T{time}").parse::<jiff::civil::DateTime>() else { return 0 };
    let zone = if zone == "UTC" { Some(jiff::tz::TimeZone::UTC) } else { jiff::tz::TimeZone::get(zone).ok() };
    zone.and_then(|zone| zone.to_timestamp(civil).ok()).map_or(0, jiff::Timestamp::as_microsecond)
}

fn signer_line(key: &str, value: &str) -> Option<SignerFacts> {
    match key {
        "signer.missing" => Some(SignerFacts::Missing),
        "signer.unreadable" => Some(SignerFacts::Unreadable(value.into())),
        "signer.file" => Some(match decode(value).map(|json| signer::state(&json)) {
            Some(Ok(state)) => SignerFacts::State(state),
            Some(Err(reason)) => SignerFacts::Unreadable(reason),
            None => SignerFacts::Unreadable("it did not come whole".into()),
        }),
        _ => None,
    }
}

/// Splits an answer into what stands before the first `service=` line, and each service's part.
pub fn sections(text: &str) -> (&str, Vec<(&str, &str)>) {
    let mut parts = text.split("service=");
    let head = parts.next().unwrap_or_default();
    let services = parts.filter_map(|part| part.split_once('\n')).collect();
    (head, services)
}

/// What `probe_host.sh` printed.
pub fn host(text: &str, targets: &[FactsTarget]) -> HostAnswer {
    let (head, services) = sections(text);
    let number = |key| value(head, key).and_then(|value| value.parse().ok());
    let mut answer = HostAnswer {
        uptime_s: number("host.uptime").unwrap_or_default(),
        clock_synced: match value(head, "host.synced") {
            Some("yes") => Some(true),
            Some("no") => Some(false),
            _ => None,
        },
        lock: lock(head),
        ..HostAnswer::default()
    };
    for (name, part) in services {
        let home = targets.iter().find(|target| target.name == name).and_then(|target| target.home.as_deref());
        answer.watchdogs.extend(pairs(part).filter(|(key, _)| *key == "watchdog").map(|(_, value)| value.to_owned()));
        answer.services.insert(name.to_owned(), service(part, home));
    }
    answer
}

fn service(text: &str, home: Option<&str>) -> ServiceFacts {
    let seen = observation(text);
    let mut facts = ServiceFacts {
        unit: seen.unit,
        processes: seen.processes,
        cosmovisor: value(text, "cosmovisor").is_some(),
        held: value(text, "held").is_some(),
        consensus_failure: value(text, "consensus_failure").is_some(),
        version: value(text, "version").filter(|version| !version.is_empty()).map(Into::into),
        config_error: value(text, "config.error").map(Into::into),
        ..ServiceFacts::default()
    };
    // Of the home and the databases, what is fuller.
    let disks = pairs(text).filter(|(name, _)| *name == "disk").filter_map(|(_, line)| disk(line));
    if let Some((used, free)) = disks.max_by_key(|(used, free)| (*used, std::cmp::Reverse(*free))) {
        facts.disk_used_percent = Some(used);
        facts.disk_free_bytes = Some(free);
    }
    if let (Some(home), Some(config)) = (home, file(text, "file.config")) {
        match node_config(home, &config, file(text, "file.app").as_deref()) {
            Ok(config) => facts.config = Some(config),
            Err(reason) => facts.config_error = Some(format!("{home}/config: {reason}")),
        }
    }
    facts
}

/// A line of `df -P`: file system, size, used, available, percent, mount. How full it is, percent, and the bytes that are free.
pub fn disk(line: &str) -> Option<(u8, u64)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let percent = words.iter().rev().nth(1)?.strip_suffix('%')?.parse().ok()?;
    Some((percent, words.iter().rev().nth(2)?.parse().ok()?))
}

fn file(text: &str, key: &str) -> Option<String> {
    decode(value(text, key)?)
}

/// The bytes that base64 stands for.
pub fn bytes(base64: &str) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(base64).ok()
}

/// What `probe_wal.sh` printed.
pub fn wals(text: &str) -> Files {
    let mut files = Files::default();
    for (key, value) in pairs(text) {
        match key {
            "folder" => files.folders.push(Folder { path: value.into(), ..Folder::default() }),
            "file" => {
                if let Some((file, folder)) = listed(value).zip(files.folders.last_mut()) {
                    folder.files.push(file);
                }
            }
            "aside" => files.folders.last_mut().into_iter().for_each(|folder| folder.can_be_put_back = true),
            _ => match key.strip_prefix("aside.") {
                Some(key) => files.folders.last_mut().into_iter().for_each(|folder| {
                    folder.signer = signer_text(key, value).or(folder.signer.take());
                }),
                None => files.signer = signer_text(key, value).or(files.signer.take()),
            },
        }
    }
    files
}

/// The text of a signer's state, as `signer_state` prints it.
fn signer_text(key: &str, value: &str) -> Option<Result<String, String>> {
    match key {
        "signer.unreadable" => Some(Err(value.into())),
        "signer.file" => Some(decode(value).ok_or_else(|| "it did not come whole".into())),
        _ => None,
    }
}

/// `SIZE MODIFIED KIND NAME`, where a kind may have several words.
fn listed(line: &str) -> Option<Listed> {
    let (size, rest) = line.split_once(' ')?;
    let (modified, rest) = rest.split_once(' ')?;
    let name = rest.strip_prefix("regular file ").or_else(|| rest.strip_prefix("regular empty file "))?;
    Some(Listed { name: name.into(), size: size.parse().ok()?, modified_s: modified.parse().ok()? })
}

fn decode(base64: &str) -> Option<String> {
    Some(String::from_utf8_lossy(&bytes(base64)?).into_owned())
}

/// Adds what `probe_files.sh` printed of one service.
pub fn add_files(facts: &mut ServiceFacts, text: &str) {
    let seen = observation(text);
    facts.signer = seen.signer;
    facts.database_locked = seen.database_locked;
    facts.genesis_sha256 = value(text, "genesis").map(Into::into);
    facts.db_free_bytes = value(text, "database.disk").and_then(disk).map(|(_, free)| free);
    facts.key = key(text);
}

fn key(text: &str) -> KeyFacts {
    if value(text, "key.missing").is_some() {
        return KeyFacts::Missing;
    }
    if let Some(reason) = value(text, "key.unreadable") {
        return KeyFacts::Unreadable(reason.into());
    }
    let lines: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("key.")).collect();
    if lines.is_empty() { KeyFacts::Unknown } else { signer::public_key(&lines.join("\n")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: &str = "unit.LoadState=loaded\nunit.ActiveState=failed\nunit.Job=\nunit.processes=0\n\
        unit.ActiveExitTimestamp=Tue 2026-11-24 04:37:00.123456 UTC\nprocess=12 0 virtengined start --home /x\n\
        database.locked=1\n";

    #[test]
    fn reads_a_unit() {
        let seen = observation(UNIT);
        assert_eq!(seen.unit.active_state, "failed");
        assert!(!seen.unit.job_queued && seen.database_locked);
        assert_eq!(seen.stop_began_us, 1_795_495_020_123_456);
        assert_eq!(seen.processes[0].pid, 12);
        assert!(!seen.processes[0].in_unit);
    }

    #[test]
    fn a_garbled_signer_state_is_unreadable_not_zero() {
        let of = |json: &str| observation(&format!("signer.file={}\n", BASE64_STANDARD.encode(json))).signer;
        assert!(matches!(of("{"), SignerFacts::Unreadable(_)));
        let state = of(r#"{"height":"36","round":1,"step":3}"#);
        assert_eq!(state, SignerFacts::State(crate::model::facts::SignerState { height: 36, round: 1, step: 3 }));
    }

    #[test]
    fn a_key_without_an_address_is_not_taken_for_one() {
        assert!(matches!(key("key.address={\"x\":1}\nkey.pub_key=\n"), KeyFacts::Unreadable(_)));
        assert_eq!(key("key.missing=1\n"), KeyFacts::Missing);
    }

    #[test]
    fn reads_logs_and_the_signers_states_beside_them() {
        let of = |text: &str| BASE64_STANDARD.encode(text);
        let text = format!(
            "folder=/d/cs.wal\nfile=54 1795000000 regular file wal\nfolder=/d/cs.wal.fleet-R\naside=1\naside.signer.file={}\n\
             folder=/d/cs.wal.fleet-S\naside=1\naside.signer.missing=1\nsigner.file={}\n",
            of("then"),
            of("now")
        );
        let files = wals(&text);
        let told = files.folders.iter().map(|one| (one.files.len(), one.can_be_put_back, one.signer.clone()));
        let expected = [(1, false, None), (0, true, Some(Ok("then".into()))), (0, true, None)];
        assert_eq!(told.collect::<Vec<_>>(), expected);
        assert_eq!(files.signer, Some(Ok("now".into())));
    }

    #[test]
    fn reads_a_lock_and_what_is_under_way() {
        let text = "lock.epoch=3\nlock.run=R\nlock.remaining=-4\nlock.under_way=0.0.node\n";
        let lock = lock(text).unwrap();
        assert_eq!((lock.epoch, lock.remaining_s, lock.under_way.len()), (3, -4, 1));
        assert!(super::lock("host.uptime=1\n").is_none());
    }
}

//! `fleet schedule run-due`: makes what is due, one at a time for each chain.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use futures::future::join_all;
use serde_json::json;

use super::{Scoped, after, chain_id, scoped};
use crate::app::backup::back_up;
use crate::app::context::Context;
use crate::app::scope::Scope;
use crate::cli::{BackupArgs, ConfirmArgs, Global, Output, StoreArgs};
use crate::error::{Error, Kind, Result};
use crate::journal::Schedules;
use crate::model::fold::fold;
use crate::model::inventory::Schedule;
use crate::model::nearest::did_you_mean;
use crate::model::schedule::{Ended, Record, is_put_off};
use crate::ops::schedule::due;

/// Nobody waits for it, and a host may be slow.
const FACTS: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(90);

/// What came of one schedule, or of a chain whose turn it wasn't.
struct Ran {
    what: String,
    exit: u8,
    summary: String,
    /// What to do next.
    hints: Vec<String>,
}

impl Ran {
    fn failed(what: &str, error: Error) -> Self {
        Self { what: what.to_owned(), exit: error.kind.exit_code(), summary: error.message, hints: error.hints }
    }
}

/// What the runs of all chains have in common.
struct Runner<'a> {
    context: &'a Context,
    records: Schedules,
    /// These, due or not.
    now: &'a [String],
    /// Whether somebody reads what is told while all is well.
    talks: bool,
}

/// `fleet schedule run-due`
pub async fn run_due(context: &Context, now: &[String]) -> Result<u8> {
    let Scoped { good: all, bad } = scoped(context)?;
    let names: Vec<&str> = context.inventory.schedules.iter().map(|schedule| schedule.name.as_str()).collect();
    if let Some(unknown) = now.iter().find(|name| !names.contains(&name.as_str())) {
        let error = Error::usage(format!("there is no schedule \"{}\"", unknown.escape_debug()));
        let near = did_you_mean(unknown, names.iter().copied());
        return Err(error.hint(near.unwrap_or_else(|| format!("the inventory has {}", names.join(", ")))));
    }
    let mut chains: BTreeMap<&str, Vec<(&Schedule, &Scope)>> = BTreeMap::new();
    for (schedule, scope) in &all {
        chains.entry(&scope.chain).or_default().push((schedule, scope));
    }
    let text = context.global.output == Output::Text;
    let talks = text && (context.global.verbose || std::io::stdout().is_terminal());
    let records = Schedules::of(&context.places, &context.inventory.name);
    let runner = Runner { context, records, now, talks };
    let meant = |schedule: &Schedule| now.is_empty() || now.contains(&schedule.name);
    let bad = bad.into_iter().filter(|(schedule, _)| meant(schedule));
    let bad: Vec<Ran> = bad.map(|(schedule, error)| runner.told(Ran::failed(&schedule.name, error))).collect();
    let ran = join_all(chains.into_iter().map(|(chain, schedules)| runner.chain(chain, schedules))).await;
    let ran: Vec<Ran> = bad.into_iter().chain(ran.into_iter().flatten()).collect();
    if !text {
        let row =
            |one: &Ran| json!({ "schedule": one.what, "exit": one.exit, "summary": one.summary, "next": one.hints });
        context.print_rows(ran.iter().map(row));
    }
    Ok(exit(&ran.iter().map(|one| one.exit).collect()))
}

/// The code that all that didn't go well have, or that of what is incomplete.
fn exit(codes: &BTreeSet<u8>) -> u8 {
    let mut bad = codes.iter().filter(|code| **code != 0);
    match (bad.next(), bad.next()) {
        (None, _) => 0,
        (Some(only), None) => *only,
        _ => Kind::Incomplete.exit_code(),
    }
}

impl Runner<'_> {
    /// What is due of one chain, one after the other.
    async fn chain(&self, chain: &str, schedules: Vec<(&Schedule, &Scope)>) -> Vec<Ran> {
        let chain_id = chain_id(&self.context.inventory, chain);
        let _turn = match self.records.turn(chain_id) {
            Ok(Ok(turn)) => turn,
            Ok(Err(pid)) => return vec![self.not_its_turn(chain_id, pid)],
            Err(error) => return vec![self.told(Ran::failed(called(chain_id), error))],
        };
        let (mut known, mut ran) = (Vec::new(), Vec::new());
        for (schedule, _) in &schedules {
            match self.known(schedule) {
                Ok(record) => known.push((*schedule, record)),
                Err(error) => ran.push(self.told(Ran::failed(&schedule.name, error))),
            }
        }
        let mut next = if self.now.is_empty() {
            due(&self.context.inventory.name, &known, self.context.now_ms())
        } else {
            known.iter().map(|(schedule, _)| *schedule).filter(|one| self.now.contains(&one.name)).collect()
        };
        next.reverse();
        while let Some(schedule) = next.pop() {
            let hosts = schedules.iter().find(|(one, _)| one.name == schedule.name).map(|(_, scope)| &scope.hosts[..]);
            let one = self.schedule(schedule, chain_id, hosts.unwrap_or_default()).await;
            let one = self.told(one.unwrap_or_else(|error| Ran::failed(&schedule.name, error)));
            if matches!(one.exit, 129..=143) {
                next.clear();
            }
            ran.push(one);
        }
        ran
    }

    /// What is remembered; one that is seen for the first time is remembered from now on.
    fn known(&self, schedule: &Schedule) -> Result<Record> {
        if let Some(record) = self.records.read(&schedule.name)? {
            return Ok(record);
        }
        let record = Record::new(self.context.now_ms());
        self.records.write(&schedule.name, &record).map(|()| record)
    }

    fn not_its_turn(&self, chain_id: &str, pid: Option<u32>) -> Ran {
        let process = pid.map(|pid| format!(" (process {pid})")).unwrap_or_default();
        let error = Error::new(Kind::Locked, format!("another run-due{process} works on it; what is due stays due"));
        let ran = Ran::failed(called(chain_id), error);
        // Each five minutes a mail about a long backup would say nothing new.
        if self.talks || !self.now.is_empty() { self.told(ran) } else { ran }
    }

    fn told(&self, ran: Ran) -> Ran {
        let Ran { what, exit, summary, hints } = &ran;
        if *exit != 0 {
            let lines = std::iter::once(summary).chain(hints).map(String::as_str);
            let text = lines.collect::<Vec<_>>().join("\nnext: ");
            let _ = writeln!(self.context.err(), "{what}: exit {exit}: {text}");
        } else if self.talks {
            self.context.print(&format!("{what}: {summary}"));
        }
        ran
    }

    /// One backup, and what follows it. An error is one of what is remembered.
    async fn schedule(&self, schedule: &Schedule, chain_id: &str, hosts: &[String]) -> Result<Ran> {
        let mut record = self.known(schedule)?;
        let started_ms = self.context.now_ms();
        record.started_ms = Some(started_ms);
        self.records.write(&schedule.name, &record)?;
        let kept = |profile: &String| schedule.profiles.is_empty() || schedule.profiles.contains(profile);
        record.proven.retain(|_, one| kept(&one.profile) && hosts.contains(&one.host));
        // A long run isn't one that is overdue.
        let under_way = Record { since_ms: started_ms, ..record.clone() };
        self.flaw(schedule, after::measure(self.context, schedule, chain_id, &under_way));
        let ran = self.back_up_and_prove(schedule, &mut record).await;
        if !is_put_off(ran.exit) {
            record.since_ms = started_ms;
            record.failures += u64::from(ran.exit != 0);
        }
        let at_ms = self.context.now_ms();
        record.ended = Some(Ended { started_ms, at_ms, exit: ran.exit, summary: ran.summary.clone() });
        self.records.write(&schedule.name, &record)?;
        self.flaw(schedule, after::measure(self.context, schedule, chain_id, &record));
        if let (Some(url), 0) = (&schedule.ping, ran.exit) {
            self.flaw(schedule, after::ping(url).await);
        }
        Ok(ran)
    }

    /// Something that fails no backup.
    fn flaw(&self, schedule: &Schedule, result: std::result::Result<(), String>) {
        if let Err(what) = result {
            let _ = writeln!(self.context.err(), "{}: {what}", schedule.name);
        }
    }

    async fn back_up_and_prove(&self, schedule: &Schedule, record: &mut Record) -> Ran {
        let global = Global { quiet: !self.talks, ..self.context.global.clone() };
        let finished = match Context::at(global, self.context.places.clone()) {
            Ok(context) => back_up(&context, &args(schedule)).await,
            Err(error) => Err(error),
        };
        let finished = match finished {
            Ok(Some(finished)) => finished,
            Ok(None) => return Ran::failed(&schedule.name, Error::failed("nothing was confirmed")),
            Err(error) => return Ran::failed(&schedule.name, error),
        };
        let summary = finished.state.ended.map(|(_, summary)| summary).unwrap_or_default();
        let report = format!("fleet runs report {}", finished.state.run);
        let mut backup = Ran { what: schedule.name.clone(), exit: finished.exit, summary, hints: vec![report] };
        if !finished.without.is_empty() {
            backup.exit = backup.exit.max(Kind::Incomplete.exit_code());
            let without = fold(finished.without.iter().map(String::as_str));
            backup.summary = format!("{}; without {without}", backup.summary);
        }
        if is_put_off(finished.exit) {
            return backup;
        }
        match after::prove(&self.context.inventory, schedule, &finished.state.kept, record).await {
            Ok(proven) => Ran { summary: format!("{}; {proven}", backup.summary), ..backup },
            Err(_) if backup.exit != 0 => backup,
            Err(error) => Ran::failed(&schedule.name, error),
        }
    }
}

/// A chain as it is told.
fn called(chain_id: &str) -> &str {
    if chain_id.is_empty() { "hosts without a chain" } else { chain_id }
}

/// As `fleet backup … --yes` takes them.
fn args(schedule: &Schedule) -> BackupArgs {
    BackupArgs {
        selector: schedule.hosts.clone(),
        profile: schedule.profiles.clone(),
        store: StoreArgs { store: Some(schedule.store.clone()) },
        parallel: None,
        streams: None,
        limit_rate: None,
        // One dead host keeps no other's backup back; the run's exit code tells of it.
        allow_missing: Some("all".to_owned()),
        stop_timeout: STOP,
        confirm: ConfirmArgs {
            yes: true,
            reason: Some(format!("schedule {}", schedule.name)),
            facts_timeout: FACTS,
            ..ConfirmArgs::default()
        },
    }
}

#[cfg(test)]
mod tests {
    use super::exit;

    #[test]
    fn one_code_tells_of_all() {
        for (codes, expected) in [(vec![], 0), (vec![0], 0), (vec![0, 3], 3), (vec![75, 75], 75), (vec![0, 1, 75], 4)] {
            assert_eq!(exit(&codes.iter().copied().collect()), expected, "{codes:?}");
        }
    }
}

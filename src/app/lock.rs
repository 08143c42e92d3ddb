//! `fleet lock show` and `fleet unlock`.

use std::collections::BTreeSet;
use std::io::Write as _;

use futures::future::join_all;

use crate::app::context::{Context, turned_down};
use crate::app::runs::take_up;
use crate::cli::{Output, UnlockArgs};
use crate::engine::{Answer, Fence, Probe, Prober as _, Transport as _};
use crate::error::{Error, Kind, Result};
use crate::journal::{RunDir, Stored};
use crate::model::facts::LockFacts;
use crate::model::selector::select;

/// What one host says of its lock.
type Told = (String, std::result::Result<Option<LockFacts>, String>);

/// Shows who holds which host; 0 when every host answered.
pub async fn show(context: &Context, selector: Option<&str>) -> Result<u8> {
    let told = ask(context, &hosts(context, selector)?).await;
    if context.global.output == Output::Text {
        for line in told.iter().map(line) {
            context.print(&line);
        }
        for (run, stored) in left(context, &told) {
            context.print(&take_up(&run, &stored));
        }
    } else {
        let rows = told.iter().map(
            |(host, lock)| serde_json::json!({"host": host, "lock": lock.as_ref().ok(), "error": lock.as_ref().err()}),
        );
        context.print_rows(rows);
    }
    Ok(if told.iter().all(|(_, lock)| lock.is_ok()) { 0 } else { Kind::Incomplete.exit_code() })
}

/// Runs of this controller that hold a lock and are left unfinished.
fn left(context: &Context, told: &[Told]) -> Vec<(String, Stored)> {
    let held = told.iter().filter_map(|(_, lock)| lock.as_ref().ok()?.as_ref()).filter(|lock| !lock.released);
    let runs: BTreeSet<&str> = held.map(|lock| lock.run.as_str()).collect();
    let stored = |run: &str| Some((run.to_owned(), RunDir::open(&context.places, run).ok()?.read().ok()?));
    runs.into_iter().filter_map(stored).filter(|(_, one)| one.is_unfinished() && !one.alive).collect()
}

fn hosts(context: &Context, selector: Option<&str>) -> Result<Vec<String>> {
    match context.selector(selector)? {
        Some(text) => Ok(select(&text, &context.inventory)?.hosts),
        None => Ok(context
            .inventory
            .hosts
            .iter()
            .filter(|host| !host.services.is_empty())
            .map(|host| host.name.clone())
            .collect()),
    }
}

async fn ask(context: &Context, hosts: &[String]) -> Vec<Told> {
    join_all(hosts.iter().map(|host| async move {
        let lock = match context.transport.probe(host, &Probe::Lock).await {
            Ok(Answer::Lock(lock)) => Ok(lock),
            Ok(_) => Err("the host answered something else".into()),
            Err(fault) => Err(fault.reason),
        };
        (host.clone(), lock)
    }))
    .await
}

fn line((host, lock): &Told) -> String {
    match lock {
        Err(reason) => format!("{host}  ? {reason}"),
        Ok(Some(lock)) if !lock.released => {
            let lease = if lock.remaining_s > 0 {
                format!("lease holds {} s", lock.remaining_s)
            } else {
                "lease expired".to_owned()
            };
            let under_way = match lock.under_way.as_slice() {
                [] => String::new(),
                steps => format!(", under way: {}", steps.join(" ")),
            };
            format!("{host}  {} by {}, run {}, {lease}{under_way}", lock.reason, lock.owner, lock.run)
        }
        Ok(_) => format!("{host}  free"),
    }
}

/// Takes the lock of one run off hosts, whatever its lease says: the last resort.
pub async fn unlock(context: &Context, args: &UnlockArgs) -> Result<u8> {
    let hosts = select(&args.selector, &context.inventory)?.hosts;
    let told = ask(context, &hosts).await;
    let of_run = |told: &&Told| matches!(&told.1, Ok(Some(lock)) if lock.run == args.run && !lock.released);
    let held: Vec<&Told> = told.iter().filter(of_run).collect();
    if held.is_empty() {
        return Err(Error::usage(format!("run {} holds none of these hosts", args.run)).hint("fleet lock show"));
    }
    let mut out = context.for_people();
    for told in &held {
        let _ = writeln!(out, "{}", line(told));
    }
    if !args.yes && !context.yes_to("Make sure that this run is dead. Take its locks off?")? {
        return Err(turned_down());
    }
    let mut failed = 0;
    for (host, lock) in held {
        let Ok(Some(lock)) = lock else { continue };
        let fence = Fence { run: args.run.clone(), epoch: lock.epoch };
        let result = context.transport.unlock(host, &fence).await;
        failed += usize::from(result.is_err());
        let _ = match result {
            Ok(()) => writeln!(out, "{host}  unlocked"),
            Err(fault) => writeln!(out, "{host}  failed: {}", fault.reason),
        };
    }
    Ok(if failed == 0 { 0 } else { Kind::Incomplete.exit_code() })
}

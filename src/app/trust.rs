//! `fleet trust`.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;

use crate::app::context::Context;
use crate::app::trust::judge::{Judged, judged};
use crate::app::waiting;
use crate::cli::{Output, TrustArgs};
use crate::error::{Error, Kind, Result};
use crate::model::fold::fold;
use crate::model::selector::select;
use crate::render::next::{Reason, next};
use crate::render::trust::Row;
use crate::ssh::record::{Change, record};
use crate::ssh::{LinkError, Node};

mod judge;

/// Shows the host keys of hosts, and of the jump hosts on the way to them, and records those that are new.
pub async fn trust(context: &Context, args: &TrustArgs) -> Result<u8> {
    let selector = context.selector(args.selector.as_deref())?;
    let hosts = select(selector.as_deref().unwrap_or("all"), &context.inventory)?.hosts;
    let ways = waiting::all(&hosts, hosts.iter().map(|host| context.links.way(host)), |_| {}).await;
    let mut rows = Vec::new();
    let mut found = Vec::new();
    for (host, way) in hosts.iter().zip(ways) {
        match way {
            Ok(way) => found.push(way),
            Err(error) => rows.push(failed(host, error)),
        }
    }
    show(context, &rows);
    let mut refused = None;
    for wave in waves(found) {
        let mut judged = look(context, args, &wave).await;
        show(context, judged.iter().map(|one| &one.row));
        match agree(context, args, &judged) {
            Ok(true) => record_all(context, &mut judged),
            Ok(false) => {}
            Err(error) => refused = Some(error),
        }
        rows.extend(judged.into_iter().map(|one| one.row));
    }
    end(context, &rows);
    match refused {
        Some(error) => Err(error),
        None if rows.iter().all(Row::is_trusted) => Ok(0),
        None => Ok(Kind::Incomplete.exit_code()),
    }
}

/// The hosts that are reached directly, then those behind them, and so on; each once.
fn waves(ways: Vec<Vec<Node>>) -> Vec<Vec<Node>> {
    let mut waves: Vec<Vec<Node>> = Vec::new();
    for (depth, node) in ways.into_iter().flat_map(|way| way.into_iter().enumerate()) {
        waves.resize(waves.len().max(depth + 1), Vec::new());
        if !waves[depth].contains(&node) {
            waves[depth].push(node);
        }
    }
    waves
}

async fn look(context: &Context, args: &TrustArgs, wave: &[Node]) -> Vec<Judged> {
    let names: Vec<String> = wave.iter().map(|node| node.name().to_owned()).collect();
    let looks = waiting::all(&names, wave.iter().map(|node| context.links.look(node)), |_| {}).await;
    let judged = names.iter().zip(looks).map(|(name, look)| match look {
        Ok(look) => judged(name, &look, args.replace),
        Err(error) => Judged { row: failed(name, error), changes: Vec::new() },
    });
    judged.collect()
}

fn failed(host: &str, error: LinkError) -> Row {
    let reason = Reason { message: error.message, hint: error.hint };
    Row { host: host.into(), address: None, keys: Vec::new(), failed: Some(reason), recorded_in: None }
}

fn show<'a>(context: &Context, rows: impl IntoIterator<Item = &'a Row>) {
    if context.global.output == Output::Text {
        rows.into_iter().for_each(|row| context.print(&row.text(context.color())));
    }
}

/// Whether the changes may be written. Without a terminal, and without `--yes`, that is an error.
fn agree(context: &Context, args: &TrustArgs, judged: &[Judged]) -> Result<bool> {
    let changing: Vec<&Judged> = judged.iter().filter(|one| !one.changes.is_empty()).collect();
    if args.yes || changing.is_empty() {
        return Ok(!changing.is_empty());
    }
    let (added, dropped) = changing
        .iter()
        .flat_map(|one| &one.changes)
        .fold((0, 0), |(added, dropped), (_, change)| (added + change.add.len(), dropped + change.forget.len()));
    let hosts = fold(changing.iter().map(|one| one.row.host.as_str()));
    let what = match dropped {
        0 => format!("record {added} new keys of {hosts}"),
        _ => format!("record {added} keys of {hosts} and drop {dropped} that no longer hold"),
    };
    if !std::io::stdin().is_terminal() {
        let error = Error::usage(format!("there is no terminal to ask on: {what}?"));
        return Err(error.hint("compare the fingerprints with those of the hosts themselves, then add --yes"));
    }
    context.yes_to(&format!("Compare the fingerprints with those of the hosts themselves. Shall fleet {what}?"))
}

/// Writes what is to be written, file by file, and notes in each row what came of it.
fn record_all(context: &Context, judged: &mut [Judged]) {
    let mut files: BTreeMap<PathBuf, Vec<Change>> = BTreeMap::new();
    for (file, change) in judged.iter().flat_map(|one| one.changes.iter().cloned()) {
        files.entry(file).or_default().push(change);
    }
    let mut said = context.for_people();
    for (file, changes) in files {
        let written = record(&file, &changes);
        for one in judged.iter_mut() {
            let Some((_, change)) = one.changes.iter().find(|(own, _)| *own == file) else { continue };
            match &written {
                Ok(_) if change.add.is_empty() => {}
                Ok(_) => one.row.recorded_in = Some(file.display().to_string()),
                Err(error) => one.row.failed = Some(unwritten(&format!("{}: {error}", file.display()))),
            }
        }
        // Closed output is no reason to stop half way.
        let _ = match written {
            Ok(None) => writeln!(said, "recorded in {}", file.display()),
            Ok(Some(copy)) => writeln!(said, "recorded in {}; as it was: {}", file.display(), copy.display()),
            Err(error) => writeln!(said, "{}: {error}", file.display()),
        };
    }
    context.links.forget_records();
}

fn unwritten(message: &str) -> Reason {
    let hint = "make the file writable, or name another: known_hosts = [\"…\"] in the inventory";
    Reason { message: format!("nothing was recorded: {message}"), hint: Some(hint.into()) }
}

fn end(context: &Context, rows: &[Row]) {
    if context.global.output != Output::Text {
        return context.print_rows(rows.iter().map(Row::json));
    }
    let hints = rows.iter().filter_map(|row| Some((&*row.host, row.failed.as_ref()?.hint.as_deref()?)));
    let trusted = rows.iter().filter(|row| row.is_trusted()).count();
    context.print(&format!("{}{trusted} of {} hosts trusted", next(hints), rows.len()));
}

//! `fleet wal show`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::model::fold::fold;
use crate::model::size::size;
use crate::model::wal::{RevivalReport, WalReport, WalRow};
use crate::render::paint::Paint;
use crate::render::words::{columns, counted, wrapped};

/// The format number of the JSON document.
const FORMAT: u32 = 1;
const HEAD: [&str; 7] = ["HOST", "LOG", "SIZE", "ENDS", "FURTHEST", "OWN VOTE", "REPLAYED"];

/// The logs as a table, and what they tell together.
pub fn wal_text(report: &WalReport, width: usize, color: bool) -> String {
    let paint = Paint { color };
    let mut lines = head(report, width, paint);
    lines.push(String::new());
    lines.extend(table(&report.logs, width));
    lines.join("\n") + "\n"
}

/// The same as a JSON document.
pub fn wal_json(report: &WalReport) -> Value {
    let mut document = json!(report);
    document["format"] = json!(FORMAT);
    document
}

fn head(report: &WalReport, width: usize, paint: Paint) -> Vec<String> {
    let at = report.height.map_or_else(|| "height unknown".into(), |height| format!("height {height} in progress"));
    let mut lines = vec![format!("{}  {at}", report.chain_id)];
    let mut say = |label: &str, text: &str| {
        let text = wrapped(&format!("  {label:<8} {text}"), width, 11);
        lines.extend(text);
    };
    let names = |names: &[String]| fold(names.iter().map(String::as_str));
    if !report.spoken.is_empty() {
        say(
            "signed",
            &format!("{} for this height: {}", counted(report.spoken.len(), "validator"), names(&report.spoken)),
        );
    }
    if !report.unknown.is_empty() {
        say("unknown", &format!("what they have signed last: {}", names(&report.unknown)));
    }
    report.notes.iter().for_each(|note| say("note", note));
    match (report.mute.is_empty(), report.height.is_some()) {
        (true, true) => say("mute", "none: every vote known to be signed would be replayed"),
        (true, false) => {}
        (false, _) => {
            let text = format!("{}: their last vote is in no log that would be replayed", names(&report.mute));
            say("mute", &paint.bad(&text));
        }
    }
    lines
}

/// What a revival rests on and is expected to do, before its plan.
pub fn revival_text(report: &RevivalReport, width: usize) -> String {
    /// What was left out is listed up to here.
    const LISTED: usize = 10;
    let messages = format!("{} and {}", counted(report.votes, "vote"), counted(report.blocks, "whole block"));
    let mut lines = vec![format!("Height {} in progress: {messages}, each signature proven", report.height)];
    let mut say = |label: &str, text: &str| lines.extend(wrapped(&format!("  {label:<8} {text}"), width, 11));
    report.conflicts.iter().for_each(|one| say("twice", &format!("signed for two blocks: {one}")));
    report.left_out.iter().take(LISTED).for_each(|one| say("left out", one));
    if let Some(more @ 1..) = report.left_out.len().checked_sub(LISTED) {
        say("left out", &format!("{more} more"));
    }
    let when = if report.goes_on { format!(", when {} hands them out", report.on) } else { String::new() };
    say("expected", &format!("{}{when}", report.forecast));
    lines.join("\n") + "\n\n"
}

/// Rows that say the same are one.
fn table(logs: &[WalRow], width: usize) -> Vec<String> {
    let mut order: Vec<[String; 6]> = Vec::new();
    let mut hosts: BTreeMap<[String; 6], Vec<String>> = BTreeMap::new();
    for row in logs {
        let cells = cells(row);
        if !hosts.contains_key(&cells) {
            order.push(cells.clone());
        }
        hosts.entry(cells).or_default().extend(row.service.as_ref().map(ToString::to_string));
    }
    let named = |cells: [String; 6]| {
        let names = hosts.get(&cells).map(|names| fold(names.iter().map(String::as_str)));
        [names].into_iter().flatten().chain(cells).collect::<Vec<String>>()
    };
    let mut grid: Vec<Vec<String>> = vec![HEAD.map(String::from).to_vec()];
    grid.extend(order.into_iter().map(named));
    columns(&grid, width)
}

/// All but the name.
fn cells(row: &WalRow) -> [String; 6] {
    let dash = || "-".to_owned();
    let place = row.furthest.map(|(height, round, step)| format!("{height}/{round}/{step}"));
    let own = row.own_vote.map(|there| if there { "yes" } else { "no" }.to_owned());
    let replayed = match (&row.flaw, row.replayed.is_empty()) {
        (Some(flaw), true) => flaw.clone(),
        (Some(flaw), false) => format!("{}; {flaw}", row.replayed),
        (None, true) => dash(),
        (None, false) => row.replayed.clone(),
    };
    let kind = if row.kind.is_empty() { dash() } else { row.kind.clone() };
    let size = if row.kind.is_empty() { dash() } else { size(row.bytes) };
    let ends = row.last_end_height.map(|height| height.to_string());
    [kind, size, ends.unwrap_or_else(dash), place.unwrap_or_else(dash), own.unwrap_or_else(dash), replayed]
}

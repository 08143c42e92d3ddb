//! Snapshots: lists, one of them, what differs, what is damaged, what goes.

use serde_json::{Value, json};

use super::plain::plain;
use super::words::{are_wider, columns, counted, time, wrapped};
use crate::model::size::size;
use crate::model::snapshot::{ChangedLink, Difference, LinkEntry, Links, Manifest, Summary};

/// A snapshot in a list: its id, what is known of it, and when all of it was read back, Unix ms.
pub type Row = (String, Result<(Summary, Option<i64>), String>);

/// Up to so many paths are listed where they aren't all asked for.
const LISTED: usize = 10;

/// The column of the service; that of the profile is beside it.
const SERVICE: usize = 2;

/// A row for each snapshot.
pub fn list(rows: &[Row], width: usize) -> Vec<String> {
    let head = ["ID", "MADE", "SERVICE", "PROFILE", "HEIGHT", "SIZE", "PROVEN"];
    let mut grid: Vec<Vec<String>> = vec![head.map(String::from).to_vec()];
    let mut broken = Vec::new();
    for (id, row) in rows {
        match row {
            Ok((one, proven)) => grid.push(cells(one, *proven)),
            Err(error) => broken.push(format!("{id}  can't be read: {error}")),
        }
    }
    fitting(grid, width).into_iter().chain(broken).collect()
}

/// Service and profile stand in the id, too: where there is no room they are said there alone.
fn fitting(mut grid: Vec<Vec<String>>, width: usize) -> Vec<String> {
    if are_wider(&grid, width) {
        for row in &mut grid {
            row.drain(SERVICE..SERVICE + 2);
        }
    }
    columns(&grid, width)
}

fn cells(one: &Summary, proven: Option<i64>) -> Vec<String> {
    let height =
        one.node.as_ref().and_then(|node| node.height).map_or_else(|| "-".to_owned(), |height| height.to_string());
    // To the minute, without the zone: all times are UTC's.
    let made = time(one.made_ms).chars().take(16).collect();
    let proven = if proven.is_some() { "yes" } else { "no" }.to_owned();
    let (service, profile) = (one.service.clone(), one.profile.clone());
    vec![one.id.clone(), made, service, profile, height, size(one.files.bytes), proven]
}

/// The same as JSON.
pub fn row_json((id, row): &Row) -> Value {
    match row {
        Ok((one, proven)) => json!({
            "id": id, "parent": one.parent, "made_ms": one.made_ms, "host": one.host, "service": one.service,
            "profile": one.profile, "sealed": one.sealed, "down_ms": one.down_ms, "node": one.node,
            "files": one.files.count, "bytes": one.files.bytes, "segments": one.segments.len(),
            "stored_bytes": one.stored_bytes(), "verified_ms": proven,
        }),
        Err(error) => json!({ "id": id, "error": error }),
    }
}

/// One snapshot, with its files if they are asked for.
pub fn one(manifest: &Manifest, proven: Option<i64>, files: bool, width: usize) -> Vec<String> {
    let summary = Summary::from(manifest);
    let mut lines = vec![format!("snapshot {} of {}: {}", manifest.id, manifest.service, manifest.profile)];
    let mut say = |label: &str, text: String| {
        lines.extend(wrapped(&format!("  {label:<9} {}", plain(text.as_bytes())), width, 12));
    };
    say("made", time(manifest.made_ms));
    if let Some(parent) = &manifest.parent {
        say("upon", parent.clone());
    }
    match (&manifest.node, manifest.streamed) {
        (_, true) => say("hashed", "as it was received, only: a dump has no checksum at its source".to_owned()),
        (None, _) if !manifest.sealed => say("copied", "while it was in use".to_owned()),
        (_, _) if manifest.sealed => say("node", stopped(manifest.down_ms)),
        _ => say("node", "ran while it was taken".to_owned()),
    }
    if let Some(node) = &manifest.node {
        let height = node.height.map_or_else(|| "an unknown height".to_owned(), |height| format!("height {height}"));
        say("chain", format!("{} at {height}, database {}", node.chain_id, node.backend));
        let facts = [("app hash", &node.app_hash), ("genesis", &node.genesis), ("version", &node.version)];
        for (label, value) in facts.into_iter().chain([("binary", &node.binary_sha256)]) {
            if let Some(value) = value {
                say(label, value.clone());
            }
        }
    }
    manifest.roots.iter().for_each(|(name, path)| say("folder", format!("{name} is {path}")));
    say("files", format!("{}, {}", counted(manifest.files.len(), "file"), size(summary.files.bytes)));
    if !manifest.links.is_empty() {
        say("links", format!("{}, as text", counted(manifest.links.len(), "symbolic link")));
    }
    say("stored", format!("{} in {}", size(summary.stored_bytes()), counted(manifest.segments.len(), "segment")));
    for segment in manifest.segments.iter().filter(|segment| segment.is_encrypted()) {
        say("readers", format!("encrypted by age for {}", segment.recipients.join(", ")));
    }
    say("proven", proven.map_or_else(|| "never read back as a whole".to_owned(), time));
    let left_out = if files { manifest.left_out.len() } else { LISTED };
    manifest.left_out.iter().take(left_out).for_each(|one| say("left out", format!("{}: {}", one.path, one.reason)));
    if manifest.left_out.len() > left_out {
        say("left out", format!("{} more", manifest.left_out.len() - left_out));
    }
    if files {
        // Where they are in the store, for whom has to unpack them by hand.
        lines.extend(manifest.segments.iter().map(|segment| format!("  {}", segment.place())));
        lines.extend(
            manifest.files.iter().map(|file| format!("{}  {:>7}  {}", file.sha256, size(file.size), file.path)),
        );
        lines.extend(manifest.links.iter().map(|link| format!("  {}", arrow(link))));
    }
    lines
}

fn stopped(down_ms: Option<u64>) -> String {
    let down = down_ms.and_then(|ms| i64::try_from(ms).ok());
    let down = down.map(|ms| format!(", down for {}", super::words::seconds(ms)));
    format!("stopped while it was taken{}", down.unwrap_or_default())
}

/// What differs, with up to ten paths of each kind.
pub fn difference(found: &Difference) -> Vec<String> {
    let mut lines = Vec::new();
    for (what, sign, amount) in
        [("added", '+', &found.added), ("removed", '-', &found.removed), ("changed", '~', &found.changed)]
    {
        lines.push(format!("{what:<8} {}", counted_bytes(amount.paths.len(), amount.bytes)));
        lines.extend(listed(&amount.paths, sign));
    }
    lines.push(format!(
        "{:<8} {}",
        "same",
        counted_bytes(usize::try_from(found.same).unwrap_or(usize::MAX), found.same_bytes)
    ));
    lines.extend(links(&found.links));
    lines
}

/// What differs in symbolic links, as far as it does.
fn links(found: &Links) -> Vec<String> {
    let changed = |link: &ChangedLink| plain(format!("{} -> {}, was {}", link.path, link.to, link.from).as_bytes());
    let kinds = [
        ("added", '+', found.added.iter().map(arrow).collect::<Vec<_>>()),
        ("removed", '-', found.removed.iter().map(arrow).collect()),
        ("changed", '~', found.changed.iter().map(changed).collect()),
    ];
    let lines = kinds.into_iter().filter(|(_, _, links)| !links.is_empty()).map(|(what, sign, links)| {
        let head = format!("{what:<8} {}", counted(links.len(), "symbolic link"));
        std::iter::once(head).chain(listed(&links, sign)).collect::<Vec<_>>()
    });
    lines.flatten().collect()
}

fn arrow(link: &LinkEntry) -> String {
    plain(format!("{} -> {}", link.path, link.target).as_bytes())
}

fn counted_bytes(count: usize, bytes: u64) -> String {
    format!("{}, {}", counted(count, "file"), size(bytes))
}

fn listed(paths: &[String], sign: char) -> impl Iterator<Item = String> {
    let more = paths.len().checked_sub(LISTED).filter(|more| *more > 0);
    let listed = paths.iter().take(LISTED).map(move |path| format!("  {sign} {path}"));
    listed.chain(more.map(|more| format!("  {sign} {more} more")))
}

/// Something that is damaged: what, where, and who needs it.
pub fn flaw(object: &str, what: &str, files: &[String], snapshots: &[String], width: usize) -> Vec<String> {
    let mut lines = wrapped(&plain(format!("{object}: {what}").as_bytes()), width, 4);
    lines.extend(files.iter().take(LISTED).map(|file| format!("  file {file}")));
    if files.len() > LISTED {
        lines.push(format!("  and {}", counted(files.len() - LISTED, "more file")));
    }
    lines.extend(wrapped(&format!("  needed by {}", snapshots.join(", ")), width, 12));
    lines
}

/// What becomes of each snapshot, and why.
pub fn verdicts(rows: &[(&Summary, &[String])], width: usize) -> Vec<String> {
    let row = |(one, stays): &(&Summary, &[String])| {
        let made = time(one.made_ms).chars().take(16).collect();
        let (what, why) =
            if stays.is_empty() { ("goes", "no rule keeps it".to_owned()) } else { ("stays", stays.join(", ")) };
        vec![one.id.clone(), made, one.service.clone(), one.profile.clone(), what.to_owned(), why]
    };
    fitting(rows.iter().map(row).collect(), width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_id_says_goes_first_where_there_is_no_room() {
        let row = |cells: [&str; 5]| cells.map(str::to_owned).to_vec();
        let grid =
            || vec![row(["ID", "MADE", "SERVICE", "PROFILE", "SIZE"]), row(["1-a-data", "now", "a", "data", "1 B"])];
        assert_eq!(fitting(grid(), 42)[1], "1-a-data  now   a        data     1 B");
        assert_eq!(fitting(grid(), 30)[1], "1-a-data  now   1 B");
    }
}

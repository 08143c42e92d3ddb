//! `fleet snapshot list|show|diff`: reads only.

use std::io::Write as _;

use super::pick;
use crate::app::context::{say, say_rows, width};
use crate::cli::{Global, Output};
use crate::error::{Error, Result};
use crate::model::snapshot;
use crate::render::snapshot as screen;
use crate::store::Store;

/// `fleet snapshot list`; 1 if any can't be read.
pub(super) async fn list(global: &Global, store: &Store) -> Result<u8> {
    let mut rows = Vec::new();
    for (id, summary) in store.summaries().await? {
        let row = match summary {
            Ok(summary) => Ok((summary, proven(store, &id).await)),
            Err(error) => Err(error.message),
        };
        rows.push((id, row));
    }
    let broken = rows.iter().any(|(_, row)| row.is_err());
    match global.output {
        Output::Text if rows.is_empty() => {
            let _ = writeln!(std::io::stderr(), "no snapshots yet in {}", store.place());
        }
        Output::Text => say(&screen::list(&rows, width()).join("\n")),
        _ => say_rows(global.output, rows.iter().map(screen::row_json)),
    }
    Ok(u8::from(broken))
}

/// `fleet snapshot show`
pub(super) async fn show(global: &Global, store: &Store, text: &str, files: bool) -> Result<u8> {
    let id = pick::one(store, text).await?;
    let manifest = store.manifest(&id).await?;
    let proven = proven(store, &id).await;
    if global.output == Output::Text {
        say(&screen::one(&manifest, proven, files, width()).join("\n"));
        return Ok(0);
    }
    let row = Ok((snapshot::Summary::from(&manifest), proven));
    let mut document = screen::row_json(&(id, row));
    document["roots"] = json(&manifest.roots)?;
    document["left_out"] = json(&manifest.left_out)?;
    document["links"] = manifest.links.len().into();
    if files {
        let one = |file: &snapshot::FileEntry| serde_json::json!({ "path": file.path, "bytes": file.size, "sha256": file.sha256, "mode": file.mode });
        document["file_list"] = manifest.files.iter().map(one).collect();
        document["link_list"] = json(&manifest.links)?;
    }
    say(&document.to_string());
    Ok(0)
}

/// `fleet snapshot diff`
pub(super) async fn diff(global: &Global, store: &Store, from: &str, to: &str) -> Result<u8> {
    let (from, to) = (pick::one(store, from).await?, pick::one(store, to).await?);
    let found = snapshot::diff(&store.manifest(&from).await?, &store.manifest(&to).await?);
    if global.output == Output::Text {
        say(&format!("from {from} to {to}"));
        say(&screen::difference(&found).join("\n"));
    } else {
        say(&serde_json::json!({ "from": from, "to": to, "difference": found }).to_string());
    }
    Ok(0)
}

/// When all of a snapshot was read back, Unix ms. A record that can't be read proves nothing.
pub(super) async fn proven(store: &Store, id: &str) -> Option<i64> {
    store.verified(id).await.ok().flatten().and_then(|known| known.whole_ms())
}

fn json(value: &impl serde::Serialize) -> Result<serde_json::Value> {
    serde_json::to_value(value).map_err(|error| Error::failed(error.to_string()))
}

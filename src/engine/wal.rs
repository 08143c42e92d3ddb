//! Write-ahead logs read from their hosts: of each only the end that its node would replay, in bounded memory.

use crate::chain::rpc;
use crate::chain::wal::found::{Files, Folder, Found, NodeLogs, Place};
use crate::chain::wal::tail::{Group, Step, Window};
use crate::chain::wal::validators::Validators;
use crate::chain::wal::view::View;
use crate::engine::check::{validator_pages, wrong_answer};
use crate::engine::{Answer, Fault, Probe, Prober};

/// The most of one log that is read, bytes.
const LIMIT: u64 = 16 << 20;

/// What a host has of a node's logs; `state_file` is empty where there is no local signer.
pub async fn files(prober: &dyn Prober, host: &str, wal_file: &str, state_file: &str) -> Result<Files, Fault> {
    let probe = Probe::Wals { wal_file: wal_file.into(), state_file: state_file.into() };
    match prober.probe(host, &probe).await? {
        Answer::Wals(files) => Ok(files),
        _ => Err(wrong_answer()),
    }
}

/// Which of a node's logs are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// All.
    All,
    /// The live one, and those that may hold something of the height in progress.
    OfHeight,
}

/// How far a file's time may be off against the records in it, s.
const SLACK_S: i64 = 600;

/// Reads a node's logs and its signer's state. `wal_file` is the head of its log, `state_file` is empty where there is no
/// local signer.
pub async fn read(
    prober: &dyn Prober,
    host: &str,
    (wal_file, state_file): (&str, &str),
    which: Which,
) -> Result<NodeLogs, Fault> {
    let files = files(prober, host, wal_file, state_file).await?;
    let mut since_s = i64::MIN;
    let (folder, head) = wal_file.rsplit_once('/').unwrap_or((".", wal_file));
    let mut logs = Vec::new();
    // The live one first: it tells since when its height goes on.
    let (live, aside): (Vec<_>, Vec<_>) = files.folders.iter().partition(|one| one.path == folder);
    for one in live.into_iter().chain(aside) {
        let place = if one.path == folder { Place::Live } else { Place::Aside };
        let corrupted = format!("{head}.CORRUPTED");
        for (name, place) in [(head, place), (&corrupted, Place::Corrupted)] {
            let file = one.files.iter().find(|file| file.name == name);
            if file.is_some_and(|file| file.modified_s >= since_s) {
                logs.push(find(prober, host, one, name, place).await?);
            }
            if place == Place::Live && which == Which::OfHeight {
                since_s = logs.last().and_then(began_s).map_or(since_s, |began| began - SLACK_S);
            }
        }
    }
    Ok(NodeLogs { signer: files.signer, logs })
}

/// When the height in progress began, by a log's last `#ENDHEIGHT`. A log begins with that of height 0 whenever its node
/// finds none, so that one tells nothing.
fn began_s(found: &Found) -> Option<i64> {
    let records = View::of(found.log.as_ref().ok()?).records;
    let last = records.iter().rfind(|record| record.end_height().is_some())?;
    last.end_height().filter(|height| *height > 0)?;
    Some(last.message.time?.seconds)
}

async fn find(prober: &dyn Prober, host: &str, folder: &Folder, head: &str, place: Place) -> Result<Found, Fault> {
    let group = Group::new(head, &folder.files);
    let mut window = Window::default();
    let log = loop {
        match group.step(&window, None, LIMIT) {
            Step::Enough(log) => break Ok(log),
            Step::TooLong => break Err(format!("no end of a height in its last {} MiB", LIMIT >> 20)),
            Step::Read(stretch) => {
                let path = format!("{}/{}", folder.path, stretch.file);
                let probe = Probe::Stretch { path, offset: stretch.offset, length: stretch.length };
                let Answer::Body(bytes) = prober.probe(host, &probe).await? else { return Err(wrong_answer()) };
                if bytes.len() as u64 != stretch.length {
                    break Err("it changed while it was read".into());
                }
                window.prepend(bytes);
            }
        }
    };
    Ok(Found { place, path: format!("{}/{head}", folder.path), size: group.size(), log })
}

/// The validator set of the height in progress with its keys, as a node's RPC tells it, and which height that is.
pub async fn voters(prober: &dyn Prober, host: &str, address: &str, chain_id: &str) -> Option<(u64, Validators)> {
    validator_pages(prober, host, address, |pages| rpc::voters(pages, chain_id)).await
}

/// As [`voters`], but the answers as they are.
pub(super) async fn voter_pages(
    prober: &dyn Prober,
    host: &str,
    address: &str,
    chain_id: &str,
) -> Option<(u64, Vec<String>)> {
    let text = |pages: &[Vec<u8>]| pages.iter().map(|page| String::from_utf8_lossy(page).into_owned()).collect();
    let whole = |pages: &[Vec<u8>]| rpc::voters(pages, chain_id).map(|(height, _)| (height, text(pages)));
    validator_pages(prober, host, address, whole).await
}

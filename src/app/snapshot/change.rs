//! `fleet snapshot verify|prune|copy`: what works in the store under a lease.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::json;

use super::{hold, inventory, look, pick};
use crate::app::context::{say, say_rows, turned_down, width, yes_to};
use crate::cli::{Global, KeepArgs, Output, SnapshotPruneArgs, SnapshotVerifyArgs};
use crate::engine::{Clock as _, SystemClock};
use crate::error::{Error, Result};
use crate::model::inventory::Keep;
use crate::model::size::size;
use crate::model::snapshot::Summary;
use crate::ops::retention::{Candidate, Verdict, decide, freed};
use crate::render::snapshot as screen;
use crate::render::words::counted;
use crate::store::{Checked, Copied, Flaw, Part, Pruned, Purpose, Store, Times};

/// `fleet snapshot verify`; 1 if anything is damaged.
pub(super) async fn verify(global: &Global, store: &Store, args: &SnapshotVerifyArgs) -> Result<u8> {
    let ids = pick::several(store, &args.ids).await?;
    let part = args.subset.map_or(Part::ALL, |(n, of)| Part { n, of });
    let checked = prove(store, &ids, part).await?;
    match global.output {
        Output::Text => told(&checked, ids.len()),
        Output::Json | Output::Jsonl => say(&json!(checked).to_string()),
    }
    Ok(u8::from(!checked.flaws.is_empty()))
}

/// Reads snapshots back under a lease.
pub async fn prove(store: &Store, ids: &BTreeSet<String>, part: Part) -> Result<Checked> {
    let hold = hold(store, Purpose::Verify).await?;
    let checked = store.verify(ids, part, &mut |_| ()).await;
    hold.release().await;
    checked
}

fn told(checked: &Checked, snapshots: usize) {
    show_flaws(&checked.flaws);
    let read = format!(
        "{} of {} proven, {} in {} read",
        counted(usize::try_from(checked.files).unwrap_or(usize::MAX), "file"),
        counted(snapshots, "snapshot"),
        size(checked.bytes),
        counted(usize::try_from(checked.segments).unwrap_or(usize::MAX), "segment"),
    );
    if checked.flaws.is_empty() {
        say(&format!("sound: {read}"));
    } else {
        say(&format!("damaged: {}; {read}", counted(checked.flaws.len(), "object")));
        say("next: bring the damaged objects back from a copy of the store, or take new snapshots");
    }
}

fn show_flaws(flaws: &[Flaw]) {
    for flaw in flaws {
        say(&screen::flaw(&flaw.object, &flaw.what, &flaw.files, &flaw.snapshots, width()).join("\n"));
    }
}

/// `fleet snapshot prune`
pub(super) async fn prune(global: &Global, store: &Store, args: &SnapshotPruneArgs) -> Result<u8> {
    let keep = match rules(&args.keep) {
        keep if keep.is_any() => keep,
        _ => inventory(global)?.backup.keep,
    };
    if !keep.is_any() {
        return Err(Error::usage("no rule says which snapshots to keep")
            .hint("give one: --keep-last 3 --keep-daily 7, or [backup.keep] in the inventory"));
    }
    let (summaries, verdicts) = decided(store, &keep).await?;
    shown(global, &summaries, &verdicts);
    if args.dry_run {
        return Ok(0);
    }
    let go = going(&verdicts);
    // Without any that goes there may still be segments that none needs; those take nothing from anybody.
    if !go.is_empty() && !args.yes {
        let what = format!("Remove {}?", counted(go.len(), "snapshot"));
        if !yes_to(global.output, &what)? {
            return Err(turned_down());
        }
    }
    let grace_ms = i64::try_from(args.grace.as_millis()).unwrap_or(i64::MAX);
    let pruned = remove(store, &keep, &go, Times { grace_ms, ..Times::default() }).await?;
    done(global, go.len(), &pruned);
    Ok(0)
}

/// Removes what no rule keeps, unasked; how many snapshots went.
pub async fn prune_by(store: &Store, keep: &Keep) -> Result<usize> {
    let (_, verdicts) = decided(store, keep).await?;
    let go = going(&verdicts);
    remove(store, keep, &go, Times::default()).await?;
    Ok(go.len())
}

fn going(verdicts: &[Verdict]) -> BTreeSet<String> {
    verdicts.iter().filter(|one| !one.is_kept()).map(|one| one.id.clone()).collect()
}

async fn remove(store: &Store, keep: &Keep, go: &BTreeSet<String>, times: Times) -> Result<Pruned> {
    let hold = hold(store, Purpose::Prune).await?;
    let pruned = match still(store, keep, go).await {
        Ok(()) => store.prune(&hold, go, times).await,
        Err(error) => Err(error),
    };
    hold.release().await;
    pruned
}

fn rules(args: &KeepArgs) -> Keep {
    Keep {
        last: args.keep_last.unwrap_or(0),
        hourly: args.keep_hourly.unwrap_or(0),
        daily: args.keep_daily.unwrap_or(0),
        weekly: args.keep_weekly.unwrap_or(0),
        monthly: args.keep_monthly.unwrap_or(0),
        within: args.keep_within,
    }
}

/// All snapshots and what becomes of them. One that can't be read stops everything.
async fn decided(store: &Store, keep: &Keep) -> Result<(Vec<Summary>, Vec<Verdict>)> {
    let (mut summaries, mut candidates) = (Vec::new(), Vec::new());
    for (id, summary) in store.summaries().await? {
        let summary = summary.map_err(|error| error.hint("nothing was removed"))?;
        candidates.push(Candidate::new(&summary, look::proven(store, &id).await.is_some()));
        summaries.push(summary);
    }
    let verdicts = decide(&candidates, keep, SystemClock.unix_ms());
    Ok((summaries, verdicts))
}

/// Refuses when one that was to go stays by now, for instance as another one was found damaged meanwhile.
async fn still(store: &Store, keep: &Keep, go: &BTreeSet<String>) -> Result<()> {
    let (_, verdicts) = decided(store, keep).await?;
    let gone = |id: &String| !verdicts.iter().any(|one| &one.id == id && !one.is_kept());
    match go.iter().find(|id| gone(id)) {
        Some(id) => Err(Error::failed(format!("the store has changed meanwhile: {id} stays, or is gone"))
            .hint("nothing was removed; look again with --dry-run")),
        None => Ok(()),
    }
}

fn shown(global: &Global, summaries: &[Summary], verdicts: &[Verdict]) {
    let rows: Vec<(&Summary, &[String])> =
        summaries.iter().zip(verdicts).map(|(one, verdict)| (one, verdict.stays.as_slice())).collect();
    if global.output != Output::Text {
        let row =
            |(one, stays): &(&Summary, &[String])| json!({ "id": one.id, "goes": stays.is_empty(), "stays": stays });
        say_rows(global.output, rows.iter().map(row));
        return;
    }
    say(&screen::verdicts(&rows, width()).join("\n"));
    let go = verdicts.iter().filter(|one| !one.is_kept()).count();
    let (go, stay) = (counted(go, "snapshot"), verdicts.len() - go);
    let freed = size(freed(summaries, verdicts));
    say(&format!("{go} to go, {stay} to stay; {freed} would be set aside, and be free after the grace time"));
}

fn done(global: &Global, snapshots: usize, pruned: &Pruned) {
    if global.output != Output::Text {
        say(&json!({ "removed_snapshots": snapshots, "pruned": pruned }).to_string());
        return;
    }
    let segments = |count: u64| counted(usize::try_from(count).unwrap_or(usize::MAX), "segment");
    say(&format!(
        "done: {} removed; {} ({}) set aside for the grace time; {} freed",
        counted(snapshots, "snapshot"),
        segments(pruned.set_aside),
        size(pruned.set_aside_bytes),
        size(pruned.removed_bytes),
    ));
    if pruned.brought_back > 0 {
        say(&format!("{} needed after all, brought back", segments(pruned.brought_back)));
    }
}

/// What came of a copy.
#[derive(Default)]
struct Copying {
    place: String,
    done: Vec<String>,
    copied: Copied,
    flaws: Vec<Flaw>,
}

impl Copying {
    /// Several snapshots may need what is damaged.
    fn add(&mut self, flaw: Flaw) {
        match self.flaws.iter_mut().find(|known| (&known.object, &known.what) == (&flaw.object, &flaw.what)) {
            Some(known) => known.snapshots.extend(flaw.snapshots),
            None => self.flaws.push(flaw),
        }
    }
}

/// `fleet snapshot copy`; 1 if any can't be copied whole.
pub(super) async fn copy(global: &Global, store: &Store, to: &Path, texts: &[String]) -> Result<u8> {
    let ids = pick::several(store, texts).await?;
    let hold = hold(store, Purpose::Copy).await?;
    let mut all = Copying::default();
    let result = copy_all(store, to, &ids, &mut all).await;
    hold.release().await;
    if global.output == Output::Text {
        show_flaws(&all.flaws);
    }
    result?;
    if global.output == Output::Text {
        let segments = |count: u64| counted(usize::try_from(count).unwrap_or(usize::MAX), "segment");
        let (copied, known, bytes) =
            (segments(all.copied.segments), segments(all.copied.there), size(all.copied.bytes));
        let of = if all.flaws.is_empty() {
            counted(ids.len(), "snapshot")
        } else {
            format!("{} of {}", all.done.len(), counted(ids.len(), "snapshot"))
        };
        say(&format!("done: {of} in {}; {copied} ({bytes}) copied, {known} there already", all.place));
        if !all.flaws.is_empty() {
            say("next: bring the damaged objects back from a copy of the store, or do without these snapshots");
        }
    } else {
        say(&json!({ "snapshots": all.done, "copied": all.copied, "flaws": all.flaws }).to_string());
    }
    Ok(u8::from(!all.flaws.is_empty()))
}

async fn copy_all(store: &Store, to: &Path, ids: &BTreeSet<String>, all: &mut Copying) -> Result<()> {
    let other = Store::at_or_new(to).await?;
    all.place = other.place();
    let hold = hold(&other, Purpose::Copy).await?;
    let mut result = Ok(());
    for id in ids {
        match store.copy(&other, id, &mut |_| ()).await {
            Ok(Ok(copied)) => {
                all.copied += copied;
                all.done.push(id.clone());
            }
            Ok(Err(flaw)) => all.add(flaw),
            Err(error) => {
                result = Err(error);
                break;
            }
        }
    }
    hold.release().await;
    result
}

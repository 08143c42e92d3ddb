//! Which snapshots stay, which go, and why.
//!
//! The calendar is UTC's. A snapshot of a time in the future stays and counts for nothing, so that a clock that was
//! wrong for a while never makes an older one go.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::model::inventory::{Keep, days};
use crate::model::snapshot::Summary;

#[cfg(test)]
mod tests;

/// What retention looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The snapshot.
    pub id: String,
    /// Snapshots are counted for each host, service and profile.
    pub group: (String, String, String),
    /// When it was made, Unix ms.
    pub made_ms: i64,
    /// Whether all of it was read back without a flaw.
    pub verified: bool,
}

impl Candidate {
    /// A snapshot of which this is known.
    pub fn new(summary: &Summary, verified: bool) -> Self {
        let group = (summary.host.clone(), summary.service.clone(), summary.profile.clone());
        Self { id: summary.id.clone(), group, made_ms: summary.made_ms, verified }
    }
}

/// What becomes of a snapshot, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// The snapshot.
    pub id: String,
    /// Why it stays; nothing means that it goes.
    pub stays: Vec<String>,
}

impl Verdict {
    /// Whether it stays.
    pub fn is_kept(&self) -> bool {
        !self.stays.is_empty()
    }
}

/// What becomes of each snapshot, in their order. `now_ms` is Unix ms.
pub fn decide(candidates: &[Candidate], keep: &Keep, now_ms: i64) -> Vec<Verdict> {
    let mut groups: BTreeMap<&(String, String, String), Vec<&Candidate>> = BTreeMap::new();
    for candidate in candidates {
        groups.entry(&candidate.group).or_default().push(candidate);
    }
    let mut reasons: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for mut group in groups.into_values() {
        group.sort_by(|a, b| (b.made_ms, &b.id).cmp(&(a.made_ms, &a.id)));
        of_group(&group, keep, now_ms, &mut reasons);
    }
    let mut stays = |candidate: &Candidate| reasons.remove(candidate.id.as_str()).unwrap_or_default();
    candidates.iter().map(|candidate| Verdict { id: candidate.id.clone(), stays: stays(candidate) }).collect()
}

/// Gives reasons to those of one group, newest first, that stay.
fn of_group<'a>(group: &[&'a Candidate], keep: &Keep, now_ms: i64, reasons: &mut BTreeMap<&'a str, Vec<String>>) {
    let mut stay = |candidate: &'a Candidate, why: String| reasons.entry(&candidate.id).or_default().push(why);
    // One whose time is in the future stays, and takes nobody's place.
    let (future, past): (Vec<&Candidate>, Vec<&Candidate>) = group.iter().partition(|one| one.made_ms > now_ms);
    for candidate in future {
        stay(candidate, "its time is in the future".to_owned());
    }
    if !keep.is_any() {
        for candidate in &past {
            stay(candidate, "no rule is given".to_owned());
        }
    }
    for (number, candidate) in past.iter().enumerate().take(count(keep.last)) {
        stay(candidate, format!("last {} of {}", number + 1, keep.last));
    }
    for (name, most, slot) in slots(keep) {
        let mut seen = BTreeSet::new();
        for candidate in &past {
            // Before the begin of the calendar there is one slot for all.
            let key = utc(candidate.made_ms).map(|time| slot(&time));
            if seen.len() < count(most) && seen.insert(key) {
                stay(candidate, format!("{name} {} of {most}", seen.len()));
            }
        }
    }
    if let (Some(within), Some(newest)) = (keep.within, past.first()) {
        let since = newest.made_ms.saturating_sub(i64::try_from(within.as_millis()).unwrap_or(i64::MAX));
        let young = past.iter().filter(|candidate| candidate.made_ms >= since);
        young.for_each(|candidate| stay(candidate, format!("within {} of the newest", days(within))));
    }
    if let Some(newest) = past.iter().find(|one| one.verified) {
        stay(newest, "newest verified".to_owned());
    }
}

fn count(most: u32) -> usize {
    usize::try_from(most).unwrap_or(usize::MAX)
}

fn utc(ms: i64) -> Option<DateTime> {
    Some(TimeZone::UTC.to_datetime(Timestamp::from_millisecond(ms).ok()?))
}

/// A rule by the calendar: its name, how many of its slots are kept, and the slot of a time.
type Slots = (&'static str, u32, fn(&DateTime) -> (i16, i8, i8, i8));

fn slots(keep: &Keep) -> [Slots; 4] {
    [
        ("hourly", keep.hourly, |time| (time.year(), time.month(), time.day(), time.hour())),
        ("daily", keep.daily, |time| (time.year(), time.month(), time.day(), 0)),
        // ISO weeks begin on Monday, and have a year of their own.
        ("weekly", keep.weekly, |time| (time.iso_week_date().year(), 0, time.iso_week_date().week(), 0)),
        ("monthly", keep.monthly, |time| (time.year(), time.month(), 0, 0)),
    ]
}

/// Bytes of the store that only the snapshots that go need.
pub fn freed(summaries: &[Summary], verdicts: &[Verdict]) -> u64 {
    let kept: BTreeSet<&str> = verdicts.iter().filter(|one| one.is_kept()).map(|one| one.id.as_str()).collect();
    let (stay, go): (Vec<&Summary>, Vec<&Summary>) =
        summaries.iter().partition(|summary| kept.contains(summary.id.as_str()));
    let needed: BTreeSet<&str> = stay.iter().flat_map(|one| &one.segments).map(|one| one.sha256.as_str()).collect();
    let only: BTreeMap<&str, u64> =
        go.iter().flat_map(|one| &one.segments).map(|one| (one.sha256.as_str(), one.bytes)).collect();
    only.iter().filter(|(sha256, _)| !needed.contains(*sha256)).map(|(_, bytes)| bytes).sum()
}

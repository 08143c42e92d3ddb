//! `[backup]`: where snapshots are kept, and which of them stay.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;

use super::problems::Problems;
use super::raw::{RawBackup, Text};
use super::{profiles, values};
use crate::model::backup::{PathList, Postgres, Profile};
use crate::model::snapshot::{is_bucket, store_place};

/// Where snapshots are kept, and which of them stay.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Backup {
    /// The store: a folder, or the address of a bucket.
    pub store: Option<PathBuf>,
    /// Which of them stay.
    pub keep: Keep,
    /// The most that comes from all hosts together, bytes in a second.
    pub rate: Option<u64>,
    /// Hosts that stream at once, where it says so.
    pub parallel: Option<NonZeroUsize>,
    /// Streams from each of them, where it says so.
    pub streams: Option<NonZeroUsize>,
    /// Who can read keys that are kept: age's recipients, two or more, or none where no keys are kept.
    pub recipients: Vec<String>,
    /// Profiles of its own.
    pub profiles: Vec<PathList>,
    /// What the profile `monitoring` keeps; empty: the usual paths.
    pub monitoring: Vec<String>,
    /// What the profile `postgres` keeps.
    pub postgres: Option<Postgres>,
}

impl Backup {
    /// The names of all profiles: fleet's own, then the inventory's.
    pub fn profile_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Profile::ALL.into_iter().map(Profile::name).collect();
        names.extend(self.profiles.iter().map(|list| list.name.as_str()));
        names
    }

    /// The inventory's profile of this name.
    pub fn profile(&self, name: &str) -> Option<&PathList> {
        self.profiles.iter().find(|list| list.name == name)
    }
}

/// Which snapshots of each host, service and profile a prune keeps; one that any rule keeps stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keep {
    /// So many of the newest.
    pub last: u32,
    /// The newest of each hour that has any, for so many of them; UTC, like the others.
    pub hourly: u32,
    /// The newest of each day.
    pub daily: u32,
    /// The newest of each week; weeks begin on Monday.
    pub weekly: u32,
    /// The newest of each month.
    pub monthly: u32,
    /// All that are no older than the newest by this.
    pub within: Option<Duration>,
}

impl Keep {
    /// Whether any rule is given.
    pub fn is_any(&self) -> bool {
        *self != Self::default()
    }
}

/// A span of days as it is written: `2d`, `36h`.
pub fn days(span: Duration) -> String {
    let hours = span.as_secs() / 3600;
    if span.as_secs().is_multiple_of(24 * 3600) { format!("{}d", hours / 24) } else { values::show(span) }
}

/// A store's place as it is written in an inventory of this folder.
pub(super) fn place(store: &str, folder: &Path) -> Result<PathBuf, values::Complaint> {
    let place = store_place(values::some(store)?.into()).map_err(|flaw| (flaw, String::new()))?;
    Ok(if is_bucket(&place) { place } else { folder.join(place) })
}

/// Reads the section; a relative store lies beside the inventory, in `folder`.
pub(super) fn backup(raw: &RawBackup, folder: &Path, problems: &mut Problems) -> Backup {
    let store = problems.read(raw.store.as_ref(), |store| place(store, folder));
    let rate = problems.read(raw.rate.as_ref(), values::rate);
    let mut at_once = |given: &Option<Spanned<i64>>| {
        let given = given.as_ref()?;
        problems.take(given.span(), values::at_once(*given.get_ref()))
    };
    let (parallel, streams) = (at_once(&raw.parallel), at_once(&raw.streams));
    let recipients = recipients(raw.recipients.as_ref(), problems);
    let profiles = profiles::lists(&raw.profiles, problems);
    let monitoring = raw.monitoring.as_ref().map(|raw| profiles::monitoring(raw, problems)).unwrap_or_default();
    let postgres = raw.postgres.as_ref().and_then(|raw| profiles::postgres(raw, problems));
    let mut number = |given: &Option<toml::Spanned<i64>>| {
        let given = given.as_ref()?;
        problems.take(given.span(), values::amount(*given.get_ref()))
    };
    let raw = &raw.keep;
    let [last, hourly, daily, weekly, monthly] =
        [&raw.last, &raw.hourly, &raw.daily, &raw.weekly, &raw.monthly].map(|given| number(given).unwrap_or(0));
    let within = problems.read(raw.within.as_ref(), values::days);
    let keep = Keep { last, hourly, daily, weekly, monthly, within };
    Backup { store, keep, rate, parallel, streams, recipients, profiles, monitoring, postgres }
}

/// Two at least: who can read what is encrypted for one alone loses it with that one's key.
fn recipients(given: Option<&Spanned<Vec<Text>>>, problems: &mut Problems) -> Vec<String> {
    let Some(given) = given else { return Vec::new() };
    if given.get_ref().len() < 2 {
        let note = "make one by age-keygen -o FILE on another machine; FILE stays off this one";
        problems.add(given.span(), "keys are encrypted for two recipients at least", note);
    }
    let mut all: Vec<String> = Vec::new();
    for text in given.get_ref() {
        let Some(recipient) = problems.read(Some(text), values::recipient) else { continue };
        if all.contains(&recipient) {
            let note = "the second is there for the day on which the first one's key is lost";
            problems.add(text.span(), "this recipient is there twice", note);
        }
        all.push(recipient);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::inventory::parse;

    const FIRST: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
    const SECOND: &str = "age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg";

    fn read(section: &str) -> Result<Backup, String> {
        let text = format!("{}\n{section}", include_str!("../../../inventories/small.toml"));
        let inventory = parse(&text, Path::new("/etc/fleet/inventory.toml"));
        inventory.map(|inventory| inventory.backup).map_err(|error| error.to_string())
    }

    #[test]
    fn the_section_is_typed() {
        let all = "[backup]\nstore = \"snapshots\"\n[backup.keep]\nlast = 3\nhourly = 24\ndaily = 7\nwithin = \"2d\"";
        let found = read(all).unwrap();
        assert_eq!(found.store.unwrap(), Path::new("/etc/fleet/snapshots"));
        let bucket = read("[backup]\nstore = \"s3://copies/fleet\"").unwrap().store.unwrap();
        assert_eq!(bucket, Path::new("s3://copies/fleet"));
        let within = Some(Duration::from_secs(2 * 24 * 3600));
        assert_eq!(found.keep, Keep { last: 3, hourly: 24, daily: 7, weekly: 0, monthly: 0, within });
        assert_eq!(read("").unwrap(), Backup::default());
    }

    #[test]
    fn what_is_wrong_is_named_at_its_place() {
        for (section, what) in [
            ("[backup]\nstor = \"x\"", "did you mean \"store\"?"),
            ("[backup]\nstore = \"ftp://h/f\"", "fleet doesn't speak ftp"),
            ("[backup.keep]\nlasst = 3", "did you mean \"last\"?"),
            ("[backup.keep]\nlast = -1", "-1 can't be a number of snapshots"),
            ("[backup.keep]\nwithin = \"soon\"", "isn't a time span"),
            ("[backup.keep]\nwithin = \"-2d\"", "is no time at all"),
            ("[backup]\nstore = \"\"", "a text is wanted here"),
            ("[backup]\nrate = \"0MB/s\"", "nothing ever comes"),
            ("[backup]\nrate = \"20\"", "isn't a rate"),
            ("[backup]\nparallel = 0", "0 can't be at once"),
            ("[backup]\nstreams = 65", "65 can't be at once"),
            ("[backup]\nrecipients = []", "two recipients at least"),
            (&format!("[backup]\nrecipients = [\"{FIRST}\"]"), "two recipients at least"),
            (&format!("[backup]\nrecipients = [\"{FIRST}\", \"{FIRST}\"]"), "is there twice"),
            (&format!("[backup]\nrecipients = [\"{FIRST}\", \"age1typo\"]"), "\"age1typo\" isn't a recipient of age"),
            (&format!("[backup]\nrecipients = [\"{FIRST}\", \"ssh-ed25519 AAAA\"]"), "make one by age-keygen"),
        ] {
            let error = read(section).unwrap_err();
            assert!(error.contains(what) && error.contains("inventory.toml:"), "{error}");
        }
    }

    #[test]
    fn a_rate_is_in_bytes() {
        for (text, bytes) in [("20MiB/s", 20 << 20), ("500kB/s", 500_000), ("1 GB/s", 1_000_000_000)] {
            assert_eq!(read(&format!("[backup]\nrate = \"{text}\"")).unwrap().rate, Some(bytes));
        }
    }

    #[test]
    fn keys_are_encrypted_for_these() {
        let found = read(&format!("[backup]\nrecipients = [\"{FIRST}\", \"{SECOND}\"]")).unwrap();
        assert_eq!(found.recipients, [FIRST, SECOND]);
    }

    #[test]
    fn a_secret_key_that_was_written_there_is_not_shown() {
        let secret = "GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSQQLRT4Z";
        let error = read(&format!("[backup]\nrecipients = [\"{FIRST}\", \"AGE-SECRET-KEY-1{secret}\"]")).unwrap_err();
        assert!(error.contains("a secret key") && !error.contains(&secret[..8]), "{error}");
    }

    #[test]
    fn spans_are_shown_as_they_are_written() {
        let shown = [48, 36].map(|hours| days(Duration::from_secs(hours * 3600)));
        assert_eq!(shown, ["2d", "36h"]);
    }
}

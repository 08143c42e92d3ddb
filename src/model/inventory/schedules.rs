//! `[[schedule]]`: backups that come again.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;

use super::Backup;
use super::backup::place;
use super::problems::Problems;
use super::raw::RawSchedule;
use super::values::{self, Complaint};
use crate::model::backup::Profile;
use crate::model::calendar::Calendar;
use crate::model::nearest::did_you_mean;

/// So often a controller looks whether anything is due.
const SHORTEST: Duration = Duration::from_secs(300);
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// A backup that comes again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Its name.
    pub name: String,
    /// When it comes.
    pub rule: Rule,
    /// Each time comes later by less than this, another amount each time.
    pub jitter: Duration,
    /// Which hosts; the default is that of `fleet backup`.
    pub hosts: Option<String>,
    /// What of them; the default is that of `fleet backup`.
    pub profiles: Vec<String>,
    /// Where to.
    pub store: PathBuf,
    /// The Prometheus textfile that a run leaves.
    pub metrics: Option<PathBuf>,
    /// The URL that is fetched after a run that went well.
    pub ping: Option<String>,
    /// Where the inventory's text says which hosts, else where it begins there.
    pub place: Range<usize>,
}

/// When a schedule comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// Each time such a span is full, counted from the Unix epoch: `1h` is each full hour, `1d` midnight UTC.
    Every(Duration),
    /// At these times.
    On(Calendar),
}

/// Reads all of them; relative paths start in `folder`, and without a store of its own a schedule takes the inventory's.
pub(super) fn schedules(
    raw: &[Spanned<RawSchedule>],
    around: (&Path, &Backup),
    problems: &mut Problems,
) -> Vec<Schedule> {
    let (mut names, mut files) = (BTreeSet::new(), BTreeSet::new());
    let mut all = Vec::new();
    for raw in raw {
        let Some(schedule) = schedule(raw, around, problems) else { continue };
        if let (false, Some(name)) = (names.insert(schedule.name.clone()), &raw.get_ref().name) {
            problems.add(
                name.span(),
                format!("schedule {} is there twice", schedule.name),
                "each needs a name of its own",
            );
        }
        if let (Some(path), Some(text)) = (&schedule.metrics, &raw.get_ref().metrics)
            && !files.insert(path.clone())
        {
            problems.add(text.span(), "another schedule writes this file", "each needs a file of its own");
        }
        all.push(schedule);
    }
    all
}

fn schedule(raw: &Spanned<RawSchedule>, around: (&Path, &Backup), problems: &mut Problems) -> Option<Schedule> {
    let (folder, backup) = around;
    // A table's own span is all of its lines; its first one is enough.
    let owner = raw.span().start..raw.span().start;
    let raw = raw.get_ref();
    let name = problems.require(raw.name.as_ref(), (&owner, "a schedule has no name"), values::name);
    let named = raw.name.as_ref().map_or("", |name| name.get_ref());
    let rule = rule(raw, (&owner, named), problems);
    let jitter = problems.read(raw.jitter.as_ref(), |text| jitter(text, rule.as_ref()));
    let store = problems.read(raw.store.as_ref(), |store| place(store, folder));
    let store = store.or_else(|| backup.store.clone());
    if store.is_none() && raw.store.is_none() {
        let note = "store = \"/srv/snapshots\" here, or below [backup] for all";
        problems.add(owner.clone(), format!("schedule {named} has no store"), note);
    }
    let keys = raw.profiles.iter().find(|text| text.get_ref() == Profile::Keys.name());
    if let (Some(text), true) = (keys, backup.recipients.is_empty()) {
        let note = "recipients = [\"age1…\", \"age1…\"] below [backup]";
        problems.add(text.span(), format!("schedule {named} keeps keys, and nobody is named who can read them"), note);
    }
    Some(Schedule {
        jitter: jitter.unwrap_or_default(),
        // Looked up among the hosts when those are known.
        hosts: raw.hosts.as_ref().map(|text| text.get_ref().clone()),
        profiles: problems.each(&raw.profiles, |name| profile(name, backup)),
        metrics: problems.read(raw.metrics.as_ref(), metrics).map(|path| folder.join(path)),
        ping: problems.read(raw.ping.as_ref(), url),
        place: raw.hosts.as_ref().map_or(owner, Spanned::span),
        name: name?,
        rule: rule?,
        store: store?,
    })
}

fn rule(raw: &RawSchedule, (owner, name): (&Range<usize>, &str), problems: &mut Problems) -> Option<Rule> {
    match (&raw.every, &raw.on) {
        (Some(span), None) => problems.read(Some(span), every).map(Rule::Every),
        (None, Some(text)) => problems.read(Some(text), on).map(Rule::On),
        (Some(_), Some(text)) => {
            problems.add(text.span(), format!("schedule {name} has both every and on"), "one of them");
            None
        }
        (None, None) => {
            let note = "every = \"1h\", or on = \"Sun 03:00\"";
            problems.add(owner.clone(), format!("schedule {name} doesn't say when"), note);
            None
        }
    }
}

fn every(text: &str) -> Result<Duration, Complaint> {
    let span = values::days(text)?;
    if span < SHORTEST || span > LONGEST || span.subsec_nanos() > 0 {
        return Err((format!("{text} can't be kept"), "5m at least, a year at most".to_owned()));
    }
    Ok(span)
}

fn on(text: &str) -> Result<Calendar, Complaint> {
    let note = "UTC, as systemd writes it: \"Sun 03:00\", \"*-*-* 00/6:00\", \"daily\"";
    Calendar::parse(text).map_err(|what| (what, note.to_owned()))
}

fn jitter(text: &str, rule: Option<&Rule>) -> Result<Duration, Complaint> {
    let span = values::days(text)?;
    let most = match rule {
        Some(Rule::Every(every)) => *every,
        _ => Duration::from_secs(24 * 3600),
    };
    if span > most { Err((format!("{text} is too long"), format!("{} at most", super::days(most)))) } else { Ok(span) }
}

fn profile(text: &str, backup: &Backup) -> Result<String, Complaint> {
    let names = backup.profile_names();
    if text == Profile::Postgres.name() && backup.postgres.is_none() {
        let note = "[backup.postgres] databases = [\"…\"]";
        return Err(("no databases of PostgreSQL are named".to_owned(), note.to_owned()));
    }
    if names.contains(&text) {
        return Ok(text.to_owned());
    }
    let near = did_you_mean(text, names.iter().copied());
    let note = near.unwrap_or_else(|| format!("known: {}", names.join(", ")));
    Err((format!("unknown profile \"{}\"", text.escape_debug()), note))
}

/// `node_exporter` reads no other files.
fn metrics(text: &str) -> Result<String, Complaint> {
    match values::some(text)?.strip_suffix(".prom") {
        Some(stem) if !stem.is_empty() && !stem.ends_with('/') => Ok(text.to_owned()),
        _ => Err(("node_exporter reads only files that end in .prom".to_owned(), "e.g. \"fleet.prom\"".to_owned())),
    }
}

fn url(text: &str) -> Result<String, Complaint> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
    let fits = |c: char| c.is_ascii_graphic() && !"\"\\".contains(c);
    if rest.is_empty() || rest.starts_with('/') || !rest.chars().all(fits) {
        let note = "e.g. \"https://hc.example.org/ping/…\"".to_owned();
        return Err((format!("\"{}\" isn't a URL", text.escape_debug()), note));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::inventory::parse;

    fn read(section: &str) -> Result<Vec<Schedule>, String> {
        let text = format!("{}\n{section}", include_str!("../../../inventories/small.toml"));
        let inventory = parse(&text, Path::new("/etc/fleet/inventory.toml"));
        inventory.map(|inventory| inventory.schedules).map_err(|error| error.to_string())
    }

    #[test]
    fn a_schedule_is_typed() {
        let hourly = "[[schedule]]\nname = \"config\"\nevery = \"1h\"\njitter = \"5m\"\nprofiles = [\"config\"]\n\
                      metrics = \"out/config.prom\"\nping = \"https://hc.example.org/1\"\n";
        let weekly = "[[schedule]]\nname = \"data\"\non = \"Sun 03:00\"\nhosts = \"canary\"\nstore = \"/srv/other\"\n\
                      profiles = [\"scripts\"]\n";
        let own = "[backup]\nstore = \"snapshots\"\n[backup.profiles.scripts]\npaths = [\"/opt\"]";
        let all = read(&format!("{hourly}{weekly}{own}")).unwrap();
        assert_eq!(all[1].profiles, ["scripts"]);
        assert_eq!(all[0].rule, Rule::Every(Duration::from_secs(3600)));
        assert_eq!((all[0].jitter.as_secs(), &all[0].profiles[..]), (300, &["config".to_owned()][..]));
        assert_eq!(all[0].store, Path::new("/etc/fleet/snapshots"));
        assert_eq!(all[0].metrics.as_deref(), Some(Path::new("/etc/fleet/out/config.prom")));
        assert_eq!((all[1].hosts.as_deref(), &*all[1].store), (Some("canary"), Path::new("/srv/other")));
        assert_eq!(read("").unwrap(), []);
    }

    #[test]
    fn what_is_wrong_is_named_at_its_place() {
        let good = "[[schedule]]\nname = \"a\"\nevery = \"1h\"\nstore = \"s\"\nmetrics = \"a.prom\"\n";
        for (section, place, what) in [
            ("[[schedule]]\nevery = \"1h\"\nstore = \"s\"".to_owned(), "32:1", "a schedule has no name"),
            (good.replace("name", "nam"), "33:1", "did you mean \"name\"?"),
            (good.replace("\"a\"", "\"a b\""), "33:8", "\"a b\" can't be a name"),
            (good.replace("every = \"1h\"", ""), "32:1", "schedule a doesn't say when"),
            (format!("{good}on = \"daily\""), "37:6", "schedule a has both every and on"),
            (good.replace("1h", "1m"), "34:9", "1m can't be kept"),
            (good.replace("1h", "often"), "34:9", "isn't a time span"),
            (good.replace("every = \"1h\"", "on = \"Sun 25:00\""), "34:6", "\"25\" is no hour (0 to 23)"),
            (format!("{good}jitter = \"2h\""), "37:10", "1h at most"),
            (good.replace("store = \"s\"", ""), "32:1", "schedule a has no store"),
            (format!("{good}profiles = [\"datta\"]"), "37:13", "did you mean \"data\"?"),
            (format!("{good}profiles = [\"keys\"]"), "37:13", "schedule a keeps keys, and nobody is named"),
            (format!("{good}hosts = \"sentri-1\""), "37:10", "schedule a: unknown host or group \"sentri-1\""),
            (format!("{good}hosts = \"role:full\""), "37:10", "schedule a: no host matches"),
            (good.replace("a.prom", "a.txt"), "36:11", "only files that end in .prom"),
            (format!("{good}ping = \"hc.example.org\""), "37:8", "isn't a URL"),
            (format!("{good}{good}"), "38:8", "schedule a is there twice"),
            (format!("{good}{}", good.replace("\"a\"", "\"b\"")), "41:11", "another schedule writes this file"),
        ] {
            let error = read(&section).unwrap_err();
            assert!(
                error.contains(what) && error.contains(&format!("inventory.toml:{place}\n")),
                "{place} {what}: {error}"
            );
        }
    }
}

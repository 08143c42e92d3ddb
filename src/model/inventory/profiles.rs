//! `[backup.profiles.*]`, `[backup.monitoring]` and `[backup.postgres]`: what is kept of hosts beside their nodes.

use std::collections::BTreeSet;

use toml::Spanned;

use super::Role;
use super::problems::Problems;
use super::raw::{Ordered, RawMonitoring, RawPathList, RawPostgres, Text};
use super::values::{self, Complaint};
use crate::model::backup::{PathList, Postgres, Profile, glob_flaw};

/// The longest name of a profile; it becomes a part of snapshots' ids.
const LONGEST: usize = 32;
/// Who owns a server of `PostgreSQL`, as Debian installs it.
const OWNER: &str = "postgres";

pub(super) fn lists(raw: &Ordered<RawPathList>, problems: &mut Problems) -> Vec<PathList> {
    raw.0.iter().filter_map(|(key, raw)| list(key, raw, problems)).collect()
}

fn list(key: &Text, raw: &RawPathList, problems: &mut Problems) -> Option<PathList> {
    let name = problems.read(Some(key), name);
    if raw.paths.is_empty() {
        let note = "paths = [\"/etc/…\"], files or folders";
        problems.add(key.span(), format!("profile {} has no paths", key.get_ref().escape_debug()), note);
    }
    let paths = paths(&raw.paths, problems);
    let exclude = problems.each(&raw.exclude, |glob| match glob_flaw(glob) {
        Some(flaw) => Err((format!("\"{}\" is no glob: {flaw}", glob.escape_debug()), "e.g. \"cache/**\"".to_owned())),
        None => Ok(glob.to_owned()),
    });
    let roles = problems.each(&raw.roles, values::role);
    Some(PathList { name: name?, paths, exclude, roles })
}

fn name(text: &str) -> Result<String, Complaint> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if text.is_empty() || text.starts_with('-') || text.len() > LONGEST || !text.chars().all(fits) {
        let note = format!("letters, digits and -, {LONGEST} at most");
        return Err((format!("\"{}\" can't be a profile's name", text.escape_debug()), note));
    }
    match Profile::named(text) {
        Some(_) => Err((format!("{text} is a profile of fleet itself"), "choose another name".to_owned())),
        None => Ok(text.to_owned()),
    }
}

fn paths(raw: &[Text], problems: &mut Problems) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for text in raw {
        let Some(path) = problems.read(Some(text), values::path) else { continue };
        if !seen.insert(path.clone()) {
            problems.add(text.span(), format!("{path} is there twice"), "");
        }
        all.push(path);
    }
    all
}

pub(super) fn monitoring(raw: &RawMonitoring, problems: &mut Problems) -> Vec<String> {
    paths(&raw.paths, problems)
}

pub(super) fn postgres(raw: &Spanned<RawPostgres>, problems: &mut Problems) -> Option<Postgres> {
    // A table's own span is all of its lines; its first one is enough.
    let owner = raw.span().start..raw.span().start;
    let raw = raw.get_ref();
    if raw.databases.is_empty() {
        problems.add(owner, "no databases of PostgreSQL are named", "databases = [\"…\"]");
        return None;
    }
    let user = problems.read(raw.user.as_ref(), values::user);
    let databases = problems.each(&raw.databases, database);
    let roles = raw.roles.as_ref().map_or_else(|| vec![Role::Provider], |roles| problems.each(roles, values::role));
    Some(Postgres { user: user.unwrap_or_else(|| OWNER.to_owned()), databases, roles })
}

/// A name that is no option and no connection string of `pg_dump`, and a file's.
fn database(text: &str) -> Result<String, Complaint> {
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    if text.is_empty() || text.starts_with(['-', '.']) || text.len() > 63 || !text.chars().all(fits) {
        let note = "letters, digits and - _ . make a name".to_owned();
        return Err((format!("\"{}\" can't be a database's name", text.escape_debug()), note));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::model::inventory::{Backup, parse};

    fn read(section: &str) -> Result<Backup, String> {
        let text = format!("{}\n{section}", include_str!("../../../inventories/small.toml"));
        let inventory = parse(&text, Path::new("/etc/fleet/inventory.toml"));
        inventory.map(|inventory| inventory.backup).map_err(|error| error.to_string())
    }

    #[test]
    fn lists_paths_and_databases_are_typed() {
        let found = read(
            "[backup.profiles.scripts]\npaths = [\"/etc/virtengine/\", \"/opt/ops\"]\nexclude = [\"*.tmp\"]\nroles = \
             [\"sentry\"]\n[backup.profiles.b]\npaths = [\"/b\"]\n[backup.monitoring]\npaths = [\"/data/prometheus\"]\n\
             [backup.postgres]\ndatabases = [\"provider\"]",
        );
        let found = found.unwrap();
        let scripts = found.profile("scripts").unwrap();
        assert_eq!(scripts.paths, ["/etc/virtengine", "/opt/ops"]);
        assert_eq!((&scripts.exclude[..], &scripts.roles[..]), (&["*.tmp".to_owned()][..], &[Role::Sentry][..]));
        assert_eq!(found.profile("b").unwrap().exclude, Vec::<String>::new());
        assert_eq!(found.monitoring, ["/data/prometheus"]);
        let databases = vec!["provider".to_owned()];
        assert_eq!(found.postgres, Some(Postgres { user: "postgres".into(), databases, roles: vec![Role::Provider] }));
    }

    #[test]
    fn what_is_wrong_is_named_at_its_place() {
        let lines = include_str!("../../../inventories/small.toml").lines().count() + 1;
        let list = "[backup.profiles.x]\n";
        for (section, place, what) in [
            (format!("{list}paths = [\"etc/x\"]"), (2, 10), "\"etc/x\" isn't an absolute path"),
            (format!("{list}paths = [\"/a\", \"/etc/../x\"]"), (2, 16), "\"/etc/../x\" isn't an absolute path"),
            (format!("{list}paths = [\"/\"]"), (2, 10), "\"/\" isn't an absolute path"),
            (format!("{list}paths = [\"/a\", \"/a/\"]"), (2, 16), "/a is there twice"),
            (format!("{list}paths = [\"/a\"]\nexclude = [\"[\"]"), (3, 12), "\"[\" is no glob"),
            (format!("{list}paths = [\"/a\"]\nexclude = [\"/a/b\"]"), (3, 12), "no / at its beginning"),
            (format!("{list}paths = [\"/a\"]\nroles = [\"sentri\"]"), (3, 10), "did you mean \"sentry\"?"),
            (list.to_owned(), (1, 18), "profile x has no paths"),
            (format!("{list}paths = [\"/a\"]\nexcludes = []"), (3, 1), "did you mean \"exclude\"?"),
            ("[backup.profiles.data]\npaths = [\"/a\"]".to_owned(), (1, 18), "data is a profile of fleet itself"),
            ("[backup.profiles.\"a b\"]\npaths = [\"/a\"]".to_owned(), (1, 18), "can't be a profile's name"),
            ("[backup.monitoring]\npaths = [\"x\"]".to_owned(), (2, 10), "isn't an absolute path"),
            ("[backup.postgres]\nuser = \"x\"".to_owned(), (1, 1), "no databases"),
            ("[backup.postgres]\ndatabases = [\"-x\"]".to_owned(), (2, 14), "can't be a database's name"),
            ("[backup.postgres]\ndatabases = [\"a=b\"]".to_owned(), (2, 14), "can't be a database's name"),
        ] {
            let error = read(&section).unwrap_err();
            let place = format!("inventory.toml:{}:{}\n", lines + place.0, place.1);
            assert!(error.contains(what) && error.contains(&place), "{place} {what}: {error}");
        }
    }
}

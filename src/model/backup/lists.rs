//! What the inventory says of hosts that are kept: paths with what stays out of them, databases.

use std::collections::BTreeSet;

use globset::{GlobBuilder, GlobMatcher};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::model::inventory::Role;

/// A profile of the inventory: files and folders of hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathList {
    /// The profile's name.
    pub name: String,
    /// Absolute paths.
    pub paths: Vec<String>,
    /// What stays out, as globs: see [`Excludes`].
    pub exclude: Vec<String>,
    /// It is kept of hosts of these roles where nothing is said.
    pub roles: Vec<Role>,
}

/// Databases of `PostgreSQL` that are dumped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Postgres {
    /// Who dumps them on the host.
    pub user: String,
    /// Their names.
    pub databases: Vec<String>,
    /// They are kept of hosts of these roles where nothing is said.
    pub roles: Vec<Role>,
}

/// Globs for what stays out: `*` and `?` match within a part of a path, `**` across parts.
#[derive(Debug, Default)]
pub struct Excludes(Vec<GlobMatcher>);

impl Excludes {
    /// Of these globs.
    pub fn new(globs: &[String]) -> Result<Self> {
        let matcher = |glob: &String| matcher(glob).map_err(|what| Error::usage(format!("exclude \"{glob}\": {what}")));
        globs.iter().map(matcher).collect::<Result<_>>().map(Self)
    }

    /// The shortest beginning of `name`, a path below its root, that a glob matches as a whole or by its last part: with
    /// a folder everything in it stays out.
    pub fn excluded<'a>(&self, name: &'a str) -> Option<&'a str> {
        if self.0.is_empty() {
            return None;
        }
        let ends = name.match_indices('/').map(|(at, _)| at).chain([name.len()]);
        ends.map(|end| &name[..end]).find(|path| self.matches(path))
    }

    fn matches(&self, path: &str) -> bool {
        let last = path.rsplit('/').next().unwrap_or(path);
        self.0.iter().any(|glob| glob.is_match(path) || glob.is_match(last))
    }
}

/// Why a glob is none.
pub fn glob_flaw(glob: &str) -> Option<String> {
    matcher(glob).err()
}

fn matcher(glob: &str) -> std::result::Result<GlobMatcher, String> {
    let glob = glob.trim_end_matches('/');
    if glob.is_empty() || glob.starts_with('/') {
        return Err("it is matched against paths below those that are listed: no / at its beginning".to_owned());
    }
    let built = GlobBuilder::new(glob).literal_separator(true).build();
    built.map(|glob| glob.compile_matcher()).map_err(|error| error.kind().to_string())
}

/// A name for each path that may begin the paths of a snapshot, each another: `/etc/grafana` is `etc-grafana`.
pub fn root_names(paths: &[String]) -> Vec<String> {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let mut taken = BTreeSet::new();
    let mut name = |path: &String| {
        let stem: String = path.trim_matches('/').chars().map(plain).collect();
        let stem = if stem.starts_with('.') { format!("-{stem}") } else { stem };
        let numbered = (2..).map(|number| format!("{stem}-{number}"));
        let free = std::iter::once(stem.clone()).chain(numbered).find(|name| !taken.contains(name)).unwrap_or(stem);
        taken.insert(free.clone());
        free
    };
    paths.iter().map(&mut name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excludes(globs: &[&str]) -> Excludes {
        Excludes::new(&globs.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn a_glob_is_matched_against_the_path_its_last_part_and_the_folders_above() {
        let all = excludes(&["*.tmp", "cache/**", "logs/", "a/*/c"]);
        for (name, out) in [
            ("x.tmp", Some("x.tmp")),
            ("sub/deep/x.tmp", Some("sub/deep/x.tmp")),
            ("cache/a/b", Some("cache/a")),
            ("cache", None),
            ("sub/cache/a", None),
            ("sub/logs/today/1", Some("sub/logs")),
            ("a/b/c", Some("a/b/c")),
            ("a/b/d/c", None),
            ("x.tmpl", None),
        ] {
            assert_eq!(all.excluded(name), out, "{name}");
        }
        assert_eq!(Excludes::default().excluded("x.tmp"), None);
    }

    #[test]
    fn what_is_no_glob_is_told() {
        for glob in ["", "/", "/etc/x", "[", "a{b", "[z-a]"] {
            assert!(glob_flaw(glob).is_some(), "{glob}");
        }
        assert_eq!(glob_flaw("**/*.{tmp,bak}"), None);
    }

    #[test]
    fn each_path_has_a_name_of_its_own() {
        let paths = ["/etc/a-b", "/etc/a/b", "/etc/a b,&\\", "/.ssh"].map(String::from);
        assert_eq!(root_names(&paths), ["etc-a-b", "etc-a-b-2", "etc-a-b---", "-.ssh"]);
    }
}

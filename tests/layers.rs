//! The layer rule of `src/lib.rs`, the purity of the inner layers, the size of files, and the tests that `README.md` names.

#![allow(clippy::unwrap_used)] // clippy takes only the functions marked #[test] for tests

use std::fs;
use std::path::{Path, PathBuf};

const LONGEST: usize = 400;

/// Which layers each layer may name. `error` is everyone's; `app` and the crate's root may name all.
const ALLOWED: [(&str, &[&str]); 10] = [
    ("error", &[]),
    ("model", &["model"]),
    ("chain", &["chain", "model"]),
    ("ops", &["ops", "chain", "model"]),
    ("engine", &["engine", "chain", "model"]),
    ("ssh", &["ssh", "engine", "chain", "model"]),
    ("journal", &["journal", "engine", "model"]),
    ("store", &["store", "engine", "model"]),
    ("render", &["render", "model"]),
    ("cli", &["cli"]),
];

const PURE: [&str; 3] = ["model", "chain", "ops"];

const IMPURE: [&str; 8] =
    ["tokio", "std::fs", "std::env", "std::time::SystemTime", "SystemTime::now", "Instant::now", "rand", "async fn"];

/// What breaks the rules in one file of `layer`.
fn violations(layer: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let code: Vec<&str> = text.lines().map(without_comment).collect();
    if let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == layer) {
        let strangers = code.iter().flat_map(|line| named_layers(line));
        let strangers = strangers.filter(|name| *name != "error" && !allowed.contains(&name.as_str()));
        found.extend(strangers.map(|name| format!("{layer} names {name}")));
    }
    if PURE.contains(&layer) {
        let impure = IMPURE.iter().filter(|word| code.iter().any(|line| has_word(line, word)));
        found.extend(impure.map(|word| format!("{layer} isn't pure: {word}")));
    }
    let lines = text.lines().count();
    if lines > LONGEST {
        found.push(format!("{lines} lines, {LONGEST} at most"));
    }
    found
}

fn without_comment(line: &str) -> &str {
    if line.trim_start().starts_with("//") { "" } else { line }
}

/// The layers that a line names as `crate::layer` or `crate::{layer, …}`.
fn named_layers(line: &str) -> Vec<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let paths = line.match_indices("crate::").map(|(at, path)| &line[at + path.len()..]);
    paths
        .flat_map(|rest| match rest.strip_prefix('{') {
            Some(list) => list.split(',').map(|item| word(item.trim())).collect(),
            None => vec![word(rest)],
        })
        .filter(|name| !name.is_empty())
        .collect()
}

/// Whether `word` stands in `line`, not as a part of a longer word.
fn has_word(line: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| !line[..at].ends_with(part) && !line[at + word.len()..].starts_with(part))
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|end| end == "rs"))
        .collect()
}

#[test]
fn the_layers_are_kept() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    for path in sources(&root) {
        let inside = path.strip_prefix(&root).unwrap();
        let layer = inside.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs");
        let text = fs::read_to_string(&path).unwrap();
        found.extend(violations(layer, &text).into_iter().map(|what| format!("{}: {what}", inside.display())));
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn the_check_can_fail() {
    for (layer, text, what) in [
        ("model", "use crate::chain::x;", "model names chain"),
        ("model", "use crate::{error, app};", "model names app"),
        ("render", "fn f() { crate::engine::run() }", "render names engine"),
        ("engine", "    crate::ssh::X", "engine names ssh"),
        ("ops", "use std::time::SystemTime;", "ops isn't pure: std::time::SystemTime"),
        ("chain", "pub async fn read() {}", "chain isn't pure: async fn"),
        ("ops", "let x = rand::random();", "ops isn't pure: rand"),
        ("app", &"\n".repeat(401), "401 lines, 400 at most"),
    ] {
        assert_eq!(violations(layer, text), [what], "{text}");
    }
}

#[test]
fn the_check_does_not_cry_wolf() {
    for (layer, text) in [
        ("model", "use crate::error::Error;\nuse crate::model::facts;"),
        ("chain", "// tokio and crate::app are not for here\nlet operand = brand;"),
        ("app", "use crate::ssh::x; async fn f() { tokio::x() }"),
        ("ops", "use std::time::Duration;"),
    ] {
        assert_eq!(violations(layer, text), [""; 0], "{text}");
    }
}

/// The tests that a table names, as lines of `names.txt`.
fn named_tests(text: &str) -> Vec<String> {
    let quoted = text.split('`').skip(1).step_by(2).filter_map(|words| words.split_once(' '));
    let line = |(place, name): (&str, &str)| match place {
        "src" => format!("src/lib.rs {name}"),
        place => format!("{place}/main.rs {name}"),
    };
    quoted.filter(|(_, name)| name.contains("::")).map(line).collect()
}

#[test]
fn the_table_of_faults_names_tests_that_exist() {
    let known: Vec<&str> = include_str!("names.txt").lines().collect();
    let mut rows = 0;
    for row in include_str!("README.md").lines().filter(|line| line.starts_with("| ")).skip(1) {
        let named = named_tests(row);
        let missing: Vec<&String> = named.iter().filter(|test| !known.contains(&test.as_str())).collect();
        assert!(!named.is_empty() && missing.is_empty(), "{row}: {missing:?}");
        rows += 1;
    }
    assert_eq!(rows, 21, "the faults of the table");
}

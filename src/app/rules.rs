//! `fleet rules`: the safety rules, for those who meet one.

use std::io::Write as _;

use crate::cli::{Global, Output};
use crate::error::{Error, Result};
use crate::model::nearest::did_you_mean;
use crate::ops::rules::{self, Rule};
use crate::render::words::{severity, wrapped};

/// Lists the rules, or explains one.
pub fn rules(global: &Global, name: Option<&str>) -> Result<u8> {
    let rules: Vec<&Rule> = match name {
        None => rules::all().iter().collect(),
        Some(name) => vec![rules::named(name).ok_or_else(|| unknown(name))?],
    };
    let lines: Vec<String> = match (global.output, name) {
        (Output::Text, None) => {
            rules.iter().map(|rule| format!("{:<18} {:<8} {}", rule.name, severity(rule.severity), rule.text)).collect()
        }
        (Output::Text, Some(_)) => rules.iter().flat_map(|rule| explained(rule)).collect(),
        (Output::Json, _) => vec![rules.iter().map(|rule| json(rule)).collect::<serde_json::Value>().to_string()],
        (Output::Jsonl, _) => rules.iter().map(|rule| json(rule).to_string()).collect(),
    };
    let mut out = std::io::stdout();
    for line in lines {
        let _ = writeln!(out, "{line}");
    }
    Ok(0)
}

fn unknown(name: &str) -> Error {
    let near = did_you_mean(name, rules::all().iter().map(|rule| rule.name));
    Error::usage(format!("there is no rule '{name}'")).hint(near.unwrap_or_else(|| "list them: fleet rules".into()))
}

fn explained(rule: &Rule) -> Vec<String> {
    let mut lines = vec![format!("{} ({}): {}", rule.name, severity(rule.severity), rule.text), String::new()];
    lines.extend(wrapped(rule.about, 80, 0));
    lines.extend([String::new(), format!("next: {}", rule.next)]);
    lines
}

fn json(rule: &Rule) -> serde_json::Value {
    serde_json::json!({
        "rule": rule.name, "severity": rule.severity, "text": rule.text, "next": rule.next, "about": rule.about,
    })
}

//! Selectors: `role:validator and not (canary or val-[1-3])`. Syntax first, against an inventory second.
//!
//! `,` binds tightest and means `or`; then `not`, `and`, `or`. The result has the inventory's order.

use std::collections::BTreeSet;
use std::fmt;

use crate::error::Error;
use crate::model::inventory::{Inventory, Role, Service};

mod evaluate;
mod parse;
#[cfg(test)]
mod tests;

/// Words that no host or group may be called by.
pub const RESERVED: [&str; 4] = ["all", "and", "or", "not"];

/// A parsed selector; what it names is looked up when it selects.
#[derive(Debug, Clone)]
pub struct Selector {
    text: String,
    root: Expression,
}

/// Hosts by name, each once, in the inventory's order; never none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// Their names.
    pub hosts: Vec<String>,
}

impl Selection {
    /// The services of the selected hosts, in the inventory's order; of one chain where `chain` is given.
    pub fn services<'a>(&self, inventory: &'a Inventory, chain: Option<&str>) -> Vec<&'a Service> {
        let hosts = self.hosts.iter().filter_map(|name| inventory.host(name));
        let services = hosts.flat_map(|host| &host.services);
        services.filter(|service| chain.is_none() || service.chain.as_deref() == chain).collect()
    }
}

/// Why a selector selects nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectorError {
    /// The group whose text is wrong; `None` means the selector's own.
    pub group: Option<String>,
    /// Where in that text, in characters from 1.
    pub column: usize,
    /// How many characters are meant.
    pub length: usize,
    /// What is wrong.
    pub message: String,
    /// What may have been meant, where something is near.
    pub suggestion: Option<String>,
}

impl fmt::Display for SelectorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.group {
            Some(group) => write!(f, "group {group}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl SelectorError {
    /// For the operator, with the place in `text`, the selector as given.
    fn show(&self, text: &str) -> Error {
        let note = self.suggestion.as_deref().unwrap_or_default();
        let message = match self.group {
            Some(_) => format!("{self}\n{note}"),
            None => format!(
                "{self}\n  {}\n  {}{} {note}",
                text.replace(|c: char| c.is_control(), " "),
                " ".repeat(self.column - 1),
                "^".repeat(self.length.max(1)),
            ),
        };
        Error::usage(message.trim_end())
    }
}

/// The hosts that `text` selects, or an error fit for the operator.
pub fn select(text: &str, inventory: &Inventory) -> Result<Selection, Error> {
    Selector::parse(text).and_then(|selector| selector.select(inventory)).map_err(|error| error.show(text))
}

impl Selector {
    /// Reads a selector; names are not looked up yet.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        Ok(Self { text: text.to_owned(), root: parse::parse(text)? })
    }

    /// The hosts it selects. Whatever it names must exist, and it must select something.
    pub fn select(&self, inventory: &Inventory) -> Result<Selection, SelectorError> {
        let chosen = evaluate::Evaluator::new(inventory).whole(&self.root, &self.text)?;
        Ok(Selection { hosts: names(inventory, &chosen).collect() })
    }

    /// The hosts that it says by their name or role, also in a group: not those that it has by a chain, a region or a
    /// label alone, or as what remains. It may name more than it selects.
    pub fn naming(&self, inventory: &Inventory) -> BTreeSet<String> {
        names(inventory, &evaluate::Evaluator::new(inventory).naming(&self.root)).collect()
    }
}

fn names(inventory: &Inventory, chosen: &[bool]) -> impl Iterator<Item = String> {
    inventory.hosts.iter().zip(chosen).filter(|(_, chosen)| **chosen).map(|(host, _)| host.name.clone())
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.root)
    }
}

/// What a selector says.
#[derive(Debug, Clone)]
enum Expression {
    /// All of these.
    And(Vec<Expression>),
    /// Any of these.
    Or(Vec<Expression>),
    /// All hosts but these.
    Not(Box<Expression>),
    /// What a single word names.
    Term(Term),
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::And(parts) => join(f, parts, " and ", |part| matches!(part, Self::And(_) | Self::Or(_))),
            Self::Or(parts) => join(f, parts, " or ", |part| matches!(part, Self::Or(_))),
            Self::Not(part) if matches!(**part, Self::And(_) | Self::Or(_)) => write!(f, "not ({part})"),
            Self::Not(part) => write!(f, "not {part}"),
            Self::Term(term) => write!(f, "{}", term.names),
        }
    }
}

fn join(
    f: &mut fmt::Formatter<'_>,
    parts: &[Expression],
    word: &str,
    in_brackets: fn(&Expression) -> bool,
) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        f.write_str(if index > 0 { word } else { "" })?;
        if in_brackets(part) { write!(f, "({part})")? } else { write!(f, "{part}")? }
    }
    Ok(())
}

/// A word and where it stands.
#[derive(Debug, Clone)]
struct Term {
    /// Its first byte.
    at: usize,
    names: Names,
}

/// What a word names.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Names {
    All,
    Role(Role),
    Chain(String),
    Region(String),
    /// A label that is there, or that has this value.
    Label(String, Option<String>),
    Group(String),
    /// A host, a range, a pattern with `*` and `?`, or a group.
    Bare(String),
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Role(role) => write!(f, "role:{role}"),
            Self::Chain(name) => write!(f, "chain:{name}"),
            Self::Region(name) => write!(f, "region:{name}"),
            Self::Label(key, None) => write!(f, "label:{key}"),
            Self::Label(key, Some(value)) => write!(f, "label:{key}={value}"),
            Self::Group(name) => write!(f, "@{name}"),
            Self::Bare(name) => f.write_str(name),
        }
    }
}

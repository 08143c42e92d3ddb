//! From the text of the file to the inventory. Pure; reading the file is the caller's.

use std::collections::BTreeMap;
use std::path::Path;

use super::problems::Problems;
use super::raw::{self, RawInventory, Text};
use super::values;
use super::{Inventory, backup, chains, hosts, schedules};
use crate::error::Error;
use crate::model::selector::{Selector, SelectorError};
use crate::model::source::report;

/// Reads an inventory. `source` is where it was read from: shown in errors, and relative paths start in its folder.
pub fn parse(text: &str, source: &Path) -> Result<Inventory, Error> {
    let raw = raw::read(text).map_err(|problem| report(source, text, vec![problem]))?;
    let mut problems = Problems::default();
    let inventory = inventory(&raw, source, &mut problems);
    // Selectors are looked up among hosts; with some of those missing they would be wrong for no fault of theirs.
    if problems.0.is_empty() {
        check_groups(&raw, &inventory, text, &mut problems);
    }
    if problems.0.is_empty() {
        check_schedules(&raw, &inventory, text, &mut problems);
    }
    if problems.0.is_empty() { Ok(inventory) } else { Err(report(source, text, problems.0)) }
}

fn inventory(raw: &RawInventory, source: &Path, problems: &mut Problems) -> Inventory {
    let name = raw.fleet.as_ref().and_then(|fleet| fleet.name.as_ref());
    let missing = "the fleet has no name: [fleet] name = \"…\"";
    let name = problems.require(name, (&(0..0), missing), values::some).unwrap_or_default();
    let chains = chains::chains(&raw.chains, problems);
    let hosts = hosts::hosts(raw, source.parent().unwrap_or(Path::new("")), problems);
    if raw.hosts.0.is_empty() {
        problems.add(0..0, "the inventory has no hosts", "");
    }
    let groups: BTreeMap<String, String> =
        raw.groups.0.iter().map(|(key, text)| (key.get_ref().clone(), text.get_ref().clone())).collect();
    let foreign = chains::foreign(&raw.foreign, problems);
    let folder = source.parent().unwrap_or(Path::new(""));
    let backup = backup::backup(&raw.backup, folder, problems);
    let schedules = schedules::schedules(&raw.schedule, (folder, &backup), problems);
    Inventory { name, source: source.to_owned(), chains, hosts, groups, foreign, backup, schedules }
}

/// Each group must have a name of its own, be a selector, and select something.
fn check_groups(raw: &RawInventory, inventory: &Inventory, text: &str, problems: &mut Problems) {
    for (key, selector) in &raw.groups.0 {
        let name = problems.read(Some(key), values::name);
        if name.is_some_and(|name| inventory.host(&name).is_some()) {
            problems.add(key.span(), format!("{} is both a host and a group", key.get_ref()), "rename the group");
        }
        let selected = Selector::parse(selector.get_ref()).and_then(|parsed| parsed.select(inventory));
        let Err(error) = selected else { continue };
        let group = error.group.clone();
        let (key, selector) = group
            .and_then(|group| raw.groups.0.iter().find(|(key, _)| *key.get_ref() == group))
            .map_or((key, selector), |(key, selector)| (key, selector));
        add_selector_error(&format!("group {}", key.get_ref()), selector, &error, text, problems);
    }
}

/// Each schedule's hosts must be a selector, and select something.
fn check_schedules(raw: &RawInventory, inventory: &Inventory, text: &str, problems: &mut Problems) {
    for raw in raw.schedule.iter().map(toml::Spanned::get_ref) {
        let Some(selector) = &raw.hosts else { continue };
        let selected = Selector::parse(selector.get_ref()).and_then(|parsed| parsed.select(inventory));
        let name = raw.name.as_ref().map_or("", |name| name.get_ref());
        if let Err(error) = selected {
            add_selector_error(&format!("schedule {name}"), selector, &error, text, problems);
        }
    }
}

/// Points into the selector where it is written without escapes, else at the whole of it.
fn add_selector_error(whose: &str, selector: &Text, error: &SelectorError, text: &str, problems: &mut Problems) {
    let span = selector.span();
    let inside = selector.get_ref();
    let byte = |column: usize| inside.char_indices().nth(column).map_or(inside.len(), |(at, _)| at);
    let (start, end) = (byte(error.column - 1), byte(error.column - 1 + error.length));
    let plain = text.get(span.start + 1..).is_some_and(|rest| rest.starts_with(inside.as_str()));
    let place = if plain { span.start + 1 + start..span.start + 1 + end } else { span };
    let message = format!("{whose}: {}", error.message);
    problems.add(place, message, error.suggestion.clone().unwrap_or_default());
}

//! `[hosts.*]`: ranges expanded, defaults filled in, references checked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::problems::Problems;
use super::raw::{RawHost, RawInventory, Text};
use super::services::services;
use super::values::{self, Complaint};
use super::{Address, Host, SshOptions, reach};
use crate::model::fold::{self, MOST_NAMES};
use crate::model::nearest::did_you_mean;

/// The usual SSH port, for telling whether two hosts are one.
const SSH_PORT: u16 = 22;

/// One table with the names it stands for.
struct Entry<'a> {
    key: &'a Text,
    raw: &'a RawHost,
    names: Vec<String>,
}

pub(super) fn hosts(raw: &RawInventory, folder: &Path, problems: &mut Problems) -> Vec<Host> {
    let entries: Vec<Entry<'_>> = raw.hosts.0.iter().map(|(key, raw)| entry(key, raw, problems)).collect();
    let known = names(&entries, problems);
    let defaults = reach::options(&raw.ssh, folder, &known, problems);
    let mut hosts = Vec::new();
    for entry in &entries {
        hosts.extend(entry_hosts(entry, raw, (&defaults, folder, &known), problems).unwrap_or_default());
    }
    let jumps = places(&entries, |raw| raw.ssh.jump.as_ref(), raw.ssh.jump.as_ref());
    reach::check_jumps(&hosts, &jumps, problems);
    check_addresses(&hosts, &places(&entries, |raw| raw.address.as_ref(), None), problems);
    hosts
}

/// Where each host's value of one key is written, by the host's name.
fn places<'a>(
    entries: &[Entry<'a>],
    value: fn(&RawHost) -> Option<&Text>,
    default: Option<&'a Text>,
) -> BTreeMap<String, &'a Text> {
    let mut places = BTreeMap::new();
    for entry in entries {
        let place = value(entry.raw).or(default);
        places.extend(entry.names.iter().filter_map(|name| Some((name.clone(), place?))));
    }
    places
}

fn entry<'a>(key: &'a Text, raw: &'a RawHost, problems: &mut Problems) -> Entry<'a> {
    let names = problems.take(key.span(), expand(key.get_ref())).unwrap_or_default();
    let wrong = names.iter().find_map(|name| values::name(name).err());
    problems.take(key.span(), wrong.map_or(Ok(()), Err));
    Entry { key, raw, names }
}

fn expand(pattern: &str) -> Result<Vec<String>, Complaint> {
    fold::expand(pattern).map_err(|error| (format!("\"{}\": {error}", pattern.escape_debug()), String::new()))
}

/// All names; each may be there once, and there may not be too many.
fn names(entries: &[Entry<'_>], problems: &mut Problems) -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    for entry in entries {
        let twice = entry.names.iter().filter(|name| !known.insert((*name).clone())).map(String::as_str);
        let twice = fold::fold(twice);
        if !twice.is_empty() {
            problems.add(entry.key.span(), format!("{twice} is there twice"), "a host has one name and one table");
        }
        if known.len() > MOST_NAMES {
            problems.add(entry.key.span(), format!("more than {MOST_NAMES} hosts"), "");
            break;
        }
    }
    known
}

/// The hosts of one table.
fn entry_hosts(
    entry: &Entry<'_>,
    inventory: &RawInventory,
    (defaults, folder, known): (&SshOptions, &Path, &BTreeSet<String>),
    problems: &mut Problems,
) -> Option<Vec<Host>> {
    let Entry { key, raw, names } = entry;
    let missing = |what: &str| format!("host {} has no {what}", key.get_ref().escape_debug());
    let addresses = addresses(entry, problems);
    let role = problems.require(raw.role.as_ref(), (&key.span(), &missing("role")), values::role);
    let region = problems.read(raw.region.as_ref(), values::word);
    let labels = labels(raw, problems);
    let sentries = sentries(raw, names, known, problems);
    let own = reach::options(&raw.ssh, folder, known, problems);
    let services = services(key, raw, &inventory.chains, problems);
    let (addresses, role) = (addresses?, role?);
    if role.needs_chain() && raw.chain.is_none() {
        let place = raw.role.as_ref().map_or_else(|| key.span(), Text::span);
        problems.add(place, format!("a {role} needs a chain"), "chain = \"…\"");
    }
    let host = |(name, address): (&String, Address)| Host {
        name: name.clone(),
        address,
        role,
        region: region.clone(),
        labels: labels.clone(),
        sentries: sentries.clone(),
        ssh: reach::merge(name, &own, defaults),
        services: services
            .iter()
            .cloned()
            .map(|mut service| {
                service.id.host.clone_from(name);
                service
            })
            .collect(),
    };
    Some(names.iter().zip(addresses).map(host).collect())
}

/// As many addresses as there are names.
fn addresses(entry: &Entry<'_>, problems: &mut Problems) -> Option<Vec<Address>> {
    let Entry { key, raw, names } = entry;
    let missing = format!("host {} has no address", key.get_ref().escape_debug());
    problems.require(raw.address.as_ref(), (&key.span(), &missing), |text| {
        let addresses: Vec<Address> = expand(text)?.iter().map(|one| values::address(one)).collect::<Result<_, _>>()?;
        if addresses.len() == names.len() || names.is_empty() {
            return Ok(addresses);
        }
        let message = format!("{} names and {} addresses: {}", names.len(), addresses.len(), key.get_ref());
        Err((message, "a host has one address; give both the same range".to_owned()))
    })
}

fn labels(raw: &RawHost, problems: &mut Problems) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    for (key, value) in &raw.labels {
        let key = problems.read(Some(key), values::word);
        let value = problems.read(Some(value), values::word);
        labels.extend(key.zip(value));
    }
    labels
}

/// The sentries by name, ranges expanded, each once.
fn sentries(raw: &RawHost, names: &[String], known: &BTreeSet<String>, problems: &mut Problems) -> Vec<String> {
    let mut sentries: Vec<String> = Vec::new();
    let lists = problems.each(&raw.sentries, |text| {
        let list = expand(text)?;
        match list.iter().find(|name| !known.contains(*name) || names.contains(*name)) {
            None => Ok(list),
            Some(own) if names.contains(own) => Err((format!("{own} is its own sentry"), String::new())),
            Some(stranger) => {
                let note = did_you_mean(stranger, known.iter().map(String::as_str)).unwrap_or_default();
                Err((format!("unknown host \"{}\"", stranger.escape_debug()), note))
            }
        }
    });
    for name in lists.into_iter().flatten() {
        if !sentries.contains(&name) {
            sentries.push(name);
        }
    }
    sentries
}

/// Two names for one machine would start one node twice. Behind different jump hosts one address may be two machines.
fn check_addresses(hosts: &[Host], places: &BTreeMap<String, &Text>, problems: &mut Problems) {
    let mut owners: BTreeMap<(String, u16, String), &str> = BTreeMap::new();
    for host in hosts {
        let port = host.address.port.or(host.ssh.port).unwrap_or(SSH_PORT);
        let way = host.ssh.jump.as_ref().map(ToString::to_string).unwrap_or_default();
        let way = if way == "none" { String::new() } else { way };
        let owner = owners.insert((host.address.host.to_lowercase(), port, way), &host.name);
        if let Some((other, place)) = owner.zip(places.get(&host.name)) {
            let message = format!("{other} and {} have one address: {}", host.name, host.address);
            problems.add(place.span(), message, "");
        }
    }
}

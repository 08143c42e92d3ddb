//! What runs on a host: its own node first, then `[[hosts.X.services]]`.

use std::collections::BTreeMap;
use std::ops::Range;

use super::problems::Problems;
use super::raw::{Ordered, RawChain, RawHost, RawService, Text};
use super::values;
use super::{NODE, Service, ServiceId};
use crate::model::nearest::did_you_mean;

/// One service as the file has it, be it the host's own node or another.
struct Parts<'a> {
    name: String,
    /// Where to point for what is missing.
    place: Range<usize>,
    chain: Option<&'a Text>,
    unit: Option<&'a Text>,
    home: Option<&'a Text>,
    rpc: Option<&'a Text>,
    needed_by: Option<&'a Text>,
}

/// The services of a host, without the host's name in their ids.
pub(super) fn services(key: &Text, raw: &RawHost, chains: &Ordered<RawChain>, problems: &mut Problems) -> Vec<Service> {
    let mut parts: Vec<Parts<'_>> = node(key, raw, problems).into_iter().collect();
    parts.extend(raw.services.iter().filter_map(|service| other(service.span(), service.get_ref(), problems)));
    let known: Vec<String> = parts.iter().map(|part| part.name.clone()).collect();
    for (index, part) in parts.iter().enumerate().filter(|(index, part)| known[..*index].contains(&part.name)) {
        let note = if index > 0 && part.name == NODE { "\"node\" is the host's own" } else { "" };
        problems.add(part.place.clone(), format!("service \"{}\" is there twice", part.name), note);
    }
    let services: Vec<Service> = parts.iter().filter_map(|part| service(part, chains, &known, problems)).collect();
    check_shared(&parts, &services, problems);
    check_circles(&parts, problems);
    services
}

/// The host's own node, where it names a chain.
fn node<'a>(key: &Text, raw: &'a RawHost, problems: &mut Problems) -> Option<Parts<'a>> {
    let orphans = [("unit", &raw.unit), ("home", &raw.home), ("rpc", &raw.rpc)];
    let Some(chain) = &raw.chain else {
        for (what, value) in orphans.into_iter().filter_map(|(what, value)| Some((what, value.as_ref()?))) {
            let note = "name the host's chain, or put it under [[hosts.….services]]";
            problems.add(value.span(), format!("{what} without a chain"), note);
        }
        return None;
    };
    Some(Parts {
        name: NODE.to_owned(),
        place: key.span(),
        chain: Some(chain),
        unit: raw.unit.as_ref(),
        home: raw.home.as_ref(),
        rpc: raw.rpc.as_ref(),
        needed_by: None,
    })
}

fn other<'a>(span: Range<usize>, raw: &'a RawService, problems: &mut Problems) -> Option<Parts<'a>> {
    let name = problems.require(raw.name.as_ref(), (&span, "a service has no name"), values::name)?;
    Some(Parts {
        name,
        place: raw.name.as_ref().map_or(span, Text::span),
        chain: raw.chain.as_ref(),
        unit: raw.unit.as_ref(),
        home: raw.home.as_ref(),
        rpc: raw.rpc.as_ref(),
        needed_by: raw.needed_by.as_ref(),
    })
}

fn service(part: &Parts<'_>, chains: &Ordered<RawChain>, known: &[String], problems: &mut Problems) -> Option<Service> {
    let defaults = match part.chain {
        Some(name) => Some(chain(name, chains, problems)?),
        None => None,
    };
    let unit = problems.read(part.unit, values::unit);
    let home = problems.read(part.home, values::home);
    // What is wrong with a chain's defaults is said once, at the chain.
    let default = |value: fn(&RawChain) -> &Option<Text>| defaults.and_then(|chain| value(chain).as_ref());
    let (unit_text, home_text) = (default(|chain| &chain.unit), default(|chain| &chain.home));
    if part.unit.or(unit_text).is_none() {
        problems.add(part.place.clone(), format!("service \"{}\" has no unit", part.name), "unit = \"….service\"");
    }
    if part.chain.is_some() && part.home.or(home_text).is_none() {
        let note = "home = \"/…\", here or under the chain";
        problems.add(part.place.clone(), format!("service \"{}\" has no home", part.name), note);
    }
    Some(Service {
        id: ServiceId { host: String::new(), service: part.name.clone() },
        unit: unit.or_else(|| values::unit(unit_text?.get_ref()).ok())?,
        chain: part.chain.map(|chain| chain.get_ref().clone()),
        home: home.or_else(|| values::home(home_text?.get_ref()).ok()),
        rpc: problems.read(part.rpc, values::rpc),
        needed_by: problems.read(part.needed_by, |name| needed_by(name, known)),
    })
}

/// The defaults of the chain of this name.
fn chain<'a>(name: &Text, chains: &'a Ordered<RawChain>, problems: &mut Problems) -> Option<&'a RawChain> {
    let found = chains.0.iter().find(|(key, _)| key.get_ref() == name.get_ref());
    if found.is_none() {
        let known = chains.0.iter().map(|(key, _)| key.get_ref().as_str());
        let note = did_you_mean(name.get_ref(), known).unwrap_or_default();
        problems.add(name.span(), format!("unknown chain \"{}\"", name.get_ref().escape_debug()), note);
    }
    found.map(|(_, chain)| chain)
}

fn needed_by(name: &str, known: &[String]) -> Result<String, values::Complaint> {
    if known.iter().any(|service| service == name) {
        return Ok(name.to_owned());
    }
    let note = did_you_mean(name, known.iter().map(String::as_str));
    let note = note.unwrap_or_else(|| format!("this host has {}", known.join(", ")));
    Err((format!("this host has no service \"{}\"", name.escape_debug()), note))
}

/// Two services can't be one unit, nor two nodes live in one folder.
fn check_shared(parts: &[Parts<'_>], services: &[Service], problems: &mut Problems) {
    let mut owners: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for service in services {
        let Some(part) = parts.iter().find(|part| part.name == service.id.service) else { continue };
        let home = service.home.as_deref().filter(|_| service.chain.is_some());
        let shared = [("unit", Some(service.unit.as_str()), part.unit), ("home", home, part.home)];
        for (what, value, text) in shared {
            let Some(value) = value else { continue };
            let Some(other) = owners.insert((what, value), &service.id.service) else { continue };
            let place = text.map_or_else(|| part.place.clone(), Text::span);
            let message = format!("services \"{other}\" and \"{}\" have one {what}: {value}", service.id.service);
            problems.add(place, message, "");
        }
    }
}

fn check_circles(parts: &[Parts<'_>], problems: &mut Problems) {
    let needs: BTreeMap<&str, &str> =
        parts.iter().filter_map(|part| Some((part.name.as_str(), part.needed_by?.get_ref().as_str()))).collect();
    for part in parts {
        let mut circle = vec![part.name.as_str()];
        while let Some(next) = circle.last().and_then(|last| needs.get(last)).filter(|_| circle.len() <= parts.len()) {
            circle.push(next);
            if *next != part.name {
                continue;
            }
            if let Some(text) = part.needed_by {
                let message = format!("services wait for each other in a circle: {}", circle.join(" → "));
                problems.add(text.span(), message, "");
            }
            break;
        }
    }
}

//! `[ssh]` and a host's own: how to reach it, and through which host.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::problems::Problems;
use super::raw::{RawSsh, Text};
use super::values::{self, Complaint};
use super::{Host, Jump, SshOptions};
use crate::model::nearest::did_you_mean;

const LONGEST_TIMEOUT: Duration = Duration::from_secs(3600);
/// Jumps in a row; a longer way is a mistake.
const MOST_JUMPS: usize = 10;

/// The options of one table; `folder` is where relative paths start.
pub(super) fn options(raw: &RawSsh, folder: &Path, hosts: &BTreeSet<String>, problems: &mut Problems) -> SshOptions {
    let path =
        |text: &str| values::some(text).map(|text| if text.starts_with('~') { text.into() } else { folder.join(text) });
    let mut paths =
        |texts: &Option<Vec<Text>>| -> Vec<PathBuf> { problems.each(texts.as_deref().unwrap_or_default(), path) };
    SshOptions {
        identity: paths(&raw.identity),
        known_hosts: paths(&raw.known_hosts),
        user: problems.read(raw.user.as_ref(), values::user),
        port: raw.port.as_ref().and_then(|port| problems.take(port.span(), values::port(*port.get_ref()))),
        jump: problems.read(raw.jump.as_ref(), |text| jump(text, hosts)),
        r#become: problems.read(raw.r#become.as_ref(), values::becoming),
        connect_timeout: problems.read(raw.connect_timeout.as_ref(), |text| values::duration(text, LONGEST_TIMEOUT)),
    }
}

/// A host's own options over the defaults. The default's jump host is itself reached directly.
pub(super) fn merge(name: &str, own: &SshOptions, defaults: &SshOptions) -> SshOptions {
    let list = |own: &Vec<PathBuf>, default: &Vec<PathBuf>| if own.is_empty() { default.clone() } else { own.clone() };
    let default_jump = match &defaults.jump {
        Some(Jump::Host(jump)) if jump == name => Some(Jump::None),
        jump => jump.clone(),
    };
    SshOptions {
        user: own.user.clone().or_else(|| defaults.user.clone()),
        port: own.port.or(defaults.port),
        identity: list(&own.identity, &defaults.identity),
        known_hosts: list(&own.known_hosts, &defaults.known_hosts),
        jump: own.jump.clone().or(default_jump),
        r#become: own.r#become.or(defaults.r#become),
        connect_timeout: own.connect_timeout.or(defaults.connect_timeout),
    }
}

/// `none`, a host's name, or `user@host:port`.
fn jump(text: &str, hosts: &BTreeSet<String>) -> Result<Jump, Complaint> {
    if text == "none" {
        return Ok(Jump::None);
    }
    if hosts.contains(text) {
        return Ok(Jump::Host(text.to_owned()));
    }
    let (user, address) = text.split_once('@').map_or((None, text), |(user, address)| (Some(user), address));
    // A lone word is a host of the inventory; anything else says by its form that it isn't.
    if user.is_none() && !text.contains([':', '.']) {
        let note = did_you_mean(text, hosts.iter().map(String::as_str));
        let note = note.unwrap_or_else(|| "a host's name, user@host:port or \"none\"".to_owned());
        return Err((format!("unknown jump host \"{}\"", text.escape_debug()), note));
    }
    Ok(Jump::Other { user: user.map(values::user).transpose()?, address: values::address(address)? })
}

/// Every host must be reachable: no jumps in a circle, no endless row of them. `places` holds each host's jump.
pub(super) fn check_jumps(hosts: &[Host], places: &BTreeMap<String, &Text>, problems: &mut Problems) {
    let jumps: BTreeMap<&str, &str> = hosts
        .iter()
        .filter_map(|host| match &host.ssh.jump {
            Some(Jump::Host(jump)) => Some((host.name.as_str(), jump.as_str())),
            _ => None,
        })
        .collect();
    for host in hosts {
        let mut way = vec![host.name.as_str()];
        while let Some(next) = way.last().and_then(|last| jumps.get(last)).filter(|_| way.len() <= MOST_JUMPS) {
            way.push(next);
            if *next == host.name {
                break;
            }
        }
        let circle = way.len() > 1 && way.last() == way.first();
        // Of a circle only the first by name speaks, of hosts behind it none.
        let message = match circle {
            true if way.iter().all(|name| *name >= host.name.as_str()) => {
                format!("jump hosts go in a circle: {}", way.join(" → "))
            }
            false if way.len() > MOST_JUMPS && way.iter().collect::<BTreeSet<_>>().len() == way.len() => {
                format!("{} is behind more than {MOST_JUMPS} jump hosts", host.name)
            }
            _ => continue,
        };
        if let Some(place) = places.get(&host.name) {
            problems.add(place.span(), message, "jump = \"none\" is a direct connection");
        }
    }
}

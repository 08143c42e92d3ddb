//! `fleet inventory check` and `fleet inventory show`.

use std::collections::BTreeMap;
use std::io::Write;

use comfy_table::{Table, presets};
use serde::Serialize;

use crate::cli::Output;
use crate::error::{Error, Result};
use crate::model::fold::fold;
use crate::model::inventory::{Host, Inventory, Role, Service};
use crate::model::selector::select;

/// Says in one line what the inventory holds, then what is allowed but unwise.
pub fn check(inventory: &Inventory, output: Output, out: &mut dyn Write) -> Result<()> {
    let found = Checked {
        name: &inventory.name,
        hosts: inventory.hosts.len(),
        roles: roles(inventory),
        chains: inventory.chains.keys().map(String::as_str).collect(),
        groups: inventory.groups.keys().map(String::as_str).collect(),
        warnings: warnings(inventory),
    };
    let written = match output {
        Output::Text => found.text(out),
        Output::Json | Output::Jsonl => line(out, &found),
    };
    written.map_err(unwritten)
}

/// Shows the hosts that `selector` selects, else all of them, with every default filled in: a row for each service.
pub fn show(inventory: &Inventory, selector: Option<&str>, output: Output, out: &mut dyn Write) -> Result<()> {
    let names = select(selector.unwrap_or("all"), inventory)?.hosts;
    let hosts: Vec<&Host> = names.iter().filter_map(|name| inventory.host(name)).collect();
    let written = match output {
        Output::Text => writeln!(out, "{}", table(&hosts)),
        Output::Json => line(out, &hosts.iter().map(|host| Shown::new(host)).collect::<Vec<_>>()),
        Output::Jsonl => hosts.iter().try_for_each(|host| line(out, &Shown::new(host))),
    };
    written.map_err(unwritten)
}

fn line(out: &mut dyn Write, value: &impl Serialize) -> std::io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    writeln!(out)
}

#[allow(clippy::needless_pass_by_value)] // as map_err wants it
fn unwritten(error: std::io::Error) -> Error {
    Error::failed(format!("can't write: {error}"))
}

#[derive(Serialize)]
struct Checked<'a> {
    name: &'a str,
    hosts: usize,
    roles: BTreeMap<Role, usize>,
    chains: Vec<&'a str>,
    groups: Vec<&'a str>,
    warnings: Vec<String>,
}

impl Checked<'_> {
    fn text(&self, out: &mut dyn Write) -> std::io::Result<()> {
        let roles: Vec<String> = self.roles.iter().map(|(role, count)| format!("{count} {role}")).collect();
        write!(out, "{}: {} hosts ({})", self.name, self.hosts, roles.join(", "))?;
        for (what, names) in [("chains", &self.chains), ("groups", &self.groups)] {
            if !names.is_empty() {
                write!(out, "; {what} {}", names.join(", "))?;
            }
        }
        writeln!(out)?;
        self.warnings.iter().try_for_each(|warning| writeln!(out, "warning: {warning}"))
    }
}

fn roles(inventory: &Inventory) -> BTreeMap<Role, usize> {
    let mut roles = BTreeMap::new();
    for host in &inventory.hosts {
        *roles.entry(host.role).or_default() += 1;
    }
    roles
}

fn warnings(inventory: &Inventory) -> Vec<String> {
    let validators = || inventory.hosts.iter().filter(|host| host.role == Role::Validator);
    let bare = fold(validators().filter(|host| host.sentries.is_empty()).map(|host| host.name.as_str()));
    let bare = (!bare.is_empty()).then(|| format!("no sentries in front of {bare}"));
    let neighbours = validators().flat_map(|host| {
        let sentries = host.sentries.iter().filter_map(|name| inventory.host(name));
        sentries.filter(|sentry| rack(sentry).is_some() && rack(sentry) == rack(host)).map(|sentry| {
            let rack = &sentry.labels["rack"];
            format!("{} and its sentry {} stand in one rack, {rack}", host.name, sentry.name)
        })
    });
    bare.into_iter().chain(neighbours).collect()
}

/// Racks of different regions may have one name.
fn rack(host: &Host) -> Option<(Option<&str>, &str)> {
    host.labels.get("rack").map(|rack| (host.region.as_deref(), rack.as_str()))
}

/// A host for programs.
#[derive(Serialize)]
struct Shown<'a> {
    host: &'a str,
    role: Role,
    address: String,
    region: Option<&'a str>,
    labels: &'a BTreeMap<String, String>,
    sentries: &'a [String],
    user: Option<&'a str>,
    jump: Option<String>,
    services: &'a [Service],
}

impl<'a> Shown<'a> {
    fn new(host: &'a Host) -> Self {
        Self {
            host: &host.name,
            role: host.role,
            address: host.address.to_string(),
            region: host.region.as_deref(),
            labels: &host.labels,
            sentries: &host.sentries,
            user: host.ssh.user.as_deref(),
            jump: host.ssh.jump.as_ref().map(ToString::to_string),
            services: &host.services,
        }
    }
}

fn table(hosts: &[&Host]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["HOST", "ROLE", "CHAIN", "ADDRESS", "UNIT", "HOME", "JUMP"]);
    for host in hosts {
        for service in &host.services {
            table.add_row(row(host, service.id.to_string(), Some(service)));
        }
        if host.services.is_empty() {
            table.add_row(row(host, host.name.clone(), None));
        }
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

fn row(host: &Host, name: String, service: Option<&Service>) -> [String; 7] {
    let or_dash = |text: Option<&str>| text.unwrap_or("-").to_owned();
    [
        name,
        host.role.to_string(),
        or_dash(service.and_then(|service| service.chain.as_deref())),
        host.address.to_string(),
        or_dash(service.map(|service| service.unit.as_str())),
        or_dash(service.and_then(|service| service.home.as_deref())),
        host.ssh.jump.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
    ]
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::model::inventory::parse;

    fn shown(run: impl FnOnce(&Inventory, &mut Vec<u8>) -> Result<()>) -> String {
        let company = include_str!("../../inventories/company.toml");
        let inventory = parse(company, Path::new("company.toml")).unwrap();
        let mut out = Vec::new();
        run(&inventory, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn check_says_what_there_is() {
        assert_eq!(
            shown(|inventory, out| check(inventory, Output::Text, out)),
            "company: 16 hosts (7 validator, 2 sentry, 1 full, 1 provider, 3 organism, 1 monitoring, 1 bastion); \
             chains settlement, virtengine; groups canary, rest, west\n"
        );
    }

    #[test]
    fn check_warns() {
        let company = include_str!("../../inventories/company.toml");
        let mut inventory = parse(company, Path::new("company.toml")).unwrap();
        let sentry = inventory.hosts.iter().position(|host| host.name == "sentry-1").unwrap();
        inventory.hosts[sentry].labels.insert("rack".to_owned(), "a1".to_owned());
        inventory.hosts[sentry].region = Some("eu-west".to_owned());
        for host in &mut inventory.hosts[2..4] {
            host.sentries.clear();
        }
        assert_eq!(
            warnings(&inventory),
            ["no sentries in front of val-[2-3]", "val-1 and its sentry sentry-1 stand in one rack, a1"]
        );
    }

    #[test]
    fn show_has_a_row_for_each_service() {
        let text = shown(|inventory, out| show(inventory, Some("val-1 or bastion"), Output::Text, out));
        insta::assert_snapshot!(text);
    }

    #[test]
    fn show_gives_programs_one_document_or_lines() {
        let json = shown(|inventory, out| show(inventory, Some("canary"), Output::Json, out));
        let hosts: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!((&hosts[0]["host"], &hosts[0]["jump"]), (&"val-7".into(), &"bastion".into()));
        let lines = shown(|inventory, out| show(inventory, Some("canary"), Output::Jsonl, out));
        assert_eq!(lines.lines().count(), 2);
    }
}

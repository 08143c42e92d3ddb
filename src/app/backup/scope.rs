//! Which hosts a backup is of, and which chain: none where no part of a node is kept.

use crate::app::scope::{Scope, one_chain, scope};
use crate::error::{Error, Result};
use crate::model::backup::Profile;
use crate::model::inventory::{Host, Inventory};
use crate::model::nearest::did_you_mean;
use crate::model::selector::select;

/// What is asked for by name; nothing: what is usual for each role.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// Profiles that fleet itself has.
    pub profiles: Vec<Profile>,
    /// Profiles of the inventory, by name.
    pub lists: Vec<String>,
}

impl Asked {
    /// These profiles.
    pub fn named(names: &[String], inventory: &Inventory) -> Result<Self> {
        let mut asked = Self::default();
        for name in names {
            match (Profile::named(name), inventory.backup.profile(name)) {
                (Some(Profile::Postgres), _) if inventory.backup.postgres.is_none() => {
                    return Err(Error::usage("no databases of PostgreSQL are named in the inventory")
                        .hint("[backup.postgres] databases = [\"…\"]"));
                }
                (Some(profile), _) => asked.profiles.push(profile),
                (None, Some(list)) => asked.lists.push(list.name.clone()),
                (None, None) => return Err(unknown(name, inventory)),
            }
        }
        Ok(asked)
    }

    fn is_usual(&self) -> bool {
        self.profiles.is_empty() && self.lists.is_empty()
    }

    fn is_of_nodes(&self) -> bool {
        self.lists.is_empty() && self.profiles.iter().all(|profile| profile.is_of_node())
    }

    /// Whether a part of a node of this host is meant.
    fn wants_node(&self, host: &Host) -> bool {
        let profiles = if self.is_usual() { Profile::of_role(host.role) } else { &self.profiles };
        runs_any_chain(host) && profiles.iter().any(|profile| profile.is_of_node())
    }

    /// Whether any of what is asked for, beside parts of nodes, is usual for this host's role.
    fn is_usual_for(&self, host: &Host, inventory: &Inventory) -> bool {
        let ours = &inventory.backup;
        let beside = |profile: &Profile| match profile {
            Profile::Postgres => ours.postgres.as_ref().is_some_and(|postgres| postgres.roles.contains(&host.role)),
            profile => !profile.is_of_node() && Profile::of_role(host.role).contains(profile),
        };
        let listed = |name: &String| ours.profile(name).is_some_and(|list| list.roles.contains(&host.role));
        self.profiles.iter().any(beside) || self.lists.iter().any(listed)
    }
}

fn unknown(name: &str, inventory: &Inventory) -> Error {
    let all = inventory.backup.profile_names();
    let near = did_you_mean(name, all.iter().copied());
    let error = Error::usage(format!("--profile: there is no profile '{name}'"));
    error.hint(near.unwrap_or_else(|| format!("one of {}", all.join(", "))))
}

/// The hosts that are selected, and the chain of the nodes among them that are meant; an empty name where none is.
///
/// Without a selector these are the chain's validators, sentries and full nodes, as far as parts of nodes are meant, and
/// beside them hosts of the roles that what is asked for is usual for.
pub fn scope_of(inventory: &Inventory, selector: Option<&str>, asked: &Asked) -> Result<Scope> {
    if asked.is_of_nodes() && (selector.is_none() || !asked.is_usual()) {
        return scope(inventory, selector);
    }
    let Some(text) = selector else { return scope_of_roles(inventory, asked) };
    let mut hosts = select(text, inventory)?.hosts;
    let host = |name: &String| inventory.host(name);
    let nodes: Vec<String> =
        hosts.iter().filter(|name| host(name).is_some_and(|host| asked.wants_node(host))).cloned().collect();
    if nodes.is_empty() {
        return Ok(Scope { chain: String::new(), hosts });
    }
    let chain = one_chain(inventory, selector, &nodes)?;
    let meant = |host: &Host| runs(host, &chain) || !asked.wants_node(host);
    hosts.retain(|name| host(name).is_some_and(meant));
    Ok(Scope { chain, hosts })
}

fn scope_of_roles(inventory: &Inventory, asked: &Asked) -> Result<Scope> {
    let nodes = if asked.profiles.iter().any(|profile| profile.is_of_node()) {
        scope(inventory, None)?
    } else {
        Scope { chain: String::new(), hosts: Vec::new() }
    };
    let meant = |host: &&Host| nodes.hosts.contains(&host.name) || asked.is_usual_for(host, inventory);
    let hosts: Vec<String> = inventory.hosts.iter().filter(meant).map(|host| host.name.clone()).collect();
    if hosts.is_empty() {
        let error = Error::usage("which hosts? what is asked for is usual for none of their roles");
        return Err(error.hint("name them: fleet backup SELECTOR; or roles = [\"…\"] in [backup.profiles.NAME]"));
    }
    Ok(Scope { chain: nodes.chain, hosts })
}

fn runs_any_chain(host: &Host) -> bool {
    host.services.iter().any(|service| service.chain.is_some())
}

fn runs(host: &Host, chain: &str) -> bool {
    host.services.iter().any(|service| service.chain.as_deref() == Some(chain))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::model::inventory::parse;

    fn inventory() -> Inventory {
        let own = "[backup.profiles.listed]\npaths = [\"/a\"]\nroles = [\"bastion\"]\n\
                   [backup.profiles.unlisted]\npaths = [\"/a\"]";
        let text = format!("{}\n{own}", include_str!("../../../inventories/company.toml"));
        parse(&text, Path::new("company.toml")).unwrap()
    }

    fn scoped(selector: Option<&str>, names: &[&str]) -> (String, String) {
        let inventory = inventory();
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let asked = Asked::named(&names, &inventory).unwrap();
        match scope_of(&inventory, selector, &asked) {
            Ok(scope) => (scope.chain, scope.hosts.join(" ")),
            Err(error) => ("error".into(), error.message),
        }
    }

    #[test]
    fn a_chain_is_asked_for_only_where_a_part_of_a_node_is_meant() {
        for (selector, names, chain, hosts) in [
            (Some("mon"), &[][..], "", "mon"),
            (Some("mon or provider-1 or bastion"), &[], "", "bastion provider-1 mon"),
            (Some("val-2 or mon"), &[], "virtengine", "val-2 mon"),
            (Some("val-2 or mon"), &["listed"], "", "val-2 mon"),
            (Some("val-1 or mon"), &["monitoring"], "", "val-1 mon"),
            (Some("chain:virtengine and val-1"), &["listed", "config"], "virtengine", "val-1"),
            (None, &["monitoring"], "", "mon"),
            (None, &["provider", "monitoring"], "", "provider-1 mon"),
            (None, &["postgres"], "", "provider-1"),
            (None, &["listed"], "", "bastion"),
        ] {
            assert_eq!(scoped(selector, names), (chain.into(), hosts.into()), "{selector:?} {names:?}");
        }
    }

    #[test]
    fn what_is_meant_by_nothing_is_an_error() {
        for (selector, names, what) in [
            (Some("val-1"), &[][..], "which chain is meant?"),
            (Some("mon"), &["config"], "none of the selected hosts runs a node"),
            (None, &["unlisted"], "which hosts?"),
            (None, &["unlisted", "data"], "which chain is meant?"),
        ] {
            let (chain, text) = scoped(selector, names);
            assert!(chain == "error" && text.contains(what), "{selector:?} {names:?}: {chain} {text}");
        }
        let inventory = inventory();
        let error = Asked::named(&["monitorin".to_owned()], &inventory).unwrap_err();
        assert!(error.hints[0].contains("did you mean \"monitoring\"?"), "{error:?}");
        let none = Inventory { backup: crate::model::inventory::Backup::default(), ..inventory };
        assert!(Asked::named(&["postgres".to_owned()], &none).is_err());
    }
}

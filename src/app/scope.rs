//! Which chain an operation is about, and which hosts.

use std::collections::BTreeSet;

use crate::error::{Error, Result};
use crate::model::inventory::{Host, Inventory, Role};
use crate::model::selector::select;

/// One chain and the hosts selected of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The chain's name in the inventory.
    pub chain: String,
    /// Host names, in the inventory's order.
    pub hosts: Vec<String>,
}

/// The one chain that is meant, and its selected hosts; without a selector its validators, sentries and full nodes.
pub fn scope(inventory: &Inventory, selector: Option<&str>) -> Result<Scope> {
    let hosts = match selector {
        Some(text) => select(text, inventory)?.hosts,
        None => inventory.hosts.iter().map(|host| host.name.clone()).collect(),
    };
    let chain = one_chain(inventory, selector, &hosts)?;
    let runs_chain = |name: &String| {
        inventory.host(name).is_some_and(|host| {
            let is_node = matches!(host.role, Role::Validator | Role::Sentry | Role::Full);
            let on_chain = host.services.iter().any(|service| service.chain.as_ref() == Some(&chain));
            on_chain && (is_node || selector.is_some())
        })
    };
    let hosts: Vec<String> = hosts.into_iter().filter(runs_chain).collect();
    if hosts.is_empty() {
        let error = Error::usage(format!("none of the selected hosts runs a node of {chain}"));
        return Err(error.hint("see what runs where: fleet inventory show"));
    }
    Ok(Scope { chain, hosts })
}

/// Every host that runs a service of the chain.
pub fn hosts_of(inventory: &Inventory, chain: &str) -> Vec<String> {
    let runs = |host: &&Host| host.services.iter().any(|service| service.chain.as_deref() == Some(chain));
    inventory.hosts.iter().filter(runs).map(|host| host.name.clone()).collect()
}

/// The one chain that these hosts run, or that the selector names.
pub fn one_chain(inventory: &Inventory, selector: Option<&str>, hosts: &[String]) -> Result<String> {
    let named: BTreeSet<&str> = selector.map(chains_named).unwrap_or_default();
    let of_hosts: BTreeSet<&str> = hosts
        .iter()
        .filter_map(|name| inventory.host(name))
        .flat_map(|host| &host.services)
        .filter_map(|service| service.chain.as_deref())
        .collect();
    let candidates = if named.is_empty() { of_hosts } else { named };
    let mut each = candidates.iter();
    match (each.next(), each.next()) {
        (Some(one), None) => Ok((*one).to_owned()),
        (None, _) => Err(Error::usage("none of the selected hosts runs a node of a chain")
            .hint("see what runs where: fleet inventory show")),
        _ => {
            let all: Vec<&str> = candidates.iter().copied().collect();
            let named: Vec<String> = all.iter().map(|chain| format!("-l 'chain:{chain}'")).collect();
            Err(Error::usage(format!("which chain is meant? these hosts run {}", all.join(" and ")))
                .hint(format!("name one: {}", named.join(" or "))))
        }
    }
}

/// The chains that a selector names.
pub fn chains_named(selector: &str) -> BTreeSet<&str> {
    let words = selector.split(|c: char| c.is_whitespace() || "(),".contains(c));
    words.filter_map(|word| word.strip_prefix("chain:")).collect()
}

//! `fleet status`.

use std::io::Write as _;

use crate::app::context::Context;
use crate::app::gather::{Depth, gather};
use crate::app::memory;
use crate::app::runs::take_up;
use crate::app::scope::{chains_named, hosts_of};
use crate::chain::verdict::diagnose;
use crate::cli::{Output, StatusArgs};
use crate::error::Result;
use crate::journal::left_on;
use crate::model::selector::select;
use crate::model::verdict::{ChainState, ChainVerdict};
use crate::render;

/// Shows every host and chain; 0 when every chain advances.
pub async fn status(context: &Context, args: &StatusArgs) -> Result<u8> {
    let inventory = &context.inventory;
    let selector = context.selector(args.selector.as_deref())?;
    let named = selector.as_deref().map(chains_named).unwrap_or_default();
    let shown = match &selector {
        Some(text) => select(text, inventory)?.hosts,
        None => inventory.hosts.iter().map(|host| host.name.clone()).collect(),
    };
    // The verdict on a chain needs all its hosts, whichever are shown.
    let chains: Vec<_> = inventory
        .chains
        .values()
        .filter(|chain| named.is_empty() || named.contains(chain.name.as_str()))
        .filter(|chain| hosts_of(inventory, &chain.name).iter().any(|host| shown.contains(host)))
        .collect();
    let mut asked = shown.clone();
    for host in chains.iter().flat_map(|chain| hosts_of(inventory, &chain.name)) {
        if !asked.contains(&host) {
            asked.push(host);
        }
    }
    let facts = gather(&*context.transport, inventory, (&asked, Depth::Full), context.now_ms(), args.timeout).await;
    let verdict = |chain| {
        let known = memory::powers(context, chain, &facts);
        diagnose(chain, inventory, &facts, None, &known)
    };
    let verdicts: Vec<ChainVerdict> = chains.iter().map(|chain| verdict(chain)).collect();
    let mut facts = facts;
    facts.hosts.retain(|host, _| shown.contains(host));
    if context.global.output == Output::Text {
        let text = render::status::status_text(&verdicts, &facts, inventory, context.width(), context.color());
        context.print(&text);
        for (run, stored) in chains.iter().filter_map(|chain| left_on(&context.places, &chain.chain_id)) {
            context.print(&take_up(&run, &stored));
        }
    } else {
        let document = render::status::status_json(&verdicts, &facts, inventory);
        context.print(&document.to_string());
    }
    context.out().flush().ok();
    let advancing = verdicts.iter().all(|verdict| matches!(verdict.state, ChainState::Advancing | ChainState::Idle));
    Ok(u8::from(!advancing))
}

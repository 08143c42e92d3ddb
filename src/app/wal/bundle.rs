//! `fleet wal bundle`, and reading what it wrote.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::{facts, read};
use crate::app::context::Context;
use crate::app::execute::owner;
use crate::app::scope::scope;
use crate::chain::wal::bundle::Bundle;
use crate::chain::wal::survey::Node;
use crate::cli::WalBundleArgs;
use crate::engine::wal::Which;
use crate::error::{Error, Result};
use crate::render::words::counted;

/// Writes the selected nodes' logs and signer states into a file.
pub async fn bundle(context: &Context, args: &WalBundleArgs) -> Result<u8> {
    let scope = scope(&context.inventory, context.selector(args.selector.as_deref())?.as_deref())?;
    if args.file.exists() {
        return Err(Error::usage(format!("{} is there already", args.file.display())).hint("name another file"));
    }
    let chain = &context.inventory.chains[&scope.chain];
    let facts = facts(context, chain, args.timeout).await;
    let mut nodes = read(context, chain, &facts, Which::OfHeight, args.timeout).await;
    nodes.retain(|node| scope.hosts.contains(&node.service.host));
    for node in &nodes {
        if let Err(reason) = &node.logs {
            let _ = writeln!(context.err(), "left out {}: {reason}", node.service);
        }
    }
    let bundle = Bundle::new(&chain.chain_id, &owner(), &nodes);
    if bundle.is_empty() {
        return Err(Error::failed("no host gave anything: there is nothing to bundle"));
    }
    write(&args.file, &bundle)?;
    let whole = bundle.len() == nodes.len();
    let _ = writeln!(context.for_people(), "{}: the logs of {}", args.file.display(), counted(bundle.len(), "node"));
    Ok(if whole { 0 } else { 4 })
}

fn write(path: &Path, bundle: &Bundle) -> Result<()> {
    let failed = |error: &dyn std::fmt::Display| Error::failed(format!("{}: {error}", path.display()));
    let text = serde_json::to_string(bundle).map_err(|error| failed(&error))?;
    let mut file = std::fs::File::create_new(path).map_err(|error| failed(&error))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(|error| failed(&error))
}

/// The nodes that are in these bundles.
pub fn load(files: &[PathBuf], chain_id: &str) -> Result<Vec<Node>> {
    let nodes: Result<Vec<Vec<Node>>> = files.iter().map(|path| Ok(one(path, chain_id)?.1)).collect();
    Ok(nodes?.into_iter().flatten().collect())
}

/// The bundles as they are in their files, each one seen to be of this chain.
pub fn texts(files: &[PathBuf], chain_id: &str) -> Result<Vec<String>> {
    files.iter().map(|path| Ok(one(path, chain_id)?.0)).collect()
}

fn one(path: &Path, chain_id: &str) -> Result<(String, Vec<Node>)> {
    let named = |reason: String| Error::usage(format!("{}: {reason}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| named(error.to_string()))?;
    let nodes = Bundle::parse(&text, chain_id).and_then(|bundle| bundle.nodes()).map_err(named)?;
    Ok((text, nodes))
}

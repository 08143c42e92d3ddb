//! The verdict's words.

use super::seats::{Chair, Standing};
use super::view::{Node, View};
use crate::model::facts::{ServiceFacts, SignerFacts};
use crate::model::fold::fold;

/// `val-[1-3], sentry-1`.
pub fn names(nodes: &[&Node<'_>]) -> String {
    let names: Vec<_> = nodes.iter().map(|node| node.id.to_string()).collect();
    parts(&fold(names.iter().map(String::as_str))).join(", ")
}

/// The hosts of these nodes as an argument for a shell; it names the chain where the inventory has several.
pub fn selector(view: &View<'_>, nodes: &[&Node<'_>]) -> String {
    let folded = fold(nodes.iter().map(|node| node.id.host.as_str()));
    let parts = parts(&folded);
    let hosts = parts.join(" or ");
    let text = match (view.one_of_many, parts.len()) {
        (false, _) => hosts,
        (true, 1) => format!("chain:{} and {hosts}", view.chain.name),
        (true, _) => format!("chain:{} and ({hosts})", view.chain.name),
    };
    if text.contains([' ', '[', '(']) { format!("'{text}'") } else { text }
}

/// Splits at the commas outside brackets.
fn parts(folded: &str) -> Vec<&str> {
    let mut depth = 0_u32;
    let outside = |c: char| {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    };
    folded.split(outside).collect()
}

/// Why a member takes no part.
pub fn why(view: &View<'_>, seat: &Chair<'_>) -> String {
    let node = seat.owners.first();
    let height = node.and_then(|node| node.status()).map_or(0, |status| status.height);
    match seat.standing {
        Standing::Foreign => "no vote seen".into(),
        Standing::Silent => "no answer".into(),
        Standing::Down => node.map_or_else(String::new, |node| down(node)),
        Standing::Panicked => "consensus failed, process alive".into(),
        Standing::Hung => "consensus hangs".into(),
        Standing::Waiting => "no peers".into(),
        Standing::CatchingUp => format!("catching up at {height}"),
        Standing::Refusing => node.map_or_else(String::new, |node| refusing(node)),
        Standing::Well => {
            let at = view.newest().map_or(0, |status| status.height);
            if height + 1 < at { format!("up, but only at {height}") } else { "up, no vote seen".into() }
        }
    }
}

fn refusing(node: &Node<'_>) -> String {
    match node.facts.map(|facts| &facts.signer) {
        Ok(SignerFacts::State(state)) if !node.remote_signer() => {
            format!("signed {}/{}/{} before", state.height, state.round, state.step)
        }
        _ => "remote signer gives no vote".into(),
    }
}

/// Why a node whose host answers doesn't.
fn down(node: &Node<'_>) -> String {
    let Ok(facts) = node.facts else { return "no answer".into() };
    if let Some(chain) = node.stray {
        return format!("on chain {chain}");
    }
    let text = unit(facts, node.unit);
    if node.runs() && facts.unit.sub_state != "auto-restart" {
        return format!("{text}, RPC: {}", facts.rpc.error.as_deref().unwrap_or("no answer"));
    }
    if facts.held { format!("{text}, held by fleet") } else { text }
}

/// `failed, exit 1, 3 restarts`.
fn unit(facts: &ServiceFacts, name: &str) -> String {
    let unit = &facts.unit;
    if unit.load_state == "not-found" {
        return format!("no unit {name}");
    }
    let state = match (unit.active_state.as_str(), unit.sub_state.as_str()) {
        (_, "auto-restart") => "restarting",
        ("inactive", _) if unit.file_state == "masked" => "masked",
        ("inactive", _) => return "stopped".into(),
        ("", _) => return "unit unknown".into(),
        (state, _) => state,
    };
    let exit = match (unit.result.as_str(), unit.exit_status) {
        ("signal" | "core-dump", signal) => format!(", signal {signal}"),
        ("" | "success", _) | (_, 0) => String::new(),
        (_, exit) => format!(", exit {exit}"),
    };
    let restarts = match unit.restarts {
        0 => String::new(),
        1 => ", 1 restart".into(),
        count => format!(", {count} restarts"),
    };
    format!("{state}{exit}{restarts}")
}

/// What else is worth a line.
pub fn notes(view: &View<'_>) -> Vec<String> {
    let stray = view
        .nodes
        .iter()
        .filter_map(|node| Some(format!("{} is on chain {}, not {}", node.id, node.stray?, view.chain.chain_id)));
    let unplaced: Vec<_> = view.nodes.iter().filter(|node| node.facts.is_err() && node.address.is_none()).collect();
    let unplaced = (!unplaced.is_empty() && view.total > 0)
        .then(|| format!("address of {} unknown: its power, if any, counts as foreign", names(&unplaced)));
    let checks = view.nodes.iter().filter_map(|node| double_sign_check(view, node));
    stray.chain(unplaced).chain(checks).collect()
}

/// A node that is stopped near its own last signature, and that looks for it at the start, won't start.
fn double_sign_check(view: &View<'_>, node: &Node<'_>) -> Option<String> {
    let facts = node.facts.ok()?;
    let depth = facts.config.as_ref()?.double_sign_check_height;
    let SignerFacts::State(state) = &facts.signer else { return None };
    let near = state.height.saturating_add(depth) > view.height()?;
    (depth > 0 && near && !node.runs()).then(|| {
        format!("{} may refuse to start: it signed within its double_sign_check_height of {depth} blocks", node.id)
    })
}

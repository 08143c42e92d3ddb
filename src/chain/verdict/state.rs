//! Whether blocks come.

use super::seats::Seats;
use super::view::{Node, View};
use crate::model::verdict::ChainState;

pub fn of(view: &View<'_>, seats: &Seats<'_>) -> ChainState {
    let Some(newest) = view.newest() else { return without_answers(view, seats) };
    let age = age_ms(view, newest.block_time_ms);
    let online = view.total == 0 || seats.online() >= view.quorum;
    if rose(view) || age <= late_after_ms(view) {
        ChainState::Advancing
    } else if idle(view) {
        ChainState::Idle
    } else if age <= millis(view.chain.halt_after) && online {
        ChainState::Advancing
    } else if view.answering().all(|(node, _)| blind(node)) && goes_on_without_us(view, seats) {
        ChainState::Unknown("our nodes that answer are behind or stuck; others may go on without them".into())
    } else {
        ChainState::Stopped { since_ms: Some(newest.block_time_ms) }
    }
}

/// ms since the last block, by the controller's clock.
pub fn age_ms(view: &View<'_>, block_time_ms: i64) -> u64 {
    u64::try_from(view.at_ms.saturating_sub(block_time_ms)).unwrap_or(0)
}

/// From three block times on a block is late.
pub fn late_after_ms(view: &View<'_>) -> u64 {
    millis(view.chain.block_time).saturating_mul(3)
}

fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A node that isn't fetching old blocks is further than any was in the earlier sample. A sample from before
/// `halt_after` proves nothing: the chain may have stopped since.
fn rose(view: &View<'_>) -> bool {
    let recent = |at_ms: i64| age_ms(view, at_ms) <= millis(view.chain.halt_after);
    let moved = |before| view.answering().any(|(_, status)| !status.catching_up && status.height > before);
    view.earlier.is_some_and(|(height, at_ms)| recent(at_ms) && moved(height))
}

/// No empty blocks are made, and every node waits for a transaction.
fn idle(view: &View<'_>) -> bool {
    let lazy = |node: &Node<'_>| {
        node.facts.is_ok_and(|facts| facts.config.as_ref().is_some_and(|config| !config.create_empty_blocks))
    };
    let waits = |node: &Node<'_>| node.round().is_none_or(|round| round.round == 0 && round.step <= NEW_ROUND);
    view.nodes.iter().any(lazy) && view.answering().all(|(node, _)| waits(node) && !blind(node))
}

/// What this node shows says nothing of the others.
fn blind(node: &Node<'_>) -> bool {
    node.status().is_none_or(|status| status.catching_up) || node.without_peers() || node.panicked() || node.hung()
}

fn goes_on_without_us(view: &View<'_>, seats: &Seats<'_>) -> bool {
    view.total == 0 || seats.power(|seat| seat.owners.is_empty()) >= view.quorum
}

fn without_answers(view: &View<'_>, seats: &Seats<'_>) -> ChainState {
    let silent = view.nodes.iter().filter(|node| node.facts.is_err()).count();
    if view.nodes.is_empty() {
        ChainState::Unknown("no node of this chain in the inventory".into())
    } else if silent > 0 {
        ChainState::Unknown(format!("no node answers, {silent} of {} unknown", view.nodes.len()))
    } else if view.nodes.iter().any(Node::runs) {
        ChainState::Unknown("nodes run, but no RPC answers".into())
    } else if view.total > 0 && goes_on_without_us(view, seats) {
        ChainState::Unknown("none of our nodes runs; others may go on without them".into())
    } else {
        ChainState::Stopped { since_ms: None }
    }
}

const NEW_ROUND: u8 = 2;

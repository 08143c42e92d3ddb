//! The verdict: a pure diagnosis over the facts of one chain's services.
//!
//! Give it the facts of **all** services of the chain: what isn't asked is silent, and the power of a service whose
//! address isn't known counts as foreign. Addresses known from earlier ([`identities`], kept in a cache) close
//! that gap for hosts that don't answer now.

use std::collections::BTreeMap;

use crate::model::facts::{Facts, Known};
use crate::model::inventory::{Chain, Inventory, ServiceId};
use crate::model::verdict::{ChainState, ChainVerdict, Member, Missing, Seat};
use seats::{Seats, Standing};
use view::View;

mod cause;
mod seats;
mod state;
mod view;
mod votes;
mod words;

pub use view::identities;

/// Consensus addresses (upper-case hex) by the service's shown name.
type Identities = BTreeMap<String, String>;

/// The verdict on `chain`. `earlier` is a sample from before, if only a cached one: two samples tell a moving chain
/// from a standing one at once. `known` has powers and addresses for when no node answers.
pub fn diagnose(
    chain: &Chain,
    inventory: &Inventory,
    facts: &Facts,
    earlier: Option<&Facts>,
    known: &Known,
) -> ChainVerdict {
    let mut addresses = known.addresses.clone();
    addresses.extend(earlier.map(|earlier| identities(inventory, earlier)).unwrap_or_default());
    addresses.extend(identities(inventory, facts));
    let view = View::new(chain, inventory, facts, earlier, &addresses, known.set.as_ref());
    let mut seats = Seats::of_the_round(&view);
    let state = state::of(&view, &seats);
    if state == ChainState::Advancing {
        seats = Seats::of_the_commit(&view).unwrap_or(seats);
    }
    let finding = cause::find(&view, &seats, &state);
    let foreign = |standing: Standing| standing == Standing::Foreign;
    ChainVerdict {
        name: chain.name.clone(),
        chain_id: chain.chain_id.clone(),
        height: view.height(),
        power_online: seats.online(),
        power_total: view.total,
        quorum: if view.total == 0 { 0 } else { view.quorum },
        missing: missing(&view, &seats, &state),
        foreign_total: seats.power(|seat| foreign(seat.standing)),
        foreign_voting: seats.power(|seat| foreign(seat.standing) && seat.voted),
        cause: finding.cause,
        likely: finding.likely,
        next: finding.next,
        notes: words::notes(&view),
        seats: shown(&seats),
        state,
    }
}

/// Who takes no part, greatest power first. A vote that isn't due yet isn't missing.
fn missing(view: &View<'_>, seats: &Seats<'_>, state: &ChainState) -> Vec<Missing> {
    let due = *state == ChainState::Advancing || view.rounds().iter().any(|(_, round)| round.step >= seats::PREVOTE);
    let absent = seats.all.iter().filter(|seat| if due { !seat.takes_part() } else { !seat.online() });
    let mut missing: Vec<_> = absent
        .map(|seat| {
            let who = match seat.owners.first() {
                Some(node) => Member::Ours(node.id.clone()),
                None => Member::Foreign(seat.address.to_string()),
            };
            Missing { who, power: seat.power, why: words::why(view, seat) }
        })
        .collect();
    missing.sort_by(|one, other| other.power.cmp(&one.power).then_with(|| one.who.cmp(&other.who)));
    missing
}

fn shown(seats: &Seats<'_>) -> BTreeMap<String, Seat> {
    let each = seats.all.iter().flat_map(|seat| seat.owners.iter().map(move |node| (node.id, seat)));
    let entry = |(id, seat): (&ServiceId, &seats::Chair<'_>)| {
        (id.to_string(), Seat { address: seat.address.to_string(), power: seat.power, voted: seat.voted })
    };
    each.map(entry).collect()
}

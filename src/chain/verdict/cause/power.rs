//! Power that is lacking: what keeps the most of it away, and what brings it back.

use super::Finding;
use crate::chain::verdict::seats::{Chair, Seats, Standing};
use crate::chain::verdict::view::{Node, View};
use crate::chain::verdict::words;
use crate::model::verdict::{Cause, Member};

/// Those that can vote are too few: the finding is about what keeps the greatest power from it.
pub fn lacking(view: &View<'_>, seats: &Seats<'_>) -> Option<Finding> {
    let able = seats.power(able);
    if view.total == 0 || able >= view.quorum {
        return None;
    }
    let unable: Vec<_> = seats.all.iter().filter(|seat| !self::able(seat)).collect();
    let of = |kind: Standing| unable.iter().copied().filter(|seat| kind_of(seat) == kind).collect::<Vec<_>>();
    let kinds = [Standing::Down, Standing::Refusing, Standing::Panicked, Standing::Hung, Standing::Waiting];
    // Of equals the first: `max_by_key` would take the last.
    let (kind, members) =
        kinds.into_iter().rev().map(|kind| (kind, of(kind))).max_by_key(|(_, members)| sum(members))?;
    let nodes: Vec<_> = members.iter().flat_map(|seat| seat.owners.iter().copied()).collect();
    match kind {
        Standing::Refusing => Some(refusing(view, &nodes, sum(&members))),
        Standing::Down => Some(short(view, unable, view.quorum - able)),
        kind => sick(view, kind, &nodes),
    }
}

fn able(seat: &Chair<'_>) -> bool {
    match seat.standing {
        Standing::Well => true,
        Standing::Silent | Standing::Foreign => seat.voted,
        _ => false,
    }
}

/// What isn't there at all is one kind, whoever's it is.
fn kind_of(seat: &Chair<'_>) -> Standing {
    match seat.standing {
        Standing::Silent | Standing::Foreign | Standing::CatchingUp => Standing::Down,
        other => other,
    }
}

/// Nodes that answer and don't work, whatever their power.
pub fn sick(view: &View<'_>, standing: Standing, nodes: &[&Node<'_>]) -> Option<Finding> {
    let names = words::names(nodes);
    let first = nodes.first()?;
    let logs = format!("fleet exec {} -- journalctl -u {} -n 50 --no-pager", words::selector(view, nodes), first.unit);
    Some(match standing {
        Standing::Panicked => {
            let behind = nodes.iter().all(|node| app_is_behind(node));
            let hint = if behind { ": the application failed at this block, or it is an upgrade height" } else { "" };
            Finding::new(
                Cause::ConsensusPanicked,
                format!("consensus failed on {names}, processes live on{hint}"),
                Some(logs),
            )
        }
        Standing::Hung => {
            let likely = format!("application hangs on {names}: /status answers, /consensus_state doesn't");
            Finding::new(Cause::AppDeadlock, likely, Some(logs))
        }
        Standing::Waiting => {
            let likely = format!("{names} wait for peers: they run and are connected to nobody");
            Finding::new(Cause::WaitingForPeers, likely, Some("check persistent_peers and the P2P port there".into()))
        }
        _ => return None,
    })
}

/// At an upgrade height, as at a block the application can't do, the block is stored and not applied.
fn app_is_behind(node: &Node<'_>) -> bool {
    let app = node.rpc().and_then(|rpc| rpc.app.as_ref());
    node.status().zip(app).is_some_and(|(status, app)| app.height + 1 == status.height)
}

fn refusing(view: &View<'_>, nodes: &[&Node<'_>], power: u64) -> Finding {
    let names = words::names(nodes);
    if nodes.iter().all(|node| node.remote_signer()) {
        let likely = format!("signer refusing: the remote signers of {names} ({power}) give no votes");
        return Finding::new(Cause::SignerRefusing, likely, Some(format!("look at the remote signers of {names}")));
    }
    let at =
        view.rounds().first().map_or_else(String::new, |(_, round)| format!(" at {}/{}", round.height, round.round));
    let likely = format!("signer refusing: {names} ({power}) signed{at} before and their WAL has lost those votes");
    Finding::new(
        Cause::SignerRefusing,
        likely,
        Some("clear no WAL; fleet wal show tells what is left, fleet wal revive brings the chain back".into()),
    )
}

fn short(view: &View<'_>, mut unable: Vec<&Chair<'_>>, lack: u64) -> Finding {
    unable.sort_by_key(|seat| std::cmp::Reverse(seat.power));
    let ours: Vec<_> = unable.iter().copied().filter(|seat| !seat.owners.is_empty()).collect();
    let own = sum(&ours);
    let likely = if own < lack {
        format!("power short; {} more must come from others", lack - own)
    } else {
        format!("power short; {} the quorum back", cure(&ours, lack))
    };
    let next = start_enough(view, &ours, lack).or_else(|| reach(&ours)).or_else(|| call(&unable, lack));
    Finding::new(Cause::PowerShort, likely, next)
}

/// The fewest others whose power is enough.
fn call(unable: &[&Chair<'_>], lack: u64) -> Option<String> {
    let foreign: Vec<_> = unable.iter().copied().filter(|seat| seat.owners.is_empty()).collect();
    let told = |seat: &&Chair<'_>| format!("{} ({})", Member::Foreign(seat.address.into()), seat.power);
    let told: Vec<_> = enough(&foreign, lack).iter().map(told).collect();
    (!told.is_empty()).then(|| format!("call who runs {}", told.join(", ")))
}

/// Who is enough, by descending power.
fn cure(ours: &[&Chair<'_>], lack: u64) -> String {
    let names = |seats: &[&Chair<'_>]| words::names(&seats.iter().map(|seat| seat.owners[0]).collect::<Vec<_>>());
    match ours {
        [one] => format!("{} brings", names(&[one])),
        [one, other] if other.power.min(one.power) >= lack => "either of them brings".into(),
        all if all.iter().all(|seat| seat.power >= lack) => "any of them brings".into(),
        [first, ..] if first.power >= lack => format!("{} alone brings", names(&[first])),
        all => format!("{} together bring", names(enough(all, lack))),
    }
}

/// The shortest beginning whose power is enough; all of it, where none is.
fn enough<'s, 'a>(seats: &'s [&'a Chair<'a>], lack: u64) -> &'s [&'a Chair<'a>] {
    let count = (1..=seats.len()).find(|&count| sum(&seats[..count]) >= lack);
    &seats[..count.unwrap_or(seats.len())]
}

fn start_enough(view: &View<'_>, ours: &[&Chair<'_>], lack: u64) -> Option<String> {
    let stopped: Vec<_> = ours.iter().copied().filter(|seat| stopped(seat)).collect();
    start(view, enough(&stopped, lack))
}

/// The command that starts those of them that are stopped.
pub fn start(view: &View<'_>, seats: &[&Chair<'_>]) -> Option<String> {
    let nodes: Vec<_> = seats.iter().filter(|seat| stopped(seat)).map(|seat| seat.owners[0]).collect();
    (!nodes.is_empty()).then(|| format!("fleet start -l {}", words::selector(view, &nodes)))
}

fn stopped(seat: &Chair<'_>) -> bool {
    seat.standing == Standing::Down && seat.owners.iter().all(|node| !node.runs())
}

fn reach(ours: &[&Chair<'_>]) -> Option<String> {
    let silent = ours.iter().find(|seat| seat.standing == Standing::Silent)?;
    let node = silent.owners.first()?;
    Some(format!("reach {}: {}", node.id, node.facts.err()?))
}

fn sum(seats: &[&Chair<'_>]) -> u64 {
    seats.iter().fold(0, |sum, seat| sum.saturating_add(seat.power))
}

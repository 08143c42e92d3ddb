//! Histories with faults, what is done to the logs after them, and what an operator sees of it.

use std::collections::{BTreeMap, BTreeSet};

use fleet::chain::wal::messages::{self, Case, Messages, Replay, Spoken, VoteKind};
use fleet::model::facts::{Validator, ValidatorSet};

use crate::net::{Net, Seed};
use crate::node::{Block, Chain, NEW_HEIGHT, Node, PRECOMMIT_WAIT, PREVOTE, PROPOSE, Record, Signed, Vote};

const POWERS: [&[u64]; 6] =
    [&[25, 25, 25, 25], &[40, 30, 20, 10], &[30, 20, 15, 12, 10, 8, 5], &[34, 33, 33], &[20; 5], &[60, 20, 20]];

/// The chain at the moment of the decision.
pub struct Scene {
    /// As it will start.
    pub net: Net,
    pub case: Case,
    /// The block that a node out of sight has committed.
    pub committed: Option<Block>,
}

/// What is done to a node's log.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Clearing {
    Keep,
    /// The own records, and behind them as `Timed`.
    Records,
    /// The signer's last vote, with the time-outs that lead to its round and past Propose.
    Timed,
    /// The signer's last vote.
    LastVote,
    /// Nothing, and nothing will be replayed.
    Outright,
}

pub fn address(who: usize) -> String {
    format!("V{who}")
}

/// A history by its seed; `None` where it is of no use: the height is over for an operator, or forked before.
pub fn scene(seed: &mut Seed) -> Option<Scene> {
    let chain = Chain::new(POWERS[seed.below(POWERS.len())].to_vec());
    let mut net = run(seed, &chain);
    let committed: BTreeSet<Block> =
        net.nodes.iter().filter_map(|node| node.committed).map(|(_, block)| block).collect();
    let seats = chain.powers.len();
    if committed.len() > 1 || net.nodes[seats].committed.is_some() {
        return None;
    }
    let mut unread = BTreeSet::new();
    for index in 0..seats {
        let gone = net.nodes[index].committed.is_some();
        net.up[index] = !gone && !seed.chance(8);
        if gone || seed.chance(6) {
            unread.insert(index);
        }
    }
    let before = net.nodes.clone();
    clear(seed, &mut net);
    let case = case(&chain, &before, &net, &unread);
    Some(Scene { net, case, committed: committed.into_iter().next() })
}

/// Lets a chain run with cuts, stops and logs deleted by hand, to some stop.
fn run(seed: &mut Seed, chain: &std::rc::Rc<Chain>) -> Net {
    let seats = chain.powers.len();
    let mut net = Net::new((0..seats).map(Some).chain([None]).map(|seat| Node::new(chain, seat)).collect());
    let (late, busy) = (seed.below(60), 5 + seed.below(40));
    let down = seed.below(35);
    let hides = seed.chance(50);
    for index in 0..seats {
        net.up[index] = !seed.chance(down);
    }
    for _ in 0..=seed.below(6) {
        let (events, late) = (seed.below(busy * 2), if seed.chance(20) { 90 } else { late });
        for _ in 0..events {
            net.run(seed, late, 1);
            if hides && hide(&mut net) {
                // The others go on without it for a while, on the votes they happen to have.
                let events = seed.below(25);
                net.run(seed, 70, events);
                if seed.chance(60) {
                    delete_all(seed, &mut net);
                }
                return net;
            }
        }
        let index = seed.below(seats + 1);
        match seed.below(6) {
            0 => net.side[index] ^= 1,
            1 => net.up[index] = !net.up[index],
            2 if net.nodes[index].committed.is_none() => net.nodes[index].restart(),
            3 if seed.chance(40) => delete_by_hand(&mut net, index),
            4 if seed.chance(25) => (0..=seats).for_each(|index| delete_by_hand(&mut net, index)),
            _ => {}
        }
    }
    net
}

/// Cuts off the first node that commits.
fn hide(net: &mut Net) -> bool {
    let first = net.nodes.iter().position(|node| node.committed.is_some());
    first.inspect(|index| net.side[*index] = 2).is_some()
}

fn delete_all(seed: &mut Seed, net: &mut Net) {
    (0..net.nodes.len()).for_each(|index| delete_by_hand(net, index));
    let events = seed.below(40);
    net.run(seed, 30, events);
}

fn delete_by_hand(net: &mut Net, index: usize) {
    let node = &mut net.nodes[index];
    if node.committed.is_none() {
        node.log.clear();
        node.replayable = false;
        node.restart();
    }
}

/// One way of clearing for most nodes, or a revival on the sentry; then all start.
fn clear(seed: &mut Seed, net: &mut Net) {
    use Clearing::{Keep, LastVote, Outright, Records, Timed};
    let ways = [Keep, Records, Timed, Timed, LastVote, Outright];
    let most = ways[seed.below(ways.len())];
    let sentry = net.nodes.len() - 1;
    let revived = seed.chance(25).then(|| union(net));
    for index in 0..sentry {
        let way = if seed.chance(75) { most } else { ways[seed.below(ways.len())] };
        if net.nodes[index].committed.is_none() {
            apply(&mut net.nodes[index], way);
        }
    }
    if let Some(log) = revived {
        (net.nodes[sentry].log, net.nodes[sentry].replayable) = (log, true);
        net.nodes[sentry].restart();
    } else {
        let way = ways[seed.below(ways.len())];
        apply(&mut net.nodes[sentry], way);
    }
    net.side.fill(0);
}

/// Clears a node's log and starts it.
pub fn apply(node: &mut Node, way: Clearing) {
    let last = if let Signed::Vote(vote) = node.signed { Some(vote) } else { None };
    let mut log = Vec::new();
    match way {
        Clearing::Keep => return node.restart(),
        Clearing::Records if node.replayable => log.clone_from(&node.log),
        _ => {}
    }
    if let Some(vote) = last.filter(|_| way != Clearing::Outright) {
        log.retain(|record| *record != Record::Vote(vote));
        log.extend(Some(vote).filter(|_| way != Clearing::LastVote).into_iter().flat_map(time_outs));
        log.push(Record::Vote(vote));
    }
    (node.log, node.replayable) = (log, way != Clearing::Outright);
    node.restart();
}

fn time_outs(vote: Vote) -> impl Iterator<Item = Record> {
    let first = Some(Record::Timeout(0, NEW_HEIGHT)).filter(|_| vote.round == 0);
    let rounds = (0..vote.round).map(|round| Record::Timeout(round, PRECOMMIT_WAIT));
    first.into_iter().chain(rounds).chain([Record::Timeout(vote.round, PROPOSE)])
}

/// All messages of the reachable logs and signers, by round, and the parts once more at the end.
pub fn union(net: &Net) -> Vec<Record> {
    let reachable = || net.nodes.iter().filter(|node| node.committed.is_none());
    let mut log: Vec<Record> = reachable().flat_map(|node| node.log.clone()).collect();
    log.extend(
        reachable()
            .filter_map(|node| if let Signed::Vote(vote) = node.signed { Some(Record::Vote(vote)) } else { None }),
    );
    log.retain(|record| !matches!(record, Record::Timeout(..)));
    let parts: Vec<Record> = log.iter().filter(|record| matches!(record, Record::Parts(_))).copied().collect();
    log.sort_by_key(|record| match record {
        Record::Proposal { round, .. } => (*round, 0),
        Record::Vote(vote) => (vote.round, vote.step),
        Record::Parts(block) => (u32::from(*block) % 1000 / 16, 1),
        Record::Timeout(..) => (0, 0),
    });
    log.extend(parts);
    let mut union = Vec::new();
    for record in log {
        if matches!(record, Record::Parts(_)) || !union.contains(&record) {
            union.push(record);
        }
    }
    union
}

/// What an operator sees: `before` the clearing and after it, but for the signers that can't be read.
pub fn case(chain: &Chain, before: &[Node], net: &Net, unread: &BTreeSet<usize>) -> Case {
    let seats = 0..chain.powers.len();
    let read = |node: &Node| node.seat.is_none_or(|seat| !unread.contains(&seat));
    let spoken = |index: usize| if unread.contains(&index) { Spoken::Unread } else { spoken(before[index].signed) };
    let signers: BTreeMap<_, _> = seats.clone().map(|index| (address(index), spoken(index))).collect();
    let mut known = Messages::default();
    for log in before.iter().filter(|node| read(node)).map(|node| parsed(&node.log)) {
        known.votes.extend(log.votes);
        known.blocks.extend(log.blocks);
    }
    let validators = seats.clone().map(|index| Validator { address: address(index), power: chain.powers[index] });
    let replays = (0..net.nodes.len()).filter(|index| net.up[*index] && read(&net.nodes[*index]));
    let whole = |index: usize| before[index].replayable && before[index].log == net.nodes[index].log;
    Case {
        set: ValidatorSet { height: 1, validators: validators.collect() },
        signers,
        online: seats.clone().filter(|index| net.up[*index]).map(address).collect(),
        known,
        replayed: replays.map(|index| replay(index, &net.nodes[index])).collect(),
        records_lost: !seats.clone().all(|index| before[index].committed.is_some() || whole(index)),
    }
}

fn replay(index: usize, node: &Node) -> Replay {
    let blocks = node.had.iter().map(|(round, block)| (*round, name(*block))).collect();
    Replay {
        node: format!("h{index}"),
        validator: node.seat.map(address),
        round: node.round,
        prevoting: node.step > PREVOTE || (node.step == PREVOTE && !node.any(node.round, 2)),
        messages: if node.replayable { Messages { blocks, ..parsed(&node.log) } } else { Messages::default() },
    }
}

fn spoken(signed: Signed) -> Spoken {
    match signed {
        Signed::Nothing => Spoken::Nothing,
        Signed::Proposal(round, ..) => Spoken::Proposal { round },
        Signed::Vote(vote) => Spoken::Vote(as_vote(&vote)),
    }
}

fn as_vote(vote: &Vote) -> messages::Vote {
    let kind = if vote.step == 2 { VoteKind::Prevote } else { VoteKind::Precommit };
    messages::Vote { round: vote.round, kind, block: vote.block.map(name), validator: address(vote.who) }
}

pub fn name(block: Block) -> String {
    format!("B{block}")
}

fn parsed(log: &[Record]) -> Messages {
    let votes =
        log.iter().filter_map(|record| if let Record::Vote(vote) = record { Some(as_vote(vote)) } else { None });
    let blocks = log.iter().filter_map(|record| match record {
        Record::Proposal { round, block, .. } if log.contains(&Record::Parts(*block)) => Some((*round, name(*block))),
        _ => None,
    });
    Messages { votes: votes.collect(), blocks: blocks.collect() }
}

//! CometBFT's JSON-RPC answers (0.37, 0.38, 1.x) as facts. Every function takes the body of one answer; errors are
//! one line for the operator.

use serde::de::DeserializeOwned;

use crate::chain::wal::validators::{Key, Validator as Voter, Validators};
use crate::model::facts::{AppInfo, Commit, NodeStatus, Peer, RoundState, Validator, ValidatorSet};
use bodies::{AbciBody, CommitBody, ConsensusBody, Envelope, NetInfoBody, StatusBody, ValidatorsBody};

mod bodies;
#[cfg(test)]
mod tests;
mod votes;

pub(crate) use bodies::Number;

/// `/status`.
pub fn status(body: &[u8]) -> Result<NodeStatus, String> {
    let answer: StatusBody = result(body)?;
    let time = &answer.sync.latest_block_time;
    Ok(NodeStatus {
        node_id: answer.node.id,
        chain_id: answer.node.network,
        comet_version: answer.node.version,
        moniker: answer.node.moniker,
        height: answer.sync.latest_block_height.0,
        block_time_ms: unix_ms(time).ok_or_else(|| format!("latest_block_time: not a time: {time:?}"))?,
        app_hash: answer.sync.latest_app_hash.to_uppercase(),
        catching_up: answer.sync.catching_up,
        address: answer.validator.address.to_uppercase(),
        voting_power: answer.validator.voting_power.0,
    })
}

/// `/net_info`: the peers.
pub fn net_info(body: &[u8]) -> Result<Vec<Peer>, String> {
    let answer: NetInfoBody = result(body)?;
    let peers = answer.peers.unwrap_or_default();
    Ok(peers.into_iter().map(|peer| Peer { node_id: peer.node_info.id, moniker: peer.node_info.moniker }).collect())
}

/// `/consensus_state`: height, round, step and the votes of that round.
pub fn consensus_state(body: &[u8]) -> Result<RoundState, String> {
    let state = result::<ConsensusBody>(body)?.round_state;
    let (height, round, step) = height_round_step(&state.height_round_step)?;
    let mut rounds = state.height_vote_set.unwrap_or_default().into_iter();
    let (prevotes, precommits) = match rounds.find(|votes| votes.round.0 == u64::from(round)) {
        Some(votes) => (
            votes::tally(&votes.prevotes_bit_array, &votes.prevotes.unwrap_or_default())?,
            votes::tally(&votes.precommits_bit_array, &votes.precommits.unwrap_or_default())?,
        ),
        None => Default::default(),
    };
    Ok(RoundState { height, round, step, prevotes, precommits })
}

/// `/abci_info`.
pub fn abci_info(body: &[u8]) -> Result<AppInfo, String> {
    let answer = result::<AbciBody>(body)?.response;
    Ok(AppInfo {
        version: answer.version,
        app_version: answer.app_version.0,
        height: answer.last_block_height.0,
        app_hash: answer.last_block_app_hash.unwrap_or_default(),
    })
}

/// `/commit`: who signed for the block; votes for nil and absent ones don't count.
pub fn commit(body: &[u8]) -> Result<Commit, String> {
    let commit = result::<CommitBody>(body)?.signed_header.commit;
    let signatures = commit.signatures.unwrap_or_default();
    let signed = signatures.into_iter().filter(|signature| signature.block_id_flag.0 == FLAG_COMMIT);
    Ok(Commit {
        height: commit.height.0,
        signed: signed.map(|signature| signature.validator_address.to_uppercase()).collect(),
    })
}

/// The application's hash after `height`, upper-case hex, by the `/commit` of the next block.
pub fn app_hash_after(height: u64, chain_id: &str, next: &[u8]) -> Result<String, String> {
    let header = result::<CommitBody>(next)?.signed_header.header.ok_or("a commit without a header")?;
    if (header.chain_id.as_str(), header.height.0) != (chain_id, height + 1) {
        return Err(format!("the header is of height {} of {}", header.height.0, header.chain_id));
    }
    Ok(header.app_hash.to_uppercase())
}

/// One page of `/validators`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidatorPage {
    /// The height the node answered for; ask for the next pages at this height, or sets of two heights mix.
    pub height: u64,
    /// This page's part of the set.
    pub validators: Vec<Validator>,
    /// Validators in the whole set.
    pub total: usize,
}

/// One page of `/validators`.
pub fn validator_page(body: &[u8]) -> Result<ValidatorPage, String> {
    let answer: ValidatorsBody = result(body)?;
    let validators: Vec<Validator> = answer.validators.unwrap_or_default().into_iter().map(Into::into).collect();
    let total = match answer.total.0 {
        // Before 0.33 there were no pages.
        0 => validators.len(),
        total => usize::try_from(total).map_err(|_| format!("total: {total} validators"))?,
    };
    Ok(ValidatorPage { height: answer.block_height.0, validators, total })
}

/// The pages of `/validators`, in order, as one set; an error when they are of different heights or incomplete.
pub fn validators<B: AsRef<[u8]>>(pages: &[B]) -> Result<ValidatorSet, String> {
    let mut set = ValidatorSet::default();
    let mut total = 0;
    for (index, body) in pages.iter().enumerate() {
        let page = validator_page(body.as_ref())?;
        if index > 0 && page.height != set.height {
            return Err(format!("pages of /validators of two heights, {} and {}", set.height, page.height));
        }
        (set.height, total) = (page.height, page.total);
        set.validators.extend(page.validators);
    }
    if set.validators.len() == total { Ok(set) } else { Err(format!("{} of {total} validators", set.validators.len())) }
}

/// The same with the validators' keys, which prove their votes.
pub fn voters<B: AsRef<[u8]>>(pages: &[B], chain_id: &str) -> Result<(u64, Validators), String> {
    let set = validators(pages)?;
    let mut voters = Vec::new();
    for body in pages {
        let page: ValidatorsBody = result(body.as_ref())?;
        for one in page.validators.unwrap_or_default() {
            let key = Key::new(&one.pub_key.kind, &one.pub_key.value)?;
            voters.push(Voter { address: one.address.to_uppercase(), key, power: one.voting_power.0 });
        }
    }
    Ok((set.height, Validators::new(chain_id, voters)))
}

const FLAG_COMMIT: u64 = 2;

/// The `result` of a JSON-RPC answer, or its error as one line.
fn result<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    let answer: Envelope<T> = serde_json::from_slice(body).map_err(|error| unreadable(body, &error))?;
    match (answer.error, answer.result) {
        (Some(error), _) => Err(error.to_string()),
        (None, Some(result)) => Ok(result),
        (None, None) => Err("RPC answer with neither result nor error".into()),
    }
}

/// What a node, or whatever listens in its place, said instead.
fn unreadable(body: &[u8], error: &serde_json::Error) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(80)]);
    match text.lines().map(str::trim).find(|line| !line.is_empty()) {
        None => "empty RPC answer".into(),
        Some(line) if !line.starts_with('{') => format!("not an RPC answer: {line:?}"),
        Some(_) if error.is_eof() => "RPC answer cut off".into(),
        Some(_) => format!("unexpected RPC answer: {error}"),
    }
}

fn height_round_step(text: &str) -> Result<(u64, u32, u8), String> {
    let mut parts = text.split('/');
    let parsed = (|| {
        let hrs = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        parts.next().is_none().then_some(hrs)
    })();
    parsed.ok_or_else(|| format!("height/round/step: {text:?}"))
}

fn unix_ms(time: &str) -> Option<i64> {
    time.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}

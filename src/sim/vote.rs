//! The votes of simulated signers, and those that a node finds in its log.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use russh::keys::PrivateKey;
use russh::keys::signature::Signer as _;
use serde_json::{Value, json};

use super::rpc::hash;
use crate::chain::wal::proto::{BlockId, Inner, PartSetHeader, SignedMsgType, Timestamp, Vote};
use crate::chain::wal::replay::Log;
use crate::chain::wal::validators::vote_sign_bytes;
use crate::error::{Error, Result};
use crate::model::facts::SignerState;

/// What a signer has signed: `priv_validator_state.json`. Without a key its signature proves nothing, and costs nothing.
pub fn state_file(key: Option<&PrivateKey>, chain_id: &str, state: SignerState, at_ms: i64) -> Result<Value> {
    let SignerState { height, round, step } = state;
    if step == 0 {
        return Ok(json!({"height": "0", "round": 0, "step": 0}));
    }
    let signed = vote_sign_bytes(&vote(state, at_ms)?, chain_id);
    let signature = match key.map(|key| key.try_sign(&signed)).transpose() {
        Ok(signature) => signature.map_or([0; 64].to_vec(), |signature| signature.as_bytes().to_vec()),
        Err(error) => return Err(Error::failed(format!("simulation: signature: {error}"))),
    };
    Ok(json!({
        "height": height.to_string(), "round": round, "step": step,
        "signature": BASE64.encode(signature), "signbytes": hex::encode_upper(signed),
    }))
}

/// A vote for the height's block, without its validator.
fn vote(SignerState { height, round, step }: SignerState, at_ms: i64) -> Result<Vote> {
    let bad = |error: &dyn std::fmt::Display| Error::failed(format!("simulation: vote: {error}"));
    let hash = |what| hex::decode(hash(what, height)).map_err(|error| bad(&error));
    let kind = if step == 2 { SignedMsgType::Prevote } else { SignedMsgType::Precommit };
    Ok(Vote {
        r#type: kind.into(),
        height: i64::try_from(height).map_err(|error| bad(&error))?,
        round: i32::try_from(round).map_err(|error| bad(&error))?,
        block_id: Some(BlockId {
            hash: hash("block")?,
            part_set_header: Some(PartSetHeader { total: 1, hash: hash("parts")? }),
        }),
        timestamp: Some(Timestamp { seconds: at_ms.div_euclid(1000), nanos: 0 }),
        ..Vote::default()
    })
}

/// The votes that a node with this log replays at a height, each with its validator's address.
pub fn replayed(log: &[u8], height: u64) -> Vec<(String, SignerState)> {
    let records = Log::whole([log]).replay(height, 1).records;
    let vote = |message: &Inner| match message {
        Inner::Vote(vote) => vote.vote.clone(),
        _ => None,
    };
    let votes = records.iter().filter_map(|record| vote(record.consensus()?.sum.as_ref()?));
    let state = |vote: &Vote| SignerState {
        height: vote.height.try_into().unwrap_or_default(),
        round: vote.round.try_into().unwrap_or_default(),
        step: if vote.r#type == SignedMsgType::Prevote as i32 { 2 } else { 3 },
    };
    votes.map(|vote| (hex::encode_upper(&vote.validator_address), state(&vote))).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::chain::wal::signed::last;
    use crate::chain::wal::validators::{Key, Validator, Validators};
    use crate::chain::wal::write::union;
    use crate::sim::host::NodeKey;

    #[test]
    fn a_signers_vote_is_proven_and_comes_back_out_of_a_log() {
        let key = NodeKey::random().unwrap();
        let public = Key::new("tendermint/PubKeyEd25519", &key.public).unwrap();
        let validator = Validator { address: key.address.clone(), key: public, power: 1 };
        let validators = Validators::new("c-1", vec![validator]);
        for step in [2, 3] {
            let state = SignerState { height: 7, round: 0, step };
            let file = state_file(Some(&key.private), "c-1", state, 1_770_531_128_123).unwrap().to_string();
            let vote = last(&file, &key.address, &validators).unwrap().unwrap();
            let log = union(7, 1, &BTreeMap::from([(0, vec![vote.message()])]), Timestamp::default()).unwrap();
            assert_eq!(replayed(&log, 7), [(key.address.clone(), state)]);
            assert_eq!(replayed(&log, 8), []);
        }
        let nothing = state_file(Some(&key.private), "c-1", SignerState::default(), 0).unwrap().to_string();
        assert_eq!(last(&nothing, &key.address, &validators), Ok(None));
    }
}

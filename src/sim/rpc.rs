//! A simulated node's RPC: `CometBFT` 0.38's JSON out of the model, over a minimal HTTP/1.1 responder.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};

use super::model::{Model, Node, Round, step};

/// The version that nodes report.
const VERSION: &str = "0.38.25";

/// A question of which nothing is known, or that is wrong: JSON-RPC's code and data.
type Answer = Result<Value, (i64, String)>;

/// What node `name` answers to a request's path and query.
pub fn answer(model: &Model, name: &str, target: &str, now_ms: i64) -> (u16, Value) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let result = match model.node(name) {
        Some(node) => route(model, node, path, query, now_ms),
        None => Err((-32603, format!("no node {name}"))),
    };
    match result {
        Ok(result) => (200, json!({"jsonrpc": "2.0", "id": -1, "result": result})),
        Err((code, data)) => {
            let error = json!({"code": code, "message": "Internal error", "data": data});
            (500, json!({"jsonrpc": "2.0", "id": -1, "error": error}))
        }
    }
}

fn route(model: &Model, node: &Node, path: &str, query: &str, now_ms: i64) -> Answer {
    match path.trim_matches('/') {
        "health" => Ok(json!({})),
        "status" => Ok(status(model, node)),
        "net_info" => Ok(net_info(model, node, now_ms)),
        "abci_info" => Ok(abci_info(node)),
        "consensus_state" => Ok(json!({"round_state": round_state(model, &node.view, true)})),
        "dump_consensus_state" => Ok(dump(model, node)),
        "validators" => validators(model, node, query),
        "commit" => commit(model, node, query),
        other => Err((-32601, format!("unknown method {other}"))),
    }
}

/// A number or word of the query, quotes as in `?height="5"` taken off.
fn param(query: &str, key: &str) -> Option<String> {
    let value = query.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='))?;
    Some(value.replace("%22", "").trim_matches('"').to_owned())
}

fn number(query: &str, key: &str, default: u64) -> Result<u64, (i64, String)> {
    param(query, key).map_or(Ok(default), |text| {
        text.parse().map_err(|_| (-32602, format!("error converting http params to arguments: {key}={text}")))
    })
}

/// The hash that stands for `what` at a height, upper-case hex.
pub(super) fn hash(what: &str, height: u64) -> String {
    hex::encode_upper(Sha256::digest(format!("{what} {height}")))
}

fn rfc3339(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map(|time| format!("{time:.9}")).unwrap_or_default()
}

fn block_time(model: &Model, height: u64) -> i64 {
    model.blocks.range(..=height).next_back().map_or(0, |(_, block)| block.time_ms)
}

fn node_info(model: &Model, node: &Node) -> Value {
    json!({
        "protocol_version": {"p2p": "8", "block": "11", "app": "0"}, "id": node.id, "listen_addr": "tcp://0.0.0.0:26656",
        "network": model.chain_id, "version": VERSION, "channels": "40202122233038606100", "moniker": node.name,
        "other": {"tx_index": "on", "rpc_address": "tcp://127.0.0.1:26657"},
    })
}

fn public_key(node: &Node) -> Value {
    json!({"type": "tendermint/PubKeyEd25519", "value": node.public_key})
}

fn status(model: &Model, node: &Node) -> Value {
    let height = node.view.height - 1;
    json!({
        "node_info": node_info(model, node),
        "sync_info": {
            "latest_block_hash": hash("block", height), "latest_app_hash": hash("app", height - 1),
            "latest_block_height": height.to_string(), "latest_block_time": rfc3339(block_time(model, height)),
            "earliest_block_hash": hash("block", 1), "earliest_app_hash": "", "earliest_block_height": "1",
            "earliest_block_time": rfc3339(0), "catching_up": !node.joined && !node.panicked,
        },
        "validator_info": {
            "address": node.address, "pub_key": public_key(node), "voting_power": node.power.to_string(),
        },
    })
}

fn net_info(model: &Model, node: &Node, now_ms: i64) -> Value {
    let peer = |peer: &Node| {
        json!({
            "node_info": node_info(model, peer), "is_outbound": peer.name < node.name,
            "connection_status": {"Duration": "1000000000"}, "remote_ip": "127.0.0.1",
        })
    };
    let peers: Vec<Value> = model.peers(&node.name, now_ms).into_iter().map(peer).collect();
    json!({"listening": true, "listeners": ["Listener(@)"], "n_peers": peers.len().to_string(), "peers": peers})
}

fn abci_info(node: &Node) -> Value {
    let height = node.view.height - 1;
    let app_hash = BASE64.encode(Sha256::digest(format!("app {height}")));
    json!({"response": {
        "data": "virtengine", "version": "v1.4.2", "app_version": "1",
        "last_block_height": height.to_string(), "last_block_app_hash": app_hash,
    }})
}

fn validator(node: &Node) -> Value {
    json!({
        "address": node.address, "pub_key": public_key(node), "voting_power": node.power.to_string(),
        "proposer_priority": "0",
    })
}

fn validators(model: &Model, node: &Node, query: &str) -> Answer {
    // Without a height it tells the set of the one in progress, unless it is syncing (`rpc/core/env.go`).
    let height = number(query, "height", node.view.height - u64::from(!node.joined))?;
    let per_page = number(query, "per_page", 30)?.clamp(1, 100);
    let (page, total) = (number(query, "page", 1)?, model.validators as u64);
    let pages = total.div_ceil(per_page).max(1);
    if !(1..=pages).contains(&page) {
        return Err((-32603, format!("page should be within [1, {pages}] range, given {page}")));
    }
    let from = usize::try_from((page - 1) * per_page).unwrap_or(model.validators);
    let rest = &model.nodes[from.min(model.validators)..model.validators];
    let shown: Vec<Value> = rest.iter().zip(0..per_page).map(|(node, _)| validator(node)).collect();
    let count = shown.len().to_string();
    Ok(json!({
        "block_height": height.to_string(), "validators": shown, "count": count, "total": total.to_string(),
    }))
}

fn commit(model: &Model, node: &Node, query: &str) -> Answer {
    let (last, zero) = (node.view.height - 1, "0001-01-01T00:00:00Z");
    let height = number(query, "height", last)?;
    let Some(block) = model.blocks.get(&height).filter(|_| height <= last) else {
        return Err((-32603, format!("height {height} is not available, the last is {last}")));
    };
    let signature = |(signed, validator): (&bool, &Node)| match signed {
        true => json!({
            "block_id_flag": 2, "validator_address": validator.address, "timestamp": rfc3339(block.time_ms),
            "signature": BASE64.encode(Sha256::digest(format!("{} {height}", validator.address))),
        }),
        false => json!({"block_id_flag": 1, "validator_address": "", "timestamp": zero, "signature": null}),
    };
    let signatures: Vec<Value> = block.signed.iter().zip(&model.nodes).map(signature).collect();
    let block_id = json!({"hash": hash("block", height), "parts": {"total": 1, "hash": hash("parts", height)}});
    Ok(json!({
        "signed_header": {
            "header": {
                "version": {"block": "11"}, "chain_id": model.chain_id, "height": height.to_string(),
                "time": rfc3339(block.time_ms), "app_hash": hash("app", height - 1),
                "proposer_address": model.nodes[0].address,
            },
            "commit": {"height": height.to_string(), "round": 0, "block_id": block_id, "signatures": signatures},
        },
        "canonical": height < last,
    }))
}

/// `Vote{index:address H/RR/TYPE(Name) block signature extension @ time}`, or `nil-Vote` where none was seen.
fn votes(model: &Model, round: &Round, bits: &[bool], kind: (u8, &str)) -> (Vec<String>, String) {
    let (number, name) = kind;
    let block = &hash("block", round.height)[..12];
    let vote = |(i, (seen, node)): (usize, (&bool, &Node))| match seen {
        true => format!(
            "Vote{{{i}:{} {}/00/{}({name}) {block} {} 000000000000 @ {}}}",
            &node.address[..12.min(node.address.len())],
            round.height,
            if number == 1 { "SIGNED_MSG_TYPE_PREVOTE" } else { "SIGNED_MSG_TYPE_PRECOMMIT" },
            &hash(&node.address, round.height)[..12],
            rfc3339(round.since_ms),
        ),
        false => "nil-Vote".to_owned(),
    };
    let all = bits.iter().zip(&model.nodes).enumerate().map(vote).collect();
    let marks: String = bits.iter().map(|bit| if *bit { 'x' } else { '_' }).collect();
    let (power, total) = (model.power_of(bits), model.total());
    #[allow(clippy::cast_precision_loss)] // two digits of a share, as `CometBFT` prints them
    let share = power as f64 / total.max(1) as f64;
    (all, format!("BA{{{}:{marks}}} {power}/{total} = {share:.2}", bits.len()))
}

fn vote_set(model: &Model, round: &Round, number: u32) -> Value {
    let none = vec![false; round.prevotes.len()];
    let (prevotes, precommits) = if number == 0 { (&round.prevotes, &round.precommits) } else { (&none, &none) };
    let (prevotes, prevote_bits) = votes(model, round, prevotes, (1, "Prevote"));
    let (precommits, precommit_bits) = votes(model, round, precommits, (2, "Precommit"));
    json!({
        "round": number, "prevotes": prevotes, "prevotes_bit_array": prevote_bits,
        "precommits": precommits, "precommits_bit_array": precommit_bits,
    })
}

fn round_state(model: &Model, round: &Round, short: bool) -> Value {
    let proposed = if round.step == step::NEW_HEIGHT { String::new() } else { hash("block", round.height) };
    let locked = if round.step >= step::PRECOMMIT { proposed.clone() } else { String::new() };
    let sets = json!([vote_set(model, round, 0), vote_set(model, round, 1)]);
    let start = rfc3339(round.since_ms);
    if short {
        return json!({
            "height/round/step": format!("{}/0/{}", round.height, round.step), "start_time": start,
            "proposal_block_hash": proposed, "locked_block_hash": locked, "valid_block_hash": locked,
            "height_vote_set": sets, "proposer": {"address": model.nodes[0].address, "index": 0},
        });
    }
    let set: Vec<Value> = model.nodes[..model.validators].iter().map(validator).collect();
    json!({
        "height": round.height.to_string(), "round": 0, "step": round.step, "start_time": start,
        "commit_time": start, "validators": {"validators": set, "proposer": validator(&model.nodes[0])}, "votes": sets,
    })
}

fn dump(model: &Model, node: &Node) -> Value {
    json!({"round_state": round_state(model, &node.view, false), "peers": []})
}

/// Answers GET requests on one connection while the node is `open` and until the connection ends. `ask` gives status
/// and body for a path and query.
pub async fn serve<S, F>(stream: S, open: impl Fn() -> bool, ask: impl Fn(String) -> F) -> std::io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Future<Output = (u16, Value)>,
{
    let mut stream = BufReader::new(stream);
    while let Some((target, close)) = request(&mut stream).await?.filter(|_| open()) {
        let (status, body) = ask(target).await;
        let (reason, body) = (if status == 200 { "OK" } else { "Internal Server Error" }, body.to_string());
        let connection = if close { "close" } else { "keep-alive" };
        let head = format!(
            "HTTP/1.1 {status} {reason}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Connection: {connection}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).await?;
        stream.flush().await?;
        if close {
            break;
        }
    }
    stream.shutdown().await
}

/// The next request's target, and whether the connection ends after it; `None` at the end.
async fn request<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> std::io::Result<Option<(String, bool)>> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    let target = line.split(' ').nth(1).unwrap_or("/").to_owned();
    let mut close = line.trim_end().ends_with("HTTP/1.0");
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 || line.trim_end().is_empty() {
            return Ok(Some((target, close)));
        }
        close |= line.trim_end().eq_ignore_ascii_case("connection: close");
    }
}

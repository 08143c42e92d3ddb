//! What a snapshot says of its node.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use tokio::time::timeout;

use crate::chain::rpc;
use crate::chain::wal::view::View;
use crate::engine::wal::{Which, read};
use crate::engine::{Answer, Probe, Prober, RpcQuery, Wanted};
use crate::model::plan::Target;
use crate::model::snapshot::NodeState;
use crate::ssh::source::Source;

/// How long a node may take to answer.
const ASK: Duration = Duration::from_secs(5);

/// How long the unit was down last, ms, by its host's systemd; `None` where it isn't up again.
pub async fn down_ms(prober: &dyn Prober, target: &Target) -> Option<u64> {
    let Ok(Answer::Unit(seen)) = prober.probe(&target.service.host, &Probe::Unit(Box::new(target.clone()))).await
    else {
        return None;
    };
    // Both by the machine's own clock.
    seen.unit.active_enter_us.checked_sub(seen.unit.active_exit_us).map(|us| us / 1000)
}

/// The node's state, as the plan and the clone tell it, or at this height; with what the running node and its host tell of it.
pub async fn state(prober: &dyn Prober, source: Option<&Source>, wanted: &Wanted, at: Option<u64>) -> NodeState {
    let (item, target) = (&wanted.item, &wanted.target);
    let sealed = item.profile.is_sealed();
    let height = if sealed { height(prober, wanted).await } else { at };
    let app_hash = match height {
        Some(height) => app_hash(prober, target, height).await,
        None => None,
    };
    let binary = match source.filter(|_| sealed) {
        Some(source) => source.binary(&target.unit, &target.home).await.ok().flatten(),
        None => None,
    };
    NodeState {
        chain_id: wanted.target.chain_id.clone(),
        height,
        app_hash,
        genesis: item.genesis.clone(),
        backend: item.backend.clone(),
        version: item.version.clone(),
        binary_sha256: binary,
    }
}

/// The application's hash after `height`: the next block has it, and as long as there is none the application itself.
async fn app_hash(prober: &dyn Prober, target: &Target, height: u64) -> Option<String> {
    let address = target.rpc.as_ref()?;
    let ask = async |query| {
        let probe = Probe::Rpc { address: address.clone(), query };
        match timeout(ASK, prober.probe(&target.service.host, &probe)).await {
            Ok(Ok(Answer::Body(body))) => Some(body),
            _ => None,
        }
    };
    if let Some(next) = ask(RpcQuery::Commit(Some(height + 1))).await
        && let Ok(hash) = rpc::app_hash_after(height, &target.chain_id, &next)
    {
        return Some(hash);
    }
    let app = rpc::abci_info(&ask(RpcQuery::AbciInfo).await?).ok()?;
    let hash = BASE64.decode(&app.app_hash).ok().filter(|_| app.height == height)?;
    Some(hex::encode_upper(hash))
}

/// The last height that ended before the clone, by the log beside it.
async fn height(prober: &dyn Prober, wanted: &Wanted) -> Option<u64> {
    let head = wanted.target.wal_file.rsplit('/').next()?;
    let wal = format!("{}/.fleet-{}/.wal/{head}", wanted.target.db_dir, wanted.fence.run);
    let logs = read(prober, &wanted.item.service.host, (&wal, ""), Which::All).await.ok()?;
    let log = logs.logs.first()?.log.as_ref().ok()?;
    // A log begins with that of height 0 whenever its node finds none.
    View::of(log).last_end_height.filter(|height| *height > 0)
}

//! What a snapshot says of its node.

use crate::chain::wal::view::View;
use crate::engine::wal::{Which, read};
use crate::engine::{Answer, Probe, Prober, Wanted};
use crate::model::plan::Target;
use crate::model::snapshot::NodeState;

/// How long the unit was down last, ms, by its host's systemd; `None` where it isn't up again.
pub async fn down_ms(prober: &dyn Prober, target: &Target) -> Option<u64> {
    let Ok(Answer::Unit(seen)) = prober.probe(&target.service.host, &Probe::Unit(Box::new(target.clone()))).await
    else {
        return None;
    };
    // Both by the machine's own clock.
    seen.unit.active_enter_us.checked_sub(seen.unit.active_exit_us).map(|us| us / 1000)
}

/// The node's state, as the plan and the clone tell it.
pub async fn state(prober: &dyn Prober, wanted: &Wanted) -> NodeState {
    let item = &wanted.item;
    NodeState {
        chain_id: wanted.target.chain_id.clone(),
        height: if item.profile.is_sealed() { height(prober, wanted).await } else { None },
        app_hash: None,
        genesis: item.genesis.clone(),
        backend: item.backend.clone(),
        version: item.version.clone(),
        binary_sha256: None,
    }
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

//! The locks of a run: taken on all hosts at once, renewed while it goes on, given back at its end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;

use crate::engine::{Answer, Claim, Fault, FaultKind, Fence, Grant, Probe, Transport};

/// How long a lease holds without renewal.
pub(super) const TTL: Duration = Duration::from_secs(60);

/// Takes the lock of every host; what each said, in the order of `hosts`.
pub(super) async fn take_all(
    transport: &dyn Transport,
    hosts: &[String],
    claim: &Claim,
) -> Vec<(String, Result<Grant, Fault>)> {
    join_all(hosts.iter().map(|host| async move { (host.clone(), take(transport, host, claim).await) })).await
}

/// Where the link died after the word was sent, the host is asked: a lock that nobody knows of would stay until its lease
/// runs out.
async fn take(transport: &dyn Transport, host: &str, claim: &Claim) -> Result<Grant, Fault> {
    let fault = match transport.lock(host, claim).await {
        Err(fault) if fault.sent => fault,
        told => return told,
    };
    match transport.probe(host, &Probe::Lock).await {
        Ok(Answer::Lock(Some(lock))) if lock.run == claim.run && !lock.released => {
            Ok(Grant { epoch: lock.epoch, taken_over: None })
        }
        _ => Err(fault),
    }
}

/// The same for a new run: the first host decides which of two that begin at once goes on, so that not both give up.
pub(super) async fn take_in_turn(
    transport: &dyn Transport,
    hosts: &[String],
    claim: &Claim,
) -> Vec<(String, Result<Grant, Fault>)> {
    let (first, others) = hosts.split_at(hosts.len().min(1));
    let mut taken = take_all(transport, first, claim).await;
    let held = |(_, result): &(_, Result<_, Fault>)| matches!(result, Err(Fault { kind: FaultKind::Locked(_), .. }));
    if !taken.iter().any(held) {
        taken.extend(take_all(transport, others, claim).await);
    }
    taken
}

/// Gives locks back; the hosts where that failed.
pub(super) async fn release_all(transport: &dyn Transport, run: &str, epochs: &BTreeMap<String, u64>) -> Vec<String> {
    let attempts = epochs.iter().map(|(host, epoch)| async move {
        let fence = Fence { run: run.to_owned(), epoch: *epoch };
        // A link may have died since, or the answer broken off; to give back twice does no harm.
        let given = match transport.unlock(host, &fence).await {
            Err(_) => transport.unlock(host, &fence).await,
            given => given,
        };
        (host.clone(), given)
    });
    join_all(attempts).await.into_iter().filter_map(|(host, result)| result.err().map(|_| host)).collect()
}

/// Renews every lock again and again until dropped. A host that doesn't answer is tried again at the next turn: its
/// lease then runs out by itself, and every action checks it on the host.
pub(super) fn keep(transport: Arc<dyn Transport>, claim: Claim, epochs: BTreeMap<String, u64>) -> Background {
    Background(tokio::spawn(async move {
        loop {
            tokio::time::sleep(TTL / 3).await;
            let renewals = epochs.iter().map(|(host, epoch)| {
                let claim = Claim { renews: Some(*epoch), ..claim.clone() };
                let transport = &transport;
                async move { transport.lock(host, &claim).await }
            });
            let _ = tokio::time::timeout(TTL / 3, join_all(renewals)).await;
        }
    }))
}

/// A task that ends with the run that began it.
pub(super) struct Background(pub tokio::task::JoinHandle<()>);

impl Drop for Background {
    fn drop(&mut self) {
        self.0.abort();
    }
}

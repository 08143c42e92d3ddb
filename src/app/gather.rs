//! Facts about every host at once. A host that hangs costs its own time-out and nobody else's; a node whose RPC hangs
//! costs only what RPC would have told.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::{join, join_all};
use tokio::time::timeout;

use crate::chain::rpc;
use crate::engine::{Answer, FactsTarget, Fault, Probe, Prober, RpcQuery, validators};
use crate::model::facts::{Facts, HostAnswer, HostFacts, RpcFacts, Silence};
use crate::model::inventory::{Host, Inventory};

/// How much is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Everything.
    Full,
    /// Without what costs the host most: its program's version, and what its journal says of the consensus.
    Quick,
}

/// Gathers from these hosts: each tells its facts within `bound`, and then each node's RPC within its own.
pub async fn gather(
    prober: &dyn Prober,
    inventory: &Inventory,
    (hosts, depth): (&[String], Depth),
    at_ms: i64,
    bound: Duration,
) -> Facts {
    let all = hosts.iter().filter_map(|name| inventory.host(name));
    let answers = join_all(all.map(|host| async move {
        let facts = match timeout(bound, ask(prober, inventory, host, depth)).await {
            Ok(Ok(answer)) => HostFacts::Answered(Box::new(ask_nodes(prober, host, answer).await)),
            Ok(Err(fault)) => HostFacts::Silent(Silence { reason: fault.reason, hint: fault.hint }),
            Err(_) => HostFacts::Silent(Silence {
                reason: format!("no answer in {} s", bound.as_secs_f32()),
                hint: Some(format!(
                    "is {} frozen, or its network cut? try: fleet exec {} -- uptime",
                    host.name, host.name
                )),
            }),
        };
        (host.name.clone(), facts)
    }));
    Facts { at_ms, hosts: answers.await.into_iter().collect::<BTreeMap<_, _>>() }
}

async fn ask(prober: &dyn Prober, inventory: &Inventory, host: &Host, depth: Depth) -> Result<HostAnswer, Fault> {
    let full = depth == Depth::Full;
    let binary = |chain: &String| inventory.chains.get(chain)?.binary.clone().filter(|_| full);
    let targets: Vec<FactsTarget> = host
        .services
        .iter()
        .map(|service| FactsTarget {
            name: service.id.service.clone(),
            unit: service.unit.clone(),
            home: service.home.clone(),
            binary: service.chain.as_ref().and_then(binary),
            journal: full,
        })
        .collect();
    let Answer::Facts(facts) = prober.probe(&host.name, &Probe::Facts(targets)).await? else {
        return Err(Fault::answer("the host answered something else"));
    };
    Ok(*facts)
}

async fn ask_nodes(prober: &dyn Prober, host: &Host, mut facts: HostAnswer) -> HostAnswer {
    let asks = host.services.iter().filter(|service| service.chain.is_some()).map(|service| {
        let configured = facts.services.get(&service.id.service).and_then(|facts| facts.config.as_ref()?.rpc.clone());
        let address = service.rpc.clone().or(configured);
        async move { (service.id.service.clone(), ask_rpc(prober, &host.name, address).await) }
    });
    for (name, answer) in join_all(asks).await {
        if let Some(service) = facts.services.get_mut(&name) {
            service.rpc = answer;
        }
    }
    facts
}

async fn ask_rpc(prober: &dyn Prober, host: &str, address: Option<String>) -> RpcFacts {
    let Some(address) = address else {
        return RpcFacts { error: Some("its RPC address is unknown".into()), ..RpcFacts::default() };
    };
    let query = |query| {
        let probe = Probe::Rpc { address: address.clone(), query };
        async move {
            match prober.probe(host, &probe).await {
                Ok(Answer::Body(body)) => Ok(body),
                Ok(_) => Err("the host answered something else".to_owned()),
                Err(fault) => Err(fault.reason),
            }
        }
    };
    let (basic, consensus) = join(
        futures::future::join3(query(RpcQuery::Status), query(RpcQuery::NetInfo), query(RpcQuery::AbciInfo)),
        join(query(RpcQuery::ConsensusState), query(RpcQuery::Commit(None))),
    )
    .await;
    let (status, peers, app) = basic;
    let (round, commit) = consensus;
    let status = status.and_then(|body| rpc::status(&body));
    let round = round.and_then(|body| rpc::consensus_state(&body));
    let validators = match &status {
        Ok(_) => validators(prober, host, &address).await,
        Err(_) => None,
    };
    RpcFacts {
        error: status.as_ref().err().cloned(),
        status: status.ok(),
        peers: peers.and_then(|body| rpc::net_info(&body)).ok(),
        round_error: round.as_ref().err().cloned(),
        round: round.ok(),
        validators,
        app: app.and_then(|body| rpc::abci_info(&body)).ok(),
        last_commit: commit.and_then(|body| rpc::commit(&body)).ok(),
    }
}

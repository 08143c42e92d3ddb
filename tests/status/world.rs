//! Facts to start from: a healthy chain at height 100, made worse step by step.

use std::collections::BTreeMap;
use std::time::Duration;

use fleet::chain::verdict::diagnose;
use fleet::model::facts::*;
use fleet::model::inventory::*;
use fleet::model::verdict::ChainVerdict;

/// 24 Nov 2026.
pub const NOW: i64 = 1_795_500_000_000;
pub const HEIGHT: u64 = 100;

pub struct World {
    pub inventory: Inventory,
    pub facts: Facts,
    pub earlier: Option<Facts>,
    pub known: Known,
}

/// `val-1` … with these powers, `sentry-1` and `sentry-2`, and foreign validators, all well: the last block is 2 s
/// old and all have signed it.
pub fn healthy(powers: &[u64], foreign: &[u64]) -> World {
    let validators = (1..=powers.len()).map(|index| host(&format!("val-{index}"), Role::Validator));
    let sentries = (1..=2).map(|index| host(&format!("sentry-{index}"), Role::Sentry));
    let hosts: Vec<_> = validators.chain(sentries).collect();
    let set = set(powers, foreign);
    let answer = |host: &Host| {
        let node = node(&host.name, &set);
        let services = BTreeMap::from([(NODE.to_string(), node)]);
        (host.name.clone(), HostFacts::Answered(Box::new(HostAnswer { services, ..HostAnswer::default() })))
    };
    let facts = Facts { at_ms: NOW, hosts: hosts.iter().map(answer).collect() };
    let inventory = Inventory {
        name: "test".into(),
        source: "inventory.toml".into(),
        chains: BTreeMap::from([("ve".to_string(), chain("ve", "virtengine-1"))]),
        hosts,
        groups: BTreeMap::new(),
        foreign: BTreeMap::new(),
        schedules: Vec::new(),
        backup: fleet::model::inventory::Backup::default(),
    };
    World { inventory, facts, earlier: None, known: Known::default() }
}

impl World {
    pub fn verdict(&self) -> ChainVerdict {
        self.verdict_on("ve")
    }

    pub fn verdict_on(&self, chain: &str) -> ChainVerdict {
        diagnose(&self.inventory.chains[chain], &self.inventory, &self.facts, self.earlier.as_ref(), &self.known)
    }

    /// Changes one host's node.
    pub fn on(mut self, host: &str, change: impl FnOnce(&mut ServiceFacts)) -> Self {
        change(self.node(host));
        self
    }

    /// Changes every node that there is.
    pub fn all(mut self, change: impl Fn(&mut ServiceFacts)) -> Self {
        self.facts.hosts.values_mut().for_each(|host| {
            if let HostFacts::Answered(host) = host {
                host.services.values_mut().for_each(&change);
            }
        });
        self
    }

    pub fn node(&mut self, host: &str) -> &mut ServiceFacts {
        match self.facts.hosts.get_mut(host) {
            Some(HostFacts::Answered(answer)) => answer.services.get_mut(NODE).unwrap(),
            _ => panic!("{host} doesn't answer"),
        }
    }

    /// Stuck at the prevote of round 0 since the last block four minutes ago; of the set these members (counted from
    /// 1, as in `val-1`) have voted, each for nil.
    pub fn stuck(self, voters: &[usize]) -> Self {
        self.stuck_in(0, 4, &|index| if voters.contains(&index) { VoteSeen::Nil } else { VoteSeen::Missing })
    }

    /// Stuck in this round and step with these prevotes.
    pub fn stuck_in(self, number: u32, step: u8, vote: &dyn Fn(usize) -> VoteSeen) -> Self {
        self.all(|node| {
            let Some(status) = &mut node.rpc.status else { return };
            status.block_time_ms = NOW - 252_000;
            let set = node.rpc.validators.clone().unwrap_or_default();
            node.rpc.round = Some(round(&set, number, step, vote));
            let own = set.validators.iter().position(|one| one.address == status.address);
            if own.is_some_and(|own| vote(own + 1) != VoteSeen::Missing) {
                node.signer = SignerFacts::State(SignerState { height: HEIGHT + 1, round: number, step: 2 });
            }
        })
    }

    /// The unit has failed; the host answers.
    pub fn failed(self, host: &str) -> Self {
        self.on(host, |node| {
            node.unit = unit("failed", "failed");
            node.unit.result = "exit-code".into();
            (node.unit.exit_status, node.unit.restarts) = (1, 3);
            down(node);
        })
    }

    pub fn stopped(self, host: &str) -> Self {
        self.on(host, |node| {
            node.unit = unit("inactive", "dead");
            down(node);
        })
    }

    /// The host gives no answer; its address is known from earlier.
    pub fn silent(mut self, host: &str) -> Self {
        if let KeyFacts::Present { address, .. } = self.node(host).key.clone() {
            self.known.addresses.insert(host.into(), address);
        }
        let reason = "no answer in 5 s: ssh 10.0.0.13:22 timed out".to_string();
        self.facts.hosts.insert(host.into(), HostFacts::Silent(Silence { reason, hint: None }));
        self
    }

    /// An earlier sample, so many ms ago and changed so.
    pub fn before(mut self, ms: i64, change: impl Fn(&mut ServiceFacts)) -> Self {
        let mut earlier = self.facts.clone();
        earlier.at_ms -= ms;
        for host in earlier.hosts.values_mut() {
            if let HostFacts::Answered(host) = host {
                host.services.values_mut().for_each(&change);
            }
        }
        self.earlier = Some(earlier);
        self
    }

    /// A second chain on this host, healthy, with a single validator.
    pub fn second_chain(mut self, host: &str) -> Self {
        self.inventory.chains.insert("other".into(), chain("other", "other-7"));
        let id = ServiceId { host: host.into(), service: "other".into() };
        let entry = self.inventory.hosts.iter_mut().find(|entry| entry.name == host).unwrap();
        entry.services.push(Service {
            id,
            unit: "otherd.service".into(),
            chain: Some("other".into()),
            ..service(host)
        });
        let set =
            ValidatorSet { height: HEIGHT + 1, validators: vec![Validator { address: address("val", 99), power: 7 }] };
        let mut other = node("val-99", &set);
        if let Some(status) = &mut other.rpc.status {
            status.chain_id = "other-7".into();
        }
        if let Some(HostFacts::Answered(answer)) = self.facts.hosts.get_mut(host) {
            answer.services.insert("other".into(), other);
        }
        self
    }
}

pub fn down(node: &mut ServiceFacts) {
    node.rpc = RpcFacts { error: Some("connection refused".into()), ..RpcFacts::default() };
    node.processes.clear();
}

pub fn unit(active: &str, sub: &str) -> UnitFacts {
    let running = active == "active";
    UnitFacts {
        load_state: "loaded".into(),
        active_state: active.into(),
        sub_state: sub.into(),
        file_state: "enabled".into(),
        main_pid: if running { 700 } else { 0 },
        cgroup_processes: u32::from(running),
        result: "success".into(),
        ..UnitFacts::default()
    }
}

pub fn chain(name: &str, chain_id: &str) -> Chain {
    Chain {
        name: name.into(),
        chain_id: chain_id.into(),
        binary: None,
        block_time: Duration::from_secs(6),
        halt_after: Duration::from_secs(60),
    }
}

fn service(host: &str) -> Service {
    Service {
        id: ServiceId { host: host.into(), service: NODE.into() },
        unit: "virtengined.service".into(),
        chain: Some("ve".into()),
        home: Some("/var/lib/virtengine".into()),
        rpc: None,
        needed_by: None,
    }
}

pub fn host(name: &str, role: Role) -> Host {
    Host {
        name: name.into(),
        address: Address { host: "10.0.0.1".into(), port: None },
        role,
        region: None,
        labels: BTreeMap::new(),
        sentries: Vec::new(),
        ssh: SshOptions::default(),
        services: vec![service(name)],
    }
}

pub fn address(kind: &str, index: usize) -> String {
    let first = match kind {
        "val" => 'A',
        "sentry" => 'B',
        _ => 'F',
    };
    format!("{first}{index:02}{:037}", 0)
}

/// Ours first, then the foreign ones.
pub fn set(powers: &[u64], foreign: &[u64]) -> ValidatorSet {
    let member = |kind: &'static str| {
        move |(index, power): (usize, &u64)| Validator { address: address(kind, index + 1), power: *power }
    };
    let ours = powers.iter().enumerate().map(member("val"));
    ValidatorSet {
        height: HEIGHT + 1,
        validators: ours.chain(foreign.iter().enumerate().map(member("foreign"))).collect(),
    }
}

pub fn round(set: &ValidatorSet, number: u32, step: u8, vote: &dyn Fn(usize) -> VoteSeen) -> RoundState {
    let votes: Vec<_> = (1..=set.validators.len()).map(vote).collect();
    let seen = set.validators.iter().zip(&votes).filter(|(_, vote)| **vote != VoteSeen::Missing);
    let total = set.validators.iter().fold(0_u64, |sum, one| sum.saturating_add(one.power));
    let power = seen.fold(0_u64, |sum, (one, _)| sum.saturating_add(one.power));
    let precommits = VoteTally { votes: vec![VoteSeen::Missing; votes.len()], power: 0, total };
    let prevotes = VoteTally { votes, power, total };
    RoundState { height: HEIGHT + 1, round: number, step, prevotes, precommits }
}

fn node(host: &str, set: &ValidatorSet) -> ServiceFacts {
    let (kind, index) = host.split_once('-').unwrap();
    let address = address(kind, index.parse().unwrap());
    let power = set.validators.iter().find(|one| one.address == address).map_or(0, |one| one.power);
    let commit = set.validators.iter().map(|one| one.address.clone()).collect();
    let peers = ["sentry-1", "sentry-2"].map(|peer| Peer { node_id: peer.into(), moniker: peer.into() });
    ServiceFacts {
        unit: unit("active", "running"),
        database_locked: true,
        config: Some(NodeConfig { create_empty_blocks: true, timeout_commit_ms: 1000, ..NodeConfig::default() }),
        key: KeyFacts::Present { address: address.clone(), public_key: "key".into() },
        signer: SignerFacts::State(SignerState { height: HEIGHT, round: 0, step: 3 }),
        disk_used_percent: Some(40),
        version: Some("v1.4.2".into()),
        rpc: RpcFacts {
            status: Some(NodeStatus {
                node_id: host.into(),
                chain_id: "virtengine-1".into(),
                comet_version: "0.38.25".into(),
                height: HEIGHT,
                block_time_ms: NOW - 2000,
                address,
                voting_power: power,
                ..NodeStatus::default()
            }),
            peers: Some(peers.into()),
            round: Some(round(set, 0, 1, &|_| VoteSeen::Missing)),
            validators: Some(set.clone()),
            app: Some(AppInfo { version: "1.4.2".into(), app_version: 1, height: HEIGHT, app_hash: "AAAA".into() }),
            last_commit: Some(Commit { height: HEIGHT, signed: commit }),
            ..RpcFacts::default()
        },
        ..ServiceFacts::default()
    }
}

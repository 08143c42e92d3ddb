//! Facts to plan from: the default fleet, healthy, and made worse step by step.

use std::collections::BTreeMap;
use std::path::Path;

use fleet::model::facts::*;
use fleet::model::inventory::{Inventory, NODE, ServiceId, parse};
use fleet::model::plan::Operation;
use fleet::ops::{self, Planned, Refusal, Request, Situation};

pub const HEIGHT: u64 = 1_204_331;
pub const POWERS: [u64; 7] = [30, 20, 15, 12, 10, 8, 5];

/// Everything a plan is made from.
pub struct World {
    pub inventory: Inventory,
    pub facts: Facts,
    pub advancing: bool,
    pub mute: Option<String>,
    pub cached: Option<(ValidatorSet, BTreeMap<String, String>)>,
    pub request: Request,
}

/// The default fleet as one company runs it.
pub fn company() -> World {
    World::new(&hosts(&["val-[1-7]"], &["sentry-[1-2]"]), &POWERS)
}

/// An inventory of these hosts.
pub fn hosts(validators: &[&str], sentries: &[&str]) -> String {
    let mut text = String::from(
        "format = 1\n[fleet]\nname = \"test\"\n[chains.virtengine]\nchain_id = \"virtengine-1\"\n\
         unit = \"virtengined.service\"\nhome = \"/var/lib/virtengine\"\nblock_time = \"6s\"\n",
    );
    for (role, names) in [("validator", validators), ("sentry", sentries)] {
        for name in names {
            let range = name.find('[').map_or("", |at| &name[at..]);
            text.extend([format!(
                "[hosts.\"{name}\"]\naddress = \"{role}{range}\"\nrole = \"{role}\"\nchain = \"virtengine\"\n"
            )]);
        }
    }
    text
}

/// The consensus address of validator `index`, counted from 1.
pub fn address(index: usize) -> String {
    format!("A{index:039}")
}

pub fn set(powers: &[u64]) -> ValidatorSet {
    let one = |(index, power): (usize, &u64)| Validator { address: address(index + 1), power: *power };
    ValidatorSet { height: HEIGHT, validators: powers.iter().enumerate().map(one).collect() }
}

fn unit(active: &str) -> UnitFacts {
    UnitFacts {
        load_state: "loaded".into(),
        active_state: active.into(),
        sub_state: if active == "active" { "running" } else { "dead" }.into(),
        file_state: "enabled".into(),
        main_pid: if active == "active" { 700 } else { 0 },
        ..UnitFacts::default()
    }
}

/// A healthy node that signs for this address.
pub fn node(address: String, set: &ValidatorSet) -> ServiceFacts {
    let home = "/var/lib/virtengine";
    ServiceFacts {
        unit: unit("active"),
        processes: vec![Process { pid: 700, in_unit: true, command: "virtengined start".into() }],
        database_locked: true,
        config: Some(NodeConfig {
            rpc: Some("127.0.0.1:26657".into()),
            db_dir: format!("{home}/data"),
            state_file: format!("{home}/data/priv_validator_state.json"),
            genesis_file: format!("{home}/config/genesis.json"),
            timeout_commit_ms: 5000,
            ..NodeConfig::default()
        }),
        key: KeyFacts::Present { address: address.clone(), public_key: "key".into() },
        signer: SignerFacts::State(SignerState { height: HEIGHT, round: 0, step: 3 }),
        genesis_sha256: Some("g1".into()),
        disk_used_percent: Some(40),
        disk_free_bytes: Some(900_000_000_000),
        version: Some("v1.4.2".into()),
        rpc: RpcFacts {
            status: Some(NodeStatus {
                chain_id: "virtengine-1".into(),
                height: HEIGHT,
                app_hash: "C0FFEE".into(),
                address,
                ..NodeStatus::default()
            }),
            validators: Some(set.clone()),
            last_commit: Some(Commit {
                height: HEIGHT,
                signed: set.validators.iter().map(|one| one.address.clone()).collect(),
            }),
            ..RpcFacts::default()
        },
        ..ServiceFacts::default()
    }
}

impl World {
    /// `val-N` signs with the N-th address; other names don't sign.
    pub fn new(inventory: &str, powers: &[u64]) -> Self {
        let inventory = parse(inventory, Path::new("inventory.toml")).unwrap();
        let set = set(powers);
        let answer = |name: &str| {
            let index = name
                .strip_prefix("val-")
                .map_or(900 + set.validators.len() + name.bytes().map(usize::from).sum::<usize>(), |index| {
                    index.parse().unwrap()
                });
            let services = BTreeMap::from([(NODE.to_owned(), node(address(index), &set))]);
            HostFacts::Answered(Box::new(HostAnswer { clock_synced: Some(true), services, ..HostAnswer::default() }))
        };
        let facts = inventory.hosts.iter().map(|host| (host.name.clone(), answer(&host.name))).collect();
        let request = Request {
            wals: std::collections::BTreeMap::new(),
            operation: Operation::CoordinatedRestart,
            chain: "virtengine".into(),
            hosts: inventory.hosts.iter().map(|host| host.name.clone()).collect(),
            at_ms: None,
            start_at_ms: None,
            now_ms: 1_770_559_000_000,
            allow_missing: Vec::new(),
            allow_missing_percent: None,
            kill_after_ms: None,
            stop_timeout_ms: 90_000,
            no_wait: false,
            accept: Vec::new(),
            block_timeout_ms: 120_000,
            clear: None,
            backup: None,
            restore: None,
        };
        Self { inventory, facts: Facts { at_ms: 0, hosts: facts }, advancing: true, mute: None, cached: None, request }
    }

    pub fn plan(&self) -> Result<Planned, Refusal> {
        ops::plan(&self.request, &self.situation())
    }

    pub fn situation(&self) -> Situation<'_> {
        let statuses = self.facts.services().filter_map(|(_, node)| node.rpc.status.as_ref());
        Situation {
            inventory: &self.inventory,
            facts: &self.facts,
            advancing: self.advancing,
            mute: self.mute.clone(),
            last: statuses.map(|status| (status.height, status.app_hash.clone())).max(),
            cached_set: self.cached.as_ref().map(|(set, _)| set),
            cached_addresses: self.cached.as_ref().map(|(_, addresses)| addresses),
            genesis_content: BTreeMap::from([("g1".into(), "content-1".into()), ("g2".into(), "content-2".into())]),
        }
    }

    pub fn operation(mut self, operation: Operation) -> Self {
        self.request.operation = operation;
        self
    }

    /// Changes what is asked for.
    pub fn asked(mut self, change: impl FnOnce(&mut Request)) -> Self {
        change(&mut self.request);
        self
    }

    /// Changes one host's answer.
    pub fn answer(mut self, host: &str, change: impl FnOnce(&mut HostAnswer)) -> Self {
        match self.facts.hosts.get_mut(host) {
            Some(HostFacts::Answered(answer)) => change(answer),
            _ => panic!("{host} doesn't answer"),
        }
        self
    }

    /// Changes one host's node.
    pub fn on(self, host: &str, change: impl FnOnce(&mut ServiceFacts)) -> Self {
        self.answer(host, |answer| change(answer.services.get_mut(NODE).unwrap()))
    }

    pub fn config(self, host: &str, change: impl FnOnce(&mut NodeConfig)) -> Self {
        self.on(host, |node| change(node.config.as_mut().unwrap()))
    }

    /// The unit is stopped, nothing of it is left.
    pub fn stopped(self, host: &str) -> Self {
        self.on(host, stop)
    }

    /// The chain stands; everything is stopped.
    pub fn all_stopped(mut self) -> Self {
        self.advancing = false;
        let names: Vec<String> = self.facts.hosts.keys().cloned().collect();
        names.iter().fold(self, |world, host| world.stopped(host))
    }

    pub fn silent(mut self, host: &str) -> Self {
        let reason = "ssh 10.0.0.17:22 timed out after 10 s".to_owned();
        self.facts
            .hosts
            .insert(host.into(), HostFacts::Silent(Silence { reason, hint: Some("is the host up?".into()) }));
        self
    }

    /// What an earlier gather told is known.
    pub fn remembered(mut self, powers: &[u64]) -> Self {
        let name = |index| ServiceId { host: format!("val-{index}"), service: NODE.into() }.to_string();
        let addresses = (1..=powers.len()).map(|index| (name(index), address(index))).collect();
        self.cached = Some((set(powers), addresses));
        self
    }
}

pub fn stop(node: &mut ServiceFacts) {
    node.unit = unit("inactive");
    node.processes.clear();
    node.database_locked = false;
    node.rpc = RpcFacts { error: Some("nothing answers there".into()), ..RpcFacts::default() };
}

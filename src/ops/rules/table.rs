//! The rules and what they say.

use crate::model::plan::Severity::{Never, Note, Refusal, Warning};
use crate::ops::rules::Check::{Each, Elsewhere, Fleet};
use crate::ops::rules::Matters::{Always, AtStart, AtStop};
use crate::ops::rules::{Rule, each, fleet, restore};

macro_rules! rule {
    ($name:literal, $severity:expr, $matters:expr, $check:expr, $text:literal, $next:literal, $about:literal) => {
        Rule {
            name: $name,
            severity: $severity,
            text: $text,
            next: $next,
            about: $about,
            matters: $matters,
            check: $check,
        }
    };
}

// One rule: name, severity, where it matters and its check; what it says; what to do; why.
#[rustfmt::skip]
pub(super) static ALL: &[Rule] = &[
    rule!(
        "one-signer", Never, AtStart, Fleet(fleet::one_signer),
        "two live signers for one consensus key",
        "stop one of them for good and remove its key; then try again",
        "Two nodes that sign with one key sign two different blocks sooner or later, and the validator is tombstoned. \
         Nodes with a local key file for the same address, running or to be started, are two signers, and so is a \
         local key beside a remote signer for it; any number of nodes behind remote signers count as one, because the \
         remote signer decides. It can't be overruled."
    ),
    rule!(
        "signer-pair", Never, AtStart, Each(each::signer_pair),
        "a consensus key without its signer state, or a state without its key",
        "find the missing file (a backup never replaces a newer state); a start now would make a new key or forget votes; \
         of a node that never was a validator see 'fleet rules signer-pair'",
        "CometBFT that finds no key makes a new one and overwrites the signer's state; one that finds no state may sign \
         again what it has signed. Either ends in a double sign. Nodes with a remote signer keep both elsewhere and are \
         not asked. Where a sentry or a full node that never was a validator has lost its whole data folder: move its \
         priv_validator_key.json away, then it can be restored, and its start makes a new pair of both. It can't be \
         overruled."
    ),
    rule!(
        "chain-id", Refusal, Always, Each(each::chain_id),
        "the node is on another chain than the inventory says",
        "correct chain, unit, home or rpc of this host in the inventory",
        "The node's RPC reports another chain id than the inventory has for it: the wrong host, the wrong unit or the \
         wrong port. Acting on it would stop or start a node of another chain."
    ),
    rule!(
        "outside-systemd", Refusal, AtStart, Each(each::outside_systemd),
        "a process works on the node's home outside its unit",
        "stop that process by hand, or name the right unit in the inventory",
        "The node was started by hand, in a terminal or by another unit. Stopping the unit would leave it alive, and \
         starting the unit would make it a second one."
    ),
    rule!(
        "unreadable", Refusal, AtStart, Each(each::unreadable),
        "config, key or signer state can't be read",
        "see why (rights, a damaged file, a wrong home in the inventory) and try again",
        "What can't be read can't be checked: whether key and state are both there, whether the node would refuse to \
         start, whose power it is."
    ),
    rule!(
        "double-sign-check", Refusal, AtStart, Each(each::double_sign_check),
        "double_sign_check_height would keep the node from starting",
        "set double_sign_check_height = 0 in config.toml for the restart",
        "A node with double_sign_check_height N refuses to start when its own signature is in one of the last N blocks. \
         After a stop of all nodes no block has come since, so every one of them would refuse, and the chain would stay \
         down. The value 1 did nothing before CometBFT 0.38.25, 0.39.4 and 0.40."
    ),
    rule!(
        "halt-height", Refusal, AtStart, Each(each::halt_height),
        "halt-height is left set",
        "set halt-height = 0 in app.toml",
        "The application stops at this height, or at once if it is past it. It is usually left over from a planned halt."
    ),
    rule!(
        "halt-time", Refusal, AtStart, Each(each::halt_time),
        "halt-time is left set",
        "set halt-time = 0 in app.toml",
        "The application stops at the first block after this time, or at once if it is past. It is usually left over \
         from a planned halt."
    ),
    rule!(
        "disk", Refusal, AtStart, Each(each::disk),
        "the disk that holds the home is full, or nearly",
        "make room on it first",
        "A node that can't write stops in the middle of a block and may leave an empty signer's state. From 97 % or under \
         500 MB a start is refused; from 85 % it is worth a look."
    ),
    rule!(
        "clock", Refusal, AtStart, Each(each::clock),
        "the host's clock is off, or isn't synchronised",
        "look at chronyc tracking or timedatectl on the host",
        "Block times come from the validators' clocks. The offset is measured over SSH, and what the measurement itself \
         may be wrong by is taken off: over 1 s a start is refused, over 250 ms it is worth a look."
    ),
    rule!(
        "unit-missing", Refusal, AtStart, Each(each::unit_missing),
        "systemd has no such unit, or it is masked",
        "correct the unit in the inventory, or unmask it",
        "A unit that isn't loaded can't be started."
    ),
    rule!(
        "held", Refusal, AtStart, Each(each::held),
        "a hold of fleet keeps the unit down",
        "finish the operation that set it: fleet runs list",
        "While data is restored, rolled back or moved, a file in /var/lib/fleet/hold keeps the unit from starting, across \
         reboots too. It is removed by the last step of that operation."
    ),
    rule!(
        "quorum", Refusal, Always, Elsewhere,
        "a stop would take the voting power online under the quorum",
        "take fewer hosts, wait until the others vote again, or take the databases of a sentry or a full node; what 'fleet \
         halt' has stopped is kept and restored as it stands",
        "Outside a declared halt the power that votes stays at the quorum or above at every point of a plan. A halt and a \
         coordinated restart declare that the chain stops. Where it is overruled, the chain stands from the stop until \
         the node votes again: for a backup some seconds as a rule, for a restore until its databases are exchanged. A \
         node that stands still is backed up and restored without a stop, and databases of a sentry or a full node do \
         for a validator, too."
    ),
    rule!(
        "unproven", Never, Always, Elsewhere,
        "a step of the plan changes something without proof",
        "report it: no plan of fleet should have such a step",
        "What is stopped is proven stopped, and what is started was proven stopped just before. It can't be overruled."
    ),
    rule!(
        "signers-mute", Warning, Always, Fleet(fleet::signers_mute),
        "signers have lost votes that they gave",
        "a restart brings no vote back: fleet wal show, then fleet wal revive",
        "A signer doesn't sign twice for one height, round and step, and its log doesn't have the vote any more that it \
         gave. Nodes that start again don't change that; fleet wal revive gives the chain the votes back, as far as any \
         log or signer's state still has them."
    ),
    rule!(
        "possible-fork", Refusal, Always, Elsewhere,
        "a block may be committed elsewhere that the chain could pass over",
        "reach the hosts of those who are unknown, or take their operators' bundles: fleet wal bundle, --from",
        "A signer's state holds its last vote only; earlier votes, and the locks that rest on them, are in the \
         write-ahead logs. Where logs are lost, a block may have been committed by a node that is out of sight, and the \
         others could commit another one in a later round, without any double sign. It is refused unless what is known \
         rules that out."
    ),
    rule!(
        "wal-strands", Refusal, Always, Elsewhere,
        "the chain would not go on with the votes that are left",
        "bring the hosts back whose votes are missing, or take their operators' bundles (--from); look: fleet wal show",
        "A signer never signs twice for one height, round and step. Where its vote is lost, it is mute there, and when \
         too many are mute no round comes to an end: the chain stands for good, with every validator online."
    ),
    rule!(
        "snapshot-fit", Never, Always, Fleet(restore::fit),
        "the snapshot doesn't fit the node",
        "choose a snapshot of this chain and of this kind of databases: fleet snapshot list",
        "Databases can be read only by a node of their chain and of their kind (db_backend in config.toml). An application \
         of the Cosmos SDK has its own in data/ whatever db_dir says, and all must be of one height. The signer's state \
         and the write-ahead log stay where they are: nothing that holds them is exchanged. It can't be overruled."
    ),
    rule!(
        "snapshot-genesis", Refusal, Always, Fleet(restore::genesis),
        "the snapshot and the node don't have the same genesis",
        "compare the genesis files; accept it if they say the same",
        "Two chains may have one chain id: a chain that was started anew, or a test net. Genesis files are compared by \
         content where the snapshot's own is at hand on some host, else byte by byte."
    ),
    rule!(
        "snapshot-room", Never, Always, Fleet(restore::room),
        "no space for the snapshot beside the databases",
        "make room there, or release what an earlier restore has kept: fleet restore release HOST",
        "The old databases are kept until they are released, so that both have to fit. It can't be overruled; a host that \
         must do with less is restored by hand."
    ),
    rule!(
        "signers-ahead", Refusal, Always, Fleet(restore::strands),
        "with this snapshot the chain would not go on",
        "take a snapshot of the last height, or leave nodes out that have the blocks",
        "A signer never signs for a height below what it has signed last, and fleet never lowers its state. Validators that \
         go back to an older height take the blocks from others and sign again behind them; where all go back, nobody has \
         these blocks any more, and nobody may sign them again."
    ),
    rule!(
        "nothing-to-do", Never, Always, Elsewhere,
        "there is no node to act on",
        "see what is selected: fleet inventory show",
        "None of the selected hosts runs a node of the chain, or all that do may be missing and are."
    ),
    rule!(
        "silent", Warning, Always, Fleet(fleet::silent),
        "a host gave no facts",
        "see why it doesn't answer: fleet status; or go on without it: --allow-missing",
        "The host couldn't be reached, or root rights couldn't be had, so nothing of it was checked. It stays in the plan, \
         and nothing is changed anywhere unless it can be armed, or may be missing. A node that wasn't checked is not started."
    ),
    rule!(
        "needs-others", Warning, Always, Elsewhere,
        "the hosts of this plan don't hold the quorum",
        "agree with the others on the agreement's digest and the times",
        "Blocks come only when more than two thirds of the voting power votes. This plan holds less, so the rest must \
         come from hosts it leaves alone, or from other operators."
    ),
    rule!(
        "order-unknown", Warning, Always, Elsewhere,
        "voting powers are unknown, so the order of starts is",
        "put a sentry or full node into the plan: it is started first and asked",
        "Validators are started by voting power. Powers come from the chain, else from the last gather, else from a node \
         without power that is started first; here none of them is at hand."
    ),
    rule!(
        "allow-missing", Warning, Always, Fleet(fleet::allow_missing),
        "a share of an unknown power allows nothing",
        "name the hosts that may be missing: --allow-missing",
        "A share of the voting power can be allowed to be missing only where powers are known."
    ),
    rule!(
        "genesis", Warning, AtStart, Fleet(fleet::genesis),
        "not all nodes have the same genesis",
        "compare the genesis files; how they are written doesn't matter, what they say does",
        "Genesis files are compared by content: order of keys and white space don't matter. A node with another genesis \
         is on another chain from the first block on."
    ),
    rule!(
        "app-version", Warning, AtStart, Fleet(fleet::app_version),
        "not all nodes run the same version",
        "see which one is right before they start",
        "Different versions of an application may compute different app hashes, and then the chain splits or stops."
    ),
    rule!(
        "watchdog", Warning, AtStop, Each(each::watchdog),
        "something else may start the node by itself",
        "switch it off while the chain is down",
        "monit, a cron line or a timer may start a node in the middle of a halt. Every node is proven stopped again just \
         before the first start."
    ),
    rule!(
        "kill-mode", Warning, AtStop, Each(each::kill_mode),
        "a stop may leave the node alive behind cosmovisor",
        "set KillMode=mixed or control-group in the unit",
        "With KillMode=process or none systemd ends cosmovisor only; the node it runs may live on and sign. The stop is \
         proven by the processes, so it would be reported as not stopped."
    ),
    rule!(
        "adaptive-sync", Warning, AtStart, Each(each::adaptive_sync),
        "adaptive_sync is on for a validator",
        "set adaptive_sync = false in [blocksync] of config.toml",
        "With adaptive_sync a validator takes blocks by block sync while it takes part in consensus, and may equivocate."
    ),
    rule!(
        "unit-enabled", Warning, AtStart, Each(each::unit_enabled),
        "the unit won't come back after a reboot",
        "systemctl enable it on the host, if it should",
        "The unit isn't enabled, so a reboot leaves the node down."
    ),
    rule!(
        "consensus-failure", Note, Always, Each(each::consensus_failure),
        "the node's consensus has stopped, though its process lives",
        "only a restart of the node helps; first see in its log why",
        "After CONSENSUS FAILURE the process goes on, RPC and P2P answer, and the unit is active, but the node takes no \
         part in consensus any more."
    ),
    rule!(
        "behind", Note, Always, Elsewhere,
        "the snapshot is older than the chain",
        "nothing; the node takes the blocks from its peers",
        "A restored node has the blocks up to its snapshot's height and takes the others from its peers. How long that \
         takes depends on what is in them."
    ),
    rule!(
        "already-running", Note, Always, Fleet(fleet::already_running),
        "a service runs already",
        "nothing; fleet restart --coordinated would stop it first",
        "A start leaves alone what runs."
    ),
    rule!(
        "already-stopped", Note, Always, Fleet(fleet::already_stopped),
        "a service is stopped already",
        "nothing; the halt proves it",
        "A halt of what is stopped stops nothing, but proves that nothing of it lives on."
    ),
    rule!(
        "no-power", Note, Always, Each(each::no_power),
        "a validator by its role has no voting power",
        "see whether it is jailed, or its key is the wrong one",
        "The inventory says validator, but its address isn't in the validator set. It is started after those that are."
    ),
    rule!(
        "unattributed", Note, Always, Fleet(fleet::unattributed),
        "a validator's address is unknown",
        "nothing; its power is counted once it answers",
        "Power is assigned by consensus addresses. One that was never seen can't be told from foreign power."
    ),
    rule!(
        "cosmovisor", Note, AtStart, Each(each::cosmovisor),
        "cosmovisor stands in front of the node",
        "nothing",
        "cosmovisor starts the node as its child, and may switch its binary at an upgrade height."
    ),
    rule!(
        "remote-signer", Note, AtStart, Each(each::remote_signer),
        "a remote signer holds the node's key",
        "see that the remote signer runs",
        "The node's own key and state files don't count; whoever runs the remote signer keeps it from signing twice."
    ),
];

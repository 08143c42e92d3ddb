//! Input that only the hosts can show to be wrong: the right exit code, the host by name, and nothing changed there.

use fleet::sim::{Fault, Layout};

use super::fleet::{Fleet, untouched};

/// Three validators, of whom the first two are enough.
pub fn three() -> Layout {
    Layout { block_time_ms: 300, join_ms: 300, ..Layout::with(&[50, 30, 20], 0) }
}

const RESTART: [&str; 5] = ["restart", "--coordinated", "--facts-timeout", "60s", "--blocks"];

fn restart(options: &[&'static str]) -> Vec<&'static str> {
    [&RESTART[..], &["2"], options].concat()
}

#[test]
fn a_wrong_chain_id_is_refused() {
    let (fleet, sim) = Fleet::simulated(&three());
    fleet.edit("\"virtengine-1\"", "\"virtengine-9\"");
    let words = ["refused (chain-id)", "val-[1-3]", "virtengine-1, not virtengine-9", "nothing was changed"];
    let ran = fleet.run(&restart(&["--yes"]));
    ran.says(3, &words).says(3, &["next: correct chain", "fleet rules chain-id", "--accept chain-id"]);
    fleet.run(&["status", "--timeout", "60s"]).says(1, &["virtengine-9", "val-1 is on chain virtengine-1"]);
    assert_eq!(fleet.runs(), 0);
    untouched(&sim);
}

#[test]
fn a_digest_pins_the_plan() {
    let (fleet, sim) = Fleet::simulated(&three());
    let ran = fleet.run(&restart(&["--plan-digest", "0000-0000"]));
    ran.says(2, &["the plan has the digest", "not 0000-0000", "next: ", "--dry-run"]);
    assert_eq!(fleet.runs(), 0);
    untouched(&sim);
    let shown = fleet.run(&restart(&["--dry-run"]));
    shown.says(0, &["Plan "]);
    assert_eq!(fleet.runs(), 0);
    untouched(&sim);
    let digest = shown.out.split_whitespace().nth(1).unwrap();
    let args = [restart(&["--plan-digest"]), vec![digest]].concat();
    fleet.run(&args).says(0, &["3 of 3 proven stopped", "chain advancing"]);
}

#[test]
fn an_unreadable_key_names_its_file_and_hosts() {
    let (fleet, sim) = Fleet::simulated(&three());
    fleet.edit("/id_ed25519", "/no-such-key");
    fleet.run(&["status", "--timeout", "60s"]).says(1, &["val-[1-3]", "no-such-key", "there is no such key file"]);
    let words = ["val-1", "no-such-key", "not armed: 3 of 3 hosts, nothing was changed", "next: "];
    fleet.run(&restart(&["--yes"])).says(5, &words);
    untouched(&sim);
}

#[test]
fn an_unknown_host_key_is_not_believed() {
    let (fleet, sim) = Fleet::simulated(&three());
    fleet.edit("/known_hosts", "/no-such-known-hosts");
    let words = ["host key of val-1 (127.0.0.1:", "SHA256:", "no-such-known-hosts"];
    fleet.run(&["status", "--timeout", "60s"]).says(1, &words);
    let ran = fleet.run(&restart(&["--yes"]));
    ran.says(5, &words).says(5, &["not armed: 3 of 3 hosts, nothing was changed", "fleet trust", "next: "]);
    untouched(&sim);
}

#[test]
fn a_host_that_refuses_leaves_all_unchanged() {
    let (fleet, sim) = Fleet::simulated(&three());
    sim.control().fault("val-3", Fault::Refuse(true)).unwrap();
    let ran = fleet.run(&restart(&["--yes"]));
    ran.says(5, &["not armed: 1 of 3 hosts, nothing was changed", "next: reach val-3", "--allow-missing 'val-3'"]);
    assert_eq!(sim.control().chain().unwrap().online, 100);
    fleet.run(&restart(&["--yes", "--allow-missing", "val-3"])).says(0, &["2 of 2 proven stopped", "chain advancing"]);
}

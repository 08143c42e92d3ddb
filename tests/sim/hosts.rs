//! Simulated hosts behave as real ones for a real `ssh`, and leave nothing behind.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use fleet::model::inventory::Role;
use fleet::sim::{Fault, Layout, Sim};

const FLEET: &str = env!("CARGO_BIN_EXE_fleet");
/// Set in the copy of this test program that stands for a fleet which is killed.
const PARENT: &str = "FLEET_TEST_SIM_PARENT";

fn start(layout: &Layout) -> Sim {
    Sim::start(layout, Path::new(FLEET)).unwrap()
}

fn port(sim: &Sim, host: &str) -> String {
    let inventory: toml::Table = std::fs::read_to_string(sim.inventory()).unwrap().parse().unwrap();
    let address = inventory["hosts"][host]["address"].as_str().unwrap().to_owned();
    address.rsplit(':').next().unwrap().to_owned()
}

/// The real client, set up by what the simulation wrote and by nothing of this machine.
fn ssh(sim: &Sim, host: &str) -> Command {
    let mut ssh = Command::new("ssh");
    let known = format!("UserKnownHostsFile={}", sim.dir().join("known_hosts").display());
    ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "ConnectTimeout=5"]);
    ssh.args(["-o", &known, "-o", "IdentitiesOnly=yes", "-i"]).arg(sim.dir().join("id_ed25519"));
    ssh.args(["-p", &port(sim, host), "ops@127.0.0.1"]).env_remove("SSH_AUTH_SOCK").stdin(Stdio::null());
    ssh
}

fn run(sim: &Sim, host: &str, command: &str) -> Output {
    ssh(sim, host).arg(command).output().expect("the tests need an ssh client")
}

fn said(sim: &Sim, host: &str, command: &str) -> String {
    let output = run(sim, host, command);
    assert!(output.status.success(), "{command}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn eventually(what: &str, mut reached: impl FnMut() -> bool) {
    let started = Instant::now();
    while !reached() {
        assert!(started.elapsed() < Duration::from_secs(15), "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Processes whose environment names this folder.
fn processes(dir: &Path) -> Vec<String> {
    let mark = format!("FLEET_SIM_DIR={}", dir.display()).into_bytes();
    let of = |pid: &String| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|line| line == mark)
    };
    let entries = std::fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    entries.filter(|name| name.bytes().all(|b| b.is_ascii_digit())).filter(of).collect()
}

#[test]
fn commands_run_for_real() {
    let sim = start(&Layout::with(&[1], 0));
    let output = ssh(&sim, "val-1").arg("cat; echo $FLEET_SIM_HOST; echo oops >&2; exit 7").output().unwrap();
    assert_eq!(
        (output.status.code(), output.stdout, output.stderr),
        (Some(7), b"val-1\n".to_vec(), b"oops\n".to_vec())
    );
    let big = "head -c 3000000 /dev/zero | tee /dev/stderr";
    let output = run(&sim, "val-1", big);
    assert_eq!((output.stdout.len(), output.stderr.len()), (3_000_000, 3_000_000));
    assert_eq!(run(&sim, "val-1", "kill -KILL $$").status.code(), Some(255), "no exit status, so ssh says 255");
    let mut child = ssh(&sim, "val-1").arg("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    std::io::copy(&mut &vec![0; 5_000_000][..], &mut child.stdin.take().unwrap()).unwrap();
    let sum = child.wait_with_output().unwrap().stdout;
    assert!(sum.starts_with(b"b3978158"), "{}", String::from_utf8_lossy(&sum));
}

#[test]
fn a_stranger_and_a_changed_host_key_are_kept_out() {
    let sim = start(&Layout::with(&[1, 1], 0));
    let known = sim.dir().join("known_hosts");
    let text = std::fs::read_to_string(&known).unwrap();
    let keys: Vec<_> = text.lines().map(|line| line.split_once(' ').unwrap()).collect();
    std::fs::write(&known, format!("{} {}\n", keys[0].0, keys[1].1)).unwrap();
    assert_eq!(run(&sim, "val-1", "true").status.code(), Some(255));
    std::fs::write(&known, text).unwrap();
    let stranger = sim.dir().join("stranger");
    let made =
        Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&stranger).status().unwrap();
    assert!(made.success());
    std::fs::rename(&stranger, sim.dir().join("id_ed25519")).unwrap();
    assert_eq!(run(&sim, "val-1", "true").status.code(), Some(255));
}

#[test]
fn the_lost_quorum_comes_back_by_starting_one_validator() {
    let sim = start(&Layout::lost_quorum());
    let control = sim.control();
    eventually("65 of 100 prevote", || control.chain().unwrap().step == 4);
    let chain = control.chain().unwrap();
    assert_eq!((chain.height, chain.online, chain.quorum), (1_204_331, 65, 67));
    assert_eq!((chain.signers["val-1"].height, chain.signers["val-2"].height), (1_204_332, 1_204_331));
    let shown =
        said(&sim, "val-2", "systemctl show virtengined -p ActiveState,Result,ExecMainStatus,MainPID,LoadState");
    assert_eq!(shown, "MainPID=0\nResult=exit-code\nExecMainStatus=1\nLoadState=loaded\nActiveState=failed");
    assert_eq!(said(&sim, "val-2", "sudo -n systemctl start --no-block virtengined.service"), "");
    eventually("a new block", || control.chain().unwrap().height > 1_204_331);
    let state = std::fs::read_to_string(sim.host("val-2").join("home/data/priv_validator_state.json")).unwrap();
    let state = fleet::chain::signer::state(&state).unwrap();
    assert!(state.height >= 1_204_332, "{state:?}");
}

#[test]
fn a_unit_is_a_process_with_locks() {
    let sim = start(&Layout::with(&[1], 0));
    let home = sim.host("val-1").join("home");
    let pid = said(&sim, "val-1", "systemctl show --property=MainPID --value virtengined");
    let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    let words: Vec<_> = command.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
    let at = words.iter().position(|word| word == "--home").unwrap();
    assert_eq!(Path::new(&*words[at + 1]), home);
    let locked = "grep -c \":$(stat -c %i ~/../home/data/state.db/LOCK) \" /proc/locks";
    assert_eq!(said(&sim, "val-1", locked), "1");
    said(&sim, "val-1", "systemctl stop virtengined");
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
    assert_eq!(run(&sim, "val-1", locked).stdout, b"0\n");
    let stamps = "systemctl show virtengined -p ActiveExitTimestampMonotonic,InactiveEnterTimestampMonotonic --value";
    let stamps: Vec<u64> = said(&sim, "val-1", stamps).lines().map(|line| line.parse().unwrap()).collect();
    let up = std::fs::read_to_string("/proc/uptime").unwrap();
    let up: u64 = up.split('.').next().unwrap().parse().unwrap();
    assert!(stamps[1] <= stamps[0] && up - stamps[0] / 1_000_000 < 10, "{stamps:?} {up}");
    let output = run(&sim, "val-1", "systemctl is-active virtengined; systemctl is-active monit");
    assert_eq!((output.status.code(), output.stdout), (Some(3), b"inactive\ninactive\n".to_vec()));
    assert_eq!(run(&sim, "val-1", "systemctl start nothing").status.code(), Some(5));
}

#[test]
fn rpc_answers_through_the_link_while_the_node_runs() {
    let sim = start(&Layout::with(&[1], 0));
    let ask = || {
        let mut ssh = ssh(&sim, "val-1");
        let mut child =
            ssh.args(["-W", "127.0.0.1:26657"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let request = b"GET /status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        std::io::Write::write_all(child.stdin.as_mut().unwrap(), request).unwrap();
        let answer = child.wait_with_output().unwrap().stdout;
        let at = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
        fleet::chain::rpc::status(&answer[at + 4..]).ok()
    };
    assert_eq!(ask().unwrap().moniker, "val-1");
    said(&sim, "val-1", "systemctl stop virtengined");
    assert_eq!(ask(), None);
}

#[test]
fn links_can_fail_in_every_way() {
    let sim = start(&Layout::with(&[1, 1], 0));
    let control = sim.control();
    let fault = |fault| control.fault("val-1", fault).unwrap();
    // What runs on the host runs on when its link is cut.
    let mark = sim.dir().join("mark");
    let mut child: Child =
        ssh(&sim, "val-1").arg(format!("cat; touch {}", mark.display())).stdin(Stdio::piped()).spawn().unwrap();
    eventually("the command runs", || processes(&sim.dir()).len() > 3);
    fault(Fault::Cut);
    assert_eq!(child.wait().unwrap().code(), Some(255));
    eventually("the command ran on", || mark.exists());
    fault(Fault::DropAfter(5000));
    let output = run(&sim, "val-1", "head -c 100000 /dev/zero");
    assert!(output.status.code() == Some(255) && output.stdout.len() < 5000, "{}", output.stdout.len());
    fault(Fault::Refuse(true));
    eventually("refused", || run(&sim, "val-1", "true").status.code() == Some(255));
    fault(Fault::Refuse(false));
    eventually("let in again", || run(&sim, "val-1", "true").status.success());
    for (on, off) in [
        (Fault::Mute(true), Fault::Mute(false)),
        (Fault::Hang(true), Fault::Hang(false)),
        (Fault::Freeze(true), Fault::Freeze(false)),
    ] {
        fault(on);
        let mut child = ssh(&sim, "val-1").args(["-o", "ConnectTimeout=30"]).arg("true").spawn().unwrap();
        std::thread::sleep(Duration::from_millis(700));
        assert!(child.try_wait().unwrap().is_none(), "{on:?}");
        assert!(run(&sim, "val-2", "true").status.success(), "{on:?} is no matter to others");
        fault(off);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(run(&sim, "val-1", "true").status.success(), "{off:?}");
    }
}

#[test]
fn nodes_and_sudo_can_fail_in_every_way() {
    let sim = start(&Layout::with(&[10, 10, 10, 1], 0));
    let control = sim.control();
    let fault = |fault| control.fault("val-4", fault).unwrap();
    let active = || String::from_utf8(run(&sim, "val-4", "systemctl is-active virtengined").stdout).unwrap();
    fault(Fault::WontStop(true));
    said(&sim, "val-4", "systemctl stop --no-block virtengined");
    assert_eq!(active(), "deactivating\n");
    assert!(said(&sim, "val-4", "systemctl show virtengined -p Job").starts_with("Job="));
    said(&sim, "val-4", "systemctl kill -s KILL virtengined");
    eventually("killed", || active() == "failed\n");
    fault(Fault::WontStop(false));
    fault(Fault::StartFails(true));
    said(&sim, "val-4", "systemctl reset-failed virtengined; systemctl start virtengined");
    eventually("start fails", || active() == "failed\n");
    fault(Fault::StartFails(false));
    said(&sim, "val-4", "systemctl start virtengined");
    assert_eq!(active(), "active\n");
    eventually("takes part", || control.chain().unwrap().online == 31);
    fault(Fault::Panic);
    eventually("takes no part", || control.chain().unwrap().online == 30);
    assert_eq!(active(), "active\n");
    let log = "journalctl -q -o cat _SYSTEMD_INVOCATION_ID=$(systemctl show -p InvocationID --value virtengined)";
    assert!(said(&sim, "val-4", &format!("{log} | grep FAILURE")).contains("CONSENSUS FAILURE!!!"));
    fault(Fault::SudoRefused(true));
    let output = run(&sim, "val-4", "sudo -n true");
    assert_eq!((output.status.code(), output.stderr), (Some(1), b"sudo: a password is required\n".to_vec()));
    fault(Fault::SudoRefused(false));
    assert_eq!(said(&sim, "val-4", "sudo -n -- sh -c 'echo yes'"), "yes");
    assert!(control.fault("val-9", Fault::Cut).is_err());
}

#[test]
fn nothing_is_left_at_the_end() {
    let sim = start(&Layout::with(&[1, 1], 1));
    let dir = sim.dir();
    // A process that hides from its group and holds no pipe.
    said(&sim, "val-1", "setsid sleep 1000 </dev/null >/dev/null 2>&1 &");
    assert!(processes(&dir).len() >= 4);
    drop(sim);
    assert_eq!(processes(&dir), Vec::<String>::new());
    assert!(!dir.parent().unwrap().exists());
}

#[test]
fn nothing_is_left_when_the_parent_is_killed() {
    if std::env::var_os(PARENT).is_some() {
        let sim = start(&Layout::with(&[1, 1], 0));
        println!("\ndir={}", sim.dir().display());
        std::thread::sleep(Duration::from_secs(60));
    }
    let mut parent = Command::new(std::env::current_exe().unwrap());
    parent.args(["--exact", "hosts::nothing_is_left_when_the_parent_is_killed", "--nocapture"]).env(PARENT, "1");
    let mut parent = parent.stdout(Stdio::piped()).spawn().unwrap();
    let lines = std::io::BufRead::lines(std::io::BufReader::new(parent.stdout.take().unwrap()));
    let dir = lines.map_while(Result::ok).find_map(|line| line.strip_prefix("dir=").map(PathBuf::from)).unwrap();
    assert_eq!(processes(&dir).len(), 2);
    parent.kill().unwrap();
    parent.wait().unwrap();
    eventually("processes and files are gone", || processes(&dir).is_empty() && !dir.exists());
    let _ = std::fs::remove_dir_all(dir.parent().unwrap()); // the killed parent's own
}

#[test]
fn fifty_hosts_are_up_at_once() {
    let mut layout = Layout::with(&[1; 48], 2);
    layout.hosts[49].role = Role::Full;
    let sim = start(&layout);
    assert_eq!(processes(&sim.dir()).len(), 50);
}

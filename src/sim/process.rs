//! The simulation's processes, found by their environment, and its clocks.

use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};
use rustix::time::{ClockId, clock_gettime};

/// The host's monotonic clock as systemd stamps with it, µs.
pub fn monotonic_us() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    (now.tv_sec * 1_000_000 + now.tv_nsec / 1000).cast_unsigned()
}

/// Unix time, ms.
pub fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// Sends a signal to one process; none is meant by 0.
pub fn send(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal); // it may have ended by itself
    }
}

/// The processes of the simulation in `sim`, or of one of its hosts: those whose environment says so.
pub fn all(sim: &Path, host: Option<&str>) -> Vec<u32> {
    let marks: Vec<String> =
        [Some(format!("FLEET_SIM_DIR={}", sim.display())), host.map(|h| format!("FLEET_SIM_HOST={h}"))]
            .into_iter()
            .flatten()
            .collect();
    let belongs = |pid: &u32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let has = |mark: &String| environment.split(|byte| *byte == 0).any(|line| line == mark.as_bytes());
        marks.iter().all(has)
    };
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(belongs).collect()
}

/// Sends a signal to all of them.
pub fn send_all(sim: &Path, host: Option<&str>, signal: Signal) {
    for pid in all(sim, host) {
        send(pid, signal);
    }
}

/// Kills them until none is left; those that are just being made are caught by the next round.
pub fn end_all(sim: &Path) {
    for _ in 0..50 {
        let left = all(sim, None);
        if left.is_empty() {
            return;
        }
        for pid in left {
            send(pid, Signal::KILL);
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

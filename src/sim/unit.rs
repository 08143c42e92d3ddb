//! A simulated systemd unit: its state, and its properties as `systemctl show` prints them.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use super::host::Folders;
use super::process;

/// What a unit's process ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It exited with this status.
    Exited(i32),
    /// It was killed by this signal.
    Killed(i32),
}

impl From<ExitStatus> for End {
    fn from(status: ExitStatus) -> Self {
        status.signal().map_or(Self::Exited(status.code().unwrap_or_default()), Self::Killed)
    }
}

/// The state of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Active {
    /// Its process runs.
    Running,
    /// It was told to stop and its process still runs.
    Stopping,
    /// Stopped, or never started.
    Inactive,
    /// Its process died.
    Failed,
}

/// A unit.
#[derive(Debug, Clone)]
pub struct Unit {
    /// Its name.
    pub name: String,
    /// Its state.
    pub active: Active,
    /// Its main process; 0 when none runs.
    pub pid: u32,
    /// How its last process ended.
    pub end: Option<End>,
    /// How often it was restarted by itself.
    pub restarts: u32,
    /// Starts at boot.
    pub enabled: bool,
    /// Id of its last start.
    pub invocation: String,
    /// `ActiveEnter`, `ActiveExit` and `InactiveEnter`, µs since boot.
    pub stamps: [u64; 3],
    /// Each start ends at once with status 1.
    pub start_fails: bool,
    /// SIGTERM is ignored.
    pub wont_stop: bool,
}

impl Unit {
    /// A unit that was never started.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            active: Active::Inactive,
            pid: 0,
            end: None,
            restarts: 0,
            enabled: true,
            invocation: String::new(),
            stamps: [0; 3],
            start_fails: false,
            wont_stop: false,
        }
    }

    /// Its process runs now.
    pub fn started(&mut self, pid: u32, now_us: u64) {
        self.active = Active::Running;
        self.pid = pid;
        self.end = None;
        self.stamps[0] = now_us;
        self.invocation = format!("{:032x}", rand::random::<u128>());
    }

    /// A stop was asked for.
    pub fn stopping(&mut self, now_us: u64) {
        if self.active == Active::Running {
            self.active = Active::Stopping;
            self.stamps[1] = now_us;
        }
    }

    /// Its process has ended; SIGTERM is a clean end.
    pub fn ended(&mut self, end: End, now_us: u64) {
        if self.active == Active::Running {
            self.stamps[1] = now_us;
        }
        let clean = matches!(end, End::Exited(0) | End::Killed(15));
        self.active = if clean { Active::Inactive } else { Active::Failed };
        self.stamps[2] = now_us;
        self.end = Some(end);
        self.pid = 0;
    }

    /// `active`, `inactive` … as `is-active` says it.
    pub fn active_state(&self) -> &'static str {
        match self.active {
            Active::Running => "active",
            Active::Stopping => "deactivating",
            Active::Inactive => "inactive",
            Active::Failed => "failed",
        }
    }

    /// Its properties in systemd's own order; those that systemd leaves out when unset are missing.
    pub fn properties(&self, folders: &Folders) -> Vec<(&'static str, String)> {
        let sub = match self.active {
            Active::Running => "running",
            Active::Stopping => "stop-sigterm",
            Active::Inactive => "dead",
            Active::Failed => "failed",
        };
        let (code, status) = match self.end {
            None => (0, 0),
            Some(End::Exited(status)) => (1, status),
            Some(End::Killed(signal)) => (2, signal),
        };
        let result = match (&self.active, self.end) {
            (Active::Failed, Some(End::Killed(_))) => "signal",
            (Active::Failed, _) => "exit-code",
            _ => "success",
        };
        // A node whose home has a folder of cosmovisor's is run by it.
        let under_cosmovisor = folders.home().join("cosmovisor").is_dir();
        let program = folders.bin().join(if under_cosmovisor { "cosmovisor" } else { "virtengined" });
        let (program, home) = (program.display().to_string(), folders.home().display().to_string());
        let exec = format!(
            "{{ path={program} ; argv[]={program} start --home {home} ; ignore_errors=no ; start_time=[n/a] ; \
             stop_time=[n/a] ; pid={} ; code=(null) ; status=0/0 }}",
            self.pid
        );
        let mut all = vec![
            ("Type", "simple".into()),
            ("Restart", "no".into()),
            ("TimeoutStopUSec", "1min 30s".into()),
            ("MainPID", self.pid.to_string()),
            ("Result", result.into()),
            ("NRestarts", self.restarts.to_string()),
            ("ExecMainPID", self.pid.to_string()),
            ("ExecMainCode", code.to_string()),
            ("ExecMainStatus", status.to_string()),
            ("ExecStart", exec),
            ("ControlGroup", if self.pid == 0 { String::new() } else { format!("/system.slice/{}", self.name) }),
            ("User", String::new()),
            ("KillMode", "control-group".into()),
            ("Id", self.name.clone()),
            ("Names", self.name.clone()),
            ("LoadState", "loaded".into()),
            ("ActiveState", self.active_state().into()),
            ("SubState", sub.into()),
            ("FragmentPath", folders.unit_file(&self.name).display().to_string()),
            ("UnitFileState", if self.enabled { "enabled" } else { "disabled" }.into()),
            ("InactiveEnterTimestamp", wall_clock(self.stamps[2])),
            ("InactiveEnterTimestampMonotonic", self.stamps[2].to_string()),
            ("ActiveEnterTimestamp", wall_clock(self.stamps[0])),
            ("ActiveEnterTimestampMonotonic", self.stamps[0].to_string()),
            ("ActiveExitTimestamp", wall_clock(self.stamps[1])),
            ("ActiveExitTimestampMonotonic", self.stamps[1].to_string()),
            ("NeedDaemonReload", "no".into()),
            ("InvocationID", self.invocation.clone()),
        ];
        if self.active == Active::Stopping {
            all.push(("Job", "1".into()));
        }
        all
    }
}

/// A stamp as `--timestamp=us` prints it in UTC; empty when it was never set.
fn wall_clock(stamp_us: u64) -> String {
    let ago_us = process::monotonic_us().saturating_sub(stamp_us);
    let at = jiff::Timestamp::now() - jiff::SignedDuration::from_micros(ago_us.cast_signed());
    if stamp_us == 0 { String::new() } else { at.strftime("%a %Y-%m-%d %H:%M:%S.%6f UTC").to_string() }
}

/// The properties of a unit that doesn't exist.
pub fn not_found(name: &str) -> Vec<(&'static str, String)> {
    let words = [
        ("MainPID", "0"),
        ("Result", "success"),
        ("NRestarts", "0"),
        ("ExecMainStatus", "0"),
        ("ControlGroup", ""),
        ("Id", name),
        ("LoadState", "not-found"),
        ("ActiveState", "inactive"),
        ("SubState", "dead"),
        ("FragmentPath", ""),
        ("UnitFileState", ""),
        ("InactiveEnterTimestampMonotonic", "0"),
        ("ActiveEnterTimestampMonotonic", "0"),
        ("ActiveExitTimestampMonotonic", "0"),
        ("InvocationID", ""),
    ];
    words.map(|(key, value)| (key, value.to_owned())).to_vec()
}

//! Schedules on a host with systemd: its own timer calls fleet there.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime};

use crate::controller::Controller;
use crate::lab::{Host, Lab};
use crate::process::{Said, until};

/// Fleet's folder on the host, the home of its user; a reset empties it.
const HOME: &str = "/home/ops";
const TIMER: &str = "fleet-schedule-lab-simd.timer";
const SERVICE: &str = "fleet-schedule-lab-simd.service";
const UNITS: &str = "/etc/systemd/system";

/// A host that runs fleet by itself.
struct Scheduler {
    host: Host,
    inventory: String,
}

impl Scheduler {
    /// With fleet, an inventory, the hosts' keys and a key of its own in the home of its user.
    fn new(lab: &Lab) -> Self {
        let host = lab.host("mon");
        let fleet = Controller::new(lab, &["--only", "val-1,sentry-1"]);
        let text = fs::read_to_string(fleet.path("inventory.toml")).unwrap();
        let mut inventory = text.clone();
        for (key, mode) in [("identity = [\"", 0o600), ("known_hosts = [\"", 0o644)] {
            let path = text.split_once(key).unwrap().1.split_once('"').unwrap().0;
            let name = path.rsplit_once('/').unwrap().1;
            inventory = inventory.replace(path, &format!("{HOME}/{name}"));
            put(&host, path, name, mode);
        }
        put(&host, env!("CARGO_BIN_EXE_fleet"), "fleet", 0o755);
        let scheduler = Self { host, inventory };
        scheduler.schedule_in(12 * 3600);
        scheduler.host.inside(&["chown", "-R", "ops:ops", HOME]);
        scheduler
    }

    /// val-1's config is kept each day at a time that is so many seconds from now.
    fn schedule_in(&self, seconds: u64) {
        let time = jiff::Timestamp::try_from(SystemTime::now() + Duration::from_secs(seconds)).unwrap();
        let time = time.strftime("%H:%M:%S");
        let schedule = format!(
            "[backup]\nstore = \"{HOME}/store\"\n\n[[schedule]]\nname = \"config\"\non = \"{time}\"\nhosts = \"val-1\"\n\
             profiles = [\"config\"]\nmetrics = \"{HOME}/config.prom\"\n"
        );
        fs::write(self.host.path(&format!("{HOME}/fleet.toml")), format!("{}\n{schedule}", self.inventory)).unwrap();
    }

    /// Runs a line of the shell as fleet's user, after a login.
    fn shell(&self, line: &str) -> Said {
        self.host.inside(&["runuser", "-l", "ops", "-c", line])
    }

    /// The same with fleet, whose exit code is told last.
    fn fleet(&self, words: &str) -> Said {
        self.shell(&format!("./fleet -i fleet.toml {words}; echo exit $?"))
    }

    fn snapshots(&self) -> usize {
        let names = fs::read_dir(self.host.path(&format!("{HOME}/store/manifests"))).into_iter().flatten();
        names.filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|end| end == "json")).count()
    }

    fn wait_for_snapshots(&self, count: usize) {
        until(60, &format!("{count} snapshots"), || (self.snapshots() == count && !self.runs()).then_some(()));
    }

    fn runs(&self) -> bool {
        self.property("ActiveState") != "inactive"
    }

    /// What systemd tells of the service's last call, which this line makes.
    fn called(&self, line: &str) -> [String; 2] {
        self.host.inside(&["sh", "-c", line]);
        ["Result", "ExecMainStatus"].map(|name| self.property(name))
    }

    fn property(&self, name: &str) -> String {
        let said = self.host.inside(&["systemctl", "show", SERVICE, "--value", &format!("--property={name}")]);
        said.out.trim().to_owned()
    }

    /// Its timer calls every three seconds, not every five minutes.
    fn call_often(&self) {
        let folder = self.host.path(&format!("{UNITS}/{TIMER}.d"));
        fs::create_dir(&folder).unwrap();
        let text = "[Timer]\nOnCalendar=\nOnCalendar=*:*:0/3\nAccuracySec=1ms\n";
        fs::write(folder.join("often.conf"), text).unwrap();
        self.host.inside(&["systemctl", "daemon-reload"]);
        self.host.inside(&["systemctl", "restart", TIMER]);
    }

    fn call_as_installed(&self) {
        fs::remove_dir_all(self.host.path(&format!("{UNITS}/{TIMER}.d"))).unwrap();
        self.host.inside(&["systemctl", "daemon-reload"]);
    }

    fn root_fleet(&self, words: &[&str]) -> Said {
        let (fleet, inventory) = (format!("{HOME}/fleet"), format!("{HOME}/fleet.toml"));
        self.host.inside(&[&[fleet.as_str(), "-i", inventory.as_str()], words].concat())
    }
}

/// Copies a file of this machine into the home of fleet's user.
fn put(host: &Host, from: &str, name: &str, mode: u32) {
    let to = host.path(&format!("{HOME}/{name}"));
    fs::copy(from, &to).unwrap();
    fs::set_permissions(&to, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_timer_of_systemd_makes_what_is_due_once_makes_up_for_what_a_reboot_missed_and_goes_without_a_trace() {
    let lab = Lab::sdk();
    let before = lab.units(&[]);
    let mut scheduler = Scheduler::new(&lab);
    scheduler.root_fleet(&["schedule", "install", "--system", "ops"]).says("installed: 1 schedule");
    scheduler.host.inside(&["systemctl", "list-timers", "--no-pager"]).says(SERVICE);
    scheduler.fleet("schedule list").says("exit 0").says(TIMER);
    scheduler.fleet("schedule run-due").says("exit 0");
    assert_eq!(scheduler.snapshots(), 0);
    scheduler.schedule_in(2);
    scheduler.call_often();
    scheduler.wait_for_snapshots(1);
    let metrics = fs::read_to_string(scheduler.host.path(&format!("{HOME}/config.prom"))).unwrap();
    assert!(metrics.contains("fleet_backup_last_run_exit_code{") && metrics.contains("host=\"val-1\""), "{metrics}");
    // It is called on and on, and makes nothing more.
    let calls = || scheduler.property("ExecMainStartTimestampMonotonic");
    let last = calls();
    until(30, "another call", || (calls() != last).then_some(()));
    scheduler.fleet("schedule run-due -v").says("exit 0");
    assert_eq!(scheduler.snapshots(), 1);

    // Its time passes while nothing calls, and the host reboots: the timer that was installed makes up for it at once.
    scheduler.call_as_installed();
    scheduler.host.inside(&["systemctl", "stop", TIMER]);
    scheduler.schedule_in(1);
    std::thread::sleep(Duration::from_secs(2));
    scheduler.host.inside(&["touch", "-d", "1 hour ago", &format!("/var/lib/systemd/timers/stamp-{TIMER}")]);
    lab.run(&["reboot", "mon"]).exits(0);
    scheduler.host = lab.host("mon");
    scheduler.wait_for_snapshots(2);
    scheduler.fleet("snapshot verify --store store").says("exit 0");

    scheduler.root_fleet(&["schedule", "remove"]).says(TIMER);
    let find = "find /etc/systemd /var/lib/systemd /run/systemd -name '*fleet-schedule*'";
    let left = scheduler.host.inside(&["sh", "-c", find]);
    assert_eq!(left.out, "");
    let timers = scheduler.host.inside(&["systemctl", "list-timers", "--all", "--no-pager"]);
    assert!(!timers.out.contains("fleet-schedule"), "{timers}");
    scheduler.fleet("schedule list").says("nothing calls 'fleet schedule run-due' yet");
    lab.assert_untouched(&before);
}

#[test]
fn a_service_of_systemd_tells_a_failed_run_from_one_that_waits_for_its_turn() {
    let lab = Lab::sdk();
    let mut scheduler = Scheduler::new(&lab);
    scheduler.root_fleet(&["schedule", "install", "--system", "ops"]).says("installed: 1 schedule");
    scheduler.host.inside(&["systemctl", "stop", TIMER]);
    scheduler.fleet("schedule run-due --now config").says("exit 0");
    let lock = format!("{HOME}/.local/state/fleet/schedules/virtengine-1.lock");
    assert_eq!(scheduler.called(&format!("flock {lock} systemctl start {SERVICE}")), ["success", "75"]);
    assert_eq!(scheduler.called(&format!("systemctl start {SERVICE}")), ["success", "0"]);
    scheduler.fleet("schedule run-due --now no-such").says("exit 2");
    // val-1 answers on no such port.
    let address = lab.host("val-1").address;
    scheduler.inventory = scheduler.inventory.replace(&format!("\"{address}\""), &format!("\"{address}:23\""));
    scheduler.schedule_in(0);
    assert_eq!(scheduler.called(&format!("systemctl start {SERVICE} || true")), ["exit-code", "3"]);
    scheduler.host.inside(&["journalctl", "-u", SERVICE]).says("config: exit 3: ").says("val-1");
    assert_eq!(scheduler.snapshots(), 1);
    scheduler.root_fleet(&["schedule", "remove"]).says(TIMER);
    let units = scheduler.host.inside(&["systemctl", "list-units", "--all", "--plain", "--no-legend", "fleet-*"]);
    assert_eq!(units.out, "");
}

//! What stands under the options of a command's help.

/// `fleet`
pub const FLEET: &str = "\
Nothing is installed on the hosts. What fleet leaves there: leases in
/run/fleet and, in /var/lib/fleet, the records of the last 20 locks with the
steps that were taken under each. Beside a write-ahead log that was replaced
lies the old one, in a folder FOLDER.fleet-RUN. While a stop is armed there are
two transient units, fleet-stop-RUN-STEP. A restore leaves the old databases as
NAME.fleet-RUN and its record as .fleet-RUN until they are released; while it
exchanges them a hold keeps the unit down: a file in /var/lib/fleet/hold, and a
drop-in fleet-hold.conf for the unit in /etc/systemd/system.

Without -i the inventory is ./inventory.toml, else fleet/inventory.toml in the
user's config folder. Runs are kept in $XDG_STATE_HOME/fleet/runs, by default
~/.local/state/fleet/runs.

Exit codes: 0 done, 1 failed, 2 usage or inventory, 3 refused by a safety rule,
4 incomplete or unknown, 5 not armed (nothing changed), 75 locked,
129/130/143 interrupted. status: 0 advancing, 1 not. exec: 0, or 4 when a host
failed.

Try it: fleet demo";

/// `fleet status`
pub const STATUS: &str = "\
Exit code: 0 if every chain advances, else 1.

Examples:
  fleet status
  fleet status sentry-1
  fleet status -o json | jq '.chains[].state'";

/// `fleet backup`
pub const BACKUP: &str = "\
A node whose data is kept stands still only while its tables are linked into a
clone: seconds, whatever their size; the host starts it again by itself even if
fleet dies, unless it has stood for five minutes. One node after the other, each
when the one before makes blocks again, and none whose stop would take the power
under the quorum, unless that is accepted. A validator's data is kept only if its
name or role is in the selector. Signer states are never kept. The newest snapshot
that a node's application has taken by itself is --profile statesync. Keys and
keyrings are kept only by --profile keys: as one object that age has encrypted in
memory for the recipients of the inventory's [backup].

Usual for a validator are config and cosmovisor, for sentries and full nodes data
too. Of other hosts, while they run: provider is the home of each service that is
no node (usual for providers), monitoring what Prometheus, Grafana and
Alertmanager have (usual for the role), postgres a pg_dump of the databases in
[backup.postgres]; [backup.profiles.NAME] in the inventory lists other paths. For
these no chain is asked.

The store needs no fleet: sha256sum -c manifests/ID.sha256 checks it, zstd -dc
segments/…/….tar.zst | tar x unpacks it; symbolic links stand in the manifest, as
text. The first Ctrl-C while copies come leaves at once; fleet resume goes on.
Exit code: 0, or 4 when something wasn't kept.

Examples:
  fleet backup --store /srv/fleet
  fleet backup sentry-1 --profile data --store /srv/fleet
  fleet backup --profile config --store /srv/fleet --yes
  fleet backup val-1 --profile keys --store /srv/fleet
  fleet backup mon --store /srv/fleet
  fleet backup all --profile scripts --store /srv/fleet";

/// `fleet wal show`
pub const WAL_SHOW: &str = "\
Reads only; of each log no more than its end. A vote is proven by its signature.
A validator is mute when it has signed for the height in progress and its vote is
in no log that would be replayed: started now, it could not vote in that round
again. Exit code: 0, or 1 when validators are mute, or 4 when a host gave nothing.

Examples:
  fleet wal show
  fleet wal show 'val-[1-3]'
  fleet wal show -o json | jq '.mute'";

/// `fleet wal clear`
pub const WAL_CLEAR: &str = "\
It stops the nodes, reads every log of the chain and each signer's state, and
decides: the short log must neither strand the chain nor fork it. If it might,
the nodes start with the logs they have (exit 3). The old log is set aside as
cs.wal.fleet-RUN beside it. A node hardly ever needs this: it repairs a damaged
log by itself; clear one whose node can't start with it. For a restart of all
nodes with some cleared: fleet restart --coordinated --clear-wal SELECTOR.

Examples:
  fleet wal clear val-3
  fleet wal clear val-3 --dry-run";

/// `fleet wal bundle`
pub const WAL_BUNDLE: &str = "\
Reads only. A bundle has the end of each log, and what each signer has signed
last (priv_validator_state.json); no key and no secret is in it. The operator
who revives the chain takes it with --from.

Exit code: 0, or 4 when a host gave nothing.

Examples:
  fleet wal bundle --file ours.json
  fleet wal bundle 'val-[1-3]' --file three.json";

/// `fleet wal revive`
pub const WAL_REVIVE: &str = "\
Collects every log and every signer's state from all hosts that can be reached,
proves each vote by its signature, and says what the chain will do with them
before anything is touched. One node without power is restarted with a log of
all these messages; its own is set aside beside it, as FOLDER.fleet-RUN. No
signer's state is written, and nothing is signed anew. When no block comes, the
node gets its own log back. What it can't do, and why: docs/stranded.md

Examples:
  fleet wal revive --dry-run
  fleet wal revive --from their.json other.json
  fleet wal revive --on sentry-2";

/// `fleet wal restore`
pub const WAL_RESTORE: &str = "\
Puts the log back that was set aside last; what was in its place is kept, as
FOLDER.fleet-RUN/replaced. A validator gets its old log back before its next
start, or as long as it has signed nothing since; one that has is refused by
name, for those votes aren't in the old log. That is looked at before anything
is stopped, and on the host once its node is stopped: one that has signed
meanwhile starts with the log it has, and the run ends with exit code 4.

Examples:
  fleet wal restore sentry-1 --dry-run
  fleet wal restore 'val-[1-3]'";

/// `fleet exec`
pub const EXEC: &str = "\
Exit code: 0, or 4 when a host failed.

Examples:
  fleet exec all -- uptime
  fleet exec role:validator -- virtengined version
  fleet exec --sudo 'sentry-*' -- journalctl -n 20 -u virtengined
  fleet exec val-1 -- 'df -h / | tail -1'";

/// `fleet halt`
pub const HALT: &str = "\
Examples:
  fleet halt --dry-run
  fleet halt 'role:validator and not val-3' --reason 'disk of val-3'
  fleet halt --at 2026-02-08T14:00:00Z
First Ctrl-C: goes on until all are stopped. Second: leaves at once; then
fleet resume.";

/// `fleet start`
pub const START: &str = "\
Examples:
  fleet start val-2
  fleet start --start-at 2026-02-08T14:00:00Z --yes";

/// `fleet restart`
pub const RESTART: &str = "\
A restart of the nodes one by one isn't there yet; without --coordinated fleet
says how to go about it.

Examples:
  fleet restart --coordinated
  fleet restart --coordinated --dry-run
  fleet restart --coordinated --plan-digest 7f3c-19ab
  fleet restart --coordinated --at 2026-02-08T14:00:00Z \\
    --start-at 2026-02-08T14:02:00Z
  fleet restart --coordinated --clear-wal val-3
First Ctrl-C: goes on until what was stopped is started again. Second: leaves at
once; then fleet resume.";

/// `fleet resume`
pub const RESUME: &str = "\
Nothing is repeated: what was under way is looked at on its host first. A run
that has stood for more than a day must be named.

Examples:
  fleet resume
  fleet resume 01JD7Q --give-up";

/// `fleet unlock`
pub const UNLOCK: &str = "\
Locks of a fleet that died run out by themselves within a minute, and the next
run takes them over; fleet resume goes on with the dead run.

Example:
  fleet unlock val-4 --run 01JD7QW0J5Y4C8NF";

/// `fleet trust`
pub const TRUST: &str = "\
Compare the fingerprints with what the hosts' consoles show:
  ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub

Examples:
  fleet trust
  fleet trust val-3 --replace";

/// `fleet runs`
pub const RUNS: &str = "\
Examples:
  fleet runs list
  fleet runs show --follow 01JD7Q
  fleet runs report 01JD7Q -v";

/// `fleet snapshot`
pub const SNAPSHOT: &str = "\
A store is a folder with fleet-store.json in it. Its segments are read without
fleet, too: zstd -dc SEGMENT | tar x, and in the store's folder
sha256sum -c manifests/ID.sha256 proves the bytes of a snapshot. A file larger
than a segment is in pieces: cat PATH.fleet-part-* joins them.

Examples:
  fleet snapshot list
  fleet snapshot verify latest
  fleet snapshot prune --dry-run";

/// `fleet snapshot list`
pub const SNAPSHOT_LIST: &str = "\
Times are UTC's. PROVEN: fleet snapshot verify has read all of it back without
finding a flaw.

Examples:
  fleet snapshot list
  fleet snapshot list --store /srv/snapshots -o json | jq '.[].id'";

/// `fleet snapshot show` and `diff`
pub const SNAPSHOT_ID: &str = "\
Examples:
  fleet snapshot show latest
  fleet snapshot show val-1:latest --files
  fleet snapshot diff 01JD7Q val-1:latest";

/// `fleet snapshot verify`
pub const SNAPSHOT_VERIFY: &str = "\
Every segment is read and every file's SHA-256 compared. What is found names the
file and the snapshots that need it. Exit code: 0, or 1 when something is
damaged.

Examples:
  fleet snapshot verify
  fleet snapshot verify val-1:latest
  fleet snapshot verify --subset 1/7";

/// `fleet snapshot prune`
pub const SNAPSHOT_PRUNE: &str = "\
What any rule keeps stays, and of each host, service and profile the newest that
was verified stays, too. Hours, days, weeks and months are UTC's. Segments that
no snapshot needs are set aside first and removed by a later prune, once they
have lain there for the grace time.

Examples:
  fleet snapshot prune --dry-run
  fleet snapshot prune --keep-last 3 --keep-daily 7 --keep-within 48h";

/// `fleet snapshot copy`
pub const SNAPSHOT_COPY: &str = "\
Only segments that aren't there yet are copied; each is checked on its way.

Example:
  fleet snapshot copy /mnt/usb/snapshots val-1:latest";

/// `fleet schedule`
pub const SCHEDULE: &str = "\
A schedule is a [[schedule]] of the inventory. A clock of this machine, a systemd
timer or a line of a crontab, calls 'fleet schedule run-due' every five minutes:
what is due is made, verified, and pruned by [backup.keep]; what was missed is
made up for once. Two of one chain never go on at once. A validator's data is
kept only if its name or role is in the schedule's hosts.

Examples:
  fleet schedule install --dry-run
  fleet schedule list";

/// `fleet schedule install`
pub const SCHEDULE_INSTALL: &str = "\
Installed once, it need not be installed again when schedules change. It works
while nobody is logged in, so keys must be usable without an agent; a user's own
timer then needs lingering: loginctl enable-linger.

Examples:
  fleet schedule install
  sudo fleet -i /etc/fleet/inventory.toml schedule install --system ops
  fleet schedule install --cron --dry-run";

/// `fleet schedule run-due`
pub const SCHEDULE_RUN_DUE: &str = "\
Without a terminal and -v it says nothing as long as all is well. Exit code: 0
when nothing was due or all was made and verified; that of the backup that failed
(1 also when a snapshot is damaged), or 4 when several failed differently; 75 when
another run-due works on the chain, or another run holds a host: what is due then
stays due.

Examples:
  fleet schedule run-due
  fleet schedule run-due --now config";

/// `fleet rules`
pub const RULES: &str = "\
Examples:
  fleet rules
  fleet rules signer-pair";

/// `fleet demo`
pub const DEMO: &str = "\
It needs no terminal, no root and no hosts, takes less than half a minute and
leaves nothing behind. Exit code: 0 if the simulated chain advances at the end.";

/// `fleet completions`
pub const COMPLETIONS: &str = "\
Example:
  fleet completions bash > ~/.local/share/bash-completion/completions/fleet";

/// `fleet man`
pub const MAN: &str = "\
Example:
  fleet man > fleet.1 && man ./fleet.1";

/// `fleet restore`
pub const RESTORE: &str = "\
The snapshot is proven in the store, brought into a folder beside the databases
while the node runs, and hashed there. Then the node is stopped, each database
is exchanged by renames, and the node starts. The old databases stay beside them
as NAME.fleet-RUN: fleet restore release removes them. Keys, the signer's state
and the WAL stay as they are, whatever the age of the snapshot. Of several hosts
all are stopped, then all exchanged, then started in order. Only databases (the
profile data) are restored; everything else is unpacked by hand: zstd -dc SEGMENT |
tar x, with the segments that fleet snapshot show --files lists, and its links.

Refused: a snapshot of another chain, genesis or kind of databases, no space, a
key without its signer's state, and, but for the whole fleet, what would take
the voting power under the quorum. The first Ctrl-C while the snapshot comes
leaves at once; fleet resume goes on with what is there.

Examples:
  fleet restore latest val-3 --store /srv/fleet --dry-run
  fleet restore sentry-1:latest val-3 val-4 --store /srv/fleet
  fleet restore 01JD7Q 'chain:virtengine' --store /srv/fleet";

/// `fleet restore release`
pub const RESTORE_RELEASE: &str = "\
Only what a restore has exchanged is removed, and snapshots that came, or a part
of one, but were never put in place; not those of a run that holds its host.

Examples:
  fleet restore release val-3
  fleet restore release val-3 --run 01JD7QW0J5Y4C8NF";

//! What a run leaves on the controller: its plan and its events, on disk before a byte goes to a host.
//!
//! A run is a folder `runs/<id>` with `plan.json`, `events.jsonl` (one event a line) and `lock`, which is held
//! (`flock`) for as long as a fleet works on the run.

mod id;
mod places;
pub mod powers;
mod schedules;
mod store;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FallocateFlags, FlockOperation};

pub use crate::journal::id::new as new_id;
pub use crate::journal::places::Places;
pub use crate::journal::schedules::{Schedules, put};
pub use crate::journal::store::{Past, RunDir, Stored, last_unfinished, left_on, list};

use crate::engine::Recorder;
use crate::error::{Error, Kind, Result};
use crate::model::event::{Event, What};
use crate::model::plan::Plan;

const PLAN: &str = "plan.json";
const EVENTS: &str = "events.jsonl";
const LOCK: &str = "lock";
/// Room for events that is taken before the run, so that a full disk is met then and not in the middle, bytes.
const ROOM: u64 = 1 << 20;

/// The journal of a run that goes on. It holds the run's lock until it is dropped.
#[derive(Debug)]
pub struct Journal {
    run: RunDir,
    events: File,
    /// Bytes of whole lines.
    length: u64,
    _lock: File,
}

impl Journal {
    /// Makes the folder of a new run that begins now (Unix ms): plan written, everything on disk, no event yet.
    pub fn create(places: &Places, plan: &Plan, now_ms: i64) -> Result<Self> {
        let runs = places.runs();
        lay_out(&runs, plan, now_ms).map_err(|error| {
            Error::usage(format!("the run can't be recorded in {}: {error}; nothing was touched", runs.display()))
                .hint("make room there, or set XDG_STATE_HOME to a folder that fleet may write to")
        })
    }

    /// Takes up a run whose fleet is gone. A line that was cut off when it died is removed: its event was never
    /// acted upon.
    pub fn take_up(run: &RunDir) -> Result<Self> {
        let lock = hold(&run.path().join(LOCK)).map_err(|error| cannot_hold(run, &error))?;
        let length = run.past()?.length;
        let path = run.path().join(EVENTS);
        let open = || -> io::Result<File> {
            let events = OpenOptions::new().append(true).open(&path)?;
            events.set_len(length)?;
            reserve(&events, length)?;
            events.sync_all()?;
            Ok(events)
        };
        let events = open().map_err(|error| Error::failed(format!("{}: {error}", path.display())))?;
        Ok(Self { run: run.clone(), events, length, _lock: lock })
    }

    /// The folder it writes to.
    pub fn run(&self) -> &RunDir {
        &self.run
    }
}

impl Recorder for Journal {
    fn record(&mut self, event: &Event) -> io::Result<()> {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        if let Err(error) = self.events.write_all(&line) {
            // Half a line would spoil the next one.
            let _ = self.events.set_len(self.length);
            return Err(error);
        }
        self.length += line.len() as u64;
        if matches!(event.what, What::RunEnded { .. }) {
            // What is left of the room is free again: schedules make many runs.
            let _ = self.events.set_len(self.length);
        }
        self.events.sync_data()
    }
}

/// Everything is made in a draft folder and then renamed: a run is there whole or not at all.
fn lay_out(runs: &Path, plan: &Plan, now_ms: i64) -> io::Result<Journal> {
    private_folders().recursive(true).create(runs)?;
    let id = id::new(now_ms);
    let draft = runs.join(format!(".new-{id}"));
    private_folders().create(&draft)?;
    let run = RunDir::at(runs, &id);
    let made = fill(&draft, plan).and_then(|files| {
        fs::rename(&draft, run.path())?;
        for folder in runs.ancestors().take(3) {
            sync_folder(folder)?;
        }
        Ok(files)
    });
    match made {
        Ok((events, lock)) => Ok(Journal { run, events, length: 0, _lock: lock }),
        Err(error) => {
            let _ = fs::remove_dir_all(&draft);
            Err(error)
        }
    }
}

/// Writes the draft; the file for events and the lock that is held.
fn fill(draft: &Path, plan: &Plan) -> io::Result<(File, File)> {
    let mut text = serde_json::to_vec_pretty(plan)?;
    text.push(b'\n');
    let mut file = private_file(&draft.join(PLAN))?;
    file.write_all(&text)?;
    file.sync_all()?;
    let events = private_file(&draft.join(EVENTS))?;
    reserve(&events, 0)?;
    events.sync_all()?;
    private_file(&draft.join(LOCK))?;
    let lock = hold(&draft.join(LOCK))?;
    sync_folder(draft)?;
    Ok((events, lock))
}

fn private_folders() -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.mode(0o700);
    builder
}

fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Takes room on disk without making the file longer, where the file system can.
fn reserve(events: &File, length: u64) -> io::Result<()> {
    match rustix::fs::fallocate(events, FallocateFlags::KEEP_SIZE, length, ROOM) {
        Err(error) if error == rustix::io::Errno::NOSPC || error == rustix::io::Errno::DQUOT => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Holds the lock and writes down who does. Someone who only looks may have it for a moment.
fn hold(path: &Path) -> io::Result<File> {
    const TRIES: u32 = 10;
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    for attempt in 1.. {
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => break,
            Err(error) if attempt == TRIES => return Err(error.into()),
            Err(_) => std::thread::sleep(Duration::from_millis(30)),
        }
    }
    file.set_len(0)?;
    file.write_all(std::process::id().to_string().as_bytes())?;
    Ok(file)
}

fn cannot_hold(run: &RunDir, error: &io::Error) -> Error {
    if error.kind() != io::ErrorKind::WouldBlock {
        return Error::failed(format!("the lock of run {} can't be taken: {error}", run.id()));
    }
    let pid = holder(&run.path().join(LOCK)).map_or(String::new(), |pid| format!(" (process {pid})"));
    Error::new(Kind::Locked, format!("run {} still goes on: another fleet{pid} works on it", run.id()))
        .hint(format!("fleet runs show --follow {}", run.id()))
}

/// Whether a fleet works on the run of this lock.
fn is_held(path: &Path) -> bool {
    let Ok(file) = OpenOptions::new().read(true).write(true).open(path) else { return false };
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) == Err(rustix::io::Errno::WOULDBLOCK)
}

fn holder(path: &Path) -> Option<u32> {
    let mut text = String::new();
    let mut file = File::open(path).ok()?;
    file.rewind().ok()?;
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

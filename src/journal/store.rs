//! Reading runs back: one by its id, all of them, the last that isn't finished.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::journal::{EVENTS, LOCK, PLAN, Places, id, is_held};
use crate::model::event::{Event, RunState};
use crate::model::nearest::did_you_mean;
use crate::model::plan::{FORMAT, Plan};

/// The folder of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunDir {
    id: String,
    path: PathBuf,
}

/// The events of a run as they were read back.
#[derive(Debug, Clone, PartialEq)]
pub struct Past {
    /// Whole lines, in order.
    pub events: Vec<Event>,
    /// The start of a last line that was cut off when fleet or its machine died; it was never acted upon.
    pub dropped: Option<String>,
    /// Bytes of the whole lines.
    pub(super) length: u64,
}

/// Everything that is kept of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// What was to be done.
    pub plan: Plan,
    /// What happened.
    pub past: Past,
    /// What that comes to.
    pub state: RunState,
    /// Whether a fleet works on it now.
    pub alive: bool,
}

impl Stored {
    /// Whether something is left that `fleet resume` could do.
    pub fn is_unfinished(&self) -> bool {
        let stages_left = self.state.done_stages.len() < self.plan.stages.len();
        match &self.state.ended {
            // Its fleet died: if nothing was touched, its locks are left.
            None => true,
            // Done, or all done but no block.
            Some((0 | 1, _)) => false,
            // Whatever kept it from going on: what was begun may still be brought to its end.
            Some(_) => self.state.touched() && stages_left,
        }
    }

    /// Whether it has changed something, isn't finished, and nobody works on it.
    pub fn is_left(&self) -> bool {
        self.is_unfinished() && self.state.touched() && !self.alive
    }
}

impl RunDir {
    pub(super) fn at(runs: &Path, id: &str) -> Self {
        Self { id: id.to_owned(), path: runs.join(id) }
    }

    /// The run of this id, or the only one whose id begins so.
    pub fn open(places: &Places, text: &str) -> Result<Self> {
        let all = list(places)?;
        let wanted = text.trim().to_uppercase();
        let mut found: Vec<&Self> = all.iter().filter(|run| run.id.starts_with(&wanted)).collect();
        match found.as_slice() {
            _ if wanted.is_empty() => Err(no_such_run(places, text, &all)),
            [] => Err(no_such_run(places, text, &all)),
            [only] => Ok((*only).clone()),
            several => {
                let count = several.len();
                found.truncate(5);
                let ids: Vec<&str> = found.iter().map(|run| run.id.as_str()).collect();
                Err(Error::usage(format!("{count} runs begin with {wanted}"))
                    .hint(format!("write more of the id: {}", ids.join(", "))))
            }
        }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a fleet works on it now.
    pub fn is_alive(&self) -> bool {
        is_held(&self.path.join(LOCK))
    }

    /// Its plan. Another format than ours is refused.
    pub fn plan(&self) -> Result<Plan> {
        #[derive(Deserialize)]
        struct Numbered {
            format: u32,
        }
        let path = self.path.join(PLAN);
        let bytes = fs::read(&path).map_err(|error| unreadable(&path, &error))?;
        let spoilt = |error: serde_json::Error| Error::failed(format!("{}:{error}", path.display()));
        let Numbered { format } = serde_json::from_slice(&bytes).map_err(spoilt)?;
        if format != FORMAT {
            let text = format!("{}: format {format}, but this fleet knows only format {FORMAT}", path.display());
            return Err(Error::failed(text).hint("use the fleet that made this run"));
        }
        serde_json::from_slice(&bytes).map_err(spoilt)
    }

    /// Its events. Only the last line may be cut off.
    pub fn past(&self) -> Result<Past> {
        let path = self.path.join(EVENTS);
        let bytes = fs::read(&path).map_err(|error| unreadable(&path, &error))?;
        let length = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let (whole, rest) = bytes.split_at(length);
        let mut events = Vec::new();
        for (index, line) in whole.split_inclusive(|byte| *byte == b'\n').enumerate() {
            events.push(serde_json::from_slice(line).map_err(|error| bad_line(&path, index + 1, &error))?);
        }
        let dropped = (!rest.is_empty()).then(|| String::from_utf8_lossy(rest).into_owned());
        Ok(Past { events, dropped, length: length as u64 })
    }

    /// Everything that is kept of it.
    pub fn read(&self) -> Result<Stored> {
        // Asked first: a fleet that ends in between has then written its last event already.
        let alive = self.is_alive();
        let (plan, past) = (self.plan()?, self.past()?);
        let state = RunState::of(&past.events);
        Ok(Stored { plan, past, state, alive })
    }
}

/// All runs, newest first.
pub fn list(places: &Places) -> Result<Vec<RunDir>> {
    let runs = places.runs();
    let entries = match fs::read_dir(&runs) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.and_then(Iterator::collect::<io::Result<Vec<_>>>).map_err(|error| unreadable(&runs, &error))?,
    };
    let names = entries.iter().filter_map(|entry| entry.file_name().into_string().ok());
    let mut ids: Vec<String> = names.filter(|name| id::is_id(name)).collect();
    ids.sort_by(|a, b| b.cmp(a));
    Ok(ids.iter().map(|id| RunDir::at(&runs, id)).collect())
}

/// The newest run that isn't finished. One that can't be read is an error: it may be the one.
pub fn last_unfinished(places: &Places) -> Result<Option<RunDir>> {
    for run in list(places)? {
        if run.read()?.is_unfinished() {
            return Ok(Some(run));
        }
    }
    Ok(None)
}

/// The newest run that changed something on this chain, if it is left unfinished, with its id. A journal that can't be
/// read is passed over: this only reminds.
pub fn left_on(places: &Places, chain_id: &str) -> Option<(String, Stored)> {
    let stored = list(places).ok()?.into_iter().filter_map(|run| Some((run.id().to_owned(), run.read().ok()?)));
    let mut changed = stored.filter(|(_, one)| one.plan.chain_id == chain_id && one.state.touched());
    changed.next().filter(|(_, one)| one.is_left())
}

fn unreadable(path: &Path, error: &io::Error) -> Error {
    Error::failed(format!("{}: {error}", path.display()))
}

fn bad_line(path: &Path, line: usize, error: &serde_json::Error) -> Error {
    Error::failed(format!("{}:{line}: not an event: {error}", path.display()))
        .hint("the file was changed or its disk is failing; fleet lock show tells what the hosts recorded")
}

fn no_such_run(places: &Places, text: &str, all: &[RunDir]) -> Error {
    let error = Error::usage(format!("there is no run \"{text}\" in {}", places.runs().display()));
    if all.is_empty() {
        return error.hint("no run was made yet on this machine by this user");
    }
    let ids: Vec<&str> = all.iter().map(RunDir::id).collect();
    let recent = format!("the most recent runs are {}", ids[..ids.len().min(3)].join(", "));
    match did_you_mean(text, ids) {
        Some(meant) => error.hint(meant).hint(recent),
        None => error.hint(recent),
    }
}

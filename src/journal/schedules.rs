//! What is remembered of schedules, and the lock that keeps two of one chain apart.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::powers::file_name;
use super::{hold, holder, is_held, private_file, private_folders};
use crate::error::{Error, Result};
use crate::journal::Places;
use crate::model::schedule::{FORMAT, Record};

/// The schedules of one fleet, in `schedules/<fleet>/<schedule>.json`.
#[derive(Debug, Clone)]
pub struct Schedules {
    folder: PathBuf,
    fleet: String,
}

/// A chain's turn; given back when it is dropped.
#[derive(Debug)]
pub struct Turn {
    _lock: File,
}

impl Schedules {
    /// Those of the fleet of this name.
    pub fn of(places: &Places, fleet: &str) -> Self {
        Self { folder: places.state.join("schedules"), fleet: file_name(fleet) }
    }

    fn path(&self, schedule: &str) -> PathBuf {
        self.folder.join(&self.fleet).join(format!("{schedule}.json"))
    }

    /// What is remembered of a schedule; `None` of one that was never seen.
    pub fn read(&self, schedule: &str) -> Result<Option<Record>> {
        let path = self.path(schedule);
        let failed = |error: &dyn std::fmt::Display| {
            Error::failed(format!("{}: {error}", path.display()))
                .hint("if it can't be mended, remove it: the schedule then counts as new")
        };
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(|error| failed(&error))?,
        };
        match serde_json::from_slice::<Record>(&bytes) {
            Ok(record) if record.format == FORMAT => Ok(Some(record)),
            Ok(record) => Err(failed(&format!("format {}, but this fleet knows only format {FORMAT}", record.format))),
            Err(error) => Err(failed(&error)),
        }
    }

    /// Remembers it, on disk.
    pub fn write(&self, schedule: &str, record: &Record) -> Result<()> {
        let path = self.path(schedule);
        let failed = |error: io::Error| {
            Error::failed(format!("{}: {error}", path.display()))
                .hint("make room there, or set XDG_STATE_HOME to a folder that fleet may write to")
        };
        private_folders().recursive(true).create(self.folder.join(&self.fleet)).map_err(failed)?;
        let text = serde_json::to_vec_pretty(record).map_err(|error| failed(error.into()))?;
        put(&path, &text, 0o600).map_err(failed)
    }

    /// Whether somebody has the turn of a chain.
    pub fn is_taken(&self, chain_id: &str) -> bool {
        is_held(&self.lock(chain_id))
    }

    fn lock(&self, chain_id: &str) -> PathBuf {
        self.folder.join(format!("{}.lock", file_name(chain_id)))
    }

    /// The turn of a chain, or the process that has it, where that is known.
    pub fn turn(&self, chain_id: &str) -> Result<std::result::Result<Turn, Option<u32>>> {
        let path = self.lock(chain_id);
        let take = || -> io::Result<File> {
            private_folders().recursive(true).create(&self.folder)?;
            match private_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
            hold(&path)
        };
        match take() {
            Ok(lock) => Ok(Ok(Turn { _lock: lock })),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Err(holder(&path))),
            Err(error) => Err(Error::failed(format!("{}: {error}", path.display()))),
        }
    }
}

/// Puts a file in the place of an old one: a reader sees one of them whole.
pub fn put(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().permissions(fs::Permissions::from_mode(mode)).tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    super::sync_folder(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(folder: &Path) -> Places {
        Places { state: folder.join("state"), cache: folder.join("cache") }
    }

    #[test]
    fn what_is_remembered_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let schedules = Schedules::of(&places(folder.path()), "my fleet");
        assert_eq!(schedules.read("a").unwrap(), None);
        let record = Record { failures: 3, ..Record::new(7) };
        schedules.write("a", &record).unwrap();
        assert_eq!(schedules.read("a").unwrap(), Some(record));
        assert_eq!(Schedules::of(&places(folder.path()), "another").read("a").unwrap(), None);
    }

    #[test]
    fn a_spoilt_one_is_named_and_not_taken_for_new() {
        let folder = tempfile::tempdir().unwrap();
        let schedules = Schedules::of(&places(folder.path()), "f");
        schedules.write("a", &Record::new(7)).unwrap();
        for (text, what) in
            [("{", "EOF"), (&fs::read_to_string(schedules.path("a")).unwrap().replace('1', "9"), "format 9")]
        {
            fs::write(schedules.path("a"), text).unwrap();
            let error = schedules.read("a").unwrap_err().to_string();
            assert!(error.contains("f/a.json: ") && error.contains(what) && error.contains("next: "), "{error}");
        }
    }

    #[test]
    fn a_chain_has_one_turn_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let schedules = Schedules::of(&places(folder.path()), "f");
        let turn = schedules.turn("chain-1").unwrap().unwrap();
        assert_eq!(schedules.turn("chain-1").unwrap().unwrap_err(), Some(std::process::id()));
        assert!(schedules.turn("chain-2").unwrap().is_ok());
        drop(turn);
        assert!(schedules.turn("chain-1").unwrap().is_ok());
    }
}

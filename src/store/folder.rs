//! A store in a local directory: `.partial`, fsync, rename, fsync of the directory.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use tempfile::NamedTempFile;

use super::objects::{Object, Objects, Put};
use crate::model::snapshot::path_flaw;

/// Where files are that aren't finished.
const PARTIAL: &str = "partial";
/// What a new file system has in its root.
const LOST_AND_FOUND: &str = "lost+found";

/// A local directory.
#[derive(Debug, Clone)]
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    /// This directory; it is made when the first object is put, but never the one it is in: that may be a disk that
    /// isn't mounted.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    fn path(&self, name: &str) -> io::Result<PathBuf> {
        match path_flaw(name) {
            Some(flaw) => Err(io::Error::new(io::ErrorKind::InvalidInput, flaw)),
            None => Ok(self.root.join(name)),
        }
    }
}

#[async_trait]
impl Objects for Folder {
    fn place(&self) -> String {
        self.root.display().to_string()
    }

    async fn is_empty(&self) -> io::Result<bool> {
        let entries = match fs::read_dir(&self.root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            entries => entries?,
        };
        for entry in entries {
            if !is_ours(&entry?.file_name()) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn stage(&self) -> io::Result<NamedTempFile> {
        let folder = self.root.join(PARTIAL);
        make(&self.root, &folder)?;
        loop {
            let file = tempfile::Builder::new().suffix(".partial").tempfile_in(&folder)?;
            // Held as long as it is open, so that another fleet's sweep leaves it; one that came in between took it.
            file.as_file().lock()?;
            if file.as_file().metadata()?.nlink() > 0 {
                return Ok(file);
            }
        }
    }

    async fn put(&self, name: &str, file: NamedTempFile, how: Put) -> io::Result<()> {
        let (root, path) = (self.root.clone(), self.path(name)?);
        blocking(move || {
            let folder = path.parent().unwrap_or(&root);
            make(&root, folder)?;
            file.as_file().sync_all()?;
            match how {
                Put::New => file.persist_noclobber(&path),
                Put::Replace => file.persist(&path),
            }
            .map_err(|error| error.error)?;
            sync(folder)
        })
        .await
    }

    async fn open(&self, name: &str) -> io::Result<File> {
        let path = self.path(name)?;
        blocking(move || File::open(path)).await
    }

    async fn size(&self, name: &str) -> io::Result<u64> {
        let path = self.path(name)?;
        blocking(move || Ok(fs::metadata(path)?.len())).await
    }

    async fn list(&self, under: &str) -> io::Result<Vec<Object>> {
        let (root, folder) = (self.root.clone(), self.path(under)?);
        blocking(move || {
            let mut found = Vec::new();
            walk(&root, &folder, &mut found)?;
            found.sort();
            Ok(found)
        })
        .await
    }

    async fn remove(&self, name: &str) -> io::Result<()> {
        let path = self.path(name)?;
        blocking(move || {
            fs::remove_file(&path)?;
            path.parent().map_or(Ok(()), sync)
        })
        .await
    }

    async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (root, from, to) = (self.root.clone(), self.path(from)?, self.path(to)?);
        blocking(move || {
            let folder = to.parent().unwrap_or(&root);
            make(&root, folder)?;
            fs::rename(&from, &to)?;
            sync(folder)?;
            from.parent().map_or(Ok(()), sync)
        })
        .await
    }

    async fn sweep(&self) -> io::Result<()> {
        let folder = self.root.join(PARTIAL);
        blocking(move || {
            let entries = match fs::read_dir(&folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                entries => entries?,
            };
            for entry in entries {
                let path = entry?.path();
                if File::open(&path).is_ok_and(|file| file.try_lock().is_ok()) {
                    let _ = fs::remove_file(&path);
                }
            }
            Ok(())
        })
        .await
    }
}

fn is_ours(name: &std::ffi::OsStr) -> bool {
    name == PARTIAL || name == LOST_AND_FOUND
}

/// Runs what waits for a disk where it keeps nobody else.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Makes a folder of `root`, durably, and `root` itself, but nothing above it.
fn make(root: &Path, folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = folder.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if folder != root {
        make(root, above)?;
    }
    match fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => sync(above),
    }
}

fn walk(root: &Path, folder: &Path, found: &mut Vec<Object>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        // It is made with its first object.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        match entry.metadata() {
            Ok(data) if data.is_dir() => walk(root, &path, found)?,
            Ok(data) if data.is_file() => {
                let name = path.strip_prefix(root).ok().and_then(Path::to_str).map(str::to_owned);
                found.extend(name.map(|name| Object { name, size: data.len() }));
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

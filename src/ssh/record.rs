//! Writing host keys to `known_hosts` files: whole or not at all, and other lines stay as they are.

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use russh::keys::PublicKey;
use russh::keys::ssh_key::public::KeyData;
use rustix::fs::{Access, FlockOperation, access, flock};

use super::known_hosts::{edit, hash_name};
use super::settings::Settings;

/// What is to be changed about one host.
#[derive(Debug, Clone)]
pub struct Change {
    /// The name it is looked up by.
    pub name: String,
    /// Whether that is hashed.
    pub hashed: bool,
    /// The keys to record.
    pub add: Vec<PublicKey>,
    /// The recorded keys that no longer hold.
    pub forget: Vec<KeyData>,
}

impl Change {
    fn lines(&self) -> String {
        let names = || if self.hashed { hash_name(&rand::random(), &self.name) } else { self.name.clone() };
        self.add.iter().map(|key| edit::line(&names(), key)).collect()
    }
}

/// The file that new keys of a host go to: the first of its files that can be written, or made.
pub fn first_writable(settings: &Settings) -> Option<&Path> {
    settings.known_hosts.iter().map(PathBuf::as_path).find(|file| is_writable(file))
}

fn is_writable(file: &Path) -> bool {
    match fs::metadata(file) {
        // `/dev/null` is what ssh_config names for "nowhere".
        Ok(found) => found.is_file() && access(file, Access::WRITE_OK).is_ok(),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let file = std::path::absolute(file).unwrap_or_default();
            let above = file.ancestors().skip(1).find(|folder| folder.exists());
            above.is_some_and(|folder| folder.is_dir() && access(folder, Access::WRITE_OK).is_ok())
        }
        Err(_) => false,
    }
}

/// Carries out `changes` in `file`. Where lines are taken away the file as it was stays beside it; its path is
/// returned.
pub fn record(file: &Path, changes: &[Change]) -> io::Result<Option<PathBuf>> {
    // Behind a symbolic link the file itself is changed.
    let file = &fs::canonicalize(file).or_else(|_| std::path::absolute(file))?;
    let folder = file.parent().ok_or_else(|| io::Error::other("it is no file"))?;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let lock = File::open(folder)?;
    flock(&lock, FlockOperation::LockExclusive)?;
    let before = match fs::read(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        read => read?,
    };
    let kept = changes.iter().fold(before.clone(), |text, one| edit::forget(&text, &one.name, &one.forget));
    let copy = if kept == before { None } else { Some(keep(file, &before)?) };
    let lines: String = changes.iter().map(Change::lines).collect();
    replace(file, folder, &edit::append(kept, &lines))?;
    Ok(copy)
}

/// Writes a copy beside `file`, under a name that is free.
fn keep(file: &Path, text: &[u8]) -> io::Result<PathBuf> {
    let time = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let named = |suffix: &str| PathBuf::from(format!("{}.before-{time}{suffix}", file.display()));
    let free = (2..).map(|count| format!("-{count}"));
    for path in std::iter::once(String::new()).chain(free).map(|suffix| named(&suffix)) {
        match File::create_new(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            created => {
                let mut copy = created?;
                copy.set_permissions(Permissions::from_mode(0o600))?;
                copy.write_all(text)?;
                copy.sync_all()?;
                return Ok(path);
            }
        }
    }
    Err(io::Error::other("no name is free for a copy of it"))
}

/// Puts a new file in place of the old one, with its owner and permissions.
fn replace(file: &Path, folder: &Path, text: &[u8]) -> io::Result<()> {
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    new.write_all(text)?;
    if let Ok(old) = fs::metadata(file) {
        new.as_file().set_permissions(Permissions::from_mode(old.mode() & 0o777))?;
        fchown(new.as_file(), Some(old.uid()), Some(old.gid()))?;
    }
    new.as_file().sync_all()?;
    new.persist(file)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILIG2T/B0l0gaqj3puu510tu9N1OkQ4znY3LYuEm5zCF";
    const NEW: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBhtYcaHwqnGAkPKnvFBaxYbP9vUuC0qMKY3CZ5oBCeS";

    fn change(forget: &[&str]) -> Change {
        let key = |text: &str| PublicKey::from_openssh(text).unwrap();
        let forget = forget.iter().map(|text| key(text).key_data().clone()).collect();
        Change { name: "a".into(), hashed: false, add: vec![key(NEW)], forget }
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn a_new_file_and_its_folder_are_private() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(".ssh/known_hosts");
        assert_eq!(record(&file, &[change(&[])]).unwrap(), None);
        assert_eq!(fs::read_to_string(&file).unwrap(), format!("a {NEW}\n"));
        assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
    }

    #[test]
    fn what_was_there_keeps_its_mode_its_link_and_a_copy_where_lines_go() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        let before = format!("b {OLD}\na {OLD}\n# no end");
        fs::write(&real, &before).unwrap();
        fs::set_permissions(&real, Permissions::from_mode(0o644)).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let copy = record(&link, &[change(&[OLD])]).unwrap().unwrap();
        assert_eq!(fs::read_to_string(&real).unwrap(), format!("b {OLD}\n# no end\na {NEW}\n"));
        assert_eq!((mode(&real), link.is_symlink()), (0o644, true));
        assert_eq!((fs::read_to_string(&copy).unwrap(), mode(&copy)), (before, 0o600));
        fs::write(&real, format!("a {OLD}\n")).unwrap();
        let second = record(&link, &[change(&[OLD])]).unwrap().unwrap();
        assert_ne!(copy, second);
    }

    #[test]
    fn a_device_is_nowhere_to_write_to() {
        assert!(!is_writable(Path::new("/dev/null")));
        assert!(!is_writable(Path::new("/dev/null/known_hosts")));
    }
}

//! What a host holds: listed, hashed and streamed, either way, each over a connection of its own.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::rate::Rate;
use super::scripts;
use super::shell::{Script, open_script};
use super::{Link, LinkError, LinkErrorKind};
use crate::model::inventory::Become;
use crate::model::snapshot::is_sha256;

mod found;
mod pace;
mod receive;

pub use found::Found;
use found::{list, lists};
use pace::Pace;
pub use receive::{Kept, Receiver, Receiving, Unpacking};

/// How long a listing or a stream may stand still.
const STILL: Duration = Duration::from_secs(60);
/// The least bytes of an archive that must come in that time.
const SLOWEST: usize = 16 << 10;
/// How long one file may take to be hashed.
const HASHING: Duration = Duration::from_secs(900);
/// How long a dump may stand still: it may wait for a lock of the database.
const DUMPING: Duration = Duration::from_secs(300);
/// The most bytes of a list.
const LONGEST: usize = 1 << 30;
/// Pieces of a stream on their way to its reader.
const PIECES: usize = 16;
/// Bytes of text sent at once.
const SENT: usize = 32 << 10;

/// A host whose files are read, or sent.
#[derive(Clone)]
pub struct Source {
    link: Arc<Link>,
    r#become: Become,
    rate: Option<Arc<Rate>>,
}

impl Source {
    /// Over a connection for bulk ([`super::Links::bulk`]).
    pub fn new(link: Arc<Link>, r#become: Become) -> Self {
        Self { link, r#become, rate: None }
    }

    /// The same, of whose archives no more comes in a second than this lets through.
    #[must_use]
    pub fn limited(self, rate: Option<Arc<Rate>>) -> Self {
        Self { rate, ..self }
    }

    /// Whether its connection has ended.
    pub fn is_closed(&self) -> bool {
        self.link.is_closed()
    }

    /// What is below these folders, without crossing into other file systems.
    pub async fn list(&self, folders: &[&str]) -> Result<Vec<Vec<Found>>, LinkError> {
        self.lists(scripts::LIST, folders).await
    }

    /// What of these folders has a name like these, by a pattern of `find -path`, and what is below it: a list for each pair of
    /// a folder and a pattern.
    pub async fn list_named(&self, folders: &[(&str, &str)]) -> Result<Vec<Vec<Found>>, LinkError> {
        let words: Vec<&str> = folders.iter().flat_map(|(folder, pattern)| [*folder, *pattern]).collect();
        self.lists(scripts::LIST_NAMED, &words).await
    }

    /// What is in a clone of databases, and the names of tables that these had as well, which are in the store.
    pub async fn list_clone(&self, clone: &str) -> Result<(Vec<Found>, Vec<String>), LinkError> {
        let text = self.text(scripts::LIST_CLONE, &[clone]).await?;
        let mut fields = text.strip_suffix(b"\0").unwrap_or_default().split(|byte| *byte == 0);
        let clone = list(&mut fields);
        let stored: Option<Vec<String>> = fields.map(below).collect();
        clone.zip(stored).ok_or_else(|| self.unreadable())
    }

    /// Tells the clone that run `run` will make in `db_dir` which tables snapshot `id` has: lines as the host's own, each
    /// ended by a NUL, in order.
    pub async fn tell_known(&self, run: &str, db_dir: &str, id: &str, tables: Vec<u8>) -> Result<(), LinkError> {
        let mut script = open_script(&self.link, self.r#become, scripts::KNOWN, &[run, db_dir, id]).await?;
        let feeding = feed(&script, tables);
        while self.next(&mut script, STILL).await?.is_some() {}
        feeding.abort();
        Ok(())
    }

    /// Which of these files below `folder` hold a private key or a signer's state, by what is in them.
    pub async fn with_secrets(&self, folder: &str, names: &[String]) -> Result<Vec<String>, LinkError> {
        let mut script = open_script(&self.link, self.r#become, scripts::SECRETS, &[folder]).await?;
        let feeding = feed(&script, ended(&relative(names)));
        let text = self.all(&mut script, HASHING).await?;
        feeding.abort();
        Ok(text.split(|byte| *byte == 0).filter_map(below).collect())
    }

    async fn lists(&self, script: &str, words: &[&str]) -> Result<Vec<Vec<Found>>, LinkError> {
        lists(&self.text(script, words).await?).ok_or_else(|| self.unreadable())
    }

    async fn text(&self, script: &str, words: &[&str]) -> Result<Vec<u8>, LinkError> {
        let mut script = open_script(&self.link, self.r#become, script, words).await?;
        self.all(&mut script, STILL).await
    }

    /// All that a script writes.
    async fn all(&self, script: &mut Script, bound: Duration) -> Result<Vec<u8>, LinkError> {
        let mut text = Vec::new();
        while let Some(bytes) = self.next(script, bound).await? {
            text.extend_from_slice(&bytes);
            if text.len() > LONGEST {
                return Err(self.error("more files than can be listed"));
            }
        }
        Ok(text)
    }

    fn unreadable(&self) -> LinkError {
        self.error("its list of files can't be read")
    }

    /// The SHA-256 of files below `folder`, lower-case hex, in the order of `names`.
    pub async fn hash(&self, folder: &str, names: &[String]) -> Result<Vec<String>, LinkError> {
        let mut script = open_script(&self.link, self.r#become, scripts::HASH, &[folder]).await?;
        let feeding = feed(&script, ended(&relative(names)));
        let (mut hashes, mut rest) = (Vec::with_capacity(names.len()), Vec::new());
        while let Some(bytes) = self.next(&mut script, HASHING).await? {
            rest.extend_from_slice(&bytes);
            while let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=at).collect();
                hashes.push(hash_of(&line));
            }
        }
        feeding.abort();
        let whole = |hash: &String| hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        if hashes.len() == names.len() && hashes.iter().all(whole) {
            Ok(hashes)
        } else {
            Err(self.error("it did not hash every file"))
        }
    }

    /// The SHA-256 of the program of a unit whose node has this home, lower-case hex, where that can be told.
    pub async fn binary(&self, unit: &str, home: &str) -> Result<Option<String>, LinkError> {
        let args = [unit, home];
        let said = super::shell::run_script(&self.link, self.r#become, scripts::BINARY, &args, HASHING).await?;
        let hash = String::from_utf8_lossy(&said.stdout).trim().get(..64).map(str::to_owned);
        Ok(hash.filter(|hash| is_sha256(hash)))
    }

    /// A tar archive of files below `folder`, which is called `root` in it. What it is read from blocks: for a thread of
    /// its own.
    pub async fn pack(&self, root: &str, folder: &str, names: &[String]) -> Result<Packed, LinkError> {
        let script = open_script(&self.link, self.r#become, scripts::PACK, &[root, folder]).await?;
        let feeding = feed(&script, ended(names));
        Ok(self.pump(script, Pace::new(STILL, SLOWEST), Some(feeding)))
    }

    /// A dump of `PostgreSQL`'s database, made by the host's user `user`: SQL. It ends well only if `pg_dump` did.
    pub async fn dump(&self, user: &str, database: &str) -> Result<Packed, LinkError> {
        let script = open_script(&self.link, self.r#become, scripts::DUMP, &[user, database]).await?;
        Ok(self.pump(script, Pace::new(DUMPING, 0), None))
    }

    /// What a script writes, to be read by a thread of its own.
    fn pump(&self, mut script: Script, mut pace: Pace, feeding: Option<JoinHandle<()>>) -> Packed {
        let (pieces, receiver) = mpsc::channel(PIECES);
        let (host, rate) = (self.link.name().to_owned(), self.rate.clone());
        tokio::spawn(async move {
            loop {
                let (piece, last) = match pace.next(&host, script.bytes()).await {
                    Ok(Some(bytes)) => (Ok(bytes), false),
                    Ok(None) => break,
                    Err(error) => (Err(error.message), true),
                };
                if let (Some(rate), Ok(bytes)) = (&rate, &piece) {
                    rate.pass(bytes.len()).await;
                }
                if pieces.send(piece).await.is_err() || last {
                    break;
                }
            }
            if let Some(feeding) = feeding {
                feeding.abort();
            }
        });
        Packed { receiver, piece: Vec::new(), at: 0 }
    }

    /// Removes the clone that run `run` has made of the databases in `db_dir`.
    pub async fn unseal(&self, run: &str, db_dir: &str) -> Result<(), LinkError> {
        let args = [run, db_dir];
        super::shell::run_script(&self.link, self.r#become, scripts::UNSEAL, &args, HASHING).await.map(drop)
    }

    async fn next(&self, script: &mut Script, bound: Duration) -> Result<Option<Vec<u8>>, LinkError> {
        timeout(bound, script.bytes()).await.unwrap_or_else(|_| Err(stands_still(self.link.name(), bound)))
    }

    fn error(&self, what: &str) -> LinkError {
        LinkError::new(LinkErrorKind::Failed, format!("{}: {what}", self.link.name()))
    }
}

fn stands_still(host: &str, bound: Duration) -> LinkError {
    LinkError::new(LinkErrorKind::Overdue, format!("{host}: nothing came for {} s", bound.as_secs()))
}

/// The hash of a line of `sha256sum`, which begins it with a backslash where the name has one.
fn hash_of(line: &[u8]) -> String {
    let line = line.strip_prefix(b"\\").unwrap_or(line);
    String::from_utf8_lossy(line.get(..64).unwrap_or_default()).into_owned()
}

/// No name is then an option of a program.
fn relative(names: &[String]) -> Vec<String> {
    names.iter().map(|name| format!("./{name}")).collect()
}

/// The name below the folder of one that is [`relative`].
fn below(name: &[u8]) -> Option<String> {
    Some(std::str::from_utf8(name).ok()?.strip_prefix("./")?.to_owned())
}

/// Names, each ended by a NUL.
fn ended(names: &[String]) -> Vec<u8> {
    names.iter().flat_map(|name| name.bytes().chain([0])).collect()
}

/// Sends text, and then the end of the input.
fn feed(script: &Script, text: Vec<u8>) -> JoinHandle<()> {
    let input = script.input();
    tokio::spawn(async move {
        let text = Bytes::from(text);
        for start in (0..text.len()).step_by(SENT) {
            if input.write(text.slice(start..text.len().min(start + SENT))).await.is_err() {
                return;
            }
        }
        let _ = input.eof().await;
    })
}

/// A stream on its way: a tar archive, or a dump. Reading blocks.
pub struct Packed {
    receiver: mpsc::Receiver<Result<Vec<u8>, String>>,
    piece: Vec<u8>,
    at: usize,
}

impl Read for Packed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.piece.len() {
            match self.receiver.blocking_recv() {
                Some(Ok(piece)) => (self.piece, self.at) = (piece, 0),
                Some(Err(reason)) => return Err(io::Error::other(reason)),
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.piece.len() - self.at);
        buffer[..count].copy_from_slice(&self.piece[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_without_pg_dump_says_what_to_install() {
        let mut shell = std::process::Command::new("/bin/sh");
        shell.args(["-c", scripts::DUMP, "sh", "postgres", "provider"]).env_clear().env("PATH", "/nonexistent");
        let output = shell.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains("install postgresql-client"), "{said}");
        assert_eq!(output.stdout, b"");
    }

    #[test]
    fn paths_are_listed_whether_folders_files_or_not_there() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("x"), "12345").unwrap();
        let file = folder.path().join("x");
        let mut shell = std::process::Command::new("/bin/sh");
        shell.args(["-c", scripts::LIST, "sh"]).arg(folder.path()).arg(&file).arg(file.join("y")).arg("/nonexistent");
        let all = lists(&shell.output().unwrap().stdout).unwrap();
        let shown: Vec<Vec<(char, u64, &[u8])>> =
            all.iter().map(|list| list.iter().map(|one| (one.kind, one.size, &one.name[..])).collect()).collect();
        let nothing = vec![('-', 0, &b""[..])];
        assert_eq!(shown, [vec![('f', 5, &b"x"[..])], vec![('f', 5, &b""[..])], nothing.clone(), nothing]);
    }

    #[test]
    fn a_links_target_is_listed_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("keyring-l");
        std::os::unix::fs::symlink("/no\nwhere", &link).unwrap();
        let listed = |script: &str, words: &[&std::path::Path]| {
            let mut shell = std::process::Command::new("/bin/sh");
            let all = lists(&shell.args(["-c", script, "sh"]).args(words).output().unwrap().stdout).unwrap();
            all.concat().into_iter().map(|one| (one.kind, one.target, one.name)).collect::<Vec<_>>()
        };
        let found = |name: &str| vec![('l', b"/no\nwhere".to_vec(), name.as_bytes().to_vec())];
        assert_eq!(listed(scripts::LIST, &[folder.path()]), found("keyring-l"));
        assert_eq!(listed(scripts::LIST, &[&link]), found(""));
        assert_eq!(listed(scripts::LIST_NAMED, &[folder.path(), "keyring-*".as_ref()]), found("keyring-l"));
        assert_eq!(listed(scripts::LIST_NAMED, &[folder.path(), "other".as_ref()]), []);
    }

    #[test]
    fn a_hash_is_read_whatever_the_name_of_its_file() {
        let hash = "a".repeat(64);
        assert_eq!(hash_of(format!("{hash} *./-rf\n").as_bytes()), hash);
        assert_eq!(hash_of(format!("\\{hash}  ./back\\\\slash\n").as_bytes()), hash);
        assert_eq!(hash_of(b"short\n"), "");
    }
}

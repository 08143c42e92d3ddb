//! Sending files to a host: into a folder beside a node's databases, as a tar stream.

use std::io::{self, Write};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{HASHING, PIECES, SENT, STILL, Source, stands_still};
use crate::ssh::shell::{Script, open_script, run_script};
use crate::ssh::{Exit, LinkError, LinkErrorKind, scripts};

/// How long all files of a folder may take to come to the disk.
const SYNC: Duration = Duration::from_secs(3600);

/// A folder of a host that a run's files come into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receiver<'a> {
    /// The run.
    pub run: &'a str,
    /// The folder of the databases that it is in.
    pub db_dir: &'a str,
}

/// Old databases that a restore has kept, or a snapshot that was never put in their place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The run.
    pub run: String,
    /// Bytes on the disk.
    pub bytes: u64,
}

impl Receiver<'_> {
    /// Its path.
    pub fn path(&self) -> String {
        format!("{}/.fleet-{}", self.db_dir, self.run)
    }
}

impl Source {
    /// Makes the folder, where `bytes` are free and what will be exchanged for `names` can be.
    pub async fn open(&self, folder: Receiver<'_>, bytes: u64, names: &[String]) -> Result<(), LinkError> {
        let bytes = bytes.to_string();
        let args: Vec<&str> = std::iter::once(bytes.as_str()).chain(names.iter().map(String::as_str)).collect();
        self.tell(folder, "open", &args, STILL).await.map(drop)
    }

    /// Marks the folder whole: it holds these names.
    pub async fn close(&self, folder: Receiver<'_>, names: &[String]) -> Result<(), LinkError> {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        self.tell(folder, "close", &names, SYNC).await.map(drop)
    }

    /// Removes the folder.
    pub async fn discard(&self, folder: Receiver<'_>) -> Result<(), LinkError> {
        self.tell(folder, "drop", &[], HASHING).await.map(drop)
    }

    /// What restores have kept beside the databases in `db_dir`.
    pub async fn kept(&self, db_dir: &str) -> Result<Vec<Kept>, LinkError> {
        let folder = Receiver { run: "all", db_dir };
        let text = self.tell(folder, "kept", &[], HASHING).await?;
        let kept = text.lines().filter_map(|line| line.strip_prefix("kept=")?.split_once(' '));
        let one = |(run, bytes): (&str, &str)| Some(Kept { run: run.into(), bytes: bytes.parse().ok()? });
        Ok(kept.filter_map(one).collect())
    }

    /// Removes what a run's restore has kept.
    pub async fn release(&self, folder: Receiver<'_>, unit: &str) -> Result<(), LinkError> {
        self.tell(folder, "release", &[unit], HASHING).await.map(drop)
    }

    async fn tell(
        &self,
        folder: Receiver<'_>,
        verb: &str,
        args: &[&str],
        bound: Duration,
    ) -> Result<String, LinkError> {
        let args = [&[verb, folder.run, folder.db_dir], args].concat();
        let output = run_script(&self.link, self.r#become, scripts::RECEIVE, &args, bound).await?;
        if output.exit == Exit::Code(0) {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(self.error(said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it failed").trim()))
    }

    /// Unpacks a tar archive in the folder. What it is written to blocks: for a thread of its own.
    /// What becomes of it on the host is to be waited for, too.
    pub async fn unpack(&self, folder: Receiver<'_>) -> Result<(Receiving, Unpacking), LinkError> {
        let args = ["take", folder.run, folder.db_dir];
        let script = open_script(&self.link, self.r#become, scripts::RECEIVE, &args).await?;
        let (sender, pieces) = mpsc::channel(PIECES);
        let unpacking = tokio::spawn(feed(script, pieces, self.link.name().to_owned()));
        Ok((Receiving { sender, piece: Vec::with_capacity(SENT) }, unpacking))
    }
}

/// Sends pieces as fast as they are taken, and waits for the script's end.
async fn feed(mut script: Script, mut pieces: mpsc::Receiver<Bytes>, host: String) -> Result<(), LinkError> {
    let input = script.input();
    let lost = |error: io::Error| LinkError::new(LinkErrorKind::Lost, format!("{host}: the link died: {error}"));
    let feeding = async {
        while let Some(piece) = pieces.recv().await {
            let sent = timeout(STILL, input.write(piece)).await.map_err(|_| stands_still(&host, STILL))?;
            sent.map_err(lost)?;
        }
        input.eof().await.map_err(lost)
    };
    tokio::select! {
        // Before it has all it ends only when something is wrong.
        ended = to_its_end(&mut script) => {
            ended?;
            return Err(LinkError::new(LinkErrorKind::Failed, format!("{host}: it took only a part of the files")));
        }
        fed = feeding => fed?,
    }
    timeout(HASHING, to_its_end(&mut script)).await.unwrap_or_else(|_| Err(stands_still(&host, HASHING)))
}

async fn to_its_end(script: &mut Script) -> Result<(), LinkError> {
    while script.bytes().await?.is_some() {}
    Ok(())
}

/// What becomes of an archive on its host.
pub type Unpacking = JoinHandle<Result<(), LinkError>>;

/// A tar archive on its way to a host. Writing blocks.
pub struct Receiving {
    sender: mpsc::Sender<Bytes>,
    piece: Vec<u8>,
}

impl Write for Receiving {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(buffer);
        if self.piece.len() >= SENT {
            self.flush()?;
        }
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(SENT));
        self.sender.blocking_send(Bytes::from(piece)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

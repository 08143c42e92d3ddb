//! Processes with a bound on every wait, and what they said.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

/// Polls until `look` sees something; fails the test after `seconds`.
pub fn until<T>(seconds: u64, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(seconds);
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < end, "not within {seconds} s: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// What a process said, and its exit code; none when it was killed.
#[derive(Debug)]
pub struct Said {
    what: String,
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Said {
    /// Fails unless it ended with this exit code.
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "the exit code of {self}");
        self
    }

    /// Fails unless it said this, on either stream.
    pub fn says(self, text: &str) -> Self {
        assert!(self.out.contains(text) || self.err.contains(text), "no '{text}' in what it said: {self}");
        self
    }
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\n-- stdout\n{}\n-- stderr\n{}", self.what, self.out, self.err)
    }
}

/// A process under way; it ends with the value.
pub struct Running {
    what: String,
    child: Child,
    out: File,
    err: File,
}

impl Running {
    pub fn start(mut command: Command) -> Self {
        let (out, err) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        command.stdin(Stdio::null()).stdout(out.try_clone().unwrap()).stderr(err.try_clone().unwrap());
        let what = format!("{command:?}");
        let child = command.process_group(0).spawn().unwrap_or_else(|error| panic!("{what}: {error}"));
        Self { what, child, out, err }
    }

    /// Waits for its end; fails the test after `seconds`.
    pub fn end(mut self, seconds: u64) -> Said {
        let end = Instant::now() + Duration::from_secs(seconds);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return self.said(status.code());
            }
            if Instant::now() > end {
                self.stop();
                panic!("not over within {seconds} s: {}", self.said(None));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until `look` sees something; fails the test if the process ends before that, or after `seconds`.
    pub fn until(&mut self, seconds: u64, what: &str, mut look: impl FnMut() -> bool) {
        let end = Instant::now() + Duration::from_secs(seconds);
        while !look() {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("over before {what}: {}", self.said(status.code()));
            }
            if Instant::now() > end {
                self.stop();
                panic!("not within {seconds} s: {what}: {}", self.said(None));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Kills it as a machine that loses its power would.
    pub fn kill(mut self) -> Said {
        self.stop();
        self.said(None)
    }

    /// Kills it and what it started: a script's commands would go on and disturb the next test.
    fn stop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_some()) {
            return;
        }
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
    }

    fn said(&mut self, code: Option<i32>) -> Said {
        let read = |file: &mut File| {
            let mut bytes = Vec::new();
            file.rewind().unwrap();
            file.read_to_end(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        Said { what: self.what.clone(), code, out: read(&mut self.out), err: read(&mut self.err) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Runs a command to its end.
pub fn run(command: Command, seconds: u64) -> Said {
    Running::start(command).end(seconds)
}

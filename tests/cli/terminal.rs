//! fleet on a pseudo terminal, by way of `script`.

use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};

use super::fleet::{BOUND, FLEET, Fleet, eventually};

/// A command on a terminal.
pub struct Terminal {
    child: Child,
    stdin: ChildStdin,
    shown: Arc<Mutex<Vec<u8>>>,
    reader: std::thread::JoinHandle<()>,
}

impl Terminal {
    /// Starts fleet on a terminal of so many columns.
    pub fn start(fleet: &Fleet, columns: u16, args: &[&str]) -> Self {
        let words: Vec<String> = args.iter().map(|arg| format!("'{arg}'")).collect();
        // Where these tests run in the background, Ctrl-C may be ignored, and what is ignored is inherited.
        let fleet_here = format!("env --default-signal=INT,QUIT {FLEET}");
        let line = format!("stty cols {columns} rows 50 -echo; exec {fleet_here} {}", words.join(" "));
        let mut script = Command::new("script");
        script.args(["-qec", &line, "/dev/null"]).env_clear().envs(fleet.environment()).env("TERM", "xterm");
        script.env("SHELL", "/bin/sh").current_dir(fleet.home());
        let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the tests need script");
        let shown = Arc::new(Mutex::new(Vec::new()));
        let (stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let sink = Arc::clone(&shown);
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = stdout.read(&mut bytes) {
                sink.lock().unwrap().extend_from_slice(&bytes[..count]);
            }
        });
        Self { child, stdin, shown, reader }
    }

    /// What it has shown so far, colours and all.
    pub fn raw(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned()
    }

    /// Waits until it shows this; what it has shown by then.
    #[track_caller]
    pub fn wait_for(&self, text: &str) -> String {
        let shows = || plain(&self.raw()).contains(text);
        eventually(text, || shows() || self.reader.is_finished());
        assert!(shows(), "it ended without «{text}»:\n{}", self.raw());
        plain(&self.raw())
    }

    /// Types a line.
    pub fn type_line(&mut self, text: &str) {
        self.stdin.write_all(format!("{text}\n").as_bytes()).unwrap();
    }

    /// Types Ctrl-C.
    pub fn interrupt(&mut self) {
        self.stdin.write_all(b"\x03").unwrap();
    }

    /// Waits for its end: exit code, and all that it showed.
    pub fn end(self) -> (i32, String) {
        let Self { mut child, stdin, shown, reader } = self;
        let screen = || plain(&String::from_utf8_lossy(&shown.lock().unwrap()));
        let begun = std::time::Instant::now();
        while !reader.is_finished() {
            assert!(begun.elapsed() < BOUND, "it doesn't end; it shows\n{}", screen());
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        let code = child.wait().unwrap().code().unwrap();
        drop(stdin); // an earlier end of the input would be typed into the terminal
        let bytes = shown.lock().unwrap().clone();
        (code, String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// Without colours and cursor movements.
pub fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('\x1b') {
        plain.push_str(&rest[..at]);
        let tail = &rest[at + 1..];
        let end = tail.find(|c: char| c.is_ascii_alphabetic()).map_or(tail.len(), |end| end + 1);
        rest = &tail[end..];
    }
    plain.push_str(rest);
    plain.replace('\r', "")
}

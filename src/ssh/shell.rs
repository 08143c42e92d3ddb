//! Constant scripts under the host's `/bin/sh`, whatever the login shell.
//!
//! The script goes in on standard input, in one piece, behind a line that sets its arguments. What it writes stands
//! between two marks that hold a random number, so that banners and noisy start-up files are no part of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::model::inventory::Become;
use crate::ssh::{Event, Exit, Input, Link, LinkError, LinkErrorKind, Output, Partial, Remote};

/// What stands around the end mark: line breaks, a blank and the status.
const MARK: usize = 8;
/// How long a script may take until its first mark: privileges and a slow login shell.
const OPENING: Duration = Duration::from_secs(15);

/// A script ready to be sent, and the marks around what it writes.
pub(super) struct Framed {
    /// What runs it.
    pub command: &'static str,
    /// What goes in.
    pub text: String,
    begin: String,
    end: String,
}

impl Framed {
    /// For a shell that ends with the script.
    fn new(r#become: Become, script: &str, args: &[&str]) -> Result<Self, LinkError> {
        Self::with(r#become, script, args, |_| ("", "exit $fleet_code".into()))
    }

    /// For a shell that goes on: the script reads no input, and both streams tell its end.
    pub fn question(r#become: Become, script: &str, args: &[&str]) -> Result<Self, LinkError> {
        Self::with(r#become, script, args, |end| (" </dev/null", format!("echo {end} >&2")))
    }

    fn with(
        r#become: Become,
        script: &str,
        args: &[&str],
        rest: impl FnOnce(&str) -> (&'static str, String),
    ) -> Result<Self, LinkError> {
        let nonce = format!("{:032x}", rand::random::<u128>());
        let (begin, end) = (format!("fleet-begin-{nonce}"), format!("fleet-end-{nonce}"));
        let mut set = String::from("set --");
        for arg in args {
            let quoted = shlex::try_quote(arg)
                .map_err(|_| LinkError::new(LinkErrorKind::Config, format!("an argument holds a NUL byte: {arg:?}")))?;
            set.push(' ');
            // A line of its own ends nothing inside quotes; an empty argument stays one.
            set.push_str(&quoted);
        }
        // One group: the shell has read it whole before it runs, so what follows on standard input is data.
        // A subshell, so that the script's `exit` still leads to the end mark.
        let (input, last) = rest(&end);
        let text = format!(
            "{{ {set}\necho {begin}\necho {begin} >&2\n(\n{script}\n){input}\nfleet_code=$?\necho\necho {end} $fleet_code\n{last}\n}}\n"
        );
        let command = match r#become {
            Become::None => "exec /bin/sh -s",
            Become::Sudo => "exec sudo -n /bin/sh -s",
        };
        Ok(Self { command, text, begin, end })
    }

    /// Whether it has begun, by what came.
    pub fn has_begun(&self, partial: &Partial) -> bool {
        find_line(&partial.stdout, self.begin.as_bytes()).is_some()
    }

    /// Whether a question's answer is whole, by the last of what came. Its end on standard error is taken off.
    pub fn is_answered(&self, partial: &mut Partial) -> bool {
        let out = format!("\n{} ", self.end);
        let tail = &partial.stdout[partial.stdout.len().saturating_sub(out.len() + MARK)..];
        let line = format!("{}\n", self.end);
        let ended = partial.stdout.ends_with(b"\n") && find(tail, out.as_bytes()).is_some();
        let whole = ended && partial.stderr.ends_with(line.as_bytes());
        if whole {
            partial.stderr.truncate(partial.stderr.len() - line.len());
        }
        whole
    }

    /// What stands between the marks of what came.
    pub fn inside(&self, host: &str, came: Result<Output, LinkError>) -> Result<Output, LinkError> {
        match came {
            Ok(output) => unframe(host, self, &output),
            Err(error) => settle(host, self, error),
        }
    }
}

/// Runs a script with arguments to its end and returns what it wrote.
pub async fn run_script(
    link: &Arc<Link>,
    r#become: Become,
    script: &str,
    args: &[&str],
    bound: Duration,
) -> Result<Output, LinkError> {
    run_script_until(link, r#become, script, args, bound, std::future::pending()).await
}

/// The same, given up when `stop` comes.
pub async fn run_script_until(
    link: &Arc<Link>,
    r#become: Become,
    script: &str,
    args: &[&str],
    bound: Duration,
    stop: impl Future<Output = ()>,
) -> Result<Output, LinkError> {
    let framed = Framed::new(r#become, script, args)?;
    framed.inside(link.name(), link.run_until(framed.command, framed.text.as_bytes(), bound, stop).await)
}

/// A link that broke off: past the end mark the outcome is known all the same; else only what the script itself wrote
/// is kept.
fn settle(host: &str, framed: &Framed, mut error: LinkError) -> Result<Output, LinkError> {
    let Some(Partial { stdout, stderr }) = error.partial.take() else { return Err(error) };
    let output = Output { stdout, stderr, exit: Exit::Code(0) };
    match unframe(host, framed, &output) {
        Ok(whole) => Ok(whole),
        Err(LinkError { partial: Some(inside), .. }) => Err(error.partial(inside)),
        Err(_) => Err(error.partial(Partial { stdout: Vec::new(), stderr: output.stderr })),
    }
}

/// What stands between the marks; no end mark means that nobody knows what came of it.
fn unframe(host: &str, framed: &Framed, output: &Output) -> Result<Output, LinkError> {
    let Some(from) = find_line(&output.stdout, framed.begin.as_bytes()) else {
        return Err(refused(host, output));
    };
    let stderr = match find_line(&output.stderr, framed.begin.as_bytes()) {
        Some(at) => output.stderr[at..].to_vec(),
        None => output.stderr.clone(),
    };
    let body = &output.stdout[from..];
    let mark = format!("\n{} ", framed.end);
    let Some(at) = body.windows(mark.len()).rposition(|window| window == mark.as_bytes()) else {
        let message = format!("{host}: the script broke off");
        return Err(LinkError::new(LinkErrorKind::Lost, message).partial(Partial { stdout: body.to_vec(), stderr }));
    };
    let tail = String::from_utf8_lossy(&body[at + mark.len()..]).into_owned();
    let code = tail.split_whitespace().next().and_then(|code| code.parse().ok()).unwrap_or(1);
    Ok(Output { stdout: body[..at].to_vec(), stderr, exit: Exit::Code(code) })
}

/// The script never began: sudo or the login itself refused.
fn refused(host: &str, output: &Output) -> LinkError {
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("nothing was said").trim();
    if said.contains("sudo") || said.contains("password") {
        return LinkError::new(LinkErrorKind::Privilege, format!("{host}: sudo refused: {said}"))
            .hint("allow it without a password (NOPASSWD in sudoers), or become = \"none\" with a privileged login");
    }
    LinkError::new(LinkErrorKind::Privilege, format!("{host}: no /bin/sh could be run ({:?}): {said}", output.exit))
        .hint("the login needs a shell: try ssh with this user by hand")
}

/// Where the line after `mark` begins.
fn find_line(bytes: &[u8], mark: &[u8]) -> Option<usize> {
    let at = find(bytes, mark)? + mark.len();
    (bytes.get(at) == Some(&b'\n')).then_some(at + 1)
}

fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}

/// A script that is under way and reads lines.
pub struct Script {
    remote: Remote,
    host: String,
    framed_end: String,
    held: Vec<u8>,
    stderr: Vec<u8>,
    ended: bool,
}

/// Starts a script that goes on reading lines. It must answer before it is sent any: `dash` reads ahead.
pub async fn open_script(link: &Arc<Link>, r#become: Become, script: &str, args: &[&str]) -> Result<Script, LinkError> {
    let framed = Framed::new(r#become, script, args)?;
    let remote = link.open(framed.command).await?;
    let host = link.name().to_owned();
    let mut script =
        Script { remote, host, framed_end: framed.end.clone(), held: Vec::new(), stderr: Vec::new(), ended: false };
    script.send_raw(framed.text.as_bytes()).await?;
    let opening = async {
        while let Some(line) = script.line().await? {
            if line.ends_with(&framed.begin) {
                return Ok(());
            }
        }
        let output = Output { stdout: Vec::new(), stderr: script.stderr.clone(), exit: Exit::Code(1) };
        Err(refused(&script.host, &output))
    };
    match timeout(OPENING, opening).await {
        Ok(Ok(())) => Ok(script),
        Ok(Err(error)) => Err(error),
        Err(_) => {
            let message = format!("{}: no script was under way within {} s", link.name(), OPENING.as_secs());
            Err(LinkError::new(LinkErrorKind::Timeout, message))
        }
    }
}

impl Script {
    /// The next line it writes; `None` at its end.
    pub async fn line(&mut self) -> Result<Option<String>, LinkError> {
        loop {
            if let Some(at) = self.held.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.held.drain(..=at).collect();
                let line = String::from_utf8_lossy(&line[..at]).into_owned();
                self.ended |= line.starts_with(&self.framed_end);
                return Ok((!self.ended).then_some(line));
            }
            match self.remote.next().await {
                Event::Stdout(bytes) => self.held.extend_from_slice(&bytes),
                Event::Stderr(bytes) => self.stderr.extend_from_slice(&bytes),
                Event::Exit(_) => return Ok(None),
                Event::Lost | Event::TooMuch => {
                    return Err(LinkError::new(LinkErrorKind::Lost, format!("{}: the link died", self.host)));
                }
            }
        }
    }

    /// The next bytes it writes, as they are; `None` at the end of a script that ended well.
    pub async fn bytes(&mut self) -> Result<Option<Vec<u8>>, LinkError> {
        // What may be the beginning of the end mark is held back.
        let kept = self.framed_end.len() + MARK;
        loop {
            if self.held.len() > kept {
                return Ok(Some(self.held.drain(..self.held.len() - kept).collect()));
            }
            match self.remote.next().await {
                Event::Stdout(bytes) => self.held.extend_from_slice(&bytes),
                Event::Stderr(bytes) => self.stderr.extend_from_slice(&bytes),
                Event::Exit(_) => return self.last_bytes(),
                Event::Lost | Event::TooMuch => {
                    return Err(LinkError::new(LinkErrorKind::Lost, format!("{}: the link died", self.host)));
                }
            }
        }
    }

    fn last_bytes(&mut self) -> Result<Option<Vec<u8>>, LinkError> {
        if self.ended {
            return Ok(None);
        }
        let mark = format!("\n{} ", self.framed_end);
        let Some(at) = self.held.windows(mark.len()).rposition(|window| window == mark.as_bytes()) else {
            return Err(LinkError::new(LinkErrorKind::Lost, format!("{}: the script broke off", self.host)));
        };
        if self.held[at + mark.len()..].trim_ascii() != b"0" {
            let said = String::from_utf8_lossy(&self.stderr);
            // tar's last line says only that it failed.
            let tells = |line: &&str| !line.trim().is_empty() && !line.contains("Exiting with failure");
            // What comes before the mark is the login's.
            let mut own = said.lines().rev().take_while(|line| !line.starts_with("fleet-begin-"));
            let why = own.find(tells).unwrap_or("nothing was said").trim();
            return Err(LinkError::new(LinkErrorKind::Failed, format!("{}: {why}", self.host)));
        }
        self.ended = true;
        self.held.truncate(at);
        Ok(Some(std::mem::take(&mut self.held)))
    }

    /// Its standard input, to be fed beside reading.
    pub fn input(&self) -> Input {
        self.remote.input()
    }

    /// Sends it one line.
    pub async fn send(&mut self, line: &str) -> Result<(), LinkError> {
        self.send_raw(format!("{line}\n").as_bytes()).await
    }

    async fn send_raw(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        let lost = |error| LinkError::new(LinkErrorKind::Lost, format!("{}: the link died: {error}", self.host));
        self.remote.write(bytes).await.map_err(lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(stdout: &str) -> Output {
        Output { stdout: stdout.into(), stderr: Vec::new(), exit: Exit::Code(0) }
    }

    #[test]
    fn noise_around_the_frame_is_dropped_and_the_status_is_the_scripts() {
        let framed = Framed::new(Become::None, "true", &[]).unwrap();
        let text = format!("banner\n{}\none\ntwo\n\n{} 7\n", framed.begin, framed.end);
        let inside = unframe("h", &framed, &output(&text)).unwrap();
        assert_eq!((inside.stdout, inside.exit), (b"one\ntwo\n".to_vec(), Exit::Code(7)));
    }

    #[test]
    fn without_an_end_mark_nobody_knows() {
        let framed = Framed::new(Become::None, "true", &[]).unwrap();
        let error = unframe("h", &framed, &output(&format!("{}\none\n", framed.begin))).unwrap_err();
        assert_eq!(error.kind, LinkErrorKind::Lost);
        assert_eq!(error.partial.unwrap().stdout, b"one\n");
    }

    #[test]
    fn a_link_that_dies_leaves_what_the_script_wrote_and_nothing_else() {
        let framed = Framed::new(Become::None, "true", &[]).unwrap();
        let died = |stdout: String, stderr: String| {
            let partial = Partial { stdout: stdout.into(), stderr: stderr.into() };
            settle("h", &framed, LinkError::new(LinkErrorKind::Lost, "died").partial(partial))
        };
        let begun = format!("banner\n{}\none\n", framed.begin);
        let error = died(begun.clone(), format!("noise\n{}\nerr\n", framed.begin)).unwrap_err();
        assert_eq!((error.message.as_str(), error.is_unknown()), ("died", true));
        assert_eq!(error.partial.unwrap(), Partial { stdout: b"one\n".into(), stderr: b"err\n".into() });
        let early = died("banner\n".into(), "noise\n".into()).unwrap_err();
        assert_eq!(early.partial.unwrap(), Partial { stdout: Vec::new(), stderr: b"noise\n".into() });
        let whole = died(format!("{begun}\n{} 5\n", framed.end), String::new()).unwrap();
        assert_eq!((whole.stdout.as_slice(), whole.exit), (&b"one\n"[..], Exit::Code(5)));
    }

    #[test]
    fn arguments_stay_what_they_are() {
        for arg in ["", "a b", "$(reboot)", "it's", "-rf", "a\nb", "`x`;\"\\"] {
            let framed = Framed::new(Become::None, "for a; do printf '<%s>' \"$a\"; done", &[arg, "end"]).unwrap();
            let child = std::process::Command::new("/bin/sh").arg("-c").arg(&framed.text).output().unwrap();
            let inside =
                unframe("h", &framed, &Output { stdout: child.stdout, stderr: child.stderr, exit: Exit::Code(0) });
            assert_eq!(String::from_utf8(inside.unwrap().stdout).unwrap(), format!("<{arg}><end>"));
        }
        assert!(Framed::new(Become::None, "true", &["a\0b"]).is_err());
    }
}

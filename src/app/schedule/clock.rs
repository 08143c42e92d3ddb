//! The clocks of this machine that call run-due: a systemd timer, of a user or of the system, or a line of a crontab.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::error::{Error, Result};

/// The first line of a unit file that is ours.
pub const MARK: &str = "# Written by 'fleet schedule install'; 'fleet schedule remove' takes it away.";
const SYSTEM: &str = "/etc/systemd/system";
/// systemctl, crontab and curl answer within this.
const BOUND: Duration = Duration::from_secs(90);

/// Runs a program of this machine to its end.
pub async fn call(program: &str, args: &[&str], input: &str) -> io::Result<Output> {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn()?;
    let ended = async {
        if let Some(mut stdin) = child.stdin.take() {
            // One that doesn't want its input says why when it ends.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
        child.wait_with_output().await
    };
    let late = || io::Error::new(io::ErrorKind::TimedOut, format!("no end within {} s", BOUND.as_secs()));
    tokio::time::timeout(BOUND, ended).await.unwrap_or_else(|_| Err(late()))
}

/// What a program that failed said.
pub fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let text = text.trim();
    if text.is_empty() { format!("{}", output.status) } else { text.to_owned() }
}

/// Where unit files lie.
pub struct Units {
    /// The folder.
    pub folder: PathBuf,
    /// Whether they are the system's, not a user's.
    pub system: bool,
}

impl Units {
    /// The system's.
    pub fn of_system() -> Self {
        Self { folder: SYSTEM.into(), system: true }
    }

    /// The user's, where the environment names a home.
    pub fn of_user() -> Option<Self> {
        let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let config = folder("XDG_CONFIG_HOME").or_else(|| Some(folder("HOME")?.join(".config")))?;
        Some(Self { folder: config.join("systemd/user"), system: false })
    }

    /// The service and its timer.
    pub fn files(&self, fleet: &str) -> [PathBuf; 2] {
        ["service", "timer"].map(|kind| self.folder.join(format!("{}.{kind}", name(fleet))))
    }

    /// Asks systemd.
    pub async fn systemctl(&self, args: &[&str]) -> Result<()> {
        let user: &[&str] = if self.system { &[] } else { &["--user"] };
        let args = [user, args].concat();
        let failed = |why: String| {
            Error::failed(format!("systemctl {}: {why}", args.join(" ")))
                .hint("on a machine without systemd: fleet schedule install --cron")
        };
        match call("systemctl", &args, "").await {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(failed(said(&output))),
            Err(error) => Err(failed(error.to_string())),
        }
    }
}

/// What a fleet's units are called, and its line in a crontab.
pub fn name(fleet: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    format!("fleet-schedule-{}", fleet.chars().map(plain).take(100).collect::<String>())
}

/// Whether a file is there and ours.
pub fn is_ours(path: &Path) -> bool {
    std::fs::read_to_string(path).is_ok_and(|text| text.starts_with(MARK))
}

/// The user's crontab; `None` where there is no crontab program.
pub async fn crontab() -> Result<Option<String>> {
    match call("crontab", &["-l"], "").await {
        Ok(output) if output.status.success() => Ok(Some(String::from_utf8_lossy(&output.stdout).into_owned())),
        Ok(output) if said(&output).contains("no crontab") => Ok(Some(String::new())),
        Ok(output) => Err(Error::failed(format!("crontab -l: {}", said(&output)))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::failed(format!("crontab -l: {error}"))),
    }
}

/// A crontab without a fleet's line.
pub fn without_line(crontab: &str, fleet: &str) -> String {
    let mark = format!(" # {}", name(fleet));
    crontab.split_inclusive('\n').filter(|line| !line.trim_end().ends_with(&mark)).collect()
}

/// Puts a crontab in the place of the user's.
pub async fn set_crontab(text: &str) -> Result<()> {
    match call("crontab", &["-"], text).await {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(Error::failed(format!("crontab: {}", said(&output)))),
        Err(error) => Err(Error::failed(format!("crontab: {error}"))),
    }
}

/// The clocks that call run-due for this fleet.
pub async fn installed(fleet: &str) -> Vec<String> {
    let places = Units::of_user().into_iter().chain([Units::of_system()]);
    let timers = places.map(|units| units.files(fleet)).filter(|files| is_ours(&files[1]));
    let mut found: Vec<String> = timers.map(|[_, timer]| timer.display().to_string()).collect();
    if let Ok(Some(crontab)) = crontab().await
        && crontab != without_line(&crontab, fleet)
    {
        found.push("a line of your crontab".to_owned());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_fleets_own_line_goes() {
        let crontab = "# mine\n0 1 * * * x # fleet-schedule-other\n*/5 * * * * fleet run-due # fleet-schedule-a-b\n";
        assert_eq!(without_line(crontab, "a b"), "# mine\n0 1 * * * x # fleet-schedule-other\n");
        assert_eq!(without_line(crontab, "b"), crontab);
        assert_eq!(name("ä/%$"), "fleet-schedule-----");
    }
}

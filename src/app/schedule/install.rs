//! `fleet schedule install` and `remove`: the clock that calls run-due, as a timer or as a line of a crontab.

use std::path::{Path, PathBuf};

use super::clock::{MARK, Units, crontab, is_ours, name, set_crontab, without_line};
use super::{Scoped, scoped, told};
use crate::app::context::Context;
use crate::cli::ScheduleInstallArgs;
use crate::error::{Error, Result};
use crate::journal::put;
use crate::render::words::counted;

/// What the clock calls.
struct Job {
    fleet: String,
    /// The program and its arguments.
    words: Vec<String>,
    /// Variables that decide where fleet keeps what it remembers.
    variables: Vec<(&'static str, String)>,
    /// A file of variables beside the inventory, which need not be there: the keys of a bucket.
    environment: String,
}

impl Job {
    fn new(context: &Context) -> Result<Self> {
        let program = std::env::current_exe().map_err(|error| Error::failed(format!("fleet's own path: {error}")))?;
        let inventory = std::path::absolute(&context.inventory.source)
            .map_err(|error| Error::usage(format!("{}: {error}", context.inventory.source.display())))?;
        let variable = |name| Some((name, std::env::var(name).ok().filter(|path| path.starts_with('/'))?));
        let words = [text(&program)?, "--inventory".into(), text(&inventory)?, "schedule".into(), "run-due".into()];
        Ok(Self {
            fleet: context.inventory.name.clone(),
            words: words.into(),
            environment: text(&inventory.with_extension("env"))?.replace('%', "%%"),
            variables: ["XDG_STATE_HOME", "XDG_CACHE_HOME"].into_iter().filter_map(variable).collect(),
        })
    }

    /// Unit files: the service, and the timer that starts it. A service that still runs isn't started twice.
    fn units(&self, user: Option<&str>) -> [String; 2] {
        let words: Vec<String> = self.words.iter().map(|word| quoted(word).replace('$', "$$")).collect();
        let set = |(name, value): &(&str, String)| format!("Environment={}\n", quoted(&format!("{name}={value}")));
        let (about, command) =
            (format!("Description=Backups of {} that are due", self.fleet.replace('%', "%%")), words.join(" "));
        // Those of whoever installs it are not that user's.
        let variables: String = self.variables.iter().filter(|_| user.is_none()).map(set).collect();
        let user = user.map(|user| format!("User={user}\n")).unwrap_or_default();
        // 75: another run works there, and what is due stays due. A stop waits until a node that fleet has stopped is
        // started again, and spares the programs that carry its links.
        let environment = &self.environment;
        let service = format!(
            "{MARK}\n[Unit]\n{about}\n\n[Service]\nType=oneshot\nExecStart={command}\n{user}{variables}\
             EnvironmentFile=-{environment}\nSuccessExitStatus=75\nKillMode=mixed\nTimeoutStopSec=5min\n"
        );
        let timer = format!(
            "{MARK}\n[Unit]\n{about}\n\n[Timer]\nOnCalendar=*:0/5\nPersistent=true\n\n[Install]\nWantedBy=timers.target\n"
        );
        [service, timer]
    }

    fn cron_line(&self) -> Result<String> {
        let quote = |word: &str| {
            let word = shlex::try_quote(word).map_err(|error| Error::usage(format!("{word}: {error}")))?;
            // A percent sign ends the command, unless it is quoted in this way.
            Ok(word.replace('%', "\\%"))
        };
        let set = |(name, value): &(&str, String)| Ok(format!("{name}={}", quote(value)?));
        let words = self.variables.iter().map(set).chain(self.words.iter().map(|word| quote(word)));
        let words: Vec<String> = words.collect::<Result<_>>()?;
        Ok(format!("*/5 * * * * {} # {}", words.join(" "), name(&self.fleet)))
    }
}

/// A path that a unit file and a crontab can hold.
fn text(path: &Path) -> Result<String> {
    let text = path.to_str().filter(|text| !text.contains(char::is_control));
    text.map(str::to_owned).ok_or_else(|| Error::usage(format!("{}: no path for a clock to call", path.display())))
}

/// A word of a unit file, by systemd.syntax(7).
fn quoted(word: &str) -> String {
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%"))
}

/// `fleet schedule install`
pub async fn install(context: &Context, args: &ScheduleInstallArgs) -> Result<u8> {
    let Scoped { good, bad } = scoped(context)?;
    let exit = told(context, &bad);
    let schedules = counted(good.len(), "schedule");
    let job = Job::new(context)?;
    if args.cron {
        return install_line(context, &job, args.dry_run, &schedules).await.map(|()| exit);
    }
    let units = match args.system {
        Some(_) => Units::of_system(),
        None => Units::of_user().ok_or_else(|| Error::usage("neither XDG_CONFIG_HOME nor HOME names a folder"))?,
    };
    let files: Vec<(PathBuf, String)> =
        units.files(&job.fleet).into_iter().zip(job.units(args.system.as_deref())).collect();
    if args.dry_run {
        for (path, text) in &files {
            context.print(&format!("{}:\n{text}", path.display()));
        }
        return Ok(exit);
    }
    if let Some((path, _)) = files.iter().find(|(path, _)| path.exists() && !is_ours(path)) {
        return Err(Error::usage(format!("{} is there, and fleet hasn't written it", path.display()))
            .hint("move it aside, or give the fleet another name in its inventory"));
    }
    if let Err(error) = put_all(&units, &files, &name(&job.fleet)).await {
        for (path, _) in &files {
            let _ = std::fs::remove_file(path);
        }
        return Err(error.hint("nothing is installed"));
    }
    context.print(&format!("installed: {schedules}, by {} each five minutes", files[1].0.display()));
    if !units.system && !lingers() {
        context.print("next: loginctl enable-linger   else it stands still while you are not logged in");
    }
    Ok(exit)
}

async fn put_all(units: &Units, files: &[(PathBuf, String)], name: &str) -> Result<()> {
    let failed = |path: &Path, error: std::io::Error| {
        let error = Error::failed(format!("{}: {error}", path.display()));
        if units.system { error.hint("the system's timers are root's: sudo fleet schedule install …") } else { error }
    };
    std::fs::create_dir_all(&units.folder).map_err(|error| failed(&units.folder, error))?;
    for (path, text) in files {
        put(path, text.as_bytes(), 0o644).map_err(|error| failed(path, error))?;
    }
    units.systemctl(&["daemon-reload"]).await?;
    units.systemctl(&["enable", "--now", &format!("{name}.timer")]).await
}

/// Whether the user's timers go on without a login.
fn lingers() -> bool {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_default();
    Path::new("/var/lib/systemd/linger").join(user).is_file()
}

async fn install_line(context: &Context, job: &Job, dry_run: bool, schedules: &str) -> Result<()> {
    let line = job.cron_line()?;
    if dry_run {
        context.print(&line);
        return Ok(());
    }
    let Some(crontab) = crontab().await? else {
        return Err(Error::failed("there is no crontab program here")
            .hint(format!("have this called every five minutes by other means:\n  {line}")));
    };
    let mut lines = without_line(&crontab, &job.fleet);
    if !lines.is_empty() && !lines.ends_with('\n') {
        lines.push('\n');
    }
    set_crontab(&format!("{lines}{line}\n")).await?;
    context.print(&format!("installed: {schedules}, by a line of your crontab each five minutes"));
    Ok(())
}

/// `fleet schedule remove`
pub async fn remove(context: &Context) -> Result<u8> {
    let fleet = &context.inventory.name;
    let mut removed = Vec::new();
    for units in Units::of_user().into_iter().chain([Units::of_system()]) {
        let files: Vec<PathBuf> = units.files(fleet).into_iter().filter(|path| is_ours(path)).collect();
        if files.is_empty() {
            continue;
        }
        let [service, timer] = ["service", "timer"].map(|kind| format!("{}.{kind}", name(fleet)));
        units.systemctl(&["disable", "--now", &timer]).await?;
        // When it fired last, which Persistent= keeps in a file; before systemd 243 nothing takes that away.
        let _ = units.systemctl(&["clean", "--what=state", &timer]).await;
        for path in files {
            std::fs::remove_file(&path).map_err(|error| Error::failed(format!("{}: {error}", path.display())))?;
            removed.push(path.display().to_string());
        }
        units.systemctl(&["daemon-reload"]).await?;
        // A last run that failed would be told for ever; there is nothing to reset where none did.
        let _ = units.systemctl(&["reset-failed", &service]).await;
    }
    if let Some(crontab) = crontab().await? {
        let rest = without_line(&crontab, fleet);
        if rest != crontab {
            set_crontab(&rest).await?;
            removed.push("the line of your crontab".to_owned());
        }
    }
    match removed.as_slice() {
        [] => context.print(&format!("nothing was installed for {fleet}")),
        removed => context.print(&format!("removed: {}", removed.join(", "))),
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> Job {
        let words = ["/opt/my fleet/100%", "-i", "/a$b/\"c\"'d", "schedule"].map(str::to_owned).into();
        Job {
            fleet: "f".into(),
            words,
            variables: vec![("XDG_STATE_HOME", "/var/$x %y".into())],
            environment: "/etc/f.env".into(),
        }
    }

    #[test]
    fn units_quote_what_systemd_would_expand() {
        let [service, timer] = job().units(None);
        let exec = r#"ExecStart="/opt/my fleet/100%%" "-i" "/a$$b/\"c\"'d" "schedule""#;
        for line in
            [exec, r#"Environment="XDG_STATE_HOME=/var/$x %%y""#, "EnvironmentFile=-/etc/f.env", "SuccessExitStatus=75"]
        {
            assert!(service.lines().any(|one| one == line), "no {line} in\n{service}");
        }
        assert!(service.starts_with(MARK) && timer.starts_with(MARK));
        let of_system = &job().units(Some("ops"))[0];
        assert!(!service.contains("User=") && of_system.contains("\nUser=ops\n") && !of_system.contains("XDG"));
        assert!(timer.contains("OnCalendar=*:0/5\nPersistent=true\n"), "{timer}");
    }

    #[test]
    fn a_cron_line_quotes_what_a_shell_and_cron_would_expand() {
        let line = job().cron_line().unwrap();
        let (begin, end) =
            ("*/5 * * * * XDG_STATE_HOME='/var/$x \\%y' '/opt/my fleet/100\\%' -i ", " # fleet-schedule-f");
        assert!(line.starts_with(begin) && line.ends_with(end), "{line}");
    }
}

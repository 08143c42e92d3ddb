//! `systemctl` and `journalctl` of a simulated host: their arguments, and what they print.

use std::fmt::Write as _;
use std::sync::Arc;

use super::control::Reply;
use super::unit::{Unit, not_found};
use super::world::World;

/// What was asked of `systemctl`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Request {
    verb: String,
    units: Vec<String>,
    properties: Vec<String>,
    value: bool,
    no_block: bool,
    signal: Option<String>,
    quiet: bool,
}

/// Options that take a value which means nothing here.
const IGNORED: [&str; 7] = ["-n", "-o", "-t", "--type", "--kill-whom", "--kill-who", "--state"];

impl Request {
    /// Reads the arguments; options may stand anywhere, as `-p X`, `-pX`, `--property X` or `--property=X`.
    pub fn parse(args: &[String]) -> Self {
        let mut request = Self::default();
        let mut args = args.iter().map(String::as_str);
        while let Some(arg) = args.next() {
            let (option, value) = match arg.split_once('=') {
                Some((option, value)) if arg.starts_with("--") => (option, Some(value)),
                _ if arg.starts_with("-p") || arg.starts_with("-s") => {
                    (&arg[..2], arg.get(2..).filter(|v| !v.is_empty()))
                }
                _ => (arg, None),
            };
            match option {
                "-p" | "--property" => {
                    let list = value.or_else(|| args.next()).unwrap_or_default();
                    request.properties.extend(list.split(',').map(str::to_owned));
                }
                "-s" | "--signal" => request.signal = value.or_else(|| args.next()).map(str::to_owned),
                "--value" => request.value = true,
                "--no-block" => request.no_block = true,
                "-q" | "--quiet" => request.quiet = true,
                _ if IGNORED.contains(&option) && value.is_none() => drop(args.next()),
                _ if arg.starts_with('-') => {}
                _ if request.verb.is_empty() => arg.clone_into(&mut request.verb),
                _ => request.units.push(arg.to_owned()),
            }
        }
        request
    }

    fn print(&self, properties: &[(&'static str, String)]) -> String {
        let wanted = |key: &&str| self.properties.is_empty() || self.properties.iter().any(|p| p == key);
        let mut out = String::new();
        for (key, value) in properties.iter().filter(|(key, _)| wanted(key)) {
            let _ = if self.value { writeln!(out, "{value}") } else { writeln!(out, "{key}={value}") };
        }
        out
    }
}

/// Carries out a `systemctl` command of a host.
pub async fn systemctl(world: &Arc<World>, host: &str, args: &[String]) -> Reply {
    let request = Request::parse(args);
    match request.verb.as_str() {
        "show" => show(world, host, &request),
        "start" | "restart" | "stop" | "kill" | "reset-failed" | "enable" | "disable" => {
            act(world, host, &request).await
        }
        "is-active" | "is-failed" | "is-enabled" => ask(world, host, &request),
        "daemon-reload" => Reply::default(),
        "list-jobs" => Reply::out(world.jobs(host)),
        "list-timers" => Reply::out("0 timers listed.\n"),
        "list-units" | "list-unit-files" => Reply::out("0 units listed.\n"),
        "is-system-running" => Reply::out("running\n"),
        other => Reply::err(1, format!("Unknown command verb {other}.\n")),
    }
}

fn show(world: &World, host: &str, request: &Request) -> Reply {
    let one = |name: &String| {
        let properties = world.unit(host, name, Unit::properties);
        request.print(&properties.unwrap_or_else(|| not_found(&full(name))))
    };
    Reply::out(request.units.iter().map(one).collect::<Vec<_>>().join("\n"))
}

fn ask(world: &World, host: &str, request: &Request) -> Reply {
    let state = |unit: &Unit| match request.verb.as_str() {
        "is-enabled" if unit.enabled => "enabled",
        "is-enabled" => "disabled",
        _ => unit.active_state(),
    };
    let good = match request.verb.as_str() {
        "is-enabled" => "enabled",
        "is-failed" => "failed",
        _ => "active",
    };
    let states: Vec<&str> =
        request.units.iter().map(|name| world.unit(host, name, |unit, _| state(unit)).unwrap_or("inactive")).collect();
    let code = if states.contains(&good) {
        0
    } else if good == "active" {
        3
    } else {
        1
    };
    let out = if request.quiet { String::new() } else { states.join("\n") + "\n" };
    Reply { code, out, err: String::new() }
}

async fn act(world: &Arc<World>, host: &str, request: &Request) -> Reply {
    for name in &request.units {
        if world.unit(host, name, |_, _| ()).is_none() {
            return Reply::err(5, format!("Failed to {} {name}: Unit {} not found.\n", request.verb, full(name)));
        }
        let done = match request.verb.as_str() {
            "start" => world.start(host).await,
            "restart" => match world.stop(host, true).await {
                Ok(()) => world.start(host).await,
                stuck => stuck,
            },
            "stop" => world.stop(host, !request.no_block).await,
            "kill" => world.signal(host, request.signal.as_deref().unwrap_or("TERM")),
            verb => world.change(host, |unit| mark(unit, verb)),
        };
        if let Err(error) = done {
            return Reply::err(1, format!("Job for {} failed: {}\n", full(name), error.message));
        }
    }
    Reply::default()
}

fn mark(unit: &mut Unit, verb: &str) {
    match verb {
        "enable" => unit.enabled = true,
        "disable" => unit.enabled = false,
        _ => {
            unit.restarts = 0;
            if unit.active == super::unit::Active::Failed {
                unit.active = super::unit::Active::Inactive;
            }
        }
    }
}

/// A unit's name with its suffix.
pub fn full(name: &str) -> String {
    if name.contains('.') { name.to_owned() } else { format!("{name}.service") }
}

/// Prints the host's log: `-g`, `-n`, `_SYSTEMD_INVOCATION_ID=` and `--since @SECONDS` are honoured.
pub fn journalctl(world: &World, host: &str, args: &[String]) -> Reply {
    let value = |short: &str, long: &str| {
        let next = |i: usize| args.get(i + 1).cloned();
        args.iter().enumerate().find_map(|(i, arg)| match arg.as_str() {
            arg if arg == short || arg == long => next(i),
            arg => arg.strip_prefix(long).and_then(|rest| rest.strip_prefix('=')).map(str::to_owned),
        })
    };
    let invocation = args.iter().find_map(|arg| arg.strip_prefix("_SYSTEMD_INVOCATION_ID=")).unwrap_or_default();
    let since = value("-S", "--since").and_then(|at| at.strip_prefix('@')?.parse::<f64>().ok()).unwrap_or_default();
    let pattern = value("-g", "--grep").unwrap_or_default();
    let lines = world.log(host, |line| {
        line.at_s >= since && line.invocation.starts_with(invocation) && line.text.contains(&pattern)
    });
    let last = value("-n", "--lines").and_then(|n| n.parse().ok()).unwrap_or(lines.len());
    let shown: String = lines[lines.len().saturating_sub(last)..].iter().flat_map(|line| [&line.text, "\n"]).collect();
    Reply { code: i32::from(shown.is_empty() && !pattern.is_empty()), out: shown, err: String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_in_any_form() {
        let parse = |line: &str| Request::parse(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        for line in ["show -p A,B --value x", "show --property=A,B x --value", "--no-pager show -pA -pB --value x"] {
            let request = parse(line);
            assert_eq!((request.verb.as_str(), request.value), ("show", true), "{line}");
            assert_eq!((request.properties, request.units), (vec!["A".into(), "B".into()], vec!["x".into()]), "{line}");
        }
        assert_eq!(parse("kill -s KILL --kill-whom=all x").signal.as_deref(), Some("KILL"));
        assert_eq!(parse("kill --signal=SIGKILL x").signal.as_deref(), Some("SIGKILL"));
        assert!(parse("stop --no-block x").no_block);
    }
}

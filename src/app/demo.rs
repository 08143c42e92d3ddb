//! `fleet demo`: the real commands on simulated hosts, each announced by the command line it stands for.

use std::path::Path;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::app::context::{Context, say};
use crate::app::{operate, runs, status};
use crate::cli::{Cli, Command, DemoArgs, Global, Output, RunsCommand};
use crate::error::{Error, Kind, Result};
use crate::journal::{Places, list};
use crate::sim::{Layout, Sim};
use clap::Parser as _;

/// Time between the simulated chain's blocks, ms.
const BLOCK_TIME: i64 = 500;
/// How long what still runs may take to end after a Ctrl-C.
const LEAVE: Duration = Duration::from_secs(2);

/// Shows the way from a chain without quorum to one that advances; 0 only if it does advance.
pub fn demo(global: &Global, args: &DemoArgs) -> Result<u8> {
    let runtime = Runtime::new().map_err(|error| Error::failed(error.to_string()))?;
    // Listened for before there is anything to clean up.
    let left = runtime.block_on(async { Left::listen() }).map_err(|e| Error::failed(format!("signals: {e}")))?;
    let exe = std::env::current_exe().map_err(|error| Error::failed(format!("own program: {error}")))?;
    say(INTRODUCTION);
    let layout = Layout { block_time_ms: BLOCK_TIME, ..Layout::lost_quorum() };
    let sim = Sim::start(&layout, &exe)?;
    let folder = sim.dir();
    let code = runtime.block_on(async {
        tokio::select! {
            code = show(global, sim.inventory(), &folder) => code,
            signal = left.come() => Err(Error::new(Kind::Interrupted(signal), "left the demo")),
        }
    });
    runtime.shutdown_timeout(LEAVE); // what still writes into the folder ends before it is taken away
    if args.keep {
        say(&kept(&sim.keep()));
    } else {
        drop(sim);
        say("\nThe simulated hosts are gone; nothing is left.");
    }
    code
}

const INTRODUCTION: &str = "\
These hosts are simulated: nine real SSH servers in a process of their own on
this machine run the real remote scripts; the systemd and the chain behind them
are models. val-2 and val-3 have died, and with them 35 of 100 of the power: the
chain has lost its quorum.";

/// The commands, one after the other.
async fn show(global: &Global, inventory: &Path, folder: &Path) -> Result<u8> {
    let places = Places { state: folder.join("state/fleet"), cache: folder.join("cache/fleet") };
    let global = Global { inventory: Some(inventory.to_owned()), limit: None, output: Output::Text, ..global.clone() };
    let context = Context::at(global, places)?;
    // The time-outs are for a busy machine: nine hosts and their node processes share it with fleet.
    command(&context, "fleet status", "--timeout 60s").await?;
    let restarted = command(&context, "fleet restart --coordinated --yes --blocks 5", "--facts-timeout 60s").await?;
    if let Some(run) = list(&context.places)?.first() {
        command(&context, &format!("fleet runs report {}", run.id()), "").await?;
    }
    let advancing = command(&context, "fleet status", "--timeout 60s").await?;
    Ok(if restarted == 0 { advancing } else { restarted })
}

/// Says a command line and runs what it means, with `options` that go unsaid.
async fn command(context: &Context, line: &str, options: &str) -> Result<u8> {
    say(&format!("\n$ {line}"));
    let words = line.split_whitespace().chain(options.split_whitespace());
    let cli = Cli::try_parse_from(words).map_err(|error| Error::failed(error.to_string()))?;
    match cli.command {
        Command::Status(args) => status::status(context, &args).await,
        Command::Restart(args) => operate::restart(context, &args).await,
        Command::Runs { command: command @ RunsCommand::Report { .. } } => {
            runs::runs(&context.global, &context.places, &command)
        }
        other => Err(Error::failed(format!("the demo doesn't show {other:?}"))),
    }
}

/// What to do with what `--keep` keeps.
fn kept(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "\nThe simulated hosts have ended with this command. Kept: {folder}\n  \
         hosts/NAME    a host's files: home, root, bin\n  \
         state         the run's journal: XDG_STATE_HOME={folder}/state fleet runs list\n\
         Hosts that stay until Ctrl-D: fleet sim --dir NEW; then elsewhere: fleet status -i NEW/inventory.toml"
    )
}

/// The signals that end the demo.
struct Left([(u8, Signal); 3]);

impl Left {
    fn listen() -> std::io::Result<Self> {
        let listen = |number, kind| signal(kind).map(|signal| (number, signal));
        Ok(Self([
            listen(1, SignalKind::hangup())?,
            listen(2, SignalKind::interrupt())?,
            listen(15, SignalKind::terminate())?,
        ]))
    }

    /// Waits for one of them; its number.
    async fn come(self) -> u8 {
        let Self([(one, mut hangup), (two, mut interrupt), (three, mut terminate)]) = self;
        tokio::select! {
            _ = hangup.recv() => one,
            _ = interrupt.recv() => two,
            _ = terminate.recv() => three,
        }
    }
}

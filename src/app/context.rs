//! What every command works with: the inventory, the links, the output.

use std::io::{IsTerminal as _, Write};
use std::sync::Arc;

use crate::app::load;
use crate::cli::{Color, Global, Output};
use crate::engine::{Clock as _, SystemClock};
use crate::error::{Error, Result};
use crate::journal::Places;
use crate::model::inventory::Inventory;
use crate::ssh::Links;
use crate::ssh::transport::SshTransport;

/// What every command works with.
pub struct Context {
    /// The fleet.
    pub inventory: Arc<Inventory>,
    /// The hosts.
    pub transport: Arc<SshTransport>,
    /// The links themselves, for commands that run no plan.
    pub links: Arc<Links>,
    /// Options of every command.
    pub global: Global,
    /// Where runs and powers are kept.
    pub places: Places,
}

impl Context {
    /// Loads the inventory; connects to nothing yet.
    pub fn new(global: Global) -> Result<Self> {
        Self::at(global, Places::from_env(|name| std::env::var_os(name))?)
    }

    /// The same with folders of its own.
    pub fn at(global: Global, places: Places) -> Result<Self> {
        let inventory = Arc::new(load::inventory(global.inventory.as_deref())?);
        let links = Arc::new(Links::new(Arc::clone(&inventory)));
        let transport = Arc::new(SshTransport::new(Arc::clone(&links), Arc::clone(&inventory)));
        Ok(Self { inventory, transport, links, global, places })
    }

    /// Unix ms now.
    #[allow(clippy::unused_self)] // tests of the commands bring their own clock some day
    pub fn now_ms(&self) -> i64 {
        SystemClock.unix_ms()
    }

    /// Standard output.
    #[allow(clippy::unused_self)]
    pub fn out(&self) -> std::io::Stdout {
        std::io::stdout()
    }

    /// Standard error.
    #[allow(clippy::unused_self)]
    pub fn err(&self) -> std::io::Stderr {
        std::io::stderr()
    }

    /// Where people read while standard output is for a program.
    pub fn for_people(&self) -> Box<dyn Write + Send> {
        for_people(self.global.output)
    }

    /// Columns of the terminal; 100 without one.
    #[allow(clippy::unused_self)]
    pub fn width(&self) -> usize {
        width()
    }

    /// Whether to use colour on standard output.
    pub fn color(&self) -> bool {
        colored(self.global.color, self.global.output)
    }

    /// The selector of a command: its own argument and `--limit` together.
    pub fn selector(&self, own: Option<&str>) -> Result<Option<String>> {
        Ok(match (own, self.global.limit.as_deref()) {
            (Some(own), Some(limit)) => Some(format!("({own}) and ({limit})")),
            (own, limit) => own.or(limit).map(Into::into),
        })
    }

    /// Prints a line or a document to standard output.
    #[allow(clippy::unused_self)]
    pub fn print(&self, text: &str) {
        say(text.strip_suffix('\n').unwrap_or(text));
    }

    /// Prints rows as one JSON array, or as JSON Lines.
    pub fn print_rows(&self, rows: impl Iterator<Item = serde_json::Value>) {
        say_rows(self.global.output, rows);
    }

    /// Asks a yes-or-no question; without a terminal it is an error.
    pub fn yes_to(&self, question: &str) -> Result<bool> {
        yes_to(self.global.output, question)
    }

    /// What is typed after `prompt`.
    pub fn answer(&self, prompt: &str) -> Result<String> {
        answer(self.global.output, prompt)
    }
}

/// Columns of the terminal; 100 without one.
pub fn width() -> usize {
    rustix::termios::tcgetwinsize(std::io::stdout()).map_or(100, |size| usize::from(size.ws_col)).clamp(60, 200)
}

/// Whether to use colour on standard output.
pub fn colored(color: Color, output: Output) -> bool {
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            output == Output::Text && std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
        }
    }
}

/// Prints a line to standard output; a closed pipe or terminal ends nothing.
pub fn say(line: &str) {
    let mut out = std::io::stdout();
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}

/// Where people read while standard output is for a program.
fn for_people(output: Output) -> Box<dyn Write + Send> {
    if output == Output::Text { Box::new(std::io::stdout()) } else { Box::new(std::io::stderr()) }
}

/// Prints rows as one JSON array, or as JSON Lines.
pub fn say_rows(output: Output, rows: impl Iterator<Item = serde_json::Value>) {
    if output == Output::Jsonl {
        rows.for_each(|row| say(&row.to_string()));
    } else {
        say(&serde_json::Value::Array(rows.collect()).to_string());
    }
}

/// The operator answered otherwise: what was to come after this must not go on.
pub fn turned_down() -> Error {
    Error::failed("left; nothing was changed")
}

/// Asks a yes-or-no question; without a terminal it is an error.
pub fn yes_to(output: Output, question: &str) -> Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Err(Error::usage("there is no terminal to ask on").hint("--yes goes on without asking"));
    }
    Ok(matches!(answer(output, &format!("{question} [y/N] "))?.as_str(), "y" | "Y" | "yes"))
}

fn answer(output: Output, prompt: &str) -> Result<String> {
    let mut out = for_people(output);
    let _ = write!(out, "{prompt}");
    let _ = out.flush();
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(|error| Error::usage(format!("standard input: {error}")))?;
    Ok(line.trim().to_owned())
}

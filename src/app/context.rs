//! What every command works with: the inventory, the links, the output.

use std::io::{IsTerminal as _, Write};
use std::sync::Arc;

use crate::app::load;
use crate::cli::{Color, ConfirmArgs, Global, Output};
use crate::engine::{Clock as _, SystemClock};
use crate::error::{Error, Result};
use crate::journal::Places;
use crate::model::facts::{Facts, HostFacts, ValidatorSet};
use crate::model::inventory::Inventory;
use crate::model::plan::{Finding, Plan};
use crate::render;
use crate::ssh::transport::SshTransport;
use crate::ssh::Links;

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
        let inventory = Arc::new(load::inventory(global.inventory.as_deref())?);
        let links = Arc::new(Links::new(Arc::clone(&inventory)));
        let transport = Arc::new(SshTransport::new(Arc::clone(&links), Arc::clone(&inventory)));
        Ok(Self { inventory, transport, links, global, places: Places::from_env()? })
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
        if self.global.output == Output::Text { Box::new(std::io::stdout()) } else { Box::new(std::io::stderr()) }
    }

    /// Columns of the terminal; 100 without one.
    pub fn width(&self) -> usize {
        rustix::termios::tcgetwinsize(std::io::stdout()).map_or(100, |size| usize::from(size.ws_col)).clamp(60, 200)
    }

    /// Whether to use colour on standard output.
    pub fn color(&self) -> bool {
        match self.global.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                self.global.output == Output::Text
                    && std::io::stdout().is_terminal()
                    && std::env::var_os("NO_COLOR").is_none()
            }
        }
    }

    /// The selector of a command: its own argument and `--limit` together.
    pub fn selector(&self, own: Option<&str>) -> Result<Option<String>> {
        Ok(match (own, self.global.limit.as_deref()) {
            (Some(own), Some(limit)) => Some(format!("({own}) and ({limit})")),
            (own, limit) => own.or(limit).map(Into::into),
        })
    }

    /// Prints a line or a document to standard output; a closed pipe is no error.
    pub fn print(&self, text: &str) {
        let mut out = self.out();
        let newline = if text.ends_with('\n') { "" } else { "\n" };
        let _ = write!(out, "{text}{newline}");
        let _ = out.flush();
    }

    /// Shows a plan to whoever will confirm it.
    pub fn show_plan(&self, plan: &Plan, remarks: &[Finding]) -> Result<()> {
        if self.global.output == Output::Json {
            let document = serde_json::json!({
                "plan": plan, "digest": plan.digest().to_string(),
                "agreement": plan.agreement.digest().to_string(), "remarks": remarks,
            });
            let text = serde_json::to_string(&document).map_err(|error| Error::failed(error.to_string()))?;
            let _ = writeln!(self.err(), "{text}");
            return Ok(());
        }
        let text = render::plan::plan_text(plan, remarks, self.width(), self.color());
        let mut out = self.for_people();
        let _ = writeln!(out, "{}", text.trim_end());
        Ok(())
    }

    /// Whether somebody can be asked.
    #[allow(clippy::unused_self)]
    pub fn is_interactive(&self, confirm: &ConfirmArgs) -> bool {
        !confirm.yes && confirm.plan_digest.is_none() && std::io::stdin().is_terminal()
    }

    /// Refuses early what could not be confirmed in the end.
    pub fn must_be_able_to_confirm(&self, confirm: &ConfirmArgs) -> Result<()> {
        if confirm.dry_run || confirm.yes || confirm.plan_digest.is_some() || self.is_interactive(confirm) {
            return Ok(());
        }
        Err(Error::usage("there is no terminal to confirm the plan on, and neither --yes nor --plan-digest")
            .hint("look at the plan first with --dry-run, then give its digest: --plan-digest DIGEST"))
    }

    /// Whether the operator wants this plan.
    pub fn confirmed(&self, plan: &Plan, confirm: &ConfirmArgs) -> Result<bool> {
        let digest = plan.digest();
        if let Some(given) = &confirm.plan_digest {
            return if digest.is_named_by(given) {
                Ok(true)
            } else {
                Err(Error::usage(format!("the plan has the digest {digest}, not {given}"))
                    .hint("the situation or the inventory has changed since; look again with --dry-run"))
            };
        }
        if confirm.yes {
            return Ok(true);
        }
        let mut out = self.for_people();
        let _ = write!(out, "\nType {} to go, anything else to leave: ", digest.short());
        let _ = out.flush();
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map_err(|error| Error::usage(format!("standard input: {error}")))?;
        Ok(digest.is_named_by(&line))
    }

    /// Prints rows as one JSON array, or as JSON Lines.
    pub fn print_rows(&self, rows: impl Iterator<Item = serde_json::Value>) {
        if self.global.output == Output::Jsonl {
            rows.for_each(|row| self.print(&row.to_string()));
        } else {
            self.print(&serde_json::Value::Array(rows.collect()).to_string());
        }
    }

    /// Asks a yes-or-no question; without a terminal it is an error.
    pub fn yes_to(&self, question: &str) -> Result<bool> {
        if !std::io::stdin().is_terminal() {
            return Err(Error::usage("there is no terminal to ask on").hint("--yes goes on without asking"));
        }
        let mut out = self.for_people();
        let _ = write!(out, "{question} [y/N] ");
        let _ = out.flush();
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map_err(|error| Error::usage(format!("standard input: {error}")))?;
        Ok(matches!(line.trim(), "y" | "Y" | "yes"))
    }

    /// Keeps the greatest validator set of these facts for a time when no node answers.
    pub fn remember_powers(&self, chain_id: &str, facts: &Facts) {
        let answered = facts.hosts.values().filter_map(|host| match host {
            HostFacts::Answered(host) => Some(host),
            HostFacts::Silent(_) => None,
        });
        let sets = answered.flat_map(|host| host.services.values()).filter_map(|service| {
            let of_chain = service.rpc.status.as_ref().is_some_and(|status| status.chain_id == chain_id);
            service.rpc.validators.as_ref().filter(|_| of_chain)
        });
        if let Some(set) = sets.max_by_key(|set| set.height) {
            // A cache that can't be written costs only its use in a later outage.
            let _ = self.places.store_powers(chain_id, set);
        }
    }

    /// The validator set of an earlier gather.
    pub fn recall_powers(&self, chain_id: &str) -> Option<ValidatorSet> {
        self.places.load_powers(chain_id)
    }
}

//! Showing a plan and asking for its digest.

use std::io::{IsTerminal as _, Write as _};

use crate::app::context::Context;
use crate::cli::{ConfirmArgs, Output};
use crate::error::{Error, Result};
use crate::model::plan::{Digest, Finding, Operation, Plan};
use crate::render::plan::{plan_text, without_text};

/// What the operator wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// The plan.
    Go,
    /// The plan without the hosts that can't be armed.
    GoWithout,
    /// Nothing.
    Leave,
}

impl Context {
    /// Shows a plan to whoever will confirm it; on a dry run, standard output is all there is.
    pub fn show_plan(&self, plan: &Plan, remarks: &[Finding], confirm: &ConfirmArgs) {
        if self.global.quiet {
            return;
        }
        if self.global.output == Output::Text {
            self.print(&plan_text(plan, remarks, self.width(), self.color()));
            return;
        }
        let document = serde_json::json!({
            "plan": plan, "digest": plan.digest().to_string(),
            "agreement": plan.agreement.digest().to_string(), "remarks": remarks,
        });
        if confirm.dry_run {
            self.print(&document.to_string());
        } else if self.is_interactive(confirm) {
            let _ = writeln!(self.err(), "{}", plan_text(plan, remarks, self.width(), false));
        }
    }

    /// Whether somebody can be asked.
    #[allow(clippy::unused_self)]
    pub fn is_interactive(&self, confirm: &ConfirmArgs) -> bool {
        !confirm.yes && confirm.plan_digest.is_none() && std::io::stdin().is_terminal()
    }

    /// Refuses early what could not be confirmed in the end.
    pub fn must_be_able_to_confirm(&self, confirm: &ConfirmArgs) -> Result<()> {
        if let Some(given) = confirm.plan_digest.as_ref().filter(|given| !Digest::is_form(given)) {
            return Err(Error::usage(format!("--plan-digest '{given}' is not a digest"))
                .hint("write the plan's digest, whole or its first half, as --dry-run shows it: 7f3c-19ab or 7f3c"));
        }
        if confirm.dry_run || confirm.yes || confirm.plan_digest.is_some() || self.is_interactive(confirm) {
            return Ok(());
        }
        Err(Error::usage("there is no terminal to confirm the plan on, and neither --yes nor --plan-digest")
            .hint("look at the plan first with --dry-run, then give its digest: --plan-digest DIGEST"))
    }

    /// Whether the operator wants this plan, or `other`, which is the same without hosts that can't be armed.
    pub fn confirmed(&self, plan: &Plan, other: Option<&Plan>, confirm: &ConfirmArgs) -> Result<Choice> {
        let named = |text: &str| match other {
            _ if plan.digest().is_named_by(text) => Choice::Go,
            Some(other) if other.digest().is_named_by(text) => Choice::GoWithout,
            _ => Choice::Leave,
        };
        if let Some(given) = &confirm.plan_digest {
            return match named(given) {
                Choice::Leave => Err(Error::usage(format!("the plan has the digest {}, not {given}", plan.digest()))
                    .hint("the situation or the inventory has changed since; look again with --dry-run")),
                choice => Ok(choice),
            };
        }
        if confirm.yes {
            return Ok(Choice::Go);
        }
        if plan.operation == Operation::Start && other.is_none() {
            return Ok(if self.yes_to("\nGo?")? { Choice::Go } else { Choice::Leave });
        }
        let prompt = match other {
            Some(other) => format!(
                "\n{}\nType {} to go on without, {} to try with all of them, anything else to leave: ",
                without_text(other),
                other.digest().short(),
                plan.digest().short()
            ),
            None => format!("\nType {} to go, anything else to leave: ", plan.digest().short()),
        };
        Ok(named(&self.answer(&prompt)?))
    }
}

//! `fleet schedule`: backups that come again.

mod after;
mod clock;
mod install;
mod run;

use std::io::Write as _;

use serde_json::json;

use crate::app::backup::{Asked, scope_of as scope_of_backup};
use crate::app::context::Context;
use crate::app::scope::Scope;
use crate::cli::{Output, ScheduleCommand};
use crate::error::{Error, Result};
use crate::journal::Schedules;
use crate::model::inventory::{Inventory, Schedule};
use crate::model::schedule::Record;
use crate::model::source::{Problem, report};
use crate::ops::schedule::due_ms;
use crate::render::schedule as screen;

/// `fleet schedule …`
pub async fn schedule(context: &Context, command: &ScheduleCommand) -> Result<u8> {
    match command {
        ScheduleCommand::Install(args) => install::install(context, args).await,
        ScheduleCommand::List => list(context).await,
        ScheduleCommand::Remove => install::remove(context).await,
        ScheduleCommand::RunDue { now } => run::run_due(context, now).await,
    }
}

/// The inventory's schedules.
struct Scoped<'a> {
    /// Each with the hosts of its one chain.
    good: Vec<(&'a Schedule, Scope)>,
    /// Those of which it isn't clear what is meant; they keep the others from nothing.
    bad: Vec<(&'a Schedule, Error)>,
}

/// Tells what is wrong; the exit code.
fn told(context: &Context, bad: &[(&Schedule, Error)]) -> u8 {
    for (_, error) in bad {
        let _ = writeln!(context.err(), "error: {error}");
    }
    bad.first().map_or(0, |(_, error)| error.kind.exit_code())
}

/// An error where none is good.
fn scoped(context: &Context) -> Result<Scoped<'_>> {
    if context.global.limit.is_some() {
        return Err(
            Error::usage("--limit isn't for schedules").hint("their hosts stand in the inventory: hosts = \"…\"")
        );
    }
    let inventory = &*context.inventory;
    if inventory.schedules.is_empty() {
        let example =
            "[[schedule]] name = \"config\", every = \"1h\", profiles = [\"config\"], store = \"/srv/snapshots\"";
        return Err(Error::usage(format!("{} has no schedule", inventory.source.display()))
            .hint(format!("write one there: {example}")));
    }
    let mut scoped = Scoped { good: Vec::new(), bad: Vec::new() };
    for schedule in &inventory.schedules {
        match scope_of(inventory, schedule) {
            Ok(scope) => scoped.good.push((schedule, scope)),
            Err(error) => scoped.bad.push((schedule, error)),
        }
    }
    match scoped.bad.pop() {
        Some((_, error)) if scoped.good.is_empty() => Err(error),
        last => {
            scoped.bad.extend(last);
            Ok(scoped)
        }
    }
}

/// Whether it is clear of each schedule what is meant; `text` is the inventory's.
pub fn check(inventory: &Inventory, text: &str) -> Result<()> {
    let problem = |schedule: &Schedule| {
        let error = scope_of(inventory, schedule).err()?;
        Some(Problem::new(schedule.place.clone(), error.message, "name hosts of one chain: hosts = \"chain:NAME\""))
    };
    let problems: Vec<Problem> = inventory.schedules.iter().filter_map(problem).collect();
    if problems.is_empty() { Ok(()) } else { Err(report(&inventory.source, text, problems)) }
}

fn scope_of(inventory: &Inventory, schedule: &Schedule) -> Result<Scope> {
    let asked = Asked::named(&schedule.profiles, inventory);
    let scope = asked.and_then(|asked| scope_of_backup(inventory, schedule.hosts.as_deref(), &asked));
    scope.map_err(|error| {
        Error::new(error.kind, format!("schedule {}: {}", schedule.name, error.message))
            .hint("name hosts of one chain in the inventory, e.g. hosts = \"chain:NAME\"; fleet inventory show")
    })
}

/// The id of a chain of the inventory; empty where none is meant.
fn chain_id<'a>(inventory: &'a Inventory, chain: &str) -> &'a str {
    inventory.chain(chain).map_or("", |chain| &chain.chain_id)
}

/// `fleet schedule list`
async fn list(context: &Context) -> Result<u8> {
    let inventory = &context.inventory;
    let records = Schedules::of(&context.places, &inventory.name);
    let now_ms = context.now_ms();
    let mut rows = Vec::new();
    let Scoped { good, bad } = scoped(context)?;
    let exit = told(context, &bad);
    for (schedule, scope) in good {
        let record = records.read(&schedule.name)?.unwrap_or_else(|| Record::new(now_ms));
        let next_ms = due_ms(&inventory.name, schedule, &record, now_ms);
        let chain_id = chain_id(inventory, &scope.chain);
        let runs = record.is_open() && records.is_taken(chain_id);
        rows.push(screen::Row { schedule, hosts: scope.hosts, chain_id: chain_id.to_owned(), record, next_ms, runs });
    }
    let clocks = clock::installed(&inventory.name).await;
    if context.global.output != Output::Text {
        let clocks = json!(clocks);
        context.print_rows(rows.iter().map(|row| screen::row_json(row, &clocks)));
        return Ok(exit);
    }
    context.print(&screen::list(&rows, now_ms, context.width()).join("\n"));
    match clocks.as_slice() {
        [] => context.print("next: nothing calls 'fleet schedule run-due' yet: fleet schedule install"),
        clocks => context.print(&format!("every five minutes by {}", clocks.join(" and "))),
    }
    Ok(exit)
}

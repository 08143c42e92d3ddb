//! `fleet runs`: what past runs did, from their journals.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use serde_json::json;

use crate::app::context::say;
use crate::cli::{Global, Output, RunsCommand};
use crate::error::{Error, Result};
use crate::journal::{Places, RunDir, Stored, list};
use crate::model::event::{Event, RunState};
use crate::render::paint::Paint;
use crate::render::plan::plan_text;
use crate::render::run::Teller;
use crate::render::words::{cut, time};

/// How often a run that goes on is looked at.
const FOLLOW: Duration = Duration::from_millis(200);

/// `fleet runs list|show|report`
pub fn runs(global: &Global, places: &Places, command: &RunsCommand) -> Result<u8> {
    match command {
        RunsCommand::List => listed(global, places),
        RunsCommand::Show { run, follow } => show(global, &RunDir::open(places, run)?, *follow),
        RunsCommand::Report { run } => report(global, &RunDir::open(places, run)?),
    }
    .map(|()| 0)
}

fn listed(global: &Global, places: &Places) -> Result<()> {
    let runs = list(places)?;
    if runs.is_empty() {
        let _ = writeln!(std::io::stderr(), "no runs yet in {}", places.runs().display());
    }
    let mut documents = Vec::new();
    let mut next = None;
    for run in runs {
        let stored = run.read();
        match (global.output, &stored) {
            (Output::Text, Ok(stored)) => {
                say(&fitting(&row(run.id(), stored)));
                next = next.or_else(|| stored.is_left().then(|| take_up(run.id(), stored)));
            }
            (Output::Text, Err(error)) => say(&fitting(&format!("{}  can't be read: {}", run.id(), error.message))),
            (_, Ok(stored)) => documents.push(json!({
                "run": run.id(), "operation": stored.plan.operation, "chain_id": stored.plan.chain_id,
                "started_ms": stored.state.started_ms, "ended": stored.state.ended, "alive": stored.alive,
                "unfinished": stored.is_unfinished(),
            })),
            (_, Err(error)) => documents.push(json!({ "run": run.id(), "error": error.message })),
        }
    }
    match global.output {
        Output::Text => next.iter().for_each(|next| say(next)),
        Output::Json => say(&serde_json::Value::Array(documents).to_string()),
        Output::Jsonl => documents.iter().for_each(|document| say(&document.to_string())),
    }
    Ok(())
}

/// A terminal gets no line that is longer than it is wide; a pipe gets everything.
fn fitting(line: &str) -> String {
    if std::io::stdout().is_terminal() { cut(line, crate::app::context::width()) } else { line.to_owned() }
}

fn row(id: &str, stored: &Stored) -> String {
    let how = match (&stored.state.ended, stored.alive) {
        (_, true) => "goes on".to_owned(),
        (Some((_, summary)), _) if stored.is_left() => format!("unfinished; {summary}"),
        (Some((0, summary)), _) => summary.clone(),
        (Some((exit, summary)), _) => format!("{summary} (exit {exit})"),
        (None, false) if stored.state.touched() => "unfinished; died under way".to_owned(),
        (None, false) => "died before anything was changed".to_owned(),
    };
    let (plan, begun) = (&stored.plan, time(stored.state.started_ms / 1000 * 1000));
    format!("{id}  {begun}  {}: {how}", plan.title())
}

/// What to do about a run that is left unfinished.
pub fn take_up(id: &str, stored: &Stored) -> String {
    format!("next: fleet resume {id}   goes on with the unfinished {}", stored.plan.operation.words())
}

fn show(global: &Global, run: &RunDir, follow: bool) -> Result<()> {
    let plan = run.plan()?;
    let mut teller = Teller::new(&plan, RunState::default(), Paint { color: colored(global) }).detailed(global.verbose);
    let mut told = 0;
    loop {
        // Asked first: a fleet that ends in between has then written its last event already.
        let alive = run.is_alive();
        let past = run.past()?;
        for event in &past.events[told.min(past.events.len())..] {
            tell(global, &mut teller, event);
        }
        told = past.events.len();
        if !follow || !alive {
            break;
        }
        std::thread::sleep(FOLLOW);
    }
    if global.output == Output::Json {
        say(&serde_json::to_string(&run.past()?.events).map_err(|error| Error::failed(error.to_string()))?);
    }
    Ok(())
}

fn tell(global: &Global, teller: &mut Teller, event: &Event) {
    match global.output {
        Output::Text => teller.lines(event).iter().for_each(|line| say(line)),
        Output::Json => {}
        Output::Jsonl => say(&serde_json::to_string(event).unwrap_or_default()),
    }
}

fn report(global: &Global, run: &RunDir) -> Result<()> {
    let stored = run.read()?;
    if global.output != Output::Text {
        say(&json!({
            "format": 1, "run": run.id(), "plan": stored.plan, "events": stored.past.events,
            "ended": stored.state.ended, "alive": stored.alive, "unfinished": stored.is_unfinished(),
        })
        .to_string());
        return Ok(());
    }
    let color = colored(global);
    say(&format!("run {}, begun {}\nin {}\n", run.id(), time(stored.state.started_ms), run.path().display()));
    say(&plan_text(&stored.plan, &[], crate::app::context::width(), color));
    let mut teller = Teller::new(&stored.plan, RunState::default(), Paint { color }).detailed(global.verbose);
    for event in &stored.past.events {
        teller.lines(event).iter().for_each(|line| say(line));
    }
    if stored.state.ended.is_none() {
        say(if stored.alive { "it goes on" } else { "its fleet died here" });
    }
    if stored.is_left() {
        say(&take_up(run.id(), &stored));
    }
    Ok(())
}

fn colored(global: &Global) -> bool {
    crate::app::context::colored(global.color, global.output)
}

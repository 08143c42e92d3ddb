//! `fleet runs`: what past runs did, from their journals.

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
use crate::render::words::time;

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
    let mut documents = Vec::new();
    for run in list(places)? {
        let stored = run.read();
        match (global.output, &stored) {
            (Output::Text, Ok(stored)) => say(&row(run.id(), stored)),
            (Output::Text, Err(error)) => say(&format!("{}  can't be read: {}", run.id(), error.message)),
            (_, Ok(stored)) => documents.push(json!({
                "run": run.id(), "operation": stored.plan.operation, "chain_id": stored.plan.chain_id,
                "started_ms": stored.state.started_ms, "ended": stored.state.ended, "alive": stored.alive,
                "unfinished": stored.is_unfinished(),
            })),
            (_, Err(error)) => documents.push(json!({ "run": run.id(), "error": error.message })),
        }
    }
    match global.output {
        Output::Text => {}
        Output::Json => say(&serde_json::Value::Array(documents).to_string()),
        Output::Jsonl => documents.iter().for_each(|document| say(&document.to_string())),
    }
    Ok(())
}

fn row(id: &str, stored: &Stored) -> String {
    let how = match (&stored.state.ended, stored.alive) {
        (_, true) => "goes on".to_owned(),
        (Some((0, summary)), _) => summary.clone(),
        (Some((exit, summary)), _) => format!("{summary} (exit {exit})"),
        (None, false) if stored.state.touched() => format!("died under way: fleet resume {id}"),
        (None, false) => "died before anything was changed".to_owned(),
    };
    let plan = &stored.plan;
    format!("{id}  {}  {} of {}: {how}", time(stored.state.started_ms), plan.operation.words(), plan.chain_id)
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
    if stored.is_unfinished() && stored.state.touched() && !stored.alive {
        say(&format!("next: fleet resume {}", run.id()));
    }
    Ok(())
}

fn colored(global: &Global) -> bool {
    crate::app::context::colored(global.color, global.output)
}

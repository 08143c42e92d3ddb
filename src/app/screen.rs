//! Shows a run while it goes on: lines for people, events for programs.

use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use crate::app::context::{Context, say};
use crate::cli::Output;
use crate::engine::{Clock as _, SystemClock};
use crate::model::event::{Event, RunState};
use crate::model::plan::Plan;
use crate::render::paint::Paint;
use crate::render::run::Teller;

/// How often the line that is written over is renewed.
const TICK: Duration = Duration::from_millis(100);
/// Without a terminal: how long nothing may be said, ms: a tenth of the time that has passed, within these bounds.
const QUIET_MS: (i64, i64) = (10_000, 300_000);

/// The screen of one run.
pub struct Screen {
    shared: Arc<Mutex<Shown>>,
    ticker: tokio::task::JoinHandle<()>,
}

struct Shown {
    teller: Teller,
    output: Output,
    quiet: bool,
    bar: ProgressBar,
    events: Vec<Event>,
    said_ms: i64,
    begun_ms: i64,
}

impl Screen {
    /// Begins to show a run of `plan` that stands at `state`.
    pub fn new(context: &Context, plan: &Plan, state: RunState) -> Self {
        let text = context.global.output == Output::Text && !context.global.quiet;
        let live = text && std::io::stderr().is_terminal();
        let bar = ProgressBar::with_draw_target(
            None,
            if live { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() },
        );
        bar.set_style(ProgressStyle::with_template("{spinner} {msg}").unwrap_or_else(|_| ProgressStyle::default_bar()));
        let shown = Shown {
            teller: Teller::new(plan, state, Paint { color: context.color() }).detailed(context.global.verbose),
            output: context.global.output,
            quiet: context.global.quiet,
            bar,
            events: Vec::new(),
            said_ms: SystemClock.unix_ms(),
            begun_ms: SystemClock.unix_ms(),
        };
        let shared = Arc::new(Mutex::new(shown));
        let ticker = tokio::spawn(tick(Arc::clone(&shared), live));
        Self { shared, ticker }
    }

    /// Where the events go.
    pub fn sink(&self) -> Box<dyn FnMut(&Event) + Send> {
        let shared = Arc::clone(&self.shared);
        Box::new(move |event| lock(&shared).show(event))
    }

    /// Ends it; a program gets its one document.
    pub fn finish(self, plan: &Plan) {
        self.ticker.abort();
        let shown = lock(&self.shared);
        shown.bar.finish_and_clear();
        if shown.output == Output::Json && !shown.quiet {
            let state = shown.teller.state();
            let document = json!({
                "format": 1, "run": state.run, "digest": plan.digest().to_string(),
                "agreement": plan.agreement.digest().to_string(),
                "exit": state.ended.as_ref().map(|(exit, _)| exit),
                "summary": state.ended.as_ref().map(|(_, summary)| summary), "events": shown.events,
            });
            say(&document.to_string());
        }
    }
}

impl Shown {
    fn show(&mut self, event: &Event) {
        let lines = self.teller.lines(event);
        match self.output {
            _ if self.quiet => {}
            Output::Text if lines.is_empty() => {}
            Output::Text => {
                self.said_ms = event.at_ms;
                self.bar.suspend(|| lines.iter().for_each(|line| say(line)));
            }
            Output::Json => self.events.push(event.clone()),
            Output::Jsonl => say(&serde_json::to_string(event).unwrap_or_default()),
        }
    }

    fn renew(&mut self, live: bool) {
        let now_ms = SystemClock.unix_ms();
        // What takes hours needs no line every ten seconds.
        let quiet_ms = ((now_ms - self.begun_ms) / 10).clamp(QUIET_MS.0, QUIET_MS.1);
        let doing = self.teller.now(now_ms);
        if live {
            self.bar.set_message(doing);
            self.bar.tick();
        } else if self.output == Output::Text && !self.quiet && !doing.is_empty() && now_ms - self.said_ms >= quiet_ms {
            self.said_ms = now_ms;
            say(&doing);
        }
    }
}

async fn tick(shared: Arc<Mutex<Shown>>, live: bool) {
    loop {
        tokio::time::sleep(TICK).await;
        lock(&shared).renew(live);
    }
}

fn lock(shared: &Mutex<Shown>) -> std::sync::MutexGuard<'_, Shown> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

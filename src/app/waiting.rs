//! What a command waits for, on standard error, when it takes more than a moment.

use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt as _};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use crate::model::fold::fold;

/// Nothing is shown before, and then it is brought up to date this often.
const QUIET: Duration = Duration::from_secs(1);
/// More than this of the names isn't shown.
const NAMES: usize = 60;

/// Every answer of `hosts`, in their order; each is told to `came` when it comes.
pub async fn all<T>(
    hosts: &[String],
    answers: impl Iterator<Item = impl Future<Output = T>>,
    mut came: impl FnMut(&T),
) -> Vec<T> {
    let numbered = answers.enumerate().map(|(index, answer)| async move { (index, answer.await) });
    let mut running: FuturesUnordered<_> = numbered.collect();
    let mut waiting = Waiting::new(hosts);
    let mut all: Vec<(usize, T)> = Vec::new();
    loop {
        tokio::select! {
            answer = running.next() => {
                let Some((index, answer)) = answer else { break };
                waiting.left.retain(|host| *host != hosts[index]);
                came(&answer);
                all.push((index, answer));
            }
            () = waiting.tick() => {}
        }
    }
    all.sort_by_key(|(index, _)| *index);
    all.into_iter().map(|(_, answer)| answer).collect()
}

/// The hosts that haven't answered yet. On anything but a terminal it shows nothing; it is wiped away when dropped.
struct Waiting {
    left: Vec<String>,
    all: usize,
    began: Instant,
    beat: Interval,
    bar: Option<ProgressBar>,
}

impl Waiting {
    fn new(hosts: &[String]) -> Self {
        let began = Instant::now();
        let mut beat = interval_at(began + QUIET, QUIET);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { left: hosts.to_vec(), all: hosts.len(), began, beat, bar: None }
    }

    /// Waits for the next moment to show something, and shows it. Safe to give up and to call again.
    async fn tick(&mut self) {
        self.beat.tick().await;
        let text = self.line();
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.with_style(ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner()))
        });
        bar.set_message(text);
        bar.tick();
    }

    fn line(&self) -> String {
        let mut names = fold(self.left.iter().map(String::as_str));
        if names.chars().count() > NAMES {
            names = names.chars().take(NAMES).chain(['…']).collect();
        }
        let answered = self.all - self.left.len();
        format!("{answered} of {} answered, {} s: waiting for {names}", self.all, self.began.elapsed().as_secs())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_names_who_is_missing() {
        let hosts: Vec<String> = (1..=3).map(|n| format!("val-{n}")).collect();
        let mut waiting = Waiting::new(&hosts);
        waiting.left.remove(0);
        waiting.tick().await;
        assert_eq!(waiting.line(), "1 of 3 answered, 1 s: waiting for val-[2-3]");
        waiting.left = (1..40).map(|n| format!("host-{n}-{}", "x".repeat(n))).collect();
        waiting.all = 40;
        assert!(waiting.line().chars().count() < 120);
    }

    #[tokio::test(start_paused = true)]
    async fn answers_come_in_the_order_of_the_hosts() {
        let hosts = ["a".to_owned(), "b".to_owned()];
        let answer = |seconds| async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            seconds
        };
        let mut came = Vec::new();
        let all = all(&hosts, [5, 2].map(answer).into_iter(), |one| came.push(*one)).await;
        assert_eq!((all, came), (vec![5, 2], vec![2, 5]));
    }
}

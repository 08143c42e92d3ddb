//! What a command came to on many hosts: equal answers folded for people, a row a host for programs.

use serde_json::{Value, json};

use super::next::{Reason, next};
use super::paint::Paint;
use super::plain::plain;
use crate::model::fold::fold;

/// A column of host names is at most this wide; a longer name has its line to itself.
const NAMES: usize = 32;

/// What one host answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The host.
    pub host: String,
    /// What the command wrote, as far as it came.
    pub stdout: Vec<u8>,
    /// What it wrote to its standard error.
    pub stderr: Vec<u8>,
    /// How it ended.
    pub end: End,
}

/// How a command ended on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// With this status.
    Exit(u32),
    /// It never ran, for this reason.
    Failed(Reason),
    /// It may have run, or may still run.
    Unknown(Reason),
}

impl Answer {
    /// Whether the command ended with status 0.
    pub fn is_success(&self) -> bool {
        self.end == End::Exit(0)
    }

    fn reason(&self) -> Option<&Reason> {
        match &self.end {
            End::Exit(_) => None,
            End::Failed(reason) | End::Unknown(reason) => Some(reason),
        }
    }

    /// For programs; text that isn't UTF-8 has replacement characters in it.
    pub fn json(&self) -> Value {
        let exit = if let End::Exit(code) = &self.end { Some(code) } else { None };
        let reason = self.reason();
        json!({
            "host": self.host,
            "exit": exit,
            "stdout": String::from_utf8_lossy(&self.stdout),
            "stderr": String::from_utf8_lossy(&self.stderr),
            "error": reason.map(|reason| &reason.message),
            "hint": reason.and_then(|reason| reason.hint.as_ref()),
            "unknown": matches!(self.end, End::Unknown(_)),
        })
    }
}

/// The answers, those of the most hosts first and what failed last, then how many there are. `answers` are in the
/// inventory's order; `seconds` is how long it took.
pub fn exec_text(answers: &[Answer], seconds: f64, color: bool) -> String {
    let groups = groups(answers);
    let names: Vec<String> = groups.iter().map(|group| fold(group.iter().map(|one| one.host.as_str()))).collect();
    let width = names.iter().map(|name| name.chars().count()).filter(|width| *width <= NAMES).max().unwrap_or(0);
    let paint = Paint { color };
    let mut text = String::new();
    for (group, names) in groups.iter().zip(&names) {
        text += &shown(group[0], names, width, paint);
    }
    text += &next(answers.iter().filter_map(|answer| Some((&*answer.host, answer.reason()?.hint.as_deref()?))));
    text + &summary(answers, &groups, seconds) + "\n"
}

/// Equal answers together.
fn groups(answers: &[Answer]) -> Vec<Vec<&Answer>> {
    let mut groups: Vec<Vec<&Answer>> = Vec::new();
    for answer in answers {
        let same = |group: &&mut Vec<&Answer>| {
            let first = group[0];
            (&first.stdout, &first.stderr, &first.end) == (&answer.stdout, &answer.stderr, &answer.end)
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.push(answer),
            None => groups.push(vec![answer]),
        }
    }
    groups.sort_by_key(|group| (rank(&group[0].end), std::cmp::Reverse(group.len())));
    groups
}

/// What needs attention stands last, next to the summary.
fn rank(end: &End) -> u8 {
    match end {
        End::Exit(0) => 0,
        End::Exit(_) => 1,
        End::Failed(_) => 2,
        End::Unknown(_) => 3,
    }
}

fn shown(answer: &Answer, names: &str, width: usize, paint: Paint) -> String {
    let (stdout, stderr) = (plain(&answer.stdout), plain(&answer.stderr));
    let head = match &answer.end {
        End::Exit(0) if stdout.is_empty() && stderr.is_empty() => "(no output)".into(),
        // One line stands beside the name.
        End::Exit(0) if stderr.is_empty() && stdout.trim_end_matches('\n').lines().count() == 1 => {
            return format!("{names:width$}  {}\n", stdout.trim_end_matches('\n'));
        }
        End::Exit(0) => String::new(),
        End::Exit(code) => paint.bad(&format!("exit {code}")),
        End::Failed(reason) => format!("{} {}", paint.bad("failed:"), plain(reason.message.as_bytes())),
        End::Unknown(reason) => format!("{} {}", paint.unsure("unknown:"), plain(reason.message.as_bytes())),
    };
    let mut text = format!("{names:width$}  {head}").trim_end().to_owned() + "\n";
    for line in stdout.lines() {
        text += if line.is_empty() { "" } else { "  " };
        text += line;
        text.push('\n');
    }
    stderr.lines().for_each(|line| text += &format!("  stderr: {line}\n"));
    text
}

fn summary(answers: &[Answer], groups: &[Vec<&Answer>], seconds: f64) -> String {
    let count = |wanted: fn(&End) -> bool| answers.iter().filter(|one| wanted(&one.end)).count();
    let answered = count(|end| matches!(end, End::Exit(_)));
    let different = groups.iter().filter(|group| matches!(group[0].end, End::Exit(_))).count();
    let mut parts = vec![format!("{answered} of {} answered in {seconds:.1} s", answers.len())];
    match (different, answered) {
        (1, 2..) => parts.push("all alike".into()),
        (2.., _) => parts.push(format!("{different} different answers")),
        _ => {}
    }
    for (number, what) in [
        (count(|end| matches!(end, End::Exit(1..))), "ended with an error"),
        (count(|end| matches!(end, End::Failed(_))), "failed"),
        (count(|end| matches!(end, End::Unknown(_))), "unknown"),
    ] {
        if number > 0 {
            parts.push(format!("{number} {what}"));
        }
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests;

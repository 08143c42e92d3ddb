//! What is wrong in a text that an operator wrote: shown with its line and a caret.

use std::ops::Range;
use std::path::Path;

use crate::error::Error;

/// After so many the rest is only counted.
const MOST_SHOWN: usize = 10;

/// Longer lines are cut around the place that is meant.
const WIDEST: usize = 160;

/// What age's secret keys begin with.
pub const SECRET_KEY: &str = "AGE-SECRET-KEY-";

/// One thing that is wrong at one place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The first byte that is meant, and how many.
    pub at: (usize, usize),
    /// What is wrong.
    pub message: String,
    /// Beside the caret: what may have been meant, what to do.
    pub note: String,
}

impl Problem {
    /// A problem with the text in `span`.
    pub fn new(span: Range<usize>, message: impl Into<String>, note: impl Into<String>) -> Self {
        Self { at: (span.start, span.len()), message: message.into(), note: note.into() }
    }
}

/// All problems in one usage error, in the order of the text.
pub fn report(path: &Path, text: &str, mut problems: Vec<Problem>) -> Error {
    problems.sort();
    problems.dedup();
    let mut shown: Vec<String> = problems.iter().take(MOST_SHOWN).map(|problem| show(path, text, problem)).collect();
    if problems.len() > MOST_SHOWN {
        shown.push(format!("{} more", problems.len() - MOST_SHOWN));
    }
    Error::usage(shown.join("\nerror: "))
}

/// ```text
/// unknown role "validatr"
///   inventory.toml:14:8
/// 14 | role = "validatr"
///    |        ^^^^^^^^^^ did you mean "validator"?
/// ```
fn show(path: &Path, text: &str, problem: &Problem) -> String {
    let start = floor(text, problem.at.0);
    let end = floor(text, problem.at.0.saturating_add(problem.at.1)).max(start);
    let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
    let number = text[..start].matches('\n').count() + 1;
    let column = text[line_start..start].chars().count();
    let length = text[start..end.min(line_end)].chars().count().max(1);
    let line: Vec<char> = concealed(text[line_start..line_end].trim_end()).chars().map(plain).collect();
    let cut = if line.len() > WIDEST { column.saturating_sub(WIDEST / 2).min(line.len()) } else { 0 };
    let excerpt: String = line[cut..].iter().take(WIDEST).collect();
    let caret = format!("{}{}", " ".repeat(column - cut), "^".repeat(length.min(WIDEST)));
    let margin = " ".repeat(number.to_string().len());
    format!(
        "{}\n  {}:{number}:{}\n{number} | {excerpt}\n{margin} | {caret} {}",
        problem.message,
        path.display(),
        column + 1,
        problem.note,
    )
    .trim_end()
    .to_owned()
}

/// The last boundary of a character at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// The line without the secret of a key that was written where it doesn't belong.
fn concealed(line: &str) -> String {
    let upper = line.to_ascii_uppercase();
    let Some(at) = upper.find(SECRET_KEY).map(|at| at + SECRET_KEY.len()) else { return line.to_owned() };
    let hidden = line[at..].chars().map(|c| if c.is_ascii_alphanumeric() { '*' } else { c });
    line[..at].chars().chain(hidden).collect()
}

/// Tabs and control characters would move the caret.
fn plain(c: char) -> char {
    if c.is_control() { ' ' } else { c }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, span: Range<usize>) -> String {
        report(Path::new("i.toml"), text, vec![Problem::new(span, "wrong", "better")]).to_string()
    }

    #[test]
    fn points_at_the_place() {
        assert_eq!(shown("a = 1\n\tß = \"x\"\n", 12..15), "wrong\n  i.toml:2:6\n2 |  ß = \"x\"\n  |      ^^^ better");
    }

    #[test]
    fn bears_any_place() {
        for span in [0..0, 1..2, 3..99, 99..200] {
            assert!(shown("é\n", span.clone()).contains('^'), "{span:?}");
        }
        let long = "x".repeat(1000);
        let lines: Vec<usize> = shown(&long, 700..703).lines().map(|line| line.chars().count()).collect();
        assert!(lines.iter().all(|length| *length < 200), "{lines:?}");
    }

    #[test]
    fn counts_what_it_does_not_show() {
        let problems = (0..15).map(|at| Problem::new(at..at + 1, format!("wrong {at}"), "")).collect();
        let error = report(Path::new("i.toml"), &"x".repeat(20), problems).to_string();
        assert!(error.ends_with("\nerror: 5 more"), "{error}");
    }
}

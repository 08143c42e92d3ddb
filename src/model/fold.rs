//! Host ranges: `val-[1-3,7]` stands for four names, and many names are shown as few ranges.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

#[cfg(test)]
mod tests;

/// The most names one pattern may stand for.
pub const MOST_NAMES: usize = 10_000;

/// Longer runs of digits are text, not numbers.
const MOST_DIGITS: usize = 15;

/// Why a pattern stands for nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeError(String);

impl fmt::Display for RangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RangeError {}

type Result<T> = std::result::Result<T, RangeError>;

fn error<T>(message: impl Into<String>) -> Result<T> {
    Err(RangeError(message.into()))
}

/// Folds names that differ in their last number: `sentry-1,val-[1-3,7]`. Zero padding is kept, duplicates are
/// dropped, and what is alike comes where the first of its kind came.
pub fn fold<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut order: Vec<Family<'a>> = Vec::new();
    let mut members: HashMap<Family<'a>, BTreeSet<Number<'a>>> = HashMap::new();
    for name in names {
        let (family, number) = split(name);
        let numbers = members.entry(family).or_insert_with(|| {
            order.push(family);
            BTreeSet::new()
        });
        numbers.extend(number);
    }
    let shown: Vec<String> = order.iter().map(|family| show(*family, &members[family])).collect();
    shown.join(",")
}

/// What stands before and after a name's last number.
type Family<'a> = (&'a str, Option<&'a str>);
/// A number's value, the length it is written in, and how it is written.
type Number<'a> = (u64, usize, &'a str);

fn split(name: &str) -> (Family<'_>, Option<Number<'_>>) {
    let digit = |c: char| c.is_ascii_digit();
    let Some(last) = name.rfind(digit) else { return ((name, None), None) };
    let end = last + 1;
    let start =
        name[..end].rfind(|c| !digit(c)).map_or(0, |at| at + name[at..].chars().next().map_or(1, char::len_utf8));
    let written = &name[start..end];
    match written.parse() {
        Ok(value) if written.len() <= MOST_DIGITS => {
            ((&name[..start], Some(&name[end..])), Some((value, written.len(), written)))
        }
        _ => ((name, None), None),
    }
}

fn show((prefix, suffix): Family<'_>, numbers: &BTreeSet<Number<'_>>) -> String {
    let Some(suffix) = suffix else { return prefix.to_owned() };
    match runs(numbers).as_slice() {
        [only] if !only.contains('-') => format!("{prefix}{only}{suffix}"),
        runs => format!("{prefix}[{}]{suffix}", runs.join(",")),
    }
}

/// Consecutive numbers of the same padding, as `a-b`.
fn runs(numbers: &BTreeSet<Number<'_>>) -> Vec<String> {
    let mut left: BTreeSet<(u64, usize)> = numbers.iter().map(|(value, length, _)| (*value, *length)).collect();
    let mut runs = Vec::new();
    while let Some((first, length)) = left.pop_first() {
        let padding = padding(&format!("{first:0length$}"));
        let mut last = first;
        while left.remove(&(last + 1, written(last + 1, padding).len())) {
            last += 1;
        }
        let start = format!("{first:0length$}");
        runs.push(if last == first { start } else { format!("{start}-{}", written(last, padding)) });
    }
    runs
}

/// The width that a range's first number asks for: that of `01`, none for `1`.
fn padding(first: &str) -> usize {
    if first.len() > 1 && first.starts_with('0') { first.len() } else { 0 }
}

fn written(value: u64, padding: usize) -> String {
    format!("{value:0padding$}")
}

/// The names that a pattern stands for, in its order: commas separate patterns, brackets hold numbers and ranges
/// of numbers. Brackets with a colon in them belong to an IPv6 address and are left alone.
pub fn expand(pattern: &str) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for part in split_list(pattern) {
        if part.trim().is_empty() {
            return error("a name is missing");
        }
        names.extend(expand_one(part.trim())?);
        bounded(names.len())?;
    }
    Ok(names)
}

fn bounded(count: usize) -> Result<()> {
    if count > MOST_NAMES { error(format!("stands for more than {MOST_NAMES} names")) } else { Ok(()) }
}

/// Splits at the commas outside brackets.
fn split_list(pattern: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    let outside = |c: char| {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    };
    pattern.split(outside).collect()
}

fn expand_one(pattern: &str) -> Result<Vec<String>> {
    let mut names = vec![String::new()];
    let mut rest = pattern;
    while let Some((before, numbers, after)) = next_brackets(rest)? {
        let numbers = expand_numbers(numbers)?;
        bounded(names.len().saturating_mul(numbers.len()))?;
        names =
            names.iter().flat_map(|name| numbers.iter().map(move |number| format!("{name}{before}{number}"))).collect();
        rest = after;
    }
    Ok(names.into_iter().map(|name| name + rest).collect())
}

/// What stands before, in and after the first brackets that hold numbers.
fn next_brackets(text: &str) -> Result<Option<(&str, &str, &str)>> {
    let mut from = 0;
    while let Some(open) = text[from..].find('[').map(|at| from + at) {
        let inside = &text[open + 1..];
        let Some(end) = inside.find(['[', ']', ':']) else { return error("a bracket isn't closed") };
        if inside[end..].starts_with(']') {
            return Ok(Some((&text[..open], &inside[..end], &inside[end + 1..])));
        }
        if !text[open..].contains(']') {
            return error("a bracket isn't closed");
        }
        from = open + 1;
    }
    Ok(None)
}

fn expand_numbers(list: &str) -> Result<Vec<String>> {
    let mut numbers = Vec::new();
    for item in list.split(',').map(str::trim) {
        let (first, end) = item.split_once('-').unwrap_or((item, item));
        let padding = padding(first);
        let (start, end) = (number(first, list)?, number(end, list)?);
        if start > end {
            return error(format!("the range {item} runs backwards"));
        }
        let more = usize::try_from(end - start).unwrap_or(usize::MAX).saturating_add(1);
        bounded(numbers.len().saturating_add(more))?;
        numbers.extend((start..=end).map(|value| written(value, padding)));
    }
    Ok(numbers)
}

fn number(text: &str, list: &str) -> Result<u64> {
    match text.parse() {
        Ok(value) if text.len() <= MOST_DIGITS && text.bytes().all(|b| b.is_ascii_digit()) => Ok(value),
        _ => error(format!("[{list}] holds no numbers like [1-3,7]")),
    }
}

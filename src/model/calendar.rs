//! Times that come again, written as systemd's `OnCalendar` takes them (systemd.time(7)), and always UTC's.
//!
//! Of that form there are weekdays, month and day, and the time of day, each with lists, ranges and steps; years, last
//! days of a month and parts of a second are not.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

#[cfg(test)]
mod tests;

/// Times that come again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    text: String,
    /// Bit 0 is Monday.
    weekdays: u64,
    months: u64,
    days: u64,
    hours: u64,
    minutes: u64,
    seconds: u64,
}

/// What a field is called, and its least and greatest number.
type Field = (&'static str, u32, u32);

const MONTH: Field = ("month", 1, 12);
const DAY: Field = ("day of a month", 1, 31);
const HOUR: Field = ("hour", 0, 23);
const MINUTE: Field = ("minute", 0, 59);
const SECOND: Field = ("second", 0, 59);
const WEEKDAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
const WORDS: [(&str, &str); 9] = [
    ("minutely", "*:*"),
    ("hourly", "*:00"),
    ("daily", "00:00"),
    ("weekly", "Mon 00:00"),
    ("monthly", "*-*-1"),
    ("quarterly", "*-1,4,7,10-1"),
    ("semiannually", "*-1,7-1"),
    ("yearly", "*-1-1"),
    ("annually", "*-1-1"),
];
/// A leap day on a given weekday may be so far away, across a century without one, days.
const FARTHEST: u32 = 41 * 366;

impl Calendar {
    /// Reads it, or says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let own = text.trim();
        let own = own.strip_suffix("UTC").filter(|rest| rest.ends_with(' ')).unwrap_or(own).trim();
        let long = WORDS.iter().find(|(word, _)| word.eq_ignore_ascii_case(own)).map_or(own, |(_, long)| long);
        let mut words = long.split_whitespace().peekable();
        if words.peek().is_none() {
            return Err("a time is wanted here".to_owned());
        }
        let weekdays = words.next_if(|word| word.starts_with(char::is_alphabetic)).map_or(Ok(all(0, 6)), weekdays)?;
        let [months, days] = words.next_if(|word| word.contains('-')).map_or(Ok([all(1, 12), all(1, 31)]), date)?;
        let [hours, minutes, seconds] = words.next_if(|word| word.contains(':')).map_or(Ok([1, 1, 1]), time)?;
        if let Some(rest) = words.next() {
            return Err(format!("\"{}\" isn't part of a time", rest.escape_debug()));
        }
        let calendar = Self { text: own.to_owned(), weekdays, months, days, hours, minutes, seconds };
        if calendar.next_after(0).is_none() { Err("that day never comes".to_owned()) } else { Ok(calendar) }
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The first time after this one, both Unix ms; `None` beyond the end of the calendar.
    pub fn next_after(&self, after_ms: i64) -> Option<i64> {
        let mut date = TimeZone::UTC.to_datetime(Timestamp::from_millisecond(after_ms).ok()?).date();
        for _ in 0..FARTHEST {
            if self.has(date) {
                let midnight = TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok()?.as_millisecond();
                let mut times = self.times().map(|second| midnight + i64::from(second) * 1000);
                if let Some(found) = times.find(|ms| *ms > after_ms) {
                    return Some(found);
                }
            }
            date = date.tomorrow().ok()?;
        }
        None
    }

    fn has(&self, date: Date) -> bool {
        let is = |set: u64, number: i8| set & (1 << number) != 0;
        let weekday = date.weekday().to_monday_zero_offset();
        is(self.weekdays, weekday) && is(self.months, date.month()) && is(self.days, date.day())
    }

    /// The seconds of a day.
    fn times(&self) -> impl Iterator<Item = u32> {
        let minutes = bits(self.hours).flat_map(|hour| bits(self.minutes).map(move |minute| hour * 60 + minute));
        minutes.flat_map(|minute| bits(self.seconds).map(move |second| minute * 60 + second))
    }
}

fn all(low: u32, high: u32) -> u64 {
    (low..=high).fold(0, |set, number| set | 1 << number)
}

fn bits(set: u64) -> impl Iterator<Item = u32> {
    (0..u64::BITS).filter(move |bit| set & (1 << bit) != 0)
}

fn weekdays(text: &str) -> Result<u64, String> {
    let day = |name: &str| {
        let lower = name.to_ascii_lowercase();
        let found = (0_u32..).zip(WEEKDAYS).find(|(_, day)| lower == *day || lower == day[..3]);
        found.map(|(number, _)| number).ok_or_else(|| format!("\"{}\" is no weekday", name.escape_debug()))
    };
    text.split(',').try_fold(0, |set, part| {
        let (first, last) = part.split_once("..").unwrap_or((part, part));
        let (first, last) = (day(first)?, day(last)?);
        if first > last { Err(format!("{part} runs backwards")) } else { Ok(set | all(first, last)) }
    })
}

fn date(text: &str) -> Result<[u64; 2], String> {
    match text.split('-').collect::<Vec<_>>()[..] {
        ["*", month, day] | [month, day] => Ok([numbers(month, MONTH)?, numbers(day, DAY)?]),
        [_, _, _] => Err("a schedule has no year; write *".to_owned()),
        _ => Err(format!("\"{}\" isn't a date", text.escape_debug())),
    }
}

fn time(text: &str) -> Result<[u64; 3], String> {
    match text.split(':').collect::<Vec<_>>()[..] {
        [hour, minute] => Ok([numbers(hour, HOUR)?, numbers(minute, MINUTE)?, 1]),
        [hour, minute, second] => Ok([numbers(hour, HOUR)?, numbers(minute, MINUTE)?, numbers(second, SECOND)?]),
        _ => Err(format!("\"{}\" isn't a time of day", text.escape_debug())),
    }
}

/// A list of `*`, `7`, `1..5`, `0/15` (from 0 on, each 15th) and `10..20/5`.
fn numbers(text: &str, (name, low, high): Field) -> Result<u64, String> {
    let wrong = || format!("\"{}\" is no {name} ({low} to {high})", text.escape_debug());
    let number = |digits: &str| {
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<u32>().ok().filter(|number| plain && *number <= high).ok_or_else(wrong)
    };
    text.split(',').try_fold(0, |set, part| {
        if part == "*" {
            return Ok(set | all(low, high));
        }
        let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
        let (first, last) = match range.split_once("..") {
            Some((first, last)) => (number(first)?, number(last)?),
            None if step.is_some() => (number(range)?, high),
            None => (number(range)?, number(range)?),
        };
        let step = step.map_or(Ok(1), number)?;
        if first < low || first > last || step == 0 {
            return Err(wrong());
        }
        Ok((first..=last).filter(|number| (number - first) % step == 0).fold(set, |set, number| set | 1 << number))
    })
}

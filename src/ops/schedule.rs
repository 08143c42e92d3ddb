//! Which schedules are due. What was missed, however often, is made up for once.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::model::inventory::{Rule, Schedule};
use crate::model::schedule::Record;

#[cfg(test)]
mod tests;

/// A run that was cut short, as its machine or its fleet died, is made again so long after its start, and not again and
/// again if that is what kills them.
const AGAIN_MS: i64 = 3_600_000;
/// So many times are looked at for the longest span between two.
const LOOKED_AT: usize = 200;

/// When a schedule of this fleet is due: the first time after what it counts from, later by its jitter. Unix ms; `None`
/// beyond the end of the calendar.
///
/// What is recorded of the future, by a clock that was wrong for a while, counts as of now.
pub fn due_ms(fleet: &str, schedule: &Schedule, record: &Record, now_ms: i64) -> Option<i64> {
    let slot = slot(&schedule.rule, record.since_ms.min(now_ms))?;
    let at = slot.checked_add(offset(fleet, schedule, slot))?;
    let cut_short = record.started_ms.filter(|started| record.is_open() && *started <= now_ms);
    Some(cut_short.map_or(at, |started| at.max(started.saturating_add(AGAIN_MS))))
}

/// The schedules that are due now, the longest waiting first.
pub fn due<'a>(fleet: &str, schedules: &[(&'a Schedule, Record)], now_ms: i64) -> Vec<&'a Schedule> {
    let at = |(schedule, record): &(&'a Schedule, Record)| Some((due_ms(fleet, schedule, record, now_ms)?, *schedule));
    let mut found: Vec<(i64, &Schedule)> = schedules.iter().filter_map(at).filter(|(at, _)| *at <= now_ms).collect();
    found.sort_by_key(|(at, _)| *at);
    found.into_iter().map(|(_, schedule)| schedule).collect()
}

/// The longest span between two of its times in a row, ms, jitter left aside.
pub fn period_ms(rule: &Rule, now_ms: i64) -> i64 {
    if let Rule::Every(span) = rule {
        return ms(*span);
    }
    let mut times = vec![now_ms];
    times.extend(std::iter::successors(slot(rule, now_ms), |at| slot(rule, *at)).take(LOOKED_AT));
    times[1..].windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0)
}

fn slot(rule: &Rule, since_ms: i64) -> Option<i64> {
    match rule {
        Rule::Every(span) => since_ms.div_euclid(ms(*span).max(1)).checked_add(1)?.checked_mul(ms(*span)),
        Rule::On(calendar) => calendar.next_after(since_ms),
    }
}

/// Below the jitter; the same whenever it is asked for, but another for each fleet, schedule and time.
fn offset(fleet: &str, schedule: &Schedule, slot: i64) -> i64 {
    let hash = Sha256::digest(format!("{fleet}\0{}\0{slot}", schedule.name));
    let number = hash.iter().take(7).fold(0_i64, |number, byte| number << 8 | i64::from(*byte));
    number.checked_rem(ms(schedule.jitter)).unwrap_or(0)
}

fn ms(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

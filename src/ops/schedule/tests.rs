use proptest::prelude::*;

use super::*;
use crate::model::calendar::Calendar;

/// When it is due, long after.
fn due_after(fleet: &str, schedule: &Schedule, since_ms: i64) -> Option<i64> {
    due_ms(fleet, schedule, &Record::new(since_ms), i64::MAX)
}

fn is_due(schedule: &Schedule, since_ms: i64, now_ms: i64) -> bool {
    !due("f", &[(schedule, Record::new(since_ms))], now_ms).is_empty()
}

const HOUR: i64 = 3_600_000;

fn of(name: &str, rule: Rule, jitter_s: u64) -> Schedule {
    let jitter = Duration::from_secs(jitter_s);
    let (hosts, profiles, metrics, ping) = (None, Vec::new(), None, None);
    Schedule { name: name.into(), rule, jitter, hosts, profiles, store: "s".into(), metrics, ping, place: 0..0 }
}

fn every(name: &str, seconds: u64, jitter_s: u64) -> Schedule {
    of(name, Rule::Every(Duration::from_secs(seconds)), jitter_s)
}

fn on(text: &str) -> Schedule {
    of("on", Rule::On(Calendar::parse(text).unwrap()), 0)
}

#[test]
fn full_hours_are_due_at_the_full_hour() {
    let hourly = every("a", 3600, 0);
    assert_eq!(due_after("f", &hourly, 5 * HOUR), Some(6 * HOUR));
    assert_eq!(due_after("f", &hourly, 5 * HOUR + 1), Some(6 * HOUR));
    assert!(!is_due(&hourly, 5 * HOUR, 6 * HOUR - 1));
    assert!(is_due(&hourly, 5 * HOUR, 6 * HOUR));
    assert!(!is_due(&hourly, 6 * HOUR, 6 * HOUR + 1));
}

#[test]
fn the_longest_waiting_comes_first() {
    let (daily, hourly) = (on("daily"), every("hourly", 3600, 0));
    let since = 47 * HOUR + 60_000;
    let names = |schedules: &[(&Schedule, i64)]| -> Vec<String> {
        let known: Vec<_> = schedules.iter().map(|(schedule, since)| (*schedule, Record::new(*since))).collect();
        due("f", &known, 60 * HOUR).iter().map(|one| one.name.clone()).collect()
    };
    assert_eq!(names(&[(&hourly, 58 * HOUR), (&daily, since)]), ["on", "hourly"]);
    assert_eq!(names(&[(&hourly, 60 * HOUR), (&daily, since)]), ["on"]);
}

#[test]
fn a_start_in_the_future_keeps_nothing_back_for_long() {
    let hourly = every("a", 3600, 0);
    let (ahead, now) = (Record::new(5000 * HOUR), 5 * HOUR + 1);
    assert_eq!(due_ms("f", &hourly, &ahead, now), Some(6 * HOUR));
    let cut_short = Record { started_ms: Some(5000 * HOUR), ..ahead };
    assert_eq!(due_ms("f", &hourly, &cut_short, now), Some(6 * HOUR));
}

#[test]
fn a_run_that_was_cut_short_is_made_again_after_an_hour() {
    let weekly = on("weekly");
    let monday = due_after("f", &weekly, 0).unwrap();
    let started = monday + 1000;
    let record = Record { started_ms: Some(started), ..Record::new(0) };
    let due_at = |now| due_ms("f", &weekly, &record, now).unwrap();
    assert_eq!(due_at(started + 1), started + HOUR);
    assert_eq!(due_at(started + 90 * HOUR), started + HOUR);
}

#[test]
fn jitter_differs_by_fleet_schedule_and_time() {
    let at = |fleet: &str, name: &str, since| due_after(fleet, &every(name, 3600, 1800), since).unwrap() % HOUR;
    let all = [at("f", "a", 0), at("g", "a", 0), at("f", "b", 0), at("f", "a", 7 * HOUR)];
    for (index, one) in all.iter().enumerate() {
        assert!(!all[..index].contains(one), "{all:?}");
    }
    assert_eq!(at("f", "a", 0), at("f", "a", 1));
}

#[test]
fn the_period_is_the_longest_gap() {
    for (schedule, hours) in [(every("a", 7200, 60), 2), (on("daily"), 24), (on("Mon..Fri 03:00"), 72), (on("*:00"), 1)]
    {
        assert_eq!(period_ms(&schedule.rule, 1_770_559_200_000), hours * HOUR, "{:?}", schedule.rule);
    }
}

/// The starts of a controller that looks at these instants.
fn starts(schedule: &Schedule, looks: &[i64]) -> Vec<i64> {
    let Some(mut since) = looks.first().copied() else { return Vec::new() };
    let mut starts = Vec::new();
    for now in looks {
        if is_due(schedule, since, *now) {
            since = *now;
            starts.push(*now);
        }
    }
    starts
}

fn looks() -> impl Strategy<Value = Vec<i64>> {
    // Mostly each five minutes; sometimes the controller is off for days.
    let gap = prop_oneof![9 => 290_000_i64..310_000, 1 => 0_i64..400_000_000];
    (0_i64..2_000_000_000_000, prop::collection::vec(gap, 1..200)).prop_map(|(first, gaps)| {
        let later = gaps.into_iter().scan(first, |at, gap| {
            *at += gap;
            Some(*at)
        });
        std::iter::once(first).chain(later).collect()
    })
}

fn any() -> impl Strategy<Value = Schedule> {
    let spans = (300_u64..200_000, 0_u64..300).prop_map(|(span, jitter)| every("a", span, jitter));
    let texts = prop::sample::select(vec!["daily", "Mon..Fri 03:00", "*:0/20", "*-*-1 02:00"]).prop_map(on);
    prop_oneof![spans, texts]
}

proptest! {
    #[test]
    fn each_time_is_made_up_for_once_and_never_comes_early(schedule in any(), looks in looks()) {
        let starts = starts(&schedule, &looks);
        let mut since = looks[0];
        for start in &starts {
            // Never before its time, and between two starts there is a time.
            let at = due_after("f", &schedule, since).unwrap();
            prop_assert!(at <= *start && at > since);
            // It started at the first look at which it was due.
            let before = looks.iter().filter(|look| **look < *start).max();
            prop_assert!(before.is_none_or(|look| *look < at));
            since = *start;
        }
        // Nothing that is due is left.
        let last = *looks.last().unwrap();
        prop_assert!(since == last || due_after("f", &schedule, since).unwrap() > last);
    }

    #[test]
    fn the_jitter_stays_below_its_bound(span in 300_u64..200_000, share in 0_u64..=100, since in 0_i64..2_000_000_000_000) {
        let jitter = span * share / 100;
        let at = due_after("f", &every("a", span, jitter), since).unwrap();
        let slot = due_after("f", &every("a", span, 0), since).unwrap();
        prop_assert!(at == slot || at - slot < i64::try_from(jitter).unwrap() * 1000);
    }
}

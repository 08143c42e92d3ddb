use std::time::Duration;

use proptest::prelude::*;

use super::*;

const HOUR: i64 = 3600 * 1000;
const DAY: i64 = 24 * HOUR;
/// 2026-02-08 14:00:00 UTC, a Sunday.
const NOW: i64 = 1_770_559_200_000;

fn made(times: &[i64]) -> Vec<Candidate> {
    let group = ("val-1".to_owned(), "val-1".to_owned(), "data".to_owned());
    let one = |(number, made_ms): (usize, &i64)| Candidate {
        id: format!("{number:04}"),
        group: group.clone(),
        made_ms: *made_ms,
        verified: false,
    };
    times.iter().enumerate().map(one).collect()
}

fn kept(candidates: &[Candidate], keep: &Keep) -> Vec<usize> {
    let verdicts = decide(candidates, keep, NOW);
    assert_eq!(verdicts.len(), candidates.len());
    verdicts.iter().enumerate().filter(|(_, one)| one.is_kept()).map(|(number, _)| number).collect()
}

#[test]
fn each_rule_keeps_the_newest_of_its_slots() {
    // Of this hour two, of the last hour, of yesterday, of last week, of January, of December.
    let times = [0, 5 * 60_000, HOUR, DAY, 7 * DAY, 9 * DAY, 40 * DAY].map(|ago| NOW + 10 * 60_000 - ago);
    let candidates = made(&times);
    let now = NOW + 10 * 60_000;
    let of = |keep: Keep| -> Vec<usize> {
        let verdicts = decide(&candidates, &keep, now);
        verdicts.iter().enumerate().filter(|(_, one)| one.is_kept()).map(|(number, _)| number).collect()
    };
    assert_eq!(of(Keep { last: 2, ..Keep::default() }), [0, 1]);
    assert_eq!(of(Keep { hourly: 2, ..Keep::default() }), [0, 2]);
    assert_eq!(of(Keep { daily: 3, ..Keep::default() }), [0, 3, 4]);
    // Sunday and Saturday are of one week; a week before is another, and nine days before, a Friday, the same as that.
    assert_eq!(of(Keep { weekly: 2, ..Keep::default() }), [0, 4]);
    assert_eq!(of(Keep { monthly: 9, ..Keep::default() }), [0, 5, 6]);
    assert_eq!(of(Keep { within: Some(Duration::from_secs(24 * 3600)), ..Keep::default() }), [0, 1, 2, 3]);
}

#[test]
fn the_reasons_are_told() {
    let mut candidates = made(&[NOW, NOW - HOUR, NOW - DAY]);
    candidates[2].verified = true;
    let keep = Keep { last: 1, hourly: 2, ..Keep::default() };
    let reasons: Vec<String> = decide(&candidates, &keep, NOW).iter().map(|one| one.stays.join(", ")).collect();
    assert_eq!(reasons, ["last 1 of 1, hourly 1 of 2", "hourly 2 of 2", "newest verified"]);
}

#[test]
fn groups_are_counted_apart() {
    let mut candidates = made(&[NOW, NOW - 1, NOW - 2]);
    candidates[2].group.2 = "config".into();
    assert_eq!(kept(&candidates, &Keep { last: 1, ..Keep::default() }), [0, 2]);
}

#[test]
fn without_a_rule_all_stay() {
    assert_eq!(kept(&made(&[NOW, NOW - DAY]), &Keep::default()), [0, 1]);
}

#[test]
fn a_time_in_the_future_takes_nobodys_place() {
    assert_eq!(kept(&made(&[NOW + 900 * DAY, NOW, NOW - DAY]), &Keep { last: 1, ..Keep::default() }), [0, 1]);
    assert_eq!(kept(&made(&[i64::MAX, i64::MIN, NOW - DAY]), &Keep { daily: 2, ..Keep::default() }), [0, 1, 2]);
}

#[test]
fn what_is_freed_is_what_only_those_need_that_go() {
    let segment = |number: u8, bytes| crate::model::snapshot::SegmentEntry {
        sha256: format!("{number:064x}"),
        bytes,
        content_bytes: 1,
        recipients: Vec::new(),
    };
    let summary = |id: &str, segments| Summary {
        id: id.into(),
        parent: None,
        made_ms: NOW,
        host: String::new(),
        service: String::new(),
        profile: String::new(),
        sealed: true,
        down_ms: None,
        node: None,
        files: crate::model::snapshot::Amounts::default(),
        segments,
    };
    let summaries = [summary("a", vec![segment(1, 5), segment(2, 7)]), summary("b", vec![segment(2, 7)])];
    let verdict =
        |id: &str, stays: &[&str]| Verdict { id: id.into(), stays: stays.iter().map(|s| (*s).to_owned()).collect() };
    assert_eq!(freed(&summaries, &[verdict("a", &[]), verdict("b", &["x"])]), 5);
    assert_eq!(freed(&summaries, &[verdict("a", &[]), verdict("b", &[])]), 12);
}

fn keeps() -> impl Strategy<Value = Keep> {
    let within = proptest::option::of((1..100u64).prop_map(|hours| Duration::from_secs(hours * 3600)));
    (0..4u32, 0..4u32, 0..4u32, 0..4u32, 0..4u32, within).prop_map(|(last, hourly, daily, weekly, monthly, within)| {
        Keep { last, hourly, daily, weekly, monthly, within }
    })
}

fn snapshots() -> impl Strategy<Value = Vec<Candidate>> {
    let one = (-400 * DAY..20 * DAY, any::<bool>(), 0..3u8);
    proptest::collection::vec(one, 0..40).prop_map(|rows| {
        let mut all = made(&rows.iter().map(|(ago, _, _)| NOW + ago).collect::<Vec<_>>());
        for (candidate, (_, verified, profile)) in all.iter_mut().zip(rows) {
            candidate.verified = verified;
            candidate.group.2 = profile.to_string();
        }
        all
    })
}

proptest! {
    #[test]
    fn the_newest_verified_and_so_many_of_the_last_always_stay(all in snapshots(), keep in keeps()) {
        let kept: BTreeSet<String> =
            decide(&all, &keep, NOW).into_iter().filter(Verdict::is_kept).map(|one| one.id).collect();
        for profile in ["0", "1", "2"] {
            let mut group: Vec<&Candidate> =
                all.iter().filter(|one| one.group.2 == profile && one.made_ms <= NOW).collect();
            group.sort_by_key(|one| std::cmp::Reverse((one.made_ms, one.id.clone())));
            if let Some(newest) = group.iter().find(|one| one.verified) {
                prop_assert!(kept.contains(&newest.id));
            }
            for last in group.iter().take(keep.last as usize) {
                prop_assert!(kept.contains(&last.id));
            }
            let most = keep.last + keep.hourly + keep.daily + keep.weekly + keep.monthly + 1;
            let staying = group.iter().filter(|one| kept.contains(&one.id)).count();
            prop_assert!(keep.within.is_some() || !keep.is_any() || staying <= most as usize);
        }
    }

    #[test]
    fn a_snapshot_from_the_future_never_makes_another_one_go(all in snapshots(), keep in keeps(), ahead in 1..900 * DAY) {
        let before = decide(&all, &keep, NOW);
        let mut more = all.clone();
        more.push(Candidate { id: "future".into(), made_ms: NOW + ahead, ..made(&[0]).remove(0) });
        more.last_mut().unwrap().group.2 = "0".into();
        prop_assert_eq!(&decide(&more, &keep, NOW)[..all.len()], &before[..]);
    }

    #[test]
    fn a_clock_that_goes_back_lets_nothing_go_that_stayed(all in snapshots(), keep in keeps()) {
        for one in decide(&all, &keep, NOW - 1000 * DAY) {
            prop_assert!(one.is_kept());
        }
    }

    #[test]
    fn deciding_again_over_what_stayed_changes_nothing(all in snapshots(), keep in keeps()) {
        let verdicts = decide(&all, &keep, NOW);
        let left: Vec<Candidate> =
            all.iter().zip(&verdicts).filter(|(_, one)| one.is_kept()).map(|(candidate, _)| candidate.clone()).collect();
        prop_assert!(decide(&left, &keep, NOW).iter().all(Verdict::is_kept));
    }
}

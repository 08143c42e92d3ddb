use proptest::prelude::*;

use super::*;

fn times(text: &str, after: &str, count: usize) -> Vec<String> {
    let calendar = Calendar::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let mut at = after.parse::<Timestamp>().unwrap().as_millisecond();
    let mut next = || {
        at = calendar.next_after(at).unwrap();
        Timestamp::from_millisecond(at).unwrap().strftime("%a %F %T").to_string()
    };
    (0..count).map(|_| next()).collect()
}

/// What `systemd-analyze calendar --iterations=3 --base-time='2026-02-08 14:00:00 UTC'` of systemd 252 says.
#[test]
fn times_are_those_of_systemd() {
    for (text, expected) in [
        ("*:0/15", ["Sun 2026-02-08 14:15:00", "Sun 2026-02-08 14:30:00", "Sun 2026-02-08 14:45:00"]),
        ("Mon..Fri 03:00", ["Mon 2026-02-09 03:00:00", "Tue 2026-02-10 03:00:00", "Wed 2026-02-11 03:00:00"]),
        ("03:30", ["Mon 2026-02-09 03:30:00", "Tue 2026-02-10 03:30:00", "Wed 2026-02-11 03:30:00"]),
        ("Sun *-*-1..7 02:00", ["Sun 2026-03-01 02:00:00", "Sun 2026-04-05 02:00:00", "Sun 2026-05-03 02:00:00"]),
        ("weekly", ["Mon 2026-02-09 00:00:00", "Mon 2026-02-16 00:00:00", "Mon 2026-02-23 00:00:00"]),
        ("quarterly", ["Wed 2026-04-01 00:00:00", "Wed 2026-07-01 00:00:00", "Thu 2026-10-01 00:00:00"]),
        ("semiannually", ["Wed 2026-07-01 00:00:00", "Fri 2027-01-01 00:00:00", "Thu 2027-07-01 00:00:00"]),
        ("*-2-29", ["Tue 2028-02-29 00:00:00", "Sun 2032-02-29 00:00:00", "Fri 2036-02-29 00:00:00"]),
        ("2..4:00", ["Mon 2026-02-09 02:00:00", "Mon 2026-02-09 03:00:00", "Mon 2026-02-09 04:00:00"]),
        (
            "*-*-* 5/6:10..20/5:30 UTC",
            ["Sun 2026-02-08 17:10:30", "Sun 2026-02-08 17:15:30", "Sun 2026-02-08 17:20:30"],
        ),
        ("monday 1:5", ["Mon 2026-02-09 01:05:00", "Mon 2026-02-16 01:05:00", "Mon 2026-02-23 01:05:00"]),
        ("12-25 8:00", ["Fri 2026-12-25 08:00:00", "Sat 2027-12-25 08:00:00", "Mon 2028-12-25 08:00:00"]),
    ] {
        assert_eq!(times(text, "2026-02-08T14:00:00Z", 3), expected, "{text}");
    }
}

#[test]
fn what_is_wrong_is_said() {
    for (text, what) in [
        ("", "a time is wanted here"),
        ("UTC", "\"UTC\" is no weekday"),
        ("noon", "\"noon\" is no weekday"),
        ("Fri..Mon 4:00", "Fri..Mon runs backwards"),
        ("24:00", "\"24\" is no hour (0 to 23)"),
        ("3:60", "\"60\" is no minute (0 to 59)"),
        ("*-13-1", "\"13\" is no month (1 to 12)"),
        ("*-*-0", "\"0\" is no day of a month (1 to 31)"),
        ("*:5..1", "\"5..1\" is no minute"),
        ("*:0/0", "\"0/0\" is no minute"),
        ("*:+5", "\"+5\" is no minute"),
        ("2026-01-01 3:00", "a schedule has no year; write *"),
        ("*-2-30", "that day never comes"),
        ("03:00 Europe/Berlin", "\"Europe/Berlin\" isn't part of a time"),
        ("*/5", "\"*/5\" isn't part of a time"),
    ] {
        let error = Calendar::parse(text).unwrap_err();
        assert!(error.starts_with(what), "{text}: {error}");
    }
}

proptest! {
    #[test]
    fn the_next_is_later_and_nothing_lies_between(hour in 0_u32..24, step in 1_u32..60, day in 1_i8..29, after in 0_i64..4_000_000_000_000) {
        let calendar = Calendar::parse(&format!("*-*-{day} {hour}:0/{step}")).unwrap();
        let next = calendar.next_after(after).unwrap();
        prop_assert!(next > after);
        let civil = TimeZone::UTC.to_datetime(Timestamp::from_millisecond(next).unwrap());
        prop_assert_eq!((civil.day(), i64::from(civil.hour()), civil.second()), (day, i64::from(hour), 0));
        prop_assert_eq!(u32::try_from(civil.minute()).unwrap() % step, 0);
        // From anywhere in between the next is the same.
        prop_assert_eq!(calendar.next_after(after + (next - after) / 2), Some(next));
    }

    #[test]
    fn any_text_is_borne(text in "[a-zA-Z0-9*.,:/ -]{0,24}") {
        if let Ok(calendar) = Calendar::parse(&text) {
            prop_assert!(calendar.next_after(1_770_559_200_000).is_some());
        }
    }
}

//! Times that operators agree on: always with their zone.

use crate::error::{Error, Result};

/// Unix ms of `2026-02-08T14:00:00Z` or `2026-02-08T15:00+01:00`; refused without a zone or in the past.
pub fn future_ms(option: &str, text: &str, now_ms: i64) -> Result<i64> {
    let example = format!("write it whole, e.g. {option} {}", example(now_ms));
    let Ok(time) = text.parse::<jiff::Timestamp>() else {
        let zoneless = text.parse::<jiff::civil::DateTime>().is_ok();
        let what = if zoneless { "has no time zone" } else { "is not a time" };
        return Err(Error::usage(format!("{option} '{text}' {what}")).hint(example));
    };
    if time.as_millisecond() <= now_ms {
        return Err(Error::usage(format!("{option} {text} is in the past")).hint(example));
    }
    Ok(time.as_millisecond())
}

/// Ten minutes from now, on the minute.
fn example(now_ms: i64) -> String {
    let soon = (now_ms / 60_000 + 10) * 60_000;
    jiff::Timestamp::from_millisecond(soon).map_or_else(|_| "2026-02-08T14:00:00Z".into(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wants_a_zone_and_a_future() {
        let now = 1_795_495_020_000;
        assert_eq!(future_ms("--at", "2026-11-24T05:00:00Z", now).unwrap(), 1_795_496_400_000);
        assert_eq!(future_ms("--at", "2026-11-24T06:00+01:00", now).unwrap(), 1_795_496_400_000);
        for (text, what) in [
            ("2026-11-24T05:00:00", "has no time zone"),
            ("tomorrow", "is not a time"),
            ("2020-01-01T00:00:00Z", "is in the past"),
        ] {
            let error = future_ms("--at", text, now).unwrap_err();
            assert!(error.message.contains(what), "{text}: {}", error.message);
            assert!(error.hints[0].contains("2026-11-24T04:47:00Z"), "{}", error.hints[0]);
        }
    }
}

//! Spans of time in few characters.

/// `300ms`, `2s`, `4m12s`, `3h05m`, `2d4h`; from a second on its parts are dropped.
pub fn span(ms: u64) -> String {
    match ms {
        1..1000 => format!("{ms}ms"),
        _ => whole(ms),
    }
}

/// The same in whole seconds, for what is compared from row to row.
pub fn whole(ms: u64) -> String {
    let (minutes, seconds) = (ms / 60_000, ms / 1000 % 60);
    let (hours, days) = (minutes / 60, minutes / 1440);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{seconds:02}s"),
        (0, ..) => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{days}d{}h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::{span, whole};

    #[test]
    fn spans() {
        let table = [
            (0, "0s"),
            (300, "300ms"),
            (999, "999ms"),
            (1999, "1s"),
            (60_000, "1m00s"),
            (252_000, "4m12s"),
            (3_599_999, "59m59s"),
            (11_100_000, "3h05m"),
            (187_200_000, "2d4h"),
        ];
        for (ms, text) in table {
            assert_eq!(span(ms), text);
        }
        assert_eq!(whole(999), "0s");
        assert!(span(u64::MAX).ends_with('h'));
    }
}

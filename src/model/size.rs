//! Amounts of bytes for a reader.

/// Bytes with at most three digits: `4.2 GB`.
#[allow(clippy::cast_precision_loss)] // shown with at most three digits
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let (mut value, mut unit) = (bytes as f64 / 1000.0, 0);
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    if value < 10.0 { format!("{value:.1} {}", UNITS[unit]) } else { format!("{value:.0} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_are_enough() {
        let shown = [0, 999, 1000, 9_940, 16_777_216, 4_200_000_000, 1_500_000_000_000_000].map(size);
        assert_eq!(shown, ["0 B", "999 B", "1.0 kB", "9.9 kB", "17 MB", "4.2 GB", "1500 TB"]);
    }
}

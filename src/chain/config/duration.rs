//! Go's durations.

/// Milliseconds of a duration as Go writes it (`1s`, `500ms`, `1m30s`, `1.5h`); `None` for anything else and for
/// negative ones.
pub fn go_duration_ms(text: &str) -> Option<u64> {
    let mut rest = text.trim();
    rest = rest.strip_prefix('+').unwrap_or(rest);
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut ns: u128 = 0;
    while !rest.is_empty() {
        let (part, after) = one(rest)?;
        ns = ns.checked_add(part)?;
        rest = after;
    }
    u64::try_from(ns / 1_000_000).ok()
}

/// The first number and its unit in nanoseconds, and what follows.
fn one(text: &str) -> Option<(u128, &str)> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, rest) = text.split_at(unit_at);
    let unit_end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
    let (unit, after) = rest.split_at(unit_end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let unit = unit_ns(unit)?;
    let ns = digits(whole)?.checked_mul(unit)?;
    // Beyond nine digits a fraction is under a nanosecond.
    let fraction: String = fraction.chars().take(9).collect();
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    Some((ns.checked_add(digits(&fraction)?.checked_mul(unit)? / scale)?, after))
}

fn digits(text: &str) -> Option<u128> {
    if text.is_empty() { Some(0) } else { text.parse().ok() }
}

fn unit_ns(unit: &str) -> Option<u128> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

//! Small pieces that several screens share.

use crate::model::plan::Severity;

/// Unix ms as `2026-02-08 14:00:00 UTC`; parts of a second only where there are any.
pub fn time(unix_ms: i64) -> String {
    let Ok(time) = jiff::Timestamp::from_millisecond(unix_ms) else { return format!("{unix_ms} ms") };
    let pattern = if unix_ms.rem_euclid(1000) == 0 { "%F %T UTC" } else { "%F %T.%3f UTC" };
    time.strftime(pattern).to_string()
}

/// The time of day alone: `06:12:09.118 UTC`.
pub fn clock(unix_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(unix_ms)
        .map_or_else(|_| format!("{unix_ms} ms"), |time| time.strftime("%T.%3f UTC").to_string())
}

/// ms as `3.9 s`.
#[allow(clippy::cast_precision_loss)] // ms of a run
pub fn seconds(ms: i64) -> String {
    format!("{:.1} s", ms as f64 / 1000.0)
}

/// `1 host`, `9 hosts`.
pub fn counted(count: usize, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

/// How bad a finding is, in one word.
pub const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Note => "note",
        Severity::Warning => "warning",
        Severity::Refusal | Severity::Never => "refused",
    }
}

/// Lines of at most `width` columns, broken between words; the first keeps its indentation, the others get `indent`.
pub fn wrapped(text: &str, width: usize, indent: usize) -> Vec<String> {
    let lead = text.len() - text.trim_start_matches(' ').len();
    let mut lines = vec![" ".repeat(lead)];
    for word in text[lead..].split(' ') {
        let last = lines.last().map_or(0, |line| line.chars().count());
        let margin = if lines.len() == 1 { lead } else { indent };
        if last > margin && last + 1 + word.chars().count() > width {
            lines.push(" ".repeat(indent));
        } else if last > margin {
            lines.last_mut().into_iter().for_each(|line| line.push(' '));
        }
        lines.last_mut().into_iter().for_each(|line| line.push_str(word));
    }
    lines
}

/// How wide each column is.
fn widths(grid: &[Vec<String>]) -> Vec<usize> {
    let most = grid.iter().map(Vec::len).max().unwrap_or(0);
    (0..most)
        .map(|column| grid.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0))
        .collect()
}

/// Whether lines of [`columns`] are longer than that.
pub fn are_wider(grid: &[Vec<String>], width: usize) -> bool {
    let widths = widths(grid);
    widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1) > width
}

/// Rows of cells in columns as wide as what is in them; a line longer than `width` is broken between words.
pub fn columns(grid: &[Vec<String>], width: usize) -> Vec<String> {
    let widths = widths(grid);
    let line = |row: &Vec<String>| {
        let padded = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        let line = padded.collect::<Vec<_>>().join("  ").trim_end().to_owned();
        wrapped(&line, width, 4)
    };
    grid.iter().flat_map(line).collect()
}

/// At most `width` columns of a line; what is cut off is marked.
pub fn cut(line: &str, width: usize) -> String {
    match line.char_indices().nth(width) {
        Some(_) => line.chars().take(width.saturating_sub(1)).chain(['…']).collect(),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_utc() {
        assert_eq!(time(1_770_559_200_000), "2026-02-08 14:00:00 UTC");
        assert_eq!(time(1_770_559_200_118), "2026-02-08 14:00:00.118 UTC");
        assert_eq!(clock(1_770_559_200_118), "14:00:00.118 UTC");
    }

    #[test]
    fn text_is_broken_between_words() {
        assert_eq!(wrapped("one two three", 7, 2), ["one two", "  three"]);
        assert_eq!(wrapped("averylongword b", 4, 1), ["averylongword", " b"]);
        assert_eq!(wrapped("  one two", 6, 4), ["  one", "    two"]);
    }

    #[test]
    fn what_is_cut_is_marked() {
        assert_eq!(["grün", "grüne"].map(|text| cut(text, 4)), ["grün", "grü…"]);
    }
}

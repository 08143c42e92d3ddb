//! Text from hosts, made harmless to a terminal.

use std::fmt::Write as _;

/// `bytes` as text: whatever a terminal would act upon, or that isn't UTF-8, is written out as `\x1b`; tabs and line
/// breaks stay, and a carriage return before a line break is dropped.
pub fn plain(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        let mut chars = chunk.valid().chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\r' if chars.peek() == Some(&'\n') => {}
                '\n' | '\t' => text.push(c),
                c if c.is_ascii_control() => push(&mut text, format_args!("\\x{:02x}", u32::from(c))),
                c if c.is_control() || turns(c) => push(&mut text, format_args!("\\u{{{:x}}}", u32::from(c))),
                c => text.push(c),
            }
        }
        chunk.invalid().iter().for_each(|byte| push(&mut text, format_args!("\\x{byte:02x}")));
    }
    text
}

fn push(text: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a string can't fail.
    let _ = text.write_fmt(what);
}

/// Whether `c` makes a terminal show text in another order than it is in.
fn turns(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn only_what_is_harmless_stays() {
        let cases: [(&[u8], &str); 7] = [
            ("grün\t1\n".as_bytes(), "grün\t1\n"),
            (b"\x1b[2J\x07", "\\x1b[2J\\x07"),
            (b"a\r\nb\rc", "a\nb\\x0dc"),
            (b"\xff\xc3(", "\\xff\\xc3("),
            ("\u{9b}31m".as_bytes(), "\\u{9b}31m"),
            ("a\u{202e}b".as_bytes(), "a\\u{202e}b"),
            (b"\x00\x7f", "\\x00\\x7f"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(plain(bytes), expected);
        }
    }
}

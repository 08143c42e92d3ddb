//! Why a host failed, and what to try next.

use super::plain::plain;
use crate::model::fold::fold;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// What happened.
    pub message: String,
    /// What to try next.
    pub hint: Option<String>,
}

/// The hints of hosts, a line each: `next: fleet trust val-[1-3]`. What differs in the host's name alone is folded.
pub fn next<'a>(hints: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut found: Vec<(String, Vec<&str>)> = Vec::new();
    for (host, hint) in hints {
        let form = with_host(&plain(hint.as_bytes()), host, "\0");
        match found.iter_mut().find(|(known, _)| *known == form) {
            Some((_, hosts)) => hosts.push(host),
            None => found.push((form, vec![host])),
        }
    }
    found.into_iter().map(|(form, hosts)| format!("next: {}\n", form.replace('\0', &fold(hosts)))).collect()
}

/// `text` with the word `host` replaced.
fn with_host(text: &str, host: &str, by: &str) -> String {
    let words = text.split(' ').map(|word| match word.trim_end_matches([',', ';']) {
        bare if bare == host => word.replacen(host, by, 1),
        _ => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_for_many_hosts_stands_once() {
        let hints =
            [("val-1", "fleet trust val-1"), ("b", "is b up?"), ("val-2", "fleet trust val-2"), ("c", "is b up?")];
        assert_eq!(next(hints.into_iter()), "next: fleet trust val-[1-2]\nnext: is b up?\nnext: is b up?\n");
    }

    #[test]
    fn a_host_is_replaced_as_a_word_only() {
        assert_eq!(with_host("is the host up, h, and h?", "h", "X"), "is the host up, X, and h?");
    }
}

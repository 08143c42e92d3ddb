//! The names of a `known_hosts` line: patterns, negation, hashes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::digest;

/// Whether the list `names` (`a,b*,!c` or one hashed name) matches `name`, which is in lower case.
pub fn names_match(names: &str, name: &str) -> bool {
    if names.starts_with('|') {
        return hashed_match(names, name);
    }
    let mut found = false;
    for pattern in names.split(',') {
        let (negated, pattern) = match pattern.strip_prefix('!') {
            Some(pattern) => (true, pattern),
            None => (false, pattern),
        };
        if wildcard_match(pattern.to_lowercase().as_bytes(), name.as_bytes()) {
            if negated {
                return false;
            }
            found = true;
        }
    }
    found
}

/// `|1|salt|hash`, both base64.
fn hashed_match(names: &str, name: &str) -> bool {
    let parsed = || {
        let (salt, hash) = names.strip_prefix("|1|")?.split_once('|')?;
        let (salt, hash) = (STANDARD.decode(salt).ok()?, STANDARD.decode(hash).ok()?);
        (salt.len() == 20).then(|| digest(&salt, name).is_some_and(|own| own == hash))
    };
    parsed().unwrap_or(false)
}

/// `name` (in lower case) hashed under `salt`, as a line's names.
pub fn hash_name(salt: &[u8; 20], name: &str) -> String {
    let hash = digest(salt, name).unwrap_or_default();
    format!("|1|{}|{}", STANDARD.encode(salt), STANDARD.encode(hash))
}

/// `*` stands for any run of characters, `?` for one.
fn wildcard_match(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&c) if c == b'?' || c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, n) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

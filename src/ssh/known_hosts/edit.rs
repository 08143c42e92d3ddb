//! Changes to the text of a `known_hosts` file that leave all its other lines as they are, byte by byte.

use russh::keys::PublicKey;
use russh::keys::ssh_key::public::KeyData;

use super::{Line, Marker, names_match, parse};

/// The line that records `key` under `names`: a name as it is looked up, or its hash.
pub fn line(names: &str, key: &PublicKey) -> String {
    let bare = PublicKey::new(key.key_data().clone(), "");
    // Only a key of an unknown kind can't be written, and such a one is never shown by a host.
    format!("{names} {}\n", bare.to_openssh().unwrap_or_default())
}

/// `text` with `lines` at its end, whether or not its last line is ended.
pub fn append(mut text: Vec<u8>, lines: &str) -> Vec<u8> {
    if text.last().is_some_and(|byte| *byte != b'\n') {
        text.push(b'\n');
    }
    text.extend_from_slice(lines.as_bytes());
    text
}

/// `text` in which none of `keys` is recorded for `name` any more. A line that names other hosts too stays for those.
pub fn forget(text: &[u8], name: &str, keys: &[KeyData]) -> Vec<u8> {
    text.split_inclusive(|byte| *byte == b'\n').flat_map(|raw| without(raw, name, keys)).collect()
}

fn without(raw: &[u8], name: &str, keys: &[KeyData]) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(raw) else { return raw.to_vec() };
    let Ok(Some((Marker::Key, names, key))) = parse(text.trim_end_matches('\n')) as Result<Option<Line<'_>>, _> else {
        return raw.to_vec();
    };
    if !keys.contains(key.key_data()) || !names_match(names, name) {
        return raw.to_vec();
    }
    remaining(names, name).map_or_else(Vec::new, |left| text.replacen(names, &left, 1).into_bytes())
}

/// `names` without `name`; where a wildcard still takes it in, it is excepted. `None`: nobody else is named.
fn remaining(names: &str, name: &str) -> Option<String> {
    let others: Vec<&str> = names.split(',').filter(|one| !one.eq_ignore_ascii_case(name)).collect();
    let left = others.join(",");
    match left.starts_with('|') || left.is_empty() {
        true => None,
        false if names_match(&left, name) => Some(format!("{left},!{name}")),
        false => Some(left),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILIG2T/B0l0gaqj3puu510tu9N1OkQ4znY3LYuEm5zCF";
    const NEW: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBhtYcaHwqnGAkPKnvFBaxYbP9vUuC0qMKY3CZ5oBCeS";

    fn key(text: &str) -> PublicKey {
        PublicKey::from_openssh(text).unwrap()
    }

    #[test]
    fn a_line_is_added_after_a_last_one_without_an_end() {
        let new = line("[a]:2222", &key(&format!("{NEW} a comment")));
        assert_eq!(new, format!("[a]:2222 {NEW}\n"));
        assert_eq!(append(b"x".to_vec(), &new), format!("x\n{new}").into_bytes());
        assert_eq!(append(b"x\n".to_vec(), &new), format!("x\n{new}").into_bytes());
        assert_eq!(append(Vec::new(), &new), new.into_bytes());
    }

    #[test]
    fn only_what_names_the_host_with_the_key_is_taken_away() {
        let hashed = super::super::hash_name(&[3; 20], "a");
        let cases = [
            ("a OLD\n", ""),
            ("a OLD", ""),
            ("A OLD c\r\n", ""),
            ("HASHED OLD\n", ""),
            ("b,a,c OLD why\n", "b,c OLD why\n"),
            ("a,* OLD\n", "*,!a OLD\n"),
            ("?,!b OLD\n", "?,!b,!a OLD\n"),
            ("a NEW\n", "a NEW\n"),
            ("b OLD\n", "b OLD\n"),
            ("@revoked a OLD\n", "@revoked a OLD\n"),
            ("@cert-authority a OLD\n", "@cert-authority a OLD\n"),
            ("# a OLD\n\n \ngarbage", "# a OLD\n\n \ngarbage"),
            ("x\na OLD\ny", "x\ny"),
        ];
        for (before, after) in cases {
            let filled = |text: &str| text.replace("OLD", OLD).replace("NEW", NEW).replace("HASHED", &hashed);
            let left = forget(filled(before).as_bytes(), "a", &[key(OLD).key_data().clone()]);
            assert_eq!(String::from_utf8(left).unwrap(), filled(after), "{before:?}");
        }
        let odd = [b"\xff a ", OLD.as_bytes(), b"\n"].concat();
        assert_eq!(forget(&odd, "a", &[key(OLD).key_data().clone()]), odd);
    }
}

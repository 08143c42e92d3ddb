//! Single values: from text to type, or what is wrong with it and what to write instead.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::num::NonZeroUsize;
use std::time::Duration;

use jiff::{SignedDuration, Span, SpanRelativeTo};

use super::{Address, Become, Role};
use crate::model::nearest::did_you_mean;
use crate::model::selector::RESERVED;
use crate::model::source::SECRET_KEY;

/// What is wrong, and what to do about it.
pub(super) type Complaint = (String, String);

type Result<T> = std::result::Result<T, Complaint>;

fn complaint<T>(message: impl Into<String>, note: impl Into<String>) -> Result<T> {
    Err((message.into(), note.into()))
}

/// A name that selectors, shells and file names bear.
pub(super) fn name(text: &str) -> Result<String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if RESERVED.contains(&text) {
        return complaint(format!("\"{text}\" is a word of the selectors"), "choose another name");
    }
    if text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(fits) && text.len() <= 100 {
        return Ok(text.to_owned());
    }
    complaint(format!("\"{}\" can't be a name", text.escape_debug()), "letters, digits and - _ . make a name")
}

/// A region, a label or its value: one word that a selector can name.
pub(super) fn word(text: &str) -> Result<String> {
    let fits = |c: char| c.is_alphanumeric() || "-_./:+@".contains(c);
    if !text.is_empty() && text.chars().all(fits) {
        return Ok(text.to_owned());
    }
    complaint(format!("\"{}\" isn't one word", text.escape_debug()), "letters, digits and - _ . / : + @ make a word")
}

/// Any text but none.
pub(super) fn some(text: &str) -> Result<String> {
    if text.trim().is_empty() || text.contains(char::is_control) {
        return complaint("a text is wanted here", "");
    }
    Ok(text.to_owned())
}

/// Who can read what is encrypted by age, as age writes it.
pub(super) fn recipient(text: &str) -> Result<String> {
    if text.trim().to_ascii_uppercase().starts_with(SECRET_KEY) {
        return complaint(
            "this is a secret key, and no recipient",
            "age-keygen -y tells its recipient; keep it elsewhere",
        );
    }
    match text.trim().parse::<age::x25519::Recipient>() {
        Ok(recipient) => Ok(recipient.to_string()),
        Err(_) => complaint(
            format!("\"{}\" isn't a recipient of age", text.escape_debug()),
            "age1… is; make one by age-keygen, and keep its file off this machine",
        ),
    }
}

pub(super) fn role(text: &str) -> Result<Role> {
    let names = Role::ALL.map(Role::name);
    Role::named(text).ok_or_else(|| {
        let note = did_you_mean(text, names).unwrap_or_else(|| format!("known: {}", names.join(", ")));
        (format!("unknown role \"{}\"", text.escape_debug()), note)
    })
}

pub(super) fn becoming(text: &str) -> Result<Become> {
    match text {
        "none" => Ok(Become::None),
        "sudo" => Ok(Become::Sudo),
        _ => complaint(format!("unknown become \"{}\"", text.escape_debug()), "\"sudo\" or \"none\""),
    }
}

/// CometBFT takes up to 50 bytes.
pub(super) fn chain_id(text: &str) -> Result<String> {
    let name = name(text)?;
    if name.len() > 50 { complaint("the chain id is longer than 50 characters", "") } else { Ok(name) }
}

/// A program by name or path; it becomes a word of a command.
pub(super) fn binary(text: &str) -> Result<String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_./+".contains(c);
    if text.is_empty() || text.starts_with('-') || !text.chars().all(fits) {
        return complaint(format!("\"{}\" isn't the name of a program", text.escape_debug()), "e.g. \"gaiad\"");
    }
    Ok(text.to_owned())
}

/// A systemd service.
pub(super) fn unit(text: &str) -> Result<String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    let stem = text.strip_suffix(".service");
    if text.starts_with('-') || text.starts_with('.') || text.len() > 255 || !text.chars().all(fits) {
        return complaint(format!("\"{}\" isn't a unit", text.escape_debug()), "e.g. \"gaiad.service\"");
    }
    match stem {
        Some(stem) if stem.ends_with('@') => complaint("a template can't be run", format!("e.g. \"{stem}1.service\"")),
        Some(_) => Ok(text.to_owned()),
        None => complaint(format!("\"{text}\" isn't a service unit"), format!("did you mean \"{text}.service\"?")),
    }
}

/// An absolute folder, without `..`.
pub(super) fn home(text: &str) -> Result<String> {
    absolute(text).map_or_else(
        || {
            let note = "an absolute path, e.g. \"/var/lib/chain\"";
            complaint(format!("\"{}\" isn't a home folder", text.escape_debug()), note)
        },
        Ok,
    )
}

/// An absolute file or folder, without `..`.
pub(super) fn path(text: &str) -> Result<String> {
    absolute(text).map_or_else(
        || complaint(format!("\"{}\" isn't an absolute path", text.escape_debug()), "e.g. \"/etc/virtengine\""),
        Ok,
    )
}

fn absolute(text: &str) -> Option<String> {
    let path = text.trim_end_matches('/');
    let strange = path.contains(char::is_control) || path.split('/').any(|part| part == "..");
    (path.starts_with('/') && !strange).then(|| path.to_owned())
}

/// `host:port`.
pub(super) fn rpc(text: &str) -> Result<String> {
    let bare = text.split_once("://").map_or(text, |(_, bare)| bare).trim_end_matches('/');
    match address(bare) {
        Ok(Address { port: Some(_), .. }) if bare == text => Ok(text.to_owned()),
        Ok(Address { port: Some(_), .. }) => complaint("rpc takes no scheme", format!("did you mean \"{bare}\"?")),
        Ok(_) => complaint("rpc has no port", format!("did you mean \"{bare}:26657\"?")),
        Err(complaint) => Err(complaint),
    }
}

pub(super) fn user(text: &str) -> Result<String> {
    let fits = |c: char| c.is_alphanumeric() || "-_.\\$".contains(c);
    if text.is_empty() || text.starts_with('-') || !text.chars().all(fits) {
        return complaint(format!("\"{}\" isn't a login", text.escape_debug()), "");
    }
    Ok(text.to_owned())
}

pub(super) fn port(number: i64) -> Result<u16> {
    match u16::try_from(number) {
        Ok(port) if port > 0 => Ok(port),
        _ => complaint(format!("{number} isn't a port"), "1 to 65535"),
    }
}

/// A name, IPv4 or IPv6 address, with a port or without; with a port IPv6 stands in brackets.
pub(super) fn address(text: &str) -> Result<Address> {
    let (host, port_text) = match text.strip_prefix('[') {
        Some(inside) => match inside.split_once(']') {
            Some((host, "")) => (host, None),
            Some((host, rest)) if rest.starts_with(':') => (host, Some(&rest[1..])),
            _ => return not_an_address(text),
        },
        None if text.matches(':').count() > 1 => (text, None),
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    if text.starts_with('[') && !host.contains(':') || !is_host(host) {
        return not_an_address(text);
    }
    let port = port_text.map(|digits| {
        let number = if digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse().unwrap_or(0) } else { 0 };
        port(number).map_err(|(_, note)| (format!("\"{}\" isn't a port", digits.escape_debug()), note))
    });
    Ok(Address { host: host.to_owned(), port: port.transpose()? })
}

fn not_an_address<T>(text: &str) -> Result<T> {
    let note = "a name, IPv4 or IPv6 address; with a port name:22 or [::1]:22";
    complaint(format!("\"{}\" isn't an address", text.escape_debug()), note)
}

fn is_host(text: &str) -> bool {
    if text.contains(':') {
        let (ip, zone) = text.split_once('%').unwrap_or((text, "0"));
        return ip.parse::<Ipv6Addr>().is_ok() && !zone.is_empty() && zone.chars().all(|c| c.is_ascii_alphanumeric());
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let number = text.chars().all(|c| c.is_ascii_digit() || c == '.');
    let name = text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(fits) && text.len() <= 253;
    if number { text.parse::<Ipv4Addr>().is_ok() } else { name && !text.contains("..") }
}

/// `10s`, `1m30s`: more than nothing, `most` at most.
pub(super) fn duration(text: &str, most: Duration) -> Result<Duration> {
    let Ok(signed) = text.parse::<SignedDuration>() else {
        return complaint(format!("\"{}\" isn't a time span", text.escape_debug()), "e.g. \"10s\" or \"1m30s\"");
    };
    match Duration::try_from(signed) {
        Ok(span) if span > most => complaint(format!("{text} is too long"), format!("{} at most", show(most))),
        Ok(span) if !span.is_zero() => Ok(span),
        _ => complaint(format!("{text} is no time at all"), "a time span is more than nothing, e.g. \"10s\""),
    }
}

/// `2d`, `36h`, `2w`: days have 24 hours.
pub(super) fn days(text: &str) -> Result<Duration> {
    let example = "e.g. \"36h\", \"2d\" or \"2w\"";
    let span = text.parse::<Span>().and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()));
    match span.map(Duration::try_from) {
        Ok(Ok(span)) if !span.is_zero() => Ok(span),
        Ok(_) => complaint(format!("{text} is no time at all"), example),
        Err(_) => complaint(format!("\"{}\" isn't a time span", text.escape_debug()), example),
    }
}

/// Bytes in a second as they are written: `20MiB/s`, `500kB/s`. What is wrong with it, and what to write.
pub fn rate(text: &str) -> Result<u64> {
    let example = "e.g. \"20MiB/s\" or \"500kB/s\"";
    let units =
        [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1000)];
    let amount = text.strip_suffix("/s").and_then(|text| {
        let (number, unit) = units.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)))?;
        number.trim().parse::<u64>().ok()?.checked_mul(unit)
    });
    match amount {
        Some(0) => complaint(format!("at {text} nothing ever comes"), example),
        Some(rate) => Ok(rate),
        None => complaint(format!("\"{}\" isn't a rate", text.escape_debug()), example),
    }
}

/// How many of something are kept.
pub(super) fn amount(number: i64) -> Result<u32> {
    u32::try_from(number).or_else(|_| complaint(format!("{number} can't be a number of snapshots"), "0 or more"))
}

/// How many of something go on at once.
pub(super) fn at_once(number: i64) -> Result<NonZeroUsize> {
    let read = u8::try_from(number).ok().and_then(|number| NonZeroUsize::new(number.into()));
    read.filter(|number| number.get() <= 64)
        .map_or_else(|| complaint(format!("{number} can't be at once"), "1 to 64"), Ok)
}

/// As the inventory would write it.
pub(super) fn show(span: Duration) -> String {
    SignedDuration::try_from(span).map_or_else(|_| format!("{span:?}"), |signed| format!("{signed:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, shown) in [
            ("10.0.0.11", "10.0.0.11"),
            ("10.0.0.11:2222", "10.0.0.11:2222"),
            ("val-1.example.org:22", "val-1.example.org:22"),
            ("::1", "::1"),
            ("[::1]", "::1"),
            ("[::1]:22", "[::1]:22"),
            ("fe80::1%eth0", "fe80::1%eth0"),
        ] {
            assert_eq!(address(text).unwrap().to_string(), shown);
        }
        for text in [
            "",
            "10.0.0.300",
            "10.0.0",
            "-oProxyCommand=x",
            "a b",
            "a:0",
            "a:70000",
            "a:+1",
            "a:",
            "[::1",
            "[a]:1",
            "::g",
            "a..b",
        ] {
            assert!(address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations() {
        let hour = Duration::from_secs(3600);
        for (text, seconds) in [("10s", 10), ("1m30s", 90), ("1h", 3600)] {
            assert_eq!(duration(text, hour).unwrap().as_secs(), seconds);
        }
        for text in ["0s", "-1s", "2h", "10", "soon", "", "99999999999999999999h"] {
            assert!(duration(text, hour).is_err(), "{text}");
        }
        assert_eq!(show(hour), "1h");
    }

    #[test]
    fn units_and_homes() {
        assert!(unit("gaiad@1.service").is_ok() && home("/var/lib/x/").is_ok_and(|path| path == "/var/lib/x"));
        for text in ["gaiad", "gaiad@.service", "-x.service", "a b.service", "", ".service", "x.timer"] {
            assert!(unit(text).is_err(), "{text}");
        }
        for text in ["", "/", "var", "~/x", "/a/../b", "/a\n"] {
            assert!(home(text).is_err(), "{text}");
        }
    }
}

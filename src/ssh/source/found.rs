//! What a host lists of its folders.

/// Something below a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// `f` a file, `d` a folder, `l` a symbolic link, or another letter of `find`; `-`: nothing is there.
    pub kind: char,
    /// Bytes.
    pub size: u64,
    /// Permissions.
    pub mode: u32,
    /// Unix ns.
    pub mtime_ns: i64,
    /// Inode.
    pub inode: u64,
    /// What a symbolic link holds, as it is; else empty.
    pub target: Vec<u8>,
    /// Its path below the folder, as it is; empty for what was asked for itself, where that is no folder.
    pub name: Vec<u8>,
}

/// Lists to the end of the text.
pub(super) fn lists(text: &[u8]) -> Option<Vec<Vec<Found>>> {
    let mut fields = text.strip_suffix(b"\0")?.split(|byte| *byte == 0).peekable();
    let mut all = Vec::new();
    while fields.peek().is_some() {
        all.push(list(&mut fields)?);
    }
    Some(all)
}

/// Records of seven fields up to an empty one, which ends a list.
pub(super) fn list<'a>(fields: &mut impl Iterator<Item = &'a [u8]>) -> Option<Vec<Found>> {
    let mut list = Vec::new();
    loop {
        let record: [Option<&[u8]>; 7] = std::array::from_fn(|_| fields.next());
        let [Some(kind), Some(size), Some(mode), Some(mtime), Some(inode), Some(target), Some(name)] = record else {
            return None;
        };
        if kind.is_empty() {
            return Some(list);
        }
        let text = |field: &[u8]| std::str::from_utf8(field).ok().map(ToOwned::to_owned);
        list.push(Found {
            kind: char::from(*kind.first()?),
            size: text(size)?.parse().ok()?,
            mode: u32::from_str_radix(&text(mode)?, 8).ok()?,
            mtime_ns: nanoseconds(&text(mtime)?)?,
            inode: text(inode)?.parse().ok()?,
            target: target.to_vec(),
            name: name.to_vec(),
        });
    }
}

/// `1732604400.1234567890` as ns.
fn nanoseconds(text: &str) -> Option<i64> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = seconds.parse().ok()?;
    let fraction: i64 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    seconds.checked_mul(1_000_000_000)?.checked_add(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_with_whatever_a_name_holds() {
        let text =
            b"l\x0012\x00777\x001732604400.1234567890\x0077\x00/x\ny\x00a b/\xff\nc\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
        let found = Found {
            kind: 'l',
            size: 12,
            mode: 0o777,
            mtime_ns: 1_732_604_400_123_456_789,
            inode: 77,
            target: b"/x\ny".to_vec(),
            name: b"a b/\xff\nc".to_vec(),
        };
        assert_eq!(lists(text), Some(vec![vec![found], Vec::new()]));
    }

    #[test]
    fn a_list_that_breaks_off_is_none() {
        assert_eq!(lists(b"f\x0012\x00644\x001.0\x0077\0\0a\0"), None);
        assert_eq!(lists(b"f\x0012\x00644\0"), None);
        assert_eq!(lists(b""), None);
    }
}

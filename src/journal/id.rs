//! Run ids: sixteen characters of Crockford's base 32, ten of time (ms) and six of chance, so that they sort by time.

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Characters of time, then of chance.
const TIME: u32 = 10;
const CHANCE: u32 = 6;

/// A new id for a run that begins at this time, Unix ms.
pub fn new(now_ms: i64) -> String {
    let time = u64::try_from(now_ms).unwrap_or(0);
    write(time, TIME) + &write(rand::random(), CHANCE)
}

/// The lowest `length` digits of `value`.
fn write(value: u64, length: u32) -> String {
    let digit = |place: u32| char::from(ALPHABET[((value >> (5 * place)) & 31) as usize]);
    (0..length).rev().map(digit).collect()
}

/// Whether a folder's name is that of a run.
pub(super) fn is_id(name: &str) -> bool {
    name.len() == (TIME + CHANCE) as usize && name.bytes().all(|byte| ALPHABET.contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_differ() {
        let ids: Vec<String> = (0..200).map(|step| new(1_770_000_000_000 + step)).collect();
        assert!(ids.is_sorted());
        assert!(ids.iter().all(|id| is_id(id) && id.starts_with("01")), "{ids:?}");
        let same: std::collections::BTreeSet<String> = (0..200).map(|_| new(1_770_000_000_000)).collect();
        assert_eq!(same.len(), 200);
    }

    #[test]
    fn other_names_are_no_ids() {
        for name in ["", ".new-01JD7Q", "01JD7Q", "01jd7qk3v8zpabcd", "01JD7QK3V8ZPABCU", "../../etc/passwd"] {
            assert!(!is_id(name), "{name}");
        }
    }
}

//! The content of a genesis, apart from how its JSON is written.

use serde_json::Value;
use sha2::{Digest, Sha256};

/// sha256 (lower-case hex) of the genesis with sorted keys and without white space: files that differ only in how
/// they are written hash alike. An RPC's `/genesis` answer hashes as the file in it.
pub fn content_hash(json: &[u8]) -> Result<String, String> {
    let whole: Value = serde_json::from_slice(json).map_err(|error| format!("genesis: {error}"))?;
    let genesis = whole.pointer("/result/genesis").unwrap_or(&whole);
    if !genesis.is_object() {
        return Err("genesis: not an object".into());
    }
    let mut text = String::new();
    write(genesis, &mut text);
    Ok(hex::encode(Sha256::digest(text)))
}

/// Sorts by itself, whatever order `serde_json` was built to keep.
fn write(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            join(out, '{', '}', entries, |(key, value), out| {
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                write(value, out);
            });
        }
        Value::Array(items) => join(out, '[', ']', items, write),
        scalar => out.push_str(&scalar.to_string()),
    }
}

fn join<T>(
    out: &mut String,
    open: char,
    close: char,
    items: impl IntoIterator<Item = T>,
    each: impl Fn(T, &mut String),
) {
    out.push(open);
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        each(item, out);
    }
    out.push(close);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GENESIS: &str =
        r#"{"chain_id":"a-1","validators":[{"power":"10","name":"é"}],"app_state":{"x":1,"b":[1,2]}}"#;

    fn hash(json: &str) -> String {
        content_hash(json.as_bytes()).unwrap()
    }

    #[test]
    fn writing_does_not_matter() {
        let same = r#"
            { "app_state": {"b": [1, 2], "x": 1},
              "validators": [ {"name": "\u00e9", "power": "10"} ], "chain_id": "a-1" }"#;
        assert_eq!(hash(GENESIS), hash(same));
        assert_eq!(hash(GENESIS), hash(&format!(r#"{{"jsonrpc":"2.0","result":{{"genesis":{GENESIS}}}}}"#)));
    }

    #[test]
    fn content_does() {
        for other in [GENESIS.replace("a-1", "a-2"), GENESIS.replace("[1,2]", "[2,1]"), GENESIS.replace("\"10\"", "10")]
        {
            assert_ne!(hash(GENESIS), hash(&other), "{other}");
        }
    }

    #[test]
    fn damaged() {
        for json in ["", "{", "[]", "null"] {
            assert!(content_hash(json.as_bytes()).unwrap_err().starts_with("genesis: "), "{json}");
        }
    }

    proptest! {
        #[test]
        fn the_order_of_keys_never_matters(keys in proptest::collection::btree_set("[a-z\"\\\\]{1,5}", 1..8)) {
            let line = |key: &String| format!("{}:1", Value::from(key.as_str()));
            let forth: Vec<_> = keys.iter().map(line).collect();
            let back: Vec<_> = keys.iter().rev().map(line).collect();
            prop_assert_eq!(hash(&format!("{{{}}}", forth.join(","))), hash(&format!("{{{}}}", back.join(" , "))));
        }
    }
}

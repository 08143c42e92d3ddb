//! The signer's files: what it signed last, and whose key it is. The secret is never read here.

use serde::Deserialize;

use crate::chain::rpc::Number;
use crate::model::facts::{KeyFacts, SignerFacts, SignerState};

/// `priv_validator_state.json`, as CometBFT or horcrux writes it (numbers may be quoted).
pub fn state(json: &str) -> Result<SignerState, String> {
    let file: StateFile = serde_json::from_str(json).map_err(|error| match json.trim() {
        // A full disk leaves an empty file.
        "" => "empty".to_string(),
        _ => error.to_string(),
    })?;
    let round = u32::try_from(file.round.0).map_err(|_| format!("round {}", file.round.0))?;
    match u8::try_from(file.step.0) {
        Ok(step @ 0..=3) => Ok(SignerState { height: file.height.0, round, step }),
        _ => Err(format!("step {} is none of 0 to 3", file.step.0)),
    }
}

/// The greatest height that may be committed by what a signer has signed: a precommit may have completed its block.
pub fn committed(signer: &SignerFacts) -> Option<u64> {
    match signer {
        SignerFacts::State(state) if state.step >= 3 => Some(state.height),
        SignerFacts::State(state) => Some(state.height.saturating_sub(1)),
        _ => None,
    }
}

/// What a host tells of its `priv_validator_key.json`: `address=HEX` and `pub_key=BASE64`, one a line, and nothing
/// else. The file itself stays on the host.
pub fn public_key(text: &str) -> KeyFacts {
    let field = |name: &str| {
        let lines = text.lines().filter_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='));
        lines.map(str::trim).find(|value| !value.is_empty())
    };
    match (field("address"), field("pub_key")) {
        (Some(address), Some(key)) if is_address(address) => {
            KeyFacts::Present { address: address.to_uppercase(), public_key: key.into() }
        }
        (Some(address), Some(_)) => KeyFacts::Unreadable(format!("not an address: {address:?}")),
        (None, _) => KeyFacts::Unreadable("no address in it".into()),
        (_, None) => KeyFacts::Unreadable("no public key in it".into()),
    }
}

fn is_address(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Height, round and step must stand there: a state without them is damaged, not zero.
#[derive(Deserialize)]
struct StateFile {
    height: Number,
    round: Number,
    step: Number,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states() {
        let at = |height, round, step| SignerState { height, round, step };
        let table = [
            (r#"{"height":"36","round":0,"step":3,"signature":"x","signbytes":"y"}"#, at(36, 0, 3)),
            (r#"{"height":"36","round":"2","step":1}"#, at(36, 2, 1)),
            (r#"{"height":36,"round":2,"step":2}"#, at(36, 2, 2)),
            (r#"{"height":"0","round":0,"step":0}"#, at(0, 0, 0)),
        ];
        for (json, expected) in table {
            assert_eq!(state(json), Ok(expected), "{json}");
        }
    }

    #[test]
    fn damaged_states_are_errors_and_never_zero() {
        for json in [
            "",
            "  \n",
            "{}",
            "[]",
            r#"{"height":"36"}"#,
            r#"{"height":"36","round":0,"step":9}"#,
            r#"{"height":"-1","round":0,"step":1}"#,
        ] {
            assert!(state(json).is_err(), "{json}");
        }
        assert!(state(r#"{"height":null,"round":0,"step":1}"#).is_err());
        assert!(state(r#"{"height":"","round":0,"step":1}"#).is_err());
        assert_eq!(state("").unwrap_err(), "empty");
    }

    #[test]
    fn greater_states_are_later() {
        assert!(state(r#"{"height":"36","round":0,"step":3}"#) < state(r#"{"height":"36","round":1,"step":1}"#));
        assert!(state(r#"{"height":"9","round":9,"step":3}"#) < state(r#"{"height":"10","round":0,"step":1}"#));
    }

    #[test]
    fn public_keys() {
        let address = "9563dbc33b755a4f06c5535b7a078ca53f3e82a2";
        let present = KeyFacts::Present { address: address.to_uppercase(), public_key: "530U=".into() };
        assert_eq!(public_key(&format!("address={address}\npub_key=530U=\n")), present);
        assert_eq!(public_key(&format!("pub_key= 530U=\r\naddress={address}\r\n")), present);
        for text in ["", "address=\npub_key=x", "address=xyz\npub_key=x", &format!("address={address}")] {
            assert!(matches!(public_key(text), KeyFacts::Unreadable(_)), "{text}");
        }
    }
}

//! Host keys, and what is recorded about them.

use serde_json::{Value, json};

use super::next::Reason;
use super::paint::Paint;
use super::plain::plain;

/// What is known about one host's keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The host.
    pub host: String,
    /// Where it answers.
    pub address: Option<String>,
    /// The keys it shows.
    pub keys: Vec<Key>,
    /// Why it shows none, or why they can't be recorded.
    pub failed: Option<Reason>,
    /// The file that its keys were recorded in.
    pub recorded_in: Option<String>,
}

/// A key that a host shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its type.
    pub kind: String,
    /// Its SHA256 fingerprint.
    pub fingerprint: String,
    /// What the records say about it.
    pub state: State,
}

/// What the records say about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It is recorded, here.
    Recorded(String),
    /// A recorded authority vouches for it, here.
    Vouched(String),
    /// Nothing is recorded that contradicts it; what is wrong with its certificate, if it has one.
    New(Option<String>),
    /// These are recorded in its stead.
    Changed(Vec<Old>),
    /// It must never be trusted, as said here.
    Revoked(String),
}

/// A recorded key that a host doesn't show any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Old {
    /// Its type.
    pub kind: String,
    /// Its SHA256 fingerprint.
    pub fingerprint: String,
    /// Where it is recorded.
    pub place: String,
}

impl State {
    fn name(&self) -> &'static str {
        match self {
            Self::Recorded(_) => "recorded",
            Self::Vouched(_) => "vouched",
            Self::New(_) => "new",
            Self::Changed(_) => "changed",
            Self::Revoked(_) => "revoked",
        }
    }

    /// What stands below the key: where that is written, or what was written before.
    fn notes(&self) -> Vec<String> {
        match self {
            Self::New(None) => Vec::new(),
            Self::Recorded(place) => vec![format!("at {place}")],
            Self::Vouched(place) => vec![format!("by the authority at {place}")],
            Self::New(Some(flaw)) => vec![format!("its certificate isn't good: {flaw}")],
            Self::Changed(old) => {
                old.iter().map(|old| format!("recorded is {} {} at {}", old.kind, old.fingerprint, old.place)).collect()
            }
            Self::Revoked(place) => vec![format!("at {place}")],
        }
    }
}

impl Row {
    /// Whether what the host shows is all recorded or vouched for.
    pub fn is_trusted(&self) -> bool {
        let good = |key: &Key| matches!(key.state, State::Recorded(_) | State::Vouched(_));
        self.failed.is_none() && (self.recorded_in.is_some() || self.keys.iter().all(good))
    }

    /// For people.
    pub fn text(&self, color: bool) -> String {
        let paint = Paint { color };
        let address = self.address.as_ref().map_or_else(String::new, |address| format!(" ({address})"));
        let mut text = format!("{}{address}\n", self.host);
        for Key { kind, fingerprint, state } in &self.keys {
            let name = format!("{:8}", state.name());
            let name = match state {
                State::Recorded(_) | State::Vouched(_) => name,
                State::New(_) => paint.unsure(&name),
                State::Changed(_) | State::Revoked(_) => paint.bad(&name.to_uppercase()),
            };
            text += &format!("  {name}  {kind}  {fingerprint}\n");
            state.notes().iter().for_each(|note| text += &format!("            {}\n", plain(note.as_bytes())));
        }
        if let Some(reason) = &self.failed {
            text += &format!("  {} {}\n", paint.bad("failed:"), plain(reason.message.as_bytes()));
        }
        text
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let key = |key: &Key| {
            json!({
                "type": key.kind,
                "fingerprint": key.fingerprint,
                "state": key.state.name(),
                "notes": key.state.notes(),
            })
        };
        json!({
            "host": self.host,
            "address": self.address,
            "keys": self.keys.iter().map(key).collect::<Vec<_>>(),
            "trusted": self.is_trusted(),
            "recorded_in": self.recorded_in,
            "error": self.failed.as_ref().map(|reason| &reason.message),
            "hint": self.failed.as_ref().and_then(|reason| reason.hint.as_ref()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(state: State) -> Row {
        let key = Key { kind: "ssh-ed25519".into(), fingerprint: "SHA256:abc".into(), state };
        Row {
            host: "val-1".into(),
            address: Some("10.0.0.1:22".into()),
            keys: vec![key],
            failed: None,
            recorded_in: None,
        }
    }

    #[test]
    fn each_state_is_told() {
        let old = Old { kind: "ssh-ed25519".into(), fingerprint: "SHA256:old".into(), place: "f:3".into() };
        let cases = [
            (State::New(None), "  new       ssh-ed25519  SHA256:abc\n", "new", false),
            (
                State::Recorded("f:1".into()),
                "  recorded  ssh-ed25519  SHA256:abc\n            at f:1\n",
                "recorded",
                true,
            ),
            (
                State::Vouched("f:2".into()),
                "  vouched   ssh-ed25519  SHA256:abc\n            by the authority at f:2\n",
                "vouched",
                true,
            ),
            (
                State::Changed(vec![old]),
                "  CHANGED   ssh-ed25519  SHA256:abc\n            recorded is ssh-ed25519 SHA256:old at f:3\n",
                "changed",
                false,
            ),
            (
                State::Revoked("f:4".into()),
                "  REVOKED   ssh-ed25519  SHA256:abc\n            at f:4\n",
                "revoked",
                false,
            ),
        ];
        for (state, text, name, trusted) in cases {
            let row = row(state);
            assert_eq!(row.text(false), format!("val-1 (10.0.0.1:22)\n{text}"));
            assert_eq!((&row.json()["keys"][0]["state"], row.is_trusted()), (&json!(name), trusted));
        }
    }

    #[test]
    fn a_host_that_failed_is_not_trusted() {
        let reason = Reason { message: "timed out".into(), hint: None };
        let row = Row { failed: Some(reason), keys: Vec::new(), address: None, ..row(State::New(None)) };
        assert_eq!((row.text(false).as_str(), row.is_trusted()), ("val-1\n  failed: timed out\n", false));
    }
}

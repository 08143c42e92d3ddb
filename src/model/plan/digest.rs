//! Digests that people type and read out.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A digest of eight hex digits, written `7f3c-19ab`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest(String);

impl Digest {
    pub(super) fn of(value: &impl Serialize) -> Self {
        let bytes = serde_json::to_vec(value).unwrap_or_default();
        let hex = hex::encode(&Sha256::digest(&bytes)[..4]);
        Self(format!("{}-{}", &hex[..4], &hex[4..]))
    }

    /// The half that is typed to confirm.
    pub fn short(&self) -> &str {
        &self.0[..4]
    }

    /// Whether a text has the form of a digest or of its first half, so that it can name one.
    pub fn is_form(text: &str) -> bool {
        let half = |part: &str| part.len() == 4 && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let text = text.trim();
        text.split_once('-').map_or_else(|| half(text), |(one, other)| half(one) && half(other))
    }

    /// Whether an operator's text names this digest: whole, or its first half.
    pub fn is_named_by(&self, text: &str) -> bool {
        let text = text.trim();
        text == self.0 || text == self.short()
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

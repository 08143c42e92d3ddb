//! The gate at which a host shows its key: nothing is sent to a host that doesn't pass.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use russh::keys::{Algorithm, HashAlg, PublicKey, PublicKeyOrCertificate};
use russh::{Names, cipher, client};

use super::error::{LinkError, LinkErrorKind};
use super::known_hosts::{Recorded, Records, Verdict};
use super::settings::Settings;

/// Why a connection ended while it came up.
#[derive(Debug)]
pub enum Fault {
    /// The protocol, or the stream under it.
    Ssh(russh::Error),
    /// The gate.
    Link(LinkError),
}

impl From<russh::Error> for Fault {
    fn from(error: russh::Error) -> Self {
        Self::Ssh(error)
    }
}

/// One key that a host shows.
#[derive(Debug, Clone)]
pub struct Shown {
    /// The key.
    pub key: PublicKey,
    /// What the records say about it.
    pub verdict: Verdict,
}

/// Where a look at a host leaves what it saw.
pub type Seen = Arc<Mutex<Option<Shown>>>;

/// What is done with a host's key.
pub enum Gate {
    /// It is compared with what is recorded.
    Check {
        /// Names the host in errors.
        settings: Arc<Settings>,
        /// What is recorded.
        records: Box<Records>,
    },
    /// It is noted, and the connection ends there.
    Look {
        /// Where it is noted.
        seen: Seen,
        /// What is recorded.
        records: Box<Records>,
    },
}

impl client::Handler for Gate {
    type Error = Fault;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Fault> {
        match self {
            Self::Look { seen, records } => {
                let shown = Shown { key: shown.public_key(), verdict: judge(records, shown) };
                *seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(shown);
                Ok(false)
            }
            Self::Check { settings, records } => {
                let verdict = judge(records, shown);
                refusal(settings, &verdict, &shown.public_key()).map_or(Ok(true), |error| Err(Fault::Link(error)))
            }
        }
    }

    async fn kex_done(&mut self, _: Option<&[u8]>, names: &Names, _: &mut client::Session) -> Result<(), Fault> {
        // CVE-2023-48795: this cipher is only safe with the strict exchange.
        if names.cipher == cipher::CHACHA20_POLY1305 && !names.strict_kex() {
            let message = "the host's sshd offers neither AES nor the strict key exchange";
            return Err(Fault::Link(LinkError::new(LinkErrorKind::Connect, message).hint("upgrade OpenSSH there")));
        }
        Ok(())
    }
}

/// What the records say about what a host shows.
fn judge(records: &Records, shown: &PublicKeyOrCertificate) -> Verdict {
    match shown.certificate() {
        Some(certificate) => records.check_certificate(certificate, now()),
        None => records.check(&shown.public_key()),
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The error for a key that doesn't pass.
fn refusal(settings: &Settings, verdict: &Verdict, key: &PublicKey) -> Option<LinkError> {
    let what = format!(
        "host key of {} ({}), {} {}",
        settings.name,
        settings.endpoint(),
        key.algorithm(),
        key.fingerprint(HashAlg::Sha256)
    );
    let trust = format!("fleet trust {}", settings.name);
    let error = |message: String, hint: String| Some(LinkError::new(LinkErrorKind::HostKey, message).hint(hint));
    match verdict {
        Verdict::Trusted(_) | Verdict::Vouched(_) => None,
        Verdict::Unknown => {
            let files: Vec<String> = settings.known_hosts.iter().map(|file| file.display().to_string()).collect();
            let notes = [&[String::new()], &settings.notes[..]].concat().join("; ");
            error(format!("{what}: not recorded in {}{notes}", files.join(", ")), trust)
        }
        Verdict::Changed(recorded) => {
            let hint = format!("if the host was set up anew: {trust} --replace; if not, someone may stand in between");
            error(format!("{what}: CHANGED, recorded is {}", list(recorded)), hint)
        }
        Verdict::Revoked(place) => {
            error(format!("{what}: REVOKED at {place}"), "find out why it was revoked before anything else".into())
        }
        Verdict::BadCertificate(flaw) => {
            let hint = format!("have the host's certificate renewed, or {trust}");
            error(format!("{what}: its certificate isn't good: {flaw}"), hint)
        }
    }
}

fn list(recorded: &[Recorded]) -> String {
    let mut text: Vec<String> =
        recorded.iter().map(|one| format!("{} at {}", one.key.algorithm(), one.place)).collect();
    if recorded.iter().all(|one| one.key.algorithm().is_rsa()) {
        text.push("and fleet doesn't verify RSA host keys".into());
    }
    text.join(", ")
}

/// The host key types fleet verifies, those in `recorded` first.
pub fn key_types(recorded: &[Algorithm]) -> Vec<Algorithm> {
    use russh::keys::EcdsaCurve::{NistP256, NistP384, NistP521};
    let ecdsa = [NistP256, NistP384, NistP521].map(|curve| Algorithm::Ecdsa { curve });
    let all: Vec<Algorithm> = std::iter::once(Algorithm::Ed25519).chain(ecdsa).collect();
    let (mut first, rest): (Vec<_>, Vec<_>) = all.into_iter().partition(|one| recorded.contains(one));
    first.extend(rest);
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_types_are_asked_for_first() {
        assert_eq!(key_types(&[])[0], Algorithm::Ed25519);
        let p384 = Algorithm::Ecdsa { curve: russh::keys::EcdsaCurve::NistP384 };
        let types = key_types(&[p384.clone(), Algorithm::Rsa { hash: None }]);
        assert_eq!((types[0].clone(), types.len()), (p384, 4));
    }
}

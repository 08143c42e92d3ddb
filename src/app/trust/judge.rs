//! What a host's keys mean: which are shown how, and what is to be written about them.

use std::path::PathBuf;

use russh::keys::ssh_key::public::KeyData;
use russh::keys::{HashAlg, PublicKey};

use crate::render::next::Reason;
use crate::render::trust::{Key, Old, Row, State};
use crate::ssh::known_hosts::{Recorded, Verdict};
use crate::ssh::record::{Change, first_writable};
use crate::ssh::{Look, Shown};

use super::unwritten;

/// A host's row, and what is to be written about it once that is agreed upon.
pub struct Judged {
    /// What is shown.
    pub row: Row,
    /// File by file.
    pub changes: Vec<(PathBuf, Change)>,
}

/// Judges what `host` showed. Changed keys are to be written only if they may `replace` the recorded ones.
pub fn judged(host: &str, look: &Look, replace: bool) -> Judged {
    let settings = &look.prepared.settings;
    let mut row = Row {
        host: host.into(),
        address: Some(settings.endpoint()),
        keys: look.keys.iter().map(|shown| key(shown, &look.keys)).collect(),
        failed: None,
        recorded_in: None,
    };
    row.failed = problem(&row, replace);
    if row.failed.is_some() {
        return Judged { row, changes: Vec::new() };
    }
    let wanted = look.keys.iter().zip(&row.keys);
    let add: Vec<PublicKey> = wanted
        .filter(|(_, key)| matches!(key.state, State::New(_) | State::Changed(_)))
        .map(|(shown, _)| shown.key.clone())
        .collect();
    if add.is_empty() {
        return Judged { row, changes: Vec::new() };
    }
    let Some(file) = first_writable(settings) else {
        let files: Vec<String> = settings.known_hosts.iter().map(|file| file.display().to_string()).collect();
        row.failed = Some(unwritten(&format!("none of {} can be written", files.join(", "))));
        return Judged { row, changes: Vec::new() };
    };
    let change = |add, forget| Change { name: settings.subject.lookup(), hashed: settings.hash_names, add, forget };
    let mut changes = vec![(file.to_path_buf(), change(add, Vec::new()))];
    for Recorded { place, key } in look.keys.iter().flat_map(|shown| contradicting(shown, &look.keys)) {
        let forget: KeyData = key.key_data().clone();
        match changes.iter_mut().find(|(file, _)| *file == place.file) {
            Some((_, change)) if change.forget.contains(&forget) => {}
            Some((_, change)) => change.forget.push(forget),
            None => changes.push((place.file.clone(), change(Vec::new(), vec![forget]))),
        }
    }
    Judged { row, changes }
}

/// Why nothing is recorded of a host.
fn problem(row: &Row, replace: bool) -> Option<Reason> {
    let any = |wanted: fn(&State) -> bool| row.keys.iter().any(|key| wanted(&key.state));
    let reason = |message: &str, hint: String| Some(Reason { message: message.into(), hint: Some(hint) });
    if row.keys.is_empty() {
        let hint = format!("ssh-keygen -A on {} makes an ed25519 key", row.host);
        return reason("it shows no host key of a type that fleet verifies (ed25519, ecdsa)", hint);
    }
    if any(|state| matches!(state, State::Revoked(_))) {
        return reason("a key it shows is revoked", "find out why it was revoked before anything else".into());
    }
    if any(|state| matches!(state, State::Changed(_))) && !replace {
        let host = &row.host;
        let hint =
            format!("if the host was set up anew: fleet trust {host} --replace; if not, someone may stand in between");
        return reason("its key isn't the recorded one", hint);
    }
    None
}

fn key(shown: &Shown, all: &[Shown]) -> Key {
    let state = match &shown.verdict {
        Verdict::Trusted(place) => State::Recorded(place.to_string()),
        Verdict::Vouched(place) => State::Vouched(place.to_string()),
        Verdict::Revoked(place) => State::Revoked(place.to_string()),
        Verdict::Unknown => State::New(None),
        Verdict::BadCertificate(flaw) => State::New(Some(flaw.clone())),
        Verdict::Changed(_) => match contradicting(shown, all) {
            old if old.is_empty() => State::New(None),
            old => State::Changed(old.into_iter().map(told).collect()),
        },
    };
    Key { kind: shown.key.algorithm().to_string(), fingerprint: fingerprint(&shown.key), state }
}

/// The recorded keys in the place of which a host shows this one: those of its type, else, where the host shows no
/// recorded key at all, all others. RSA keys contradict nothing: fleet asks for none.
fn contradicting<'a>(shown: &'a Shown, all: &[Shown]) -> Vec<&'a Recorded> {
    let Verdict::Changed(recorded) = &shown.verdict else { return Vec::new() };
    let verified = recorded.iter().filter(|old| !old.key.algorithm().is_rsa());
    let (same, other): (Vec<_>, Vec<_>) = verified.partition(|old| old.key.algorithm() == shown.key.algorithm());
    let known = all.iter().any(|one| matches!(one.verdict, Verdict::Trusted(_) | Verdict::Vouched(_)));
    match (same.is_empty(), known) {
        (false, _) => same,
        (true, true) => Vec::new(),
        (true, false) => other,
    }
}

fn told(old: &Recorded) -> Old {
    let kind = old.key.algorithm().to_string();
    Old { kind, fingerprint: fingerprint(&old.key), place: old.place.to_string() }
}

fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

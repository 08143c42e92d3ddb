//! `known_hosts` as OpenSSH reads it: pure over text, strict about what it trusts.
//!
//! A line is `[@cert-authority|@revoked] names type key [comment]`. What can't be read is skipped with a note, as
//! OpenSSH does, so that one bad line can't take away the trust in all others.

use std::fmt;
use std::path::PathBuf;

use hmac::{Hmac, KeyInit, Mac};
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, Certificate, HashAlg, PublicKey};
use sha1::Sha1;

pub mod edit;
mod pattern;
#[cfg(test)]
mod tests;

pub use pattern::{hash_name, names_match};

/// What a line says about its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    /// It is the host's own.
    Key,
    /// It signs host certificates.
    Authority,
    /// It must never be trusted.
    Revoked,
}

/// Where a line stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// The line's number, from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// One line that could be read.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Where it stands.
    pub place: Place,
    /// What it says about the key.
    pub marker: Marker,
    /// The key.
    pub key: PublicKey,
    names: String,
}

/// All that is recorded, in the order of the files.
#[derive(Debug, Clone, Default)]
pub struct KnownHosts {
    entries: Vec<Entry>,
    notes: Vec<String>,
}

/// The name and port under which a host's key is looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The host's name or address, or its `HostKeyAlias`.
    pub name: String,
    /// The port; `None` for an alias, which has none.
    pub port: Option<u16>,
}

/// What the records say about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The key is recorded here.
    Trusted(Place),
    /// The authority that signed its certificate is recorded here.
    Vouched(Place),
    /// Nothing is recorded for this host.
    Unknown,
    /// Other keys are recorded for this host.
    Changed(Vec<Recorded>),
    /// The key or its authority is revoked here.
    Revoked(Place),
    /// A recorded authority signed the certificate, but it isn't good for this host now.
    BadCertificate(String),
}

/// A key that is recorded where another one was presented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The line.
    pub place: Place,
    /// The key.
    pub key: PublicKey,
}

impl KnownHosts {
    /// Adds the lines of one file.
    pub fn read(&mut self, file: impl Into<PathBuf>, text: &str) {
        let file = file.into();
        for (index, line) in text.lines().enumerate() {
            let place = Place { file: file.clone(), line: index + 1 };
            match parse(line) {
                Ok(Some((marker, names, key))) => self.entries.push(Entry { place, marker, key, names: names.into() }),
                Ok(None) => {}
                Err(why) => self.notes.push(format!("{place}: skipped: {why}")),
            }
        }
    }

    /// The lines that were skipped, and why.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The lines whose names match `name` (`host` or `[host]:port`).
    pub fn matching<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Entry> {
        let name = name.to_lowercase();
        self.entries.iter().filter(move |entry| names_match(&entry.names, &name))
    }

    /// What is recorded about `subject`.
    pub fn about(&self, subject: &Subject) -> Records {
        let bare = if subject.has_odd_port() { self.matching(&subject.name).cloned().collect() } else { Vec::new() };
        let exact = self.matching(&subject.lookup()).cloned().collect();
        Records { subject: subject.clone(), exact, bare }
    }
}

/// What is recorded about one host: under its name with the port and, where that isn't 22, under its bare name.
#[derive(Debug, Clone)]
pub struct Records {
    subject: Subject,
    exact: Vec<Entry>,
    bare: Vec<Entry>,
}

impl Records {
    fn marked(&self, marker: Marker) -> impl Iterator<Item = &Entry> {
        self.exact.iter().chain(&self.bare).filter(move |entry| entry.marker == marker)
    }

    /// The types of the recorded keys that still hold, each once: the host is asked for these first.
    pub fn types(&self) -> Vec<Algorithm> {
        let mut types: Vec<Algorithm> = Vec::new();
        let holds = |entry: &&Entry| self.revoked(&[entry.key.key_data()]).is_none();
        for entry in self.marked(Marker::Key).filter(holds) {
            if !types.contains(&entry.key.algorithm()) {
                types.push(entry.key.algorithm());
            }
        }
        types
    }

    /// Whether a certificate could be trusted at all.
    pub fn has_authority(&self) -> bool {
        self.marked(Marker::Authority).next().is_some()
    }

    /// What the records say about a bare key. As with OpenSSH, the record without a port may vouch for a key, but
    /// not against one.
    pub fn check(&self, key: &PublicKey) -> Verdict {
        if let Some(place) = self.revoked(&[key.key_data()]) {
            return Verdict::Revoked(place);
        }
        if let Some(entry) = self.marked(Marker::Key).find(|entry| entry.key.key_data() == key.key_data()) {
            return Verdict::Trusted(entry.place.clone());
        }
        let others = self.exact.iter().filter(|entry| entry.marker == Marker::Key);
        let others: Vec<Recorded> = others.map(Entry::recorded).collect();
        if others.is_empty() { Verdict::Unknown } else { Verdict::Changed(others) }
    }

    /// What the records say about a certificate at `now` (seconds since 1970). One that no recorded authority signed,
    /// or that isn't good, still counts by the bare key inside it.
    pub fn check_certificate(&self, certificate: &Certificate, now: u64) -> Verdict {
        let (own, authority) = (certificate.public_key(), certificate.signature_key());
        if let Some(place) = self.revoked(&[own, authority]) {
            return Verdict::Revoked(place);
        }
        let signer = self.marked(Marker::Authority).find(|entry| entry.key.key_data() == authority);
        let flaw = match signer.map(|entry| (entry, flaw(certificate, &self.subject.name, now))) {
            Some((entry, None)) => return Verdict::Vouched(entry.place.clone()),
            Some((_, flaw)) => flaw,
            None => None,
        };
        match (self.check(&PublicKey::new(own.clone(), "")), flaw) {
            (Verdict::Unknown, Some(flaw)) => Verdict::BadCertificate(flaw),
            (verdict, _) => verdict,
        }
    }

    /// Where one of `keys` is revoked, under either name.
    fn revoked(&self, keys: &[&KeyData]) -> Option<Place> {
        self.marked(Marker::Revoked).find(|entry| keys.contains(&entry.key.key_data())).map(|entry| entry.place.clone())
    }
}

impl Subject {
    /// The name as it stands in a file: `host`, or `[host]:port` where the port isn't 22.
    pub fn lookup(&self) -> String {
        match self.port {
            None | Some(22) => self.name.to_lowercase(),
            Some(port) => format!("[{}]:{port}", self.name.to_lowercase()),
        }
    }

    fn has_odd_port(&self) -> bool {
        self.port.is_some_and(|port| port != 22)
    }
}

impl Entry {
    fn recorded(&self) -> Recorded {
        Recorded { place: self.place.clone(), key: self.key.clone() }
    }
}

/// Why `certificate` isn't good for the host `name` at `now`, although a recorded authority signed it.
fn flaw(certificate: &Certificate, name: &str, now: u64) -> Option<String> {
    let principals = certificate.valid_principals();
    let name = name.to_lowercase();
    if certificate.cert_type() != CertType::Host {
        return Some("it is a user's certificate, not a host's".into());
    }
    if !principals.is_empty() && !principals.contains(&name) {
        return Some(format!("it is for {}, not for {name}", principals.join(", ")));
    }
    if now < certificate.valid_after() {
        return Some("it isn't valid yet".into());
    }
    if now >= certificate.valid_before() {
        return Some("it has expired".into());
    }
    if certificate.critical_options().iter().next().is_some() {
        return Some("it has critical options, which a host's certificate must not have".into());
    }
    let authority = certificate.signature_key().fingerprint(HashAlg::Sha256);
    match certificate.validate_at(now, [&authority]) {
        Ok(()) => None,
        Err(_) if certificate.signature_key().algorithm().is_rsa() => {
            Some("its authority's key is RSA, which fleet doesn't verify".into())
        }
        Err(_) => Some("its signature is wrong".into()),
    }
}

const BLANK: [char; 2] = [' ', '\t'];

type Line<'a> = (Marker, &'a str, PublicKey);

/// One line; `None` for an empty one or a comment.
fn parse(line: &str) -> Result<Option<Line<'_>>, String> {
    let mut rest = line.trim_matches(['\r', ' ', '\t']);
    if rest.is_empty() || rest.starts_with('#') {
        return Ok(None);
    }
    let marker = match rest.strip_prefix('@') {
        None => Marker::Key,
        Some(_) => marker(&mut rest)?,
    };
    let mut word = || {
        let (word, tail) = rest.split_once(BLANK).unwrap_or((rest, ""));
        rest = tail.trim_start_matches(BLANK);
        word
    };
    let names = word();
    let (kind, blob) = (word(), word());
    let key = PublicKey::from_openssh(&format!("{kind} {blob}"))
        .map_err(|error| format!("no key can be read from it ({error})"))?;
    Ok(Some((marker, names, key)))
}

/// Takes the marker off `rest`. As with OpenSSH it ends at the line's first space, at a tab only where there is none.
fn marker(rest: &mut &str) -> Result<Marker, String> {
    let (word, tail) = rest.split_once(' ').or_else(|| rest.split_once('\t')).unwrap_or((rest, ""));
    let marker = match word {
        "@cert-authority" => Marker::Authority,
        "@revoked" => Marker::Revoked,
        word => return Err(format!("unknown marker {word}")),
    };
    *rest = tail.trim_start_matches(BLANK);
    if rest.starts_with('@') { Err("more than one marker".into()) } else { Ok(marker) }
}

/// HMAC-SHA1 of `name` under `salt`, which is how names are hashed.
fn digest(salt: &[u8], name: &str) -> Option<Vec<u8>> {
    let mut mac = Hmac::<Sha1>::new_from_slice(salt).ok()?;
    mac.update(name.as_bytes());
    Some(mac.finalize().into_bytes().to_vec())
}

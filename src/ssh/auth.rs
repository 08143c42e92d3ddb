//! Logging in: which keys, in which order. sshd counts refused keys (`MaxAuthTries`, 6), so the right one goes first.

use std::path::PathBuf;
use std::sync::Arc;

use russh::client::{AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::{Algorithm, Certificate, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey};

use super::agent::{Agents, Locked, SignFault};
use super::error::{LinkError, LinkErrorKind};
use super::gate::Gate;
use super::keys::{KeyFile, Keyring, read_certificate};
use super::settings::{Identity, Settings, Setup, short_path};

/// What logging in needs, shared by all hosts of a run.
#[derive(Debug)]
pub struct Desk {
    /// The surroundings.
    pub setup: Setup,
    /// Key files.
    pub keyring: Keyring,
    /// Agents.
    pub agents: Agents,
}

/// Why a login failed.
#[derive(Debug)]
pub enum AuthFault {
    /// The host would take this key, but it is locked.
    Locked(PathBuf),
    /// It failed.
    Link(LinkError),
}

impl From<LinkError> for AuthFault {
    fn from(error: LinkError) -> Self {
        Self::Link(error)
    }
}

/// One thing to offer to a host.
#[derive(Debug, Clone)]
struct Offer {
    /// What it is called in messages.
    label: String,
    public: PublicKey,
    certificate: Option<Certificate>,
    by: By,
}

/// Who signs.
#[derive(Debug, Clone)]
enum By {
    Agent,
    Key(Arc<PrivateKey>),
    Locked(PathBuf),
}

/// The offers for a host, best first, and what kept others from being made.
#[derive(Debug, Default)]
struct Offers {
    list: Vec<Offer>,
    notes: Vec<String>,
}

impl Desk {
    /// Logs in on `handle`.
    pub async fn login(&self, handle: &mut Handle<Gate>, settings: &Settings) -> Result<(), AuthFault> {
        let offers = self.offers(settings).await?;
        let (mut refused, mut methods) = (Vec::new(), String::new());
        for offer in &offers.list {
            match self.attempt(handle, settings, offer).await {
                Ok(AuthResult::Success) => return Ok(()),
                Ok(AuthResult::Failure { partial_success: true, remaining_methods }) => {
                    return Err(failed(
                        settings,
                        &format!("took {}, but wants {remaining_methods:?} too", offer.label),
                        &[],
                    )
                    .into());
                }
                Ok(AuthResult::Failure { remaining_methods, .. }) => {
                    methods = format!("{remaining_methods:?}");
                    refused.push(offer.label.clone());
                }
                Err(SignFault::Locked) => match &offer.by {
                    By::Locked(path) => return Err(AuthFault::Locked(path.clone())),
                    _ => refused.push(format!("{} (locked)", offer.label)),
                },
                Err(SignFault::Agent(why)) => refused.push(format!("{} (the agent didn't sign: {why})", offer.label)),
                Err(SignFault::Gone) => refused.push(offer.label.clone()),
            }
            if handle.is_closed() {
                let what = format!("hung up after {} keys ({})", refused.len(), refused.join(", "));
                return Err(failed(settings, &what, &offers.notes).into());
            }
        }
        let what = if refused.is_empty() {
            "there is no key to offer".to_owned()
        } else {
            format!("refused {}; it takes {methods}", refused.join(", "))
        };
        Err(failed(settings, &what, &offers.notes).into())
    }

    async fn attempt(
        &self,
        handle: &mut Handle<Gate>,
        settings: &Settings,
        offer: &Offer,
    ) -> Result<AuthResult, SignFault> {
        let gone = |_| SignFault::Gone;
        let (user, public) = (settings.user.clone(), offer.public.clone());
        match (&offer.by, offer.certificate.clone()) {
            (By::Key(key), None) => {
                let key = PrivateKeyWithHashAlg::new(Arc::clone(key), None);
                handle.authenticate_publickey(user, key).await.map_err(gone)
            }
            (By::Key(key), Some(certificate)) => {
                handle.authenticate_openssh_cert(user, Arc::clone(key), certificate).await.map_err(gone)
            }
            (By::Locked(_), _) => handle.authenticate_publickey_with(user, public, None, &mut Locked).await,
            (By::Agent, certificate) => {
                let Some(socket) = &settings.agent else { return Err(SignFault::Gone) };
                let hash = rsa_hash(handle, public.algorithm()).await;
                let mut signer = self.agents.signer(socket, handle.agent_session_binding().cloned());
                match certificate {
                    Some(one) => handle.authenticate_certificate_with(user, one, hash, &mut signer).await,
                    None => handle.authenticate_publickey_with(user, public, hash, &mut signer).await,
                }
            }
        }
    }

    /// Key files that the inventory names, then other files that the agent has, then the agent's other keys, then
    /// other files.
    async fn offers(&self, settings: &Settings) -> Result<Offers, LinkError> {
        let mut offers = Offers::default();
        let agent = match &settings.agent {
            None => Vec::new(),
            Some(socket) => self.agents.keys(socket).await.unwrap_or_else(|why| {
                offers.notes.push(why);
                Vec::new()
            }),
        };
        let files = self.files(settings, &mut offers.notes).await?;
        let has = |public: &PublicKey| agent.iter().any(|one| one.public_key().key_data() == public.key_data());
        let (named, other): (Vec<_>, Vec<_>) = files.into_iter().partition(|(identity, _)| identity.named);
        let (in_agent, outside): (Vec<_>, Vec<_>) = other.into_iter().partition(|(_, file)| has(&file.public));
        for (_, file) in named.iter().chain(&in_agent) {
            self.offer_file(&mut offers, settings, file, has(&file.public));
        }
        if !settings.identities_only {
            for identity in &agent {
                offers.add_agent(identity);
            }
        }
        for (_, file) in &outside {
            self.offer_file(&mut offers, settings, file, false);
        }
        Ok(offers)
    }

    async fn files(&self, settings: &Settings, notes: &mut Vec<String>) -> Result<Vec<(Identity, KeyFile)>, LinkError> {
        let mut files = Vec::new();
        for identity in &settings.identities {
            let path = identity.path.display();
            match self.keyring.get(&identity.path).await {
                Ok(Some(file)) => files.push((identity.clone(), file)),
                Ok(None) if identity.named => return Err(unusable(&format!("{path}: there is no such key file"))),
                Ok(None) => {}
                Err(why) if identity.named => return Err(unusable(&format!("{path}: {why}"))),
                Err(why) => notes.push(format!("{path}: {why}")),
            }
        }
        Ok(files)
    }

    fn offer_file(&self, offers: &mut Offers, settings: &Settings, file: &KeyFile, in_agent: bool) {
        let label = short_path(&file.path, &self.setup.home);
        let by = match (&file.private, in_agent, file.locked) {
            (_, true, _) => By::Agent,
            (Some(key), ..) => By::Key(Arc::clone(key)),
            (None, _, true) => By::Locked(file.path.clone()),
            (None, _, false) => {
                let why = if file.public.algorithm().is_rsa() {
                    "RSA keys work through an agent only: ssh-add it"
                } else {
                    "only its public half is here, and no agent has it"
                };
                offers.notes.push(format!("{label}: {why}"));
                return;
            }
        };
        let listed = settings.certificates.iter().filter_map(|path| read_certificate(path).ok().flatten());
        let own = listed.filter(|certificate| certificate.public_key() == file.public.key_data());
        for certificate in file.certificate.clone().into_iter().chain(own) {
            offers.add(format!("{label} with its certificate"), &file.public, Some(certificate), by.clone());
        }
        offers.add(label, &file.public, None, by);
    }
}

impl Offers {
    fn add(&mut self, label: String, public: &PublicKey, certificate: Option<Certificate>, by: By) {
        let same = |offer: &Offer| offer.public.key_data() == public.key_data() && offer.certificate == certificate;
        if !self.list.iter().any(same) {
            self.list.push(Offer { label, public: public.clone(), certificate, by });
        }
    }

    fn add_agent(&mut self, identity: &AgentIdentity) {
        let public = identity.public_key().into_owned();
        let label = format!("the agent's {} {}", public.fingerprint(HashAlg::Sha256), identity.comment());
        let certificate = match identity {
            AgentIdentity::Certificate { certificate, .. } => Some(certificate.clone()),
            AgentIdentity::PublicKey { .. } => None,
        };
        self.add(label.trim_end().to_owned(), &public, certificate, By::Agent);
    }
}

async fn rsa_hash(handle: &Handle<Gate>, algorithm: Algorithm) -> Option<HashAlg> {
    if !algorithm.is_rsa() {
        return None;
    }
    handle.best_supported_rsa_hash().await.ok().flatten().unwrap_or(Some(HashAlg::Sha512))
}

fn unusable(message: &str) -> LinkError {
    LinkError::new(LinkErrorKind::Config, message)
        .hint("correct `identity` in the inventory, or the file's permissions")
}

fn failed(settings: &Settings, what: &str, notes: &[String]) -> LinkError {
    let notes = [&[String::new()], notes].concat().join("; ");
    let (user, at) = (&settings.user, settings.endpoint());
    LinkError::new(LinkErrorKind::Auth, format!("login as {user} at {at}: {what}{notes}")).hint(format!(
        "set `user` and `identity` for {} in the inventory, or put a key into ~{user}/.ssh/authorized_keys there",
        settings.name
    ))
}

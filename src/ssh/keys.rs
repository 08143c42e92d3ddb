//! Private key files: read once, unlocked once, for all hosts of a run.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::keys::{Certificate, PrivateKey, PublicKey, decode_secret_key, ssh_key};
use tokio::sync::Mutex;

use super::error::{LinkError, LinkErrorKind};
use super::settings::Setup;

/// A key file, as far as it can be used now.
#[derive(Debug, Clone)]
pub struct KeyFile {
    /// The file.
    pub path: PathBuf,
    /// Its public half.
    pub public: PublicKey,
    /// Its private half, once unlocked; an agent may have it all the same.
    pub private: Option<Arc<PrivateKey>>,
    /// The certificate beside it.
    pub certificate: Option<Certificate>,
    /// Whether a passphrase would unlock it.
    pub locked: bool,
}

/// The key files of a run.
#[derive(Debug, Default)]
pub struct Keyring {
    files: Mutex<HashMap<PathBuf, Result<Option<KeyFile>, String>>>,
    /// Held while somebody types.
    prompt: Mutex<()>,
}

impl Keyring {
    /// The key at `path`; `None` where there is neither a key nor its public half; else why it can't be used.
    pub async fn get(&self, path: &Path) -> Result<Option<KeyFile>, String> {
        let mut files = self.files.lock().await;
        files.entry(path.to_path_buf()).or_insert_with(|| load(path)).clone()
    }

    /// Unlocks the key at `path`; callers that come meanwhile wait, and find it unlocked.
    pub async fn unlock(&self, path: &Path, setup: &Setup) -> Result<(), LinkError> {
        let _alone = self.prompt.lock().await;
        let fail = |why: String| {
            LinkError::new(LinkErrorKind::Auth, format!("{}: {why}", path.display())).hint(format!(
                "ssh-add {}, or name a file with its passphrase in FLEET_KEY_PASSPHRASE_FILE",
                path.display()
            ))
        };
        let Some(file) = self.get(path).await.map_err(fail)? else { return Err(fail("it is gone".into())) };
        if !file.locked {
            return Ok(());
        }
        let (file, setup) = (path.to_path_buf(), setup.clone());
        let key = tokio::task::spawn_blocking(move || unlock(&file, &setup))
            .await
            .map_err(|error| fail(error.to_string()))?;
        let mut files = self.files.lock().await;
        match (key, files.get_mut(path)) {
            (Ok(key), Some(Ok(Some(file)))) => {
                file.private = Some(Arc::new(key));
                file.locked = false;
                Ok(())
            }
            (Err(why), Some(entry)) => {
                // Nobody is asked again for the same key.
                *entry = Err(why.clone());
                Err(fail(why))
            }
            (Ok(_), _) | (Err(_), None) => Err(fail("it is gone".into())),
        }
    }
}

fn load(path: &Path) -> Result<Option<KeyFile>, String> {
    let beside = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let certificate = read_certificate(&beside("-cert.pub"))?;
    let public = read_public(&beside(".pub"));
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        // The private half may live in an agent, or on a token.
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Ok(public.map(|public| KeyFile {
                path: path.into(),
                public,
                private: None,
                certificate,
                locked: false,
            }));
        }
        Err(error) => return Err(error.to_string()),
    };
    if let Ok(public) = PublicKey::from_openssh(&text) {
        return Ok(Some(KeyFile { path: path.into(), public, private: None, certificate, locked: false }));
    }
    let key = parse(&text, None);
    let (public, private, locked) = match key {
        Ok(key) if key.is_encrypted() => (key.public_key().clone(), None, true),
        Ok(key) if key.algorithm().is_rsa() => (key.public_key().clone(), None, false),
        Ok(key) => (key.public_key().clone(), Some(Arc::new(key)), false),
        Err(Unreadable::Locked) => (
            public.ok_or("it is encrypted, in a format that hides its public half: put its .pub beside it")?,
            None,
            true,
        ),
        Err(Unreadable::Bad(why)) => return Err(why),
    };
    Ok(Some(KeyFile { path: path.into(), public, private, certificate, locked }))
}

fn read_public(path: &Path) -> Option<PublicKey> {
    PublicKey::from_openssh(&std::fs::read_to_string(path).ok()?).ok()
}

/// The certificate at `path`; `None` where there is none.
pub fn read_certificate(path: &Path) -> Result<Option<Certificate>, String> {
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{}: {error}", path.display())),
        Ok(text) => match Certificate::from_openssh(text.trim()) {
            Ok(certificate) => Ok(Some(certificate)),
            Err(error) => Err(format!("{}: {error}", path.display())),
        },
    }
}

enum Unreadable {
    Locked,
    Bad(String),
}

fn parse(text: &str, passphrase: Option<&str>) -> Result<PrivateKey, Unreadable> {
    if text.contains("BEGIN OPENSSH PRIVATE KEY") {
        let key = PrivateKey::from_openssh(text).map_err(|error| Unreadable::Bad(error.to_string()))?;
        return match passphrase {
            Some(passphrase) => key.decrypt(passphrase).map_err(wrong),
            None => Ok(key),
        };
    }
    if passphrase.is_none() && text.contains("BEGIN ENCRYPTED PRIVATE KEY") {
        return Err(Unreadable::Locked);
    }
    decode_secret_key(text, passphrase).map_err(|error| match error {
        russh::keys::Error::KeyIsEncrypted => Unreadable::Locked,
        russh::keys::Error::CouldNotReadKey => Unreadable::Bad("it isn't a private key".into()),
        error if passphrase.is_some() => Unreadable::Bad(format!("the passphrase doesn't fit ({error})")),
        error => Unreadable::Bad(error.to_string()),
    })
}

fn wrong(error: ssh_key::Error) -> Unreadable {
    match error {
        ssh_key::Error::Crypto => Unreadable::Bad("the passphrase doesn't fit".into()),
        error => Unreadable::Bad(error.to_string()),
    }
}

fn unlock(path: &Path, setup: &Setup) -> Result<PrivateKey, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let open = |passphrase: &str| match parse(&text, Some(passphrase)) {
        Ok(key) => Ok(key),
        Err(Unreadable::Bad(why)) => Err(why),
        Err(Unreadable::Locked) => Err("the passphrase doesn't fit".into()),
    };
    if let Some(file) = &setup.passphrase_file {
        let passphrase = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        return open(passphrase.trim_end_matches(['\r', '\n']))
            .map_err(|why| format!("{why}, from {}", file.display()));
    }
    if !setup.ask {
        return Err("it is encrypted, no agent has it, and there is no terminal to ask for its passphrase".into());
    }
    let mut last = String::new();
    for _ in 0..3 {
        let passphrase = rpassword::prompt_password(format!("Passphrase of {}: ", path.display()))
            .map_err(|error| error.to_string())?;
        match open(&passphrase) {
            Ok(key) => return Ok(key),
            Err(why) => last = why,
        }
    }
    Err(last)
}

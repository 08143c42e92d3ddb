//! What a store is kept in: a local directory, or later an object store. Callers see objects by name only.

use std::fs::File;
use std::io;

use async_trait::async_trait;
use tempfile::NamedTempFile;

/// Whether an object of that name may be there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// None may be there: else `AlreadyExists`, and nothing is changed. Of two at once only one wins.
    New,
    /// One that is there is replaced; who reads at the same time reads either the old or the new one, whole.
    Replace,
}

/// An object in a list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Object {
    /// Its name from the root, with `/` between its parts.
    pub name: String,
    /// Bytes.
    pub size: u64,
}

/// Objects by name. An object is whole or isn't there.
#[async_trait]
pub trait Objects: Send + Sync {
    /// Where this is, for people.
    fn place(&self) -> String;

    /// Whether nothing at all is here, or not even the place itself.
    async fn is_empty(&self) -> io::Result<bool>;

    /// A new local file to be filled and then put; it vanishes when it is dropped instead.
    fn stage(&self) -> io::Result<NamedTempFile>;

    /// Puts a file of [`Self::stage`] under its final name. It is durable when this returns.
    async fn put(&self, name: &str, file: NamedTempFile, how: Put) -> io::Result<()>;

    /// A local file with the object's bytes, to be read from its start.
    async fn open(&self, name: &str) -> io::Result<File>;

    /// The size of an object.
    async fn size(&self, name: &str) -> io::Result<u64>;

    /// All objects whose name begins with `under` and a `/`, sorted.
    async fn list(&self, under: &str) -> io::Result<Vec<Object>>;

    /// Removes an object.
    async fn remove(&self, name: &str) -> io::Result<()>;

    /// Gives an object another name; one that has it already is replaced.
    async fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes staged files whose fleet has died.
    async fn sweep(&self) -> io::Result<()>;
}

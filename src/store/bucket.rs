//! A store in a bucket of a service that speaks S3.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::TryStreamExt as _;
use object_store::aws::{AmazonS3Builder, Checksum};
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt as _, PutMode, PutPayload, RetryConfig, WriteMultipart};
use tempfile::NamedTempFile;

use super::objects::{Object, Objects, Put};
use crate::error::{Error, Result};
use crate::model::snapshot::BUCKET;

/// An object of at most so many bytes is put in one request, and then under a condition.
const AT_ONCE: u64 = 16 << 20;
/// A larger one is put in parts of so many bytes, of which so many are under way.
const PART: usize = 8 << 20;
const PARTS: usize = 4;
/// How often, and how long in all, a request is tried again when the service fails.
const TRIES: usize = 4;
const PATIENCE: Duration = Duration::from_secs(60);

/// A bucket, or a folder in one.
pub struct Bucket {
    address: String,
    objects: Arc<dyn ObjectStore>,
}

impl Bucket {
    /// What `s3://BUCKET/FOLDER` names. The service and its keys are told by variables of an environment:
    /// `AWS_ENDPOINT_URL`, `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and the others that `object_store`
    /// knows.
    ///
    /// # Errors
    /// `Usage` for an address that names no bucket, and for variables that can't be meant.
    pub fn at(address: &str, environment: impl Iterator<Item = (String, String)>) -> Result<Self> {
        let wrong = |reason: &str| {
            Error::usage(format!("{address}: {reason}")).hint("name a store like s3://BUCKET or s3://BUCKET/FOLDER")
        };
        let rest = address.strip_prefix(BUCKET).ok_or_else(|| wrong("no address of a bucket"))?;
        let (bucket, folder) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(wrong("it names no bucket"));
        }
        let folder = Path::parse(folder.trim_end_matches('/')).map_err(|error| wrong(&error.to_string()))?;
        let retry = RetryConfig { max_retries: TRIES, retry_timeout: PATIENCE, ..RetryConfig::default() };
        let known = |(name, value): (String, String)| Some((name.to_ascii_lowercase().parse().ok()?, value));
        let of_aws = environment.filter(|(name, _)| name.starts_with("AWS_")).filter_map(known);
        let service = of_aws
            .fold(AmazonS3Builder::new(), |service, (key, value)| service.with_config(key, value))
            .with_bucket_name(bucket)
            .with_checksum_algorithm(Checksum::SHA256)
            .with_retry(retry)
            .build()
            .map_err(|error| wrong(&error.to_string()))?;
        Ok(Self { address: address.to_owned(), objects: Arc::new(PrefixStore::new(service, folder)) })
    }

    async fn put_parts(&self, path: &Path, mut file: File) -> io::Result<()> {
        let upload = self.objects.put_multipart(path).await.map_err(io_error)?;
        let mut write = WriteMultipart::new_with_chunk_size(upload, PART);
        loop {
            let read = tokio::task::spawn_blocking(move || {
                let mut part = Vec::with_capacity(PART);
                (&mut file).take(PART as u64).read_to_end(&mut part).map(|_| (part, file))
            });
            let capacity = write.wait_for_capacity(PARTS).await.map_err(io_error);
            let part = match (read.await.map_err(io::Error::other)?, capacity) {
                (Ok((part, again)), Ok(())) => {
                    file = again;
                    part
                }
                (Err(error), _) | (_, Err(error)) => {
                    // The parts that are there cost room until they are given up.
                    let _ = write.abort().await;
                    return Err(error);
                }
            };
            if part.is_empty() {
                break;
            }
            write.put(part.into());
        }
        write.finish().await.map(drop).map_err(io_error)
    }
}

#[async_trait]
impl Objects for Bucket {
    fn place(&self) -> String {
        self.address.clone()
    }

    async fn is_empty(&self) -> io::Result<bool> {
        self.objects.list(None).try_next().await.map(|first| first.is_none()).map_err(io_error)
    }

    fn stage(&self) -> io::Result<NamedTempFile> {
        NamedTempFile::with_suffix(".partial")
    }

    /// Of two that put a [`Put::New`] object of more than [`AT_ONCE`] bytes at once both may win: what is so large has a
    /// name of its own, a segment by its content, a manifest by its run.
    async fn put(&self, name: &str, file: NamedTempFile, how: Put) -> io::Result<()> {
        let path = path(name)?;
        let mut file = file.reopen()?;
        if file.metadata()?.len() > AT_ONCE {
            if how == Put::New && self.objects.head(&path).await.is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            return self.put_parts(&path, file).await;
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let mode = match how {
            Put::New => PutMode::Create,
            Put::Replace => PutMode::Overwrite,
        };
        self.objects.put_opts(&path, PutPayload::from(bytes), mode.into()).await.map(drop).map_err(io_error)
    }

    async fn open(&self, name: &str) -> io::Result<File> {
        let mut stream = self.objects.get(&path(name)?).await.map_err(io_error)?.into_stream();
        let mut file = tempfile::tempfile()?;
        while let Some(bytes) = stream.try_next().await.map_err(io_error)? {
            file = tokio::task::spawn_blocking(move || file.write_all(&bytes).map(|()| file))
                .await
                .map_err(io::Error::other)??;
        }
        file.rewind()?;
        Ok(file)
    }

    async fn size(&self, name: &str) -> io::Result<u64> {
        self.objects.head(&path(name)?).await.map(|object| object.size).map_err(io_error)
    }

    async fn list(&self, under: &str) -> io::Result<Vec<Object>> {
        let found = self.objects.list(Some(&path(under)?)).map_err(io_error);
        let named = found.map_ok(|object| Object { name: object.location.to_string(), size: object.size });
        let mut all: Vec<Object> = named.try_collect().await?;
        all.sort();
        Ok(all)
    }

    async fn remove(&self, name: &str) -> io::Result<()> {
        self.objects.delete(&path(name)?).await.map_err(io_error)
    }

    async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.objects.rename(&path(from)?, &path(to)?).await.map_err(io_error)
    }

    /// What is staged here vanishes with its fleet; parts of an object that was never finished are for the bucket's own
    /// rule of life.
    async fn sweep(&self) -> io::Result<()> {
        Ok(())
    }
}

fn path(name: &str) -> io::Result<Path> {
    Path::parse(name).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}

fn io_error(error: object_store::Error) -> io::Error {
    use object_store::Error as E;
    let kind = match &error {
        E::NotFound { .. } => io::ErrorKind::NotFound,
        E::AlreadyExists { .. } => io::ErrorKind::AlreadyExists,
        E::PermissionDenied { .. } | E::Unauthenticated { .. } => io::ErrorKind::PermissionDenied,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

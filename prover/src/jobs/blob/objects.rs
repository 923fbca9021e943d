//! Artefacts in object storage that speaks S3.
//!
//! `PREFIX/ab/cdef…` holds what has the digest `abcdef…`. A PUT shows the whole object or nothing, and writing the same content again
//! changes nothing: no locks, no lists, no renames.

use super::{checked, length, BlobError, BlobId, BlobStore, MAX_BLOB};
use object_store::{
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
    path::Path,
    ClientOptions, Error, ObjectStore, ObjectStoreExt, RetryConfig,
};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// Tries after the first, of requests that may succeed later.
const RETRIES: usize = 3;
/// No more tries after this time; callers wait longer if they like.
const RETRY: Duration = Duration::from_secs(20);
/// To a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// To an answer.
const ANSWER: Duration = Duration::from_secs(60);

/// A bucket, or a part of one.
#[derive(Debug)]
pub struct Objects {
    store: Box<dyn ObjectStore>,
    prefix: Path,
    runtime: Runtime,
}

fn storage(error: impl std::fmt::Display) -> BlobError {
    BlobError::Storage(error.to_string())
}

impl Objects {
    /// `s3://BUCKET` or `s3://BUCKET/PREFIX`, with the variables that the tools of AWS read: `AWS_ACCESS_KEY_ID`,
    /// `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION`; `AWS_ENDPOINT_URL` for other providers and `AWS_ALLOW_HTTP=true` for
    /// those without TLS; `AWS_VIRTUAL_HOSTED_STYLE_REQUEST=true` when the bucket is a part of the host's name. Without keys, the
    /// machine's own role is asked for.
    ///
    /// # Errors
    /// [`BlobError::Address`], or [`BlobError::Storage`] when a variable is none. The storage is not asked.
    pub fn s3(address: &str, variables: impl IntoIterator<Item = (String, String)>) -> Result<Self, BlobError> {
        let none = || BlobError::Address(address.to_owned());
        let place = address.strip_prefix("s3://").ok_or_else(none)?;
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        if bucket.is_empty() {
            return Err(none());
        }
        let prefix = Path::parse(prefix).map_err(|_| none())?;
        // Nothing else in this process chooses for TLS; when something has, that is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = AmazonS3Builder::new();
        for (name, value) in variables.into_iter().filter(|(name, _)| name.starts_with("AWS_")) {
            if let Ok(key) = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>() {
                builder = builder.with_config(key, value);
            }
        }
        let allow_http = builder.get_config_value(&AmazonS3ConfigKey::Client(object_store::ClientConfigKey::AllowHttp));
        let options = ClientOptions::new()
            .with_connect_timeout(CONNECT)
            .with_timeout(ANSWER)
            .with_allow_http(allow_http.is_some_and(|value| value == "true"));
        let retry = RetryConfig { max_retries: RETRIES, retry_timeout: RETRY, ..RetryConfig::default() };
        let store =
            builder.with_bucket_name(bucket).with_client_options(options).with_retry(retry).build().map_err(storage)?;
        Self::new(Box::new(store), prefix)
    }

    fn new(store: Box<dyn ObjectStore>, prefix: Path) -> Result<Self, BlobError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("objects")
            .enable_all()
            .build()
            .map_err(|e| storage(format_args!("no thread: {e}")))?;
        Ok(Self { store, prefix, runtime })
    }

    fn path_of(&self, id: BlobId) -> Path {
        let name = id.to_string();
        let (folder, file) = name.split_at(2);
        self.prefix.clone().join(folder).join(file)
    }
}

impl BlobStore for Objects {
    fn put(&self, bytes: &[u8]) -> Result<BlobId, BlobError> {
        length(bytes)?;
        let id = BlobId::of(bytes);
        // Never asks whether it is there: what is damaged is written anew, and one request is less than two.
        self.runtime.block_on(self.store.put(&self.path_of(id), bytes.to_vec().into())).map_err(storage)?;
        Ok(id)
    }

    fn get(&self, id: BlobId) -> Result<Vec<u8>, BlobError> {
        let found = self.runtime.block_on(async {
            let object = self.store.get(&self.path_of(id)).await?;
            let actual = object.meta.size;
            match usize::try_from(actual) {
                Ok(0..=MAX_BLOB) => object.bytes().await.map(Ok),
                _ => Ok(Err(BlobError::TooLong { actual })),
            }
        });
        match found {
            Ok(bytes) => checked(id, bytes?.into()),
            Err(Error::NotFound { .. }) => Err(BlobError::Missing(id)),
            Err(error) => Err(storage(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::memory::InMemory;

    fn memory() -> Objects {
        Objects::new(Box::new(InMemory::new()), Path::from("a/b")).expect("a thread")
    }

    #[test]
    fn keeps_what_it_is_given() {
        let blobs = memory();
        assert!(matches!(blobs.get(BlobId::of(b"x")), Err(BlobError::Missing(_))));
        for bytes in [b"".as_slice(), b"x", &[7; 100_000]] {
            let id = blobs.put(bytes).expect("kept");
            assert_eq!(blobs.get(id).expect("there"), bytes);
            assert_eq!(blobs.put(bytes).expect("there"), id);
            assert!(blobs.path_of(id).as_ref().starts_with("a/b/"), "{}", blobs.path_of(id));
        }
    }

    #[test]
    fn a_damaged_object_is_told_and_written_anew() {
        let blobs = memory();
        let id = blobs.put(b"what was meant").expect("kept");
        let path = blobs.path_of(id);
        let bent = blobs.store.put(&path, b"what was bent".to_vec().into());
        blobs.runtime.block_on(bent).expect("memory");
        let error = blobs.get(id).expect_err("damaged");
        assert!(matches!(error, BlobError::Damaged { expected, .. } if expected == id), "{error}");
        assert_eq!(blobs.put(b"what was meant").expect("kept"), id);
        assert_eq!(blobs.get(id).expect("whole"), b"what was meant");
    }

    #[test]
    fn what_is_no_bucket_is_refused() {
        for address in ["", "s3:", "s3://", "s3:///prefix", "gs://bucket", "s3://bucket/a//b", "s3://bucket/../b"] {
            let error = Objects::s3(address, []).expect_err("no bucket");
            assert!(matches!(&error, BlobError::Address(shown) if shown == address), "{error}");
        }
        for address in ["s3://bucket", "s3://bucket/", "s3://bucket/a/b", "s3://bucket/a/b/"] {
            Objects::s3(address, []).expect("an address");
        }
    }
}

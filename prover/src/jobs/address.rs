//! Where a store is: `--store`.

use super::{
    blob::{BlobError, BlobStore, Directory},
    sqlite::SqliteStore,
    store::{JobStore, StoreError},
};
use std::path::Path;

/// The file of a store in SQLite.
fn file(address: &str) -> Option<&str> {
    let file = match address.split_once(':') {
        Some(("sqlite", file)) => file,
        Some((scheme, rest)) if scheme.len() > 1 && rest.starts_with("//") => return None,
        _ => address,
    };
    Some(file).filter(|file| !file.is_empty())
}

/// Whether an address is one of PostgreSQL.
#[cfg(feature = "postgres")]
fn is_postgres(address: &str) -> bool {
    address.starts_with("postgres://") || address.starts_with("postgresql://")
}

/// An address without what is secret in it.
fn shown(address: &str) -> String {
    match (address.split_once("://"), address.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, place))) => format!("{scheme}://…@{place}"),
        _ => address.to_owned(),
    }
}

/// Opens a store: a SQLite file (`jobs.db` or `sqlite:jobs.db`), which is made when there is none, or a PostgreSQL server
/// (`postgres://USER:PASSWORD@HOST:PORT/DATABASE`).
///
/// # Errors
/// [`StoreError`] when the address is none, or the store cannot be used.
pub fn open(address: &str) -> Result<Box<dyn JobStore>, StoreError> {
    #[cfg(feature = "postgres")]
    if is_postgres(address) {
        return Ok(Box::new(super::postgres::PostgresStore::open(address)?));
    }
    let file = file(address).ok_or_else(|| StoreError::Address(shown(address)))?;
    Ok(Box::new(SqliteStore::open(Path::new(file))?))
}

/// Opens the place of artefacts: a folder, a part of a bucket (`s3://BUCKET/PREFIX`, see `blob::Objects::s3`), or without an address
/// `FILE.blobs` beside the store.
///
/// # Errors
/// [`BlobError`] when there is no such place.
pub fn open_blobs(address: Option<&str>, store: &str) -> Result<Box<dyn BlobStore>, BlobError> {
    #[cfg(feature = "s3")]
    if let Some(address) = address.filter(|address| address.starts_with("s3://")) {
        return Ok(Box::new(super::blob::Objects::s3(address, environment())?));
    }
    let folder = match (address, file(store)) {
        (Some(address), _) if address.is_empty() || address.contains("://") => {
            return Err(BlobError::Address(address.to_owned()))
        }
        (Some(folder), _) => folder.to_owned(),
        (None, Some(file)) => format!("{file}.blobs"),
        (None, None) => return Err(BlobError::NoAddress),
    };
    Ok(Box::new(Directory::new(Path::new(&folder))))
}

/// The variables of the process that are text.
#[cfg(feature = "s3")]
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_address_is_refused() {
        for address in ["", "sqlite:", "mysql://me:secret@localhost/jobs"] {
            let error = open(address).expect_err("no address");
            assert!(matches!(error, StoreError::Address(_)), "{address}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.db");
        for address in [format!("sqlite:{}", path.display()), path.display().to_string()] {
            assert!(open(&address).is_ok(), "{address}");
        }
        assert!(path.exists());
    }
}

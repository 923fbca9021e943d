//! Where a store is: `--store`.

use super::{
    sqlite::SqliteStore,
    store::{JobStore, StoreError},
};
use std::path::Path;

/// Opens a store: a SQLite file (`jobs.db` or `sqlite:jobs.db`), which is made when there is none.
///
/// # Errors
/// [`StoreError`] when the address is none, or the store cannot be used.
pub fn open(address: &str) -> Result<Box<dyn JobStore>, StoreError> {
    let file = match address.split_once(':') {
        Some(("sqlite", file)) => file,
        Some((scheme, rest)) if scheme.len() > 1 && rest.starts_with("//") => {
            return Err(StoreError::Address(address.to_owned()));
        }
        _ => address,
    };
    if file.is_empty() {
        return Err(StoreError::Address(address.to_owned()));
    }
    Ok(Box::new(SqliteStore::open(Path::new(file))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_address_is_refused() {
        for address in ["", "sqlite:", "mysql://localhost/jobs"] {
            assert!(matches!(open(address), Err(StoreError::Address(_))), "{address}");
        }
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.db");
        for address in [format!("sqlite:{}", path.display()), path.display().to_string()] {
            assert!(open(&address).is_ok(), "{address}");
        }
        assert!(path.exists());
    }
}

//! Commitment parameters on disk: derived once, read back only with the pinned digest.
//!
//! The folder is `$ZKONNX_PARAMS`, or `zkonnx/params` in the user's cache folder. A file that was changed is
//! reported and left alone; parameters are derived anew for this run.

use halo2_proofs::poly::commitment::Params;
use pasta_curves::EqAffine;
use std::{
    io::Write,
    path::{Path, PathBuf},
};
use zkonnx_verifier::params::{derive, read, write, ParamsError};

/// Where parameters came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParamsOrigin {
    /// Read from the cache.
    Cached,
    /// Derived, and written to the cache.
    Derived,
    /// Derived; the cache file was refused, for this reason.
    Refused(ParamsError),
    /// Derived; the cache could not be written, for this reason.
    NotWritten(String),
}

/// The folder of cached parameters.
#[must_use]
pub fn folder() -> PathBuf {
    let variable = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    variable("ZKONNX_PARAMS").unwrap_or_else(|| {
        variable("XDG_CACHE_HOME")
            .or_else(|| variable("HOME").map(|home| home.join(".cache")))
            .unwrap_or_else(std::env::temp_dir)
            .join("zkonnx/params")
    })
}

/// Parameters for `k` from `folder`, or derived and written there.
///
/// # Errors
/// [`ParamsError::K`] for a `k` that is not supported; nothing else is an error.
pub fn load(folder: &Path, k: u32) -> Result<(Params<EqAffine>, ParamsOrigin), ParamsError> {
    let path = folder.join(format!("pasta-vesta-k{k}.params"));
    let mut origin = ParamsOrigin::Derived;
    if let Ok(bytes) = std::fs::read(&path) {
        match read(k, &bytes) {
            Ok(params) => return Ok((params, ParamsOrigin::Cached)),
            Err(error) => origin = ParamsOrigin::Refused(error),
        }
    }
    let params = {
        let _span = tracing::info_span!("derive parameters", k).entered();
        derive(k)?
    };
    if origin == ParamsOrigin::Derived {
        if let Err(error) = write_atomically(&path, &write(&params)) {
            origin = ParamsOrigin::NotWritten(error.to_string());
        }
    }
    Ok((params, origin))
}

/// Writes a file whole or not at all: to a temporary file beside it, then renamed.
///
/// # Errors
/// When the folder or the file cannot be written; nothing is left behind then.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let temporary = path.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
    let written = std::fs::File::create(&temporary)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&temporary, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caches_and_refuses_a_changed_file() {
        let folder = std::env::temp_dir().join(format!("zkonnx-params-test-{}", std::process::id()));
        let (first, origin) = load(&folder, 5).expect("parameters");
        assert_eq!(origin, ParamsOrigin::Derived);
        let (second, origin) = load(&folder, 5).expect("parameters");
        assert_eq!(origin, ParamsOrigin::Cached);
        assert_eq!(write(&first), write(&second));
        let path = folder.join("pasta-vesta-k5.params");
        let mut bytes = std::fs::read(&path).expect("the cached file");
        bytes[100] ^= 1;
        std::fs::write(&path, &bytes).expect("a writable file");
        let (third, origin) = load(&folder, 5).expect("parameters");
        assert!(matches!(origin, ParamsOrigin::Refused(ParamsError::Digest { k: 5, .. })));
        assert_eq!(write(&first), write(&third));
        bytes.truncate(50);
        std::fs::write(&path, &bytes).expect("a writable file");
        let (_, origin) = load(&folder, 5).expect("parameters");
        assert!(matches!(origin, ParamsOrigin::Refused(ParamsError::Length { .. })));
        assert!(matches!(load(&folder, 19), Err(ParamsError::K(19))));
        std::fs::remove_dir_all(&folder).expect("a folder of our own");
    }
}

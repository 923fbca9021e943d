//! A folder of artefacts.
//!
//! `ab/cdef…` holds what has the digest `abcdef…`. A file is written and synchronised under `tmp`, renamed, and its folder synchronised.

use super::{checked, length, BlobError, BlobId, BlobStore, MAX_BLOB};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Temporary files of the dead are removed after this time.
const STALE: Duration = Duration::from_secs(24 * 3600);

/// A folder of artefacts.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    counter: AtomicU64,
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> BlobError + '_ {
    move |source| BlobError::File { path: path.to_owned(), source }
}

/// A folder and its entries survive a power cut.
fn sync_folder(path: &Path) -> io::Result<()> {
    // Only Unix can open folders, and only there it is needed.
    if cfg!(unix) {
        File::open(path)?.sync_all()?;
    }
    Ok(())
}

impl Directory {
    /// A folder of artefacts, which is made when it is first written to.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        let this = Self { path: path.to_owned(), counter: AtomicU64::new(0) };
        this.remove_stale();
        this
    }

    /// Where an artefact is, or would be.
    #[must_use]
    pub fn path_of(&self, id: BlobId) -> PathBuf {
        let name = id.to_string();
        let (folder, file) = name.split_at(2);
        self.path.join(folder).join(file)
    }

    fn temporaries(&self) -> PathBuf {
        self.path.join("tmp")
    }

    /// Removes what killed processes have left long ago.
    fn remove_stale(&self) {
        for entry in fs::read_dir(self.temporaries()).into_iter().flatten().flatten() {
            let age = entry.metadata().ok().and_then(|m| m.modified().ok()).and_then(|t| t.elapsed().ok());
            if age.is_some_and(|age| age > STALE) {
                // Another process may have been faster.
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    fn make_folder(&self, path: &Path) -> Result<(), BlobError> {
        if path.is_dir() {
            return Ok(());
        }
        fs::create_dir_all(path).map_err(at(path))?;
        path.ancestors().skip(1).take(2).try_for_each(|parent| match parent.as_os_str().is_empty() {
            true => Ok(()),
            false => sync_folder(parent).map_err(at(parent)),
        })
    }

    /// A file that nobody else has.
    fn temporary(&self) -> Result<(PathBuf, File), BlobError> {
        let folder = self.temporaries();
        self.make_folder(&folder)?;
        loop {
            let number = self.counter.fetch_add(1, Ordering::Relaxed);
            let path = folder.join(format!("{}-{number}", std::process::id()));
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok((path, file)),
                // Of a process of this number that was killed, or of another container.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(source) => return Err(BlobError::File { path, source }),
            }
        }
    }
}

impl BlobStore for Directory {
    fn put(&self, bytes: &[u8]) -> Result<BlobId, BlobError> {
        length(bytes)?;
        let id = BlobId::of(bytes);
        let target = self.path_of(id);
        if target.exists() && self.get(id).is_ok() {
            return Ok(id);
        }
        let folder = target.parent().unwrap_or(&self.path);
        self.make_folder(folder)?;
        let (temporary, mut file) = self.temporary()?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all()).map_err(at(&temporary));
        drop(file);
        let written = written
            .and_then(|()| fs::rename(&temporary, &target).map_err(at(&target)))
            .and_then(|()| sync_folder(folder).map_err(at(folder)));
        if written.is_err() {
            // It is gone when it was renamed.
            let _ = fs::remove_file(&temporary);
        }
        written.map(|()| id)
    }

    fn get(&self, id: BlobId) -> Result<Vec<u8>, BlobError> {
        let path = self.path_of(id);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(BlobError::Missing(id)),
            Err(source) => return Err(BlobError::File { path, source }),
        };
        let actual = file.metadata().map_err(at(&path))?.len();
        let limit = u64::try_from(MAX_BLOB).unwrap_or(u64::MAX);
        if actual > limit {
            return Err(BlobError::TooLong { actual });
        }
        let mut bytes = Vec::new();
        file.take(limit).read_to_end(&mut bytes).map_err(at(&path))?;
        checked(id, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_it_is_given() {
        let folder = tempfile::tempdir().expect("a folder");
        let blobs = Directory::new(&folder.path().join("a/b"));
        assert!(matches!(blobs.get(BlobId::of(b"x")), Err(BlobError::Missing(_))));
        for bytes in [b"".as_slice(), b"x", &[7; 100_000]] {
            let id = blobs.put(bytes).expect("kept");
            assert_eq!(blobs.get(id).expect("there"), bytes);
            assert_eq!(blobs.put(bytes).expect("there"), id);
        }
        assert_eq!(fs::read_dir(blobs.temporaries()).expect("a folder").count(), 0);
    }

    #[test]
    fn a_damaged_file_is_told_and_written_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let blobs = Directory::new(folder.path());
        let id = blobs.put(b"what was meant").expect("kept");
        for damaged in ["what was bent", "", "what was meant, and more"] {
            fs::write(blobs.path_of(id), damaged).expect("a writable file");
            let error = blobs.get(id).expect_err("damaged");
            assert!(matches!(error, BlobError::Damaged { expected, .. } if expected == id), "{error}");
        }
        assert_eq!(blobs.put(b"what was meant").expect("kept"), id);
        assert_eq!(blobs.get(id).expect("whole"), b"what was meant");
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        fs::write(&file, "x").expect("a writable folder");
        let error = Directory::new(&file.join("blobs")).put(b"x").expect_err("no folder");
        assert!(error.to_string().contains("file"), "{error}");
    }

    #[test]
    fn writers_of_one_content_do_not_meet() {
        let folder = tempfile::tempdir().expect("a folder");
        let bytes = vec![3; 50_000];
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let blobs = Directory::new(folder.path());
                    let id = blobs.put(&bytes).expect("kept");
                    assert_eq!(blobs.get(id).expect("whole"), bytes);
                });
            }
        });
        assert_eq!(fs::read_dir(folder.path().join("tmp")).expect("a folder").count(), 0);
    }
}

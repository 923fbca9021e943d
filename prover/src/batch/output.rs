//! The folder of a batch's proofs.
//!
//! A file gets its name when all of it is on the disk: it is written and synchronised in a folder of temporaries, renamed, and the folder synchronised. Whoever
//! is killed leaves temporaries alone, which the next batch removes. A lock, which the system takes back from the dead, keeps a second batch away.

use super::error::BatchError;
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};
use zkonnx_verifier::limits::Limits;

const LOCK: &str = ".zkonnx-batch.lock";
const TEMPORARIES: &str = ".zkonnx-batch.tmp";

/// A folder that is written by this batch alone, until it is dropped.
#[derive(Debug)]
pub struct OutputFolder {
    path: PathBuf,
    _lock: File,
}

impl OutputFolder {
    /// Makes the folder where there is none, locks it, and removes what a killed batch has left.
    ///
    /// # Errors
    /// [`BatchError::Locked`], or [`BatchError::Output`] when nothing can be written.
    pub fn open(path: &Path) -> Result<Self, BatchError> {
        fs::create_dir_all(path).map_err(failed(path))?;
        let lock_path = path.join(LOCK);
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&lock_path);
        let lock = lock.map_err(failed(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(BatchError::Locked(path.to_owned())),
            Err(TryLockError::Error(error)) => return Err(failed(&lock_path)(error)),
        }
        let temporaries = path.join(TEMPORARIES);
        match fs::remove_dir_all(&temporaries) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(&temporaries)(error)),
            _ => fs::create_dir(&temporaries).map_err(failed(&temporaries))?,
        }
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// The path of a file in the folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The bytes of a file, or `None` when there is none. Of a file that is too long for a proof just enough to see that.
    ///
    /// # Errors
    /// When there is something that cannot be read.
    pub fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let limit = u64::try_from(Limits::PROOF_FILE_BYTES).map_err(io::Error::other)?;
        match File::open(self.path(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
            Ok(file) => {
                let mut bytes = Vec::new();
                file.take(limit + 1).read_to_end(&mut bytes)?;
                Ok(Some(bytes))
            }
        }
    }

    /// Writes a file, whole or not at all, in the place of any other of this name. It may be lost in a power cut before [`Self::sync`].
    ///
    /// # Errors
    /// What the operating system says.
    pub fn publish(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let temporary = self.path.join(TEMPORARIES).join(name);
        let written = File::create(&temporary)
            .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&temporary, self.path(name)));
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    /// Makes sure that the names of files are on the disk as well.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn sync(&self) -> io::Result<()> {
        // Elsewhere folders cannot be opened.
        if cfg!(unix) {
            File::open(&self.path)?.sync_all()?;
        }
        Ok(())
    }

    /// Removes a file, if there is one.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.path(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

impl Drop for OutputFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.path.join(TEMPORARIES));
    }
}

/// An error of the folder.
pub(super) fn failed(path: &Path) -> impl Fn(io::Error) -> BatchError + '_ {
    move |source| BatchError::Output { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_batch_at_a_time_and_no_temporaries_stay() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("deep/out");
        let first = OutputFolder::open(&path).expect("a new folder");
        assert!(matches!(OutputFolder::open(&path), Err(BatchError::Locked(_))));
        first.publish("a", b"1").expect("written");
        first.publish("a", b"2").expect("replaced");
        assert_eq!(first.read("a").expect("readable"), Some(b"2".to_vec()));
        assert_eq!(first.read("b").expect("readable"), None);
        fs::create_dir(first.path("c")).expect("a folder");
        assert!(first.read("c").is_err() && first.publish("c", b"").is_err());
        // As if it were killed: the lock goes, the temporaries stay.
        fs::write(path.join(TEMPORARIES).join("half"), b"ha").expect("written");
        let temporaries = path.join(TEMPORARIES);
        let kept = folder.path().join("kept");
        fs::rename(&temporaries, &kept).expect("renamed");
        drop(first);
        fs::rename(&kept, &temporaries).expect("renamed");
        let second = OutputFolder::open(&path).expect("the lock is free");
        assert_eq!(fs::read_dir(&temporaries).expect("a folder").count(), 0);
        second.remove("a").expect("removed");
        second.remove("a").expect("gone already");
        drop(second);
        assert!(!temporaries.exists());
    }
}

//! Standard output and output files.

use super::Failure;
use std::{
    fmt::Arguments,
    fs::File,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// What went wrong with standard output first.
static STDOUT: Mutex<Option<std::io::Error>> = Mutex::new(None);

/// Writes lines to standard output; see [`failure`]. Names in hostile files get no control over the terminal.
pub(super) fn line(text: Arguments<'_>) {
    let text = text.to_string().replace(|c: char| c.is_control() && c != '\n', "\u{fffd}");
    if let Err(error) = writeln!(std::io::stdout(), "{text}") {
        STDOUT.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }
}

/// Why standard output could not be written; a reader that went away is no failure.
pub(super) fn failure() -> Option<std::io::Error> {
    let flushed = std::io::stdout().flush().err();
    let first = STDOUT.lock().unwrap_or_else(PoisonError::into_inner).take();
    first.or(flushed).filter(|error| error.kind() != ErrorKind::BrokenPipe)
}

/// Refuses outputs that cannot be written or would replace an input, before any work is done.
pub(super) fn check(outputs: &[Option<&PathBuf>], inputs: &[Option<&PathBuf>]) -> Result<(), Failure> {
    let inputs: Vec<&PathBuf> = inputs.iter().copied().flatten().collect();
    let outputs: Vec<&PathBuf> = outputs.iter().copied().flatten().collect();
    for (i, output) in outputs.iter().enumerate() {
        if output.is_dir() || output.file_name().is_none() {
            return Err(Failure::at(output, "is a directory").hint("name a file to write"));
        }
        let folder = output.ancestors().skip(1).find(|a| !a.as_os_str().is_empty() && a.exists());
        if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
            return Err(Failure::at(output, format!("cannot be written: {} is no directory", folder.display())));
        }
        let same = |other: &&PathBuf| output == other || is_same_file(output, other);
        if inputs.iter().any(same) {
            return Err(Failure::at(output, "the output would replace an input").hint("choose another name"));
        }
        if outputs[..i].iter().any(same) {
            return Err(Failure::at(output, "two outputs have this name").hint("choose another name"));
        }
    }
    Ok(())
}

fn is_same_file(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// A file that is written, but does not have its name yet; removed unless it gets it.
struct Staged<'a> {
    temporary: PathBuf,
    target: &'a Path,
}

impl<'a> Staged<'a> {
    fn new(target: &'a Path, write: impl FnOnce(&Path) -> Result<(), Failure>) -> Result<Self, Failure> {
        if let Some(folder) = target.parent() {
            std::fs::create_dir_all(folder).map_err(|e| Failure::at(target, e))?;
        }
        // The extension stays: it says the format.
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let staged = Self { temporary: target.with_file_name(format!(".{}.tmp.{name}", std::process::id())), target };
        write(&staged.temporary)?;
        Ok(staged)
    }

    fn publish(self) -> Result<(), Failure> {
        std::fs::rename(&self.temporary, self.target).map_err(|e| Failure::at(self.target, e))
    }
}

impl Drop for Staged<'_> {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.temporary);
    }
}

/// Writes files whole or not at all, and all of them or none.
pub(super) fn write(files: &[(&Path, &[u8])]) -> Result<(), Failure> {
    write_with_secrets(&[], files)
}

/// The same, with files that on Unix nobody but their owner may read, whatever was there before.
pub(super) fn write_with_secrets(secret: &[(&Path, &[u8])], files: &[(&Path, &[u8])]) -> Result<(), Failure> {
    let mut staged = Vec::new();
    for ((path, bytes), is_secret) in secret.iter().map(|f| (f, true)).chain(files.iter().map(|f| (f, false))) {
        staged.push(Staged::new(path, |temporary| {
            let written =
                create(temporary, is_secret).and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
            written.map_err(|e| Failure::at(path, e))
        })?);
    }
    staged.into_iter().try_for_each(Staged::publish)
}

fn create(path: &Path, is_secret: bool) -> std::io::Result<File> {
    if !is_secret {
        return File::create(path);
    }
    // What a process of this number has left would keep its own permissions.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Writes a file whole or not at all with a function that takes a path.
pub(super) fn write_with<E: std::fmt::Display>(
    path: &Path,
    write: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), Failure> {
    let staged = Staged::new(path, |temporary| {
        let named = |e: E| e.to_string().replace(&*temporary.to_string_lossy(), &path.to_string_lossy());
        write(temporary).map_err(|e| Failure::at(path, named(e)))
    });
    staged?.publish()
}

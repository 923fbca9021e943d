//! What was measured on, and with.

use blake2b_simd::Params as Blake2b;
use serde::{Deserialize, Serialize};
use std::{fs, path::Path};
use zkonnx_verifier::json::to_hex;

/// Machine and program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// Name of the processor.
    pub cpu: Option<String>,
    /// Cores that this process may use.
    pub cores: usize,
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Operating system and architecture.
    pub system: String,
    /// Version of this program.
    pub version: String,
    /// BLAKE2b-256 of the program's file: two measurements with one digest are of the same code.
    pub executable: Option<String>,
    /// The commit that the folder of the sources is at now, where there is one: the program may be older.
    pub commit: Option<String>,
    /// Version of the proof system.
    pub halo2_proofs: String,
    /// `release` or `debug`.
    pub profile: String,
}

impl Environment {
    /// Of this process.
    #[must_use]
    pub fn current() -> Self {
        let digest = |bytes: Vec<u8>| to_hex(Blake2b::new().hash_length(32).hash(&bytes).as_bytes());
        Self {
            cpu: line_of("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            memory: line_of("/proc/meminfo", "MemTotal")
                .and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)),
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            version: env!("CARGO_PKG_VERSION").into(),
            executable: std::env::current_exe().ok().and_then(|path| fs::read(path).ok()).map(digest),
            commit: commit(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))),
            halo2_proofs: "0.4.1".into(),
            profile: if cfg!(debug_assertions) { "debug" } else { "release" }.into(),
        }
    }
}

/// What follows the colon on the first line with this name.
fn line_of(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_once(':').map(|(_, value)| value.trim().to_owned())
}

/// The commit that is checked out in a folder, read from git's own files.
fn commit(folder: &Path) -> Option<String> {
    let git = folder.join(".git");
    // A work tree has a file that names its folder.
    let git = match fs::read_to_string(&git) {
        Ok(text) => folder.join(text.strip_prefix("gitdir:")?.trim()),
        Err(_) => git,
    };
    let head = fs::read_to_string(git.join("HEAD")).ok()?;
    let Some(reference) = head.strip_prefix("ref:").map(str::trim) else { return Some(head.trim().to_owned()) };
    let common = fs::read_to_string(git.join("commondir")).map_or(git.clone(), |text| git.join(text.trim()));
    if let Ok(hash) = fs::read_to_string(common.join(reference)) {
        return Some(hash.trim().to_owned());
    }
    let packed = fs::read_to_string(common.join("packed-refs")).ok()?;
    packed.lines().find_map(|line| line.strip_suffix(reference)?.strip_suffix(' ').map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_commit_of_plain_packed_detached_and_linked_folders() {
        let folder = tempfile::tempdir().expect("there");
        let path = |name: &str| folder.path().join(name);
        let write = |name: &str, text: &str| {
            fs::create_dir_all(path(name).parent().expect("there")).expect("there");
            fs::write(path(name), text).expect("there");
        };
        assert_eq!(commit(folder.path()), None);
        write("a/.git/HEAD", "ref: refs/heads/main\n");
        assert_eq!(commit(&path("a")), None);
        write("a/.git/packed-refs", "# pack\n123abc refs/heads/main\n");
        assert_eq!(commit(&path("a")), Some("123abc".into()));
        write("a/.git/refs/heads/main", "456def\n");
        assert_eq!(commit(&path("a")), Some("456def".into()));
        write("a/.git/worktrees/b/HEAD", "ref: refs/heads/main\n");
        write("a/.git/worktrees/b/commondir", "../..\n");
        write("b/.git", &format!("gitdir: {}\n", path("a/.git/worktrees/b").display()));
        assert_eq!(commit(&path("b")), Some("456def".into()));
        write("b/.git", "nothing");
        assert_eq!(commit(&path("b")), None);
        write("c/.git/HEAD", "789aaa\n");
        assert_eq!(commit(&path("c")), Some("789aaa".into()));
    }
}

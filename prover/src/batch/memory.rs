//! How much memory there is.

use std::{fs::read_to_string, path::Path};

/// Bytes that this process can still take: what the system has left, or the control group, whichever is less. `None` where nobody says.
#[must_use]
pub fn available() -> Option<u64> {
    let system = read_to_string("/proc/meminfo").ok().and_then(|text| mem_available(&text));
    [system, group_left(Path::new("/sys/fs/cgroup"))].into_iter().flatten().min()
}

fn mem_available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find(|line| line.starts_with("MemAvailable:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok()?.checked_mul(1024)
}

/// What is left of the limit of a control group, version 2; files of the page cache are taken for used.
fn group_left(folder: &Path) -> Option<u64> {
    let number = |name: &str| read_to_string(folder.join(name)).ok()?.trim().parse::<u64>().ok();
    Some(number("memory.max")?.saturating_sub(number("memory.current")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_linux_says() {
        assert_eq!(mem_available("MemTotal:  9 kB\nMemAvailable:   3 kB\n"), Some(3072));
        assert_eq!(mem_available("MemTotal:  9 kB\n"), None);
        let folder = tempfile::tempdir().expect("a temporary folder");
        assert_eq!(group_left(folder.path()), None);
        std::fs::write(folder.path().join("memory.current"), "100\n").expect("written");
        std::fs::write(folder.path().join("memory.max"), "max\n").expect("written");
        assert_eq!(group_left(folder.path()), None);
        std::fs::write(folder.path().join("memory.max"), "150\n").expect("written");
        assert_eq!(group_left(folder.path()), Some(50));
    }
}

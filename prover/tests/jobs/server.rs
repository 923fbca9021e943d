//! A PostgreSQL server of the tests' own: on a free port, in a temporary folder, until the last test is done with it.

use postgres::{Client, NoTls};
use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        atomic::{AtomicUsize, Ordering},
        Arc, Mutex, Weak,
    },
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// A server that runs.
#[derive(Debug)]
pub(crate) struct Server {
    folder: TempDir,
    binaries: PathBuf,
    port: u16,
    child: Mutex<Option<Child>>,
}

/// Where the server's programs are; without them tests are skipped, unless `ZKONNX_REQUIRE_POSTGRES` is set.
fn binaries() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = debian.map(|entry| entry.path().join("bin")).collect();
    folders.sort();
    folders.extend(std::env::split_paths(&path));
    let found = folders.into_iter().rev().find(|folder| folder.join("initdb").exists());
    if found.is_none() {
        assert!(std::env::var_os("ZKONNX_REQUIRE_POSTGRES").is_none(), "no PostgreSQL: install the package postgresql");
        eprintln!("skipped: there is no PostgreSQL; install the package postgresql");
    }
    found
}

/// Who runs the server: it refuses to be root.
fn user() -> Option<&'static str> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let is_root = status.lines().any(|line| line.starts_with("Uid:\t0\t"));
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let known =
        ["postgres", "nobody"].into_iter().find(|user| users.lines().any(|l| l.starts_with(&format!("{user}:"))));
    known.filter(|_| is_root)
}

/// A command of the server's user.
fn command(program: &Path) -> Command {
    match user() {
        None => Command::new(program),
        Some(user) => {
            let mut command = Command::new("runuser");
            command.args(["-u", user, "--"]).arg(program);
            command
        }
    }
}

impl Server {
    /// The server that all tests share, each in a database of its own.
    pub(crate) fn shared() -> Option<Arc<Self>> {
        static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap();
        if let Some(server) = shared.upgrade() {
            return Some(server);
        }
        let server = Arc::new(Self::new()?);
        *shared = Arc::downgrade(&server);
        Some(server)
    }

    /// A server of its own.
    pub(crate) fn new() -> Option<Self> {
        let binaries = binaries()?;
        let folder = tempfile::tempdir().unwrap();
        if let Some(user) = user() {
            assert!(Command::new("chown").arg(user).arg(folder.path()).status().unwrap().success());
        }
        let initialised = command(&binaries.join("initdb"))
            .args(["-D", "data", "-A", "trust", "-U", "zkonnx", "--no-sync", "-E", "UTF8", "--locale", "C"])
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(initialised.status.success(), "{initialised:?}");
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Self { folder, binaries, port, child: Mutex::new(None) };
        server.start();
        Some(server)
    }

    /// Starts it, and waits until it answers.
    pub(crate) fn start(&self) {
        // It ends with standard input, so also when this process is killed.
        let script = "\"$0\" \"$@\" & server=$!; cat > /dev/null; kill -INT $server; wait $server";
        let child = command(Path::new("sh"))
            .args(["-c", script])
            .arg(self.binaries.join("postgres"))
            .args(["-D", "data", "-p", &self.port.to_string(), "-h", "127.0.0.1", "-k", ""])
            .args(["-c", "fsync=off", "-c", "max_connections=200"])
            .current_dir(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        *self.child.lock().unwrap() = Some(child);
        let started = Instant::now();
        while Client::connect(&self.address("postgres"), NoTls).is_err() {
            assert!(started.elapsed() < Duration::from_secs(60), "PostgreSQL does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Stops it: transactions are cut.
    pub(crate) fn stop(&self) {
        if let Some(mut child) = self.child.lock().unwrap().take() {
            drop(child.stdin.take());
            child.wait().unwrap();
        }
    }

    pub(crate) fn address(&self, database: &str) -> String {
        format!("postgres://zkonnx@127.0.0.1:{}/{database}", self.port)
    }

    /// Runs statements in a database.
    pub(crate) fn run(&self, database: &str, sql: &str) {
        Client::connect(&self.address(database), NoTls).unwrap().batch_execute(sql).unwrap();
    }

    /// The address of a new database.
    pub(crate) fn database(&self) -> String {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let name = format!("jobs_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        self.run("postgres", &format!("CREATE DATABASE {name}"));
        name
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

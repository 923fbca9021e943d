//! The command line, run as a program: what it writes and prints, and how it ends.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used)]

mod batch;
mod batch_groups;
mod committed;
mod files;
mod flow;
mod inspect;
mod options;
mod points;
mod quantize;
mod receipts;
mod refusals;
#[cfg(feature = "report")]
mod report;

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};
use zkonnx_quantize::data::{read_npz, write_outputs, NamedTensor};

/// How a run has ended.
#[derive(Debug)]
struct Ended {
    #[allow(dead_code)] // shown when a test fails
    command: String,
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ended {
    /// Exit code 0.
    #[track_caller]
    fn done(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self
    }

    /// Exit code 0, and the JSON on standard output.
    #[track_caller]
    fn json(self) -> serde_json::Value {
        let out = self.done().out;
        serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}"))
    }

    /// Exit code 1, with the reason on standard output.
    #[track_caller]
    fn rejected(self, reason: &str) {
        assert_eq!(self.code, Some(1), "{self:#?}");
        assert!(self.out.starts_with("REJECTED") && self.out.contains(reason), "{self:#?}");
        assert!(!self.err.contains("panicked"), "{self:#?}");
    }

    /// Exit code 2 with an error of one line that contains all of these, and nothing on standard output.
    #[track_caller]
    fn refused(self, parts: &[&str]) {
        assert_eq!(self.code, Some(2), "{self:#?}");
        assert_eq!(self.out, "", "{self:#?}");
        let error: Vec<&str> = self.err.lines().filter(|line| !line.starts_with("warning: ")).collect();
        let [error] = error.as_slice() else { panic!("not one line: {self:#?}") };
        assert!(error.starts_with("error: "), "{self:#?}");
        for part in parts {
            assert!(error.contains(part), "no '{part}' in {self:#?}");
        }
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zkonnx"));
    command.args(arguments).env("ZKONNX_PARAMS", params_folder()).stdin(Stdio::null());
    command
}

fn finish(mut command: Command) -> Ended {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended {
        command: format!("{command:?}"),
        code: output.status.code(),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

fn zkonnx(arguments: &[&str]) -> Ended {
    finish(command(arguments))
}

/// Shared by all tests and kept between runs: parameters are the same for everyone.
fn params_folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("params")
}

/// A directory of its own for a test, removed at the end.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("cli-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    /// The path of a file in the directory.
    fn path(&self, name: &str) -> String {
        self.0.join(name).into_os_string().into_string().unwrap()
    }

    /// Writes a file.
    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// The names of all files.
    fn list(&self) -> Vec<String> {
        let mut names: Vec<String> =
            std::fs::read_dir(&self.0).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A file of `tests`.
fn fixture(name: &str) -> String {
    format!("{}/../tests/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A held-out image as a model takes it.
fn image(shape: &[usize], index: usize) -> NamedTensor {
    let arrays = read_npz(Path::new(&fixture("models/mnist_heldout.npz"))).unwrap();
    let images = arrays.iter().find(|a| a.name == "images").unwrap();
    let data = images.data[index * 784..(index + 1) * 784].iter().map(|v| v / 255.0).collect();
    NamedTensor { name: "image".into(), shape: shape.to_vec(), data }
}

/// Some held-out images in one file, with NaN in those that are named.
fn images(path: &str, indices: &[usize], nan: &[usize]) {
    let mut data: Vec<f64> = indices.iter().flat_map(|index| image(&[784], *index).data).collect();
    nan.iter().for_each(|sample| data[sample * 784 + 5] = f64::NAN);
    write(path, &[NamedTensor { name: "image".into(), shape: vec![indices.len(), 784], data }]);
}

fn write(path: &str, tensors: &[NamedTensor]) {
    write_outputs(Path::new(path), tensors).unwrap();
}

/// An MLP with a proof, made once.
struct Mlp {
    dir: Dir,
    zkq: String,
    zkv: String,
    input: String,
    proof: String,
}

fn mlp() -> &'static Mlp {
    static MLP: OnceLock<Mlp> = OnceLock::new();
    MLP.get_or_init(|| {
        let dir = Dir(Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli-mlp"));
        std::fs::create_dir_all(&dir.0).unwrap();
        let (zkq, zkv, input, proof) = (dir.path("m.zkq"), dir.path("m.zkv"), dir.path("x.npy"), dir.path("m.proof"));
        let calibration = fixture("models/mlp_calibration.npz");
        zkonnx(&["quantize", &fixture("models/mlp.onnx"), "-o", &zkq, "--calibrate", &calibration]).done();
        write(&input, &[image(&[1, 784], 0)]);
        zkonnx(&["prove", &zkq, "--input", &input, "-o", &proof]).done();
        Mlp { dir, zkq, zkv, input, proof }
    })
}

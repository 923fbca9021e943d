//! `verifier.c`, compiled and run against the static and the shared library.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::SystemTime,
};
#[path = "../examples/write_files.rs"]
mod write_files;

/// A folder with models and proofs, and the outputs of the model.
fn files() -> &'static (PathBuf, Vec<i64>) {
    static FILES: OnceLock<(PathBuf, Vec<i64>)> = OnceLock::new();
    FILES.get_or_init(|| {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("c_program");
        fs::create_dir_all(&folder).expect("a folder");
        let outputs = write_files::write(&folder);
        (folder, outputs)
    })
}

/// Where cargo puts the library of this package for its tests.
fn libraries() -> PathBuf {
    env::current_exe().expect("this test").parent().expect("a folder").to_owned()
}

/// The newest file with this extension.
fn library(extension: &str) -> PathBuf {
    let is_ours = |path: &PathBuf| {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        name.starts_with("libzkonnx_verifier_c") && name.ends_with(extension)
    };
    let files = fs::read_dir(libraries()).expect("a folder").map(|entry| entry.expect("a file").path());
    let age = |path: &PathBuf| fs::metadata(path).and_then(|m| m.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    files.filter(is_ours).max_by_key(age).unwrap_or_else(|| panic!("no library {extension}"))
}

/// Compiles a source with everything that a careful caller would turn on.
fn compile(source: &Path, options: &[&str], link: &[&str]) {
    let compiler = env::var("CC").unwrap_or_else(|_| "cc".into());
    let compiled = Command::new(&compiler)
        .args(["-std=c11", "-D_POSIX_C_SOURCE=200809L", "-Wall", "-Wextra", "-Wpedantic", "-Werror"])
        .args(options)
        .arg("-I")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("include"))
        .arg(source)
        .args(link)
        .args(["-lpthread", "-ldl", "-lm"])
        .output()
        .expect("a C compiler");
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
}

fn runs(name: &str, link: &[&str]) {
    let (folder, outputs) = files();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = folder.join(name);
    compile(&root.join("tests/verifier.c"), &["-g", "-o", &program.to_string_lossy()], link);
    // With a name of a tool that runs programs (`valgrind --error-exitcode=9`), it runs this one.
    let tool = env::var("ZKONNX_C_RUNNER").unwrap_or_default();
    let mut words: Vec<&str> = tool.split_whitespace().collect();
    let program = program.to_string_lossy();
    words.push(&program);
    let run = Command::new(words[0]).args(&words[1..]).arg(folder).output().expect("the program");
    let errors = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{}: {errors}", run.status);
    let printed: Vec<i64> =
        String::from_utf8_lossy(&run.stdout).split_whitespace().map(|v| v.parse().expect("an integer")).collect();
    assert_eq!(&printed, outputs);
}

#[cfg(unix)]
#[test]
fn a_c_program_runs_with_the_static_library() {
    runs("with-static", &[&library(".a").to_string_lossy()]);
}

#[cfg(unix)]
#[test]
fn a_c_program_runs_with_the_shared_library() {
    let library = library(if cfg!(target_os = "macos") { ".dylib" } else { ".so" });
    runs("with-shared", &[&library.to_string_lossy(), &format!("-Wl,-rpath,{}", libraries().display())]);
}

#[cfg(unix)]
#[test]
fn the_example_of_the_readme_compiles() {
    let readme = include_str!("../README.md");
    let example = readme.split("```c\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let source = files().0.join("readme.c");
    fs::write(&source, example).expect("a file");
    compile(&source, &["-fsyntax-only"], &[]);
}

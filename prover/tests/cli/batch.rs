//! `zkonnx batch`: what it proves, what it reports, and what it leaves when it is stopped.

use crate::{command, finish, fixture, image, images, mlp, write, zkonnx, Dir, Ended};
use serde_json::Value;
use std::{fs, path::Path, time::Duration};
use zkonnx_prover::batch::{job_id, OutputFolder};
use zkonnx_quantize::data::NamedTensor;
use zkonnx_verifier::{proof_file::ProofFile, statement::Context};

/// Runs a batch of the MLP.
pub(super) fn batch(inputs: &str, out: &str, more: &[&str]) -> Ended {
    zkonnx(&[&["batch", &mlp().zkq, "--inputs", inputs, "-o", out], more].concat())
}

/// The summary in the folder, which standard output has as well.
#[track_caller]
pub(super) fn summary(ended: &Ended, code: i32, out: &str) -> Value {
    assert_eq!(ended.code, Some(code), "{ended:#?}");
    assert!(!ended.err.contains("panicked"), "{ended:#?}");
    let summary = fs::read_to_string(Path::new(out).join("summary.json")).unwrap();
    assert_eq!(ended.out.trim_end(), summary.trim_end());
    serde_json::from_str(&summary).unwrap()
}

pub(super) fn item<'a>(summary: &'a Value, name: &str) -> &'a Value {
    let items = summary["items"].as_array().unwrap();
    items.iter().find(|item| item["name"] == name).unwrap_or_else(|| panic!("no '{name}' in {summary:#}"))
}

#[track_caller]
pub(super) fn totals(summary: &Value, proved: usize, skipped: usize, failed: usize) {
    let totals = &summary["totals"];
    let counts = ["proved", "skipped", "failed"].map(|name| totals[name].as_u64().unwrap());
    assert_eq!(counts, [proved, skipped, failed].map(|n| n as u64), "{summary:#}");
}

/// The names of all proof files; every one verifies, and there is nothing but what a batch writes.
#[track_caller]
pub(super) fn proofs(out: &str) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(out).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| !name.starts_with(".zkonnx-batch.") && name != "summary.json");
    names.sort();
    assert!(names.iter().all(|name| name.ends_with(".proof")), "{names:?}");
    let paths: Vec<String> = names.iter().map(|name| format!("{out}/{name}")).collect();
    if !paths.is_empty() {
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        zkonnx(&[&["verify", "--model", &mlp().zkv], paths.as_slice()].concat()).done();
    }
    names
}

pub(super) fn context(out: &str, name: &str) -> Context {
    let bytes = fs::read(format!("{out}/{name}.proof")).unwrap();
    ProofFile::from_bytes(&bytes).unwrap().statement.context
}

/// The image as a JSON list.
fn list(index: usize) -> String {
    format!("[{:?}]", image(&[784], index).data)
}

#[test]
fn every_bad_file_of_a_folder_is_named_and_the_others_are_proven() {
    let dir = Dir::new("batch-folder");
    let (inputs, out) = (dir.path("in"), dir.path("out"));
    fs::create_dir(&inputs).unwrap();
    let path = |name: &str| format!("{inputs}/{name}");
    write(&path("a.npy"), &[image(&[1, 784], 0)]);
    write(&path("b c.json"), &[image(&[1, 784], 1)]);
    write(&path("d.csv"), &[image(&[1, 784], 2)]);
    write(&path("short.npy"), &[NamedTensor { name: String::new(), shape: vec![1, 3], data: vec![0.0; 3] }]);
    write(&path("other.npz"), &[image(&[1, 784], 1), NamedTensor { name: "mask".into(), ..image(&[1, 784], 1) }]);
    images(&path("nan.npy"), &[0], &[0]);
    images(&path("many.npy"), &[0, 1], &[]);
    fs::write(path("text.npz"), "no archive").unwrap();
    fs::write(path("empty.json"), "").unwrap();
    fs::write(path("far.json"), "{\"image\": [1e999]}").unwrap();
    fs::write(path("readme.txt"), "no input").unwrap();
    fs::create_dir(path("folder.npy")).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("nowhere.npy", path("missing.npy")).unwrap();
    #[cfg(unix)]
    assert!(std::process::Command::new("mkfifo").arg(path("pipe.csv")).status().unwrap().success());

    let ended = batch(&inputs, &out, &["--json", "--jobs", "2"]);
    let summary = summary(&ended, 1, &out);
    let reasons = [
        ("short.npy", "input 'image' has shape [1, 784]; the data has [1, 3]"),
        ("other.npz", "'mask' is no input"),
        ("nan.npy", "NaN is not finite"),
        ("many.npy", "2 samples: one is needed"),
        ("text.npz", "malformed"),
        ("empty.json", "malformed"),
        ("far.json", "malformed"),
        ("folder.npy", "no regular file"),
        #[cfg(unix)]
        ("missing.npy", "No such file"),
        #[cfg(unix)]
        ("pipe.csv", "no regular file"),
    ];
    totals(&summary, 3, 0, reasons.len());
    for (name, reason) in reasons {
        let item = item(&summary, name);
        assert_eq!(item["status"], "failed", "{item:#}");
        assert!(item["reason"].as_str().unwrap().contains(reason), "{item:#}");
        assert!(item["proof"].is_null() && item["statement"].is_null());
    }
    assert_eq!(proofs(&out), ["a.npy.proof", "b c.json.proof", "d.csv.proof"]);
    let good = item(&summary, "a.npy");
    assert_eq!((&good["status"], &good["proof"]), (&"proved".into(), &"a.npy.proof".into()));
    assert!(good["seconds"].as_f64().unwrap() > 0.0 && summary["totals"]["proofs_per_second"].as_f64().unwrap() > 0.0);
    let proof = format!("{out}/a.npy.proof");
    let verified = zkonnx(&["verify", "--model", &mlp().zkv, &proof, "--json"]).json();
    assert_eq!(verified["statement"], good["statement"]);

    // Again, in words: nothing to prove, and still not all is well.
    let ended = batch(&inputs, &out, &[]);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    for part in ["FAILED: nan.npy: ", "skipped: a.npy to d.csv: 3 proven before", "0 proven, 3 skipped", "1 other file"]
    {
        assert!(ended.out.contains(part), "no '{part}' in {ended:#?}");
    }
    assert_eq!(ended.err, "", "no progress where there is no terminal");
}

#[test]
fn lines_have_names_contexts_and_files_and_bad_ones_stop_nothing() {
    let dir = Dir::new("batch-lines");
    let (out, base) = (dir.path("out"), dir.path("context.json"));
    let hex = |digit: &str| digit.repeat(64);
    fs::write(&base, format!(r#"{{"domain": "{}", "job_id": "{}", "nonce": 5}}"#, hex("a"), hex("b"))).unwrap();
    write(&dir.path("x.npy"), &[image(&[1, 784], 3)]);
    let lines = [
        format!(r#"{{"name": "cat", "image": {}}}"#, list(0)),
        String::new(),
        format!(r#"{{"input_data": {}, "context": {{"job_id": "{}", "payee": "{}"}}}}"#, list(1), hex("c"), hex("d")),
        r#"{"name": "filed", "file": "x.npy"}"#.into(),
        r#"{"name": "lost", "file": "y.npy"}"#.into(),
        r#"{"name": "both", "file": "x.npy", "image": [1]}"#.into(),
        format!(r#"{{"name": "cat", "image": {}}}"#, list(2)),
        format!(r#"{{"name": "../up", "image": {}}}"#, list(2)),
        format!(r#"{{"name": "late", "context": {{"not_befor": 3}}, "image": {}}}"#, list(2)),
        r#"{"name": "cut", "image": [0.1, "#.into(),
        "[1, 2]".into(),
        r#"{"name": 7, "image": [1]}"#.into(),
        r#"{"name": "nothing"}"#.into(),
    ];
    let inputs = dir.file("in.jsonl", lines.join("\n"));
    let ended = batch(&inputs, &out, &["--json", "--context", &base]);
    let summary = summary(&ended, 1, &out);
    let reasons = [
        ("lost", "y.npy"),
        ("both", "line 6: inputs beside \"file\""),
        ("line-000007", "the name \"cat\" is that of line 1"),
        ("line-000008", "\"../up\""),
        ("late", "not_befor"),
        ("line-000010", "line 10: EOF"),
        ("line-000011", "line 11: not a JSON object"),
        ("line-000012", "line 12: \"name\" is no text"),
        ("nothing", "no data for input 'image'"),
    ];
    totals(&summary, 3, 0, reasons.len());
    for (name, reason) in reasons {
        assert!(item(&summary, name)["reason"].as_str().unwrap().contains(reason), "{name}: {summary:#}");
    }
    assert_eq!(proofs(&out), ["cat.proof", "filed.proof", "line-000003.proof"]);
    let model = ProofFile::from_bytes(&fs::read(format!("{out}/cat.proof")).unwrap()).unwrap().statement.model_id;
    let expected = Context { domain: [0xaa; 32], nonce: 5, ..Context::default() };
    let derived = |name: &str| Context { job_id: job_id(&[0xbb; 32], &model, name), ..expected };
    assert_eq!(context(&out, "cat"), derived("cat"));
    assert_eq!(context(&out, "filed"), derived("filed"));
    assert_eq!(context(&out, "line-000003"), Context { job_id: [0xcc; 32], payee: [0xdd; 32], ..expected });
}

#[test]
fn a_second_run_proves_what_is_missing_damaged_or_of_something_else() {
    let dir = Dir::new("batch-resume");
    let (inputs, out) = (dir.path("in.npz"), dir.path("out"));
    images(&inputs, &[0, 1, 2, 3, 4, 5], &[4]);
    let first = summary(&batch(&inputs, &out, &["--json"]), 1, &out);
    totals(&first, 5, 0, 1);
    assert!(item(&first, "sample-000004")["reason"].as_str().unwrap().contains("sample 4, element 5"), "{first:#}");
    assert_eq!(proofs(&out).len(), 5);
    let path = |sample: usize| format!("{out}/sample-{sample:06}.proof");
    let good = fs::read(path(0)).unwrap();

    // Deleted; cut; a bit of the proof flipped, which only shows when it is verified.
    fs::remove_file(path(1)).unwrap();
    fs::write(path(2), &good[..good.len() / 2]).unwrap();
    let mut bytes = fs::read(path(3)).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(path(3), bytes).unwrap();
    fs::copy(path(0), path(5)).unwrap();
    let second = summary(&batch(&inputs, &out, &["--json"]), 1, &out);
    totals(&second, 4, 1, 1);
    let replaced = |sample: usize| item(&second, &format!("sample-{sample:06}"))["replaced"].clone();
    assert!(replaced(1).is_null() && replaced(2).as_str().unwrap().contains("malformed"), "{second:#}");
    assert!(replaced(3).is_string() && replaced(5) == "it is of other inputs", "{second:#}");
    assert_eq!(item(&second, "sample-000000")["status"], "skipped");
    assert_eq!(item(&second, "sample-000000")["statement"], item(&first, "sample-000000")["statement"]);
    assert_eq!(fs::read(path(0)).unwrap(), good, "what is skipped is not touched");
    assert_eq!(proofs(&out).len(), 5);

    // All is there; then another context, and a folder in the place of a file.
    images(&inputs, &[0, 1], &[]);
    totals(&summary(&batch(&inputs, &out, &["--json"]), 0, &out), 0, 2, 0);
    fs::remove_file(path(1)).unwrap();
    fs::create_dir(path(1)).unwrap();
    let base = dir.file("context.json", r#"{"nonce": 1}"#);
    let third = summary(&batch(&inputs, &out, &["--json", "--context", &base]), 1, &out);
    totals(&third, 1, 0, 1);
    assert_eq!(item(&third, "sample-000000")["replaced"], "it is of another context");
    assert!(item(&third, "sample-000001")["reason"].as_str().unwrap().contains("sample-000001.proof"), "{third:#}");
}

#[test]
fn values_out_of_range_are_clamped_and_counted_or_refused() {
    let dir = Dir::new("batch-range");
    let (inputs, out) = (dir.path("in.npy"), dir.path("out"));
    let mut far = image(&[1, 784], 0);
    far.data[0] = 1e9;
    write(&inputs, &[far]);
    let ended = batch(&inputs, &out, &["--strict-range", "--json"]);
    let refused = summary(&ended, 1, &out);
    assert!(refused["items"][0]["reason"].as_str().unwrap().contains("1 of 784 values lie outside"), "{refused:#}");
    let clamped = summary(&batch(&inputs, &out, &["--json"]), 0, &out);
    assert_eq!(clamped["totals"]["clamped"], 1);
}

#[test]
#[cfg(unix)]
fn whoever_kills_it_finds_whole_proofs_and_loses_none() {
    let dir = Dir::new("batch-kill");
    let (inputs, out) = (dir.path("in.npz"), dir.path("out"));
    images(&inputs, &(0..20).collect::<Vec<_>>(), &[]);
    fs::create_dir(&out).unwrap();
    // What a killed batch leaves at worst.
    fs::create_dir(format!("{out}/.zkonnx-batch.tmp")).unwrap();
    fs::write(format!("{out}/.zkonnx-batch.tmp/sample-000000.proof"), "half").unwrap();
    let mut before: Vec<String> = Vec::new();
    for milliseconds in [50, 900, 1700, 400, 2300] {
        let mut running = command(&["batch", &mlp().zkq, "--inputs", &inputs, "-o", &out, "--json"]).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(milliseconds));
        running.kill().unwrap();
        running.wait().unwrap();
        let now = proofs(&out);
        assert!(before.iter().all(|name| now.contains(name)), "{before:?} {now:?}");
        before = now;
    }
    let ended = summary(&batch(&inputs, &out, &["--json"]), 0, &out);
    totals(&ended, 20 - before.len(), before.len(), 0);
    assert_eq!(proofs(&out).len(), 20);
    assert!(!Path::new(&out).join(".zkonnx-batch.tmp").exists());
}

/// A limit on the size of files stands in for a full disk: both end in an error of `write`.
#[test]
#[cfg(unix)]
fn a_full_disk_ends_the_batch_and_leaves_no_half_file() {
    let dir = Dir::new("batch-full");
    let (inputs, out) = (dir.path("in.npz"), dir.path("out"));
    images(&inputs, &[0, 1], &[]);
    let mut shell = std::process::Command::new("bash");
    shell.args(["-c", "trap '' XFSZ; ulimit -f 1; exec \"$@\"", "bash", env!("CARGO_BIN_EXE_zkonnx"), "batch"]);
    shell.args([&mlp().zkq, "--inputs", &inputs, "-o", &out]);
    shell.env("ZKONNX_PARAMS", crate::params_folder());
    finish(shell).refused(&["sample-00000", "hint", "run it again"]);
    assert!(proofs(&out).is_empty());
    totals(&summary(&batch(&inputs, &out, &["--json"]), 0, &out), 2, 0, 0);
}

#[test]
fn what_cannot_run_is_refused() {
    let (mlp, dir) = (mlp(), Dir::new("batch-refused"));
    let (inputs, out) = (dir.path("in.npz"), dir.path("out"));
    images(&inputs, &[0], &[]);
    let locked = OutputFolder::open(Path::new(&out)).unwrap();
    batch(&inputs, &out, &[]).refused(&[&out, "another batch", "hint"]);
    drop(locked);
    let empty = dir.path("empty");
    fs::create_dir(&empty).unwrap();
    batch(&empty, &out, &[]).refused(&[&empty, "no inputs", "hint"]);
    batch(&empty, &empty, &[]).refused(&["one folder"]);
    batch(&dir.path("nothing"), &out, &[]).refused(&["nothing", "hint"]);
    batch(&dir.path("nothing.jsonl"), &out, &[]).refused(&["nothing.jsonl", "hint"]);
    batch(&dir.file("blank.jsonl", "\n\n"), &out, &[]).refused(&["blank.jsonl", "no inputs"]);
    batch(&fixture("models/mlp_calibration.npz"), &dir.file("file", ""), &[]).refused(&["file"]);
    write(&dir.path("short.npy"), &[NamedTensor { name: String::new(), shape: vec![2, 3], data: vec![0.0; 6] }]);
    batch(&dir.path("short.npy"), &out, &[]).refused(&["'image'", "[2, 3]"]);
    zkonnx(&["batch", &mlp.zkv, "--inputs", &inputs, "-o", &out]).refused(&["m.zkv", "hint"]);
    assert_eq!(batch(&inputs, &out, &["--jobs", "0"]).code, Some(2));
    // Folders that nobody can write to, root neither.
    if cfg!(target_os = "linux") {
        batch(&inputs, "/proc/out", &[]).refused(&["/proc/out"]);
        batch(&inputs, "/proc/self", &[]).refused(&["/proc/self"]);
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let read_only = dir.path("read-only");
        fs::create_dir(&read_only).unwrap();
        fs::set_permissions(&read_only, fs::Permissions::from_mode(0o555)).unwrap();
        // Root may write all the same.
        if fs::write(format!("{read_only}/probe"), "").is_err() {
            batch(&inputs, &read_only, &[]).refused(&["read-only"]);
        }
        fs::set_permissions(&read_only, fs::Permissions::from_mode(0o755)).unwrap();
    }
    assert!(proofs(&out).is_empty());
}

//! The committed header is the one that the sources give.

use std::{env, fs, path::PathBuf};
use zkonnx_verifier_c::ZkonnxCode;

fn generated() -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("a configuration");
    let mut builder = cbindgen::Builder::new().with_config(config);
    // The order of the header. `wasm.rs` is not part of it.
    for file in ["code", "message", "models", "expected", "proofs", "batch", "tensors"] {
        builder = builder.with_src(root.join(format!("src/{file}.rs")));
    }
    let mut header = Vec::new();
    builder.generate().expect("bindings").write(&mut header);
    String::from_utf8(header).expect("text")
}

#[test]
fn the_committed_header_is_that_of_the_sources() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("include/zkonnx.h");
    let header = generated();
    if env::var_os("ZKONNX_WRITE_HEADER").is_some() {
        fs::write(&path, &header).expect("a writable header");
    }
    let committed = fs::read_to_string(&path).expect("a header");
    assert_eq!(committed, header, "run with ZKONNX_WRITE_HEADER=1, and raise the interface's version");
    let codes = header.lines().filter(|l| l.trim_start().starts_with("ZKONNX_CODE_")).count();
    assert_eq!(codes, ZkonnxCode::ALL.len());
}

#[test]
fn every_function_of_the_sources_is_in_the_header() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let header = generated();
    let mut functions = 0;
    for entry in fs::read_dir(root.join("src")).expect("sources") {
        let path = entry.expect("a file").path();
        if path.ends_with("wasm.rs") {
            continue;
        }
        let source = fs::read_to_string(&path).expect("a source");
        for line in source.lines().filter(|l| l.contains("extern \"C\" fn ")) {
            let name = line.split("fn ").nth(1).and_then(|rest| rest.split('(').next()).expect("a name");
            assert!(header.contains(&format!("{name}(")), "{name} is not in the header");
            functions += 1;
        }
    }
    assert!(functions > 10, "{functions} functions");
}

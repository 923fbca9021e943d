//! Files of suite 2, frozen: models, statements, proofs and receipts that were made once must verify for ever.
//!
//! `cargo test --release -p zkonnx-tests --test golden_files -- --ignored` writes the files of cases that have none yet; those that are there are
//! never written again. A release that changes a format adds files of its own beside these. Of an earlier suite, which nothing reads any more, one
//! case is left: its files are refused by name.

use std::path::{Path, PathBuf};
use zkonnx_circuits::lower::{Mode, Modes};
use zkonnx_prover::{
    deviation::Honest,
    keys::{verifier_model, ProverModel},
    prove::{prove_committed, prove_weights},
};
use zkonnx_quantize::{graph::Interval, model::QuantizedModel};
use zkonnx_tests::{
    graphs::{self, GraphBuilder},
    setup::{both_ways, params},
};
use zkonnx_verifier::{
    commitment::Opening,
    error::VerifyError,
    proof_file::ProofFile,
    receipt::{Receipt, StorageReference},
    registry::{ModelHandle, Registry, WeightStatus},
    statement::{Context, Statement},
    verify::verify,
    zkv::VerifierModel,
};

/// Name, model, modes of inputs and outputs, what is known of the weights.
fn cases() -> [(&'static str, QuantizedModel, Mode, Mode, WeightStatus); 5] {
    use Mode::{Committed, Hidden, Public};
    let private = graphs::with_private_weights(graphs::mlp((6, 4, 3), 5, 4, 1));
    let [_, halo2] = both_ways(&graphs::softmax_like(7, 5, 7));
    [
        ("public", graphs::mlp((10, 6, 3), 6, 4, 1), Public, Public, WeightStatus::Unchecked),
        ("hidden", graphs::softmax_like(7, 5, 7), Hidden, Public, WeightStatus::Unchecked),
        ("committed", graphs::elementwise(300, Interval::new(-8, 7), 8), Committed, Committed, WeightStatus::Unchecked),
        ("private", private, Public, Public, WeightStatus::RangeProven),
        ("halo2", halo2, Hidden, Public, WeightStatus::Unchecked),
    ]
}

/// The folder of a case, or of an earlier suite.
fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name)
}

fn read(name: &str, file: &str) -> Vec<u8> {
    let path = folder(name).join(file);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn register(zkv: &[u8], k: u8) -> ModelHandle {
    let mut registry = Registry::new();
    registry.insert_params(params(k));
    registry.register(zkv).expect("a model of this suite")
}

#[test]
fn files_of_suite_two_verify() {
    for (name, model, input, output, weights) in cases() {
        let handle = register(&read(name, "model.zkv"), model.layout.k);
        assert_eq!(handle.weight_status(), weights, "{name}");
        let statement = Statement::from_bytes(&read(name, "statement")).expect("a statement");
        assert_eq!(statement.to_bytes(), read(name, "statement"), "{name}");
        assert_eq!(statement.modes(), Modes { inputs: vec![input], outputs: vec![output] });
        let file = ProofFile::from_bytes(&read(name, "proof")).expect("a proof file");
        assert_eq!((file.statement.clone(), file.to_bytes()), (statement.clone(), read(name, "proof")), "{name}");
        let verified = verify(&handle, &file.statement, &file.proof, Some(1)).expect(name);
        assert_eq!(verified.statement_digest(), statement.digest());
        let receipt = Receipt::from_bytes(&read(name, "receipt")).expect("a receipt");
        assert_eq!(receipt.to_bytes(), read(name, "receipt"), "{name}");
        assert_eq!(Receipt::from_json(&read(name, "receipt.json")).expect("JSON"), receipt, "{name}");
        assert_eq!(receipt.to_json().expect("JSON").as_bytes(), read(name, "receipt.json"), "{name}");
        assert_eq!(receipt.verify(&handle, Some(1)).expect("a receipt"), verified, "{name}");
        if input == Mode::Committed {
            let codec = zkonnx_quantize::model::codec();
            let (openings, _): (Vec<Opening>, usize) =
                bincode::decode_from_slice(&read(name, "openings"), codec).expect("openings");
            for (entry, opening) in statement.inputs.iter().chain(&statement.outputs).zip(&openings) {
                opening.open(entry, &params(8)).expect("its opening");
            }
            assert_eq!(openings.len(), 2);
        }
    }
}

#[test]
fn the_same_models_are_still_the_same() {
    // The model's identity is a function of its graph, layout and weights.
    for (name, model, ..) in cases() {
        let params = params(model.layout.k);
        let modes = Modes::public(&model.graph);
        let prover = ProverModel::new(model, modes, params).expect("a model");
        let handle = register(&read(name, "model.zkv"), prover.model.layout.k);
        assert_eq!(prover.id, handle.id(), "{name}");
    }
}

#[test]
fn other_versions_are_refused_by_name() {
    for (name, ..) in cases() {
        // After the magic of eight bytes stand the versions, two bytes each.
        for (at, what) in [(8, "format"), (10, "suite"), (12, "semantics")] {
            let newer = |file: &str| {
                let mut bytes = read(name, file);
                assert_eq!(bytes[at..at + 2], [if what == "suite" { 2 } else { 1 }, 0], "{name}/{file}: {what}");
                bytes[at] = 7;
                bytes
            };
            let said = |error: String, file: &str| {
                assert!(error.contains(&format!("{what} version 7")), "{name}/{file}: {error}");
            };
            said(Registry::new().register(&newer("model.zkv")).expect_err("a new model").to_string(), "model.zkv");
            said(Receipt::from_bytes(&newer("receipt")).expect_err("a new receipt").to_string(), "receipt");
            said(ProofFile::from_bytes(&newer("proof")).expect_err("a new proof").to_string(), "proof");
        }
    }
}

/// Suite 1 is over: no file of it is read, and each says which suite it is of.
#[test]
fn files_of_an_earlier_suite_are_refused_by_name() {
    let old = |file: &str| read("suite1", file);
    let by_name = |error: String| assert!(error.contains("suite version 1 is unknown"), "{error}");
    by_name(Registry::new().register(&old("model.zkv")).expect_err("a model").to_string());
    by_name(VerifierModel::from_bytes(&old("model.zkv")).expect_err("a model").to_string());
    by_name(ProofFile::from_bytes(&old("proof")).expect_err("a proof").to_string());
    by_name(Receipt::from_bytes(&old("receipt")).expect_err("a receipt").to_string());
    by_name(Receipt::from_json(&old("receipt.json")).expect_err("a receipt").to_string());
    // A statement is read without its versions: they are said when it is verified.
    let statement = Statement::from_bytes(&old("statement")).expect("a statement");
    assert_eq!(statement.suite, 1);
    let (_, model, ..) = cases().into_iter().next().expect("a case");
    let handle = register(&read("public", "model.zkv"), model.layout.k);
    let statement = Statement { model_id: handle.id(), ..statement };
    let refused = verify(&handle, &statement, &[], None).expect_err("a statement of another suite");
    assert!(matches!(refused, VerifyError::WrongVersion { what: "suite", expected: 2, actual: 1 }), "{refused}");
}

#[test]
#[ignore = "writes files that are missing"]
fn write_missing_files() {
    for (name, model, input, output, weights) in cases() {
        if folder(name).exists() {
            continue;
        }
        let params = params(model.layout.k);
        let modes = Modes { inputs: vec![input], outputs: vec![output] };
        let prover = ProverModel::new(model.clone(), modes, params.clone()).expect("a model");
        let mut file = verifier_model(&prover.model, &prover.columns);
        if weights == WeightStatus::RangeProven {
            let registering = ProverModel::for_registration(model, params).expect("a model");
            file.registration = prove_weights(&registering, &mut Honest).expect("a proof");
        }
        let context =
            Context { domain: [1; 32], job_id: [2; 32], nonce: 3, requester: [4; 32], payee: [5; 32], not_after: 6 };
        let inputs = GraphBuilder::random_inputs(&prover.model, 2);
        let proven = prove_committed(&prover, &inputs, &[], context).expect("a proof");
        let handle = register(&file.to_bytes(), prover.model.layout.k);
        let mut receipt = Receipt::new(&handle, proven.statement.clone(), proven.proof.clone()).expect("a receipt");
        receipt.storage =
            Some(StorageReference { uri: "file:///golden".into(), digest: [7; 32], length: 8, expires: 9 });
        let proof = ProofFile { statement: proven.statement.clone(), proof: proven.proof };
        std::fs::create_dir_all(folder(name)).expect("a folder");
        let write = |file: &str, bytes: &[u8]| std::fs::write(folder(name).join(file), bytes).expect("a file");
        write("model.zkv", &file.to_bytes());
        write("statement", &proven.statement.to_bytes());
        write("proof", &proof.to_bytes());
        write("receipt", &receipt.to_bytes());
        write("receipt.json", receipt.to_json().expect("JSON").as_bytes());
        if !proven.openings.is_empty() {
            let codec = zkonnx_quantize::model::codec();
            write("openings", &bincode::encode_to_vec(&proven.openings, codec).expect("bytes"));
        }
    }
}

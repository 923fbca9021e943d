//! Every check of the verifier is needed: without it, a forgery is accepted that it stops.

use rayon::prelude::*;
use std::{path::Path, process::Command};
use zkonnx_prover::deviation::Honest;
use zkonnx_tests::{
    forgeries::{forgeries, strict, without, Attempt, Stopped, REDUNDANT},
    graphs,
    lies::Case,
};
use zkonnx_verifier::{
    checks::Check, error::VerifyError, proof_file::ProofFile, receipt::Receipt, statement::SUITE, verify::verify,
    zkv::VerifierModel,
};

#[test]
fn every_check_is_in_the_table() {
    for (i, check) in Check::ALL.into_iter().enumerate() {
        assert_eq!(check as usize, i, "in order");
        assert_eq!(format!("{check:?}"), format!("{:?}", zkonnx_weakened_verifier::checks::Check::ALL[i]));
    }
    let mut found: Vec<Check> = forgeries().iter().map(|f| f.check).chain(REDUNDANT.map(|r| r.0)).collect();
    found.sort_unstable();
    assert_eq!(found, Check::ALL);
}

#[test]
fn every_forgery_is_rejected_where_it_should_be_and_accepted_without_its_check() {
    forgeries().par_iter().for_each(|forgery| {
        let (check, lie, attempt) = (forgery.check, forgery.lie, &forgery.attempt);
        assert_eq!(strict(attempt), Err(forgery.step.to_owned()), "{check:?}: {lie}");
        assert_eq!(without(&[], attempt), Err(forgery.step.to_owned()), "{check:?}: {lie}");
        let partners = match forgery.stopped {
            Stopped::Alone => &[],
            Stopped::With(others) => {
                without(&[check], attempt).expect_err("stopped by others too");
                others
            }
        };
        let lacking = [&[check], partners].concat();
        assert_eq!(without(&lacking, attempt), Ok(()), "{check:?}: {lie}");
        // And by no other check: without any other one it is rejected all the same. All that is wrong with a proof
        // shows in the two final equations; what is wrong with a statement is found before the proof is looked at.
        let equations = [Check::Halo2, Check::Linear];
        let is_of_proof = |check: Check| check >= Check::Length;
        if let Attempt::Proof { .. } = attempt {
            for other in Check::ALL
                .into_iter()
                .filter(|other| !lacking.contains(other) && !equations.contains(other))
                .filter(|other| is_of_proof(*other) || !is_of_proof(check))
            {
                assert!(without(&[other], attempt).is_err(), "{check:?}: {lie}, without {other:?}");
            }
        }
    });
}

/// What was proven with the first proof system is refused by its number, before anything else of it is looked at.
#[test]
fn files_of_another_suite_are_refused_by_name() {
    let case = Case::public(graphs::mlp((3, 2, 2), 5, 4, 1), 1);
    let proof = case.prove(&case.statement, &mut Honest);
    assert_eq!(SUITE, 2);
    let mut statement = case.statement.clone();
    statement.suite = 1;
    let error = verify(&case.sides.handle, &statement, &proof, None).expect_err("another suite");
    assert_eq!(error, VerifyError::WrongVersion { what: "suite", expected: 2, actual: 1 });
    // Files say it in their first bytes: a magic number, then format, suite and semantics.
    let file = ProofFile { statement: case.statement.clone(), proof: proof.clone() }.to_bytes();
    let receipt = Receipt::new(&case.sides.handle, case.statement.clone(), proof).expect("a circuit").to_bytes();
    let older = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        assert_eq!(bytes[10..12], [2, 0]);
        bytes[10] = 1;
        bytes
    };
    let decoded: [Result<(), String>; 3] = [
        ProofFile::from_bytes(&older(&file)).map(|_| ()).map_err(|e| e.to_string()),
        Receipt::from_bytes(&older(&receipt)).map(|_| ()).map_err(|e| e.to_string()),
        VerifierModel::from_bytes(&older(&case.sides.prover.zkv)).map(|_| ()).map_err(|e| e.to_string()),
    ];
    for error in decoded.map(|decoded| decoded.expect_err("another suite")) {
        assert!(error.contains("suite") && error.contains('1') && error.contains('2'), "{error}");
    }
}

/// The switch is in no other package: not in the manifests, and it would not compile.
#[test]
fn no_release_can_be_weakened() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    for package in ["quantize", "circuits", "verifier", "prover", "benches"] {
        let manifest = std::fs::read_to_string(root.join(package).join("Cargo.toml")).expect("a manifest");
        assert!(!manifest.contains("weakened"), "{package}");
        assert!(!root.join(package).join("build.rs").exists(), "{package} sets no cfg");
    }
    let compile = |package: &str, weakened: bool| {
        let mut rustc = Command::new(std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into()));
        rustc.args(["--edition=2021", "--crate-type=lib", "--crate-name=checks", "--emit=metadata", "-o"]);
        rustc.arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{package}-{weakened}.rmeta")));
        rustc.arg(root.join("verifier/src/checks.rs")).env("CARGO_PKG_NAME", package);
        if weakened {
            rustc.args(["--cfg", "weakened_verifier"]);
        }
        let output = rustc.output().expect("rustc");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert!(compile("zkonnx-verifier", false).0);
    assert!(compile("zkonnx-weakened-verifier", true).0, "the tests' own package");
    for package in ["zkonnx-verifier", "zkonnx-weakened-verifie", "zkonnx-weakened-verifier2", "x"] {
        let (compiles, errors) = compile(package, true);
        assert!(!compiles && errors.contains("no package but the tests' can be weakened"), "{package}: {errors}");
    }
}

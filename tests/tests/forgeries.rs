//! Every check of the verifier is needed: without it, a forgery is accepted that it stops.

use rayon::prelude::*;
use std::{path::Path, process::Command};
use zkonnx_tests::forgeries::{forgeries, strict, without, Attempt, Stopped, REDUNDANT};
use zkonnx_verifier::checks::Check;

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

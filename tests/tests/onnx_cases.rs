//! ONNX's own operator cases; `tests/onnx_cases/dump.py` writes them to the directory that `ZKONNX_ONNX_CASES` names.
//! Without it these tests do nothing, and say so; with `CI` or `ZKONNX_REQUIRE_ONNX_CASES` they fail then.
#![cfg(feature = "onnx")]

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use rayon::prelude::*;
use std::{
    collections::{BTreeMap, VecDeque},
    io::Write,
    path::{Path, PathBuf},
    sync::OnceLock,
};
use zkonnx_prover::prove::prove;
use zkonnx_tests::{
    onnx_cases::{
        run::Quantised,
        run_all,
        table::{count, document},
        Case, Index, Outcome, Report,
    },
    setup::{params, Sides},
};
use zkonnx_verifier::{statement::Context, verify::verify};

/// The version that the numbers below and `docs/operators.md` are about.
const ONNX: &str = "1.23.2";
const DIRECT: usize = 1404;
const FLOAT32: usize = 674;
/// How many of the float32 cases pass at least. It only ever grows.
const FLOAT32_PASSED: usize = 628;
/// How many passing cases are proven in every run.
const SAMPLE: usize = 72;
/// Sampled cases are predicted to take no longer than this to prove, in seconds.
const MAX_SECONDS: f64 = 1.0;

struct Run {
    index: &'static Index,
    reports: Vec<Report<'static>>,
}

impl Run {
    /// The cases that passed, in integers.
    fn passed(&self) -> impl Iterator<Item = (&Case, &Quantised)> {
        let passed = self.reports.iter().filter(|report| matches!(report.outcome, Outcome::Passed { .. }));
        passed.map(|report| (report.case, report.quantised.as_ref().expect("a model")))
    }
}

/// Paths are relative to the root of the checkout.
fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Everything, run once; `None`, said on the terminal, where there are no cases.
fn all() -> Option<&'static Run> {
    static RUN: OnceLock<Option<Run>> = OnceLock::new();
    RUN.get_or_init(|| {
        let set = |name| std::env::var(name).is_ok_and(|value| !["", "0", "false"].contains(&value.as_str()));
        let Some(root) = std::env::var_os("ZKONNX_ONNX_CASES").filter(|root| !root.is_empty()) else {
            let why = "ZKONNX_ONNX_CASES names no directory with ONNX's operator cases (see tests/onnx_cases/dump.py)";
            assert!(!set("CI") && !set("ZKONNX_REQUIRE_ONNX_CASES"), "{why}");
            // Past the harness, which keeps to itself what passing tests print.
            let _ = writeln!(std::io::stderr(), "\nNOTHING IS TESTED HERE: {why}");
            return None;
        };
        static INDEX: OnceLock<Index> = OnceLock::new();
        let index = INDEX.get_or_init(|| Index::load(&checkout().join(root)));
        assert_eq!(index.onnx, ONNX);
        assert_eq!(index.cases.iter().filter(|case| case.direct).count(), DIRECT);
        assert_eq!(index.cases.iter().filter(|case| case.is_float32()).count(), FLOAT32);
        Some(Run { index, reports: run_all(index.cases.iter().filter(|case| case.not_tensors.is_empty())) })
    })
    .as_ref()
}

fn list<'a>(lines: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    lines.into_iter().map(|(name, what)| format!("\n  {name}: {what}")).collect()
}

#[test]
fn no_case_has_a_wrong_answer() {
    let Some(run) = all() else { return };
    let wrong = run.reports.iter().filter_map(|report| match &report.outcome {
        Outcome::Wrong { detail, .. } => Some((report.case.name.as_str(), detail.as_str())),
        _ => None,
    });
    let wrong: Vec<_> = wrong.collect();
    assert!(wrong.is_empty(), "{} wrong cases:{}", wrong.len(), list(wrong));
}

#[test]
fn enough_cases_pass() {
    let Some(run) = all() else { return };
    let passed = count(run.reports.iter().filter(|report| report.case.is_float32())).passed;
    assert!(passed >= FLOAT32_PASSED, "{passed} of {FLOAT32} float32 cases pass, {FLOAT32_PASSED} did");
}

#[test]
fn the_table_of_operators_is_true() {
    let Some(run) = all() else { return };
    let committed = std::fs::read_to_string(checkout().join("docs/operators.md")).expect("docs/operators.md");
    let actual = document(run.index, &run.reports);
    let different = committed.lines().zip(actual.lines()).find(|(committed, actual)| committed != actual);
    assert!(committed == actual, "docs/operators.md is not what its header's commands write; first: {different:#?}");
}

fn is_proven(case: &Quantised) -> Result<(), String> {
    let sides = Sides::new(case.model.clone());
    let (statement, proof) = prove(&sides.prover, &case.inputs, Context::default()).map_err(|e| e.to_string())?;
    if proof.len() != sides.prover.keys.proof_length {
        return Err(format!("a proof of {} bytes", proof.len()));
    }
    verify(&sides.handle, &statement, &proof, None).map(|_| ()).map_err(|e| e.to_string())
}

fn are_proven(cases: &[(&Case, &Quantised)]) {
    // Deriving parameters takes all threads, so not while they prove.
    for (_, quantised) in cases {
        let _ = params(quantised.model.layout.k);
    }
    let problem = |(case, quantised): &(&Case, &Quantised)| Some((case.name.clone(), is_proven(quantised).err()?));
    let problems: Vec<(String, String)> = cases.par_iter().filter_map(problem).collect();
    assert!(problems.is_empty(), "{} of {} cases are not proven: {problems:#?}", problems.len(), cases.len());
}

#[test]
fn a_sample_of_the_passing_cases_is_proven() {
    let Some(run) = all() else { return };
    let mut rng = ChaCha20Rng::seed_from_u64(0);
    let mut operators: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for (case, quantised) in run.passed().filter(|(case, _)| case.direct) {
        if quantised.cost.is_some_and(|cost| cost.seconds <= MAX_SECONDS) {
            operators.entry(case.operator()).or_default().push((case, quantised));
        }
    }
    // One of each operator, then another of each, until there are enough.
    let mut queue: VecDeque<_> = operators.into_values().collect();
    queue.make_contiguous().sort_by_cached_key(|_| rng.next_u64());
    let mut sample = Vec::new();
    while sample.len() < SAMPLE {
        let mut cases = queue.pop_front().expect("enough cases pass");
        let at = usize::try_from(rng.next_u64() % cases.len() as u64).expect("an index");
        sample.push(cases.swap_remove(at));
        if !cases.is_empty() {
            queue.push_back(cases);
        }
    }
    are_proven(&sample);
}

#[test]
#[ignore = "slow: proves every case that passes"]
fn every_passing_case_is_proven() {
    let Some(run) = all() else { return };
    are_proven(&run.passed().collect::<Vec<_>>());
}

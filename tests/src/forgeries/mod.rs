//! Forgeries: for every check of the verifier, something false that only this check stops.
//!
//! Each is made by a prover without any honest check, and says how it is stopped ([`Stopped`]). The verifier's own sources
//! without the check (`zkonnx-weakened-verifier`) must accept it; where nothing false is accepted without a check, the
//! table says why, and why the check is there all the same.

pub mod cells;
mod files;
pub mod forger;
pub mod gates;
mod judge;
mod proofs;
mod statements;

pub use judge::{strict, without};

use crate::{graphs, lies::Case};
use std::sync::OnceLock;
use zkonnx_prover::deviation::{Deviation, Honest};
use zkonnx_quantize::{
    integers::Integers,
    model::{Gates, QuantizedModel},
};
use zkonnx_verifier::{
    checks::Check,
    error::Step,
    proof_file::ProofFile,
    statement::{Statement, TensorEntry, TensorValue},
};

/// Both ways of proving gates.
pub const WAYS: [Gates; 2] = [Gates::Relations, Gates::Halo2];

/// What every challenge is for a verifier that does not draw it.
pub const KNOWN: u64 = 7;

/// What is shown to a verifier.
#[derive(Clone, Debug)]
pub enum Attempt {
    /// A proof file for a registered model, at a time.
    Proof {
        /// `model.zkv`.
        zkv: Vec<u8>,
        /// The proof file.
        file: Vec<u8>,
        /// The caller's time.
        now: Option<u64>,
    },
    /// Proof files for one model, in one batch.
    Batch {
        /// `model.zkv`.
        zkv: Vec<u8>,
        /// The proof files.
        files: Vec<Vec<u8>>,
    },
    /// A receipt.
    Receipt {
        /// `model.zkv`.
        zkv: Vec<u8>,
        /// The receipt.
        receipt: Vec<u8>,
    },
    /// A model.
    Register {
        /// `model.zkv`.
        zkv: Vec<u8>,
    },
    /// A model, with weights that are said to be its own.
    Recompute {
        /// `model.zkv`.
        zkv: Vec<u8>,
        /// The weights.
        weights: Vec<Integers>,
    },
    /// Cached parameters.
    Params {
        /// The size.
        k: u32,
        /// The bytes.
        bytes: Vec<u8>,
    },
}

/// How a forgery gets past a verifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// By this check alone.
    Alone,
    /// By this check, and if it were not there by these.
    With(&'static [Check]),
}

/// A forgery against a check.
#[derive(Debug)]
pub struct Forgery {
    /// The check.
    pub check: Check,
    /// What is false.
    pub lie: &'static str,
    /// Where the verifier says no.
    pub step: &'static str,
    /// Whether other checks stop it too.
    pub stopped: Stopped,
    /// The forgery.
    pub attempt: Attempt,
}

/// Checks without which nothing false is accepted, and why they are there.
pub const REDUNDANT: [(Check, &str); 2] = [
    (Check::Count, "lowering refuses modes of another number; here the error says it before anything is compiled"),
    (Check::NonZero, "a challenge is zero with probability 2^-254; without the check it would be a division by zero"),
];

/// The model with its gates proven in another way.
#[must_use]
pub fn with_gates(mut model: QuantizedModel, gates: Gates) -> QuantizedModel {
    model.layout.gates = gates;
    model
}

/// A proof file for a case's model.
#[must_use]
pub fn proof_of(case: &Case, statement: &Statement, proof: Vec<u8>) -> Attempt {
    let file = ProofFile { statement: statement.clone(), proof };
    Attempt::Proof { zkv: case.sides.prover.zkv.clone(), file: file.to_bytes(), now: None }
}

fn lie(case: &Case, statement: &Statement, deviation: &mut dyn Deviation) -> Attempt {
    proof_of(case, statement, case.prove(statement, deviation))
}

/// Two layers: the second contraction goes through the sumcheck, both sides hidden.
fn mlp() -> Case {
    mlp_with(Gates::Relations)
}

/// The same with its gates proven in one of the two ways.
fn mlp_with(gates: Gates) -> Case {
    let case = Case::public(with_gates(graphs::mlp((10, 6, 3), 6, 4, 1), gates), 2);
    case.is_sound();
    case
}

fn edited(case: &Case, edit: impl FnOnce(&mut Statement)) -> Attempt {
    let mut statement = case.statement.clone();
    edit(&mut statement);
    lie(case, &statement, &mut Honest)
}

fn values(entry: &TensorEntry) -> Vec<i64> {
    match &entry.value {
        TensorValue::Public(integers) => integers.to_vec(),
        other => panic!("a public tensor, not {other:?}"),
    }
}

/// A verifier that lacks the checks accepts, the real one does not.
///
/// # Panics
/// When this is not so.
pub fn accepted_only_without(checks: &[Check], attempt: &Attempt, step: Step, lie: &str) {
    assert_eq!(strict(attempt), Err(step.to_string()), "{lie}");
    assert_eq!(without(&[], attempt), Err(step.to_string()), "{lie}");
    assert_eq!(without(checks, attempt), Ok(()), "{lie}, without {checks:?}");
}

/// All forgeries, made once.
#[must_use]
pub fn forgeries() -> &'static [Forgery] {
    static ALL: OnceLock<Vec<Forgery>> = OnceLock::new();
    ALL.get_or_init(|| {
        [files::against_files(), statements::against_statements(), proofs::against_proofs()]
            .into_iter()
            .flatten()
            .collect()
    })
}

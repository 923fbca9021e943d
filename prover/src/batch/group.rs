//! Proving a few items: where inferences become proof files.

use super::error::ItemError;
use crate::{keys::ProverModel, prove::prove};
use std::{
    panic::{catch_unwind, AssertUnwindSafe},
    time::Instant,
};
use zkonnx_circuits::lower::Mode;
use zkonnx_verifier::{
    proof_file::ProofFile,
    registry::ModelHandle,
    statement::{Context, Statement},
};

/// What every proof of a batch is made and verified with.
#[derive(Debug)]
pub struct Keys {
    /// The prover's.
    pub prover: ProverModel,
    /// The verifier's.
    pub handle: ModelHandle,
}

/// An item that is ready to be proven.
#[derive(Clone, Debug)]
pub struct Inference {
    /// Its place among the items.
    pub index: usize,
    /// Its name.
    pub name: String,
    /// Integers of all inputs.
    pub inputs: Vec<Vec<i64>>,
    /// Its context.
    pub context: Context,
    /// Values that were clamped to the declared range.
    pub clamped: usize,
    /// Why a file that is there is not its proof.
    pub replaces: Option<String>,
}

/// A proof file that is not verified and not written yet.
#[derive(Debug)]
pub struct Proven {
    /// What it proves.
    pub inference: Inference,
    /// Its content.
    pub file: ProofFile,
    /// Seconds that it took; `None` when it was there before.
    pub seconds: Option<f64>,
}

/// What came of proving an item.
#[derive(Debug)]
pub struct Attempt {
    /// The item.
    pub inference: Inference,
    /// The content of its file.
    pub made: Result<ProofFile, ItemError>,
    /// Seconds that it took.
    pub seconds: f64,
}

impl Inference {
    /// Name of the file with its proof.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}.proof", self.name)
    }

    /// Whether a statement is about this model and these inputs in this context; if not, why. Nothing is verified.
    ///
    /// # Errors
    /// What is different.
    pub fn is_stated(&self, keys: &Keys, statement: &Statement) -> Result<(), &'static str> {
        let graph = &keys.prover.model.graph;
        let modes = &keys.prover.keys.compiled.modes;
        let expected = Statement::new(graph, modes, keys.prover.id, (&self.inputs, &[]), self.context);
        let hidden = modes.inputs.iter().any(|mode| *mode != Mode::Public);
        match statement {
            s if s.model_id != expected.model_id => Err("it is of another model"),
            s if s.inputs != expected.inputs || hidden => Err("it is of other inputs"),
            s if s.context != expected.context => Err("it is of another context"),
            _ => Ok(()),
        }
    }
}

/// Proves the items of a group on the threads of the caller's pool.
#[must_use]
pub fn prove_group(keys: &Keys, group: Vec<Inference>) -> Vec<Attempt> {
    group.into_iter().map(|inference| prove_one(keys, inference)).collect()
}

fn prove_one(keys: &Keys, inference: Inference) -> Attempt {
    let started = Instant::now();
    // One bad item must not take the others with it, whatever is wrong with it.
    let proven = catch_unwind(AssertUnwindSafe(|| prove(&keys.prover, &inference.inputs, inference.context)));
    let made = match proven {
        Ok(Ok((statement, proof))) => Ok(ProofFile { statement, proof }),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(ItemError::Panicked),
    };
    Attempt { inference, made, seconds: started.elapsed().as_secs_f64() }
}

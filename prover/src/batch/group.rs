//! Proving a few items: where inferences become proof files.

use super::{error::ItemError, keys::Keys};
use crate::prove::prove;
use std::{
    panic::{catch_unwind, AssertUnwindSafe},
    sync::Arc,
    time::Instant,
};
use zkonnx_circuits::lower::Mode;
use zkonnx_verifier::{
    proof_file::ProofFile,
    statement::{Context, Statement},
};

/// An item that is ready to be proven.
#[derive(Clone, Debug)]
pub struct Inference {
    /// Its place among the items.
    pub index: usize,
    /// Its name.
    pub name: String,
    /// Integers of all inputs.
    pub inputs: Vec<Vec<i64>>,
    /// Its context, where it is proven alone.
    pub context: Context,
    /// Whether it has a context of its own: then it is proven alone.
    pub is_single: bool,
    /// Values that were clamped to the declared range.
    pub clamped: usize,
}

/// A member of a group: what is said of it in the end.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its place among the items.
    pub index: usize,
    /// Its name.
    pub name: String,
    /// Values that were clamped to the declared range.
    pub clamped: usize,
}

/// What becomes one proof: one item, or several.
#[derive(Clone, Debug)]
pub struct Group {
    /// The name of the proof.
    pub name: String,
    /// The items, in the order in which they stand along the first axis of inputs and outputs.
    pub members: Vec<Member>,
    /// Integers of all inputs, one member after another.
    pub inputs: Vec<Vec<i64>>,
    /// The context.
    pub context: Context,
    /// Keys for that many.
    pub keys: Arc<Keys>,
    /// Why a file that is there is not its proof.
    pub replaces: Option<String>,
}

/// A proof file that is not verified and not written yet.
#[derive(Debug)]
pub struct Proven {
    /// What it proves.
    pub group: Group,
    /// Its content.
    pub file: ProofFile,
    /// Seconds that it took; `None` when it was there before.
    pub seconds: Option<f64>,
}

impl Group {
    /// A group of some items, with keys for that many. A single item keeps its name and context, and several get others.
    #[must_use]
    pub fn new(keys: Arc<Keys>, items: Vec<Inference>, (name, context): (String, Context)) -> Self {
        let (name, context) = match items.as_slice() {
            [single] => (single.name.clone(), single.context),
            _ => (name, context),
        };
        let mut inputs: Vec<Vec<i64>> = vec![Vec::new(); keys.prover.model.graph.inputs.len()];
        let mut members = Vec::new();
        for Inference { index, name, inputs: own, clamped, .. } in items {
            inputs.iter_mut().zip(own).for_each(|(all, own)| all.extend(own));
            members.push(Member { index, name, clamped });
        }
        Self { name, members, inputs, context, keys, replaces: None }
    }

    /// Name of the file with its proof.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}.proof", self.name)
    }

    /// Whether a statement is about this model and these inputs in this context; if not, why. Nothing is verified.
    ///
    /// # Errors
    /// What is different.
    pub fn is_stated(&self, statement: &Statement) -> Result<(), &'static str> {
        let prover = &self.keys.prover;
        let modes = &prover.keys.compiled.modes;
        let expected = Statement::new(&prover.model.graph, modes, prover.id, (&self.inputs, &[]), self.context);
        let hidden = modes.inputs.iter().any(|mode| *mode != Mode::Public);
        match statement {
            s if s.model_id != expected.model_id => Err("it is of another model, or of another number of inferences"),
            s if s.inputs != expected.inputs || hidden => Err("it is of other inputs"),
            s if s.context != expected.context => Err("it is of another context"),
            _ => Ok(()),
        }
    }

    /// Proves it on the threads of the caller's pool; gives the seconds that it took.
    ///
    /// # Errors
    /// [`ItemError`].
    pub fn prove(&self) -> Result<(ProofFile, f64), ItemError> {
        let started = Instant::now();
        // One bad item must not take the others with it, whatever is wrong with it.
        let proven = catch_unwind(AssertUnwindSafe(|| prove(&self.keys.prover, &self.inputs, self.context)));
        let (statement, proof) = proven.map_err(|_| ItemError::Panicked)??;
        Ok((ProofFile { statement, proof }, started.elapsed().as_secs_f64()))
    }
}

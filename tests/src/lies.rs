//! What tests of lying provers share: a case with its honest trace, and lies made of closures.

use crate::{
    debug_verifier::{Fault, Witness},
    graphs::GraphBuilder,
    setup::Sides,
};
use group::Curve;
use pasta_curves::{EqAffine, Fp};
use zkonnx_circuits::{
    compiled::CompiledModel,
    functional::{axis_vectors, relation_weights},
    lower::Modes,
    messages::Challenges,
    params::ParamPlace,
    witness::{assign, Cells},
    words::WordId,
};
use zkonnx_prover::{
    deviation::{Deviation, Honest},
    keys::{verifier_model, ProverModel},
    prove::prove_trace,
};
use zkonnx_quantize::{
    eval::{evaluate, Trace},
    model::QuantizedModel,
};
use zkonnx_verifier::{
    error::{Step, VerifyError},
    statement::{Context, Integers, Statement, TensorEntry, TensorValue},
    verify::{public_values, verify},
};

/// A model with both sides, an honest trace and the true statement.
#[derive(Debug)]
pub struct Case {
    /// Prover and verifier.
    pub sides: Sides,
    /// The honest trace.
    pub trace: Trace,
    /// The true statement.
    pub statement: Statement,
}

impl Case {
    /// A case with random inputs.
    #[must_use]
    pub fn new(model: QuantizedModel, modes: Modes, seed: u64) -> Self {
        let inputs = GraphBuilder::random_inputs(&model, seed);
        Self::with_inputs(model, modes, &inputs)
    }

    /// A case with everything public.
    #[must_use]
    pub fn public(model: QuantizedModel, seed: u64) -> Self {
        let modes = Modes::public(&model.graph);
        Self::new(model, modes, seed)
    }

    /// A case with chosen inputs.
    #[must_use]
    pub fn with_inputs(model: QuantizedModel, modes: Modes, inputs: &[Vec<i64>]) -> Self {
        let sides = Sides::with_modes(model, modes);
        let trace = evaluate(&sides.prover.model, inputs).expect("inputs as declared");
        let statement = Self::statement_of(&sides, &trace);
        Self { sides, trace, statement }
    }

    fn statement_of(sides: &Sides, trace: &Trace) -> Statement {
        let model = &sides.prover;
        let inputs = &trace.tensors[..model.model.graph.inputs.len()];
        let values = (inputs, trace.outputs.as_slice());
        Statement::new(&model.model.graph, &model.keys.compiled.modes, model.id, values, Context::default())
    }

    /// The statement that a false trace claims.
    #[must_use]
    pub fn claim(&self, trace: &Trace) -> Statement {
        Self::statement_of(&self.sides, trace)
    }

    /// The true statement with one public output element changed.
    #[must_use]
    pub fn false_output(&self, output: usize, element: usize, by: i64) -> Statement {
        let mut statement = self.statement.clone();
        let entry = &mut statement.outputs[output];
        let TensorValue::Public(values) = &entry.value else { panic!("a public output") };
        let mut values = values.to_vec();
        values[element] += by;
        *entry = TensorEntry::new(&entry.name, &entry.shape, TensorValue::Public(Integers::new(&values)));
        statement
    }

    /// The compiled model.
    #[must_use]
    pub fn model(&self) -> &CompiledModel {
        &self.sides.prover.keys.compiled
    }

    /// The honest cells.
    #[must_use]
    pub fn cells(&self) -> Cells {
        assign(self.model(), &self.trace)
    }

    /// Proves the statement from the honest trace with a deviation.
    #[must_use]
    pub fn prove(&self, statement: &Statement, deviation: &mut dyn Deviation) -> Vec<u8> {
        prove_trace(&self.sides.prover, &self.trace, statement, deviation).expect("a proof, if a wrong one")
    }

    /// The honest proof is accepted: no test below is about something else.
    pub fn is_sound(&self) {
        let proof = self.prove(&self.statement, &mut Honest);
        verify(&self.sides.handle, &self.statement, &proof, None).expect("the honest proof is accepted");
    }

    /// The step that rejects a proof.
    ///
    /// # Panics
    /// When the proof is accepted, or not even looked at.
    #[must_use]
    pub fn rejected_at(&self, statement: &Statement, proof: &[u8]) -> Step {
        rejected_at(&self.sides, statement, proof)
    }

    /// Proves the true statement with other cells, and gives the step that rejects it.
    #[must_use]
    pub fn rejects_cells(&self, lie: impl FnMut(&CompiledModel, &mut Cells)) -> Step {
        let proof = self.prove(&self.statement, &mut CellLie(lie));
        self.rejected_at(&self.statement, &proof)
    }
}

/// The step that rejects a proof.
///
/// # Panics
/// When the proof is accepted, or not even looked at.
#[must_use]
pub fn rejected_at(sides: &Sides, statement: &Statement, proof: &[u8]) -> Step {
    match verify(&sides.handle, statement, proof, None) {
        Err(VerifyError::Rejected { step, .. }) => step,
        other => panic!("expected a rejection, got {other:?}"),
    }
}

/// Changes the cells.
pub struct CellLie<F>(pub F);

impl<F> std::fmt::Debug for CellLie<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CellLie")
    }
}

impl<F: FnMut(&CompiledModel, &mut Cells)> Deviation for CellLie<F> {
    fn cells(&mut self, model: &CompiledModel, cells: &mut Cells) {
        (self.0)(model, cells);
    }
}

/// Writes a word's element, the last limb taking whatever is left, even out of its range.
pub fn force(model: &CompiledModel, cells: &mut Cells, word: WordId, element: usize, value: i64) {
    let rows = model.shape.num_active_rows();
    let word = &model.placement.words[word.0];
    let last = word.limbs.len() - 1;
    for (l, (limb, place)) in word.limbs.iter().zip(&word.places).enumerate() {
        let position = place.start + element;
        let part = if l == last { value >> limb.shift } else { zkonnx_circuits::words::unused_limb(value, *limb) };
        cells.columns[place.columns[position / rows]][position % rows] = part;
    }
}

/// Column and row of one limb of a word's element.
#[must_use]
pub fn place_of(model: &CompiledModel, word: WordId, limb: usize, element: usize) -> (usize, usize) {
    let rows = model.shape.num_active_rows();
    let place = &model.placement.words[word.0].places[limb];
    let position = place.start + element;
    (place.columns[position / rows], position % rows)
}

/// Column and row of one element of a parameter.
#[must_use]
pub fn param_cell(model: &CompiledModel, param: usize, element: usize) -> (usize, usize) {
    let cols = model.graph.params[param].cols as usize;
    let (row, col) = (element / cols, element % cols);
    let n = model.num_rows();
    match model.params.places[param] {
        ParamPlace::Pooled { start } => ((start + element) / n, (start + element) % n),
        ParamPlace::Packed { first, rows_per_column, .. } => {
            (first + row / rows_per_column, row % rows_per_column * cols + col)
        }
        ParamPlace::Chunked { first, chunks } => (first + row * chunks + col / n, col % n),
    }
}

/// A prover whose parameter columns, or committed tensors, hold more than integers.
#[derive(Clone, Debug, Default)]
pub struct Strays {
    /// (column, row, value).
    pub parameters: Vec<(usize, usize, Fp)>,
    /// (point, generator, value).
    pub committed: Vec<(usize, usize, Fp)>,
}

impl Strays {
    /// A value more in a cell of a parameter column: its commitment, and the model's identity, are made to hold it.
    #[must_use]
    pub fn in_parameter(prover: &mut ProverModel, (column, row): (usize, usize), value: Fp) -> Self {
        let point = EqAffine::from(prover.generators.row[row]) * value + prover.columns.points[column];
        prover.columns.points[column] = point.to_affine();
        let file = verifier_model(&prover.model, &prover.columns);
        (prover.id, prover.zkv) = (file.id(), file.to_bytes());
        Self { parameters: vec![(column, row, value)], committed: Vec::new() }
    }
}

impl Deviation for Strays {
    fn parameters(&mut self) -> Vec<(usize, usize, Fp)> {
        self.parameters.clone()
    }
    fn committed(&mut self) -> Vec<(usize, usize, Fp)> {
        self.committed.clone()
    }
}

/// By how much the claim of the relations is off when one element of one relation is off by `by`.
#[must_use]
pub fn claim_excess(model: &CompiledModel, challenges: &Challenges, relation: usize, element: usize, by: i64) -> Fp {
    let shape = &model.lowered.relations[relation].shape;
    let chi = axis_vectors(&challenges.rho, shape);
    let mut rest = element;
    let mut weight = relation_weights(model, challenges.mu)[relation] * zkonnx_circuits::field::from_i64(by);
    for (vector, size) in chi.iter().zip(shape).rev() {
        weight *= vector[rest % *size as usize];
        rest /= *size as usize;
    }
    weight
}

/// What the debug verifier finds when `lie` changes the cells that belong to `trace`.
#[must_use]
pub fn faults_of(case: &Case, trace: &Trace, statement: &Statement, lie: &mut dyn Deviation) -> Vec<Fault> {
    let mut cells = assign(case.model(), trace);
    lie.cells(case.model(), &mut cells);
    let (inputs, outputs) = public_values(statement);
    let weights = &case.sides.prover.model.weights;
    Witness { model: case.model(), cells: &cells, weights, inputs: &inputs, outputs: &outputs }.faults()
}

/// The step that rejects a witness with these faults: halo2 where it proves the gates and one of them fails.
#[must_use]
pub fn step_of(model: &CompiledModel, faults: &[Fault]) -> Step {
    let is_gate = |fault: &Fault| matches!(fault, Fault::Gate { .. });
    match model.shape.has_halo2() && faults.iter().any(is_gate) {
        true => Step::Halo2,
        false => Step::Linear,
    }
}

/// Claims what `trace` says, with `lie`; gives the faults. The step that rejects it must be that of the faults.
///
/// # Panics
/// When the lie is accepted, or rejected elsewhere, or no lie.
pub fn reject(case: &Case, trace: &Trace, lie: &mut dyn Deviation) -> Vec<Fault> {
    let statement = case.claim(trace);
    let faults = faults_of(case, trace, &statement, lie);
    let proof = prove_trace(&case.sides.prover, trace, &statement, lie).expect("a proof, if a wrong one");
    let expected = match faults.as_slice() {
        [] => panic!("the debug verifier sees nothing wrong"),
        faults => step_of(case.model(), faults),
    };
    assert_eq!(rejected_at(&case.sides, &statement, &proof), expected, "{faults:?}");
    faults
}

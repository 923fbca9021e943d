//! Verification of one proof.

use crate::{
    argument::{contractions, lookup, opening, pairs, relations, Messages, ReadError, Reader},
    checks::{drawn, fails, Check},
    error::{Step, VerifyError},
    generators::{sum_terms, vanishes},
    halo2,
    length::ELEMENT,
    registry::{ModelHandle, ModelKeys},
    statement::{
        Context, Integers, ModelId, Statement, StatementDigest, TensorEntry, TensorValue, FORMAT_VERSION, SUITE,
    },
    transcript::{absorb_header, final_state, ProofTranscript},
};
use halo2_proofs::poly::commitment::{Params, MSM};
use pasta_curves::{EqAffine, Fp};
use zkonnx_circuits::{functional::PublicTensors, messages::Rounds, system::word_system};
use zkonnx_quantize::{
    graph::Interval,
    model::{Gates, SEMANTICS_VERSION},
    scale::Scale,
};

/// A proof was accepted. There is no other way to get one of these than [`verify`] and [`crate::batch::verify_batch`].
///
/// The caller must still check that the context is the expected one, that the job was not settled before
/// (see [`crate::replay::ReplayGuard`]), that the tensors it cares about are public in the statement ([`Statement::modes`]: whoever proves chooses what
/// to hide, and a statement with hidden outputs says almost nothing), and what it requires of the model
/// (see [`crate::registry::ModelHandle::weight_status`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    statement: StatementDigest,
    model: ModelId,
    context: Context,
}

impl Verified {
    /// Digest of the statement that is true.
    #[must_use]
    pub fn statement_digest(&self) -> StatementDigest {
        self.statement
    }
    /// The model it is about.
    #[must_use]
    pub fn model_id(&self) -> ModelId {
        self.model
    }
    /// For whom, when and how often the proof counts.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.context
    }
}

/// What is left of a proof when everything but multi-scalar multiplications is checked.
#[derive(Debug)]
pub struct Deferred<'p> {
    /// halo2's equation, where there is one.
    pub halo2: Option<MSM<'p, EqAffine>>,
    /// The linear part's.
    pub opening: opening::Equation,
    /// What the transcript ends with: it depends on the statement, the key and every byte of the proof.
    pub final_state: [u8; 64],
}

impl Deferred<'_> {
    /// The first equation that does not hold, if one does not. `points` are those of the model's parameter columns.
    #[must_use]
    pub fn decide(self, params: &Params<EqAffine>, points: &[EqAffine]) -> Option<Step> {
        let Some(halo2) = self.halo2 else {
            return (!vanishes(params, &self.opening, points)).then_some(Step::Linear);
        };
        let mut joint = halo2.clone();
        joint.append_term(Fp::one(), sum_terms(params, &self.opening, points));
        if joint.eval() {
            return None;
        }
        // Only for the message: which of the two is wrong?
        Some(if halo2.eval() { Step::Linear } else { Step::Halo2 })
    }
}

/// A proof of which everything but the final equation is checked.
#[derive(Debug)]
pub(crate) struct Prepared<'p> {
    /// What the final equation would show.
    pub(crate) verified: Verified,
    /// The final equation.
    pub(crate) deferred: Deferred<'p>,
}

/// Verifies a proof of a statement.
///
/// With `now` (Unix time in seconds), a statement whose `not_after` has passed is refused.
///
/// # Errors
/// [`VerifyError`]: malformed bytes, another model, an unknown version, an expired or a false statement.
pub fn verify(
    handle: &ModelHandle,
    statement: &Statement,
    proof: &[u8],
    now: Option<u64>,
) -> Result<Verified, VerifyError> {
    let decide = || {
        let Prepared { verified, deferred } = prepare(handle, statement, proof, now)?;
        match deferred.decide(handle.params(), handle.points()) {
            None => Ok(verified),
            Some(step) => Err(VerifyError::rejected(step, "the final equation does not hold")),
        }
    };
    match handle.layout().gates {
        Gates::Relations => decide(),
        Gates::Halo2 => crate::parallel::apart(decide),
    }
}

/// Everything but the final equation, with the handle's keys.
pub(crate) fn prepare<'p>(
    handle: &'p ModelHandle,
    statement: &Statement,
    proof: &[u8],
    now: Option<u64>,
) -> Result<Prepared<'p>, VerifyError> {
    check_statement(handle, statement, now)?;
    let keys = handle.keys(&statement.modes()).map_err(|e| VerifyError::rejected(Step::Statement, e.to_string()))?;
    let digest = statement.digest();
    let public = public_values(statement);
    let tensors = PublicTensors { inputs: &public.0, outputs: &public.1 };
    let committed = committed_points(statement)?;
    let known = KnownPoints { params: handle.points(), committed: &committed };
    let deferred = defer(&keys, handle.params(), known, digest, tensors, proof)?;
    Ok(Prepared { verified: Verified { statement: digest, model: handle.id(), context: statement.context }, deferred })
}

/// Commitments that are known before the proof.
#[derive(Clone, Copy, Debug)]
pub struct KnownPoints<'a> {
    /// Of the registered model's parameter columns.
    pub params: &'a [EqAffine],
    /// Of the statement's committed tensors.
    pub committed: &'a [EqAffine],
}

/// Everything but the final equation. `digest` stands for the statement.
///
/// # Errors
/// [`VerifyError`] when the proof has another length or a malformed element.
pub fn defer<'p>(
    keys: &ModelKeys,
    params: &'p Params<EqAffine>,
    commitments: KnownPoints<'_>,
    digest: StatementDigest,
    public: PublicTensors<'_>,
    proof: &[u8],
) -> Result<Deferred<'p>, VerifyError> {
    if fails(Check::Length, proof.len() != keys.proof_length) {
        return Err(VerifyError::Length { expected: keys.proof_length, actual: proof.len() });
    }
    let malformed = |reason: String| VerifyError::rejected(Step::Transcript, reason);
    let model = &keys.compiled;
    let shape = &model.shape;
    let mut transcript = ProofTranscript::new(proof);
    // 1. The header; the points of free columns and multiplicities.
    let bound = drawn(Check::Header, digest, || StatementDigest([0; 32]));
    absorb_header(&mut transcript, &bound).map_err(|e| malformed(e.to_string()))?;
    let mut reader = Reader { transcript: &mut transcript, count: 0 };
    let read = |e: ReadError| malformed(e.to_string());
    let free = reader.points(shape.columns.len() - shape.gated.len()).map_err(read)?;
    let multiplicities = reader.points(shape.num_table_groups()).map_err(read)?;
    // 2. halo2's proof, and the points of gated columns.
    let (halo2, gated) = match &keys.halo2 {
        Some(key) => {
            let (equation, points) = halo2::verify(key, shape, params, reader.transcript)?;
            (Some(equation), points)
        }
        None => (None, Vec::new()),
    };
    let mut columns = vec![EqAffine::default(); shape.columns.len()];
    for (column, point) in shape.free_columns().zip(free).chain(shape.gated.iter().copied().zip(gated)) {
        if let Some(place) = columns.get_mut(column) {
            *place = point;
        }
    }
    columns.extend(multiplicities);
    let rounds = Rounds::of(model);
    let mut messages = Messages::default();
    let mut steps = || -> Result<_, ReadError> {
        // 3.–6.
        lookup::verify(&rounds, &mut reader, &mut messages)?;
        relations::verify(model, &mut reader, &mut messages);
        contractions::verify(&rounds, &mut reader, &mut messages)?;
        pairs::verify(&rounds, &mut reader, &mut messages)?;
        // 7. The opening of the one equation.
        let system = word_system(model, public, &messages.challenges, messages.clear);
        let points = opening::ColumnPoints {
            columns: &columns,
            params: commitments.params,
            pieces: &messages.pieces,
            committed: commitments.committed,
        };
        let mut opening = opening::verify(model, &mut reader, &system, &points)?;
        if halo2.is_some() {
            // r separates this equation from halo2's.
            opening.scale(reader.challenge(Check::R));
        }
        Ok(opening)
    };
    let opening = steps().map_err(read)?;
    let opening = drawn(Check::Linear, opening, opening::Equation::default);
    let final_state = final_state(&mut transcript);
    let left = transcript.num_left() * ELEMENT + proof.len() % ELEMENT;
    if fails(Check::Trailing, left > 0) {
        return Err(malformed(format!("{left} bytes after the end")));
    }
    Ok(Deferred { halo2, opening, final_state })
}

/// The public integers of a statement; empty vectors for hidden tensors.
#[must_use]
pub fn public_values(statement: &Statement) -> (Vec<Vec<i64>>, Vec<Vec<i64>>) {
    let values = |entries: &[TensorEntry]| {
        entries
            .iter()
            .map(|entry| match &entry.value {
                TensorValue::Public(integers) => integers.to_vec(),
                TensorValue::Hidden | TensorValue::Committed(_) => Vec::new(),
            })
            .collect()
    };
    (values(&statement.inputs), values(&statement.outputs))
}

/// The points of a statement's committed tensors, inputs first.
///
/// # Errors
/// [`VerifyError`] when there are too few or too many, or one is no point or the identity.
pub fn committed_points(statement: &Statement) -> Result<Vec<EqAffine>, VerifyError> {
    let mut points = Vec::new();
    for entry in statement.inputs.iter().chain(&statement.outputs) {
        if let TensorValue::Committed(committed) = &entry.value {
            let len = entry.shape.iter().map(|s| *s as usize).fold(1, usize::saturating_mul);
            points.extend(committed.decode(len).map_err(|reason| {
                VerifyError::rejected(Step::Statement, format!("committed tensor '{}': {reason}", entry.name))
            })?);
        }
    }
    Ok(points)
}

/// Checks that the statement is one about this model, before anything is computed.
///
/// # Errors
/// [`VerifyError`].
pub fn check_statement(handle: &ModelHandle, statement: &Statement, now: Option<u64>) -> Result<(), VerifyError> {
    for (check, what, expected, actual) in [
        (Check::Format, "format", FORMAT_VERSION, statement.format),
        (Check::Suite, "suite", SUITE, statement.suite),
        (Check::Semantics, "semantics", SEMANTICS_VERSION, statement.semantics),
    ] {
        if fails(check, expected != actual) {
            return Err(VerifyError::WrongVersion { what, expected, actual });
        }
    }
    if fails(Check::Model, statement.model_id != handle.id()) {
        return Err(VerifyError::UnknownModel {
            expected: handle.id().to_string(),
            actual: statement.model_id.to_string(),
        });
    }
    let graph = handle.graph();
    let inputs = graph.inputs.iter().map(|i| (i.name.as_str(), i.shape.as_slice(), i.bounds, i.scale)).collect();
    let outputs = graph.outputs.iter().map(|o| (o.name.as_str(), o.shape.as_slice(), o.form.bounds, o.scale)).collect();
    check_entries("input", inputs, &statement.inputs)?;
    check_entries("output", outputs, &statement.outputs)?;
    let not_after = statement.context.not_after;
    match now {
        Some(now) if fails(Check::Expiry, not_after != 0 && now > not_after) => {
            Err(VerifyError::Expired { not_after, now })
        }
        _ => Ok(()),
    }
}

fn check_entries(
    what: &str,
    declared: Vec<(&str, &[u32], Interval, Scale)>,
    entries: &[TensorEntry],
) -> Result<(), VerifyError> {
    let reject = |reason: String| Err(VerifyError::rejected(Step::Statement, reason));
    if fails(Check::Count, declared.len() != entries.len()) {
        return reject(format!("{} {what}s, the model has {}", entries.len(), declared.len()));
    }
    for (i, ((name, shape, bounds, scale), entry)) in declared.into_iter().zip(entries).enumerate() {
        if fails(Check::Name, entry.name != name) || fails(Check::Shape, entry.shape != shape) {
            return reject(format!("{what} {i} has another name or shape than the model's '{name}'"));
        }
        if let TensorValue::Public(integers) = &entry.value {
            let values = integers.to_vec();
            if fails(Check::Width, Integers::new(&values) != *integers) {
                return reject(format!("{what} '{name}' is not in its narrowest encoding"));
            }
            let count: usize = shape.iter().map(|s| *s as usize).product();
            if fails(Check::Elements, values.len() != count) {
                return reject(format!("{what} '{name}' has {} elements, the model's has {count}", values.len()));
            }
            if let Some(at) = values.iter().position(|v| fails(Check::Interval, !bounds.contains(*v))) {
                return reject(format!(
                    "{what} '{name}', element {at}: {} is outside of [{}, {}]",
                    values[at], bounds.lo, bounds.hi
                ));
            }
        }
        if let TensorValue::Committed(committed) = &entry.value {
            if fails(Check::CommittedKind, (committed.scale, committed.bounds) != (scale, bounds)) {
                return reject(format!("{what} '{name}' is committed with another scale or interval than the model's"));
            }
        }
        if fails(Check::Digest, TensorEntry::digest_of(&entry.shape, &entry.value) != entry.digest) {
            return reject(format!("{what} '{name}' has a digest that is not its own"));
        }
    }
    Ok(())
}

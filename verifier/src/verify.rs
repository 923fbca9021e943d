//! Verification of one proof.

use crate::{
    argument::{opening, product, relations, sumcheck, LinearMessages, ReadError, Reader},
    checks::{drawn, fails, Check},
    error::{Step, VerifyError},
    known_terms::known_terms,
    length::ELEMENT,
    registry::{ModelHandle, ModelKeys},
    statement::{
        Context, Integers, ModelId, Statement, StatementDigest, TensorEntry, TensorValue, FORMAT_VERSION, SUITE,
    },
    transcript::{absorb_header, final_state, lookup_challenges, Challenge, ReadAhead},
};
use group::GroupEncoding;
use halo2_proofs::{
    plonk::{verify_proof, Error, VerificationStrategy},
    poly::commitment::{Guard, Params, MSM},
    transcript::{Blake2bRead, EncodedChallenge},
};
use pasta_curves::{EqAffine, Fp};
use zkonnx_circuits::functional::{word_system, PublicTensors};
use zkonnx_quantize::{graph::Interval, model::SEMANTICS_VERSION, scale::Scale};

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

/// Leaves the multi-scalar multiplication of halo2's verification to the caller.
#[derive(Debug)]
pub struct Defer<'p>(pub MSM<'p, EqAffine>);

impl<'p> VerificationStrategy<'p, EqAffine> for Defer<'p> {
    type Output = MSM<'p, EqAffine>;

    fn process<E: EncodedChallenge<EqAffine>>(
        self,
        f: impl FnOnce(MSM<'p, EqAffine>) -> Result<Guard<'p, EqAffine, E>, Error>,
    ) -> Result<Self::Output, Error> {
        Ok(f(self.0)?.use_challenges())
    }
}

/// What is left of a proof when everything but two multi-scalar multiplications is checked.
#[derive(Debug)]
pub struct Deferred<'p> {
    /// halo2's.
    pub halo2: MSM<'p, EqAffine>,
    /// Terms that are known to be in it, advice columns first; see [`crate::known_terms`].
    pub known: Vec<(Fp, EqAffine)>,
    /// The linear part's.
    pub opening: opening::Equation<'p>,
    /// Points of the word columns.
    pub words: Vec<EqAffine>,
    /// What the transcript ends with: it depends on the statement, the key and every byte of the proof.
    pub final_state: [u8; 64],
}

/// Both equations of a proof in one.
#[derive(Debug)]
pub struct Terms<'p> {
    /// Points of this proof, with their coefficients.
    pub points: Vec<(Fp, EqAffine)>,
    /// Coefficients of the model's parameter points.
    pub params: Vec<Fp>,
    /// What remains.
    pub rest: MSM<'p, EqAffine>,
}

impl<'p> Deferred<'p> {
    /// The linear part's equation, multiplied by `r`. `params` are the points of the model's parameter columns.
    #[must_use]
    pub fn linear(&self, params: &[EqAffine]) -> MSM<'p, EqAffine> {
        let mut msm = self.opening.rest.clone();
        let words = self.opening.words.iter().copied().zip(self.words.iter().copied());
        let params = self.opening.params.iter().copied().zip(params.iter().copied());
        for (scalar, point) in words.chain(params).chain(self.opening.points.iter().copied()) {
            msm.append_term(scalar, point);
        }
        msm
    }

    /// Both equations in one, as terms to be multiplied at once and what remains.
    #[must_use]
    pub fn into_terms(self) -> Terms<'p> {
        let Self { halo2: mut rest, known: mut terms, opening, words, .. } = self;
        for (scalar, point) in &terms {
            rest.append_term(-*scalar, *point);
        }
        rest.add_msm(&opening.rest);
        // Word columns are the first advice columns: one multiplication for both equations, where halo2's term is known.
        for (i, (scalar, point)) in opening.words.into_iter().zip(words).enumerate() {
            match terms.get_mut(i).filter(|term| term.1 == point) {
                Some(term) => term.0 += scalar,
                None => terms.push((scalar, point)),
            }
        }
        terms.extend(opening.points);
        Terms { points: terms, params: opening.params, rest }
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
    let Prepared { verified, deferred } = crate::parallel::apart(|| prepare(handle, statement, proof, now))?;
    let [halo2, linear] = [(Check::Halo2, deferred.halo2.clone()), (Check::Linear, deferred.linear(handle.points()))]
        .map(|(check, equation)| drawn(check, equation, || handle.params().empty_msm()));
    let mut joint = halo2;
    joint.add_msm(&linear);
    if joint.eval() {
        return Ok(verified);
    }
    // Only for the message: which of the two is wrong?
    let step = if deferred.halo2.eval() { Step::Linear } else { Step::Halo2 };
    Err(VerifyError::rejected(step, "the final equation does not hold"))
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
    // The phase-1 commitments, read ahead: the challenges of LogUp depend on them.
    let mut raw = Vec::new();
    let mut points = Vec::new();
    for (i, bytes) in proof.chunks_exact(ELEMENT).take(model.shape.num_phase1_columns()).enumerate() {
        let bytes = crate::statement::array(bytes);
        let point: Option<EqAffine> = EqAffine::from_bytes(&bytes).into();
        if fails(Check::Phase1Points, point.is_none()) {
            return Err(malformed(format!("element {i} is no point of the curve")));
        }
        points.push(point.unwrap_or_default());
        raw.push(bytes);
    }
    let bound = drawn(Check::LookupStatement, digest, || StatementDigest([0; 32]));
    let (theta, phi) = lookup_challenges(&bound, keys.vk_digest, 0, &raw);
    let (theta, phi) = drawn(Check::LookupPoints, (theta, phi), || (Fp::from(7), Fp::from(7)));

    let mut rest = proof.get(points.len() * ELEMENT..).unwrap_or(&[]);
    let transcript = Blake2bRead::<_, EqAffine, Challenge>::init(&mut rest);
    let mut transcript = ReadAhead::new(transcript, &points);
    let bound = drawn(Check::Header, digest, || StatementDigest([0; 32]));
    absorb_header(&mut transcript, &bound).map_err(|e| malformed(e.to_string()))?;
    let instance: [&[Fp]; 1] = [&[phi, theta]];
    let strategy = Defer(params.empty_msm());
    let halo2 = verify_proof(params, &keys.vk, strategy, &[&instance], &mut transcript).map_err(|e| match e {
        Error::Transcript(e) => malformed(e.to_string()),
        e => VerifyError::rejected(Step::Halo2, e.to_string()),
    })?;

    let known = known_terms(keys, &transcript.record);
    let mut reader = Reader { transcript: &mut transcript, count: 0 };
    let mut messages = LinearMessages::default();
    let mut read = || -> Result<_, ReadError> {
        relations::verify(model, &mut reader, &mut messages);
        sumcheck::verify(model, &mut reader, &mut messages)?;
        product::verify(model, &mut reader, &mut messages)?;
        let system = word_system(model, public, &messages.challenges, &messages.masked);
        let points = opening::ColumnPoints {
            words: points.get(..model.shape.columns.len()).unwrap_or(&[]),
            params: commitments.params,
            pieces: &messages.pieces,
            committed: commitments.committed,
        };
        let zeta = messages.challenges.zeta;
        opening::verify(model, params, &mut reader, &system, zeta, &points)
    };
    let opening = read().map_err(|e| malformed(e.to_string()))?;
    let final_state = final_state(&mut transcript);
    if fails(Check::Trailing, !rest.is_empty()) {
        return Err(malformed(format!("{} bytes after the end", rest.len())));
    }
    let words = points.iter().copied().take(model.shape.columns.len()).collect();
    Ok(Deferred { halo2, known, opening, words, final_state })
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

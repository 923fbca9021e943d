//! Proving one inference.

use crate::{
    argument::{opening, product, relations, sumcheck, LinearProver},
    deviation::{Deviation, Honest, Tampered},
    error::ProveError,
    generators::normalise,
    halo2_stages::Staged,
    keys::ProverModel,
    randomness::{AdviceRandomness, Attempt},
    vartime::Bridge,
};
use ff::{Field, FromUniformBytes, PrimeField};
use halo2_proofs::{plonk::create_proof, poly::commitment::Params, transcript::Blake2bWrite};
use pasta_curves::{EqAffine, Fp};
use rayon::prelude::*;
use std::sync::Arc;
use zkonnx_circuits::{
    circuit::{with_shape, Assignment, ModelCircuit},
    committed::{CommittedRef, POINT_LEN},
    field::from_i64,
    functional::{linear_system, PublicTensors},
    registration::assign_weights,
    witness::{self, Cells},
};
use zkonnx_quantize::{
    eval::{evaluate, Trace},
    model::QuantizedModel,
};
use zkonnx_verifier::{
    argument::LinearMessages,
    checks::Check,
    commitment::Opening,
    registration::registration_digest,
    statement::{Context, Statement, StatementDigest},
    transcript::{absorb_header, compress, lookup_challenges, Challenge},
    verify::public_values,
};

/// Attempts before a degenerate challenge is taken for a fault.
const MAX_ATTEMPTS: usize = 4;

/// A statement with its proof, and what opens its committed tensors.
#[derive(Clone, Debug)]
pub struct Proven {
    /// The statement.
    pub statement: Statement,
    /// Its proof.
    pub proof: Vec<u8>,
    /// One per committed tensor, inputs first. Secret.
    pub openings: Vec<Opening>,
}

/// Evaluates the model on integer inputs and proves the result. What opens committed tensors is lost: see [`prove_committed`].
///
/// # Errors
/// [`ProveError`] when the inputs are not as declared, or proving fails.
pub fn prove(model: &ProverModel, inputs: &[Vec<i64>], context: Context) -> Result<(Statement, Vec<u8>), ProveError> {
    let Proven { statement, proof, .. } = prove_committed(model, inputs, &[], context)?;
    Ok((statement, proof))
}

/// Evaluates the model on integer inputs and proves the result.
///
/// `known` opens committed tensors that have points already, such as the committed output of another model that is an input
/// here: a committed tensor with exactly these integers gets the same points. All others get fresh ones.
///
/// # Errors
/// [`ProveError`] when the inputs are not as declared, or proving fails.
pub fn prove_committed(
    model: &ProverModel,
    inputs: &[Vec<i64>],
    known: &[(CommittedRef, Opening)],
    context: Context,
) -> Result<Proven, ProveError> {
    let trace = {
        let _span = tracing::info_span!("evaluate").entered();
        evaluate(&model.model, inputs)?
    };
    let compiled = &model.keys.compiled;
    let mut openings = Vec::new();
    for committed in &compiled.committed {
        let values = committed_values(committed.tensor, &trace).to_vec();
        let opening = match known.iter().find(|(tensor, _)| *tensor == committed.tensor) {
            Some((_, opening)) if opening.values == values => opening.clone(),
            Some(_) => return Err(ProveError::Opening(committed.tensor)),
            None => Opening { blinds: random_blinds(committed.num_points())?, values },
        };
        openings.push(opening);
    }
    let points: Vec<_> = openings.iter().map(|o| o.points(&model.params)).collect::<Result<_, _>>()?;
    let values = (trace.tensors.get(..inputs.len()).unwrap_or(&[]), trace.outputs.as_slice());
    let graph = &model.model.graph;
    let statement = Statement::with_commitments(graph, &compiled.modes, model.id, values, &points, context);
    let proof = prove_opened(model, &trace, &statement, &openings, &mut Honest)?;
    Ok(Proven { statement, proof, openings })
}

/// Fresh blinds, from the operating system.
fn random_blinds(count: usize) -> Result<Vec<[u8; 32]>, ProveError> {
    let blind = |_| {
        let mut entropy = [0; 64];
        getrandom::fill(&mut entropy).map_err(|e| ProveError::Randomness(e.to_string()))?;
        Ok(Fp::from_uniform_bytes(&entropy).to_repr())
    };
    (0..count).map(blind).collect()
}

fn committed_values(tensor: CommittedRef, trace: &Trace) -> &[i64] {
    let values = match tensor {
        CommittedRef::Input(i) => trace.tensors.get(i),
        CommittedRef::Output(i) => trace.outputs.get(i),
    };
    values.map_or(&[], Vec::as_slice)
}

/// Proves a statement without committed tensors from a trace, with a deviation.
///
/// # Errors
/// [`ProveError`] when proving fails. A false trace or a deviation is no error: the proof is wrong then.
pub fn prove_trace(
    model: &ProverModel,
    trace: &Trace,
    statement: &Statement,
    deviation: &mut dyn Deviation,
) -> Result<Vec<u8>, ProveError> {
    prove_opened(model, trace, statement, &[], deviation)
}

/// Proves a statement from a trace and what opens its committed tensors, with a deviation.
///
/// # Errors
/// [`ProveError`] when proving fails. A false trace or opening, or a deviation, is no error: the proof is wrong then.
pub fn prove_opened(
    model: &ProverModel,
    trace: &Trace,
    statement: &Statement,
    openings: &[Opening],
    deviation: &mut dyn Deviation,
) -> Result<Vec<u8>, ProveError> {
    let mut committed = Vec::new();
    for opening in openings {
        let parts = opening.values.chunks(POINT_LEN).map(<[i64]>::to_vec);
        committed.extend(parts.zip(opening.scalars()?));
    }
    let (inputs, outputs) = public_values(statement);
    let cells = || witness::assign(&model.keys.compiled, trace);
    let claim = Claim {
        digest: statement.digest(),
        cells: &cells,
        tensors: &trace.tensors,
        public: PublicTensors { inputs: &inputs, outputs: &outputs },
        committed,
    };
    prove_claim(model, &claim, deviation)
}

/// Proves that every private weight is an integer of its declared width: what [`zkonnx_verifier::zkv::VerifierModel::registration`] holds.
///
/// # Errors
/// [`ProveError`] when there is no circuit with the model's layout, or proving fails.
pub fn prove_registration(model: QuantizedModel, params: Arc<Params<EqAffine>>) -> Result<Vec<u8>, ProveError> {
    prove_weights(&ProverModel::for_registration(model, params)?, &mut Honest)
}

/// The same with a deviation, and keys for a registration ([`ProverModel::for_registration`]).
///
/// # Errors
/// [`ProveError`] when proving fails. False weights or a deviation are no error: the proof is wrong then.
pub fn prove_weights(model: &ProverModel, deviation: &mut dyn Deviation) -> Result<Vec<u8>, ProveError> {
    let cells = || assign_weights(&model.keys.compiled, &model.model.weights);
    let claim = Claim {
        digest: registration_digest(&model.id),
        cells: &cells,
        tensors: &[],
        public: PublicTensors { inputs: &[], outputs: &[] },
        committed: Vec::new(),
    };
    prove_claim(model, &claim, deviation)
}

/// What is proven, with its witness.
struct Claim<'a> {
    digest: StatementDigest,
    cells: &'a dyn Fn() -> Cells,
    tensors: &'a [Vec<i64>],
    public: PublicTensors<'a>,
    committed: Vec<(Vec<i64>, Fp)>,
}

fn prove_claim(model: &ProverModel, claim: &Claim<'_>, deviation: &mut dyn Deviation) -> Result<Vec<u8>, ProveError> {
    for _ in 0..MAX_ATTEMPTS {
        if let Some(proof) = attempt(model, claim, deviation)? {
            return Ok(proof);
        }
    }
    Err(ProveError::Degenerate(MAX_ATTEMPTS))
}

/// One attempt, with seeds of its own; `None` when a fingerprint vanishes.
fn attempt(
    model: &ProverModel,
    claim: &Claim<'_>,
    deviation: &mut dyn Deviation,
) -> Result<Option<Vec<u8>>, ProveError> {
    let compiled = &model.keys.compiled;
    let shape = &compiled.shape;
    let digest = claim.digest;
    let span = tracing::info_span!("witness").entered();
    let mut cells = (claim.cells)();
    deviation.cells(compiled, &mut cells);
    let columns = cells.columns;
    let mut multiplicities = witness::multiplicities(shape, &columns);
    deviation.multiplicities(&mut multiplicities);
    drop(span);

    // Phase 1: replay halo2's randomness, and with it its first commitments.
    let span = tracing::info_span!("phase-1 commitments").entered();
    let Attempt { halo2, linear } = Attempt::new(0, &digest, &columns)?;
    let randomness = AdviceRandomness::replay(halo2.clone(), shape);
    let counts: Vec<Vec<i64>> =
        multiplicities.iter().map(|m| m.iter().map(|v| i64::try_from(*v).unwrap_or(i64::MAX)).collect()).collect();
    let phase1: Vec<&Vec<i64>> = columns.iter().chain(&counts).collect();
    let points: Vec<_> = phase1
        .par_iter()
        .enumerate()
        .map(|(i, column)| model.generators.commit_column(column, &randomness.tails[i], randomness.blinds[i]))
        .collect();
    let mut points = normalise(&points);
    for (i, point) in points.iter_mut().enumerate() {
        deviation.halo2_point(i, point);
    }
    drop(span);

    // Phase 2: the challenges of LogUp.
    let [mut bound, mut header] = [digest; 2];
    deviation.statement(Check::LookupStatement, &mut bound);
    deviation.statement(Check::Header, &mut header);
    let (mut theta, mut phi) = lookup_challenges(&bound, model.keys.vk_digest, 0, &compress(&points));
    deviation.lookup(&mut theta, &mut phi);
    let Some(phase2) = witness::phase2(shape, &columns, &multiplicities, phi, theta) else {
        return Ok(None);
    };
    let mut assignment = Assignment { columns, multiplicities, phase2 };
    deviation.assignment(&mut assignment);

    // halo2's proof.
    let span = tracing::info_span!("halo2 proof").entered();
    let mut transcript = Blake2bWrite::<_, EqAffine, Challenge>::init(Vec::with_capacity(model.keys.proof_length));
    absorb_header(&mut transcript, &header)?;
    let circuit = ModelCircuit { shape, assignment: Some(&assignment) };
    let instance: [&[Fp]; 1] = [&[phi, theta]];
    let mut shown = Tampered { inner: &mut transcript, deviation, points: 0, scalars: 0 };
    let mut staged = Staged::new(&mut shown);
    let mut bridge = Bridge(&mut staged);
    with_shape(shape, || create_proof(&model.proving_params, &model.pk, &[circuit], &[&instance], halo2, &mut bridge))?;
    drop(staged);
    drop(span);

    // The linear part.
    let mut prover = LinearProver {
        model,
        tensors: claim.tensors,
        weights: &model.model.weights,
        messages: LinearMessages::default(),
        message_columns: vec![vec![Fp::ZERO; compiled.num_rows()]; compiled.sumcheck.num_message_columns],
        piece_blinds: Vec::new(),
        strays: Vec::new(),
        committed: claim.committed.clone(),
        rng: linear,
        transcript: &mut transcript,
    };
    let span = tracing::info_span!("sumcheck").entered();
    relations::prove(&mut prover, deviation);
    deviation.relations(&prover.messages.challenges);
    let tables = sumcheck::prove(&mut prover, deviation)?;
    product::prove(&mut prover, &tables, deviation)?;
    deviation.linear(&prover.messages.challenges);
    drop(span);
    let span = tracing::info_span!("relations").entered();
    let system = linear_system(compiled, claim.public, &prover.messages.challenges, &prover.messages.masked);
    drop(span);
    let _span = tracing::info_span!("opening").entered();
    let words = assignment
        .columns
        .iter()
        .zip(&randomness.tails)
        .map(|(column, tail)| column.iter().map(|v| from_i64(*v)).chain(tail.iter().copied()).collect())
        .collect();
    opening::prove(&mut prover, system, words, &randomness, deviation)?;
    let proof = transcript.finalize();

    // The challenges were drawn for these commitments: halo2 must have made the same.
    let sent = proof.chunks_exact(32);
    if !compress(&points).iter().zip(sent).all(|(ours, theirs)| ours == theirs) {
        return Err(ProveError::Replay);
    }
    Ok(Some(proof))
}

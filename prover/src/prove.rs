//! Proving one inference.

use crate::{
    argument::{opening, product, relations, sumcheck, LinearProver},
    deviation::{Deviation, Honest, Tampered},
    error::ProveError,
    generators::normalise,
    keys::ProverModel,
    randomness::{AdviceRandomness, Attempt},
};
use ff::Field;
use halo2_proofs::{plonk::create_proof, transcript::Blake2bWrite};
use pasta_curves::{EqAffine, Fp};
use rayon::prelude::*;
use zkonnx_circuits::{
    circuit::{with_shape, Assignment, ModelCircuit},
    field::from_i64,
    functional::{linear_system, PublicTensors},
    witness,
};
use zkonnx_quantize::eval::{evaluate, Trace};
use zkonnx_verifier::{
    argument::LinearMessages,
    checks::Check,
    statement::{Context, Statement},
    transcript::{absorb_header, compress, lookup_challenges, Challenge},
    verify::public_values,
};

/// Attempts before a degenerate challenge is taken for a fault.
const MAX_ATTEMPTS: usize = 4;

/// Evaluates the model on integer inputs and proves the result.
///
/// # Errors
/// [`ProveError`] when the inputs are not as declared, or proving fails.
pub fn prove(model: &ProverModel, inputs: &[Vec<i64>], context: Context) -> Result<(Statement, Vec<u8>), ProveError> {
    let trace = {
        let _span = tracing::info_span!("evaluate").entered();
        evaluate(&model.model, inputs)?
    };
    let modes = &model.keys.compiled.modes;
    let values = (trace.tensors.get(..inputs.len()).unwrap_or(&[]), trace.outputs.as_slice());
    let statement = Statement::new(&model.model.graph, modes, model.id, values, context);
    let proof = prove_trace(model, &trace, &statement, &mut Honest)?;
    Ok((statement, proof))
}

/// Proves a statement from a trace, with a deviation.
///
/// # Errors
/// [`ProveError`] when proving fails. A false trace or a deviation is no error: the proof is wrong then.
pub fn prove_trace(
    model: &ProverModel,
    trace: &Trace,
    statement: &Statement,
    deviation: &mut dyn Deviation,
) -> Result<Vec<u8>, ProveError> {
    for _ in 0..MAX_ATTEMPTS {
        if let Some(proof) = attempt(model, trace, statement, deviation)? {
            return Ok(proof);
        }
    }
    Err(ProveError::Degenerate(MAX_ATTEMPTS))
}

/// One attempt, with seeds of its own; `None` when a fingerprint vanishes.
fn attempt(
    model: &ProverModel,
    trace: &Trace,
    statement: &Statement,
    deviation: &mut dyn Deviation,
) -> Result<Option<Vec<u8>>, ProveError> {
    let compiled = &model.keys.compiled;
    let shape = &compiled.shape;
    let digest = statement.digest();
    let span = tracing::info_span!("witness").entered();
    let mut cells = witness::assign(compiled, trace);
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
    let active = shape.num_active_rows();
    let points: Vec<_> = phase1
        .par_iter()
        .enumerate()
        .map(|(i, column)| model.generators.commit_column(column, (active, &randomness.tails[i]), randomness.blinds[i]))
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
    with_shape(shape, || create_proof(&model.params, &model.pk, &[circuit], &[&instance], halo2, &mut shown))?;
    drop(span);

    // The linear part.
    let public = public_values(statement);
    let mut prover = LinearProver {
        model,
        tensors: &trace.tensors,
        weights: &model.model.weights,
        messages: LinearMessages::default(),
        message_columns: vec![vec![Fp::ZERO; compiled.num_rows()]; compiled.sumcheck.num_message_columns],
        piece_blinds: Vec::new(),
        strays: Vec::new(),
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
    let tensors = PublicTensors { inputs: &public.0, outputs: &public.1 };
    let system = linear_system(compiled, tensors, &prover.messages.challenges, &prover.messages.masked);
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

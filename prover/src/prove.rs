//! Proving one inference.

use crate::{
    argument::{contractions, lookup, opening, pairs, relations, Prover},
    columns::Column,
    commit::commit_columns,
    deviation::{Deviation, Honest},
    error::ProveError,
    generators::{normalise, Generators},
    halo2::AdviceRandomness,
    keys::ProverModel,
    multiexp::multiexp,
    randomness::Seeds,
    vartime::Point,
};
use ff::{Field, FromUniformBytes, PrimeField};
use halo2_proofs::{
    poly::commitment::Params,
    transcript::{Blake2bWrite, TranscriptWrite},
};
use pasta_curves::{EqAffine, Fp};
use rayon::prelude::*;
use std::sync::Arc;
use zkonnx_circuits::{
    committed::{CommittedRef, POINT_LEN},
    functional::PublicTensors,
    messages::{Challenges, Rounds},
    registration::assign_weights,
    system::linear_system,
    witness::{self, Cells},
};
use zkonnx_quantize::{
    eval::{evaluate, Trace},
    integers::Integers,
    model::QuantizedModel,
};
use zkonnx_verifier::{
    commitment::Opening,
    registration::registration_digest,
    statement::{Context, Statement, StatementDigest},
    transcript::{absorb_header, Challenge},
    verify::public_values,
};

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

/// The columns of a witness: words, then multiplicities.
fn columns(model: &ProverModel, claim: &Claim<'_>, deviation: &mut dyn Deviation) -> Vec<Column> {
    let _span = tracing::info_span!("witness").entered();
    let compiled = &model.keys.compiled;
    let mut cells = (claim.cells)();
    deviation.cells(compiled, &mut cells);
    let words = cells.columns;
    let mut multiplicities = witness::multiplicities(&compiled.shape, &words);
    deviation.multiplicities(&mut multiplicities);
    let pack = |values: &Vec<i64>| Column::Integers(Integers::new(values));
    let mut columns: Vec<Column> = words.par_iter().chain(&multiplicities).map(pack).collect();
    for (column, row, value) in deviation.strays(compiled) {
        columns[column].add(row, value);
    }
    columns
}

/// The commitments of some columns without their blinds.
fn commit(columns: &[&Column], generators: &Generators) -> Vec<Point> {
    let integers: Vec<&Integers> = columns.iter().filter_map(|column| column.integers()).collect();
    let mut points = commit_columns(&integers, generators).into_iter();
    columns
        .iter()
        .map(|column| match column {
            Column::Integers(_) => points.next().unwrap_or_default(),
            Column::Field(values) => multiexp(values, &generators.row),
        })
        .collect()
}

fn prove_claim(model: &ProverModel, claim: &Claim<'_>, deviation: &mut dyn Deviation) -> Result<Vec<u8>, ProveError> {
    let compiled = &model.keys.compiled;
    let shape = &compiled.shape;
    let rounds = Rounds::of(compiled);
    let mut columns = columns(model, claim, deviation);
    let Seeds { halo2, mut own } = Seeds::new(&claim.digest, &columns)?;
    let mut blinds: Vec<Fp> = columns.iter().map(|_| Fp::random(&mut own)).collect();

    // 1. The header; the points of free columns and multiplicities.
    let mut header = claim.digest;
    deviation.header(&mut header);
    let mut transcript = Blake2bWrite::<_, EqAffine, Challenge>::init(Vec::with_capacity(model.keys.proof_length));
    absorb_header(&mut transcript, &header)?;
    {
        let _span = tracing::info_span!("commitments").entered();
        let free: Vec<usize> = shape.free_columns().chain(shape.columns.len()..columns.len()).collect();
        let points = commit(&free.iter().map(|column| &columns[*column]).collect::<Vec<_>>(), &model.generators);
        let points =
            points.par_iter().zip(&free).map(|(point, column)| *point + model.generators.blind(blinds[*column]));
        let points: Vec<Point> = points.collect();
        for (column, mut point) in free.into_iter().zip(normalise(&points)) {
            deviation.free_point(column, &mut point);
            transcript.write_point(point)?;
        }
    }

    // 2. halo2's proof of the gates.
    if let Some(prover) = &model.halo2 {
        let _span = tracing::info_span!("halo2 proof").entered();
        let randomness = AdviceRandomness::replay(halo2.clone(), shape);
        prover.prove(shape, &columns, halo2, &mut transcript, deviation)?;
        randomness.extend(shape, &mut columns);
        for (column, blind) in shape.gated.iter().zip(&randomness.blinds) {
            blinds[*column] = *blind;
        }
    }

    let mut prover = Prover {
        model,
        tensors: claim.tensors,
        columns: &columns,
        blinds: &blinds,
        challenges: Challenges::default(),
        clear: (Fp::ZERO, Fp::ZERO),
        pieces: Vec::with_capacity(rounds.num_pieces()),
        committed: claim.committed.clone(),
        rng: own,
        transcript: &mut transcript,
    };
    // 3. Lookups.
    let span = tracing::info_span!("lookups").entered();
    let layers = lookup::prove(&rounds, &mut prover, deviation)?;
    drop(span);
    // 4. Relations and gates.
    let span = tracing::info_span!("contractions").entered();
    relations::prove(&mut prover, deviation);
    let (contractions, left) = contractions::prove(&rounds, &mut prover, deviation)?;
    drop(span);
    // 5., 6. Products.
    let span = tracing::info_span!("pairs").entered();
    pairs::prove(&rounds, &mut prover, &layers, (&contractions, left), deviation)?;
    drop(span);
    // 7. The opening of the one equation.
    let span = tracing::info_span!("relations").entered();
    let system = linear_system(compiled, claim.public, &prover.challenges, prover.clear);
    drop(span);
    let _span = tracing::info_span!("opening").entered();
    opening::prove(&mut prover, system, deviation)?;
    Ok(transcript.finalize())
}

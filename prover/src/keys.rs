//! Proving keys: rebuilt from the model, kept in memory, never in a file.

use crate::{
    commit::commit_columns,
    error::ProveError,
    generators::{normalise, Generators},
    halo2::Halo2Prover,
    points::commit_to,
};
use blake2b_simd::Params as Blake2b;
use ff::{Field, FromUniformBytes};
use group::GroupEncoding;
use halo2_proofs::poly::commitment::Params;
use pasta_curves::{EqAffine, Fp};
use rayon::prelude::*;
use std::sync::Arc;
use zkonnx_circuits::{compiled::CompiledModel, field::from_i64, lower::Modes, params::ParamLayout};
use zkonnx_quantize::{
    graph::Graph,
    integers::Integers,
    model::{LayoutChoice, QuantizedModel, WeightPrivacy},
};
use zkonnx_verifier::{
    error::RegisterError,
    registration::registration_keys,
    registry::{ModelHandle, ModelKeys},
    statement::ModelId,
    zkv::{DeclaredWeights, VerifierModel},
};

/// The parameter columns of a model and their blinds.
#[derive(Clone, Debug)]
pub struct ParamColumns {
    /// Integers, row by row; columns may be shorter than `n`, the rest is zero.
    pub columns: Vec<Integers>,
    /// Blinds: zero for public weights.
    pub blinds: Vec<Fp>,
    /// Commitments.
    pub points: Vec<EqAffine>,
}

/// Where the points of a model's weights came from.
#[derive(Debug)]
pub enum PointsOrigin {
    /// Committed: no file was given.
    Committed,
    /// Those of the file.
    Known,
    /// Committed; the file was refused, for this reason.
    Refused(PointsError),
}

/// Why the points of a `model.zkv` are not used for a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PointsError {
    /// It has another graph.
    #[error("it is of another model: its graph is another")]
    Graph,
    /// It has the same graph in another layout.
    #[error(
        "it is of another model: k = {}, limbs of {} bits and gates by {}, where the model has {}, {} and {}",
        .actual.k, .actual.limb_bits, .actual.gates, .expected.k, .expected.limb_bits, .expected.gates
    )]
    Layout {
        /// The model's.
        expected: LayoutChoice,
        /// The file's.
        actual: LayoutChoice,
    },
    /// Private weights for public ones, or the other way round.
    #[error("it is of another model: {}", privacy_text(*.actual))]
    Privacy {
        /// The file's.
        actual: DeclaredWeights,
    },
    /// More or fewer points than there are columns.
    #[error("it has {actual} points, the weights stand in {expected} columns")]
    Count {
        /// Columns of the model.
        expected: usize,
        /// Points of the file.
        actual: usize,
    },
    /// Bytes that are no point.
    #[error("its point {0} is none")]
    Point(usize),
    /// Points of other weights.
    #[error("its points are not the commitments of the model's weights")]
    OtherWeights,
    /// They could not be checked.
    #[error("its points cannot be checked: {0}")]
    Unchecked(Box<ProveError>),
}

fn privacy_text(actual: DeclaredWeights) -> &'static str {
    match actual {
        DeclaredWeights::Public => "its weights are public, those of the model private",
        DeclaredWeights::Private => "its weights are private, those of the model public",
    }
}

impl ParamColumns {
    /// Lays out and commits the weights of a model.
    #[must_use]
    pub fn new(model: &QuantizedModel, generators: &Generators) -> Self {
        let _span = tracing::info_span!("commit parameters").entered();
        let (columns, blinds) = columns_with_blinds(model, generators);
        Self::commit(columns, blinds, generators)
    }

    /// The same with the points of a file, where they are the commitments of these weights: nothing is committed then.
    ///
    /// They are not taken on trust ([`commit_to`]). Otherwise the weights are committed.
    #[must_use]
    pub fn with_points(
        model: &QuantizedModel,
        generators: &Generators,
        known: Option<&VerifierModel>,
    ) -> (Self, PointsOrigin) {
        let Some(known) = known else { return (Self::new(model, generators), PointsOrigin::Committed) };
        if let Err(error) = same_model(model, known) {
            return (Self::new(model, generators), PointsOrigin::Refused(error));
        }
        let (columns, blinds) = columns_with_blinds(model, generators);
        match checked_points(&known.commitments, (&columns, &blinds), generators) {
            Ok(points) => (Self { columns, blinds, points }, PointsOrigin::Known),
            Err(error) => {
                let _span = tracing::info_span!("commit parameters").entered();
                (Self::commit(columns, blinds, generators), PointsOrigin::Refused(error))
            }
        }
    }

    fn commit(columns: Vec<Integers>, blinds: Vec<Fp>, generators: &Generators) -> Self {
        let mut points = commit_columns(&columns.iter().collect::<Vec<_>>(), generators);
        points.par_iter_mut().zip(&blinds).filter(|(_, blind)| !bool::from(blind.is_zero())).for_each(
            |(point, blind)| {
                *point += generators.blind(*blind);
            },
        );
        Self { columns, blinds, points: normalise(&points) }
    }
}

/// The weights in columns, and the blind of each.
fn columns_with_blinds(model: &QuantizedModel, generators: &Generators) -> (Vec<Integers>, Vec<Fp>) {
    let layout = ParamLayout::new(&model.graph, generators.row.len());
    let columns = layout.columns(&model.graph, &model.weights);
    let contents = match model.privacy {
        WeightPrivacy::Public => Vec::new(),
        WeightPrivacy::Private { .. } => Blake2b::new().hash_length(32).hash(&model.to_bytes()).as_bytes().to_vec(),
    };
    let blinds = (0_u64..)
        .take(columns.len())
        .map(|column| match model.privacy {
            WeightPrivacy::Public => Fp::ZERO,
            WeightPrivacy::Private { blind_seed } => private_blind(&blind_seed, &contents, column),
        })
        .collect();
    (columns, blinds)
}

/// Refuses a file with another graph, layout or privacy: weights have other columns there.
fn same_model(model: &QuantizedModel, known: &VerifierModel) -> Result<(), PointsError> {
    if known.graph != model.graph {
        return Err(PointsError::Graph);
    }
    if known.layout != model.layout {
        return Err(PointsError::Layout { expected: model.layout, actual: known.layout });
    }
    if known.weights != declared(model) {
        return Err(PointsError::Privacy { actual: known.weights });
    }
    Ok(())
}

/// Compressed points, where they commit to these columns.
fn checked_points(
    compressed: &[[u8; 32]],
    (columns, blinds): (&[Integers], &[Fp]),
    generators: &Generators,
) -> Result<Vec<EqAffine>, PointsError> {
    if compressed.len() != columns.len() {
        return Err(PointsError::Count { expected: columns.len(), actual: compressed.len() });
    }
    let point = |(at, bytes)| Option::from(EqAffine::from_bytes(bytes)).ok_or(PointsError::Point(at));
    let points = compressed.par_iter().enumerate().map(point).collect::<Result<Vec<EqAffine>, _>>()?;
    match commit_to(&points, (columns, blinds), generators) {
        Ok(true) => Ok(points),
        Ok(false) => Err(PointsError::OtherWeights),
        Err(error) => Err(PointsError::Unchecked(Box::new(error))),
    }
}

/// What a model's file says of its weights.
fn declared(model: &QuantizedModel) -> DeclaredWeights {
    match model.privacy {
        WeightPrivacy::Public => DeclaredWeights::Public,
        WeightPrivacy::Private { .. } => DeclaredWeights::Private,
    }
}

/// The blind of a parameter column of a model with private weights.
///
/// It depends on the whole model (graph, weights, layout): two models that share a seed share no blind, so
/// the difference of their commitments tells nothing.
fn private_blind(seed: &[u8; 32], model: &[u8], column: u64) -> Fp {
    let mut state = Blake2b::new().hash_length(64).key(seed).personal(b"zkonnx.blind.v1_").to_state();
    state.update(model).update(&column.to_le_bytes());
    Fp::from_uniform_bytes(state.finalize().as_array())
}

/// The `model.zkv` of a quantised model.
#[must_use]
pub fn verifier_model(model: &QuantizedModel, params: &ParamColumns) -> VerifierModel {
    VerifierModel {
        graph: model.graph.clone(),
        layout: model.layout,
        weights: declared(model),
        commitments: params.points.iter().map(GroupEncoding::to_bytes).collect(),
        registration: Vec::new(),
    }
}

/// Everything that proving a model needs besides inputs, for one choice of modes.
#[derive(Debug)]
pub struct ProverModel {
    /// The model.
    pub model: QuantizedModel,
    /// Its identity.
    pub id: ModelId,
    /// The bytes of its `model.zkv`.
    pub zkv: Vec<u8>,
    /// The parameters of the commitment scheme.
    pub params: Arc<Params<EqAffine>>,
    /// The generators.
    pub generators: Generators,
    /// Compiled model and verifying key.
    pub keys: ModelKeys,
    /// halo2's prover, where gates are proven by it and there is one.
    pub halo2: Option<Halo2Prover>,
    /// The parameter columns.
    pub columns: ParamColumns,
}

/// How the keys of a graph are made whose inputs and outputs stand so in the statement.
fn keys_of(
    modes: Modes,
) -> impl FnOnce(Arc<Graph>, LayoutChoice, &Params<EqAffine>) -> Result<ModelKeys, RegisterError> {
    |graph, layout, params| ModelKeys::new(CompiledModel::new(graph, modes, layout)?, params)
}

impl ProverModel {
    /// Compiles, makes keys and commits the parameters.
    ///
    /// # Errors
    /// [`ProveError`] when the model has no circuit or no key.
    pub fn new(model: QuantizedModel, modes: Modes, params: Arc<Params<EqAffine>>) -> Result<Self, ProveError> {
        Self::of_group(model, 1, modes, params)
    }

    /// The same for `size` inferences in one proof: the model's grouped graph, with the parameter commitments of the model itself,
    /// so that its `model.zkv` is all that a verifier needs ([`zkonnx_verifier::registry::ModelHandle::grouped`]).
    ///
    /// # Errors
    /// [`ProveError`] when that many do not fit a graph or a circuit of the model's layout.
    pub fn of_group(
        model: QuantizedModel,
        size: u32,
        modes: Modes,
        params: Arc<Params<EqAffine>>,
    ) -> Result<Self, ProveError> {
        Self::with_keys(model, size, params, ParamColumns::new, keys_of(modes))
    }

    /// [`ProverModel::new`] with the points of a `model.zkv`, where they are those of the weights ([`ParamColumns::with_points`]), and
    /// what became of them.
    ///
    /// # Errors
    /// [`ProveError`] when the model has no circuit or no key; a file that is refused is none.
    pub fn with_points(
        model: QuantizedModel,
        modes: Modes,
        params: Arc<Params<EqAffine>>,
        known: Option<&VerifierModel>,
    ) -> Result<(Self, PointsOrigin), ProveError> {
        let mut origin = PointsOrigin::Committed;
        let columns = |model: &QuantizedModel, generators: &Generators| {
            let (columns, from) = ParamColumns::with_points(model, generators, known);
            origin = from;
            columns
        };
        let prover = Self::with_keys(model, 1, params, columns, keys_of(modes))?;
        Ok((prover, origin))
    }

    /// The keys of this model for `size` inferences in one proof, as [`ProverModel::of_group`] makes them, with the commitments that are there.
    ///
    /// # Errors
    /// [`ProveError`] when that many do not fit a graph or a circuit of the model's layout.
    pub fn grouped(&self, size: u32) -> Result<Self, ProveError> {
        let modes = self.keys.compiled.modes.clone();
        let (model, params, columns) =
            (self.model.clone(), Arc::clone(&self.params), |_: &_, _: &_| self.columns.clone());
        Self::with_keys(model, size, params, columns, keys_of(modes))
    }

    /// The same model with the keys of its registration.
    ///
    /// # Errors
    /// [`ProveError`] when there is no circuit with the model's layout.
    pub fn for_registration(model: QuantizedModel, params: Arc<Params<EqAffine>>) -> Result<Self, ProveError> {
        Self::with_keys(model, 1, params, ParamColumns::new, |graph, layout, params| {
            registration_keys(&graph, layout, params)
        })
    }

    fn with_keys(
        model: QuantizedModel,
        group: u32,
        params: Arc<Params<EqAffine>>,
        columns: impl FnOnce(&QuantizedModel, &Generators) -> ParamColumns,
        keys: impl FnOnce(Arc<Graph>, LayoutChoice, &Params<EqAffine>) -> Result<ModelKeys, RegisterError>,
    ) -> Result<Self, ProveError> {
        if params.k() != u32::from(model.layout.k) {
            return Err(ProveError::Params { expected: model.layout.k.into(), actual: params.k() });
        }
        let generators = Generators::new(&params).ok_or(ProveError::Generators)?;
        // Blinds of private weights depend on the model's file: the commitments are those of the model, not of its group.
        let columns = columns(&model, &generators);
        let model = model.grouped(group)?;
        let verifier = verifier_model(&model, &columns);
        let _span = tracing::info_span!("keys").entered();
        let keys = keys(Arc::new(model.graph.clone()), model.layout, &params)?;
        let halo2 = match &keys.halo2 {
            Some(key) => Some(Halo2Prover::new(&keys.compiled.shape, key, &generators)?),
            None => None,
        };
        let (id, zkv) = (verifier.id(), verifier.to_bytes());
        Ok(Self { model, id, zkv, params, generators, keys, halo2, columns })
    }

    /// The verifier's side of the same model, registered from its file.
    ///
    /// # Errors
    /// [`RegisterError`] when the verifier refuses it.
    pub fn register(&self) -> Result<ModelHandle, RegisterError> {
        ModelHandle::new(&self.zkv, |_| Ok(Arc::clone(&self.params)))
    }

    /// A parameter column as field elements, `n` of them.
    #[must_use]
    pub fn param_column(&self, column: usize) -> Vec<Fp> {
        let mut values: Vec<Fp> = self.columns.columns[column].iter().map(from_i64).collect();
        values.resize(self.generators.row.len(), Fp::ZERO);
        values
    }
}

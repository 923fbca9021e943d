//! Registered models.

use crate::{
    checks::{fails, Check},
    error::RegisterError,
    halo2::Halo2Key,
    length::proof_length,
    limits::Limits,
    params,
    registration::verify_registration,
    statement::{ModelId, Statement},
    zkv::{DeclaredWeights, ModelFile, VerifierModel},
};
use ff::Field;
use group::{Curve, GroupEncoding};
use halo2_proofs::poly::{
    commitment::{Blind, Params},
    EvaluationDomain,
};
use pasta_curves::{EqAffine, Fp};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use zkonnx_circuits::{
    compiled::CompiledModel, field::from_i64, lower::Modes, params::ParamLayout, work::verification_work,
};
use zkonnx_quantize::{
    graph::Graph,
    integers::Integers,
    model::LayoutChoice,
    validate::{has_conservative_bounds, validate_weights},
};

/// What is known of a model's weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightStatus {
    /// The caller has recomputed the commitments from the weights, and checked the graph's bounds against them
    /// (`validate_weights`): bounds that are too narrow would drop clamps that do bind.
    Recomputed,
    /// Private weights, with a proof that they are integers of their declared widths ([`crate::registration`]); the graph's bounds
    /// follow from these widths.
    RangeProven,
    /// The file's word only: commitments may hold anything, also values that are no small integers.
    Unchecked,
}

/// Keys of a model for one choice of modes.
#[derive(Debug)]
pub struct ModelKeys {
    /// The compiled model.
    pub compiled: CompiledModel,
    /// halo2's key, where gates are proven by it and there is one.
    pub halo2: Option<Halo2Key>,
    /// Exact length of a proof, in bytes.
    pub proof_length: usize,
}

impl ModelKeys {
    /// Makes the keys of a compiled model.
    ///
    /// # Errors
    /// [`RegisterError`] when verifying would cost too much, or there is no key.
    pub fn new(compiled: CompiledModel, params: &Params<EqAffine>) -> Result<Self, RegisterError> {
        check_work(&compiled)?;
        let halo2 = match compiled.shape.has_halo2() {
            true => Some(Halo2Key::new(&compiled.shape, params)?),
            false => None,
        };
        let proof_length = proof_length(&compiled);
        Ok(Self { compiled, halo2, proof_length })
    }
}

fn check_work(compiled: &CompiledModel) -> Result<(), RegisterError> {
    let work = verification_work(compiled);
    if fails(Check::Work, work > Limits::WORK) {
        return Err(RegisterError::TooExpensive { actual: work, limit: Limits::WORK });
    }
    Ok(())
}

/// A registered model.
#[derive(Clone, Debug)]
pub struct ModelHandle {
    inner: Arc<Registered>,
    status: WeightStatus,
}

#[derive(Debug)]
struct Registered {
    id: ModelId,
    graph: Arc<Graph>,
    layout: LayoutChoice,
    declared: DeclaredWeights,
    points: Vec<EqAffine>,
    params: Arc<Params<EqAffine>>,
    keys: Mutex<BTreeMap<Modes, Arc<ModelKeys>>>,
    /// With several inferences in one proof: the model, and how many.
    group: Option<(ModelId, u32)>,
}

impl Registered {
    /// A model with the keys of its first choice of modes.
    fn new(
        (id, declared): (ModelId, DeclaredWeights),
        points: Vec<EqAffine>,
        params: Arc<Params<EqAffine>>,
        keys: ModelKeys,
        group: Option<(ModelId, u32)>,
    ) -> Arc<Self> {
        let CompiledModel { graph, modes, layout, .. } = &keys.compiled;
        let (graph, modes, layout) = (Arc::clone(graph), modes.clone(), *layout);
        let keys = Mutex::new(BTreeMap::from([(modes, Arc::new(keys))]));
        Arc::new(Self { id, graph, layout, declared, points, params, keys, group })
    }
}

impl ModelHandle {
    /// Registers the bytes of a `model.zkv`, with parameters for its `k`.
    ///
    /// # Errors
    /// [`RegisterError`] for anything but a valid model.
    pub fn new(
        bytes: &[u8],
        params: impl FnOnce(u32) -> Result<Arc<Params<EqAffine>>, RegisterError>,
    ) -> Result<Self, RegisterError> {
        Self::from_file(ModelFile::from_bytes(bytes)?, params)
    }

    /// Registers a file that was read already.
    ///
    /// # Errors
    /// [`RegisterError`] for anything but a valid model.
    pub fn from_file(
        file: ModelFile,
        params: impl FnOnce(u32) -> Result<Arc<Params<EqAffine>>, RegisterError>,
    ) -> Result<Self, RegisterError> {
        let (id, VerifierModel { graph, layout, weights, commitments, registration }) = file.into_parts();
        if fails(Check::RegistrationKind, weights == DeclaredWeights::Public && !registration.is_empty()) {
            return Err(RegisterError::Registration("the weights are public".into()));
        }
        let is_private = weights == DeclaredWeights::Private;
        if fails(Check::PrivateBounds, is_private && !has_conservative_bounds(&graph)) {
            return Err(RegisterError::Bounds);
        }
        let graph = Arc::new(graph);
        // Compile before any parameters are derived: a hostile k costs nothing.
        let compiled = CompiledModel::new(Arc::clone(&graph), Modes::public(&graph), layout)?;
        let expected = compiled.params.num_columns;
        if fails(Check::CommitmentCount, commitments.len() != expected) {
            return Err(RegisterError::Commitments { expected, actual: commitments.len() });
        }
        // Before the commitments are decompressed, which takes as long as there are many.
        check_work(&compiled)?;
        let points = commitments
            .iter()
            .enumerate()
            .map(|(i, bytes)| Option::from(EqAffine::from_bytes(bytes)).ok_or(RegisterError::Point(i)))
            .collect::<Result<Vec<EqAffine>, _>>()?;
        let params = params(layout.k.into())?;
        let keys = ModelKeys::new(compiled, &params)?;
        let status = if registration.is_empty() {
            WeightStatus::Unchecked
        } else {
            verify_registration((&id, &graph, layout), &params, &points, &registration)?;
            WeightStatus::RangeProven
        };
        Ok(Self { inner: Registered::new((id, weights), points, params, keys, None), status })
    }

    /// The handle for proofs of `size` inferences at once: the grouped graph ([`Graph::grouped`]) with the same layout and
    /// parameter commitments. Its identity follows from the model's; itself for `size = 1`.
    ///
    /// What is known of the weights carries over: a grouped graph reads the same cells of parameters, and the bounds of
    /// its forms are the model's.
    ///
    /// # Errors
    /// [`RegisterError`] when so many do not fit a graph or a circuit of the model's layout.
    pub fn grouped(&self, size: u32) -> Result<Self, RegisterError> {
        if size == 1 {
            return Ok(self.clone());
        }
        self.of_group(self.group_file(size)?, size)
    }

    /// What the file of a group would hold.
    fn group_file(&self, size: u32) -> Result<ModelFile, RegisterError> {
        let Registered { graph, layout, declared, points, .. } = &*self.inner;
        Ok(ModelFile::new(VerifierModel {
            graph: graph.grouped(size)?,
            layout: *layout,
            weights: *declared,
            commitments: points.iter().map(GroupEncoding::to_bytes).collect(),
            registration: Vec::new(),
        }))
    }

    fn of_group(&self, file: ModelFile, size: u32) -> Result<Self, RegisterError> {
        let Registered { graph: own, layout, declared, points, params, .. } = &*self.inner;
        let (id, VerifierModel { graph, .. }) = file.into_parts();
        let modes = Modes::public(&graph);
        let compiled = CompiledModel::new(Arc::new(graph), modes, *layout)?;
        // The same cells in the same places: a group changes no parameter's.
        if compiled.params != ParamLayout::new(own, 1 << layout.k) {
            return Err(RegisterError::Commitments { expected: compiled.params.num_columns, actual: points.len() });
        }
        let keys = ModelKeys::new(compiled, params)?;
        let group = Some((self.id(), size));
        let inner = Registered::new((id, *declared), points.clone(), Arc::clone(params), keys, group);
        Ok(Self { inner, status: self.status })
    }

    /// The model's identity.
    #[must_use]
    pub fn id(&self) -> ModelId {
        self.inner.id
    }

    /// The model whose inferences a proof holds several of, and how many; `None` for a model itself.
    #[must_use]
    pub fn group(&self) -> Option<(ModelId, u32)> {
        self.inner.group
    }

    /// The graph.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.inner.graph
    }

    /// The layout.
    #[must_use]
    pub fn layout(&self) -> LayoutChoice {
        self.inner.layout
    }

    /// What the file says of its weights.
    #[must_use]
    pub fn declared_weights(&self) -> DeclaredWeights {
        self.inner.declared
    }

    /// What is known of the weights. A file's word counts as unchecked; see [`ModelHandle::recompute`].
    #[must_use]
    pub fn weight_status(&self) -> WeightStatus {
        self.status
    }

    /// The commitments of the parameter columns.
    #[must_use]
    pub fn points(&self) -> &[EqAffine] {
        &self.inner.points
    }

    /// The parameters of the commitment scheme.
    #[must_use]
    pub fn params(&self) -> &Arc<Params<EqAffine>> {
        &self.inner.params
    }

    /// The keys for a choice of modes, made on first use.
    ///
    /// # Errors
    /// [`RegisterError`] when there is no circuit with these modes.
    pub fn keys(&self, modes: &Modes) -> Result<Arc<ModelKeys>, RegisterError> {
        if let Some(keys) = self.known_keys(modes) {
            return Ok(keys);
        }
        // Made without the lock: others go on verifying meanwhile.
        let made = Arc::new(ModelKeys::new(self.compile(modes)?, &self.inner.params)?);
        let mut keys = self.lock();
        // Statements choose the modes: keep memory bounded whatever strangers send.
        if keys.len() >= Limits::KEPT_MODES {
            keys.pop_last();
        }
        keys.insert(modes.clone(), Arc::clone(&made));
        Ok(made)
    }

    /// The exact length of a proof with these modes, in bytes; no key is made for it.
    ///
    /// # Errors
    /// [`RegisterError`] when there is no circuit with these modes.
    pub fn proof_length(&self, modes: &Modes) -> Result<usize, RegisterError> {
        if let Some(keys) = self.known_keys(modes) {
            return Ok(keys.proof_length);
        }
        Ok(proof_length(&self.compile(modes)?))
    }

    fn compile(&self, modes: &Modes) -> Result<CompiledModel, RegisterError> {
        Ok(CompiledModel::new(Arc::clone(&self.inner.graph), modes.clone(), self.inner.layout)?)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Modes, Arc<ModelKeys>>> {
        self.inner.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known_keys(&self, modes: &Modes) -> Option<Arc<ModelKeys>> {
        self.lock().get(modes).map(Arc::clone)
    }

    /// A handle to the same model for a caller who has its public weights: the graph's bounds are checked against
    /// them, and every commitment is recomputed.
    ///
    /// # Errors
    /// [`RegisterError`] when the bounds do not hold, or a commitment is not that of the weights.
    pub fn recompute(&self, weights: &[Integers]) -> Result<Self, RegisterError> {
        if let Err(error) = validate_weights(&self.inner.graph, weights) {
            if fails(Check::RecomputedBounds, true) {
                return Err(error.into());
            }
        }
        let layout = ParamLayout::new(&self.inner.graph, 1 << self.inner.layout.k);
        let domain = EvaluationDomain::<Fp>::new(1, self.inner.layout.k.into());
        for (i, column) in layout.columns(&self.inner.graph, weights).into_iter().enumerate() {
            let mut poly = domain.empty_lagrange();
            for (cell, value) in poly.iter_mut().zip(column.to_vec()) {
                *cell = from_i64(value);
            }
            let point = self.inner.params.commit_lagrange(&poly, Blind(Fp::ZERO)).to_affine();
            if fails(Check::RecomputedPoints, self.inner.points.get(i) != Some(&point)) {
                return Err(RegisterError::OtherWeights(i));
            }
        }
        Ok(Self { inner: Arc::clone(&self.inner), status: WeightStatus::Recomputed })
    }
}

/// Registered models, and parameters by `k`.
#[derive(Debug, Default)]
pub struct Registry {
    params: BTreeMap<u32, Arc<Params<EqAffine>>>,
    models: BTreeMap<ModelId, ModelHandle>,
}

impl Registry {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes parameters known, so that they need not be derived.
    pub fn insert_params(&mut self, params: Arc<Params<EqAffine>>) {
        self.params.insert(params.k(), params);
    }

    /// Registers a `model.zkv`; the same bytes give the same handle.
    ///
    /// # Errors
    /// [`RegisterError`] for anything but a valid model.
    pub fn register(&mut self, bytes: &[u8]) -> Result<ModelHandle, RegisterError> {
        let file = ModelFile::from_bytes(bytes)?;
        let known = self.models.get(&file.id());
        if let Some(handle) = known.filter(|h| !file.has_registration() || h.status != WeightStatus::Unchecked) {
            return Ok(handle.clone());
        }
        let known = &mut self.params;
        let handle = ModelHandle::from_file(file, |k| {
            if let Some(params) = known.get(&k) {
                return Ok(Arc::clone(params));
            }
            let params = Arc::new(params::derive(k).map_err(|e| RegisterError::Keygen(e.to_string()))?);
            known.insert(k, Arc::clone(&params));
            Ok(params)
        })?;
        self.models.insert(handle.id(), handle.clone());
        Ok(handle)
    }

    /// Registers proofs of `size` inferences at once of a model, see [`ModelHandle::grouped`].
    ///
    /// # Errors
    /// [`RegisterError`] when so many do not fit a graph or a circuit of the model's layout.
    pub fn register_group(&mut self, model: &ModelHandle, size: u32) -> Result<ModelHandle, RegisterError> {
        let grouped = model.grouped(size)?;
        Ok(self.models.entry(grouped.id()).or_insert(grouped).clone())
    }

    /// The model that a statement names: a registered one, or a group of up to `largest` inferences of one, found by the
    /// shapes of the statement's inputs and registered then. A size that is seen for the first time costs as much as registering a model:
    /// where strangers send statements, choose the sizes with [`Registry::register_group`] instead.
    ///
    /// # Errors
    /// [`RegisterError`] when there are no such groups.
    pub fn find(&mut self, statement: &Statement, largest: u32) -> Result<Option<ModelHandle>, RegisterError> {
        if let Some(handle) = self.models.get(&statement.model_id) {
            return Ok(Some(handle.clone()));
        }
        let shapes = || statement.inputs.iter().map(|entry| entry.shape.as_slice());
        let known: Vec<ModelHandle> = self.models.values().filter(|m| m.group().is_none()).cloned().collect();
        for model in known {
            let Some(size) = model.graph().group_size(shapes()).filter(|size| *size <= largest) else { continue };
            // Nothing is compiled for another model's statement.
            let file = model.group_file(size)?;
            if file.id() == statement.model_id {
                let grouped = model.of_group(file, size)?;
                self.models.insert(grouped.id(), grouped.clone());
                return Ok(Some(grouped));
            }
        }
        Ok(None)
    }

    /// A registered model.
    #[must_use]
    pub fn get(&self, id: &ModelId) -> Option<&ModelHandle> {
        self.models.get(id)
    }
}

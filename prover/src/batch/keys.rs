//! Keys for groups of every size that a batch needs.

use crate::{
    error::ProveError,
    keys::{PointsOrigin, ProverModel},
};
use halo2_proofs::poly::commitment::Params;
use pasta_curves::EqAffine;
use std::sync::{Arc, Mutex, PoisonError};
use zkonnx_circuits::{
    compiled::CompiledModel,
    cost::{predict, Cost},
    lower::Modes,
};
use zkonnx_quantize::model::QuantizedModel;
use zkonnx_verifier::{registry::ModelHandle, zkv::VerifierModel};

/// What every proof of a size is made and verified with.
#[derive(Debug)]
pub struct Keys {
    /// The prover's.
    pub prover: ProverModel,
    /// The verifier's.
    pub handle: ModelHandle,
}

/// Keys of a model for one inference, for groups of the wanted size, and for whatever else was needed last: the end of the inputs, and groups
/// with a bad item.
#[derive(Debug)]
pub struct KeysBySize {
    single: Arc<Keys>,
    full: Arc<Keys>,
    size: usize,
    other: Mutex<Option<(usize, Arc<Keys>)>>,
}

impl KeysBySize {
    /// Keys of a model, and of `size` inferences of it in one proof; with the points of a `model.zkv`, where they are those of the weights
    /// ([`ProverModel::with_points`]).
    ///
    /// # Errors
    /// [`ProveError`] when there are no keys, or that many do not fit.
    pub fn new(
        model: QuantizedModel,
        size: usize,
        params: Arc<Params<EqAffine>>,
        known: Option<&VerifierModel>,
    ) -> Result<(Self, PointsOrigin), ProveError> {
        let modes = Modes::public(&model.graph);
        let (prover, origin) = ProverModel::with_points(model, modes, params, known)?;
        let handle = prover.register()?;
        let single = Arc::new(Keys { prover, handle });
        let full = if size > 1 { make(size, &single)? } else { Arc::clone(&single) };
        Ok((Self { single, full, size, other: Mutex::new(None) }, origin))
    }

    /// The wanted size of groups.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// Keys for one inference.
    #[must_use]
    pub fn single(&self) -> &Arc<Keys> {
        &self.single
    }

    /// Keys for groups of the wanted size.
    #[must_use]
    pub fn full(&self) -> &Arc<Keys> {
        &self.full
    }

    /// Keys for a number of inferences in one proof.
    ///
    /// # Errors
    /// [`ProveError`] when that many do not fit.
    pub fn of(&self, size: usize) -> Result<Arc<Keys>, ProveError> {
        if size == 1 {
            return Ok(Arc::clone(&self.single));
        }
        if size == self.size {
            return Ok(Arc::clone(&self.full));
        }
        // Whoever else needs this size waits for it.
        let mut other = self.other.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, keys)) = other.as_ref().filter(|(known, _)| *known == size) {
            return Ok(Arc::clone(keys));
        }
        let keys = make(size, &self.single)?;
        *other = Some((size, Arc::clone(&keys)));
        Ok(keys)
    }
}

fn make(size: usize, single: &Keys) -> Result<Arc<Keys>, ProveError> {
    let size = u32::try_from(size).unwrap_or(u32::MAX);
    Ok(Arc::new(Keys { prover: single.prover.grouped(size)?, handle: single.handle.grouped(size)? }))
}

/// The predicted cost of a proof of `size` inferences, or nothing when that many do not fit.
#[must_use]
pub fn predict_group(model: &QuantizedModel, size: usize) -> Option<Cost> {
    let graph = Arc::new(model.graph.grouped(u32::try_from(size).ok()?).ok()?);
    let modes = Modes::public(&graph);
    CompiledModel::new(graph, modes, model.layout).ok().map(|compiled| predict(&compiled))
}

/// The largest group up to `size` that fits one proof; at least 1.
#[must_use]
pub fn largest_group(model: &QuantizedModel, size: usize) -> usize {
    // What fits is an interval from 1 on.
    let (mut fits, mut fails) = (1, size.saturating_add(1));
    while fails - fits > 1 {
        let middle = fits + (fails - fits) / 2;
        if predict_group(model, middle).is_some() {
            fits = middle;
        } else {
            fails = middle;
        }
    }
    fits
}

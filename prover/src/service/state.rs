//! What all requests share.

use super::{error::ApiError, gate::Gate, metrics::Metrics, queue::Queue, Config};
use crate::params_cache;
use axum::http::StatusCode;
use halo2_proofs::poly::commitment::Params;
use pasta_curves::EqAffine;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};
use zkonnx_verifier::{
    codes::ErrorCode,
    error::RegisterError,
    registry::{ModelHandle, WeightStatus},
    replay::MemoryReplayGuard,
    statement::ModelId,
    zkv::ModelFile,
};

/// What all requests share; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct App(Arc<Shared>);

/// The parts of [`App`].
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) gate: Gate,
    pub(super) metrics: Metrics,
    /// The queue of jobs that is shown.
    pub(super) queue: Option<Queue>,
    /// Which jobs were settled.
    pub(super) guard: Option<MemoryReplayGuard>,
    models: RwLock<BTreeMap<ModelId, ModelHandle>>,
    params: Mutex<BTreeMap<u32, Arc<Params<EqAffine>>>>,
}

impl std::ops::Deref for App {
    type Target = Shared;
    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl App {
    pub(super) fn new(config: Config) -> Result<Self, prometheus::Error> {
        Ok(Self(Arc::new(Shared {
            gate: Gate::new(config.workers, config.queue),
            metrics: Metrics::new()?,
            queue: config.store.clone().map(Queue::new),
            guard: config.max_jobs.map(MemoryReplayGuard::with_limit),
            models: RwLock::default(),
            params: Mutex::default(),
            config,
        })))
    }
}

impl Shared {
    /// A registered model.
    pub(super) fn model(&self, id: &ModelId) -> Option<ModelHandle> {
        self.models.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// All registered models.
    pub(super) fn models(&self) -> Vec<ModelHandle> {
        self.models.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    pub(super) fn num_models(&self) -> usize {
        self.models.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Registers the bytes of a `.zkv`; `true` if the model is new. Takes seconds when parameters have to be derived.
    pub(super) fn register(&self, bytes: &[u8]) -> Result<(ModelHandle, bool), ApiError> {
        let refused = |error: RegisterError| {
            let status = match error {
                RegisterError::Decode(_) => StatusCode::BAD_REQUEST,
                _ => StatusCode::UNPROCESSABLE_ENTITY,
            };
            ApiError::new(status, error.code(), error.to_string())
        };
        let file = ModelFile::from_bytes(bytes).map_err(|e| refused(e.into()))?;
        let says_all = |known: &ModelHandle| known.weight_status() != WeightStatus::Unchecked;
        let known = self.model(&file.id());
        if let Some(known) = known.filter(|known| !file.has_registration() || says_all(known)) {
            return Ok((known, false));
        }
        let full = || {
            let message = format!("{} models are registered, as many as are allowed", self.config.max_models);
            ApiError::new(StatusCode::INSUFFICIENT_STORAGE, "too_many_models", message)
        };
        if self.num_models() >= self.config.max_models && self.model(&file.id()).is_none() {
            return Err(full());
        }
        let handle = ModelHandle::from_file(file, |k| self.params(k)).map_err(refused)?;
        let mut models = self.models.write().unwrap_or_else(PoisonError::into_inner);
        if models.len() >= self.config.max_models && !models.contains_key(&handle.id()) {
            return Err(full());
        }
        if let Some(better) = models.get(&handle.id()).filter(|known| says_all(known)) {
            return Ok((better.clone(), false));
        }
        let is_new = models.insert(handle.id(), handle.clone()).is_none();
        Ok((handle, is_new))
    }

    /// Parameters for `k`, derived by one request while others that need them wait.
    fn params(&self, k: u32) -> Result<Arc<Params<EqAffine>>, RegisterError> {
        let mut known: MutexGuard<'_, BTreeMap<_, _>> = self.params.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(params) = known.get(&k) {
            return Ok(Arc::clone(params));
        }
        let (params, origin) =
            params_cache::load(&self.config.params, k).map_err(|e| RegisterError::Keygen(e.to_string()))?;
        tracing::info!(k, ?origin, "parameters");
        let params = Arc::new(params);
        known.insert(k, Arc::clone(&params));
        Ok(params)
    }
}

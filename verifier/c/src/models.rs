//! Registries and models.

use crate::{
    code::Failure,
    guard::guarded,
    pointers::{give, reference, slice, take, write, write_bytes},
    ZkonnxCode,
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use zkonnx_verifier::{
    params,
    registry::{ModelHandle, Registry},
    statement::ModelId,
    zkv::VerifierModel,
};

/// Registered models, and parameters of the commitment scheme. Any thread may use it, and many at once.
#[derive(Debug)]
pub struct ZkonnxRegistry(Mutex<Registry>);

impl ZkonnxRegistry {
    fn lock(&self) -> MutexGuard<'_, Registry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A registered model. Any thread may use it, and many at once; it outlives its registry.
#[derive(Debug)]
pub struct ZkonnxModel(pub(crate) ModelHandle);

/// Makes an empty registry, to be freed with `zkonnx_registry_free`.
///
/// # Safety
/// `registry` is null or has room for a pointer.
#[no_mangle]
pub unsafe extern "C" fn zkonnx_registry_new(registry: *mut *mut ZkonnxRegistry) -> ZkonnxCode {
    guarded(|| {
        // SAFETY: as the caller promises.
        unsafe { give("registry", registry, ZkonnxRegistry(Mutex::new(Registry::new()))) }
    })
}

/// Frees a registry, and sets the caller's pointer to null: a second call with the same variable does nothing.
///
/// # Safety
/// `registry` is null, or points to null or a handle of this library that is not freed. No other copy of the handle is used afterwards, or
/// at the same time.
#[no_mangle]
pub unsafe extern "C" fn zkonnx_registry_free(registry: *mut *mut ZkonnxRegistry) {
    guarded(|| {
        // SAFETY: as the caller promises.
        drop(unsafe { take(registry) });
        Ok(())
    });
}

/// Makes cached parameters known, so that they need not be derived: a second at `k` = 11, and twice as long for each one more. Only
/// the bytes that everyone derives are accepted.
///
/// # Safety
/// `registry` is null or a handle of this library that is not freed; `bytes` is null or points to `length` bytes.
#[no_mangle]
pub unsafe extern "C" fn zkonnx_registry_insert_params(
    registry: *const ZkonnxRegistry,
    k: u32,
    bytes: *const u8,
    length: usize,
) -> ZkonnxCode {
    guarded(|| {
        // SAFETY: as the caller promises.
        let registry = unsafe { reference("registry", registry) }?;
        // SAFETY: as the caller promises.
        let bytes = unsafe { slice("bytes", bytes, length) }?;
        let params = params::read(k, bytes)?;
        registry.lock().insert_params(Arc::new(params));
        Ok(())
    })
}

/// Registers the bytes of a `.zkv` file, and checks everything about it. The same bytes give the same model. The model
/// is freed with `zkonnx_model_free`.
///
/// # Safety
/// `registry` is null or a handle of this library that is not freed; `bytes` is null or points to `length` bytes; `model` is null or has
/// room for a pointer.
#[no_mangle]
pub unsafe extern "C" fn zkonnx_registry_register(
    registry: *const ZkonnxRegistry,
    bytes: *const u8,
    length: usize,
    model: *mut *mut ZkonnxModel,
) -> ZkonnxCode {
    guarded(|| {
        // SAFETY: as the caller promises.
        unsafe { write("model", model, std::ptr::null_mut()) }?;
        // SAFETY: as the caller promises.
        let registry = unsafe { reference("registry", registry) }?;
        // SAFETY: as the caller promises.
        let bytes = unsafe { slice("bytes", bytes, length) }?;
        let handle = registry.lock().register(bytes)?;
        // SAFETY: as the caller promises.
        unsafe { give("model", model, ZkonnxModel(handle)) }
    })
}

/// Finds a registered model by its id. The model is freed with `zkonnx_model_free`.
///
/// # Safety
/// `registry` is null or a handle of this library that is not freed; `id` is null or points to 32 bytes; `model` is null or has room for
/// a pointer.
#[no_mangle]
pub unsafe extern "C" fn zkonnx_registry_find(
    registry: *const ZkonnxRegistry,
    id: *const u8,
    model: *mut *mut ZkonnxModel,
) -> ZkonnxCode {
    guarded(|| {
        // SAFETY: as the caller promises.
        unsafe { write("model", model, std::ptr::null_mut()) }?;
        // SAFETY: as the caller promises.
        let registry = unsafe { reference("registry", registry) }?;
        // SAFETY: as the caller promises; any 32 bytes are an id.
        let id = ModelId(*unsafe { reference("id", id.cast::<[u8; 32]>()) }?);
        let found = registry.lock().get(&id).cloned();
        let unknown = || Failure::new(ZkonnxCode::UnknownModel, format!("model {id} is not registered"));
        // SAFETY: as the caller promises.
        unsafe { give("model", model, ZkonnxModel(found.ok_or_else(unknown)?)) }
    })
}

/// Frees a model, and sets the caller's pointer to null: a second call with the same variable does nothing.
///
/// # Safety
/// `model` is null, or points to null or a handle of this library that is not freed. No other copy of the handle is used afterwards, or at
/// the same time.
#[no_mangle]
pub unsafe extern "C" fn zkonnx_model_free(model: *mut *mut ZkonnxModel) {
    guarded(|| {
        // SAFETY: as the caller promises.
        drop(unsafe { take(model) });
        Ok(())
    });
}

/// Writes the model's id: 32 bytes, the digest of its `.zkv` file.
///
/// # Safety
/// `model` is null or a handle of this library that is not freed; `id` is null or has room for 32 bytes.
#[no_mangle]
pub unsafe extern "C" fn zkonnx_model_id(model: *const ZkonnxModel, id: *mut u8) -> ZkonnxCode {
    guarded(|| {
        // SAFETY: as the caller promises.
        let model = unsafe { reference("model", model) }?;
        // SAFETY: as the caller promises.
        unsafe { write("id", id.cast::<[u8; 32]>(), model.0.id().0) }
    })
}

/// Writes the parameters that the model uses, to be kept for `zkonnx_registry_insert_params`. `needed` gets their length: ask for it
/// with a null buffer, which is answered with the code for a buffer that is too small.
///
/// # Safety
/// `model` is null or a handle of this library that is not freed; `buffer` is null or has room for `length` bytes; `needed` is null or has
/// room for a number.
#[no_mangle]
pub unsafe extern "C" fn zkonnx_model_params(
    model: *const ZkonnxModel,
    buffer: *mut u8,
    length: usize,
    needed: *mut usize,
) -> ZkonnxCode {
    guarded(|| {
        // SAFETY: as the caller promises.
        let model = unsafe { reference("model", model) }?;
        let bytes = params::write(model.0.params());
        // SAFETY: as the caller promises.
        unsafe { write("needed", needed, bytes.len()) }?;
        if buffer.is_null() || length < bytes.len() {
            let message = format!("parameters have {} bytes", bytes.len());
            return Err(Failure::new(ZkonnxCode::BufferTooSmall, message));
        }
        // SAFETY: not null, with room for them.
        unsafe { write_bytes(buffer, &bytes) };
        Ok(())
    })
}

/// The `k` of a `.zkv` file's parameters: what to look for in a cache before it is registered.
///
/// # Safety
/// `bytes` is null or points to `length` bytes; `k` is null or has room for a number.
#[no_mangle]
pub unsafe extern "C" fn zkonnx_zkv_k(bytes: *const u8, length: usize, k: *mut u32) -> ZkonnxCode {
    guarded(|| {
        // SAFETY: as the caller promises.
        let bytes = unsafe { slice("bytes", bytes, length) }?;
        let model = VerifierModel::from_bytes(bytes)?;
        // SAFETY: as the caller promises.
        unsafe { write("k", k, model.layout.k.into()) }
    })
}

//! Verification.

use crate::{
    expected::{self, ZkonnxContext, ZkonnxExpected},
    guard::guarded,
    models::ZkonnxModel,
    pointers::{give, reference, slice, take, write},
    tensors::Tensors,
    ZkonnxCode,
};
use zkonnx_verifier::{proof_file::ProofFile, statement::Context, verify, verify::Verified};

/// The time for callers without a clock: nothing is ever expired.
pub const ZKONNX_NO_CLOCK: u64 = u64::MAX;

pub(crate) fn time(now: u64) -> Option<u64> {
    (now != ZKONNX_NO_CLOCK).then_some(now)
}

/// A proof that was accepted, with what it states. Any thread may use it, and many at once.
#[derive(Debug)]
pub struct ZkonnxVerified {
    verified: Verified,
    context: Context,
    pub(crate) tensors: Tensors,
}

/// Verifies a proof file: its statement is the expected one, and true. The result is freed with `zkonnx_verified_free`;
/// it is null unless the code is zero. `verified` itself may be null for callers whom the code is enough.
///
/// `now` is the time in seconds since 1970, or `ZKONNX_NO_CLOCK`. Whether the job was settled before is the caller's to know.
///
/// # Safety
/// `model` is null or a handle of this library that is not freed; `proof` is null or points to `length` bytes; `expected` is null or
/// valid, its pointers too; `verified` is null or has room for a pointer.
#[no_mangle]
pub unsafe extern "C" fn zkonnx_verify(
    model: *const ZkonnxModel,
    proof: *const u8,
    length: usize,
    now: u64,
    expected: *const ZkonnxExpected,
    verified: *mut *mut ZkonnxVerified,
) -> ZkonnxCode {
    guarded(|| {
        if !verified.is_null() {
            // SAFETY: as the caller promises.
            unsafe { write("verified", verified, std::ptr::null_mut()) }?;
        }
        // SAFETY: as the caller promises.
        let model = unsafe { reference("model", model) }?;
        // SAFETY: as the caller promises.
        let proof = unsafe { slice("proof", proof, length) }?;
        // SAFETY: as the caller promises.
        let expected = unsafe { expected::read(expected) }?;
        let file = ProofFile::from_bytes(proof)?;
        let accepted = verify::verify(&model.0, &file.statement, &file.proof, time(now))?;
        expected.check(&file.statement)?;
        if verified.is_null() {
            return Ok(());
        }
        let tensors = Tensors::new(model.0.graph(), &file.statement);
        let result = ZkonnxVerified { verified: accepted, context: file.statement.context, tensors };
        // SAFETY: as the caller promises.
        unsafe { give("verified", verified, result) }
    })
}

/// Frees a result, and sets the caller's pointer to null: a second call with the same variable does nothing.
///
/// # Safety
/// `verified` is null, or points to null or a handle of this library that is not freed. No other copy of the handle, and nothing that was
/// borrowed from it, is used afterwards, or at the same time.
#[no_mangle]
pub unsafe extern "C" fn zkonnx_verified_free(verified: *mut *mut ZkonnxVerified) {
    guarded(|| {
        // SAFETY: as the caller promises.
        drop(unsafe { take(verified) });
        Ok(())
    });
}

/// Writes the digest of the statement that is true: 32 bytes.
///
/// # Safety
/// `verified` is null or a handle of this library that is not freed; `digest` is null or has room for 32 bytes.
#[no_mangle]
pub unsafe extern "C" fn zkonnx_verified_statement_digest(
    verified: *const ZkonnxVerified,
    digest: *mut u8,
) -> ZkonnxCode {
    guarded(|| {
        // SAFETY: as the caller promises.
        let verified = unsafe { reference("verified", verified) }?;
        // SAFETY: as the caller promises.
        unsafe { write("digest", digest.cast::<[u8; 32]>(), verified.verified.statement_digest().0) }
    })
}

/// Writes the id of the model that the statement is about: 32 bytes.
///
/// # Safety
/// `verified` is null or a handle of this library that is not freed; `id` is null or has room for 32 bytes.
#[no_mangle]
pub unsafe extern "C" fn zkonnx_verified_model_id(verified: *const ZkonnxVerified, id: *mut u8) -> ZkonnxCode {
    guarded(|| {
        // SAFETY: as the caller promises.
        let verified = unsafe { reference("verified", verified) }?;
        // SAFETY: as the caller promises.
        unsafe { write("id", id.cast::<[u8; 32]>(), verified.verified.model_id().0) }
    })
}

/// Writes the context of the statement.
///
/// # Safety
/// `verified` is null or a handle of this library that is not freed; `context` is null or has room for one.
#[no_mangle]
pub unsafe extern "C" fn zkonnx_verified_context(
    verified: *const ZkonnxVerified,
    context: *mut ZkonnxContext,
) -> ZkonnxCode {
    guarded(|| {
        // SAFETY: as the caller promises.
        let verified = unsafe { reference("verified", verified) }?;
        // SAFETY: as the caller promises.
        unsafe { write("context", context, verified.context.into()) }
    })
}

//! Verification of many proofs at once.

use crate::{
    code::Failure,
    expected::{self, ZkonnxExpected},
    guard::guarded,
    models::ZkonnxModel,
    pointers::{reference, slice, write_item},
    proofs::time,
    ZkonnxCode,
};
use zkonnx_verifier::{
    batch::{verify_batch, BatchItem},
    expected::Expected,
    proof_file::ProofFile,
    registry::ModelHandle,
};

/// One proof of a batch.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ZkonnxBatchItem {
    /// The model, registered. Models of one registry are verified faster together.
    pub model: *const ZkonnxModel,
    /// A proof file.
    pub proof: *const u8,
    /// Its bytes.
    pub length: usize,
    /// Null, or what is expected of the statement.
    pub expected: *const ZkonnxExpected,
}

/// A proof that can be looked at.
struct Candidate<'a> {
    handle: &'a ModelHandle,
    file: ProofFile,
    expected: Expected,
}

impl Candidate<'_> {
    /// # Safety
    /// The item's pointers are null or valid.
    unsafe fn new(item: &ZkonnxBatchItem) -> Result<Self, Failure> {
        // SAFETY: as the caller promises.
        let model = unsafe { reference("model", item.model) }?;
        // SAFETY: as the caller promises.
        let proof = unsafe { slice("proof", item.proof, item.length) }?;
        // SAFETY: as the caller promises.
        let expected = unsafe { expected::read(item.expected) }?;
        Ok(Self { handle: &model.0, file: ProofFile::from_bytes(proof)?, expected })
    }
}

/// Verifies `count` proofs; `codes` gets the code of each, the one that `zkonnx_verify` would give. The code that is returned is zero only
/// if all of them are.
///
/// # Safety
/// `items` is null or points to `count` items whose pointers are null or valid; `codes` is null or has room for `count` codes.
#[no_mangle]
pub unsafe extern "C" fn zkonnx_verify_batch(
    items: *const ZkonnxBatchItem,
    count: usize,
    now: u64,
    codes: *mut ZkonnxCode,
) -> ZkonnxCode {
    guarded(|| {
        // SAFETY: as the caller promises.
        let items = unsafe { slice("items", items, count) }?;
        for place in 0..count {
            // SAFETY: as the caller promises.
            unsafe { write_item("codes", codes, place, ZkonnxCode::NotAccepted) }?;
        }
        let candidates: Vec<Result<Candidate<'_>, Failure>> = items
            .iter()
            // SAFETY: as the caller promises.
            .map(|item| unsafe { Candidate::new(item) })
            .collect();
        let batch: Vec<BatchItem<'_>> = candidates
            .iter()
            .flatten()
            .map(|c| BatchItem { handle: c.handle, statement: &c.file.statement, proof: &c.file.proof })
            .collect();
        let mut verdicts = verify_batch(&batch, time(now)).into_iter();
        let mut failed = 0;
        for (place, candidate) in candidates.iter().enumerate() {
            let code = match candidate {
                Err(failure) => failure.code,
                Ok(candidate) => match verdicts.next() {
                    Some(Ok(_)) => {
                        let unexpected = candidate.expected.check(&candidate.file.statement).err();
                        unexpected.map_or(ZkonnxCode::Ok, |error| Failure::from(error).code)
                    }
                    Some(Err(error)) => Failure::from(error).code,
                    None => ZkonnxCode::Internal,
                },
            };
            failed += usize::from(code != ZkonnxCode::Ok);
            // SAFETY: as the caller promises.
            unsafe { write_item("codes", codes, place, code) }?;
        }
        if failed > 0 {
            let message = format!("{failed} of {count} proofs are not accepted");
            return Err(Failure::new(ZkonnxCode::NotAllAccepted, message));
        }
        Ok(())
    })
}

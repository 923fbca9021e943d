//! Contexts, and what a caller expects of a statement.

use crate::{code::Failure, pointers::reference};
use zkonnx_verifier::{expected::Expected, statement::Context};

/// For whom, when and how often a proof counts.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZkonnxContext {
    /// Application or chain.
    pub domain: [u8; 32],
    /// The job, unique within the domain.
    pub job_id: [u8; 32],
    /// Who asked.
    pub requester: [u8; 32],
    /// Who is paid.
    pub payee: [u8; 32],
    /// Free for the application.
    pub nonce: u64,
    /// Last valid second, in Unix time; 0 means for ever.
    pub not_after: u64,
}

impl From<Context> for ZkonnxContext {
    fn from(context: Context) -> Self {
        let Context { domain, job_id, nonce, requester, payee, not_after } = context;
        Self { domain, job_id, requester, payee, nonce, not_after }
    }
}

/// What the caller expects of a statement. All zero bytes: anything, but outputs that are not hidden. Name at least the payee
/// and the job before you pay for a proof.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ZkonnxExpected {
    /// 32 bytes; null: any domain.
    pub domain: *const u8,
    /// 32 bytes; null: any job.
    pub job_id: *const u8,
    /// 32 bytes; null: anyone.
    pub requester: *const u8,
    /// 32 bytes; null: anyone.
    pub payee: *const u8,
    /// Null: any nonce.
    pub nonce: *const u64,
    /// Not zero: hidden outputs will do, and the statement may say next to nothing.
    pub allow_hidden_outputs: u8,
    /// Not zero: hidden inputs will not do.
    pub refuse_hidden_inputs: u8,
}

/// What a caller expects; null expects nothing.
///
/// # Safety
/// `expected` is null or valid, with pointers that are null or valid.
pub(crate) unsafe fn read(expected: *const ZkonnxExpected) -> Result<Expected, Failure> {
    if expected.is_null() {
        return Ok(Expected::default());
    }
    // SAFETY: as the caller promises.
    let expected = unsafe { reference("expected", expected) }?;
    let field = |bytes: *const u8| {
        // SAFETY: null, or 32 bytes as the caller promises.
        unsafe { bytes.cast::<[u8; 32]>().as_ref() }.copied()
    };
    Ok(Expected {
        domain: field(expected.domain),
        job_id: field(expected.job_id),
        requester: field(expected.requester),
        payee: field(expected.payee),
        // SAFETY: null, or a number as the caller promises.
        nonce: unsafe { expected.nonce.as_ref() }.copied(),
        allow_hidden_outputs: expected.allow_hidden_outputs != 0,
        refuse_hidden_inputs: expected.refuse_hidden_inputs != 0,
    })
}

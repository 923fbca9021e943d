//! The boundary: nothing unwinds across it.

use crate::{code::Failure, message::remember, ZkonnxCode};
use std::panic::{catch_unwind, AssertUnwindSafe};

/// Runs the body of a function of the interface.
///
/// State that a panic could leave half made is behind locks whose data stays valid at every step.
pub(crate) fn guarded(body: impl FnOnce() -> Result<(), Failure>) -> ZkonnxCode {
    let result = catch_unwind(AssertUnwindSafe(body));
    remember(result.unwrap_or_else(|panic| {
        // What was thrown could throw when dropped.
        std::mem::forget(panic);
        Err(Failure::new(ZkonnxCode::Internal, "internal error: the library panicked"))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_code() {
        assert_eq!(guarded(|| panic!("on purpose")), ZkonnxCode::Internal);
        assert_eq!(guarded(|| Ok(())), ZkonnxCode::Ok);
    }
}

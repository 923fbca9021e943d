//! The context of a statement, as a JSON file.

use super::{files, Failure};
use std::path::Path;
use zkonnx_verifier::statement::Context;

/// Reads a context file; without one, everything is zero.
pub(super) fn read(path: Option<&Path>) -> Result<Context, Failure> {
    let Some(path) = path else { return Ok(Context::default()) };
    Context::from_json(&files::read(path)?).map_err(|e| {
        Failure::at(path, e).hint("fields: domain, job_id, requester, payee (64 hex digits), nonce, not_after")
    })
}

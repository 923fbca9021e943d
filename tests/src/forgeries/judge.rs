//! Verifiers, whole and without some checks, decide about forgeries.

use super::Attempt;
use crate::setup::params;
use std::sync::{Mutex, OnceLock};
use zkonnx_verifier::checks::Check;

/// How a verifier decides about an attempt: nothing, or where it says no.
macro_rules! judge {
    ($visibility:vis $name:ident, $verifier:ident, $strictly:expr) => {
        /// Decides about an attempt.
        ///
        /// # Errors
        /// Where the verifier says no.
        $visibility fn $name(attempt: &Attempt) -> Result<(), String> {
            use $verifier::{
                batch::{verify_batch, BatchItem},
                error::VerifyError,
                proof_file::ProofFile,
                receipt::{Receipt, ReceiptError},
                registry::Registry,
                verify::verify,
            };
            static KNOWN_MODELS: OnceLock<Mutex<Registry>> = OnceLock::new();
            let new = || {
                let mut registry = Registry::new();
                (4..=8).for_each(|k| registry.insert_params(params(k)));
                registry
            };
            let step = |error: VerifyError| match error {
                VerifyError::Malformed(_) => "malformed".to_owned(),
                VerifyError::Length { .. } => "length".to_owned(),
                VerifyError::Rejected { step, .. } => step.to_string(),
                VerifyError::UnknownModel { .. } => "model".to_owned(),
                VerifyError::WrongVersion { .. } => "version".to_owned(),
                VerifyError::Expired { .. } => "expired".to_owned(),
                other => other.to_string(),
            };
            let register = |zkv: &[u8]| new().register(zkv).map_err(|_| "register".to_owned());
            // What no check refuses is registered once.
            let known = |zkv: &[u8]| {
                let known = KNOWN_MODELS.get_or_init(|| Mutex::new(new()));
                $strictly(|| known.lock().expect("no panic while registering").register(zkv)).or_else(|_| register(zkv))
            };
            match attempt {
                Attempt::Register { zkv } => register(zkv).map(|_| ()),
                Attempt::Recompute { zkv, weights } => {
                    register(zkv)?.recompute(weights).map(|_| ()).map_err(|_| "recompute".to_owned())
                }
                Attempt::Params { k, bytes } => {
                    $verifier::params::read(*k, bytes).map(|_| ()).map_err(|_| "params".to_owned())
                }
                Attempt::Receipt { zkv, receipt } => {
                    let receipt = Receipt::from_bytes(receipt).map_err(|_| "malformed".to_owned())?;
                    receipt.verify(&known(zkv)?, None).map(|_| ()).map_err(|e| match e {
                        ReceiptError::Metering { .. } => "metering".to_owned(),
                        other => other.to_string(),
                    })
                }
                Attempt::Batch { zkv, files } => {
                    let handle = known(zkv)?;
                    let files: Result<Vec<_>, _> = files.iter().map(|file| ProofFile::from_bytes(file)).collect();
                    let files = files.map_err(|_| "malformed".to_owned())?;
                    let items = files.iter().map(|file| BatchItem {
                        handle: &handle,
                        statement: &file.statement,
                        proof: &file.proof,
                    });
                    verify_batch(&items.collect::<Vec<_>>(), None)
                        .into_iter()
                        .try_for_each(|v| v.map(|_| ()).map_err(step))
                }
                Attempt::Proof { zkv, file, now } => {
                    let handle = known(zkv)?;
                    let file = ProofFile::from_bytes(file).map_err(|_| "malformed".to_owned())?;
                    verify(&handle, &file.statement, &file.proof, *now).map(|_| ()).map_err(step)
                }
            }
        }
    };
}

fn plainly<R>(action: impl FnOnce() -> R) -> R {
    action()
}
fn with_every_check<R>(action: impl FnOnce() -> R) -> R {
    zkonnx_weakened_verifier::checks::without(&[], action)
}
judge!(pub strict, zkonnx_verifier, plainly);
judge!(weakened, zkonnx_weakened_verifier, with_every_check);

/// Decides about an attempt without some checks.
///
/// # Errors
/// Where the verifier says no all the same.
pub fn without(checks: &[Check], attempt: &Attempt) -> Result<(), String> {
    use zkonnx_weakened_verifier::checks::{without, Check as Weakened};
    // The same sources: the same checks in the same order.
    let checks: Vec<Weakened> = checks.iter().map(|c| Weakened::ALL[*c as usize]).collect();
    without(&checks, || weakened(attempt))
}

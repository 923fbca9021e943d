//! Single verification against a batch.

use super::{measure::BenchError, statistics::median};
use crate::{keys::ProverModel, prove::prove};
use serde::{Deserialize, Serialize};
use std::{fmt, time::Instant};
use zkonnx_verifier::{
    batch::{verify_batch, BatchItem},
    registry::ModelHandle,
    statement::Context,
    verify::verify,
};

/// What verifying the same proofs takes, with some number of threads.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BatchTimes {
    /// Number of proofs.
    pub proofs: usize,
    /// Threads.
    pub threads: usize,
    /// Median seconds of verifying one of them alone: of all, one by one, divided by their number.
    pub single_seconds_each: f64,
    /// Median seconds of one batch of all, divided by their number.
    pub batch_seconds_each: f64,
    /// `batch_seconds_each / single_seconds_each`.
    pub ratio: f64,
}

impl fmt::Display for BatchTimes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "verify {} proofs, threads: {}; each {:.3} ms alone, {:.3} ms in a batch, ratio {:.3}",
            self.proofs,
            self.threads,
            self.single_seconds_each * 1e3,
            self.batch_seconds_each * 1e3,
            self.ratio
        )
    }
}

/// Makes `count` proofs and measures, single and batch in turn, with one thread and with all of the caller's pool.
///
/// # Errors
/// [`BenchError`] when a proof fails or is refused.
pub fn measure(
    prover: &ProverModel,
    handle: &ModelHandle,
    (inputs, count): (&[Vec<Vec<i64>>], usize),
    runs: usize,
) -> Result<Vec<BatchTimes>, BenchError> {
    // Copies of one proof would share their points.
    let mut proofs = Vec::new();
    for (nonce, inputs) in (0..).zip(inputs.iter().cycle().take(count)) {
        proofs.push(prove(prover, inputs, Context { nonce, ..Context::default() })?);
    }
    let items: Vec<BatchItem<'_>> =
        proofs.iter().map(|(statement, proof)| BatchItem { handle, statement, proof }).collect();
    let mut threads = vec![1, rayon::current_num_threads()];
    threads.dedup();
    threads.into_iter().map(|threads| measure_with(&items, threads, runs)).collect()
}

fn measure_with(items: &[BatchItem<'_>], threads: usize, runs: usize) -> Result<BatchTimes, BenchError> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    pool.install(|| {
        let (mut single, mut batch) = (Vec::new(), Vec::new());
        for _ in 0..runs {
            let started = Instant::now();
            for item in items {
                verify(item.handle, item.statement, item.proof, None)?;
            }
            single.push(started.elapsed().as_secs_f64());
            let started = Instant::now();
            let verdicts = verify_batch(items, None);
            batch.push(started.elapsed().as_secs_f64());
            verdicts.into_iter().collect::<Result<Vec<_>, _>>()?;
        }
        #[allow(clippy::cast_precision_loss)] // few proofs
        let each = |seconds: &[f64]| median(seconds) / items.len() as f64;
        let (single, batch) = (each(&single), each(&batch));
        Ok(BatchTimes {
            proofs: items.len(),
            threads,
            single_seconds_each: single,
            batch_seconds_each: batch,
            ratio: batch / single,
        })
    })
}

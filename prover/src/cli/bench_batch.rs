//! Single verification against a batch, for `zkonnx bench --batch`.

use super::{stages::median, Failure};
use crate::{keys::ProverModel, prove::prove};
use std::{fmt, time::Instant};
use zkonnx_verifier::{
    batch::{verify_batch, BatchItem},
    registry::ModelHandle,
    statement::Context,
    verify::verify,
};

/// What verifying the same proofs takes, with some number of threads.
#[derive(Debug)]
pub(super) struct BatchTimes {
    proofs: usize,
    threads: usize,
    /// Median seconds of verifying all of them one by one.
    single: f64,
    /// Median seconds of one batch of all.
    batch: f64,
}

impl BatchTimes {
    #[allow(clippy::cast_precision_loss)] // few proofs
    fn each(&self, seconds: f64) -> f64 {
        seconds / self.proofs as f64
    }

    pub(super) fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "proofs": self.proofs,
            "threads": self.threads,
            "single_seconds_each": self.each(self.single),
            "batch_seconds_each": self.each(self.batch),
            "ratio": self.batch / self.single,
        })
    }
}

impl fmt::Display for BatchTimes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "verify {} proofs, threads: {}; each {:.3} ms alone, {:.3} ms in a batch, ratio {:.3}",
            self.proofs,
            self.threads,
            self.each(self.single) * 1e3,
            self.each(self.batch) * 1e3,
            self.batch / self.single
        )
    }
}

/// Makes `count` proofs and measures, single and batch in turn, with one thread and with all.
pub(super) fn measure(
    prover: &ProverModel,
    handle: &ModelHandle,
    (inputs, count): (&[Vec<Vec<i64>>], usize),
    runs: usize,
) -> Result<Vec<BatchTimes>, Failure> {
    // Copies of one proof would share their points.
    let mut proofs = Vec::new();
    for (nonce, inputs) in (0..).zip(inputs.iter().cycle().take(count)) {
        proofs.push(prove(prover, inputs, Context { nonce, ..Context::default() }).map_err(Failure::new)?);
    }
    let items: Vec<BatchItem<'_>> =
        proofs.iter().map(|(statement, proof)| BatchItem { handle, statement, proof }).collect();
    let mut threads = vec![1, rayon::current_num_threads()];
    threads.dedup();
    threads.into_iter().map(|threads| measure_with(&items, threads, runs)).collect()
}

fn measure_with(items: &[BatchItem<'_>], threads: usize, runs: usize) -> Result<BatchTimes, Failure> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().map_err(Failure::new)?;
    pool.install(|| {
        let (mut single, mut batch) = (Vec::new(), Vec::new());
        for _ in 0..runs {
            let started = Instant::now();
            for item in items {
                verify(item.handle, item.statement, item.proof, None).map_err(Failure::new)?;
            }
            single.push(started.elapsed());
            let started = Instant::now();
            let verdicts = verify_batch(items, None);
            batch.push(started.elapsed());
            verdicts.into_iter().collect::<Result<Vec<_>, _>>().map_err(Failure::new)?;
        }
        Ok(BatchTimes { proofs: items.len(), threads, single: median(&single), batch: median(&batch) })
    })
}

//! The workers of a batch.
//!
//! Every worker has a pool of threads of its own and takes the next group until there is none. Proofs are kept until a few can be verified together, which
//! costs a fraction of verifying each, and are published then.

use super::{
    context::context_of,
    error::{BatchError, ItemError},
    group::{prove_group, Attempt, Inference, Keys, Proven},
    output::{failed, OutputFolder},
    source::Source,
    summary::{Item, Status, Summary, Totals, SUMMARY},
};
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::{
    io::ErrorKind,
    path::Path,
    sync::{
        atomic::{AtomicUsize, Ordering},
        Mutex, PoisonError,
    },
    time::{Duration, Instant},
};
use zkonnx_quantize::data::quantise_input;
use zkonnx_verifier::{
    batch::{verify_batch, BatchItem},
    proof_file::ProofFile,
    statement::Context,
};

/// Items that a worker takes at once.
const GROUP: usize = 1;
/// Proofs that are verified together.
const VERIFIED_AT_ONCE: usize = 16;
/// No proof waits longer than this, and one more proof, to be verified and published.
const PATIENCE: Duration = Duration::from_secs(2);

/// How many proofs are made at once, and what that was made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Proofs at once.
    pub jobs: usize,
    /// All threads, which they share.
    pub threads: usize,
    /// Whether memory allows no more.
    pub limited: bool,
}

/// As many proofs at once as were asked for, or as there are threads (several proofs with a thread each take less time than one after the other with all
/// threads), while memory lasts; one in any case.
#[must_use]
pub fn plan(asked: Option<usize>, items: usize, threads: usize, memory: (Option<u64>, usize)) -> Plan {
    let (available, each) = memory;
    let fit = available.map_or(usize::MAX, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX) / each.max(1));
    let wanted = asked.unwrap_or(threads).min(items).max(1);
    let jobs = wanted.min(fit).max(1);
    Plan { jobs, threads: threads.max(jobs), limited: fit < wanted }
}

/// A batch that is ready to run.
#[derive(Debug)]
pub struct Run<'a> {
    /// What is proven and verified with.
    pub keys: &'a Keys,
    /// The items.
    pub source: &'a Source,
    /// Where the items come from, for the summary.
    pub inputs: &'a Path,
    /// Where proofs go.
    pub output: &'a OutputFolder,
    /// What the contexts of all items have in common.
    pub context: Context,
    /// Whether values outside of the declared range are refused.
    pub strict_range: bool,
    /// Workers and threads.
    pub plan: Plan,
}

/// What the workers share.
struct Shared<'a> {
    run: &'a Run<'a>,
    next: AtomicUsize,
    items: Mutex<Vec<Option<Item>>>,
    fatal: Mutex<Option<BatchError>>,
    ended: &'a (dyn Fn(&Item) + Sync),
}

impl Run<'_> {
    /// Proves what is missing; `ended` is told of every item, in no order. The summary is written to the folder and given back.
    ///
    /// # Errors
    /// [`BatchError`] when the folder cannot be written any more. What was proven stays.
    pub fn run(&self, ended: &(dyn Fn(&Item) + Sync)) -> Result<Summary, BatchError> {
        let started = Instant::now();
        let summary_path = self.output.path(SUMMARY);
        // A summary is about all of a run: none stays while another is on its way.
        self.output.remove(SUMMARY).map_err(failed(&summary_path))?;
        let pools = self.pools()?;
        let shared = Shared {
            run: self,
            next: AtomicUsize::new(0),
            items: Mutex::new(vec![None; self.source.len()]),
            fatal: Mutex::new(None),
            ended,
        };
        std::thread::scope(|scope| {
            for pool in &pools {
                scope.spawn(|| pool.install(|| shared.work()));
            }
        });
        if let Some(error) = shared.fatal.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        let items = shared.items.into_inner().unwrap_or_else(PoisonError::into_inner);
        let items: Vec<Item> = items.into_iter().flatten().collect();
        let summary = Summary {
            model_id: self.keys.prover.id,
            inputs: self.inputs.to_owned(),
            jobs: self.plan.jobs,
            totals: Totals::new(&items, started.elapsed().as_secs_f64()),
            items,
        };
        let written = self.output.publish(SUMMARY, &summary.to_json()).and_then(|()| self.output.sync());
        written.map_err(failed(&summary_path))?;
        Ok(summary)
    }

    /// The threads, dealt out.
    fn pools(&self) -> Result<Vec<ThreadPool>, BatchError> {
        let Plan { jobs, threads, .. } = self.plan;
        let size = |job: usize| threads / jobs.max(1) + usize::from(job < threads % jobs.max(1));
        (0..jobs).map(|job| Ok(ThreadPoolBuilder::new().num_threads(size(job).max(1)).build()?)).collect()
    }

    /// Reads an item and quantises it.
    fn prepare(&self, index: usize) -> Result<Inference, ItemError> {
        let keys = &self.keys.prover;
        let name = self.source.name(index).to_owned();
        let loaded = self.source.load(index)?;
        let context = context_of(&self.context, &keys.id, &name, loaded.context)?;
        let (mut inputs, mut clamped) = (Vec::new(), 0);
        for (input, values) in keys.model.graph.inputs.iter().zip(&loaded.values) {
            let quantised = quantise_input(input, values)?;
            if self.strict_range && quantised.clamped > 0 {
                let input = input.name.clone();
                return Err(ItemError::Range { input, clamped: quantised.clamped, all: values.len() });
            }
            clamped += quantised.clamped;
            inputs.push(quantised.values);
        }
        Ok(Inference { index, name, inputs, context, clamped, replaces: None })
    }

    /// The proof that is there already, if it is of this inference, or why it is not.
    fn present(&self, inference: &Inference) -> Result<Option<ProofFile>, String> {
        let name = inference.file_name();
        let Some(bytes) = self.output.read(&name).map_err(|e| e.to_string())? else { return Ok(None) };
        let file = ProofFile::from_bytes(&bytes).map_err(|e| e.to_string())?;
        inference.is_stated(self.keys, &file.statement)?;
        Ok(Some(file))
    }
}

impl Shared<'_> {
    fn work(&self) {
        let mut waiting: Vec<Proven> = Vec::new();
        let mut since = Instant::now();
        while let Some(group) = self.take() {
            let mut missing = Vec::new();
            for index in group {
                match self.run.prepare(index) {
                    Err(error) => self.end(index, Item::failed(self.run.source.name(index), &error)),
                    Ok(mut inference) => match self.run.present(&inference) {
                        Ok(Some(file)) => waiting.push(Proven { inference, file, seconds: None }),
                        Ok(None) => missing.push(inference),
                        Err(reason) => {
                            inference.replaces = Some(reason);
                            missing.push(inference);
                        }
                    },
                }
            }
            self.prove(missing, &mut waiting);
            if waiting.len() >= VERIFIED_AT_ONCE || since.elapsed() >= PATIENCE {
                self.publish(&mut waiting);
                since = Instant::now();
            }
        }
        self.publish(&mut waiting);
    }

    /// The next group; `None` when there is none, or the batch is over.
    fn take(&self) -> Option<std::ops::Range<usize>> {
        if self.fatal.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            return None;
        }
        let (first, len) = (self.next.fetch_add(GROUP, Ordering::Relaxed), self.run.source.len());
        (first < len).then(|| first..(first + GROUP).min(len))
    }

    fn prove(&self, group: Vec<Inference>, waiting: &mut Vec<Proven>) {
        if group.is_empty() {
            return;
        }
        for Attempt { inference, made, seconds } in prove_group(self.run.keys, group) {
            match made {
                Ok(file) => waiting.push(Proven { inference, file, seconds: Some(seconds) }),
                Err(error) => self.end(inference.index, Item::failed(&inference.name, &error)),
            }
        }
    }

    /// Verifies and publishes. What was there and does not verify is proven anew.
    fn publish(&self, waiting: &mut Vec<Proven>) {
        while !waiting.is_empty() {
            let proofs = std::mem::take(waiting);
            let items: Vec<BatchItem<'_>> = proofs
                .iter()
                .map(|p| BatchItem {
                    handle: &self.run.keys.handle,
                    statement: &p.file.statement,
                    proof: &p.file.proof,
                })
                .collect();
            let verdicts = verify_batch(&items, None);
            let (mut missing, mut written) = (Vec::new(), Vec::new());
            for (proven, verdict) in proofs.into_iter().zip(verdicts) {
                let Proven { mut inference, file, seconds } = proven;
                match (verdict, seconds) {
                    (Ok(verified), _) => {
                        let status = if seconds.is_some() { Status::Proved } else { Status::Skipped };
                        if seconds.is_some() {
                            match self.write(&inference, &file) {
                                Ok(()) => {}
                                Err(Some(error)) => {
                                    self.end(inference.index, Item::failed(&inference.name, &error));
                                    continue;
                                }
                                Err(None) => return,
                            }
                        }
                        let proof = Some(inference.file_name());
                        let statement = Some(verified.statement_digest());
                        let Inference { index, name, replaces: replaced, clamped, .. } = inference;
                        let item = Item { name, status, reason: None, replaced, clamped, seconds, proof, statement };
                        written.push((index, item));
                    }
                    (Err(error), Some(_)) => {
                        self.end(inference.index, Item::failed(&inference.name, &ItemError::Refused(error)));
                    }
                    (Err(error), None) => {
                        inference.replaces = Some(error.to_string());
                        missing.push(inference);
                    }
                }
            }
            if let Err(error) = self.run.output.sync() {
                self.stop(failed(&self.run.output.path(""))(error));
            }
            for (index, item) in written {
                self.end(index, item);
            }
            self.prove(missing, waiting);
        }
    }

    /// Writes a proof file. Without an error the batch is over: the next ones would fail too.
    fn write(&self, inference: &Inference, file: &ProofFile) -> Result<(), Option<ItemError>> {
        let name = inference.file_name();
        self.run.output.publish(&name, &file.to_bytes()).map_err(|source| {
            let path = self.run.output.path(&name);
            // A folder in the place of the file is the trouble of this item alone.
            if matches!(source.kind(), ErrorKind::IsADirectory | ErrorKind::DirectoryNotEmpty) {
                return Some(ItemError::Write { path, source });
            }
            self.stop(failed(&path)(source));
            None
        })
    }

    fn end(&self, index: usize, item: Item) {
        (self.ended)(&item);
        let mut items = self.items.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = items.get_mut(index) {
            *place = Some(item);
        }
    }

    /// Ends the batch; the first reason counts.
    fn stop(&self, error: BatchError) {
        self.fatal.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_proofs_at_once_as_fit() {
        let plan = |asked, items, threads, available| {
            let Plan { jobs, threads, limited } = super::plan(asked, items, threads, (available, 100));
            (jobs, threads, limited)
        };
        assert_eq!(plan(None, 1000, 8, None), (8, 8, false));
        assert_eq!(plan(None, 3, 8, None), (3, 8, false));
        assert_eq!(plan(None, 1000, 8, Some(250)), (2, 8, true));
        assert_eq!(plan(None, 1000, 8, Some(0)), (1, 8, true));
        assert_eq!(plan(Some(1), 1000, 8, Some(250)), (1, 8, false));
        assert_eq!(plan(Some(12), 1000, 8, None), (12, 12, false));
        assert_eq!(plan(Some(0), 0, 0, None), (1, 1, false));
    }
}

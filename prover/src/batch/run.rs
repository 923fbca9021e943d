//! The workers of a batch.
//!
//! Every worker has a pool of threads of its own and takes the next items, one or as many as a group has, until there are none. Proofs are kept until a
//! few can be verified together, which costs a fraction of verifying each, and are published then.

use super::{
    context::{context_of, group_context},
    error::{BatchError, ItemError},
    group::{Group, Inference, Proven},
    keys::KeysBySize,
    output::{failed, OutputFolder},
    source::Source,
    summary::{GroupReport, Item, Summary, Totals, SUMMARY},
};
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::{
    io::ErrorKind,
    path::Path,
    sync::{
        atomic::{AtomicUsize, Ordering},
        Arc, Mutex, PoisonError,
    },
    time::{Duration, Instant},
};
use zkonnx_quantize::data::quantise_inputs;
use zkonnx_verifier::{
    batch::{verify_batch, BatchItem},
    proof_file::ProofFile,
    statement::Context,
};

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
    pub keys: &'a KeysBySize,
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
    /// Seconds of one proof of one item of a group, for comparison.
    single: Mutex<Option<f64>>,
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
            single: Mutex::new(None),
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
        let single = shared.single.into_inner().unwrap_or_else(PoisonError::into_inner);
        let summary = Summary {
            model_id: self.keys.single().prover.id,
            inputs: self.inputs.to_owned(),
            jobs: self.plan.jobs,
            group: (self.keys.size() > 1).then(|| GroupReport::new(self.keys, single, &items)),
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
        let keys = &self.keys.single().prover;
        let name = self.source.name(index).to_owned();
        let loaded = self.source.load(index)?;
        let is_single = loaded.context.is_some();
        let context = context_of(&self.context, &keys.id, &name, loaded.context)?;
        let (mut inputs, mut clamped) = (Vec::new(), 0);
        let graph = &keys.model.graph;
        let all = quantise_inputs(graph, &loaded.values)?;
        for ((input, values), quantised) in graph.inputs.iter().zip(&loaded.values).zip(all) {
            if self.strict_range && quantised.clamped > 0 {
                let input = input.name.clone();
                return Err(ItemError::Range { input, clamped: quantised.clamped, all: values.len() });
            }
            clamped += quantised.clamped;
            inputs.push(quantised.values);
        }
        Ok(Inference { index, name, inputs, context, is_single, clamped })
    }

    /// What becomes proofs of some items that were taken together: those with a context of their own alone, and the others as one.
    fn groups(items: Vec<Inference>) -> Vec<Vec<Inference>> {
        let (single, others): (Vec<_>, Vec<_>) = items.into_iter().partition(|item| item.is_single);
        let mut groups: Vec<Vec<Inference>> = single.into_iter().map(|item| vec![item]).collect();
        if !others.is_empty() {
            groups.push(others);
        }
        groups
    }

    /// A group with its keys, name and context.
    fn group(&self, first: usize, items: &[Inference]) -> Result<Group, ItemError> {
        let keys = self.keys.of(items.len())?;
        let names: Vec<&str> = items.iter().map(|item| item.name.as_str()).collect();
        let context = group_context(&self.context, &self.keys.single().prover.id, &names);
        Ok(Group::new(keys, items.to_vec(), (group_name(first / self.keys.size()), context)))
    }

    /// The proof that is there already, if it is of this group, or why it is not.
    fn present(&self, group: &Group) -> Result<Option<ProofFile>, String> {
        let name = group.file_name();
        let Some(bytes) = self.output.read(&name).map_err(|e| e.to_string())? else { return Ok(None) };
        let file = ProofFile::from_bytes(&bytes).map_err(|e| e.to_string())?;
        group.is_stated(&file.statement)?;
        Ok(Some(file))
    }
}

/// The name of the proof of several items, by the number of the group.
pub(super) fn group_name(number: usize) -> String {
    format!("group-{number:06}")
}

impl Shared<'_> {
    fn work(&self) {
        let mut waiting: Vec<Proven> = Vec::new();
        let mut since = Instant::now();
        while let Some(indices) = self.take() {
            let first = indices.start;
            let mut items = Vec::new();
            for index in indices {
                match self.run.prepare(index) {
                    Err(error) => self.end(index, Item::failed(self.run.source.name(index), &error)),
                    Ok(item) => items.push(item),
                }
            }
            let mut missing = Vec::new();
            for items in Run::groups(items) {
                let mut group = match self.run.group(first, &items) {
                    Ok(group) => group,
                    Err(error) => {
                        items.iter().for_each(|item| self.end(item.index, Item::failed(&item.name, &error)));
                        continue;
                    }
                };
                match self.run.present(&group) {
                    Ok(Some(file)) => waiting.push(Proven { group, file, seconds: None }),
                    Ok(None) => missing.push(group),
                    Err(reason) => {
                        group.replaces = Some(reason);
                        missing.push(group);
                    }
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

    /// The next items; `None` when there are none, or the batch is over.
    fn take(&self) -> Option<std::ops::Range<usize>> {
        if self.fatal.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            return None;
        }
        let size = self.run.keys.size();
        let (first, len) = (self.next.fetch_add(size, Ordering::Relaxed), self.run.source.len());
        (first < len).then(|| first..(first + size).min(len))
    }

    fn prove(&self, groups: Vec<Group>, waiting: &mut Vec<Proven>) {
        for group in groups {
            self.compare(&group);
            match group.prove() {
                Ok((file, seconds)) => waiting.push(Proven { group, file, seconds: Some(seconds) }),
                Err(error) => self.fail(&group, &error),
            }
        }
    }

    /// Proves the first member of the first group alone, to tell what groups save. The proof is dropped.
    fn compare(&self, group: &Group) {
        if group.members.len() == 1 {
            return;
        }
        // Nobody waits for it, and nobody does it twice.
        let Ok(mut single) = self.single.try_lock() else { return };
        if single.is_none() {
            let share = |inputs: &Vec<i64>| inputs.iter().take(inputs.len() / group.members.len()).copied().collect();
            let alone = Group {
                members: group.members.iter().take(1).cloned().collect(),
                inputs: group.inputs.iter().map(share).collect(),
                keys: Arc::clone(self.run.keys.single()),
                ..group.clone()
            };
            *single = alone.prove().ok().map(|(_, seconds)| seconds);
        }
    }

    /// Verifies and publishes. What was there and does not verify is proven anew.
    fn publish(&self, waiting: &mut Vec<Proven>) {
        while !waiting.is_empty() {
            let proofs = std::mem::take(waiting);
            let items: Vec<BatchItem<'_>> = proofs
                .iter()
                .map(|p| BatchItem { handle: &p.group.keys.handle, statement: &p.file.statement, proof: &p.file.proof })
                .collect();
            let verdicts = verify_batch(&items, None);
            let (mut missing, mut written) = (Vec::new(), Vec::new());
            for (proven, verdict) in proofs.into_iter().zip(verdicts) {
                let Proven { mut group, file, seconds } = proven;
                match (verdict, seconds) {
                    (Ok(verified), _) => {
                        if seconds.is_some() {
                            match self.write(&group, &file) {
                                Ok(()) => {}
                                Err(Some(error)) => {
                                    self.fail(&group, &error);
                                    continue;
                                }
                                Err(None) => return,
                            }
                        }
                        written.extend(Item::of_group(&group, seconds, verified.statement_digest()));
                    }
                    (Err(error), Some(_)) => self.fail(&group, &ItemError::Refused(error)),
                    (Err(error), None) => {
                        group.replaces = Some(error.to_string());
                        missing.push(group);
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
    fn write(&self, group: &Group, file: &ProofFile) -> Result<(), Option<ItemError>> {
        let name = group.file_name();
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

    /// All members of a group fail together.
    fn fail(&self, group: &Group, error: &ItemError) {
        for member in &group.members {
            self.end(member.index, Item::failed(&member.name, error));
        }
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

//! `zkonnx batch`.

use super::{context, files, progress::Progress, stages, Failure, Outcome};
use crate::batch::{
    available_memory, largest_group, plan, predict_group, BatchError, KeysBySize, OutputFolder, Run, Source, Status,
    Summary, SUMMARY,
};
use clap::Args;
use std::{num::NonZeroUsize, path::PathBuf};
use zkonnx_circuits::cost::predict;
use zkonnx_quantize::model::QuantizedModel;

#[derive(Debug, Args)]
pub(super) struct Batch {
    /// The quantised model
    model: PathBuf,
    /// A folder (every .npy, .npz, .json and .csv file is one inference), a .jsonl file (every line is one: inputs by name, or
    /// "file", with "name" and "context" if you like), or a file with many samples
    #[arg(long, value_name = "DIR|FILE")]
    inputs: PathBuf,
    /// The folder for NAME.proof of every inference, and summary.json; run it again to prove what is missing
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// What the contexts of all proofs have in common, as `prove` takes it; the job id of each is derived from this one's, the
    /// model and its name, unless its line has one
    #[arg(long)]
    context: Option<PathBuf>,
    /// Refuse inputs outside of the declared range instead of clamping them
    #[arg(long)]
    strict_range: bool,
    /// Proofs that are made at once, which share all threads; without it one for each thread, while memory lasts
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    /// Prove this many inferences in one proof, where that takes less time for each: NAME.proof is then group-NUMBER.proof, with
    /// inputs and outputs of shape [N, …] and a job id of its own, and the summary says where each inference stands. Those with
    /// a context of their own are proven alone
    #[arg(long, value_name = "N", default_value_t = NonZeroUsize::MIN)]
    group: NonZeroUsize,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

/// Whether an item's proof would have the name of a group's.
fn is_group_name(name: &str) -> bool {
    let number = name.strip_prefix("group-");
    number.is_some_and(|n| n.len() >= 6 && n.bytes().all(|b| b.is_ascii_digit()))
}

impl Batch {
    pub(super) fn run(&self) -> Result<Outcome, Failure> {
        let model = files::read_model(&self.model)?;
        let context = context::read(self.context.as_deref())?;
        if context.not_after != 0 && context.not_after < files::now() {
            eprintln!("warning: the context has expired already: verifiers will refuse the proofs");
        }
        if matches!((self.inputs.canonicalize(), self.output.canonicalize()), (Ok(a), Ok(b)) if a == b) {
            return Err(Failure::at(&self.inputs, "inputs and outputs are one folder").hint("choose another -o"));
        }
        let source = Source::open(&self.inputs, files::input_specs(&model.graph)).map_err(|e| self.failure(&e))?;
        let output = OutputFolder::open(&self.output).map_err(|e| self.failure(&e))?;
        let bar = stages::start("keys", self.json);
        let params = files::params(model.layout.k.into()).map_err(|e| Failure::at(&self.model, e.message))?;
        let group = self.group_size(&model, source.len())?;
        if let Some(name) = (0..source.len()).map(|i| source.name(i)).find(|n| group > 1 && is_group_name(n)) {
            return Err(self.failure(&BatchError::GroupName(name.to_owned())));
        }
        let published = files::Published::beside(&self.model);
        let (keys, origin) =
            KeysBySize::new(model, group, params, published.model()).map_err(|e| Failure::at(&self.model, e))?;
        published.tell(&origin);
        bar.finish_and_clear();
        let each = predict(&keys.full().prover.keys.compiled).memory;
        let asked = self.jobs.map(NonZeroUsize::get);
        let groups = source.len().div_ceil(group);
        let plan = plan(asked, groups, rayon::current_num_threads(), (available_memory(), each));
        if plan.limited {
            eprintln!("warning: {} at once: a proof is predicted to take {}", plan.jobs, files::bytes(each));
        }
        let run = Run {
            keys: &keys,
            source: &source,
            inputs: &self.inputs,
            output: &output,
            context,
            strict_range: self.strict_range,
            plan,
        };
        let progress = Progress::new(source.len(), self.json);
        let summary = run.run(&|item| {
            progress.ended(item.status);
            if self.json {
                return;
            }
            if let Some(reason) = &item.reason {
                progress.suspend(|| say!("FAILED: {}: {reason}", item.name));
            }
            if let Some(reason) = &item.replaced {
                progress.suspend(|| say!("replaced: {}: {reason}", self.output.join(&item.name).display()));
            }
        });
        progress.finish();
        let summary = summary.map_err(|e| self.failure(&e))?;
        self.report(&summary, source.ignored());
        Ok(if summary.totals.failed == 0 { Outcome::Done } else { Outcome::Rejected })
    }

    /// The size of groups: what was asked for, where it fits and is cheaper.
    #[allow(clippy::cast_precision_loss)] // far below 2^52
    fn group_size(&self, model: &QuantizedModel, items: usize) -> Result<usize, Failure> {
        let asked = self.group.get();
        // A group that is never full would only be compared with.
        let size = asked.min(items).max(1);
        if size == 1 {
            return Ok(1);
        }
        let Some((single, group)) = predict_group(model, 1).zip(predict_group(model, size)) else {
            let message = format!("--group {asked}: so many inferences do not fit one proof of k = {}", model.layout.k);
            let largest = largest_group(model, size);
            return Err(Failure::at(&self.model, message)
                .hint(format!("at most {largest} do; quantise with a larger --k for more")));
        };
        let each = group.seconds / size as f64;
        if each >= single.seconds {
            eprintln!(
                "warning: --group {asked} is not used: an inference alone is predicted to take {:.3} s, in a group {each:.3} s",
                single.seconds
            );
            return Ok(1);
        }
        Ok(size)
    }

    fn failure(&self, error: &BatchError) -> Failure {
        let failure = Failure::new(error);
        match error {
            BatchError::Locked(_) => failure.hint("wait for it, or choose another -o"),
            BatchError::GroupName(_) => failure.hint("rename it, or leave --group out"),
            BatchError::Output { .. } => failure.hint("proofs that were written stay: run it again"),
            BatchError::Inputs { .. } | BatchError::Data(_) | BatchError::Empty(_) => failure.hint(
                "--inputs is a folder of .npy, .npz, .json or .csv files, a .jsonl file, or a file with many samples",
            ),
            _ => failure,
        }
    }

    fn report(&self, summary: &Summary, ignored: usize) {
        if self.json {
            say!("{}", String::from_utf8_lossy(&summary.to_json()).trim_end());
            return;
        }
        let totals = &summary.totals;
        if ignored > 0 {
            say!("{}: {ignored} other files are no inputs", self.inputs.display());
        }
        if totals.clamped > 0 {
            let items = summary.items.iter().filter(|item| item.clamped > 0).count();
            say!("{} values of {items} inputs lay outside of the declared range and were clamped", totals.clamped);
        }
        if let Some(group) = &summary.group {
            let predicted = format!("predicted {:.1} times as many per second as alone", group.predicted);
            match (group.single_seconds, group.grouped_seconds, group.measured) {
                (Some(single), Some(grouped), Some(measured)) => say!(
                    "groups of {}: {grouped:.4} s for each inference, {single:.4} s alone: {measured:.1} times as many per second ({predicted})",
                    group.size
                ),
                _ => say!("groups of {}: {predicted}", group.size),
            }
        }
        let skipped: Vec<&str> =
            summary.items.iter().filter(|i| i.status == Status::Skipped).map(|i| i.name.as_str()).collect();
        if let [first, rest @ ..] = skipped.as_slice() {
            let last = rest.last().map(|last| format!(" to {last}")).unwrap_or_default();
            say!("skipped: {first}{last}: {} proven before", skipped.len());
        }
        say!(
            "{}: {} proven, {} skipped, {} failed in {:.1} s; {:.2} proofs/s, {} at once",
            self.output.join(SUMMARY).display(),
            totals.proved,
            totals.skipped,
            totals.failed,
            totals.seconds,
            totals.proofs_per_second,
            summary.jobs
        );
    }
}

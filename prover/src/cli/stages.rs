//! The progress of one command, by stages: a line that vanishes, on a terminal only.
//!
//! The stages of import, calibration and evaluation say how many steps they have ([`zkonnx_quantize::progress`]); those of
//! making keys and proving are the spans by which they are timed too.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, WeakProgressBar};
use std::{
    io::IsTerminal,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use tracing::{
    field::{Field, Visit},
    span, Event, Metadata, Subscriber,
};
use tracing_subscriber::{
    filter::FilterFn,
    layer::{Context, SubscriberExt},
    registry::LookupSpan,
    util::SubscriberInitExt,
    Layer,
};
use zkonnx_quantize::progress::TARGET;

/// The spans of a proof, in order, with their shares of its time in hundredths, about those of the LSTM in `benches/NOTES.md`.
const PROOF: [(&str, u64); 9] = [
    ("evaluate", 4),
    ("witness", 4),
    ("commitments", 18),
    ("halo2 proof", 0),
    ("lookups", 35),
    ("contractions", 7),
    ("pairs", 1),
    ("relations", 6),
    ("opening", 25),
];

/// Whether nothing is to be shown, whatever standard error is.
static QUIET: AtomicBool = AtomicBool::new(false);

/// Shows no progress from here on: `--quiet`.
pub(super) fn be_quiet() {
    QUIET.store(true, Ordering::Relaxed);
}

/// Whether progress is shown: on a terminal, and not where a machine reads.
pub(super) fn are_shown(json: bool) -> bool {
    !json && !QUIET.load(Ordering::Relaxed) && std::io::stderr().is_terminal()
}

/// A line with the stage of a command; nothing where progress is not shown.
pub(super) fn start(message: &str, json: bool) -> ProgressBar {
    if !are_shown(json) {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    show(&bar, message, None);
    bar.enable_steady_tick(Duration::from_millis(80));
    // A command starts once; where something else listens already, only the messages are missing.
    let stages = Stages { bar: bar.downgrade() }.with_filter(FilterFn::new(is_shown));
    let _ = tracing_subscriber::registry().with(stages).try_init();
    bar
}

fn is_shown(metadata: &Metadata<'_>) -> bool {
    metadata.target() == TARGET || (metadata.is_span() && metadata.target().starts_with("zkonnx_prover"))
}

/// A new stage, of so many steps if they are known.
pub(super) fn show(bar: &ProgressBar, message: &str, steps: Option<u64>) {
    let template = match steps {
        Some(_) => "{spinner} {msg} {bar:30} {percent:>3} % {elapsed}",
        None => "{spinner} {msg} {elapsed}",
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    match steps {
        Some(steps) => bar.set_length(steps),
        None => bar.unset_length(),
    }
    bar.set_position(0);
    bar.set_message(message.to_owned());
}

/// Puts stages on a bar as they come, as long as the command has it.
struct Stages {
    bar: WeakProgressBar,
}

impl Stages {
    fn bar(&self) -> Option<ProgressBar> {
        self.bar.upgrade().filter(|bar| !bar.is_finished())
    }

    /// A span of proving begins.
    fn entered(&self, name: &'static str) {
        let Some(bar) = self.bar() else { return };
        let Some(at) = PROOF.iter().position(|(stage, _)| *stage == name) else {
            if matches!(
                name,
                "keys" | "check points" | "commit parameters" | "derive parameters" | "register" | "verify"
            ) {
                show(&bar, name, None);
            }
            return;
        };
        let before = PROOF.iter().take(at).map(|(_, share)| share).sum();
        show(&bar, &format!("proving, {name}"), Some(100));
        bar.set_position(before);
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Stages {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let Some(bar) = self.bar() else { return };
        let mut fields = Fields::default();
        event.record(&mut fields);
        if let (Some(stage), Some(steps)) = (&fields.stage, fields.steps) {
            show(&bar, stage, Some(steps));
        } else if let Some(done) = fields.done {
            // Steps of many threads come out of order, and loops have more nodes than the file.
            let done = done.min(bar.length().unwrap_or(done));
            if done > bar.position() {
                bar.set_position(done);
            }
        }
    }

    fn on_enter(&self, id: &span::Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            self.entered(span.name());
        }
    }
}

/// The fields of an event of progress.
#[derive(Default)]
struct Fields {
    stage: Option<String>,
    steps: Option<u64>,
    done: Option<u64>,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "stage" {
            self.stage = Some(value.to_owned());
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "steps" => self.steps = Some(value),
            "done" => self.done = Some(value),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use zkonnx_quantize::{data::Samples, onnx::OnnxModel, quantize, report::accuracy, Recipe};

    /// What a bar shows: message, position, length.
    fn shown(bar: &ProgressBar) -> (String, u64, Option<u64>) {
        (bar.message(), bar.position(), bar.length())
    }

    fn listening(work: impl FnOnce(&ProgressBar)) {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        let stages = Stages { bar: bar.downgrade() }.with_filter(FilterFn::new(is_shown));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(stages), || work(&bar));
    }

    #[test]
    fn steps_of_import_and_evaluation_are_counted() {
        listening(|bar| {
            let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/models/mlp.onnx");
            let onnx = OnnxModel::from_path(&path, &BTreeMap::new()).expect("a fixture");
            let (message, done, steps) = shown(bar);
            assert!(message == "importing" && done > 1 && Some(done) == steps, "{:?}", shown(bar));
            // On this thread alone: what listens here is not heard elsewhere.
            let pool = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build().expect("a pool");
            let pixels = zkonnx_quantize::data::NamedTensor {
                name: onnx.inputs()[0].name.clone(),
                shape: vec![3, 784],
                data: vec![0.5; 3 * 784],
            };
            let samples = Samples::new(&onnx.inputs(), vec![pixels]).expect("samples");
            pool.install(|| {
                let (model, _) = quantize(&onnx, Some(&samples), &Recipe::default()).expect("a model");
                assert_eq!(shown(bar).0, "quantising");
                accuracy(&onnx, &model, &samples).expect("a report");
                assert_eq!(shown(bar), ("measuring accuracy".into(), 3, Some(3)));
            });
        });
    }

    #[test]
    fn stages_of_a_proof_stand_in_their_order() {
        listening(|bar| {
            let mut last = 0;
            tracing::info_span!("evaluate").in_scope(|| assert_eq!(shown(bar).0, "proving, evaluate"));
            for _ in 0..2 {
                tracing::info_span!("lookups").in_scope(|| {
                    tracing::info_span!("add up fractions").in_scope(|| last = bar.position());
                });
            }
            assert_eq!(shown(bar), ("proving, lookups".into(), 26, Some(100)));
            tracing::info_span!("opening").in_scope(|| assert!(bar.position() > last));
            tracing::info_span!("verify").in_scope(|| assert_eq!(shown(bar), ("verify".into(), 0, None)));
            assert_eq!(PROOF.iter().map(|(_, share)| share).sum::<u64>(), 100);
        });
    }
}

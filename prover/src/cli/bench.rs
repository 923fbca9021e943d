//! `zkonnx bench`.

use super::{
    files,
    gates::{layout_text, GatesOption},
    output,
    recipe::RecipeOptions,
    Failure, Outcome,
};
use crate::bench::{
    compare::{compare, Comparison, Verdict},
    fit, measure, BenchError, Environment, Fit, Measurement, Report, Setup, REPORT_FORMAT,
};
use clap::Args;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use zkonnx_circuits::cost::choose_layout;
use zkonnx_quantize::{
    graph::Graph,
    model::{Gates, LayoutChoice, QuantizedModel},
    quantize,
};

#[derive(Debug, Args)]
pub(super) struct Bench {
    /// A quantised model; or an ONNX model, which is imported and quantised first
    #[arg(required_unless_present_any = ["compare", "fit"])]
    model: Option<PathBuf>,
    /// One or more inputs; without it, pseudo-random integers in the declared range
    #[arg(long)]
    input: Option<PathBuf>,
    /// How often to prove and verify
    #[arg(long, default_value_t = 7)]
    runs: usize,
    /// Prove this many, and verify them one by one and in one batch, with one thread and with all
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// Circuits of 2^K rows; this and what follows may be lists, and everything is measured with everything
    #[arg(long, value_name = "K,…", value_delimiter = ',')]
    k: Vec<u8>,
    /// Limbs of this many bits
    #[arg(long, value_name = "BITS,…", value_delimiter = ',')]
    limb_bits: Vec<u8>,
    /// Gates proven in these ways, each in the layout that is best for it
    #[arg(long, value_enum, value_name = "WAY,…", value_delimiter = ',')]
    gates: Vec<GatesOption>,
    /// Activations of this many bits; of an ONNX model only
    #[arg(long, value_name = "BITS,…", value_delimiter = ',')]
    bits: Vec<u8>,
    /// Threads; all by default
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Vec<u16>,
    /// Inferences in one proof
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..))]
    group: Vec<u32>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Print a line for every stage, with commas
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Compare two reports that --json has printed
    #[arg(long, num_args = 2, value_names = ["BEFORE.json", "AFTER.json"], conflicts_with_all = ["model", "csv"])]
    compare: Vec<PathBuf>,
    /// Fit the constants of the cost model to reports that --json has printed, and show how far predictions are off
    #[arg(long, num_args = 1.., value_name = "REPORT.json", conflicts_with_all = ["model", "csv", "compare"])]
    fit: Vec<PathBuf>,
    #[command(flatten)]
    recipe: RecipeOptions,
}

/// A model to be measured in several layouts, and what it took to have it.
struct Loaded {
    model: QuantizedModel,
    bits: Option<u8>,
    before: Vec<(&'static str, Duration)>,
}

/// What was asked for, or one default.
fn choices<T: Copy>(asked: &[T]) -> Vec<Option<T>> {
    if asked.is_empty() {
        return vec![None];
    }
    asked.iter().copied().map(Some).collect()
}

impl Bench {
    pub(super) fn run(&self) -> Result<Outcome, Failure> {
        if let [before, after] = self.compare.as_slice() {
            return self.compare(before, after);
        }
        if !self.fit.is_empty() {
            return self.fit();
        }
        if self.runs == 0 || self.batch == Some(0) {
            return Err(Failure::new("--runs or --batch is 0"));
        }
        let path = self.model.as_deref().ok_or_else(|| Failure::new("no model"))?;
        let mut runs = Vec::new();
        for loaded in self.load(path)? {
            for layout in self.layouts(path, &loaded.model)? {
                let model = QuantizedModel { layout, ..loaded.model.clone() };
                let params = files::params(layout.k.into()).map_err(|e| Failure::at(path, e.message))?;
                let inputs = self.inputs(&model.graph)?;
                for group in choices(&self.group) {
                    for threads in choices(&self.threads) {
                        let setup = Setup {
                            name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
                            model: model.clone(),
                            params: Arc::clone(&params),
                            inputs: inputs.clone(),
                            bits: loaded.bits,
                            group: group.unwrap_or(1),
                            threads: threads.map_or_else(rayon::current_num_threads, usize::from),
                            runs: self.runs,
                            batch: self.batch,
                            before: loaded.before.clone(),
                        };
                        let measured = measure(&setup).map_err(|e| failed(path, &setup, &e))?;
                        if !(self.json || self.csv) {
                            show(&measured, self.runs);
                        }
                        runs.push(measured);
                    }
                }
            }
        }
        let report = Report { format: REPORT_FORMAT, environment: Environment::current(), runs };
        if self.json {
            say!("{}", serde_json::to_string_pretty(&report).map_err(Failure::new)?);
        } else if self.csv {
            say!("{}", report.to_csv().map_err(Failure::new)?.trim_end());
        }
        Ok(Outcome::Done)
    }

    /// The model, once for every width that is asked for.
    fn load(&self, path: &Path) -> Result<Vec<Loaded>, Failure> {
        let is_onnx = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("onnx"));
        if !is_onnx {
            if !self.bits.is_empty() || self.recipe.calibrate.is_some() {
                return Err(Failure::new("--bits and --calibrate are for ONNX models")
                    .hint("a .zkq file is quantised already: give the .onnx file"));
            }
            let started = Instant::now();
            let model = files::read_model(path)?;
            return Ok(vec![Loaded { model, bits: None, before: vec![("load", started.elapsed())] }]);
        }
        let started = Instant::now();
        let onnx = self.recipe.import(path)?;
        let import = started.elapsed();
        let samples = self.recipe.samples(&onnx)?;
        let load = |bits: Option<u8>| {
            let recipe = self.recipe.recipe(bits);
            let started = Instant::now();
            let (mut model, _) = quantize(&onnx, samples.as_ref(), &recipe).map_err(|e| Failure::at(path, e))?;
            model.layout =
                choose_layout(&Arc::new(model.graph.clone()), Gates::default(), None, None).map_err(Failure::new)?.0;
            let before = vec![("import", import), ("quantise", started.elapsed())];
            Ok(Loaded { model, bits: Some(recipe.bits), before })
        };
        choices(&self.bits).into_iter().map(load).collect()
    }

    /// All layouts; the model's own when none is asked for, and the best where only one part of it is.
    fn layouts(&self, path: &Path, model: &QuantizedModel) -> Result<Vec<LayoutChoice>, Failure> {
        let graph = Arc::new(model.graph.clone());
        let mut layouts: Vec<LayoutChoice> = Vec::new();
        for gates in choices(&self.gates) {
            for k in choices(&self.k) {
                for limb_bits in choices(&self.limb_bits) {
                    let way = gates.map_or(model.layout.gates, Gates::from);
                    let layout = match (k, limb_bits) {
                        (None, None) if way == model.layout.gates => model.layout,
                        (Some(k), Some(limb_bits)) => LayoutChoice { k, limb_bits, gates: way },
                        _ => choose_layout(&graph, way, k, limb_bits).map_err(|e| Failure::at(path, e))?.0,
                    };
                    if !layouts.contains(&layout) {
                        layouts.push(layout);
                    }
                }
            }
        }
        Ok(layouts)
    }

    fn inputs(&self, graph: &Graph) -> Result<Vec<Vec<Vec<i64>>>, Failure> {
        let Some(path) = &self.input else { return Ok(Vec::new()) };
        let samples = files::samples(path, &files::input_specs(graph))?;
        (0..samples.len()).map(|s| files::quantise(graph, (path, &samples), s, false)).collect()
    }

    fn fit(&self) -> Result<Outcome, Failure> {
        let mut runs = Vec::new();
        for path in &self.fit {
            runs.extend(read_report(path)?.runs);
        }
        let fit = fit(&runs).map_err(Failure::new)?;
        if self.json {
            say!("{}", serde_json::to_string_pretty(&fit).map_err(Failure::new)?);
        } else {
            show_fit(&fit);
        }
        Ok(Outcome::Done)
    }

    fn compare(&self, before: &Path, after: &Path) -> Result<Outcome, Failure> {
        let [first, second] = [before, after].map(read_report);
        let (first, second) = (first?, second?);
        let (rows, unmatched) = compare(&first, &second);
        if rows.is_empty() {
            return Err(Failure::at(
                after,
                format!("no measurement has the model and settings of one in {}", before.display()),
            ));
        }
        if self.json {
            let both = serde_json::json!({ "before": first.environment, "after": second.environment, "stages": rows });
            say!("{}", serde_json::to_string_pretty(&both).map_err(Failure::new)?);
            return Ok(Outcome::Done);
        }
        if (&first.environment.cpu, first.environment.cores) != (&second.environment.cpu, second.environment.cores) {
            eprintln!("warning: the reports are of different machines");
        }
        show_comparison(&rows);
        if unmatched > 0 {
            say!("{unmatched} measurements are in one of the reports only");
        }
        Ok(Outcome::Done)
    }
}

fn failed(path: &Path, setup: &Setup, error: &BenchError) -> Failure {
    Failure::at(path, format!("{}, {} in one proof: {error}", layout_text(setup.model.layout), setup.group))
}

fn read_report(path: &Path) -> Result<Report, Failure> {
    let report: Report = serde_json::from_slice(&files::read(path)?)
        .map_err(|e| Failure::at(path, e).hint("`zkonnx bench --json` prints one"))?;
    match report.format {
        // Format 1 is of the suite before: its times can be compared, its counts are not there.
        1..=REPORT_FORMAT => Ok(report),
        other => Err(Failure::at(path, format!("report format {other}, this program reads 1 to {REPORT_FORMAT}"))),
    }
}

/// A measurement for people.
fn show(measured: &Measurement, runs: usize) {
    let Measurement { settings, shape, sizes, predicted, .. } = measured;
    say!(
        "{}: {settings}; {} columns, {} lookups; {runs} runs, every proof verified",
        measured.model,
        shape.columns,
        shape.lookups
    );
    say!("{:24} {:>10} {:>10} {:>10} {:>6}", "stage, seconds", "median", "min", "max", "runs");
    for (name, spread) in measured.ordered() {
        say!("{name:24} {:>10.4} {:>10.4} {:>10.4} {:>6}", spread.median, spread.min, spread.max, spread.count);
    }
    for batch in &measured.batches {
        say!("{batch}");
    }
    let memory = |peak: Option<u64>| peak.and_then(|p| usize::try_from(p).ok()).map_or("unknown".into(), files::bytes);
    say!("peak memory              {} to prepare, {} to prove", memory(sizes.prepare_peak), memory(sizes.prove_peak));
    say!(
        "proof {}, statement {}, zkv {}; predicted {:.3} s to prove, {:.4} s to verify, {}",
        files::bytes(sizes.proof),
        files::bytes(sizes.statement),
        files::bytes(sizes.zkv),
        predicted.seconds,
        predicted.verify_seconds,
        files::bytes(predicted.memory)
    );
}

fn show_fit(fit: &Fit) {
    say!(
        "{:44} {:>9} {:>9} {:>7} {:>9} {:>7}",
        "seconds to prove",
        "measured",
        "predicted",
        "error",
        "fitted",
        "error"
    );
    for row in &fit.rows {
        say!(
            "{:44} {:>9.4} {:>9.4} {:>6.1}% {:>9.4} {:>6.1}%",
            format!("{}: {}", row.model, row.settings),
            row.measured,
            row.predicted,
            100.0 * row.error_before,
            row.fitted,
            100.0 * row.error
        );
    }
    say!(
        "errors with the fitted constants: median {:.1}%, worst {:.1}%",
        100.0 * fit.median_error,
        100.0 * fit.worst_error
    );
    let constants = fit.constants;
    say!(
        "row: {:.3e}, cell: {:.3e}, leaf: {:.3e}, product: {:.3e}, halo2_row: {:.3e}, gated_cell: {:.3e}, piece: {:.3e}, linear: {:.3e} (seconds each, {} \
         threads)",
        constants.row,
        constants.cell,
        constants.leaf,
        constants.product,
        constants.halo2_row,
        constants.gated_cell,
        constants.piece,
        constants.linear,
        fit.threads
    );
}

fn show_comparison(rows: &[Comparison]) {
    let mut headings: BTreeMap<String, ()> = BTreeMap::new();
    for row in rows {
        let heading = format!("{}: {}", row.model, row.settings);
        if headings.insert(heading.clone(), ()).is_none() {
            say!("{heading}");
            say!("{:24} {:>10} {:>10} {:>8} {:>8}", "stage, seconds", "before", "after", "ratio", "noise");
        }
        let noise = row.noise.map_or("?".into(), |noise| format!("{noise:.3}"));
        let verdict = match row.verdict {
            Verdict::Faster => "faster",
            Verdict::Slower => "SLOWER",
            Verdict::Same => "",
            Verdict::Unknown => "too few runs",
        };
        let line = format!(
            "{:24} {:>10.4} {:>10.4} {:>8.3} {noise:>8} {verdict}",
            row.stage, row.before, row.after, row.ratio
        );
        output::line(format_args!("{}", line.trim_end()));
    }
}

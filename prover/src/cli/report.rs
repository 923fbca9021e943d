//! `zkonnx report`.

use super::{files, output, recipe::OnnxOptions, stages, Failure, Outcome};
use crate::{
    bench::Setup,
    report::{accuracy, measured, Rasteriser, Report as Numbers},
};
use clap::Args;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use zkonnx_circuits::{compiled::CompiledModel, lower::Modes};
use zkonnx_quantize::{data::Samples, model::QuantizedModel};

#[derive(Debug, Args)]
pub(super) struct Report {
    /// A quantised model
    model: PathBuf,
    /// Where to write the page
    #[arg(short, long, value_name = "R.html", required_unless_present_any = ["svg", "png", "json"])]
    output: Option<PathBuf>,
    /// Samples, for the accuracy report and as inputs to prove: .npy, .npz, .json or .csv
    #[arg(long, value_name = "DATA")]
    inputs: Option<PathBuf>,
    /// Use this many samples at most, the first ones
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    samples: u32,
    /// The float model, for the error of every layer; needs --inputs
    #[arg(long, value_name = "M.onnx", requires = "inputs")]
    onnx: Option<PathBuf>,
    #[command(flatten)]
    import: OnnxOptions,
    /// How often to prove and verify
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    /// Prove nothing: predictions alone, the same bytes every time
    #[arg(long, conflicts_with = "runs")]
    no_measure: bool,
    /// Write every picture to this folder as SVG
    #[arg(long, value_name = "DIR")]
    svg: Option<PathBuf>,
    /// Write every picture to this folder as PNG
    #[arg(long, value_name = "DIR")]
    png: Option<PathBuf>,
    /// Print the numbers of the page, as JSON
    #[arg(long)]
    json: bool,
}

impl Report {
    pub(super) fn run(&self) -> Result<Outcome, Failure> {
        let given = [Some(&self.model), self.inputs.as_ref(), self.onnx.as_ref(), self.import.normalize.as_ref()];
        output::check(&[self.output.as_ref()], &given)?;
        for folder in [&self.svg, &self.png].into_iter().flatten().filter(|folder| folder.exists()) {
            if !folder.is_dir() {
                return Err(Failure::at(folder, "is no directory").hint("pictures are written to a folder"));
            }
        }
        let bytes = files::read(&self.model)?;
        let model = files::parse_model(&self.model, &bytes)?;
        let graph = Arc::new(model.graph.clone());
        let compiled = CompiledModel::new(Arc::clone(&graph), Modes::public(&graph), model.layout)
            .map_err(|e| Failure::at(&self.model, e))?;
        let name = self.model.file_name().unwrap_or_default().to_string_lossy();
        let mut report = Numbers::new(&name, bytes.len(), &model, &compiled);
        let samples = self.inputs.as_deref().map(|path| self.read_samples(path, &model)).transpose()?;
        if let (Some(path), Some(samples)) = (&self.inputs, &samples) {
            let float = self.onnx.as_deref().map(|onnx| self.import.import(onnx)).transpose()?;
            let values = accuracy::measure(&model, samples, float.as_ref());
            report.accuracy = Some(values.map_err(|e| match (&self.onnx, &e) {
                (Some(onnx), accuracy::AccuracyError::Float(_)) => Failure::at(onnx, e),
                _ => Failure::at(path, e),
            })?);
        }
        if !self.no_measure {
            report.set_measured(self.measure(&model, samples.as_ref(), &name)?);
        }
        self.write(&report)?;
        if self.json {
            say!("{}", serde_json::to_string_pretty(&report).map_err(Failure::new)?);
        }
        Ok(Outcome::Done)
    }

    /// The first samples.
    fn read_samples(&self, path: &Path, model: &QuantizedModel) -> Result<Samples, Failure> {
        let samples = files::samples(path, &files::input_specs(&model.graph))?;
        let (all, most) = (samples.len(), self.samples as usize);
        if all > most {
            eprintln!("note: the first {most} of {all} samples are used; --samples takes more");
        }
        Ok(samples.split_at(most).0)
    }

    fn measure(
        &self,
        model: &QuantizedModel,
        samples: Option<&Samples>,
        name: &str,
    ) -> Result<measured::Measured, Failure> {
        let params = files::params(model.layout.k.into()).map_err(|e| Failure::at(&self.model, e.message))?;
        let mut inputs = Vec::new();
        if let (Some(path), Some(samples)) = (&self.inputs, samples) {
            for sample in 0..samples.len().min(self.runs as usize) {
                inputs.push(files::quantise(&model.graph, (path, samples), sample, false)?);
            }
        }
        let bar = stages::start("proving", self.json);
        let setup = Setup {
            name: name.to_owned(),
            model: model.clone(),
            params,
            inputs,
            bits: None,
            group: 1,
            threads: rayon::current_num_threads(),
            runs: self.runs as usize,
            batch: None,
            before: Vec::new(),
        };
        let measured = measured::measure(&setup).map_err(|e| Failure::at(&self.model, e));
        bar.finish_and_clear();
        measured
    }

    /// Writes the page and all pictures, or nothing.
    fn write(&self, report: &Numbers) -> Result<(), Failure> {
        let mut made: Vec<(PathBuf, Vec<u8>)> = Vec::new();
        if let Some(path) = &self.output {
            made.push((path.clone(), report.to_html().into_bytes()));
        }
        let pictures = if self.svg.is_some() || self.png.is_some() { report.pictures() } else { Vec::new() };
        if let Some(folder) = &self.svg {
            for (name, picture) in &pictures {
                made.push((folder.join(format!("{name}.svg")), picture.to_svg().into_bytes()));
            }
        }
        if let Some(folder) = &self.png {
            let rasteriser = Rasteriser::new();
            for (name, picture) in &pictures {
                let path = folder.join(format!("{name}.png"));
                let bytes = rasteriser.png(picture).map_err(|e| Failure::at(&path, e))?;
                made.push((path, bytes));
            }
        }
        let files: Vec<(&Path, &[u8])> = made.iter().map(|(path, bytes)| (path.as_path(), bytes.as_slice())).collect();
        output::write(&files)
    }
}

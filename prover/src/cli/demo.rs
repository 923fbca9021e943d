//! `zkonnx demo`.

use super::{files, quantize::build, Failure, Outcome};
use crate::{keys::ProverModel, prove::prove};
use clap::Args;
use std::{collections::BTreeMap, io::Cursor, path::Path, time::Instant};
use zkonnx_circuits::lower::Modes;
use zkonnx_quantize::{
    data::{quantise_input, read_npz_from, NamedTensor, Samples},
    model::{Gates, QuantizedModel},
    onnx::OnnxModel,
    quantize,
    recipe::Recipe,
};
use zkonnx_verifier::{
    error::VerifyError,
    registry::{ModelHandle, Registry},
    statement::{Context, Statement},
    verify::verify,
};

/// A LeNet trained on MNIST, its calibration samples, and held-out images: see `tests/models`.
const MODEL: &[u8] = include_bytes!("../../../tests/models/lenet.onnx");
const CALIBRATION: &[u8] = include_bytes!("../../../tests/models/lenet_calibration.npz");
const IMAGES: &[u8] = include_bytes!("../../../tests/models/mnist_heldout.npz");

#[derive(Debug, Args)]
pub(super) struct Demo {
    /// How many images to prove
    #[arg(long, default_value_t = 3)]
    images: usize,
}

impl Demo {
    pub(super) fn run(&self) -> Result<Outcome, Failure> {
        say!("1. A LeNet, trained on MNIST: 44,426 weights, 0.28 million multiply-accumulates.");
        let started = Instant::now();
        let onnx = OnnxModel::from_bytes(MODEL, &BTreeMap::new()).map_err(Failure::new)?;
        let samples =
            Samples::new(&onnx.inputs(), bundled("lenet_calibration.npz", CALIBRATION)?).map_err(Failure::new)?;
        let (model, _) = quantize(&onnx, Some(&samples), &Recipe::default()).map_err(Failure::new)?;
        let built = build(model.clone(), false, (Gates::Relations, None, None))?;
        let layout = built.model.layout;
        say!(
            "   quantised and committed in {:.2} s: model id {}, 2^{} rows",
            started.elapsed().as_secs_f64(),
            &built.id.to_string()[..16],
            layout.k
        );

        say!("2. Keys, rebuilt from the model (there is no key file).");
        let started = Instant::now();
        let params = files::params(layout.k.into())?;
        let modes = Modes::public(&built.model.graph);
        let prover = ProverModel::new(built.model, modes, params.clone()).map_err(Failure::new)?;
        say!("   prover ready in {:.2} s", started.elapsed().as_secs_f64());
        let started = Instant::now();
        let mut registry = Registry::new();
        registry.insert_params(params);
        let handle = registry.register(&built.zkv).map_err(Failure::new)?;
        say!(
            "   verifier ready in {:.2} s, from {} that hold no weight",
            started.elapsed().as_secs_f64(),
            files::bytes(built.zkv.len())
        );

        say!("3. Real images, never seen in training.");
        let (images, labels) = held_out(&onnx)?;
        let mut last: Option<(Statement, Vec<u8>)> = None;
        for (index, label) in labels.iter().enumerate().take(self.images.clamp(1, images.len())) {
            let input = &prover.model.graph.inputs[0];
            let pixels = quantise_input(input, images.sample(index)[0]).map_err(Failure::new)?.values;
            draw(&pixels);
            let started = Instant::now();
            let (statement, proof) = prove(&prover, &[pixels], Context::default()).map_err(Failure::new)?;
            let proving = started.elapsed().as_secs_f64();
            let started = Instant::now();
            verify(&handle, &statement, &proof, None).map_err(Failure::new)?;
            let verifying = started.elapsed().as_secs_f64() * 1e3;
            let logits = zkonnx_verifier::verify::public_values(&statement).1.remove(0);
            let digit = (0..logits.len()).max_by_key(|i| (logits[*i], std::cmp::Reverse(*i))).unwrap_or(0);
            say!(
                "   the model says {digit}, the label is {label}: proven in {proving:.2} s, {}, verified in {verifying:.1} ms",
                files::bytes(proof.len())
            );
            last = Some((statement, proof));
        }

        let (statement, proof) = last.ok_or_else(|| Failure::new("no image was proven"))?;
        say!("4. Two ways of proving the gates of the circuit, on the last image.");
        let (inputs, mut outputs) = zkonnx_verifier::verify::public_values(&statement);
        once(&prover, &handle, &inputs)?;
        let (prover, other) = both_keys(&model, Gates::Halo2)?;
        once(&prover, &other, &inputs)?;

        say!("5. Lies are refused.");
        let mut changed = proof.clone();
        changed[proof.len() / 2] ^= 1;
        refused("one bit of the proof flipped", verify(&handle, &statement, &changed, None))?;
        outputs[0][3] += 1;
        let modes = Modes::public(handle.graph());
        let lie = Statement::new(handle.graph(), &modes, handle.id(), (&inputs, &outputs), statement.context);
        refused("one output raised by one unit", verify(&handle, &lie, &proof, None))?;
        let stolen = Context { payee: [7; 32], ..statement.context };
        let theft = Statement { context: stolen, ..statement };
        refused("another payee", verify(&handle, &theft, &proof, None))?;
        Ok(Outcome::Done)
    }
}

/// Keys of both sides for a way of proving gates.
fn both_keys(model: &QuantizedModel, gates: Gates) -> Result<(ProverModel, ModelHandle), Failure> {
    let built = build(model.clone(), false, (gates, None, None))?;
    let params = files::params(built.model.layout.k.into())?;
    let modes = Modes::public(&built.model.graph);
    let prover = ProverModel::new(built.model, modes, params).map_err(Failure::new)?;
    let handle = prover.register().map_err(Failure::new)?;
    Ok((prover, handle))
}

/// Proves and verifies once, and says what it takes.
fn once(prover: &ProverModel, handle: &ModelHandle, inputs: &[Vec<i64>]) -> Result<(), Failure> {
    let started = Instant::now();
    let (statement, proof) = prove(prover, inputs, Context::default()).map_err(Failure::new)?;
    let proving = started.elapsed().as_secs_f64();
    let started = Instant::now();
    verify(handle, &statement, &proof, None).map_err(Failure::new)?;
    let verifying = started.elapsed().as_secs_f64() * 1e3;
    let layout = prover.model.layout;
    say!(
        "   by {:9} (2^{} rows): proven in {proving:.2} s, {}, verified in {verifying:.1} ms",
        layout.gates.to_string(),
        layout.k,
        files::bytes(proof.len())
    );
    Ok(())
}

fn refused<T>(lie: &str, verdict: Result<T, VerifyError>) -> Result<(), Failure> {
    match verdict {
        Err(error) => {
            say!("   {lie}: {error}");
            Ok(())
        }
        Ok(_) => Err(Failure::new(format!("{lie}: ACCEPTED, which must never happen"))),
    }
}

/// The arrays of a bundled file.
fn bundled(name: &str, bytes: &[u8]) -> Result<Vec<NamedTensor>, Failure> {
    read_npz_from(Path::new(name), Cursor::new(bytes)).map_err(Failure::new)
}

/// Held-out images as samples of the model, and their labels.
fn held_out(onnx: &OnnxModel) -> Result<(Samples, Vec<u8>), Failure> {
    let arrays = bundled("mnist_heldout.npz", IMAGES)?;
    let find = |name: &str| {
        arrays
            .iter()
            .find(|a| a.name == name)
            .cloned()
            .ok_or_else(|| Failure::new(format!("no '{name}' in the images")))
    };
    let (mut images, labels) = (find("images")?, find("labels")?);
    images.name = onnx.inputs()[0].name.clone();
    images.shape = vec![images.shape[0], 784];
    for pixel in &mut images.data {
        *pixel /= 255.0;
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // labels are digits
    let labels = labels.data.iter().map(|l| *l as u8).collect();
    Ok((Samples::new(&onnx.inputs(), vec![images]).map_err(Failure::new)?, labels))
}

/// The image as text, two rows of pixels a line.
fn draw(pixels: &[i64]) {
    let rows: Vec<&[i64]> = pixels.chunks(28).collect();
    for pair in rows.chunks(2).skip(2).take(10) {
        let line: String = (2..26)
            .map(|x| match (pair[0][x] > 100, pair[1][x] > 100) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            })
            .collect();
        say!("      {line}");
    }
}

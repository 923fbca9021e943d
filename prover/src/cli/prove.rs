//! `zkonnx prove`.

use super::{
    context, files,
    opening::{self, OpeningFile},
    output, stages, Failure, Outcome,
};
use crate::{
    keys::{PointsOrigin, ProverModel},
    prove::{prove_committed, Proven},
};
use clap::Args;
use std::{
    path::{Path, PathBuf},
    time::Instant,
};
use zkonnx_circuits::{
    committed::CommittedRef,
    lower::{Mode, Modes},
};
use zkonnx_quantize::graph::Graph;
use zkonnx_verifier::{commitment::Opening, proof_file::ProofFile, statement::TensorValue, verify::verify};

#[derive(Debug, Args)]
pub(super) struct Prove {
    /// The quantised model
    model: PathBuf,
    /// One input: .npy, .npz, .json or .csv; what --open gives need not be in it
    #[arg(long)]
    input: Option<PathBuf>,
    /// Where to write the proof with its statement
    #[arg(short, long)]
    output: PathBuf,
    /// For whom and for which job: a JSON file with domain, job_id, nonce, requester, payee, not_after
    #[arg(long)]
    context: Option<PathBuf>,
    /// Say nothing about this input or output in the statement (may be given several times)
    #[arg(long, value_name = "NAME")]
    hide: Vec<String>,
    /// Put points that hide this input or output in the statement, and write what opens them beside the proof (may be given
    /// several times)
    #[arg(long, value_name = "NAME")]
    commit: Vec<String>,
    /// Take this input from the opening of a tensor that another proof has committed, under the same points
    #[arg(long = "open", value_name = "NAME=OPENING.json", value_parser = parse_open)]
    opened: Vec<(String, PathBuf)>,
    /// Refuse inputs outside of the declared range instead of clamping them
    #[arg(long)]
    strict_range: bool,
    /// Print a JSON summary
    #[arg(long)]
    json: bool,
}

impl Prove {
    pub(super) fn run(&self) -> Result<Outcome, Failure> {
        let openings = self.opened.iter().map(|(_, path)| Some(path));
        let read: Vec<_> =
            [Some(&self.model), self.input.as_ref(), self.context.as_ref()].into_iter().chain(openings).collect();
        output::check(&[Some(&self.output)], &read)?;
        let model = files::read_model(&self.model)?;
        let context = context::read(self.context.as_deref())?;
        if context.not_after != 0 && context.not_after < files::now() {
            eprintln!("warning: the context has expired already: verifiers will refuse the proof");
        }
        let known = self.openings(&model.graph)?;
        let inputs = self.inputs(&model.graph, &known)?;
        let commit: Vec<String> = self.commit.iter().chain(self.opened.iter().map(|(name, _)| name)).cloned().collect();
        let modes = modes(&model.graph, &self.hide, &commit)?;
        let written = opening_paths(&self.output, &model.graph, &modes);
        output::check(&written.iter().map(Some).collect::<Vec<_>>(), &read)?;
        let started = Instant::now();
        let bar = stages::start("parameters", self.json);
        let params = files::params(model.layout.k.into()).map_err(|e| Failure::at(&self.model, e.message))?;
        stages::show(&bar, "keys", None);
        let published = files::Published::beside(&self.model);
        let (prover, origin) = ProverModel::with_points(model, modes, params, published.model())
            .map_err(|e| Failure::at(&self.model, e))?;
        published.tell(&origin);
        let prepared = started.elapsed();
        stages::show(&bar, "proving", None);
        let started = Instant::now();
        let Proven { statement, proof, openings } =
            prove_committed(&prover, &inputs, &known, context).map_err(Failure::new)?;
        let proven = started.elapsed();
        stages::show(&bar, "verifying", None);
        // Never hand out a proof that does not verify.
        let handle = prover.register().map_err(Failure::new)?;
        verify(&handle, &statement, &proof, None).map_err(|e| Failure::new(format!("own proof refused: {e}")))?;
        bar.finish_and_clear();
        let proof_bytes = proof.len();
        let committed = statement.inputs.iter().chain(&statement.outputs).filter_map(|entry| match &entry.value {
            TensorValue::Committed(committed) => Some((entry, committed)),
            _ => None,
        });
        let files: Vec<Vec<u8>> = committed
            .zip(&openings)
            .map(|((entry, committed), opening)| OpeningFile::new(prover.id, entry, committed, opening).to_bytes())
            .collect();
        let bytes = ProofFile { statement, proof }.to_bytes();
        let secrets: Vec<(&Path, &[u8])> =
            written.iter().zip(&files).map(|(path, bytes)| (path.as_path(), bytes.as_slice())).collect();
        output::write_with_secrets(&secrets, &[(&self.output, &bytes)])?;
        if self.json {
            say!(
                "{}",
                serde_json::json!({
                    "model_id": prover.id.to_string(),
                    "gates": prover.model.layout.gates,
                    "weights_committed": !matches!(origin, PointsOrigin::Known),
                    "proof": self.output,
                    "openings": written,
                    "proof_bytes": proof_bytes,
                    "file_bytes": bytes.len(),
                    "prepare_seconds": prepared.as_secs_f64(),
                    "prove_seconds": proven.as_secs_f64(),
                })
            );
        } else {
            say!(
                "{}: proof of {}, gates by {}, file of {}; keys {:.2} s, proof {:.2} s",
                self.output.display(),
                files::bytes(proof_bytes),
                prover.model.layout.gates,
                files::bytes(bytes.len()),
                prepared.as_secs_f64(),
                proven.as_secs_f64()
            );
            for path in &written {
                say!("{}: opens a committed tensor; keep it secret, and keep it", path.display());
            }
        }
        Ok(Outcome::Done)
    }

    /// What `--open` gives, by the number of its input.
    fn openings(&self, graph: &Graph) -> Result<Vec<(CommittedRef, Opening)>, Failure> {
        let mut known: Vec<(CommittedRef, Opening)> = Vec::new();
        for (name, path) in &self.opened {
            let (file, opening) = OpeningFile::read(path)?;
            let at = graph.inputs.iter().position(|i| i.name == *name);
            let Some((at, input)) = at.and_then(|at| Some((at, graph.inputs.get(at)?))) else {
                let names: Vec<&str> = graph.inputs.iter().map(|i| i.name.as_str()).collect();
                return Err(Failure::new(format!("--open {name}: the model has no such input"))
                    .hint(format!("there are {}", names.join(", "))));
            };
            if known.iter().any(|(other, _)| *other == CommittedRef::Input(at)) {
                return Err(Failure::new(format!("--open {name}: given twice")));
            }
            let len: usize = input.shape.iter().map(|s| *s as usize).product();
            if opening.values.len() != len {
                let message = format!(
                    "tensor '{}' {:?} has {} elements, input '{name}' {:?} has {len}",
                    file.tensor,
                    file.shape,
                    opening.values.len(),
                    input.shape
                );
                return Err(Failure::at(path, message));
            }
            if let Some(v) = opening.values.iter().find(|v| !input.bounds.contains(**v)) {
                let (lo, hi) = (input.bounds.lo, input.bounds.hi);
                return Err(Failure::at(path, format!("the integer {v} is outside of input '{name}', {lo} to {hi}")));
            }
            let scale = input.scale.to_f64();
            #[allow(clippy::float_cmp)] // both are one declared scale
            if file.scale != scale {
                return Err(Failure::at(
                    path,
                    format!(
                        "the unit of tensor '{}' is {}, that of input '{name}' is {scale}",
                        file.tensor, file.scale
                    ),
                )
                .hint(
                    "quantise this model with inputs in the other one's units: --input-like INPUT=OTHER.zkq:OUTPUT",
                ));
            }
            known.push((CommittedRef::Input(at), opening));
        }
        Ok(known)
    }

    /// The integers of all inputs.
    fn inputs(&self, graph: &Graph, known: &[(CommittedRef, Opening)]) -> Result<Vec<Vec<i64>>, Failure> {
        let opened = |at: usize| known.iter().find(|(tensor, _)| *tensor == CommittedRef::Input(at)).map(|(_, o)| o);
        let mut rest = graph.clone();
        let mut at = 0..;
        rest.inputs.retain(|_| at.next().is_some_and(|at| opened(at).is_none()));
        let mut values = Vec::new();
        if !rest.inputs.is_empty() {
            let path = self.input.as_ref().ok_or_else(|| {
                Failure::new(format!("input '{}' is not given", rest.inputs[0].name)).hint("give --input FILE")
            })?;
            let samples = files::samples(path, &files::input_specs(&rest))?;
            if samples.len() != 1 {
                return Err(Failure::at(path, format!("{} samples; `prove` proves one", samples.len()))
                    .hint("evaluate all of them with `zkonnx run`, or prove all of them with `zkonnx batch`"));
            }
            values = files::quantise(&rest, (path, &samples), 0, self.strict_range)?;
        }
        let mut values = values.into_iter();
        Ok((0..graph.inputs.len())
            .map(|at| opened(at).map_or_else(|| values.next().unwrap_or_default(), |o| o.values.clone()))
            .collect())
    }
}

fn parse_open(text: &str) -> Result<(String, PathBuf), String> {
    let (name, path) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("expected NAME=OPENING.json")?;
    Ok((name.to_owned(), path.into()))
}

/// Where the openings of committed tensors are written.
fn opening_paths(proof: &Path, graph: &Graph, modes: &Modes) -> Vec<PathBuf> {
    let names = graph.inputs.iter().map(|i| &i.name).chain(graph.outputs.iter().map(|o| &o.name));
    let committed = names.zip(modes.inputs.iter().chain(&modes.outputs)).filter(|(_, mode)| **mode == Mode::Committed);
    (0..).zip(committed).map(|(number, (name, _))| opening::path(proof, number, name)).collect()
}

/// Everything public but the named tensors.
pub(super) fn modes(graph: &Graph, hide: &[String], commit: &[String]) -> Result<Modes, Failure> {
    let mut modes = Modes::public(graph);
    let inputs = graph.inputs.iter().map(|i| &i.name).zip(&mut modes.inputs);
    let outputs = graph.outputs.iter().map(|o| &o.name).zip(&mut modes.outputs);
    for (name, mode) in inputs.chain(outputs) {
        match (hide.contains(name), commit.contains(name)) {
            (true, true) => return Err(Failure::new(format!("'{name}' cannot be both hidden and committed"))),
            (true, false) => *mode = Mode::Hidden,
            (false, true) => *mode = Mode::Committed,
            (false, false) => {}
        }
    }
    let known = |name: &&String| {
        graph.inputs.iter().any(|i| i.name == **name) || graph.outputs.iter().any(|o| o.name == **name)
    };
    let named = hide.iter().map(|n| ("hide", n)).chain(commit.iter().map(|n| ("commit", n)));
    if let Some((flag, unknown)) = named.into_iter().find(|(_, name)| !known(name)) {
        let names: Vec<&str> =
            graph.inputs.iter().map(|i| i.name.as_str()).chain(graph.outputs.iter().map(|o| o.name.as_str())).collect();
        return Err(Failure::new(format!("--{flag} {unknown}: the model has no such input or output"))
            .hint(format!("there are {}", names.join(", "))));
    }
    if modes.inputs.contains(&Mode::Hidden) && modes.outputs.iter().all(|m| *m == Mode::Hidden) {
        eprintln!("warning: with inputs and all outputs hidden the statement says almost nothing");
    }
    Ok(modes)
}

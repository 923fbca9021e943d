//! `zkonnx verify`.

use super::{files, gates::layout_text, run::to_json, Failure, Outcome};
use clap::Args;
use std::{
    path::{Path, PathBuf},
    time::Instant,
};
use zkonnx_quantize::data::NamedTensor;
use zkonnx_verifier::{
    batch::{verify_batch, BatchItem},
    proof_file::{ProofFile, PROOF_MAGIC},
    receipt::Receipt,
    registry::{ModelHandle, Registry, WeightStatus},
    statement::{Context, Statement, TensorEntry, TensorValue},
    verify::Verified,
    zkv::{DeclaredWeights, VerifierModel},
};

#[derive(Debug, Args)]
pub(super) struct Verify {
    /// The models that the verifier trusts: .zkv files (may be given several times)
    #[arg(long, required = true)]
    model: Vec<PathBuf>,
    /// The proofs, or receipts; several are verified in one batch, with a verdict for each
    #[arg(required = true)]
    proof: Vec<PathBuf>,
    /// Print the verdict as JSON; of several, a list
    #[arg(long)]
    json: bool,
}

/// A proof file or a receipt.
struct Presented {
    statement: Statement,
    proof: Vec<u8>,
    receipt: Option<Receipt>,
}

/// Reads a proof file or a receipt, binary or JSON; the inner error is a rejection.
fn read(path: &Path) -> Result<Result<Presented, String>, Failure> {
    let bytes = files::read(path)?;
    Ok(read_presented(&bytes).map_err(|e| e.to_string()))
}

fn read_presented(bytes: &[u8]) -> Result<Presented, Box<dyn std::error::Error>> {
    let is_receipt = bytes.starts_with(zkonnx_verifier::receipt::RECEIPT_MAGIC)
        || (!bytes.starts_with(PROOF_MAGIC) && bytes.trim_ascii_start().starts_with(b"{"));
    if is_receipt {
        let receipt = Receipt::from_either(bytes)?;
        let (statement, proof) = (receipt.statement.clone(), receipt.proof.clone());
        return Ok(Presented { statement, proof, receipt: Some(receipt) });
    }
    let ProofFile { statement, proof } = ProofFile::from_bytes(bytes)?;
    Ok(Presented { statement, proof, receipt: None })
}

/// Largest group of inferences that is looked for by the shapes of a statement's inputs.
const LARGEST_GROUP: u32 = 1 << 16;

/// The models that the caller trusts, and groups of their inferences.
pub(super) struct Models {
    registry: Registry,
    first: ModelHandle,
}

impl Models {
    /// Registers model files, with cached parameters.
    pub(super) fn register(paths: &[PathBuf]) -> Result<Self, Failure> {
        let mut registry = Registry::new();
        let mut known = Vec::new();
        let mut first = None;
        for path in paths {
            let model = files::read(path)?;
            // The layout stands in the file: read it before parameters are looked for.
            let parsed = VerifierModel::from_bytes(&model)
                .map_err(|e| files::undecoded(path, &e, "a .zkv file is written by `zkonnx quantize`"))?;
            let k = u32::from(parsed.layout.k);
            if !known.contains(&k) {
                registry.insert_params(files::params(k).map_err(|e| Failure::at(path, e.message))?);
                known.push(k);
            }
            let handle = registry.register(&model).map_err(|e| files::unregistered(path, &e))?;
            first.get_or_insert(handle);
        }
        let first = first.ok_or_else(|| Failure::new("no model"))?;
        Ok(Self { registry, first })
    }

    /// The model that a statement names; where there is none the first, which then refuses it.
    pub(super) fn choose(&mut self, statement: &Statement) -> ModelHandle {
        self.registry.find(statement, LARGEST_GROUP).ok().flatten().unwrap_or_else(|| self.first.clone())
    }
}

impl Verify {
    pub(super) fn run(&self) -> Result<Outcome, Failure> {
        let mut models = Models::register(&self.model)?;
        let presented = self.proof.iter().map(|path| read(path)).collect::<Result<Vec<_>, _>>()?;
        let handles: Vec<ModelHandle> = presented.iter().flatten().map(|p| models.choose(&p.statement)).collect();
        let items: Vec<BatchItem<'_>> = presented
            .iter()
            .flatten()
            .zip(&handles)
            .map(|(p, handle)| BatchItem { handle, statement: &p.statement, proof: &p.proof })
            .collect();
        let started = Instant::now();
        let mut verdicts = verify_batch(&items, Some(files::now())).into_iter().zip(&items);
        let seconds = started.elapsed().as_secs_f64();
        let verdicts: Vec<Result<(Verified, &ModelHandle), String>> = presented
            .iter()
            .map(|presented| {
                let presented = presented.as_ref().map_err(Clone::clone)?;
                let (verdict, item) = verdicts.next().ok_or("no verdict")?;
                let verified = verdict.map_err(|e| e.to_string())?;
                if let Some(receipt) = &presented.receipt {
                    receipt.check_metering(item.handle).map_err(|e| e.to_string())?;
                }
                Ok((verified, item.handle))
            })
            .collect();
        let outcome = if verdicts.iter().all(Result::is_ok) { Outcome::Done } else { Outcome::Rejected };
        let all = || self.proof.iter().zip(&presented).zip(&verdicts);
        if self.json {
            let verdicts: Vec<serde_json::Value> = all()
                .map(|((path, presented), verdict)| verdict_json(path, presented.as_ref().ok(), verdict))
                .collect();
            match verdicts.as_slice() {
                [single] => {
                    let mut single = single.clone();
                    single["seconds"] = seconds.into();
                    say!("{single}");
                }
                _ => say!("{}", serde_json::json!({ "verdicts": verdicts, "seconds": seconds })),
            }
            return Ok(outcome);
        }
        match (self.proof.as_slice(), presented.as_slice(), verdicts.as_slice()) {
            ([_], [Ok(presented)], [Ok((verified, handle))]) => {
                say!("accepted in {:.1} ms", seconds * 1e3);
                show(presented, verified, handle);
            }
            _ => {
                for ((path, _), verdict) in all() {
                    match verdict {
                        Ok((verified, _)) => {
                            say!("accepted: {}: statement {}", path.display(), verified.statement_digest())
                        }
                        Err(reason) => say!("REJECTED: {}: {reason}", path.display()),
                    }
                }
                if let [_, _, ..] = verdicts.as_slice() {
                    let accepted = verdicts.iter().filter(|v| v.is_ok()).count();
                    say!("{accepted} of {} accepted in {:.1} ms", verdicts.len(), seconds * 1e3);
                }
            }
        }
        Ok(outcome)
    }
}

/// Public inputs and outputs in real units.
fn tensors(statement: &Statement, handle: &ModelHandle) -> (Vec<NamedTensor>, Vec<NamedTensor>) {
    let graph = handle.graph();
    let inputs = statement.inputs.iter().zip(&graph.inputs).filter_map(|(e, d)| in_units(e, d.scale.to_f64()));
    let outputs = statement.outputs.iter().zip(&graph.outputs).filter_map(|(e, d)| in_units(e, d.scale.to_f64()));
    (inputs.collect(), outputs.collect())
}

fn verdict_json(
    path: &Path,
    presented: Option<&Presented>,
    verdict: &Result<(Verified, &ModelHandle), String>,
) -> serde_json::Value {
    let (verified, handle, presented) = match (verdict, presented) {
        (Ok((verified, handle)), Some(presented)) => (verified, handle, presented),
        (Err(reason), _) => return serde_json::json!({ "proof": path, "verdict": "rejected", "reason": reason }),
        (Ok(_), None) => return serde_json::json!({ "proof": path, "verdict": "rejected", "reason": "not read" }),
    };
    let (inputs, outputs) = tensors(&presented.statement, handle);
    let mut json = serde_json::json!({
        "proof": path,
        "verdict": "accepted",
        "model_id": verified.model_id(),
        "gates": handle.layout().gates,
        "statement": verified.statement_digest(),
        "inputs": to_json(&inputs),
        "outputs": to_json(&outputs),
        "context": verified.context(),
    });
    if let Some((model_id, size)) = handle.group() {
        json["group"] = serde_json::json!({ "model_id": model_id, "size": size });
    }
    if let Some(receipt) = &presented.receipt {
        json["metering"] = serde_json::json!(receipt.metering);
        json["storage"] = serde_json::json!(receipt.storage);
    }
    json
}

/// An accepted proof in words.
fn show(presented: &Presented, verified: &Verified, handle: &ModelHandle) {
    match handle.group() {
        Some((model, size)) => say!("model id   {} ({size} inferences of {model})", verified.model_id()),
        None => say!("model id   {}", verified.model_id()),
    }
    say!("statement  {}", verified.statement_digest());
    say!("layout     {}", layout_text(handle.layout()));
    match (handle.declared_weights(), handle.weight_status()) {
        (DeclaredWeights::Public, _) => say!("weights    declared public (not recomputed here)"),
        (DeclaredWeights::Private, WeightStatus::RangeProven) => say!("weights    private, range-proven"),
        (DeclaredWeights::Private, _) => say!("weights    private, not range-proven"),
    }
    show_statement(&presented.statement, &tensors(&presented.statement, handle));
    if let Some(receipt) = &presented.receipt {
        super::receipt::show(receipt);
    }
}

/// Tensors and context in words.
fn show_statement(statement: &Statement, tensors: &(Vec<NamedTensor>, Vec<NamedTensor>)) {
    for (what, entries, tensors) in
        [("input", &statement.inputs, &tensors.0), ("output", &statement.outputs, &tensors.1)]
    {
        for entry in entries {
            match tensors.iter().find(|t| t.name == entry.name) {
                Some(tensor) => say!("{what:10} {} {:?} = {}", entry.name, entry.shape, shorten(&tensor.data)),
                None => {
                    let how = match &entry.value {
                        TensorValue::Committed(committed) => format!("committed in {} points", committed.points.len()),
                        _ => "hidden".into(),
                    };
                    say!("{what:10} {} {:?} {how}", entry.name, entry.shape);
                }
            }
        }
    }
    say!("context    {}", context_text(&statement.context));
}

/// A context in one line.
pub(super) fn context_text(context: &Context) -> String {
    if *context == Context::default() {
        return "none".into();
    }
    serde_json::json!(context).to_string()
}

/// A public tensor in real units; `None` when hidden.
fn in_units(entry: &TensorEntry, scale: f64) -> Option<NamedTensor> {
    match &entry.value {
        TensorValue::Hidden | TensorValue::Committed(_) => None,
        TensorValue::Public(integers) => Some(NamedTensor {
            name: entry.name.clone(),
            shape: entry.shape.iter().map(|s| *s as usize).collect(),
            #[allow(clippy::cast_precision_loss)] // for people
            data: integers.to_vec().into_iter().map(|v| v as f64 * scale).collect(),
        }),
    }
}

/// The first values.
pub(super) fn shorten(values: &[f64]) -> String {
    const SHOWN: usize = 12;
    let shown: Vec<String> = values.iter().take(SHOWN).map(|v| format!("{v:.5}")).collect();
    let rest = values.len().saturating_sub(SHOWN);
    let more = if rest > 0 { format!(", … {rest} more") } else { String::new() };
    format!("[{}{more}]", shown.join(", "))
}

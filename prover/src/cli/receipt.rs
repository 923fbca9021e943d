//! `zkonnx receipt`: receipts from proofs, in binary and JSON, and what a model is charged for.

use super::{
    files,
    gates::layout_text,
    output,
    prove::modes,
    verify::{context_text, Models},
    Failure, Outcome,
};
use blake2b_simd::Params as Blake2b;
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};
use zkonnx_circuits::compiled::CompiledModel;
use zkonnx_quantize::model::ZKQ_MAGIC;
use zkonnx_verifier::{
    metering::Metering,
    proof_file::ProofFile,
    receipt::{Receipt as File, StorageReference},
    zkv::VerifierModel,
};

#[derive(Debug, Args)]
pub(super) struct Receipt {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Makes a receipt from a proof that verifies
    Make(Make),
    /// Shows a receipt; nothing is verified
    Show {
        /// The receipt, binary or JSON
        receipt: PathBuf,
        /// Print it as JSON
        #[arg(long)]
        json: bool,
    },
    /// Writes a receipt in the other encoding: JSON when the new name ends in .json, else binary
    Convert {
        /// The receipt, binary or JSON
        receipt: PathBuf,
        /// The new file
        output: PathBuf,
    },
    /// Meters a model before anything is proven: what a price can be made of
    Meter {
        /// The model: a .zkv or a .zkq file
        model: PathBuf,
        /// As for `prove`: this input or output will be hidden (may be given several times)
        #[arg(long, value_name = "NAME")]
        hide: Vec<String>,
        /// That many inferences in one proof
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        group: u32,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
struct Make {
    /// The model: a .zkv file
    #[arg(long)]
    model: PathBuf,
    /// The proof
    proof: PathBuf,
    /// Where to write the receipt: JSON when the name ends in .json, else binary
    #[arg(short, long)]
    output: PathBuf,
    /// Where data of the job is kept
    #[arg(long, value_name = "URI", requires = "storage_data")]
    storage_uri: Option<String>,
    /// That data: its digest and length go into the receipt
    #[arg(long, value_name = "FILE", requires = "storage_uri")]
    storage_data: Option<PathBuf>,
    /// Until when it is kept, in Unix time; 0 when nothing is promised
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    storage_expires: u64,
}

impl Receipt {
    pub(super) fn run(&self) -> Result<Outcome, Failure> {
        match &self.command {
            Command::Make(make) => make.run(),
            Command::Show { receipt, json } => {
                let file = read(receipt)?;
                if *json {
                    say!("{}", file.to_json().map_err(|e| Failure::at(receipt, e))?);
                    return Ok(Outcome::Done);
                }
                say!("model id   {}", file.statement.model_id);
                say!("statement  {}", file.statement.digest());
                say!("context    {}", context_text(&file.statement.context));
                show(&file);
                say!("nothing was verified: see `zkonnx verify`");
                Ok(Outcome::Done)
            }
            Command::Convert { receipt, output } => {
                output::check(&[Some(output)], &[Some(receipt)])?;
                write(output, &read(receipt)?)
            }
            Command::Meter { model, hide, group, json } => meter(model, hide, *group, *json),
        }
    }
}

impl Make {
    fn run(&self) -> Result<Outcome, Failure> {
        output::check(&[Some(&self.output)], &[Some(&self.model), Some(&self.proof), self.storage_data.as_ref()])?;
        let ProofFile { statement, proof } =
            ProofFile::from_bytes(&files::read(&self.proof)?).map_err(|e| Failure::at(&self.proof, e))?;
        let handle = &Models::register(std::slice::from_ref(&self.model))?.choose(&statement);
        let mut receipt = File::new(handle, statement, proof).map_err(|e| Failure::at(&self.proof, e))?;
        if let (Some(uri), Some(data)) = (&self.storage_uri, &self.storage_data) {
            let bytes = files::read(data)?;
            let mut digest = [0; 32];
            digest.copy_from_slice(Blake2b::new().hash_length(32).hash(&bytes).as_bytes());
            let (length, expires) = (bytes.len() as u64, self.storage_expires);
            receipt.storage = Some(StorageReference { uri: uri.clone(), digest, length, expires });
        }
        // What cannot be read back is not written.
        File::from_bytes(&receipt.to_bytes()).map_err(Failure::new)?;
        if let Err(error) = receipt.verify(handle, None) {
            say!("REJECTED: {}: {error}", self.proof.display());
            return Ok(Outcome::Rejected);
        }
        write(&self.output, &receipt)
    }
}

fn read(path: &Path) -> Result<File, Failure> {
    File::from_either(&files::read(path)?).map_err(|e| Failure::at(path, e).hint("`zkonnx receipt make` writes one"))
}

fn write(path: &Path, receipt: &File) -> Result<Outcome, Failure> {
    let bytes = match path.extension().is_some_and(|e| e.eq_ignore_ascii_case("json")) {
        true => receipt.to_json().map_err(|e| Failure::at(path, e))?.into_bytes(),
        false => receipt.to_bytes(),
    };
    output::write(&[(path, &bytes)])?;
    say!("{}: receipt of {}", path.display(), files::bytes(bytes.len()));
    Ok(Outcome::Done)
}

/// Metering and storage in words.
pub(super) fn show(receipt: &File) {
    show_metering(&receipt.metering);
    if let Some(storage) = &receipt.storage {
        say!("storage    {} ({} bytes, until {})", storage.uri, storage.length, storage.expires);
    }
}

fn show_metering(metering: &Metering) {
    say!(
        "metering   {} MACs, {} weights, {} lookups, {} rows x {} columns, proof of {} bytes",
        metering.macs,
        metering.weights,
        metering.lookups,
        metering.rows,
        metering.columns,
        metering.proof_bytes
    );
}

fn meter(path: &Path, hide: &[String], group: u32, json: bool) -> Result<Outcome, Failure> {
    let bytes = files::read(path)?;
    let (graph, layout) = if bytes.starts_with(ZKQ_MAGIC) {
        let model = files::read_model(path)?;
        (model.graph, model.layout)
    } else {
        let model = VerifierModel::from_bytes(&bytes)
            .map_err(|e| files::undecoded(path, &e, "a .zkv or .zkq file is written by `zkonnx quantize`"))?;
        (model.graph, model.layout)
    };
    let graph = graph.grouped(group).map_err(|e| Failure::at(path, e))?;
    let modes = modes(&graph, hide, &[])?;
    let compiled = CompiledModel::new(graph.into(), modes, layout).map_err(|e| Failure::at(path, e))?;
    let metering = Metering::of(&compiled);
    if json {
        say!("{}", serde_json::json!(metering));
    } else {
        say!("layout     {}", layout_text(layout));
        show_metering(&metering);
    }
    Ok(Outcome::Done)
}

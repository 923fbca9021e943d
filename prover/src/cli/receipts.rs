//! `zkonnx receipts`: what was proven, what it is charged for, and the receipts.

use super::{
    files, output,
    store::{pages, Place, Selection},
    Failure, Outcome,
};
use crate::jobs::{BlobStore, Recorded};
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};
use zkonnx_verifier::{json::to_hex, receipt::Receipt};

#[derive(Debug, Args)]
pub(super) struct Receipts {
    #[command(flatten)]
    selection: Selection,
    /// Write every receipt to this folder, as JOB_ID.receipt or JOB_ID.json
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// How receipts are written
    #[arg(long, value_enum, default_value_t = Encoding::Binary, requires = "output")]
    encoding: Encoding,
    #[command(flatten)]
    place: Place,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Encoding {
    Binary,
    Json,
}

impl Receipts {
    pub(super) fn run(&self) -> Result<Outcome, Failure> {
        let store = self.place.open()?;
        let filter = self.selection.filter(0);
        let mut all = pages(&filter, |filter| store.results(filter), |recorded: &Recorded| recorded.job)?;
        all.reverse();
        if let Some(folder) = &self.output {
            let blobs = self.place.blobs()?;
            for recorded in &all {
                self.export(folder, recorded, &*blobs)?;
            }
        }
        if self.json {
            say!("{}", serde_json::json!(all));
            return Ok(Outcome::Done);
        }
        if !all.is_empty() {
            say!("{:>8}  {:>12}  {:>10}  {:>10}  {:>8}  label", "job", "MACs", "lookups", "cells", "seconds");
        }
        let (mut macs, mut lookups, mut cells) = (0_u64, 0_u64, 0_u64);
        for recorded in &all {
            let metering = &recorded.metering;
            macs = macs.saturating_add(metering.macs);
            lookups = lookups.saturating_add(metering.lookups);
            cells = cells.saturating_add(metering.cells());
            #[allow(clippy::cast_precision_loss)] // for people
            let seconds = recorded.milliseconds as f64 / 1e3;
            say!(
                "{:>8}  {:>12}  {:>10}  {:>10}  {seconds:>8.2}  {}",
                recorded.job,
                metering.macs,
                metering.lookups,
                metering.cells(),
                recorded.label
            );
        }
        say!("{} receipts: {macs} MACs, {lookups} lookups, {cells} cells", all.len());
        Ok(Outcome::Done)
    }

    fn export(&self, folder: &Path, recorded: &Recorded, blobs: &dyn BlobStore) -> Result<(), Failure> {
        let named = |e: &dyn std::fmt::Display| Failure::new(format!("job {}: {e}", recorded.job));
        let bytes = blobs.get(recorded.receipt).map_err(|e| named(&e))?;
        let id = to_hex(&recorded.job_id);
        let (path, bytes) = match self.encoding {
            Encoding::Binary => (folder.join(format!("{id}.receipt")), bytes),
            Encoding::Json => {
                let receipt = Receipt::from_bytes(&bytes).map_err(|e| named(&e))?;
                (folder.join(format!("{id}.json")), receipt.to_json().map_err(|e| named(&e))?.into_bytes())
            }
        };
        if std::fs::read(&path).is_ok_and(|there| there == bytes) {
            return Ok(());
        }
        if path.exists() {
            let text = "another receipt has this name: job ids of several domains are equal";
            return Err(Failure::at(&path, text).hint("export them to folders of their own"));
        }
        output::write(&[(&path, &bytes)])?;
        tracing::debug!(job = recorded.job.0, bytes = files::bytes(bytes.len()), "exported");
        Ok(())
    }
}

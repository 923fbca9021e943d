//! Files that open a committed tensor.

use super::{files, Failure};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use zkonnx_verifier::{
    commitment::{CommittedValue, Opening},
    json::{from_hex, to_hex},
    statement::{ModelId, TensorEntry},
};

/// Version of the file.
const VERSION: u32 = 1;

/// The integers and blinds behind a committed tensor, as JSON. Whoever has it knows the tensor.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OpeningFile {
    /// 1.
    zkonnx_opening: u32,
    /// The model in whose proof the tensor was committed.
    model_id: String,
    /// The tensor's name in that model.
    pub(super) tensor: String,
    /// Its shape.
    pub(super) shape: Vec<u32>,
    /// The real value of the integer 1.
    pub(super) scale: f64,
    /// The integers, row-major.
    values: Vec<i64>,
    /// 64 hexadecimal digits for every 256 integers.
    blinds: Vec<String>,
}

impl OpeningFile {
    pub(super) fn new(model: ModelId, entry: &TensorEntry, committed: &CommittedValue, opening: &Opening) -> Self {
        Self {
            zkonnx_opening: VERSION,
            model_id: model.to_string(),
            tensor: entry.name.clone(),
            shape: entry.shape.clone(),
            scale: committed.scale.to_f64(),
            values: opening.values.clone(),
            blinds: opening.blinds.iter().map(|b| to_hex(b)).collect(),
        }
    }

    pub(super) fn read(path: &Path) -> Result<(Self, Opening), Failure> {
        let refuse = |reason: String| {
            Failure::at(path, reason).hint("an opening is written by `zkonnx prove --commit`, beside the proof")
        };
        let file: Self = serde_json::from_slice(&files::read(path)?).map_err(|e| refuse(e.to_string()))?;
        if file.zkonnx_opening != VERSION {
            return Err(refuse(format!("version {} is unknown, this is {VERSION}", file.zkonnx_opening)));
        }
        let blinds: Option<Vec<[u8; 32]>> = file.blinds.iter().map(|b| from_hex(b)?.try_into().ok()).collect();
        let blinds = blinds.ok_or_else(|| refuse("a blind is not 64 hexadecimal digits".into()))?;
        let opening = Opening { values: file.values.clone(), blinds };
        opening.scalars().map_err(|e| refuse(e.to_string()))?;
        Ok((file, opening))
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }
}

/// Where the opening of a tensor is written: beside the proof, with what is no plain character replaced.
pub(super) fn path(proof: &Path, number: usize, tensor: &str) -> PathBuf {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    let name: String = tensor.chars().take(60).map(plain).collect();
    let mut path = proof.as_os_str().to_owned();
    path.push(format!(".{number}-{name}.opening.json"));
    path.into()
}

//! Options that say how a model is imported and quantised, the same for all commands.

use super::{files, Failure};
use clap::Args;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use zkonnx_quantize::{
    data::Samples,
    model::QuantizedModel,
    onnx::{normalize, ImportOptions, OnnxModel},
    recipe::{DeclaredInput, Method, Recipe},
    ImportError,
};

/// How an ONNX model is imported.
#[derive(Debug, Args)]
pub(super) struct OnnxOptions {
    /// Size of a symbolic dimension, by its symbol or as INPUT:AXIS (may be given several times)
    #[arg(long = "dim", value_name = "NAME=VALUE", value_parser = parse_dim)]
    dims: Vec<(String, u32)>,
    /// Put preprocessing in front of the model: {"INPUT": {"mean": .., "std": .., "scale": .., "axis": ..}}; inputs and
    /// samples are then raw values x, and the model sees (x · scale − mean) / std
    #[arg(long, value_name = "STATS.json")]
    pub(super) normalize: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct RecipeOptions {
    /// Samples to find ranges from: .npy, .npz, .json or .csv
    #[arg(long, value_name = "DATA")]
    pub(super) calibrate: Option<PathBuf>,
    /// How ranges are found: minmax (the default), percentile:SHARE to cut outliers, mse for the least squared error
    #[arg(long, value_name = "METHOD", value_parser = parse_method)]
    calibration: Option<Method>,
    /// The same as --calibration percentile:SHARE
    #[arg(long, value_name = "SHARE", conflicts_with = "calibration")]
    percentile: Option<f64>,
    /// The declared range of every input, for example 0,1
    #[arg(long, value_name = "LO,HI", value_parser = parse_range, allow_hyphen_values = true)]
    input_range: Option<(f64, f64)>,
    #[command(flatten)]
    pub(super) onnx: OnnxOptions,
    /// Bits of an input, 4 to 24; as many as of an activation by default
    #[arg(long, value_name = "N")]
    input_bits: Option<u8>,
    /// Bits of the largest weight of a layer at least, 2 to 24; follows the activations by default
    #[arg(long, value_name = "N")]
    weight_bits: Option<u8>,
    /// A scale for every channel of a layer instead of one for all: nearer to the float model, a few more terms to prove
    #[arg(long)]
    per_channel: bool,
    /// Declare an input in unit and interval of another model's output, so that its committed output can be the input
    /// here (`zkonnx prove --open`)
    #[arg(long = "input-like", value_name = "INPUT=OTHER.zkq:OUTPUT", value_parser = parse_like)]
    input_like: Vec<(String, DeclaredInput)>,
}

/// `INPUT=OTHER.zkq:OUTPUT`; reads the other model.
fn parse_like(text: &str) -> Result<(String, DeclaredInput), String> {
    let form = "expected INPUT=OTHER.zkq:OUTPUT";
    let (input, rest) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or(form)?;
    let (path, output) = rest.split_once(".zkq:").ok_or(form)?;
    let path = std::path::PathBuf::from(format!("{path}.zkq"));
    let bytes = std::fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let model = QuantizedModel::from_bytes(&bytes).map_err(|e| format!("{}: {e}", path.display()))?;
    let found = model.graph.outputs.iter().find(|o| o.name == output).ok_or_else(|| {
        let names: Vec<&str> = model.graph.outputs.iter().map(|o| o.name.as_str()).collect();
        format!("{}: no output '{output}'; there are {}", path.display(), names.join(", "))
    })?;
    Ok((input.to_owned(), DeclaredInput { scale: found.scale, bounds: found.form.bounds }))
}

fn parse_range(text: &str) -> Result<(f64, f64), String> {
    let (lo, hi) = text.split_once(',').ok_or("expected LO,HI")?;
    Ok((number(lo)?, number(hi)?))
}

fn number(text: &str) -> Result<f64, String> {
    text.trim().parse().map_err(|_| format!("'{text}' is no number"))
}

fn parse_method(text: &str) -> Result<Method, String> {
    match text.split_once(':') {
        None if text == "minmax" => Ok(Method::MinMax),
        None if text == "mse" => Ok(Method::Mse),
        Some(("percentile", share)) => Ok(Method::Percentile(number(share)?)),
        _ => Err("expected minmax, percentile:SHARE (for example percentile:0.9999) or mse".into()),
    }
}

/// `NAME=VALUE`; the name may hold a `=`.
fn parse_dim(text: &str) -> Result<(String, u32), String> {
    let (name, value) = text.rsplit_once('=').filter(|(name, _)| !name.is_empty()).ok_or("expected NAME=VALUE")?;
    let value = value.parse().map_err(|_| format!("'{value}' is no size"))?;
    Ok((name.to_owned(), value))
}

/// `--dim NAME=N` for every name, quoted for a shell where it has to be.
pub(super) fn dim_arguments<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut seen: Vec<&str> = Vec::new();
    for name in names {
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-.:/,+@%".contains(c);
    let quoted = |name: &str| match name.chars().all(is_plain) {
        true => format!("--dim {name}=N"),
        false => format!("--dim '{}=N'", name.replace('\'', "'\\''")),
    };
    seen.into_iter().map(quoted).collect::<Vec<_>>().join(" ")
}

impl OnnxOptions {
    fn dims(&self) -> BTreeMap<String, u32> {
        self.dims.iter().cloned().collect()
    }

    /// How the file is imported.
    pub(super) fn import_options(&self) -> Result<ImportOptions, Failure> {
        let mut options = ImportOptions { dims: self.dims(), ..ImportOptions::default() };
        if let Some(path) = &self.normalize {
            let text = String::from_utf8(files::read(path)?).map_err(|_| Failure::at(path, "not a text file"))?;
            options.normalize = normalize::parse(&text).map_err(|e| Failure::at(path, e))?;
        }
        Ok(options)
    }

    /// Imports the model.
    pub(super) fn import(&self, path: &Path) -> Result<OnnxModel, Failure> {
        OnnxModel::from_path_with(path, &self.import_options()?).map_err(|error| match &error {
            ImportError::Io { .. } => Failure::at(path, error).hint("an ONNX file is needed"),
            ImportError::Unbound(dims) => {
                let names: Vec<String> = dims.iter().map(zkonnx_quantize::onnx::UnboundDim::key).collect();
                let hint = format!("give {}", dim_arguments(names.iter().map(String::as_str)));
                Failure::at(path, error).hint(hint)
            }
            ImportError::Normalize(_) => match &self.normalize {
                Some(stats) => Failure::at(stats, error),
                None => Failure::at(path, error),
            },
            _ => Failure::at(path, error).hint("`zkonnx inspect` shows what is in the model"),
        })
    }
}

impl RecipeOptions {
    /// How the file is imported.
    pub(super) fn import_options(&self) -> Result<ImportOptions, Failure> {
        self.onnx.import_options()
    }

    /// Imports the model.
    pub(super) fn import(&self, path: &Path) -> Result<OnnxModel, Failure> {
        self.onnx.import(path)
    }

    /// The recipe at this number of bits.
    pub(super) fn recipe(&self, bits: Option<u8>) -> Recipe {
        let mut recipe = bits.map_or_else(Recipe::default, Recipe::of_bits);
        recipe.dims = self.onnx.dims();
        recipe.input_bits = self.input_bits.unwrap_or(recipe.input_bits);
        recipe.weight_bits = self.weight_bits.unwrap_or(recipe.weight_bits);
        recipe.per_channel |= self.per_channel;
        recipe.input_range = self.input_range;
        recipe.inputs = self.input_like.iter().cloned().collect();
        recipe.calibration = match (self.calibration, self.percentile) {
            (Some(method), _) => method,
            (None, Some(share)) => Method::Percentile(share),
            (None, None) => Method::default(),
        };
        recipe
    }

    /// The calibration samples, if there are any.
    pub(super) fn samples(&self, onnx: &OnnxModel) -> Result<Option<Samples>, Failure> {
        self.calibrate.as_ref().map(|path| files::samples(path, &onnx.inputs())).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_dimensions_are_quoted_for_a_shell_and_stand_once() {
        assert_eq!(dim_arguments(["h", "x:2", "h"]), "--dim h=N --dim x:2=N");
        assert_eq!(dim_arguments(["a b", "it's"]), "--dim 'a b=N' --dim 'it'\\''s=N'");
    }

    #[test]
    fn a_dimension_has_a_name_and_a_size() {
        assert_eq!(parse_dim("a=b=3"), Ok(("a=b".into(), 3)));
        assert!(parse_dim("=3").is_err() && parse_dim("a").is_err() && parse_dim("a=-1").is_err());
    }

    #[test]
    fn methods_of_calibration_are_read() {
        assert_eq!(parse_method("minmax"), Ok(Method::MinMax));
        assert_eq!(parse_method("percentile:0.999"), Ok(Method::Percentile(0.999)));
        assert_eq!(parse_method("mse"), Ok(Method::Mse));
        assert!(parse_method("percentile").is_err() && parse_method("mse:1").is_err() && parse_method("max").is_err());
    }
}

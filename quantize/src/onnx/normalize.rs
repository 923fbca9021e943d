//! Preprocessing in front of a model: its input becomes the raw value `x`, and the model sees `(x · scale − mean) / std`.

use super::{
    context,
    error::ImportError,
    graph::{FloatOp, ValueId},
    import::{ImportOptions, Importer},
    ops::elementwise::Binary,
    tensor::Tensor,
};
use serde::Deserialize;
use std::collections::BTreeMap;

/// How one input is normalised. What is left out changes nothing.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Normalize {
    /// Subtracted.
    pub mean: PerChannel,
    /// Divided by, last.
    pub std: PerChannel,
    /// Multiplied with, first.
    pub scale: f64,
    /// The axis that lists run along, from the end if negative; 1 by default, for one or two axes the last.
    pub axis: Option<i64>,
}

/// A number, or one per channel.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged, expecting = "a number or a list of numbers was expected")]
pub enum PerChannel {
    /// One number for all channels.
    All(f64),
    /// One per channel.
    Each(Vec<f64>),
}

impl PerChannel {
    fn list(&self) -> &[f64] {
        match self {
            Self::All(value) => std::slice::from_ref(value),
            Self::Each(values) => values,
        }
    }
}

impl Default for Normalize {
    fn default() -> Self {
        Self { mean: PerChannel::All(0.0), std: PerChannel::All(1.0), scale: 1.0, axis: None }
    }
}

/// Why an input is not normalised.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NormalizeProblem {
    /// Not JSON of the right form.
    #[error(
        "normalisation is given as {{\"INPUT\": {{\"mean\": [..], \"std\": [..], \"scale\": s, \"axis\": a}}}}: {0}"
    )]
    Json(String),
    /// No input has this name.
    #[error("normalisation of '{name}', which is no input; the model takes {inputs}")]
    UnknownInput {
        /// The name.
        name: String,
        /// The inputs.
        inputs: String,
    },
    /// An input of integers.
    #[error("normalisation of input '{0}', which holds integers: the model itself makes floats of them")]
    Integers(String),
    /// An axis that the input does not have.
    #[error("normalisation of input '{name}': axis {axis} of shape {shape:?} does not exist")]
    Axis {
        /// The input.
        name: String,
        /// The axis.
        axis: i64,
        /// The input's shape.
        shape: Vec<usize>,
    },
    /// A list of the wrong length.
    #[error("normalisation of input '{name}': '{field}' has {actual} numbers, axis {axis} has size {size}")]
    Length {
        /// The input.
        name: String,
        /// The list.
        field: &'static str,
        /// Its length.
        actual: usize,
        /// The axis.
        axis: usize,
        /// The size of the axis.
        size: usize,
    },
    /// A number that normalises nothing.
    #[error("normalisation of input '{name}': '{field}' is {value}, it must be {expected}")]
    Value {
        /// The input.
        name: String,
        /// The field.
        field: &'static str,
        /// The number.
        value: f64,
        /// What is allowed.
        expected: &'static str,
    },
}

/// Reads `{"input": {"mean": [..] | number, "std": [..] | number, "scale": number, "axis": 1}}`.
///
/// # Errors
/// [`NormalizeProblem::Json`], saying what is wrong and where.
pub fn parse(json: &str) -> Result<BTreeMap<String, Normalize>, NormalizeProblem> {
    serde_json::from_str(json).map_err(|e| NormalizeProblem::Json(e.to_string()))
}

impl Normalize {
    fn check(&self, name: &str) -> Result<(), NormalizeProblem> {
        let fail = |field, value, expected| NormalizeProblem::Value { name: name.into(), field, value, expected };
        let worst = |list: &[f64], good: fn(&f64) -> bool| list.iter().copied().find(|v| !good(v));
        if let Some(value) = worst(self.mean.list(), |v| v.is_finite()) {
            return Err(fail("mean", value, "finite"));
        }
        if let Some(value) = worst(self.std.list(), |v| v.is_normal() && *v > 0.0) {
            return Err(fail("std", value, "above zero"));
        }
        if !self.scale.is_normal() {
            return Err(fail("scale", self.scale, "finite and not zero"));
        }
        Ok(())
    }

    /// Factor and summand: what the model sees is `factor · x + summand`.
    fn tensors(&self, name: &str, shape: &[usize]) -> Result<(Tensor, Tensor), NormalizeProblem> {
        self.check(name)?;
        let lists = [("mean", self.mean.list()), ("std", self.std.list())];
        let mut channels = 1;
        let mut form = vec![];
        if lists.iter().any(|(_, list)| list.len() != 1) || self.axis.is_some() {
            let given = self.axis.unwrap_or(if shape.len() <= 2 { -1 } else { 1 });
            let missing = |_| NormalizeProblem::Axis { name: name.into(), axis: given, shape: shape.to_vec() };
            let axis = context::axis(given, shape.len(), "axis").map_err(missing)?;
            let size = shape[axis];
            for (field, list) in lists {
                if list.len() != 1 && list.len() != size {
                    let (name, actual) = (name.into(), list.len());
                    return Err(NormalizeProblem::Length { name, field, actual, axis, size });
                }
                channels = channels.max(list.len());
            }
            if channels > 1 {
                form = vec![1; shape.len() - axis];
                form[0] = channels;
            }
        }
        let of = |list: &[f64], c: usize| list[c % list.len()];
        let (mean, std) = (lists[0].1, lists[1].1);
        let factor = (0..channels).map(|c| self.scale / of(std, c)).collect();
        let summand = (0..channels).map(|c| -of(mean, c) / of(std, c)).collect();
        Ok((Tensor::new(form.clone(), factor), Tensor::new(form, summand)))
    }
}

impl Importer {
    /// Refuses normalisations of what is no input.
    pub(crate) fn check_normalized(&self, options: &ImportOptions) -> Result<(), NormalizeProblem> {
        let inputs: Vec<&str> = self.graph.inputs.iter().map(|id| self.graph.values[id.0].name.as_str()).collect();
        match options.normalize.keys().find(|name| !inputs.contains(&name.as_str())) {
            Some(name) => Err(NormalizeProblem::UnknownInput {
                name: name.clone(),
                inputs: inputs.iter().map(|i| format!("'{i}'")).collect::<Vec<_>>().join(", "),
            }),
            None => Ok(()),
        }
    }

    /// Puts the normalisation of an input behind it.
    pub(crate) fn normalize(&mut self, input: ValueId, normalize: &Normalize) -> Result<ValueId, ImportError> {
        let value = &self.graph.values[input.0];
        let (name, shape) = (value.name.clone(), value.shape.clone());
        if value.integer {
            return Err(ImportError::Normalize(NormalizeProblem::Integers(name)));
        }
        let (factor, summand) = normalize.tensors(&name, &shape).map_err(ImportError::Normalize)?;
        let node = format!("{name}/normalize");
        let mut result = input;
        for (binary, tensor, neutral) in [(Binary::Mul, factor, 1.0), (Binary::Add, summand, 0.0)] {
            if tensor.data.iter().any(|v| *v != neutral) {
                let constant = self.constant(&node, tensor);
                result =
                    self.push(&node, "Normalize", FloatOp::Binary(binary), &[result, constant]).map_err(|problem| {
                        ImportError::Node { name: node.clone(), op: "Normalize".into(), opset: 0, problem }
                    })?;
            }
        }
        Ok(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensors(json: &str, shape: &[usize]) -> Result<(Tensor, Tensor), NormalizeProblem> {
        parse(&format!("{{\"x\": {json}}}"))?["x"].tensors("x", shape)
    }

    #[test]
    fn means_and_deviations_become_a_factor_and_a_summand() {
        let (factor, summand) = tensors(r#"{"mean": [1, 2], "std": [4, 8], "scale": 2}"#, &[1, 2, 3, 3]).expect("fine");
        assert_eq!((factor.shape.as_slice(), factor.data.as_slice()), (&[2, 1, 1][..], &[0.5, 0.25][..]));
        assert_eq!((summand.shape.as_slice(), summand.data.as_slice()), (&[2, 1, 1][..], &[-0.25, -0.25][..]));
        // The last axis of a matrix, a number for all channels, an axis from the end.
        assert_eq!(tensors(r#"{"mean": [1, 2, 3]}"#, &[4, 3]).expect("fine").1.shape, [3]);
        assert_eq!(tensors(r#"{"mean": 1}"#, &[4, 3, 2]).expect("fine").1.shape, [0; 0]);
        assert_eq!(tensors(r#"{"std": [1, 2], "axis": -1}"#, &[4, 3, 2]).expect("fine").0.shape, [2]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (json, part) in [
            (r#"{"mean": [1, 2]}"#, "'mean' has 2 numbers, axis 1 has size 3"),
            (r#"{"std": [1, 0, 1]}"#, "'std' is 0"),
            (r#"{"std": -1}"#, "'std' is -1"),
            (r#"{"std": []}"#, "'std' has 0 numbers"),
            (r#"{"scale": 0}"#, "'scale' is 0"),
            (r#"{"mean": 1, "axis": 4}"#, "axis 4"),
            (r#"{"means": 1}"#, "means"),
            (r#"{"mean": "1"}"#, "a number or a list of numbers"),
            (r#"{"mean": 1e999}"#, "number out of range"),
        ] {
            let message = tensors(json, &[2, 3, 4, 5]).expect_err(json).to_string();
            assert!(message.contains(part), "{json}: {message}");
        }
    }
}

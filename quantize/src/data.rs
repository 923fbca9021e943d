//! Data files: samples in, outputs out, and the exact boundary between reals and integers.
//!
//! Formats, by extension: `.npy` (one input), `.npz` (arrays by input name), `.json` (an object by input
//! name, or `{"input_data": [[…], …]}` with one list per input) and `.csv` (one sample per row). An array
//! has the shape of the input, or one more axis in front for several samples; a batch axis of 1 may be left
//! out. A matrix `[samples, elements]` is accepted for any shape. Numpy's arrays may hold booleans, integers and floats
//! of every width, bfloat16 too. Integers that no `f64` is are refused in every format: they would become others.

use crate::{
    graph::{Graph, Input, Interval, Op, Output, Source},
    onnx::tensor::Tensor,
    scale::Scale,
};
use serde::Serialize;
use std::path::PathBuf;

/// Name and shape of a declared input or output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InputSpec {
    /// Its ONNX name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
}

impl From<&Input> for InputSpec {
    fn from(input: &Input) -> Self {
        Self { name: input.name.clone(), shape: input.shape.iter().map(|s| *s as usize).collect() }
    }
}

impl From<&Output> for InputSpec {
    fn from(output: &Output) -> Self {
        Self { name: output.name.clone(), shape: output.shape.iter().map(|s| *s as usize).collect() }
    }
}

/// A named tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedTensor {
    /// Its name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its values, row-major.
    pub data: Vec<f64>,
}

/// Values for every input of a model, for one or more samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Samples {
    specs: Vec<InputSpec>,
    count: usize,
    /// Per input: `count` times the input's elements.
    data: Vec<Vec<f64>>,
}

/// Why data is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The file cannot be read or written.
    #[error("'{}': {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// An extension that is no known format.
    #[error("'{}': the format is none of .npy, .npz, .json and .csv", .0.display())]
    Format(PathBuf),
    /// A file that is not what its extension says.
    #[error("'{}' is malformed: {message}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What the decoder says.
        message: String,
    },
    /// An integer that no `f64` is: it would become another one.
    #[error("'{}'{}, {place}: {value} has no exact value here; integers up to 2^53 have one", path.display(), of(name))]
    Inexact {
        /// The file.
        path: PathBuf,
        /// The array, where it has a name.
        name: Box<str>,
        /// Where it stands: the element in row-major order from 0, or line and column from 1.
        place: Box<str>,
        /// The integer.
        value: Box<i128>,
    },
    /// An input without data.
    #[error("no data for input '{name}': there is {}", found.join(", "))]
    MissingInput {
        /// The input.
        name: String,
        /// Names in the file.
        found: Vec<String>,
    },
    /// Data for something that is no input.
    #[error("'{name}' is no input of the model: it takes {}", expected.join(", "))]
    UnknownInput {
        /// The name in the file.
        name: String,
        /// The inputs.
        expected: Vec<String>,
    },
    /// A shape that is neither the input's nor many of them.
    #[error("input '{name}' has shape {expected:?}; the data has {actual:?}")]
    Shape {
        /// The input.
        name: String,
        /// Its shape.
        expected: Vec<usize>,
        /// The shape of the data.
        actual: Vec<usize>,
    },
    /// Inputs with different numbers of samples.
    #[error("input '{name}' has {actual} samples, '{first}' has {expected}")]
    SampleCount {
        /// The first input.
        first: String,
        /// Its number of samples.
        expected: usize,
        /// Another input.
        name: String,
        /// Its number of samples.
        actual: usize,
    },
    /// NaN or infinite.
    #[error("input '{name}', sample {sample}, element {element}: {value} is not finite")]
    NotFinite {
        /// The input.
        name: String,
        /// The sample, from 0.
        sample: usize,
        /// The element in row-major order, from 0.
        element: usize,
        /// NaN or an infinity.
        value: f64,
    },
    /// An index or a truth value beyond its declared interval: the nearest one would mean something else.
    #[error("input '{name}', element {element}: {value} lies outside of {lo} to {hi}; {kind}")]
    Outside {
        /// The input.
        name: String,
        /// The element in row-major order, from 0.
        element: usize,
        /// The value.
        value: f64,
        /// The smallest value.
        lo: i64,
        /// The largest value.
        hi: i64,
        /// What the input holds.
        kind: Exact,
    },
    /// A format that holds one tensor, for a model with several.
    #[error("a {format} file holds one tensor, this model has {count}; use .npz or .json")]
    SingleTensor {
        /// The format.
        format: &'static str,
        /// How many the model has.
        count: usize,
    },
}

/// The name of an array in an error, if it has one.
fn of(name: &str) -> String {
    match name {
        "" => String::new(),
        name => format!(", '{name}'"),
    }
}

impl Samples {
    /// Fits named arrays to the inputs of a model.
    ///
    /// # Errors
    /// [`DataError`] when names, shapes or counts do not fit, or a value is not finite.
    pub fn new(specs: &[InputSpec], arrays: Vec<NamedTensor>) -> Result<Self, DataError> {
        let samples = Self::with_any_values(specs, arrays)?;
        for (spec, data) in specs.iter().zip(&samples.data) {
            let elements = spec.shape.iter().product::<usize>().max(1);
            if let Some((at, value)) = data.iter().enumerate().find(|(_, v)| !v.is_finite()) {
                let (sample, element) = (at / elements, at % elements);
                return Err(DataError::NotFinite { name: spec.name.clone(), sample, element, value: *value });
            }
        }
        Ok(samples)
    }

    /// The same with values that are not finite in some samples: [`quantise_input`] refuses these.
    ///
    /// # Errors
    /// [`DataError`] when names, shapes or counts do not fit.
    pub fn with_any_values(specs: &[InputSpec], mut arrays: Vec<NamedTensor>) -> Result<Self, DataError> {
        let names = || specs.iter().map(|s| s.name.clone()).collect();
        // Inputs without elements are none: their arrays say nothing.
        let has_elements = |a: &&NamedTensor| !a.data.is_empty();
        if let Some(unknown) = arrays.iter().filter(has_elements).find(|a| specs.iter().all(|s| s.name != a.name)) {
            return Err(DataError::UnknownInput { name: unknown.name.clone(), expected: names() });
        }
        let mut samples = Self { specs: specs.to_vec(), count: 0, data: Vec::new() };
        for (i, spec) in specs.iter().enumerate() {
            let found = arrays.iter().map(|a| a.name.clone()).collect();
            let at = arrays.iter().position(|a| a.name == spec.name);
            let at = at.ok_or_else(|| DataError::MissingInput { name: spec.name.clone(), found })?;
            let array = arrays.swap_remove(at);
            let elements: usize = spec.shape.iter().product();
            let count = sample_count(&spec.shape, &array.shape).filter(|c| c * elements == array.data.len());
            let count = count.ok_or_else(|| DataError::Shape {
                name: spec.name.clone(),
                expected: spec.shape.clone(),
                actual: array.shape.clone(),
            })?;
            if i > 0 && count != samples.count {
                return Err(DataError::SampleCount {
                    first: specs[0].name.clone(),
                    expected: samples.count,
                    name: spec.name.clone(),
                    actual: count,
                });
            }
            samples.count = count;
            samples.data.push(array.data);
        }
        Ok(samples)
    }

    /// Number of samples.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is no sample.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The inputs that the samples are for.
    #[must_use]
    pub fn specs(&self) -> &[InputSpec] {
        &self.specs
    }

    /// All values of an input, sample after sample.
    #[must_use]
    pub fn values(&self, input: usize) -> &[f64] {
        self.data.get(input).map_or(&[], Vec::as_slice)
    }

    /// The values of one sample, one slice per input.
    #[must_use]
    pub fn sample(&self, index: usize) -> Vec<&[f64]> {
        let part = |(spec, data): (&InputSpec, &'_ Vec<f64>)| {
            let elements: usize = spec.shape.iter().product();
            index * elements..((index + 1) * elements).min(data.len())
        };
        self.specs.iter().zip(&self.data).map(|(spec, data)| data.get(part((spec, data))).unwrap_or_default()).collect()
    }

    /// One sample as tensors of the float model.
    #[must_use]
    pub fn tensors(&self, index: usize) -> Vec<Tensor> {
        let tensors = self.specs.iter().zip(self.sample(index));
        tensors.map(|(spec, data)| Tensor::new(spec.shape.clone(), data.to_vec())).collect()
    }

    /// The samples before `at`, and the others.
    #[must_use]
    pub fn split_at(mut self, at: usize) -> (Self, Self) {
        let at = at.min(self.count);
        let specs = self.specs.iter();
        let tail = specs.zip(&mut self.data).map(|(s, d)| d.split_off(at * s.shape.iter().product::<usize>()));
        let rest = Self { data: tail.collect(), specs: self.specs.clone(), count: self.count - at };
        self.count = at;
        (self, rest)
    }
}

/// How many samples an array holds, by its shape.
fn sample_count(expected: &[usize], actual: &[usize]) -> Option<usize> {
    if actual == expected {
        return Some(1);
    }
    let without_batch = expected.strip_prefix(&[1]);
    if let [count, rest @ ..] = actual {
        if rest == expected || Some(rest) == without_batch {
            return Some(*count);
        }
        if rest.len() <= 1 && rest.iter().product::<usize>() == expected.iter().product::<usize>() {
            return Some(*count);
        }
    }
    (Some(actual) == without_batch).then_some(1)
}

mod files;
mod npy;
pub use files::{json_arrays, read_array, read_arrays, read_npz, read_npz_from, read_samples, write_outputs};

/// Integers of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuantisedInput {
    /// The integers.
    pub values: Vec<i64>,
    /// How many were outside of the declared interval, and so were clamped to it.
    pub clamped: usize,
}

/// What inputs hold whose values are never clamped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exact {
    /// Indices: rows of a table are read by them.
    Indices,
    /// Truth values, such as those of a mask.
    TruthValues,
}

impl std::fmt::Display for Exact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Indices => "it holds indices, which are not clamped",
            Self::TruthValues => "it holds truth values, which are not clamped",
        })
    }
}

/// What an input holds if its values are not to be clamped, as the graph tells: an input whose unit is 1 and that one-hot vectors are made
/// of holds indices; one whose unit is 1 and that is declared on 0 and 1 holds truth values.
#[must_use]
pub fn exact_input(graph: &Graph, index: usize) -> Option<Exact> {
    let input = graph.inputs.get(index).filter(|input| input.scale == Scale::ONE)?;
    let is_own = |source| matches!(source, Source::Tensor(id) if id.0 as usize == index);
    let mut forms = graph.nodes.iter().filter(|node| matches!(node.op, Op::OneHot { .. })).map(|node| &node.form);
    if forms.any(|form| form.terms.iter().any(|term| is_own(term.source))) {
        return Some(Exact::Indices);
    }
    (input.bounds == Interval::new(0, 1)).then_some(Exact::TruthValues)
}

/// The input boundary of a model: [`quantise_input`] of all its inputs, in their order. Indices and truth values
/// ([`exact_input`]) beyond their declared intervals are refused, not clamped.
///
/// # Errors
/// [`DataError`] when the number of values is wrong, a value is not finite, or an index or a truth value lies outside.
pub fn quantise_inputs<T: AsRef<[f64]>>(graph: &Graph, values: &[T]) -> Result<Vec<QuantisedInput>, DataError> {
    let one = |(index, (input, values)): (usize, (&Input, &T))| {
        let quantised = quantise_input(input, values.as_ref())?;
        // The graph is looked at only where something is clamped.
        let kind = if quantised.clamped > 0 { exact_input(graph, index) } else { None };
        kind.map_or(Ok(quantised), |kind| Err(outside(input, values.as_ref(), kind)))
    };
    graph.inputs.iter().zip(values).enumerate().map(one).collect()
}

/// The first value of an input that lies outside of its declared interval.
fn outside(input: &Input, values: &[f64], kind: Exact) -> DataError {
    let Interval { lo, hi } = input.bounds;
    let is_outside = |value: f64| round_ratio(value, input.scale).is_none_or(|v| v < lo.into() || v > hi.into());
    let found = values.iter().copied().enumerate().find(|(_, value)| is_outside(*value));
    let (element, value) = found.unwrap_or((0, f64::NAN));
    DataError::Outside { name: input.name.clone(), element, value, lo, hi, kind }
}

/// The input boundary: `clamp(round_half_up(x / scale))`, in exact arithmetic on the floats' dyadic values.
///
/// # Errors
/// [`DataError`] when the number of values is wrong or a value is not finite.
pub fn quantise_input(input: &Input, values: &[f64]) -> Result<QuantisedInput, DataError> {
    let spec = InputSpec::from(input);
    if spec.shape.iter().product::<usize>() != values.len() {
        return Err(DataError::Shape { name: spec.name, expected: spec.shape, actual: vec![values.len()] });
    }
    let mut clamped = 0;
    let mut integers = Vec::with_capacity(values.len());
    for (element, value) in values.iter().enumerate() {
        let name = || input.name.clone();
        let integer = round_ratio(*value, input.scale).ok_or_else(|| DataError::NotFinite {
            name: name(),
            sample: 0,
            element,
            value: *value,
        })?;
        let inside = integer.clamp(input.bounds.lo.into(), input.bounds.hi.into());
        clamped += usize::from(inside != integer);
        integers.push(i64::try_from(inside).unwrap_or(input.bounds.lo));
    }
    Ok(QuantisedInput { values: integers, clamped })
}

/// `floor(value / scale + 1/2)`, exactly; saturates far outside of 64 bits. `None` when not finite.
fn round_ratio(value: f64, scale: Scale) -> Option<i128> {
    if !value.is_finite() {
        return None;
    }
    let bits = value.to_bits();
    let raw = i32::try_from(bits >> 52 & 0x7ff).ok()?;
    let fraction = i128::from(bits & ((1 << 52) - 1));
    let magnitude = if raw == 0 { fraction } else { fraction | 1 << 52 };
    let mantissa = if value.is_sign_negative() { -magnitude } else { magnitude };
    let exponent = raw.max(1) - 1075 - scale.exponent();
    let mut divisor = i128::from(scale.mantissa());
    if exponent < -70 {
        // |value / scale| is below 2^53 · 2^-71: it rounds to zero.
        return Some(0);
    }
    if exponent < 0 {
        divisor <<= exponent.unsigned_abs();
    }
    let (mut quotient, mut rest) = (mantissa.div_euclid(divisor), mantissa.rem_euclid(divisor));
    for _ in 0..exponent.max(0) {
        if quotient.unsigned_abs() > 1 << 64 {
            return Some(quotient);
        }
        rest *= 2;
        quotient = 2 * quotient + rest / divisor;
        rest %= divisor;
    }
    Some(quotient + i128::from(2 * rest >= divisor))
}

/// The output boundary: `integer · scale`, rounded to the nearest `f64`.
#[must_use]
#[allow(clippy::cast_precision_loss)] // for people to read
pub fn dequantise_output(output: &Output, integers: &[i64]) -> NamedTensor {
    let scale = output.scale.to_f64();
    NamedTensor {
        name: output.name.clone(),
        shape: output.shape.iter().map(|s| *s as usize).collect(),
        data: integers.iter().map(|v| *v as f64 * scale).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(scale: f64) -> Input {
        let scale = Scale::from_f64(scale).expect("a scale");
        Input { name: "x".into(), shape: vec![1], bounds: Interval::new(-1000, 1000), scale }
    }

    #[test]
    fn rounds_half_up_exactly() {
        let round = |x: f64, s: f64| quantise_input(&input(s), &[x]).expect("finite").values[0];
        assert_eq!(round(2.5, 1.0), 3);
        assert_eq!(round(-2.5, 1.0), -2);
        assert_eq!(round(0.5_f64.next_down(), 1.0), 0);
        assert_eq!(round(1e-300, 1.0), 0);
        assert_eq!(round(-1e-300, 1.0), 0);
        assert_eq!(round(1e300, 1.0), 1000);
        assert_eq!(round(-1e300, 1e-300), -1000);
        for k in 0..=255_i64 {
            #[allow(clippy::cast_precision_loss)]
            let x = f64::from(k as f32 / 255.0);
            assert_eq!(round(x, 1.0 / 255.0), k);
        }
    }

    #[test]
    fn counts_clamped_values_and_refuses_nan() {
        assert_eq!(quantise_input(&input(1.0), &[5000.0]).expect("finite").clamped, 1);
        assert!(matches!(quantise_input(&input(1.0), &[f64::NAN]), Err(DataError::NotFinite { element: 0, .. })));
        assert!(matches!(quantise_input(&input(1.0), &[0.0, 0.0]), Err(DataError::Shape { .. })));
    }

    #[test]
    fn reads_the_samples_axis_with_and_without_the_batch_axis() {
        assert_eq!(sample_count(&[1, 2, 3], &[1, 2, 3]), Some(1));
        assert_eq!(sample_count(&[1, 2, 3], &[2, 3]), Some(1));
        assert_eq!(sample_count(&[1, 2, 3], &[5, 2, 3]), Some(5));
        assert_eq!(sample_count(&[1, 2, 3], &[5, 1, 2, 3]), Some(5));
        assert_eq!(sample_count(&[1, 2, 3], &[5, 6]), Some(5));
        assert_eq!(sample_count(&[1, 2, 3], &[3, 2]), None);
        assert_eq!(sample_count(&[4], &[3]), None);
    }
}

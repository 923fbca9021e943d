//! Encoders and what stands at the edges of pipelines: labels, maps, columns picked and replaced.

use super::{
    attributes::{floats, ints, strings, tensor},
    scores::{above, look_up, rows},
};
use crate::onnx::{
    context::{Context, Outputs},
    error::NodeProblem,
    graph::{FloatOp, ValueId},
    ops::elementwise::Binary,
    tensor::{volume, Tensor},
};
use std::sync::Arc;

pub(super) const OPS: &[&str] =
    &["ArrayFeatureExtractor", "Binarizer", "FeatureVectorizer", "Imputer", "LabelEncoder", "OneHotEncoder", "ZipMap"];

pub(super) fn import(c: &mut Context<'_>) -> Outputs {
    match c.node.op_type.as_str() {
        "ArrayFeatureExtractor" => extractor(c),
        "Binarizer" => {
            let x = c.input(0)?;
            let ones = above(c, x, c.attributes.float("threshold", 0.0))?;
            Ok(vec![as_float(c, ones)?])
        }
        "FeatureVectorizer" => vectorizer(c),
        "Imputer" => imputer(c),
        "LabelEncoder" => label_encoder(c),
        "OneHotEncoder" => one_hot(c),
        _ => zip_map(c),
    }
}

/// The same numbers, no longer counted as whole.
fn as_float(c: &mut Context<'_>, x: ValueId) -> Result<ValueId, NodeProblem> {
    let one = c.scalar(1.0);
    c.mul(x, one)
}

/// A map from labels to scores has the scores for an output, in the order of the labels.
fn zip_map(c: &mut Context<'_>) -> Outputs {
    let x = c.input(0)?;
    let names = strings(c, "classlabels_strings")?;
    let labels: Vec<String> = match names.is_empty() {
        true => ints(c, "classlabels_int64s").iter().map(ToString::to_string).collect(),
        false => names.iter().map(|n| format!("'{n}'")).collect(),
    };
    if c.shape_of(x).last() != Some(&labels.len()) {
        return Err(NodeProblem::Attribute("classlabels_int64s"));
    }
    if !labels.iter().enumerate().all(|(i, label)| *label == i.to_string()) {
        let labels = labels.iter().take(100).cloned().collect::<Vec<_>>().join(", ");
        let note = format!("'{}' holds the scores of the labels {labels}, in this order", c.node.output[0]);
        c.importer.graph.notes.push(note);
    }
    Ok(vec![x])
}

/// Columns of the first input by the indices of the second one.
fn extractor(c: &mut Context<'_>) -> Outputs {
    let (x, y) = (c.input(0)?, c.input(1)?);
    let shape = c.shape_of(x);
    let (Some(size), count) = (shape.last().copied(), volume(&c.shape_of(y))) else {
        return Err(NodeProblem::Shapes { shapes: vec![shape], why: "an axis is needed" });
    };
    let mut result = if shape.len() == 1 { vec![1] } else { shape[..shape.len() - 1].to_vec() };
    result.push(count);
    if let Ok(indices) = c.constant(1) {
        let index = |v: i64| usize::try_from(v).ok().filter(|v| *v < size).ok_or(NodeProblem::Attribute("Y"));
        let indices = indices.to_ints().into_iter().map(|v| index(v).map(Some)).collect::<Result<Vec<_>, _>>()?;
        let picked = c.push(FloatOp::Gather { axis: shape.len() - 1, indices, shape: vec![count] }, &[x])?;
        return Ok(vec![c.reshape(picked, result)?]);
    }
    let y = c.reshape(y, vec![count])?;
    match c.constant(0) {
        Ok(values) if volume(&shape) == size => {
            let picked = look_up(c, y, values.data.clone(), values.integer)?;
            Ok(vec![c.reshape(picked, result)?])
        }
        // X · onesᵀ.
        _ => {
            let ones = c.push(FloatOp::OneHot { depth: size, wrap: false }, &[y])?;
            let ones = c.transpose(ones, &[1, 0])?;
            let x = c.reshape(x, vec![volume(&shape) / size.max(1), size])?;
            let picked = c.matmul(x, ones)?;
            Ok(vec![c.reshape(picked, result)?])
        }
    }
}

/// Inputs side by side; each has the number of columns that is declared.
fn vectorizer(c: &mut Context<'_>) -> Outputs {
    let widths = ints(c, "inputdimensions").to_vec();
    let mut parts = Vec::new();
    for (i, x) in c.all()?.into_iter().enumerate() {
        let shape = c.shape_of(x);
        let (rows, columns) = match shape[..] {
            [columns] => (1, columns),
            [rows, columns] => (rows, columns),
            _ => return Err(NodeProblem::Shapes { shapes: vec![shape], why: "rows of features are needed" }),
        };
        if widths.get(i).is_some_and(|w| usize::try_from(*w) != Ok(columns)) {
            return Err(NodeProblem::Variant("inputs that are cut or filled up"));
        }
        parts.push(c.reshape(x, vec![rows, columns])?);
    }
    let joined = c.concat(&parts, 1)?;
    Ok(vec![as_float(c, joined)?])
}

/// Another value in place of one. In place of NaN there is nothing to do: no input is NaN.
fn imputer(c: &mut Context<'_>) -> Outputs {
    let x = rows(c)?;
    let integer = c.is_integer(x);
    let (replaced, values) = if integer {
        let whole = |list: &[i64]| {
            list.iter().map(|v| if v.unsigned_abs() < 1 << 53 { Ok(*v as f64) } else { Err(()) }).collect()
        };
        let value = c.attributes.int("replaced_value_int64").unwrap_or(0);
        let list: Result<Vec<f64>, ()> = whole(&[&[value], ints(c, "imputed_value_int64s")].concat());
        let list = list.map_err(|()| NodeProblem::Attribute("imputed_value_int64s"))?;
        (list[0], list[1..].to_vec())
    } else {
        let value = c.attributes.get("replaced_value_float").map_or(0.0, |a| f64::from(a.f));
        if value.is_nan() {
            return Ok(vec![x]);
        }
        (value, floats(c, "imputed_value_floats")?)
    };
    let features = c.shape_of(x)[1];
    if values.len() != 1 && values.len() != features {
        return Err(NodeProblem::Attribute("imputed_value_floats"));
    }
    let replaced = c.tensor(Tensor { shape: vec![], data: vec![replaced], integer });
    let values = c.tensor(Tensor { shape: vec![values.len()], data: values, integer });
    let is_replaced = c.binary(Binary::Equal, x, replaced)?;
    Ok(vec![c.push(FloatOp::Where, &[is_replaced, values, x])?])
}

/// A one for the category, in a new last axis; zeros for an unknown one.
fn one_hot(c: &mut Context<'_>) -> Outputs {
    let categories = ints(c, "cats_int64s").to_vec();
    let x = c.input(0)?;
    if categories.is_empty() || !c.is_integer(x) {
        return Err(NodeProblem::Variant("categories that are not integers"));
    }
    let ones = equal_to(c, x, &categories)?;
    Ok(vec![as_float(c, ones)?])
}

/// Ones where integers are equal to each of these, in a new last axis.
#[allow(clippy::cast_precision_loss)] // checked
fn equal_to(c: &mut Context<'_>, x: ValueId, keys: &[i64]) -> Result<ValueId, NodeProblem> {
    if keys.iter().any(|k| k.unsigned_abs() > 1 << 50) {
        return Err(NodeProblem::Variant("integers beyond 2^50"));
    }
    let whole = |shape: Vec<usize>, data: Vec<f64>| Tensor { shape, data, integer: true };
    if (keys[0]..).zip(keys).all(|(a, b)| a == *b) {
        let first = c.tensor(whole(vec![], vec![keys[0] as f64]));
        let index = c.sub(x, first)?;
        return c.push(FloatOp::OneHot { depth: keys.len(), wrap: false }, &[index]);
    }
    let shape = c.shape_of(x);
    let x = c.reshape(x, [shape.as_slice(), &[1]].concat())?;
    let keys = c.tensor(whole(vec![keys.len()], keys.iter().map(|k| *k as f64).collect()));
    c.binary(Binary::Equal, x, keys)
}

/// Keys or values of a label encoder.
enum List {
    Numbers { data: Vec<f64>, integer: bool },
    Strings(Vec<String>),
}

impl List {
    #[allow(clippy::cast_precision_loss)] // checked
    fn read(c: &Context<'_>, [text, whole, real, any]: [&'static str; 4]) -> Result<Option<Self>, NodeProblem> {
        let texts = strings(c, text)?;
        if !texts.is_empty() {
            return Ok(Some(Self::Strings(texts)));
        }
        let integers = ints(c, whole);
        if integers.iter().any(|v| v.unsigned_abs() > 1 << 50) {
            return Err(NodeProblem::Variant("integers beyond 2^50"));
        }
        if !integers.is_empty() {
            return Ok(Some(Self::Numbers { data: integers.iter().map(|v| *v as f64).collect(), integer: true }));
        }
        let reals = floats(c, real)?;
        if !reals.is_empty() {
            return Ok(Some(Self::Numbers { data: reals, integer: false }));
        }
        Ok(tensor(c, any)?.map(|t| Self::Numbers { data: t.data, integer: t.integer }))
    }
}

/// Values by keys, and one for all other keys.
fn label_encoder(c: &mut Context<'_>) -> Outputs {
    let x = c.input(0)?;
    let mut keys = List::read(c, ["keys_strings", "keys_int64s", "keys_floats", "keys_tensor"])?;
    let mut values = List::read(c, ["values_strings", "values_int64s", "values_floats", "values_tensor"])?;
    if c.opset < 2 {
        // One list of strings: from its places to it, or back.
        let list = strings(c, "classes_strings")?;
        let places = List::Numbers { data: (0_u32..).take(list.len()).map(f64::from).collect(), integer: true };
        let list = List::Strings(list);
        (keys, values) =
            if c.importer.strings.contains_key(&x) { (Some(list), Some(places)) } else { (Some(places), Some(list)) };
    }
    let (Some(keys), Some(values)) = (keys, values) else { return Err(NodeProblem::Attribute("keys_int64s")) };
    // Strings among the values become places in a list.
    let (data, default, integer, names) = match values {
        List::Numbers { data, integer } => {
            let default = match tensor(c, "default_tensor")? {
                Some(tensor) => tensor.data.first().copied().unwrap_or(0.0),
                None if integer => c.attributes.int("default_int64").unwrap_or(-1) as f64,
                None => c.attributes.float("default_float", 0.0),
            };
            (data, default, integer, None)
        }
        List::Strings(list) => {
            let other = c.attributes.string("default_string").unwrap_or("_Unused").to_owned();
            let mut names: Vec<String> = Vec::new();
            let mut place = |name: &String| match names.iter().position(|n| n == name) {
                Some(place) => place as f64,
                None => {
                    names.push(name.clone());
                    (names.len() - 1) as f64
                }
            };
            let data = list.iter().map(&mut place).collect();
            let default = place(&other);
            (data, default, true, Some(Arc::new(names)))
        }
    };
    let y = match keys {
        List::Strings(keys) => {
            let known = c.importer.strings.get(&x).cloned();
            let known = known.ok_or(NodeProblem::Variant("strings that are not labels of this model"))?;
            let value = |name: &String| {
                let place = keys.iter().position(|key| key == name);
                place.and_then(|i| data.get(i)).copied().unwrap_or(default)
            };
            look_up(c, x, known.iter().map(value).collect(), integer)?
        }
        List::Numbers { data: keys, .. } => by_number(c, x, &keys, &data, (default, integer))?,
    };
    if let Some(names) = names {
        c.importer.strings.insert(y, names);
    }
    Ok(vec![y])
}

/// `default + Σ (value − default) · [x = key]`.
fn by_number(
    c: &mut Context<'_>,
    x: ValueId,
    keys: &[f64],
    values: &[f64],
    (default, integer): (f64, bool),
) -> Result<ValueId, NodeProblem> {
    if keys.is_empty() || keys.len() != values.len() {
        return Err(NodeProblem::Attribute("values_int64s"));
    }
    let is_whole = c.is_integer(x);
    // Of equal keys the first counts.
    let mut pairs: Vec<(f64, f64)> = Vec::new();
    for (key, value) in keys.iter().zip(values) {
        if !pairs.iter().any(|(k, _)| k == key) {
            pairs.push((*key, value - default));
        }
    }
    if is_whole {
        pairs.retain(|(k, _)| *k == libm::floor(*k));
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    let (keys, gains): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
    let count = keys.len();
    let ones = if is_whole && count > 0 {
        let keys: Vec<i64> = Tensor::new(vec![count], keys).to_ints();
        equal_to(c, x, &keys)?
    } else {
        let shape = c.shape_of(x);
        let x = c.reshape(x, [shape.as_slice(), &[1]].concat())?;
        let keys = c.tensor(Tensor::new(vec![count], keys));
        c.binary(Binary::Equal, x, keys)?
    };
    let gains = c.tensor(Tensor { shape: vec![count], data: gains, integer });
    let y = c.matmul(ones, gains)?;
    let default = c.tensor(Tensor { shape: vec![], data: vec![default], integer });
    c.add(y, default)
}

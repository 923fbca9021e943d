//! Graph inputs: their kinds, and the sizes of their dimensions.
//!
//! A dimension that the file leaves open is given its size by its symbol, or as `INPUT:AXIS`. The first axis is the
//! batch if its name says so, and then 1 by default.

use super::{
    element::Element,
    error::{ImportError, InputProblem, UnboundDim},
    import::ImportOptions,
    proto::checked_volume,
};
use std::collections::{BTreeMap, BTreeSet};
use tract_onnx::pb::{
    tensor_shape_proto::dimension::Value as Dim, type_proto::Value as TypeValue, GraphProto, TensorShapeProto,
    ValueInfoProto,
};

/// What a graph input holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InputKind {
    Float,
    Integer,
}

/// The name by which a dimension of an input can always be given.
pub(crate) fn place(input: &str, axis: usize) -> String {
    format!("{input}:{axis}")
}

/// Whether a symbol names one dimension, and can be typed.
pub(crate) fn is_name(symbol: &str) -> bool {
    !symbol.is_empty() && symbol != "?" && !symbol.contains('=') && !symbol.contains(char::is_control)
}

/// Refuses sizes of dimensions that the model does not have, and then finds all dimensions without a size.
pub(crate) fn check_dims(graph: &GraphProto, options: &ImportOptions) -> Result<(), ImportError> {
    let initializers: BTreeSet<&str> = graph.initializer.iter().map(|i| i.name.as_str()).collect();
    let bound = |info: &&ValueInfoProto| {
        initializers.contains(info.name.as_str()) || options.constants.contains_key(&info.name)
    };
    let mut known: BTreeSet<String> = BTreeSet::new();
    for info in graph.input.iter().chain(&graph.output).chain(&graph.value_info) {
        for dim in shape_of(info).map_or(&[][..], |s| &s.dim) {
            match &dim.value {
                Some(Dim::DimParam(symbol)) if !symbol.is_empty() => known.insert(symbol.clone()),
                _ => false,
            };
        }
    }
    let mut open = Vec::new();
    for info in graph.input.iter().filter(|info| !bound(info)) {
        let Some(shape) = shape_of(info) else {
            known.extend(options.dims.keys().filter(|k| axis_of(k, &info.name).is_some()).cloned());
            continue;
        };
        for (axis, dim) in shape.dim.iter().enumerate() {
            known.insert(place(&info.name, axis));
            let symbol = match &dim.value {
                Some(Dim::DimParam(symbol)) => symbol.as_str(),
                None => "",
                Some(_) => continue,
            };
            let by_default = axis == 0 && is_batch(symbol);
            if !by_default && !is_bound(&info.name, axis, symbol, &options.dims) {
                open.push(UnboundDim { input: info.name.clone(), axis, symbol: symbol.to_owned() });
            }
        }
    }
    if let Some(name) = options.dims.keys().find(|name| !known.contains(*name)) {
        return Err(ImportError::UnknownDim { name: name.clone(), known: known.into_iter().collect() });
    }
    if open.is_empty() {
        Ok(())
    } else {
        Err(ImportError::Unbound(open))
    }
}

fn shape_of(info: &ValueInfoProto) -> Option<&TensorShapeProto> {
    match info.r#type.as_ref().and_then(|t| t.value.as_ref()) {
        Some(TypeValue::TensorType(tensor)) => tensor.shape.as_ref(),
        _ => None,
    }
}

/// The axis that `INPUT:AXIS` names, if it is of this input.
fn axis_of(name: &str, input: &str) -> Option<usize> {
    name.strip_prefix(input)?.strip_prefix(':')?.parse().ok()
}

fn is_bound(input: &str, axis: usize, symbol: &str, dims: &BTreeMap<String, u32>) -> bool {
    dims.contains_key(&place(input, axis)) || (!symbol.is_empty() && dims.contains_key(symbol))
}

/// The fixed shape of a graph input, and its kind.
pub(crate) fn input_type(
    info: &ValueInfoProto,
    dims: &BTreeMap<String, u32>,
) -> Result<(Vec<usize>, InputKind), InputProblem> {
    let Some(TypeValue::TensorType(tensor)) = info.r#type.as_ref().and_then(|t| t.value.as_ref()) else {
        return Err(InputProblem::NoShape);
    };
    let element = Element(tensor.elem_type);
    let kind = if element.is_float() || element == Element::UNKNOWN {
        InputKind::Float
    } else if element.is_integer() || element == Element::BOOL {
        InputKind::Integer
    } else {
        return Err(InputProblem::Type(tensor.elem_type));
    };
    let sizes = match &tensor.shape {
        Some(shape) => shape.dim.iter().enumerate().map(|(axis, d)| size(info, axis, d.value.as_ref(), dims)).collect(),
        // All axes, from 0 on, or none.
        None => {
            let given = dims.keys().filter_map(|k| axis_of(k, &info.name)).collect::<BTreeSet<_>>();
            if given.is_empty() || !given.iter().copied().eq(0..given.len()) {
                return Err(InputProblem::NoShape);
            }
            given.iter().map(|axis| size(info, *axis, None, dims)).collect::<Result<Vec<_>, _>>()
        }
    };
    let shape = sizes?;
    if shape.contains(&0) {
        return Ok((shape, kind));
    }
    checked_volume(&shape).map(|_| (shape, kind)).ok_or(InputProblem::TooLarge)
}

/// The size of one axis.
fn size(
    info: &ValueInfoProto,
    axis: usize,
    dim: Option<&Dim>,
    dims: &BTreeMap<String, u32>,
) -> Result<usize, InputProblem> {
    let given = dims.get(&place(&info.name, axis)).copied();
    let size = match dim {
        // Behind the batch zero is a size: an empty past.
        Some(Dim::DimValue(size)) if *size > 0 || (*size == 0 && axis > 0) => match given {
            Some(given) if i64::from(given) != *size => return Err(InputProblem::Fixed { axis, size: *size, given }),
            _ => *size,
        },
        Some(Dim::DimValue(size)) if axis > 0 => return Err(InputProblem::Size { axis, size: *size }),
        Some(Dim::DimValue(_)) => given.map_or(1, i64::from),
        Some(Dim::DimParam(symbol)) => given.or_else(|| dims.get(symbol).copied()).map_or(1, i64::from),
        None => given.map_or(1, i64::from),
    };
    usize::try_from(size).map_err(|_| InputProblem::Size { axis, size })
}

/// Whether a symbol of the first axis is what exporters call the batch.
fn is_batch(symbol: &str) -> bool {
    let lower = symbol.to_lowercase();
    matches!(lower.as_str(), "" | "?" | "n" | "b" | "bs" | "none")
        || lower.contains("batch")
        || lower.starts_with("unk")
}

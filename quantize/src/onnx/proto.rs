//! Reading the parts of an ONNX protobuf: constant tensors and attributes.

use super::{
    error::{NodeProblem, TensorProblem},
    external,
    tensor::Tensor,
};
use crate::half::{bfloat_to_f64, half_to_f64};
use tract_onnx::pb::{tensor_proto::DataType, AttributeProto, NodeProto, TensorProto};

/// No tensor that is computed may have more elements.
pub(crate) const MAX_ELEMENTS: usize = 1 << 26;

/// The volume of a shape, if it is neither empty nor too large.
pub(crate) fn checked_volume(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1_usize, |v, s| v.checked_mul(*s)).filter(|v| (1..=MAX_ELEMENTS).contains(v))
}

/// How many floats a constant says it has; none if it holds other things.
pub(crate) fn num_floats(proto: &TensorProto) -> u64 {
    let kind = DataType::try_from(proto.data_type);
    if !matches!(kind, Ok(DataType::Float | DataType::Double | DataType::Float16 | DataType::Bfloat16)) {
        return 0;
    }
    proto.dims.iter().fold(1, |n, d| n.saturating_mul(u64::try_from(*d).unwrap_or(0)))
}

/// Reads a constant.
#[allow(clippy::cast_precision_loss)] // integers of a model are shapes, axes and indices
pub(crate) fn tensor(proto: &TensorProto) -> Result<Tensor, TensorProblem> {
    let bad_shape = || TensorProblem::Shape(proto.dims.clone());
    let shape: Vec<usize> =
        proto.dims.iter().map(|d| usize::try_from(*d)).collect::<Result<_, _>>().map_err(|_| bad_shape())?;
    // As many as the file holds: tables of embeddings have more elements than any tensor that is computed.
    let expected = shape.iter().try_fold(1_usize, |v, s| v.checked_mul(*s)).ok_or_else(bad_shape)?;
    if let Some(location) = external::location(proto) {
        return Err(TensorProblem::External(location.to_owned()));
    }
    let kind = DataType::try_from(proto.data_type).map_err(|_| TensorProblem::Type(proto.data_type))?;
    let raw = proto.raw_data.as_slice();
    macro_rules! raw {
        ($t:ty) => {
            raw.chunks_exact(size_of::<$t>())
                .map(|c| <$t>::from_le_bytes(c.try_into().unwrap_or_default()) as f64)
                .collect::<Vec<f64>>()
        };
    }
    let ints = || proto.int32_data.iter().map(|v| f64::from(*v)).collect::<Vec<f64>>();
    let has_raw = !raw.is_empty();
    let data = match kind {
        DataType::Float if has_raw => raw!(f32),
        DataType::Float => proto.float_data.iter().map(|v| f64::from(*v)).collect(),
        DataType::Double if has_raw => raw!(f64),
        DataType::Double => proto.double_data.clone(),
        DataType::Int64 if has_raw => raw!(i64),
        DataType::Int64 => proto.int64_data.iter().map(|v| *v as f64).collect(),
        DataType::Int32 if has_raw => raw!(i32),
        DataType::Int16 if has_raw => raw!(i16),
        DataType::Int8 if has_raw => raw!(i8),
        DataType::Uint16 if has_raw => raw!(u16),
        DataType::Uint8 | DataType::Bool if has_raw => raw!(u8),
        DataType::Int32 | DataType::Int16 | DataType::Int8 | DataType::Uint16 | DataType::Uint8 | DataType::Bool => {
            ints()
        }
        DataType::Float16 if has_raw => {
            raw.chunks_exact(2).map(|c| half_to_f64(u16::from_le_bytes(c.try_into().unwrap_or_default()))).collect()
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // the low 16 bits hold the half float
        DataType::Float16 => proto.int32_data.iter().map(|v| half_to_f64(*v as u16)).collect(),
        DataType::Bfloat16 if has_raw => {
            raw.chunks_exact(2).map(|c| bfloat_to_f64(u16::from_le_bytes(c.try_into().unwrap_or_default()))).collect()
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // the low 16 bits hold the float
        DataType::Bfloat16 => proto.int32_data.iter().map(|v| bfloat_to_f64(*v as u16)).collect(),
        DataType::Uint32 if has_raw => raw!(u32),
        DataType::Uint64 if has_raw => raw!(u64),
        DataType::Uint32 | DataType::Uint64 => proto.uint64_data.iter().map(|v| *v as f64).collect(),
        DataType::Int4 | DataType::Uint4 => nibbles(proto, kind == DataType::Int4, expected),
        _ => return Err(TensorProblem::Type(proto.data_type)),
    };
    if data.len() != expected {
        return Err(TensorProblem::Length { shape: proto.dims.clone(), expected, actual: data.len() });
    }
    let integer = !matches!(kind, DataType::Float | DataType::Double | DataType::Float16 | DataType::Bfloat16);
    Ok(Tensor { shape, data, integer })
}

/// Integers of 4 bits, two in a byte, the first in the lower half.
fn nibbles(proto: &TensorProto, signed: bool, expected: usize) -> Vec<f64> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // the low byte holds two integers
    let bytes: Vec<u8> = match proto.raw_data.as_slice() {
        [] => proto.int32_data.iter().map(|v| *v as u8).collect(),
        raw => raw.to_vec(),
    };
    let value = |nibble: u8| f64::from(nibble) - if signed && nibble > 7 { 16.0 } else { 0.0 };
    let mut data: Vec<f64> = bytes.iter().flat_map(|b| [value(b & 15), value(b >> 4)]).collect();
    if data.len() == expected + 1 {
        data.pop();
    }
    data
}

/// Reads strings: the place of every element in a list without repetitions, and the list.
#[allow(clippy::cast_precision_loss)] // places
pub(crate) fn strings(proto: &TensorProto) -> Result<(Tensor, Vec<String>), TensorProblem> {
    let bad_shape = || TensorProblem::Shape(proto.dims.clone());
    let shape: Vec<usize> =
        proto.dims.iter().map(|d| usize::try_from(*d)).collect::<Result<_, _>>().map_err(|_| bad_shape())?;
    let expected = shape.iter().try_fold(1_usize, |v, s| v.checked_mul(*s)).ok_or_else(bad_shape)?;
    let actual = proto.string_data.len();
    if actual != expected {
        return Err(TensorProblem::Length { shape: proto.dims.clone(), expected, actual });
    }
    let mut names: Vec<String> = Vec::new();
    let mut known = std::collections::HashMap::new();
    let mut data = Vec::with_capacity(actual);
    for text in &proto.string_data {
        let text = String::from_utf8(text.clone()).map_err(|_| TensorProblem::Type(proto.data_type))?;
        let place = *known.entry(text.clone()).or_insert(names.len());
        if place == names.len() {
            names.push(text);
        }
        data.push(place as f64);
    }
    Ok((Tensor { shape, data, integer: true }, names))
}

/// The attributes of a node, by name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attributes<'a>(pub(crate) &'a NodeProto);

impl<'a> Attributes<'a> {
    /// The attribute itself.
    pub(crate) fn get(&self, name: &str) -> Option<&'a AttributeProto> {
        self.0.attribute.iter().find(|a| a.name == name)
    }
    /// An integer.
    pub(crate) fn int(&self, name: &str) -> Option<i64> {
        self.get(name).map(|a| a.i)
    }
    /// A boolean, false by default.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.int(name).unwrap_or(0) != 0
    }
    /// A float.
    pub(crate) fn float(&self, name: &str, default: f32) -> f64 {
        f64::from(self.get(name).map_or(default, |a| a.f))
    }
    /// A list of integers.
    pub(crate) fn ints(&self, name: &str) -> Option<&'a [i64]> {
        self.get(name).map(|a| a.ints.as_slice())
    }
    /// A list of sizes, each at least 1.
    pub(crate) fn sizes(&self, name: &'static str) -> Result<Option<Vec<usize>>, NodeProblem> {
        self.ints(name)
            .map(|ints| {
                let size = |v: &i64| usize::try_from(*v).ok().filter(|v| (1..=MAX_ELEMENTS).contains(v));
                ints.iter().map(size).collect::<Option<Vec<_>>>().ok_or(NodeProblem::Attribute(name))
            })
            .transpose()
    }
    /// A string.
    pub(crate) fn string(&self, name: &str) -> Option<&'a str> {
        self.get(name).and_then(|a| std::str::from_utf8(&a.s).ok())
    }
}

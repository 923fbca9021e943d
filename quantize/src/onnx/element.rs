//! Element types of ONNX values: what decides how casts, quotients and integer arithmetic behave.
//!
//! The float graph knows reals only ([`super::graph::Value::integer`] tells integers apart); the types of the file are
//! kept by the names of its values.

use super::proto::Attributes;
use tract_onnx::pb::NodeProto;

/// An element type, by its number in ONNX.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Element(pub(crate) i32);

impl Element {
    pub(crate) const UNKNOWN: Self = Self(0);
    pub(crate) const FLOAT: Self = Self(1);
    pub(crate) const UINT8: Self = Self(2);
    pub(crate) const INT32: Self = Self(6);
    pub(crate) const INT64: Self = Self(7);
    pub(crate) const STRING: Self = Self(8);
    pub(crate) const BOOL: Self = Self(9);
    pub(crate) const FLOAT16: Self = Self(10);
    pub(crate) const DOUBLE: Self = Self(11);
    const BFLOAT16: Self = Self(16);
    /// What a file quantises as it runs: integers in the file, the reals that they stand for here. No number of ONNX.
    pub(crate) const DYNAMIC: Self = Self(-1);
    /// The scale of such integers: one here.
    pub(crate) const DYNAMIC_SCALE: Self = Self(-2);

    /// Whether it is a float of 16 bits or more.
    pub(crate) fn is_float(self) -> bool {
        matches!(self, Self::FLOAT | Self::FLOAT16 | Self::DOUBLE | Self::BFLOAT16 | Self::DYNAMIC_SCALE)
    }

    /// Bits of an integer type, and whether it is signed.
    fn integer(self) -> Option<(i32, bool)> {
        Some(match self.0 {
            2 => (8, false),
            3 => (8, true),
            4 => (16, false),
            5 => (16, true),
            6 => (32, true),
            7 => (64, true),
            12 => (32, false),
            13 => (64, false),
            21 => (4, false),
            22 => (4, true),
            25 => (2, false),
            26 => (2, true),
            _ => return None,
        })
    }

    /// Bits of an element where tensors are bytes; none for strings and what is not known.
    pub(crate) fn bits(self) -> Option<u64> {
        Some(match self {
            Self::FLOAT => 32,
            Self::DOUBLE => 64,
            Self::FLOAT16 | Self::BFLOAT16 => 16,
            Self::BOOL => 8,
            _ => u64::try_from(self.integer()?.0).ok()?,
        })
    }

    /// Whether it is an integer type.
    pub(crate) fn is_integer(self) -> bool {
        self.integer().is_some()
    }

    /// The smallest and the largest value of an integer type, as reals: the largest ones of 64 bits are rounded.
    pub(crate) fn limits(self) -> Option<(f64, f64)> {
        let (bits, signed) = self.integer()?;
        let top = libm::ldexp(1.0, bits - i32::from(signed));
        Some((if signed { -top } else { 0.0 }, top - 1.0))
    }

    /// Whether sums and products of this type are likely to wrap.
    pub(crate) fn wraps(self) -> bool {
        self.integer().is_some_and(|(bits, _)| bits <= 16)
    }

    /// Whether it is an unsigned integer type: its differences wrap below zero.
    pub(crate) fn is_unsigned(self) -> bool {
        self.integer().is_some_and(|(_, signed)| !signed)
    }

    /// Whether it has less than a byte.
    pub(crate) fn is_packed(self) -> bool {
        self.integer().is_some_and(|(bits, _)| bits < 8)
    }

    /// Whether it is a signed type of 32 or 64 bits: what counts and indexes.
    pub(crate) fn is_wide(self) -> bool {
        matches!(self, Self::INT32 | Self::INT64)
    }

    /// Whether it is an unsigned type of 32 or 64 bits.
    pub(crate) fn is_unsigned_wide(self) -> bool {
        matches!(self.0, 12 | 13)
    }

    /// The type of what is computed with a scale of this type.
    fn known_scale(self) -> Self {
        if self == Self::DYNAMIC_SCALE {
            Self::FLOAT
        } else {
            self
        }
    }

    /// Whether every value of this type is one of the other type.
    pub(crate) fn fits(self, other: Self) -> bool {
        match (self.limits(), other.limits()) {
            (Some(own), Some(other)) => other.0 <= own.0 && own.1 <= other.1,
            (None, Some(_)) => self == Self::BOOL,
            _ => false,
        }
    }
}

/// The element type of output `i` of a node, from those of its inputs.
pub(crate) fn output(node: &NodeProto, i: usize, inputs: &[Element]) -> Element {
    let attributes = Attributes(node);
    let input = |i: usize| inputs.get(i).copied().unwrap_or_default();
    let given = |name: &str, default: Element| {
        let number = attributes.int(name).and_then(|v| i32::try_from(v).ok());
        number.filter(|v| *v > 0).map_or(default, Element)
    };
    let or = |a: Element, b: Element| if a == Element::UNKNOWN { b } else { a };
    let is_dynamic = inputs.contains(&Element::DYNAMIC);
    match node.op_type.as_str() {
        "And" | "Equal" | "Greater" | "GreaterOrEqual" | "IsInf" | "IsNaN" | "Less" | "LessOrEqual" | "Not" | "Or"
        | "Xor" => Element::BOOL,
        "ArgMax" | "ArgMin" | "NonZero" | "Shape" | "Size" => Element::INT64,
        "Dropout" if i == 1 => Element::BOOL,
        "MaxPool" | "TopK" | "Unique" if i >= 1 => Element::INT64,
        "LayerNormalization" if i >= 1 => Element::FLOAT,
        "Cast" if is_dynamic && given("to", Element::UNKNOWN).is_integer() => Element::DYNAMIC,
        "Cast" => given("to", Element::UNKNOWN),
        "CastLike" | "Where" => input(1),
        "OneHot" => input(2),
        "Constant" | "ConstantOfShape" => {
            node.attribute.iter().fold(Element::FLOAT, |other, a| match (a.name.as_str(), &a.t) {
                ("value", Some(t)) => Element(t.data_type),
                ("value_int" | "value_ints", _) => Element::INT64,
                _ => other,
            })
        }
        "EyeLike" | "Bernoulli" | "RandomNormalLike" | "RandomUniformLike" => given("dtype", input(0)),
        "RandomNormal" | "RandomUniform" => given("dtype", Element::FLOAT),
        "BlackmanWindow" | "HammingWindow" | "HannWindow" | "MelWeightMatrix" => {
            given("output_datatype", Element::FLOAT)
        }
        "Multinomial" => given("dtype", Element::INT32),
        "QuantizeLinear" => or(input(2), given("output_dtype", Element::UINT8)),
        "DequantizeLinear" => given("output_dtype", or(input(1).known_scale(), Element::FLOAT)),
        "DynamicQuantizeLinear" if i == 1 => Element::DYNAMIC_SCALE,
        "DynamicQuantizeLinear" => Element::DYNAMIC,
        "QLinearConv" | "QLinearMatMul" => input(7),
        "QLinearAdd" | "QLinearMul" => or(input(7), input(0)),
        "QLinearAveragePool"
        | "QLinearGlobalAveragePool"
        | "QLinearLeakyRelu"
        | "QLinearSigmoid"
        | "QLinearSoftmax" => or(input(4), input(0)),
        "QLinearConcat" => or(input(1), input(2)),
        "QLinearWhere" => or(input(8), input(1)),
        "QGemm" if input(7) == Element::UNKNOWN => Element::FLOAT,
        "QGemm" => or(input(8), input(0)),
        "ConvInteger" | "MatMulInteger" if is_dynamic => Element::DYNAMIC,
        "ConvInteger" | "MatMulInteger" => Element::INT32,
        "MatMulIntegerToFloat" => Element::FLOAT,
        "LinearClassifier" | "SVMClassifier" | "TreeEnsembleClassifier" if i == 0 => {
            match attributes.get("classlabels_strings").is_some_and(|a| !a.strings.is_empty()) {
                true => Element::STRING,
                false => Element::INT64,
            }
        }
        "FeatureVectorizer"
        | "LinearClassifier"
        | "LinearRegressor"
        | "Normalizer"
        | "OneHotEncoder"
        | "SVMClassifier"
        | "SVMRegressor"
        | "Scaler"
        | "TreeEnsembleClassifier"
        | "TreeEnsembleRegressor" => Element::FLOAT,
        "LabelEncoder" => node.attribute.iter().fold(Element::INT64, |other, a| match (a.name.as_str(), &a.t) {
            ("values_strings", _) => Element::STRING,
            ("values_floats", _) => Element::FLOAT,
            ("values_tensor", Some(t)) => Element(t.data_type),
            _ => other,
        }),
        _ => input(0).known_scale(),
    }
}

//! What to do about a node that is not supported: the nearest form that is.

use super::UnsupportedNode;

/// Advice for operators, whatever variant of them is refused.
const OPERATORS: &[(&[&str], &str)] = &[
    (
        &["NonZero", "Unique", "Compress"],
        "needs a shape that does not depend on data: keep all elements and mask them (Where, Mul), or take the largest k (TopK)",
    ),
    (
        &["NonMaxSuppression"],
        "needs a shape that does not depend on data: end the model at boxes and scores, and suppress outside of it",
    ),
    (
        &["Loop", "Scan"],
        "unroll it: the number of rounds must be a constant (export with a fixed sequence length, without `torch.jit.script`), and every state must keep its shape",
    ),
    (&["If"], "its condition must be a constant: export only the branch that is taken, or compute both and choose with Where"),
    (
        &[
            "SequenceAt",
            "SequenceConstruct",
            "SequenceEmpty",
            "SequenceErase",
            "SequenceInsert",
            "SequenceLength",
            "SequenceMap",
            "SplitToSequence",
            "ConcatFromSequence",
        ],
        "sequences have no fixed shape: use tensors (Split with constant sizes, Concat)",
    ),
    (&["Optional", "OptionalGetElement", "OptionalHasElement"], "optional values are not supported: use the tensor itself"),
    (
        &["RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli"],
        "a proven model is deterministic: make the random numbers an input, or export in inference mode",
    ),
    (&["Dropout"], "export in inference mode (`model.eval()`), where it does nothing"),
    (&["BatchNormalization"], "export in inference mode (`model.eval()`), with constant mean and variance"),
    (
        &["DynamicQuantizeLinear", "DynamicQuantizeLSTM", "DynamicQuantizeMatMul", "MatMulIntegerToFloat"],
        "integers and scales that are found as the file runs only in products (MatMulInteger, ConvInteger) and DequantizeLinear, with constant weights, scales and zero points; or take the float model (`zkonnx quantize` does the rest)",
    ),
    (
        &[
            "QuantizeLinear",
            "DequantizeLinear",
            "QLinearConv",
            "QLinearMatMul",
            "ConvInteger",
            "MatMulInteger",
            "QGemm",
            "QLinearAdd",
            "QLinearAveragePool",
            "QLinearConcat",
            "QLinearGlobalAveragePool",
            "QLinearLeakyRelu",
            "QLinearMul",
            "QLinearReduceMean",
            "QLinearSigmoid",
            "QLinearSoftmax",
            "QLinearWhere",
        ],
        "scales and zero points must be constants, of integer types of 8 bits or more; or take the float model (`zkonnx quantize` does the rest)",
    ),
    (
        &["DFT", "STFT", "MelWeightMatrix", "HannWindow", "HammingWindow", "BlackmanWindow"],
        "a transform of a fixed length is a matrix product: use MatMul or Conv with the transform's matrix as an initialiser",
    ),
    (
        &["ConvTranspose", "DeformConv", "Col2Im"],
        "weights must be initialisers; else write it as a Conv of the input spread out with zeros (or Resize, then Conv)",
    ),
    (&["Conv"], "one to three spatial axes, with weights that are initialisers"),
    (
        &["GridSample", "AffineGrid", "RoiAlign", "MaxRoiPool"],
        "positions must not depend on data: with a constant grid it is a Gather and a weighted sum",
    ),
    (&["Resize", "Upsample"], "nearest or linear, with constant sizes or scales"),
    (&["MaxPool", "MaxUnpool"], "without indices: the first output of MaxPool only"),
    (&["LpPool", "GlobalLpPool", "LpNormalization"], "p = 1 or 2"),
    (
        &["Pad", "CenterCropPad"],
        "padding with a constant number and constant sizes; edges and reflections as Gather with constant indices",
    ),
    (&["Gather", "GatherElements", "GatherND"], "indices must be constants; a choice by data of few rows is OneHot and MatMul"),
    (
        &["Scatter", "ScatterElements", "ScatterND", "TensorScatter"],
        "indices must be constants; a place by data is OneHot and MatMul",
    ),
    (&["Slice", "Split", "Tile", "Expand", "Reshape", "ConstantOfShape", "Range", "Trilu"], "sizes, starts and steps must be constants: fix the shapes when exporting, or bind them with `--dim`"),
    (&["TopK"], "k must be a constant"),
    (&["OneHot", "Hardmax"], "the depth must be a constant; Hardmax is ArgMax and OneHot"),
    (&["ReverseSequence"], "lengths must be constants: with equal lengths it is a Slice with step −1"),
    (&["Pow"], "the exponent must be a constant"),
    (&["Mod"], "integers with a constant divisor, or `x − floor(x / c) · c`"),
    (&["Einsum"], "a sum of products of two tensors, with every letter once per tensor: else write it with MatMul, Mul, Transpose and ReduceSum"),
    (&["Det"], "write it out for small matrices with Mul and Sub"),
    (&["CumProd"], "use CumSum of logarithms for positive values, or write it out with Mul"),
    (
        &["Attention", "LinearAttention", "FlexAttention", "MultiHeadAttention", "GroupQueryAttention", "QAttention"],
        "write it out: MatMul, Softmax, MatMul (export without fused attention, for example with `attn_implementation=\"eager\"`)",
    ),
    (&["RotaryEmbedding"], "write it out with constant cosines and sines: Mul, Split, Neg, Concat, Add"),
    (&["CausalConvWithState"], "use Conv with padding on one side, and the state as an input"),
    (&["LSTM", "GRU", "RNN"], "default activations, weights that are initialisers, and the same length for every sequence of the batch"),
    (
        &["StringConcat", "StringNormalizer", "StringSplit", "RegexFullMatch", "TfIdfVectorizer", "LabelEncoder", "CategoryMapper", "CastMap", "DictVectorizer"],
        "strings cannot be proven: start the model at numbers, and end it at class indices or scores",
    ),
    (&["ZipMap"], "export without it (skl2onnx: `options={'zipmap': False}`): the output is then a tensor of probabilities"),
    (&["ImageDecoder"], "start the model at the decoded image"),
    (
        &["SoftmaxCrossEntropyLoss", "NegativeLogLikelihoodLoss", "Gradient", "Adam", "Adagrad", "Momentum"],
        "it is part of training: export the model for inference",
    ),
    (&["BitCast", "BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitwiseNot"], "bits of numbers are supported for constants only: use arithmetic (Mul by a power of two, Floor, comparisons)"),
    (&["IsInf", "IsNaN"], "values are always finite here: take the test out, or test what is: sums, products, softmax"),
    (&["Cast", "CastLike"], "between floats, and to integers of 32 or 64 bits or booleans"),
    (&["TreeEnsemble", "TreeEnsembleClassifier", "TreeEnsembleRegressor"], "trees over numbers with the aggregation SUM or AVERAGE"),
    (&["ArrayFeatureExtractor"], "Gather with constant indices"),
    (&["Binarizer"], "Greater and Cast"),
    (&["FeatureVectorizer"], "Concat"),
    (&["Imputer"], "fill in missing values before the model: inputs are always finite here"),
    (&["OneHotEncoder"], "OneHot of integers that count from 0"),
    (&["Scaler"], "Sub and Mul with constants, or `quantize --normalize`"),
    (&["Normalizer"], "ReduceL1, ReduceL2 or ReduceMax, and Div"),
    (&["LinearClassifier", "LinearRegressor"], "Gemm, then Softmax or Sigmoid and ArgMax"),
    (&["SVMClassifier", "SVMRegressor"], "linear and RBF kernels, without probabilities"),
];

/// Advice by what the reason says.
const REASONS: &[(&str, &str)] = &[
    ("must be a constant", "it depends on the model's inputs: make it an initialiser (fold constants when exporting, fix shapes, or bind them with `--dim`)"),
    ("which wraps", "use 32-bit integers or floats: sums and products of 8- and 16-bit integers wrap around"),
    ("wrap below zero", "use signed integers or floats"),
    ("without elements", "leave out what is empty: export without the empty past (or without its cache)"),
    ("training mode", "export in inference mode (`model.eval()`)"),
    ("a division by zero", "the divisor must be a constant other than zero, or provably positive"),
];

/// The nearest supported form of a node that is not supported.
#[must_use]
pub(super) fn nearest(node: &UnsupportedNode) -> &'static str {
    let (domain, op) = node.op.rsplit_once('.').unwrap_or(("", &node.op));
    let reason = node.reason.as_deref().unwrap_or("");
    let by_reason = || REASONS.iter().find(|(part, _)| reason.contains(part)).map(|r| r.1);
    let by_operator = || OPERATORS.iter().find(|(ops, _)| ops.contains(&op)).map(|o| o.1);
    by_operator().or_else(by_reason).unwrap_or(match domain {
        "com.microsoft" => "an operator of ONNX Runtime: save the model before ONNX Runtime optimises it, or export it with standard operators",
        "" | "ai.onnx.ml" => "write it with supported operators (README, \"What it supports\"), or leave it out of the proven model",
        _ => "an operator of its own domain: export it as a function of standard operators, or replace it by them",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(op: &str, reason: Option<&str>) -> UnsupportedNode {
        UnsupportedNode {
            op: op.into(),
            name: "n".into(),
            opset: 17,
            reason: reason.map(Into::into),
            not_constant: None,
        }
    }

    #[test]
    fn advice_is_by_operator_then_by_reason_then_by_domain() {
        assert!(nearest(&node("NonZero", None)).contains("does not depend on data"));
        assert!(nearest(&node("ai.onnx.ml.ZipMap", None)).contains("zipmap"));
        assert!(nearest(&node("Sign", Some("input 1 must be a constant"))).contains("initialiser"));
        assert!(nearest(&node("com.microsoft.FusedConv", None)).contains("ONNX Runtime"));
        assert!(nearest(&node("my.domain.Thing", None)).contains("its own domain"));
        assert!(nearest(&node("Thing", None)).contains("README"));
    }

    /// The operators of ONNX 1.23: the default domain, and `ai.onnx.ml`.
    const ONNX: [(&str, &str); 2] = [
        ("", "Abs Acos Acosh Add AffineGrid And ArgMax ArgMin Asin Asinh Atan Atanh Attention AveragePool BatchNormalization \
        Bernoulli BitCast BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor BlackmanWindow Cast CastLike \
        CausalConvWithState Ceil Celu CenterCropPad Clip Col2Im Compress Concat ConcatFromSequence Constant \
        ConstantOfShape Conv ConvInteger ConvTranspose Cos Cosh CumProd CumSum DFT DeformConv DepthToSpace \
        DequantizeLinear Det Div Dropout DynamicQuantizeLinear Einsum Elu Equal Erf Exp Expand EyeLike Flatten Floor \
        GRU Gather GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalLpPool GlobalMaxPool Greater \
        GreaterOrEqual GridSample GroupNormalization HammingWindow HannWindow HardSigmoid HardSwish Hardmax Identity \
        If ImageDecoder InstanceNormalization IsInf IsNaN LRN LSTM LayerNormalization LeakyRelu Less LessOrEqual \
        LinearAttention Log LogSoftmax Loop LpNormalization LpPool MatMul MatMulInteger Max MaxPool MaxRoiPool \
        MaxUnpool Mean MeanVarianceNormalization MelWeightMatrix Min Mish Mod Mul Multinomial Neg \
        NegativeLogLikelihoodLoss NonMaxSuppression NonZero Not OneHot Optional OptionalGetElement OptionalHasElement \
        Or PRelu Pad Pow QLinearConv QLinearMatMul QuantizeLinear RMSNormalization RNN RandomNormal RandomNormalLike \
        RandomUniform RandomUniformLike Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax \
        ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare RegexFullMatch Relu Reshape Resize ReverseSequence \
        RoiAlign RotaryEmbedding Round STFT Scan Scatter ScatterElements ScatterND Selu SequenceAt SequenceConstruct \
        SequenceEmpty SequenceErase SequenceInsert SequenceLength SequenceMap Shape Shrink Sigmoid Sign Sin Sinh Size \
        Slice Softmax SoftmaxCrossEntropyLoss Softplus Softsign SpaceToDepth Split SplitToSequence Sqrt Squeeze \
        StringConcat StringNormalizer StringSplit Sub Sum SwiGLU Swish Tan Tanh TensorScatter TfIdfVectorizer \
        ThresholdedRelu Tile TopK Transpose Trilu Unique Unsqueeze Upsample Where Xor"),
        ("ai.onnx.ml", "ArrayFeatureExtractor Binarizer CastMap CategoryMapper DictVectorizer FeatureVectorizer Imputer LabelEncoder \
        LinearClassifier LinearRegressor Normalizer OneHotEncoder SVMClassifier SVMRegressor Scaler TreeEnsemble \
        TreeEnsembleClassifier TreeEnsembleRegressor ZipMap"),
    ];

    #[test]
    fn every_operator_of_onnx_that_is_not_supported_has_advice() {
        for (domain, names) in ONNX {
            for name in names.split_whitespace().filter(|name| crate::onnx::ops::find(domain, name).is_none()) {
                assert!(OPERATORS.iter().any(|(ops, _)| ops.contains(&name)), "{domain} {name}");
            }
        }
    }

    #[test]
    fn every_operator_has_one_advice() {
        let mut all: Vec<&str> = OPERATORS.iter().flat_map(|(ops, _)| *ops).copied().collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}

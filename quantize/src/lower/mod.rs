//! Lowering: from the float graph and its calibrated ranges to the integer graph.
//!
//! Float tensors are carried as lazy expressions ([`expr`]); a node of the integer graph is emitted
//! ([`Lowering::requantise`], [`Lowering::lookup`]) only before a non-linear operation, or where an expression
//! cannot be carried further. What counts is the number of range-checked cells, which is to say the number
//! of elements of nodes.

mod activation;
mod atom;
pub(crate) mod channels;
pub(crate) mod curve;
mod divide;
mod emit;
mod expr;
mod features;
mod integers;
mod linear;
mod mask;
mod normalised;
mod order;
mod pool;
mod quotient;
mod reciprocal;
mod requantise;
mod round;
mod selection;
mod softmax;
mod split;
mod trees;

use crate::{
    calibrate::{is_infinite, Range},
    graph::{Form, Graph, ParamId, TensorId, TensorInfo},
    integers::Integers,
    onnx::{
        graph::{FloatGraph, FloatNode, FloatOp, ValueId},
        ops::reduce::Reduction,
    },
    recipe::Recipe,
};
use curve::TableNote;
use expr::{Axes, AxisId, Blocked, Expr, Origin};
use requantise::{constant_magnitude, magnitudes, scale};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Why a node is not lowered.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LowerError {
    /// A value or coefficient leaves the 62 bits of exact forms.
    #[error("its exact value may leave 62 bits, even with its parts rounded first")]
    TooWide,
    /// A private weight that does not fit its declared width.
    #[error("a weight of {value} does not fit the declared width of {bits} bits; declare more")]
    DeclaredWidth {
        /// The declared width.
        bits: u8,
        /// The integer weight.
        value: i64,
    },
    /// A denominator that can be zero.
    #[error("the denominator's interval, {lo} to {hi}, holds zero: a quotient has a meaning only if the denominator is provably positive or provably negative")]
    Denominator {
        /// Smallest value.
        lo: f64,
        /// Largest value.
        hi: f64,
    },
    /// Integers that inputs are too coarse for, whatever their width.
    #[error("its integers do not follow exactly from the model's inputs")]
    Inexact,
    /// A quotient of integers of which one may be no integer.
    #[error("it divides integers that are not known to be whole")]
    NotWhole,
    /// A tensor of size zero.
    #[error("it has no elements")]
    Empty,
    /// A scale that is no positive number.
    #[error("its calibrated range gives no scale ({0})")]
    Scale(f64),
    /// A comparison with what is not finite.
    #[error("it compares with an infinity, which integers do not have")]
    Infinite,
    /// An expression that even tensors as operands do not make possible.
    #[error("its index map is not separable")]
    NotSeparable,
    /// A case that must not happen.
    #[error("internal error: {0}")]
    Internal(&'static str),
}

impl From<Blocked> for LowerError {
    fn from(_: Blocked) -> Self {
        Self::NotSeparable
    }
}

/// A clamp (after a maximum over windows, if any) that has not been emitted yet.
#[derive(Clone, Debug)]
struct Pending {
    window: Vec<AxisId>,
    lo: f64,
    hi: f64,
}

impl Pending {
    /// Whether it changes nothing.
    fn is_open(&self) -> bool {
        self.window.is_empty() && self.lo == f64::NEG_INFINITY && self.hi == f64::INFINITY
    }
}

/// What a float value is so far.
#[derive(Clone, Debug)]
struct Lazy {
    expr: Expr,
    pending: Option<Pending>,
    range: Range,
    name: String,
    /// The tensor that it is, once it is one.
    tensor: Option<TensorId>,
}

/// The lowering of one graph.
pub(crate) struct Lowering<'a> {
    float: &'a FloatGraph,
    ranges: &'a [Range],
    /// Ranges of channels, where scales per channel are wanted and free.
    pub(crate) channels: channels::Channels,
    /// Values that hold masks; see [`crate::masks`].
    pub(crate) masked: HashSet<ValueId>,
    /// Values that have more bits than the recipe says; see [`normalised`].
    finer: HashMap<ValueId, u8>,
    /// How many more bits the tensor at hand has.
    more_bits: u8,
    /// By how many bits factors are coarser than they should be: a sum would not fit else.
    coarser: u8,
    /// By how many bits the unit of a sum is coarser than it should be.
    coarser_unit: i32,
    /// Values that are only divided by.
    divisors: Vec<bool>,
    /// Masks that are tensors.
    shown: Vec<(Form, TensorId)>,
    recipe: &'a Recipe,
    readers: Vec<usize>,
    axes: Axes,
    values: Vec<Option<Lazy>>,
    pub(crate) graph: Graph,
    pub(crate) weights: Vec<Integers>,
    /// Parameters by what they are shared by; see [`Lowering::commit`].
    shared: HashMap<Origin, ParamId>,
    tensors: Vec<TensorInfo>,
    /// What tables of functions reach.
    pub(crate) tables: Vec<TableNote>,
    /// What constants that stand for an infinity become in the node at hand.
    infinity: Option<f64>,
    /// Whether the node at hand is a step's of a recurrence: then its tables are those of the whole domain, whatever this
    /// step can reach, and all steps share them.
    in_steps: bool,
    /// Tables end where their domains do: they are parts of a sum.
    in_parts: bool,
    /// Largest elements that have been found: of a value along an axis, from the largest on.
    largest: BTreeMap<(usize, usize), Vec<TensorId>>,
    /// Softmaxes whose weights are not normalised yet: exponentials, and the reciprocals of their sums.
    unnormalised: HashMap<ValueId, (Expr, Expr)>,
    /// Inputs as they were declared, where other operators than trees see them in units of their columns.
    raw: BTreeMap<ValueId, Expr>,
}

impl<'a> Lowering<'a> {
    pub(crate) fn new(float: &'a FloatGraph, ranges: &'a [Range], recipe: &'a Recipe) -> Self {
        Self {
            float,
            ranges,
            channels: Vec::new(),
            masked: HashSet::new(),
            finer: normalised::finer(float, ranges),
            more_bits: 0,
            coarser: 0,
            coarser_unit: 0,
            divisors: divide::divisors(float),
            shown: Vec::new(),
            recipe,
            readers: float.num_readers(),
            axes: Axes::default(),
            values: vec![None; float.values.len()],
            graph: Graph::default(),
            weights: Vec::new(),
            shared: HashMap::new(),
            tensors: Vec::new(),
            tables: Vec::new(),
            infinity: None,
            in_steps: false,
            in_parts: false,
            largest: BTreeMap::new(),
            unnormalised: HashMap::new(),
            raw: BTreeMap::new(),
        }
    }

    /// Declares an input.
    pub(crate) fn input(&mut self, id: ValueId, input: crate::graph::Input) {
        let (bounds, scale) = (input.bounds, input.scale);
        let tensor = self.push_tensor(TensorInfo { shape: input.shape.clone(), bounds, scale, one_hot: false });
        let expr = Expr::tensor(&mut self.axes, tensor, &input.shape, input.scale.to_f64());
        let lazy =
            Lazy { expr, pending: None, range: self.ranges[id.0], name: input.name.clone(), tensor: Some(tensor) };
        self.values[id.0] = Some(lazy);
        self.graph.inputs.push(input);
    }

    fn push_tensor(&mut self, info: TensorInfo) -> TensorId {
        self.tensors.push(info);
        TensorId(u32::try_from(self.tensors.len() - 1).unwrap_or(u32::MAX))
    }

    /// Lowers one node.
    pub(crate) fn node(&mut self, node: &FloatNode) -> Result<(), LowerError> {
        self.in_steps = node.inputs.first().is_some_and(|i| self.float.values[i.0].range_of.is_some());
        self.infinity = self.far(node);
        let lazy = match &node.op {
            FloatOp::Conv(conv) => self.conv(node, conv)?,
            FloatOp::Gemm { .. } => self.gemm(node)?,
            FloatOp::MatMul => self.matmul(node)?,
            FloatOp::Binary(binary) => self.binary(node, *binary)?,
            FloatOp::BatchNorm { epsilon } => self.batch_norm(node, *epsilon)?,
            FloatOp::Unary(unary) => self.unary(node, *unary)?,
            FloatOp::PRelu => self.prelu(node)?,
            FloatOp::MaxPool(pool) => self.max_pool(node, pool)?,
            FloatOp::AveragePool { pool, count_include_pad } => self.average_pool(node, pool, *count_include_pad)?,
            FloatOp::Reduce(Reduction::Max, axes) => self.reduce_max(node, axes)?,
            FloatOp::Reduce(reduction, axes) => self.reduce(node, *reduction, axes)?,
            FloatOp::Softmax(axis) => self.softmax(node, *axis)?,
            FloatOp::Where => self.choose_where(node)?,
            FloatOp::ArgMax { axis, last } => self.arg_max(node, *axis, *last)?,
            FloatOp::TopK { axis, k, indices } => self.top_k(node, *axis, *k, *indices)?,
            FloatOp::OneHot { depth, wrap } => self.one_hot(node, *depth, *wrap)?,
            FloatOp::Trees(ensemble) => self.trees(node, ensemble)?,
            _ => self.movement(node)?,
        };
        self.values[node.output.0] = Some(lazy);
        // What several read is better a tensor than a product emitted twice.
        let outputs = self.float.outputs.iter().filter(|(_, id)| *id == node.output).count();
        let is_precise = self.float.values[node.output.0].precise && self.readers[node.output.0] > outputs;
        if is_precise || (self.readers[node.output.0] > 1 && self.is_heavy(node.output)) {
            self.settle(node.output)?;
        }
        Ok(())
    }

    fn is_heavy(&self, id: ValueId) -> bool {
        self.values[id.0].as_ref().is_some_and(|lazy| {
            let mut reads = 0;
            let mut heavy = lazy.pending.is_some();
            for atom in &lazy.expr.atoms {
                reads += atom.reads.len();
                heavy |= atom.reads.len() > 1
                    || (!atom.reads.is_empty() && (atom.dense.is_some() || !atom.summed.is_empty()));
            }
            heavy || reads > 2
        })
    }

    /// Emits the declared outputs, exactly.
    pub(crate) fn outputs(&mut self) -> Result<(), (String, LowerError)> {
        for (name, id) in &self.float.outputs {
            let shape = dims(self.float.shape(*id));
            let output = self.output(*id, name, shape).map_err(|e| (name.clone(), e))?;
            self.graph.outputs.push(output);
        }
        Ok(())
    }

    fn output(&mut self, id: ValueId, name: &str, shape: Vec<u32>) -> Result<crate::graph::Output, LowerError> {
        if shape.contains(&0) {
            return Err(LowerError::Empty);
        }
        let expr = self.fetch(id)?;
        let expr = self.compacted(expr, &[]);
        let (scalars, weights) = magnitudes(&expr);
        let constant = expr.atoms.iter().any(|a| a.reads.is_empty());
        let largest = scalars.iter().chain(&weights).copied().fold(0.0, f64::max);
        let unit = match (scalars.as_slice(), weights.is_empty()) {
            _ if self.is_integer(id) && Self::integral_unit(&expr) => 1.0,
            ([], true) => {
                let constants = expr.atoms.iter().map(constant_magnitude).sum::<f64>();
                libm::ldexp(if constants > 0.0 { constants } else { 1.0 }, -i32::from(self.recipe.output_weight_bits))
            }
            ([unit], true) if !constant => *unit,
            _ if !self.recipe.private_weights && requantise::weight_grain(&expr).is_some() => {
                // Integer weights stay integers; constants get a few bits below them.
                requantise::weight_grain(&expr).map_or(largest, |grain| libm::ldexp(grain, -8))
            }
            _ if self.recipe.private_weights => self.private_unit(&expr, self.ranges[id.0], &scalars)?,
            _ => {
                // Fine enough for every summand, and coarse enough for exact sums of 62 bits.
                let range = self.ranges[id.0];
                let magnitude = if range.magnitude() > 0.0 { range.magnitude() } else { f64::INFINITY };
                let factors = self.needed_factors(&expr, magnitude, self.recipe.output_weight_bits);
                let smallest = factors.into_iter().filter(|f| *f > 0.0).fold(largest, f64::min);
                smallest / (libm::ldexp(1.0, i32::from(self.recipe.output_weight_bits) - 1) - 1.0)
            }
        };
        let order = expr.axes();
        let params = self.weights.len();
        let mut coarser = 0;
        let (form, scale) = loop {
            let scale = scale(libm::ldexp(unit, coarser))?;
            match self.commit(&expr, &order, scale.to_f64(), name) {
                Err(LowerError::TooWide) if coarser < 20 && !self.is_integer(id) => {
                    self.roll_back(params);
                    coarser += 2;
                }
                form => break (form, scale),
            }
        };
        let form = match form {
            // The sum as a tensor, which is then the output.
            Err(LowerError::TooWide) if self.values[id.0].as_ref().is_some_and(|l| l.tensor.is_none()) => {
                self.roll_back(params);
                self.tensor(id)?;
                return self.output(id, name, shape);
            }
            form => form?,
        };
        Ok(crate::graph::Output { name: name.into(), shape, form, scale })
    }

    /// With private weights the unit of an output comes from its calibrated range alone.
    fn private_unit(&self, expr: &Expr, range: Range, scalars: &[f64]) -> Result<f64, LowerError> {
        let fan_in = self.fan_in(expr);
        let bits = i32::from(self.recipe.bits) + 8 + fan_in;
        let unit = libm::ldexp(range.magnitude(), -bits);
        let unit = scalars.iter().copied().fold(unit, |u, s| u.min(libm::ldexp(s, -8)));
        if unit > 0.0 {
            Ok(unit)
        } else {
            Err(LowerError::Scale(unit))
        }
    }

    /// Half of log2 of the largest number of weights in a sum.
    fn fan_in(&self, expr: &Expr) -> i32 {
        let summed = expr.atoms.iter().filter(|a| a.dense.is_some()).map(|a| self.axes.volume(&a.summed)).max();
        let bits = usize::BITS - summed.unwrap_or(1).max(1).leading_zeros();
        i32::try_from(bits / 2).unwrap_or(0)
    }

    /// The value as an expression with axes of its own; a pending clamp is emitted first.
    fn fetch(&mut self, id: ValueId) -> Result<Expr, LowerError> {
        if self.values[id.0].is_none() {
            let constant = self.float.constant(id).ok_or(LowerError::Internal("a value that is not there"))?;
            let public = self.float.values[id.0].public;
            let keep = self.recipe.private_weights && constant.data.len() > 1 && !public;
            let origin = Origin::new((id, self.infinity.map(f64::to_bits)));
            let finite = |v: &f64| self.infinity.filter(|_| is_infinite(*v)).map_or(*v, |far| far.copysign(*v));
            let data: Vec<f64> = constant.data.iter().map(finite).collect();
            let expr = Expr::constant(&mut self.axes, &constant.shape, data, keep).with_origin(origin);
            return Ok(if public { expr.public() } else { expr });
        }
        if self.values[id.0].as_ref().is_some_and(|l| l.pending.is_some()) {
            self.tensor(id)?;
        }
        let lazy = self.values[id.0].as_ref().ok_or(LowerError::Internal("a value that is not there"))?;
        Ok(lazy.expr.freshened(&mut self.axes))
    }

    /// Makes the value a tensor, if it is not one yet.
    fn tensor(&mut self, id: ValueId) -> Result<TensorId, LowerError> {
        let Some(lazy) = self.values[id.0].clone() else {
            return Err(LowerError::Internal("a constant is no tensor"));
        };
        if let Some(tensor) = lazy.tensor {
            return Ok(tensor);
        }
        let pending = lazy.pending.unwrap_or(Pending { window: vec![], lo: f64::NEG_INFINITY, hi: f64::INFINITY });
        let shape = dims(self.float.shape(id));
        if self.is_integer(id) && pending.window.is_empty() && Self::integral_unit(&lazy.expr) {
            let bounds = (pending.lo, pending.hi);
            let tensor = self.integral(&lazy.expr, bounds, &lazy.name, &shape)?;
            let expr = self.read(tensor, &shape);
            self.values[id.0] =
                Some(Lazy { expr, pending: None, tensor: Some(tensor), range: lazy.range, name: lazy.name });
            return Ok(tensor);
        }
        if self.float.values[id.0].precise && !self.recipe.private_weights && pending.is_open() {
            let tensor = self.precise_tensor(&lazy.expr, lazy.range, &lazy.name, &shape)?;
            let expr = self.read(tensor, &shape);
            self.values[id.0] =
                Some(Lazy { expr, pending: None, tensor: Some(tensor), range: lazy.range, name: lazy.name });
            return Ok(tensor);
        }
        if let Some(tensor) = self.clipped_divisor(id)? {
            let expr = self.read(tensor, &shape);
            self.values[id.0] =
                Some(Lazy { expr, pending: None, tensor: Some(tensor), range: lazy.range, name: lazy.name });
            return Ok(tensor);
        }
        let mut source = lazy.expr.clone();
        let factors = self.channel_factors(id, &source, &pending);
        if let Some((shape, factors)) = &factors {
            source = self.times_channels(source, shape, factors)?;
        }
        let clamp = (pending.lo, pending.hi);
        let range = self.with_hidden(id, lazy.range);
        self.more_bits = self.finer.get(&id).copied().unwrap_or(0);
        let tensor = self.requantise(&source, &pending.window, clamp, range, &shape, &lazy.name);
        self.more_bits = 0;
        let tensor = tensor?;
        let mut expr = self.read(tensor, &shape);
        if let Some((shape, factors)) = &factors {
            let inverse: Vec<f64> = factors.iter().map(|f| 1.0 / f).collect();
            expr = self.times_channels(expr, shape, &inverse)?;
        }
        self.values[id.0] =
            Some(Lazy { expr, pending: None, tensor: Some(tensor), range: lazy.range, name: lazy.name });
        Ok(tensor)
    }

    /// A tensor as an expression of this shape.
    fn read(&mut self, tensor: TensorId, shape: &[u32]) -> Expr {
        let scale = self.tensors[tensor.0 as usize].scale.to_f64();
        Expr::tensor(&mut self.axes, tensor, shape, scale)
    }

    /// Runs an operation on operands; while an expression cannot express it, operands become tensors.
    fn with(
        &mut self,
        ids: &[ValueId],
        operation: impl Fn(&mut Axes, &mut Vec<Expr>) -> Result<Expr, Blocked>,
    ) -> Result<Expr, LowerError> {
        for attempt in 0..=ids.len() {
            let mut operands = ids.iter().map(|id| self.fetch(*id)).collect::<Result<Vec<_>, _>>()?;
            match operation(&mut self.axes, &mut operands) {
                Ok(expr) => return Ok(expr),
                Err(Blocked) if attempt == ids.len() => break,
                Err(Blocked) => {
                    // The heaviest operand that is no tensor yet.
                    let open = |id: &&ValueId| self.values[id.0].as_ref().is_some_and(|l| l.tensor.is_none());
                    let weight = |id: &&ValueId| {
                        self.values[id.0].as_ref().map_or(0, |l| {
                            l.expr
                                .atoms
                                .iter()
                                .map(|a| a.reads.len() * (2 + a.summed.len() + usize::from(a.dense.is_some())))
                                .sum::<usize>()
                        })
                    };
                    let Some(id) = ids.iter().filter(open).max_by_key(weight).copied() else { break };
                    self.settle(id)?;
                }
            }
        }
        Err(LowerError::NotSeparable)
    }

    /// A lazy value for the output of a node.
    fn lazy(&self, node: &FloatNode, expr: Expr) -> Lazy {
        Lazy { expr, pending: None, range: self.ranges[node.output.0], name: node.name.clone(), tensor: None }
    }

    /// A tensor as the output of a node.
    fn lazy_tensor(&mut self, node: &FloatNode, tensor: TensorId) -> Lazy {
        let expr = self.read(tensor, &dims(self.float.shape(node.output)));
        Lazy { tensor: Some(tensor), ..self.lazy(node, expr) }
    }

    /// Neighbouring axes merged where every read stays plain; the window's axes stay last.
    fn compacted(&mut self, mut expr: Expr, window: &[AxisId]) -> Expr {
        for atom in &mut expr.atoms {
            // Summed axes too: fewer axes are fewer rounds.
            let mut alone = Expr { dims: vec![], atoms: vec![atom.clone()] };
            let summed = self.compact_list(&mut alone, atom.summed.clone());
            if let Some(compact) = alone.atoms.pop() {
                *atom = expr::Atom { summed, ..compact };
            }
        }
        let list = expr.axes();
        let outer = self.compact_list(&mut expr, list);
        // Only the order of elements counts from here on.
        expr.dims = outer.into_iter().map(|a| vec![a]).collect();
        debug_assert!(window.iter().all(|w| !expr.axes().contains(w)));
        expr
    }

    fn compact_list(&mut self, expr: &mut Expr, list: Vec<AxisId>) -> Vec<AxisId> {
        let mut done: Vec<AxisId> = Vec::new();
        for axis in list {
            match done.last().copied() {
                Some(last) => match expr.merge(&mut self.axes, &[last, axis], false) {
                    Ok(merged) => {
                        done.pop();
                        done.push(merged);
                    }
                    Err(Blocked) => done.push(axis),
                },
                None => done.push(axis),
            }
        }
        done
    }
}

/// A shape in the integer graph's type; import has checked its size.
pub(crate) fn dims(shape: &[usize]) -> Vec<u32> {
    shape.iter().map(|s| u32::try_from(*s).unwrap_or(u32::MAX)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::{
        calibrate::calibrate,
        graph::{Input, Interval},
        onnx::OnnxModel,
        recipe::Method,
        scale::Scale,
    };
    use std::{path::Path, sync::Arc};

    /// The integer graph of a float graph, with given ranges.
    fn lowered(float: &FloatGraph, ranges: &[Range], recipe: &Recipe) -> Graph {
        let mut lowering = Lowering::new(float, ranges, recipe);
        for id in &float.inputs {
            let shape = dims(float.shape(*id));
            let scale = Scale::power_of_two(-8).unwrap();
            lowering.input(*id, Input { name: "x".into(), shape, bounds: Interval::new(-512, 511), scale });
        }
        for node in &float.nodes {
            lowering.node(node).unwrap();
        }
        lowering.outputs().unwrap();
        lowering.graph
    }

    #[test]
    fn nothing_public_depends_on_private_weights() {
        let cases =
            ["models/lenet", "ops/misc/residual", "ops/misc/conv_bn_relu_gap_gemm", "ops/activation/prelu_per_channel"];
        for case in cases {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests").join(format!("{case}.onnx"));
            let model = OnnxModel::from_path(&path, &BTreeMap::new()).unwrap();
            let float = model.graph();
            let specs = model.inputs();
            let arrays = specs.iter().map(|s| crate::data::NamedTensor {
                name: s.name.clone(),
                shape: s.shape.clone(),
                data: (0_u32..).take(s.shape.iter().product()).map(|i| f64::from(i % 17) / 8.0 - 1.0).collect(),
            });
            let samples = crate::data::Samples::new(&specs, arrays.collect()).unwrap();
            let ranges = calibrate(float, &samples, Method::MinMax, 10).unwrap();
            // The same model with other weights, but for the sign of variances.
            let mut other = float.clone();
            for value in &mut other.values {
                if let Some(tensor) = value.constant.as_mut().filter(|t| t.data.len() > 1 && !t.integer) {
                    let mut changed = (**tensor).clone();
                    changed.data.iter_mut().for_each(|v| *v *= 0.625);
                    changed.data[0] = 0.0;
                    *tensor = Arc::new(changed);
                }
            }
            let private = Recipe { private_weights: true, ..Recipe::default() };
            assert_eq!(lowered(float, &ranges, &private), lowered(&other, &ranges, &private), "{case}");
            let public = Recipe::default();
            assert_ne!(lowered(float, &ranges, &public), lowered(&other, &ranges, &public), "{case}");
        }
    }
}

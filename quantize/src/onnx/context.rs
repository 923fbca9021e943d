//! What the import of one ONNX node sees and does: its attributes and inputs, and operators that it adds.
//!
//! An ONNX operator is imported by a function that adds operators of the float graph and returns the values of its
//! outputs. Operators of constants are folded as they are added.

use super::{
    element::Element,
    error::NodeProblem,
    graph::{FloatOp, ValueId},
    import::Importer,
    ops::{
        elementwise::{Binary, Unary},
        reduce::Reduction,
    },
    proto::Attributes,
    tensor::Tensor,
};
use std::sync::Arc;
use tract_onnx::pb::NodeProto;

/// The values of a node's outputs, in order; trailing ones may be left out.
pub(crate) type Outputs = Result<Vec<ValueId>, NodeProblem>;

/// A node with its inputs found.
pub(crate) struct Context<'a> {
    pub(crate) importer: &'a mut Importer,
    pub(crate) node: &'a NodeProto,
    pub(crate) attributes: Attributes<'a>,
    pub(crate) inputs: Vec<Option<ValueId>>,
    /// The inputs' element types in the file.
    pub(crate) types: Vec<Element>,
    /// The version of the operator set of the node's domain.
    pub(crate) opset: i64,
    /// The node's name, or that of its first output.
    pub(crate) name: String,
}

impl Context<'_> {
    /// Input `i`.
    pub(crate) fn input(&self, i: usize) -> Result<ValueId, NodeProblem> {
        self.inputs.get(i).copied().flatten().ok_or(NodeProblem::MissingInput(i))
    }
    /// Input `i`, unless it is left out.
    pub(crate) fn optional(&self, i: usize) -> Option<ValueId> {
        self.inputs.get(i).copied().flatten()
    }
    pub(crate) fn has(&self, i: usize) -> bool {
        self.optional(i).is_some()
    }
    /// Whether output `i` is used.
    pub(crate) fn wants(&self, i: usize) -> bool {
        self.node.output.get(i).is_some_and(|o| !o.is_empty())
    }
    /// Outputs with element types that follow from those of a body.
    pub(crate) fn typed(&mut self, results: Vec<(ValueId, Element)>) -> Vec<ValueId> {
        for (output, (_, element)) in self.node.output.iter().zip(&results) {
            self.importer.scope.set_type(output, *element);
        }
        results.into_iter().map(|r| r.0).collect()
    }
    /// The shape of input `i`.
    pub(crate) fn shape(&self, i: usize) -> Result<Vec<usize>, NodeProblem> {
        Ok(self.shape_of(self.input(i)?))
    }
    /// The shape of a value.
    pub(crate) fn shape_of(&self, id: ValueId) -> Vec<usize> {
        self.importer.graph.shape(id).to_vec()
    }
    /// The element type of input `i` in the file.
    pub(crate) fn element(&self, i: usize) -> Element {
        self.types.get(i).copied().unwrap_or_default()
    }
    /// Whether a value holds integers or booleans.
    pub(crate) fn is_integer(&self, id: ValueId) -> bool {
        self.importer.graph.values[id.0].integer
    }
    /// Whether a value is constant.
    pub(crate) fn is_constant(&self, id: ValueId) -> bool {
        self.importer.graph.constant(id).is_some()
    }
    /// The constant input `i`.
    pub(crate) fn constant(&self, i: usize) -> Result<Arc<Tensor>, NodeProblem> {
        self.importer.graph.constant(self.input(i)?).cloned().ok_or(NodeProblem::NotConstant(i))
    }
    /// The integers of constant input `i`, unless it is left out.
    pub(crate) fn constant_ints(&self, i: usize) -> Result<Option<Vec<i64>>, NodeProblem> {
        if self.has(i) {
            Ok(Some(self.constant(i)?.to_ints()))
        } else {
            Ok(None)
        }
    }
    /// The number that constant input `i` holds, unless it is left out.
    pub(crate) fn constant_scalar(&self, i: usize, name: &'static str) -> Result<Option<f64>, NodeProblem> {
        match self.has(i) {
            true => self.constant(i)?.scalar().ok_or(NodeProblem::Attribute(name)).map(Some),
            false => Ok(None),
        }
    }
    /// A list of integers that older operator sets keep in an attribute and newer ones in an input.
    pub(crate) fn ints(&self, name: &str, input: usize) -> Result<Option<Vec<i64>>, NodeProblem> {
        match self.attributes.ints(name) {
            Some(ints) => Ok(Some(ints.to_vec())),
            None => self.constant_ints(input),
        }
    }
    /// All inputs; none may be left out.
    pub(crate) fn all(&self) -> Result<Vec<ValueId>, NodeProblem> {
        (0..self.inputs.len()).map(|i| self.input(i)).collect()
    }
    /// All inputs that are there, in order.
    pub(crate) fn present(&self) -> Vec<ValueId> {
        self.inputs.iter().copied().flatten().collect()
    }

    /// Adds an operator; of constants, its value; one that changes nothing, nothing.
    pub(crate) fn push(&mut self, op: FloatOp, inputs: &[ValueId]) -> Result<ValueId, NodeProblem> {
        self.importer.push(&self.name, &self.node.op_type, op, inputs)
    }
    /// One operator of the first `count` inputs: the common case.
    pub(crate) fn op(&mut self, op: FloatOp, count: usize) -> Outputs {
        let inputs = (0..count).map(|i| self.input(i)).collect::<Result<Vec<_>, _>>()?;
        Ok(vec![self.push(op, &inputs)?])
    }
    /// A constant.
    pub(crate) fn tensor(&mut self, tensor: Tensor) -> ValueId {
        let name = self.name.clone();
        self.importer.constant(&name, tensor)
    }
    /// A constant that follows from shapes and attributes: no weights.
    pub(crate) fn structure(&mut self, tensor: Tensor) -> ValueId {
        let id = self.tensor(tensor);
        self.importer.graph.values[id.0].public = true;
        id
    }
    /// A constant number.
    pub(crate) fn scalar(&mut self, value: f64) -> ValueId {
        self.tensor(Tensor::new(vec![], vec![value]))
    }

    /// A constant integer.
    pub(crate) fn whole(&mut self, value: i32) -> ValueId {
        self.tensor(Tensor { shape: vec![], data: vec![value.into()], integer: true })
    }

    pub(crate) fn unary(&mut self, unary: Unary, x: ValueId) -> Result<ValueId, NodeProblem> {
        self.push(FloatOp::Unary(unary), &[x])
    }
    pub(crate) fn binary(&mut self, binary: Binary, a: ValueId, b: ValueId) -> Result<ValueId, NodeProblem> {
        self.push(FloatOp::Binary(binary), &[a, b])
    }
    pub(crate) fn add(&mut self, a: ValueId, b: ValueId) -> Result<ValueId, NodeProblem> {
        self.binary(Binary::Add, a, b)
    }
    pub(crate) fn sub(&mut self, a: ValueId, b: ValueId) -> Result<ValueId, NodeProblem> {
        self.binary(Binary::Sub, a, b)
    }
    pub(crate) fn mul(&mut self, a: ValueId, b: ValueId) -> Result<ValueId, NodeProblem> {
        self.binary(Binary::Mul, a, b)
    }
    /// The quotient of reals, even where both happen to be whole.
    pub(crate) fn div(&mut self, a: ValueId, b: ValueId) -> Result<ValueId, NodeProblem> {
        let mut a = a;
        if self.is_integer(a) && self.is_integer(b) {
            let one = self.scalar(1.0);
            a = self.mul(a, one)?;
        }
        self.binary(Binary::Div, a, b)
    }
    /// `factor · x + summand`.
    pub(crate) fn affine(&mut self, x: ValueId, factor: f64, summand: f64) -> Result<ValueId, NodeProblem> {
        let mut y = x;
        if factor != 1.0 {
            let factor = self.scalar(factor);
            y = self.mul(y, factor)?;
        }
        if summand != 0.0 {
            let summand = self.scalar(summand);
            y = self.add(y, summand)?;
        }
        Ok(y)
    }
    pub(crate) fn matmul(&mut self, a: ValueId, b: ValueId) -> Result<ValueId, NodeProblem> {
        self.push(FloatOp::MatMul, &[a, b])
    }
    pub(crate) fn reshape(&mut self, x: ValueId, shape: Vec<usize>) -> Result<ValueId, NodeProblem> {
        self.push(FloatOp::Reshape(shape), &[x])
    }
    pub(crate) fn transpose(&mut self, x: ValueId, perm: &[usize]) -> Result<ValueId, NodeProblem> {
        self.push(FloatOp::Transpose(perm.to_vec()), &[x])
    }
    /// A reduction; reduced axes stay with size 1.
    pub(crate) fn reduce(&mut self, x: ValueId, how: Reduction, axes: &[usize]) -> Result<ValueId, NodeProblem> {
        self.push(FloatOp::Reduce(how, axes.to_vec()), &[x])
    }
    /// Elements `start`, `start + step`, … along one axis.
    pub(crate) fn slice(
        &mut self,
        x: ValueId,
        axis: usize,
        (start, step, length): (usize, i64, usize),
    ) -> Result<ValueId, NodeProblem> {
        let mut parts: Vec<(usize, i64, usize)> = self.shape_of(x).iter().map(|s| (0, 1, *s)).collect();
        *parts.get_mut(axis).ok_or(NodeProblem::Attribute("axis"))? = (start, step, length);
        self.push(FloatOp::Slice(parts), &[x])
    }
    /// Parts joined along an axis; empty ones take no part.
    pub(crate) fn concat(&mut self, parts: &[ValueId], axis: usize) -> Result<ValueId, NodeProblem> {
        let filled: Vec<ValueId> = parts.iter().copied().filter(|v| !self.shape_of(*v).contains(&0)).collect();
        let parts = if filled.is_empty() { parts } else { &filled };
        match parts {
            [one] => Ok(*one),
            parts => self.push(FloatOp::Concat(axis), parts),
        }
    }
    /// Asks for more than the recipe's bits for a value: what follows decides by it.
    pub(crate) fn make_precise(&mut self, id: ValueId) {
        self.importer.graph.values[id.0].precise = true;
    }
    /// Notes that the node quantises activations as the file runs.
    pub(crate) fn note_dynamic(&mut self) {
        self.importer.dynamic.insert(self.name.clone());
    }
    /// Makes a value share the calibrated range of another one.
    pub(crate) fn share_range(&mut self, leader: ValueId, value: ValueId) {
        let values = &mut self.importer.graph.values;
        let leader = values[leader.0].range_of.unwrap_or(leader);
        values[leader.0].range_of = Some(leader);
        values[value.0].range_of = Some(leader);
    }
    /// Elements of the input in row-major order, by their addresses; `None` is zero.
    pub(crate) fn pick(
        &mut self,
        x: ValueId,
        addresses: Vec<Option<usize>>,
        shape: Vec<usize>,
    ) -> Result<ValueId, NodeProblem> {
        let volume = self.shape_of(x).iter().product();
        let flat = self.reshape(x, vec![volume])?;
        self.push(FloatOp::Gather { axis: 0, indices: addresses, shape }, &[flat])
    }
}

/// An axis, negative from the end.
pub(crate) fn axis(axis: i64, rank: usize, name: &'static str) -> Result<usize, NodeProblem> {
    let signed = i64::try_from(rank).map_err(|_| NodeProblem::Attribute(name))?;
    let axis = if axis < 0 { axis.checked_add(signed).unwrap_or(-1) } else { axis };
    usize::try_from(axis).ok().filter(|a| *a < rank).ok_or(NodeProblem::Attribute(name))
}

/// Axes in order, each once.
pub(crate) fn axes(list: &[i64], rank: usize) -> Result<Vec<usize>, NodeProblem> {
    let mut axes = list.iter().map(|a| axis(*a, rank, "axes")).collect::<Result<Vec<_>, _>>()?;
    axes.sort_unstable();
    axes.dedup();
    Ok(axes)
}

/// Sizes from integers of a constant.
pub(crate) fn sizes(list: &[i64], name: &'static str) -> Result<Vec<usize>, NodeProblem> {
    list.iter().map(|v| usize::try_from(*v).map_err(|_| NodeProblem::Attribute(name))).collect()
}

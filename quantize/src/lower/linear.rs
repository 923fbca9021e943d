//! Linear operators: they change expressions and emit nothing.

use super::{
    dims,
    expr::{Atom, Axes, AxisId, Blocked, Coord, Dense, Expr, Origin, Substitution},
    Lazy, LowerError, Lowering,
};
use crate::onnx::{
    graph::{FloatNode, FloatOp, ValueId},
    ops::{
        conv::Conv,
        elementwise::{batch_norm_affine, Binary},
        reduce::Reduction,
    },
    tensor::Tensor,
};
use std::sync::Arc;

/// More tensors than this in one matrix product are added up before it.
const MAX_ATOMS: usize = 8;

fn pop(operands: &mut Vec<Expr>) -> Result<Expr, Blocked> {
    operands.pop().ok_or(Blocked)
}

/// A constant over the given axes, row-major.
fn dense(list: &[AxisId], values: &[f64], origin: Origin) -> Expr {
    let array = Dense { axes: list.to_vec(), values: Arc::new(values.to_vec()), origin: Some(origin), public: false };
    let mut atom = Atom { coef: 1.0, dense: Some(array), reads: vec![], summed: vec![] };
    if list.is_empty() {
        atom.dense = None;
        atom.coef = values.first().copied().unwrap_or(0.0);
    }
    Expr { dims: vec![], atoms: vec![atom] }
}

fn readable(expr: &Expr) -> Result<(), Blocked> {
    if expr.atoms.iter().filter(|a| !a.reads.is_empty()).count() > MAX_ATOMS {
        Err(Blocked)
    } else {
        Ok(())
    }
}

impl Lowering<'_> {
    fn constant_of(&self, node: &FloatNode, input: usize) -> Result<Arc<Tensor>, LowerError> {
        let id = node.inputs.get(input).ok_or(LowerError::Internal("an input is missing"))?;
        self.float.constant(*id).cloned().ok_or(LowerError::Internal("an input is no constant"))
    }

    pub(super) fn conv(&mut self, node: &FloatNode, conv: &Conv) -> Result<Lazy, LowerError> {
        let weights = self.constant_of(node, 1)?;
        let bias = if node.inputs.len() > 2 { Some(self.constant_of(node, 2)?) } else { None };
        let output = dims(self.float.shape(node.output));
        let size = |v: usize| u32::try_from(v).unwrap_or(u32::MAX);
        let expr = self.with(&node.inputs[..1], |axes, operands| {
            let mut x = pop(operands)?;
            readable(&x)?;
            let group = axes.list(size(conv.group));
            let out = axes.list(size(weights.shape[0] / conv.group));
            let inner = axes.list(size(weights.shape[1]));
            let channel = x.single_axis(axes, 1)?;
            let mut terms = Vec::new();
            terms.extend(group.iter().map(|a| (*a, i64::try_from(weights.shape[1]).unwrap_or(i64::MAX))));
            terms.extend(inner.iter().map(|a| (*a, 1)));
            x.substitute(axes, &Substitution::affine(channel, &terms, 0))?;
            let mut result_dims = vec![x.dims[0].clone(), [group.clone(), out.clone()].concat()];
            let mut summed = inner.clone();
            for (d, w) in conv.windows.iter().enumerate() {
                let (o, k) = (axes.list(output[2 + d]), axes.list(size(w.size)));
                x.window(axes, 2 + d, (&o, w.stride), (&k, w.dilation), w.begin)?;
                summed.extend(&k);
                result_dims.push(o);
            }
            let weight_axes = [group.as_slice(), &out, &summed].concat();
            let atoms = x.contract(axes, &dense(&weight_axes, &weights.data, Origin::new(node.inputs[1])), &summed)?;
            let mut result = Expr { dims: result_dims, atoms };
            if let Some(bias) = &bias {
                result.atoms.extend(dense(&result.dims[1], &bias.data, Origin::new(node.inputs[2])).atoms);
            }
            Ok(result)
        })?;
        Ok(self.lazy(node, expr))
    }

    pub(super) fn gemm(&mut self, node: &FloatNode) -> Result<Lazy, LowerError> {
        let FloatOp::Gemm { alpha, beta, trans_a, trans_b } = node.op else {
            return Err(LowerError::Internal("no gemm"));
        };
        let product = self.with(&node.inputs[..2], |axes, operands| {
            let (mut b, mut a) = (pop(operands)?, pop(operands)?);
            if trans_a {
                a.dims.reverse();
            }
            if trans_b {
                b.dims.reverse();
            }
            Ok(matrix_product(axes, a, b)?.scaled(alpha))
        })?;
        let expr = match node.inputs.get(2) {
            None => product,
            Some(c) => {
                self.with(&[*c], |axes, operands| product.freshened(axes).plus(axes, pop(operands)?.scaled(beta)))?
            }
        };
        Ok(self.lazy(node, expr))
    }

    pub(super) fn matmul(&mut self, node: &FloatNode) -> Result<Lazy, LowerError> {
        if let Some((weights, inverse)) = self.unnormalised.remove(&node.inputs[0]) {
            return self.weighted_mean(node, weights, inverse);
        }
        let expr = self.with(&node.inputs[..2], |axes, operands| {
            let (mut b, mut a) = (pop(operands)?, pop(operands)?);
            let (row, col) = (a.dims.len() == 1, b.dims.len() == 1);
            if row {
                a.dims.insert(0, vec![]);
            }
            if col {
                b.dims.push(vec![]);
            }
            let mut result = matrix_product(axes, a, b)?;
            if col {
                result.dims.pop();
            }
            if row {
                let at = result.dims.len() - usize::from(!col) - 1;
                result.dims.remove(at);
            }
            Ok(result)
        })?;
        Ok(self.lazy(node, expr))
    }

    pub(super) fn binary(&mut self, node: &FloatNode, binary: Binary) -> Result<Lazy, LowerError> {
        let (a, b) = (node.inputs[0], node.inputs[1]);
        if binary == Binary::Div && self.is_integer(node.output) {
            return self.divide_integers(node, a, b);
        }
        if binary == Binary::Div {
            return match self.float.constant(b).cloned() {
                Some(divisor) => self.divide_by_constant(node, a, &divisor),
                None => self.divide(node, a, b),
            };
        }
        if binary == Binary::FloorDiv {
            return self.floor_quotient(node);
        }
        if matches!(binary, Binary::Max | Binary::Min) {
            return self.extremum(node, binary == Binary::Max);
        }
        if binary.is_comparison() {
            return self.compare(node, binary);
        }
        if self.recipe.private_weights && binary != Binary::Mul {
            self.part_products(a, b)?;
        }
        let expr = self.with(&[a, b], |axes, operands| {
            let (b, a) = (pop(operands)?, pop(operands)?);
            match binary {
                Binary::Add => a.plus(axes, b),
                Binary::Sub => a.plus(axes, b.scaled(-1.0)),
                _ => a.times(axes, b),
            }
        })?;
        Ok(self.lazy(node, expr))
    }

    /// Makes products of tensors that are to be added to weighted ones tensors: the declared width of weights fixes the
    /// shift of their sum, at which the products' coefficients would be coarse.
    fn part_products(&mut self, a: ValueId, b: ValueId) -> Result<(), LowerError> {
        let has = |this: &Self, id: ValueId, test: fn(&Atom) -> bool| {
            this.values[id.0].as_ref().is_some_and(|l| l.expr.atoms.iter().any(test))
        };
        let weighted = |atom: &Atom| atom.dense.is_some() && !atom.reads.is_empty();
        for (product, other) in [(a, b), (b, a)] {
            if has(self, product, |atom| atom.reads.len() > 1) && has(self, other, weighted) {
                self.tensor(product)?;
            }
        }
        Ok(())
    }

    fn divide_by_constant(&mut self, node: &FloatNode, a: ValueId, divisor: &Tensor) -> Result<Lazy, LowerError> {
        if divisor.data.contains(&0.0) {
            return Err(LowerError::Denominator { lo: 0.0, hi: 0.0 });
        }
        let inverse: Vec<f64> = divisor.data.iter().map(|v| 1.0 / v).collect();
        let keep = self.recipe.private_weights && inverse.len() > 1;
        let expr = self.with(&[a], |axes, operands| {
            let origin = Origin::new((node.inputs[1], "inverse"));
            let factor = Expr::constant(axes, &divisor.shape, inverse.clone(), keep).with_origin(origin);
            pop(operands)?.times(axes, factor)
        })?;
        Ok(self.lazy(node, expr))
    }

    pub(super) fn batch_norm(&mut self, node: &FloatNode, epsilon: f64) -> Result<Lazy, LowerError> {
        let inputs = (1..5).map(|i| self.constant_of(node, i)).collect::<Result<Vec<_>, _>>()?;
        let (factor, summand) = batch_norm_affine(&inputs[0], &inputs[1], &inputs[2], &inputs[3], epsilon);
        let mut shape = vec![1; self.float.shape(node.output).len() - 1];
        shape[0] = factor.len();
        let keep = self.recipe.private_weights;
        let expr = self.with(&node.inputs[..1], |axes, operands| {
            let x = pop(operands)?;
            let origin = |part| Origin::new((&node.inputs[1..], epsilon.to_bits(), part));
            let factor = Expr::constant(axes, &shape, factor.clone(), keep).with_origin(origin("factor"));
            let summand = Expr::constant(axes, &shape, summand.clone(), keep).with_origin(origin("summand"));
            x.times(axes, factor)?.plus(axes, summand)
        })?;
        Ok(self.lazy(node, expr))
    }

    pub(super) fn reduce(
        &mut self,
        node: &FloatNode,
        reduction: Reduction,
        over: &[usize],
    ) -> Result<Lazy, LowerError> {
        let shape = self.float.shape(node.inputs[0]).to_vec();
        #[allow(clippy::cast_precision_loss)] // far below 2^53
        let count = over.iter().map(|d| shape[*d]).product::<usize>() as f64;
        let factor = if reduction == Reduction::Mean { 1.0 / count } else { 1.0 };
        let expr = self.with(&node.inputs[..1], |axes, operands| Ok(pop(operands)?.sum(axes, over)?.scaled(factor)))?;
        Ok(self.lazy(node, expr))
    }

    /// Operators that move elements.
    pub(super) fn movement(&mut self, node: &FloatNode) -> Result<Lazy, LowerError> {
        let output = dims(self.float.shape(node.output));
        let shapes: Vec<Vec<u32>> = node.inputs.iter().map(|i| dims(self.float.shape(*i))).collect();
        let expr = self.with(&node.inputs, |axes, operands| match &node.op {
            FloatOp::Concat(axis) => concat(axes, operands, &shapes, *axis, output[*axis]),
            op => {
                let mut x = pop(operands)?;
                moved(axes, &mut x, op, &output)?;
                Ok(x)
            }
        });
        match (expr, &node.op) {
            (Err(LowerError::NotSeparable), FloatOp::Gather { axis, indices, shape }) if shape.len() > 1 => {
                self.gathered(node, *axis, indices)
            }
            (expr, _) => Ok(self.lazy(node, expr?)),
        }
    }

    /// A gather whose indices have several axes: along one axis, as a tensor, which is then read with its shape.
    fn gathered(&mut self, node: &FloatNode, axis: usize, indices: &[Option<usize>]) -> Result<Lazy, LowerError> {
        let mut flat = dims(self.float.shape(node.inputs[0]));
        flat[axis] = u32::try_from(indices.len()).map_err(|_| LowerError::TooWide)?;
        let op = FloatOp::Gather { axis, indices: indices.to_vec(), shape: vec![indices.len()] };
        let expr = self.with(&node.inputs, |axes, operands| {
            let mut x = pop(operands)?;
            moved(axes, &mut x, &op, &flat)?;
            Ok(x)
        })?;
        self.values[node.output.0] = Some(self.lazy(node, expr));
        let tensor = self.tensor(node.output)?;
        Ok(self.lazy_tensor(node, tensor))
    }
}

/// The product of `[…, m, k]` and `[…, k, n]`.
pub(super) fn matrix_product(axes: &mut Axes, mut a: Expr, mut b: Expr) -> Result<Expr, Blocked> {
    readable(&a)?;
    readable(&b)?;
    let (k, m) = (a.dims.pop().ok_or(Blocked)?, a.dims.pop().ok_or(Blocked)?);
    a.dims.extend([m, vec![], k]);
    let (n, k) = (b.dims.pop().ok_or(Blocked)?, b.dims.pop().ok_or(Blocked)?);
    b.dims.extend([vec![], n, k]);
    a.align(axes, &mut b)?;
    let summed = a.dims.pop().ok_or(Blocked)?;
    let atoms = a.contract(axes, &b, &summed)?;
    Ok(Expr { dims: a.dims, atoms })
}

fn concat(
    axes: &mut Axes,
    operands: &mut Vec<Expr>,
    shapes: &[Vec<u32>],
    dim: usize,
    total: u32,
) -> Result<Expr, Blocked> {
    let mut offset = 0;
    let mut sum: Option<Expr> = None;
    for (mut x, shape) in operands.drain(..).zip(shapes) {
        let axis = x.single_axis(axes, dim)?;
        let joined = axes.list(total);
        let terms: Vec<(AxisId, i64)> = joined.iter().map(|a| (*a, 1)).collect();
        x.substitute(axes, &Substitution::affine(axis, &terms, -i64::from(offset)))?;
        x.dims[dim] = joined;
        offset += shape[dim];
        sum = Some(match sum {
            Some(sum) => sum.plus(axes, x)?,
            None => x,
        });
    }
    sum.ok_or(Blocked)
}

fn moved(axes: &mut Axes, x: &mut Expr, op: &FloatOp, output: &[u32]) -> Result<(), Blocked> {
    let signed = |v: usize| i64::try_from(v).map_err(|_| Blocked);
    match op {
        FloatOp::Reshape(_) => x.reshape(axes, output),
        FloatOp::Transpose(perm) => {
            x.dims = perm.iter().map(|p| x.dims[*p].clone()).collect();
            Ok(())
        }
        FloatOp::Expand(_) => {
            while x.dims.len() < output.len() {
                x.dims.insert(0, vec![]);
            }
            for (dim, size) in x.dims.iter_mut().zip(output) {
                if dim.is_empty() {
                    *dim = axes.list(*size);
                }
            }
            Ok(())
        }
        FloatOp::Slice(parts) => {
            for (d, (start, step, length)) in parts.iter().enumerate() {
                let size = axes.volume(&x.dims[d]);
                if (*start, *step, *length) == (0, 1, size) {
                    continue;
                }
                let axis = x.single_axis(axes, d)?;
                let cut = axes.list(output[d]);
                let terms: Vec<(AxisId, i64)> = cut.iter().map(|a| (*a, *step)).collect();
                x.substitute(axes, &Substitution::affine(axis, &terms, signed(*start)?))?;
                x.dims[d] = cut;
            }
            Ok(())
        }
        FloatOp::Pad(pads, value) => {
            // Padding adds zeros: pad(x, v) = pad(x − v, 0) + v.
            let constant = |value: f64| Atom { coef: value, dense: None, reads: vec![], summed: vec![] };
            if *value != 0.0 {
                x.atoms.push(constant(-value));
            }
            for (d, (begin, end)) in pads.iter().enumerate().filter(|(_, p)| **p != (0, 0)) {
                let axis = x.single_axis(axes, d)?;
                debug_assert_eq!(axes.size(axis) as usize + begin + end, output[d] as usize);
                let padded = axes.list(output[d]);
                let terms: Vec<(AxisId, i64)> = padded.iter().map(|a| (*a, 1)).collect();
                x.substitute(axes, &Substitution::affine(axis, &terms, -signed(*begin)?))?;
                x.dims[d] = padded;
            }
            if *value != 0.0 {
                x.atoms.push(constant(*value));
            }
            Ok(())
        }
        FloatOp::Gather { axis: dim, indices, .. } => {
            let axis = x.single_axis(axes, *dim)?;
            let picked = axes.list(u32::try_from(indices.len()).map_err(|_| Blocked)?);
            let entries = indices
                .iter()
                .map(|i| i.map_or(Ok(-1), |i| i32::try_from(i).map_err(|_| Blocked)))
                .collect::<Result<Vec<_>, _>>()?;
            let coord = match entries.as_slice() {
                [one] if *one >= 0 => Coord::Affine { coefs: vec![], offset: i64::from(*one) },
                _ => Coord::Table(entries),
            };
            x.substitute(axes, &Substitution { axis, by: picked.clone(), coord })?;
            x.dims[*dim] = picked;
            x.reshape(axes, output)
        }
        _ => Err(Blocked),
    }
}

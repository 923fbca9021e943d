//! Pooling: windows are axes of a form.

use super::{
    dims,
    expr::{Atom, Axes, AxisId, Blocked, Expr},
    Lazy, LowerError, Lowering, Pending,
};
use crate::onnx::{
    graph::{FloatNode, ValueId},
    ops::{conv::Window, pool::Pool},
};

/// A maximum is computed straight from an expression if that means at most this many evaluations per element.
const MAX_OVERLAP: f64 = 2.5;

/// Replaces the spatial dimensions by windows; returns the axes of the windows.
fn windowed(axes: &mut Axes, x: &mut Expr, windows: &[Window], output: &[u32]) -> Result<Vec<AxisId>, Blocked> {
    let mut inner = Vec::new();
    for (d, w) in windows.iter().enumerate() {
        let o = axes.list(output[2 + d]);
        let k = axes.list(u32::try_from(w.size).map_err(|_| Blocked)?);
        x.window(axes, 2 + d, (&o, w.stride), (&k, w.dilation), w.begin)?;
        inner.extend(k);
    }
    Ok(inner)
}

impl Lowering<'_> {
    /// The value as an expression, with a clamp that has not been emitted.
    pub(super) fn take(&mut self, id: ValueId) -> Result<(Expr, Pending), LowerError> {
        if let Some(Lazy { expr, pending: Some(pending), .. }) = &self.values[id.0] {
            return Ok((expr.clone(), pending.clone()));
        }
        let open = Pending { window: vec![], lo: f64::NEG_INFINITY, hi: f64::INFINITY };
        Ok((self.fetch(id)?, open))
    }

    pub(super) fn max_pool(&mut self, node: &FloatNode, pool: &Pool) -> Result<Lazy, LowerError> {
        let input = node.inputs[0];
        let shape = self.float.shape(input).to_vec();
        let output = dims(self.float.shape(node.output));
        let outside = |(w, (length, count)): (&Window, (&usize, &u32))| {
            w.begin > 0 || (*count as usize - 1) * w.stride + w.span() > *length
        };
        let partial = pool.windows.iter().zip(shape[2..].iter().zip(&output[2..])).any(outside);
        if partial {
            return self.padded_max_pool(node, pool, &output);
        }
        #[allow(clippy::cast_precision_loss)] // a ratio
        let overlap = {
            let window: usize = pool.windows.iter().map(|w| w.size).product();
            let outputs: usize = output.iter().map(|s| *s as usize).product();
            (window * outputs) as f64 / shape.iter().product::<usize>() as f64
        };
        let (mut x, mut pending) = self.take(input)?;
        let mut window = Err(Blocked);
        if overlap <= MAX_OVERLAP && pending.window.is_empty() {
            window = windowed(&mut self.axes, &mut x, &pool.windows, &output);
        }
        if window.is_err() {
            self.tensor(input)?;
            (x, pending) = self.take(input)?;
            window = windowed(&mut self.axes, &mut x, &pool.windows, &output);
        }
        let window = window.map_err(|Blocked| LowerError::NotSeparable)?;
        let lazy = self.lazy(node, x);
        Ok(Lazy { pending: Some(Pending { window, ..pending }), ..lazy })
    }

    /// Reads outside give zero, so the tensor is shifted to be non-negative first.
    fn padded_max_pool(&mut self, node: &FloatNode, pool: &Pool, output: &[u32]) -> Result<Lazy, LowerError> {
        let input = node.inputs[0];
        let tensor = self.tensor(input)?;
        let info = self.tensors[tensor.0 as usize].clone();
        #[allow(clippy::cast_precision_loss)] // tensors are far narrower than 53 bits
        let lift = if info.bounds.lo < 0 { -info.bounds.lo as f64 * info.scale.to_f64() } else { 0.0 };
        let mut x = self.fetch(input)?;
        let constant = |value: f64| Atom { coef: value, dense: None, reads: vec![], summed: vec![] };
        if lift > 0.0 {
            x.atoms.push(constant(lift));
        }
        let window =
            windowed(&mut self.axes, &mut x, &pool.windows, output).map_err(|Blocked| LowerError::NotSeparable)?;
        let open = (f64::NEG_INFINITY, f64::INFINITY);
        let range = self.ranges[node.output.0];
        if lift == 0.0 {
            let lazy = self.lazy(node, x);
            return Ok(Lazy { pending: Some(Pending { window, lo: open.0, hi: open.1 }), ..lazy });
        }
        let lifted = crate::calibrate::Range { lo: range.lo + lift, hi: range.hi + lift };
        let tensor = self.requantise(&x, &window, open, lifted, output, &format!("{}/lifted", node.name))?;
        let mut expr = self.read(tensor, output);
        expr.atoms.push(constant(-lift));
        Ok(self.lazy(node, expr))
    }

    pub(super) fn reduce_max(&mut self, node: &FloatNode, over: &[usize]) -> Result<Lazy, LowerError> {
        let input = node.inputs[0];
        if self.values[input.0].as_ref().and_then(|l| l.pending.as_ref()).is_some_and(|p| !p.window.is_empty()) {
            self.tensor(input)?;
        }
        let (mut x, pending) = self.take(input)?;
        let window = over.iter().flat_map(|d| std::mem::take(&mut x.dims[*d])).collect();
        let lazy = self.lazy(node, x);
        Ok(Lazy { pending: Some(Pending { window, ..pending }), ..lazy })
    }

    pub(super) fn average_pool(&mut self, node: &FloatNode, pool: &Pool, include: bool) -> Result<Lazy, LowerError> {
        let shape = self.float.shape(node.inputs[0]).to_vec();
        let output = dims(self.float.shape(node.output));
        let expr = self.with(&node.inputs[..1], |axes, operands| {
            let mut x = operands.pop().ok_or(Blocked)?;
            let window = windowed(axes, &mut x, &pool.windows, &output)?;
            for atom in &mut x.atoms {
                atom.summed.extend(&window);
                atom.simplify(axes)?;
            }
            for d in 0..pool.windows.len() {
                #[allow(clippy::cast_precision_loss)] // windows are small
                let inverse: Vec<f64> = (0..output[2 + d] as usize)
                    .map(|o| 1.0 / pool.divisor(d, o, shape[2 + d], include).max(1) as f64)
                    .collect();
                let mut factor_shape = vec![1; output.len() - d];
                factor_shape.truncate(pool.windows.len() - d);
                factor_shape[0] = inverse.len();
                let factor = Expr::constant(axes, &factor_shape, inverse, false);
                x = x.times(axes, factor)?;
            }
            Ok(x)
        })?;
        Ok(self.lazy(node, expr))
    }
}

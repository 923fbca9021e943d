//! Arguments of maxima and largest elements: the maximum of keys `x · 2^s − i`, which differ from each other, so that ties
//! are decided by the index.

use super::{
    dims,
    expr::{Atom, Dense, Expr},
    integers::blocked,
    requantise::clip_name,
    selection::{number, place},
    Lazy, LowerError, Lowering,
};
use crate::{
    graph::{Node, Op, TensorId},
    onnx::graph::{FloatNode, ValueId},
    scale::Scale,
};
use std::sync::Arc;

impl Lowering<'_> {
    /// Keys `x · 2^s ± i` along an axis, the tensor's own unit for `x`; and `s`.
    fn keys(&mut self, input: ValueId, axis: usize, last: bool) -> Result<(Expr, u8), LowerError> {
        let tensor = self.tensor(input)?;
        let shape = dims(self.float.shape(input));
        let length = shape[axis];
        let shift = u8::try_from(u32::BITS - (length - 1).leading_zeros()).map_err(|_| LowerError::TooWide)?;
        let mut x = self.integers(tensor, &shape).scaled(libm::ldexp(1.0, shift.into()));
        if let [own] = x.dims[axis][..] {
            let sign = if last { 1.0 } else { -1.0 };
            let index = (0..length).map(|i| sign * f64::from(i)).collect();
            let dense = Dense { axes: vec![own], values: Arc::new(index), origin: None, public: true };
            x.atoms.push(Atom { coef: 1.0, dense: Some(dense), reads: vec![], summed: vec![] });
        }
        Ok((x, shift))
    }

    /// The maximum of an expression over an axis; the axis stays with size 1.
    fn maximum(&mut self, mut x: Expr, axis: usize, name: &str, shape: &[u32]) -> Result<TensorId, LowerError> {
        let window = std::mem::take(&mut x.dims[axis]);
        let x = self.compacted(x, &window);
        let mut order = x.axes();
        order.extend(&window);
        let form = self.commit(&x, &order, 1.0, name)?;
        let op = match u8::try_from(window.len()).map_err(|_| LowerError::TooWide)? {
            0 => Op::Clamp { lo: None, hi: None, under: false },
            axes => Op::Max { axes, lo: None, hi: None },
        };
        self.push_node(Node { name: clip_name(name), form, shift: 0, op, scale: Scale::ONE }, shape)
    }

    /// What a key holds: the value is `ceil(key / 2^s)` (its floor when the index was added), the index the rest.
    fn decode(
        &mut self,
        key: TensorId,
        (shift, last): (u8, bool),
        name: &str,
        shape: &[u32],
    ) -> Result<(Expr, Expr), LowerError> {
        let read = self.integers(key, shape);
        if shift == 0 {
            return Ok((read, Expr { dims: shape.iter().map(|s| self.axes.list(*s)).collect(), atoms: vec![] }));
        }
        let (step, half) = (libm::ldexp(1.0, shift.into()), libm::ldexp(1.0, i32::from(shift) - 1));
        let mut shifted = read.freshened(&mut self.axes);
        shifted.atoms.push(number(if last { -half } else { step - 1.0 - half }));
        let value = self.exact(&shifted, shift, &format!("{name}/value"), shape)?;
        let value = self.integers(value, shape);
        let sign = if last { -1.0 } else { 1.0 };
        let whole = value.freshened(&mut self.axes).scaled(sign * step);
        let index = whole.plus(&mut self.axes, read.scaled(-sign)).map_err(blocked)?;
        Ok((value, index))
    }

    pub(super) fn arg_max(&mut self, node: &FloatNode, axis: usize, last: bool) -> Result<Lazy, LowerError> {
        let shape = dims(self.float.shape(node.output));
        let (keys, shift) = self.keys(node.inputs[0], axis, last)?;
        let key = self.maximum(keys, axis, &format!("{}/max", node.name), &shape)?;
        let (_, index) = self.decode(key, (shift, last), &node.name, &shape)?;
        Ok(self.lazy(node, index))
    }

    /// The `k` largest keys, one after another: what is not below the last one found is left out of the next maximum.
    pub(super) fn top_k(&mut self, node: &FloatNode, axis: usize, k: usize, indices: bool) -> Result<Lazy, LowerError> {
        let input = node.inputs[0];
        let full = dims(self.float.shape(input));
        let mut one = full.clone();
        one[axis] = 1;
        let (keys, shift) = self.keys(input, axis, false)?;
        let found = self.largest.get(&(input.0, axis)).map_or(0, Vec::len);
        if found < k {
            let keys = self.exact(&keys, 0, &format!("{}/keys", node.name), &full)?;
            let lowest = {
                #[allow(clippy::cast_precision_loss)] // keys are narrower than 53 bits
                let lowest = self.tensors[keys.0 as usize].bounds.lo as f64;
                lowest
            };
            for round in found..k {
                let name = format!("{}/{round}", node.name);
                let last = self.largest.get(&(input.0, axis)).and_then(|l| l.last()).copied();
                let mut rest = self.integers(keys, &full);
                if let Some(last) = last {
                    // Ones where the key is below the last one.
                    let last = self.integers(last, &one);
                    let all = rest.freshened(&mut self.axes).scaled(-1.0);
                    let below = last.plus(&mut self.axes, all).map_err(blocked)?;
                    let below = self.step(&below, &format!("{name}/left"), &full)?;
                    let below = self.integers(below, &full);
                    rest.atoms.push(number(-lowest));
                    rest = below.times(&mut self.axes, rest).map_err(blocked)?;
                    rest.atoms.push(number(lowest));
                }
                let key = self.maximum(rest, axis, &format!("{name}/max"), &one)?;
                self.largest.entry((input.0, axis)).or_default().push(key);
            }
        }
        let found: Vec<TensorId> =
            self.largest.get(&(input.0, axis)).map(|l| l[..k.min(l.len())].to_vec()).unwrap_or_default();
        let unit = match self.values[input.0].as_ref().and_then(|l| l.tensor) {
            Some(tensor) => self.tensors[tensor.0 as usize].scale.to_f64(),
            None => return Err(LowerError::Internal("no tensor")),
        };
        // Joined along the axis.
        let total = u32::try_from(k).map_err(|_| LowerError::TooWide)?;
        let mut sum: Option<Expr> = None;
        for (at, key) in found.into_iter().enumerate() {
            let (value, index) = self.decode(key, (shift, false), &format!("{}/{at}", node.name), &one)?;
            let mut part = if indices { index } else { value.scaled(unit) };
            place(&mut self.axes, &mut part, axis, at, total).map_err(blocked)?;
            sum = Some(match sum {
                None => part,
                Some(sum) => sum.plus(&mut self.axes, part).map_err(blocked)?,
            });
        }
        let expr = sum.ok_or(LowerError::Internal("no element"))?;
        Ok(self.lazy(node, expr))
    }
}

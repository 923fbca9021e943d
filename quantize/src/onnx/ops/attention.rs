//! Scaled dot-product attention, and rotary embeddings.

use super::{
    elementwise::{Binary, Unary},
    reduce::Reduction,
};
use crate::{
    calibrate::is_infinite,
    onnx::{
        context::{Context, Outputs},
        element::Element,
        error::NodeProblem,
        graph::{FloatOp, ValueId},
        tensor::{broadcast_shapes, Tensor},
    },
};

pub(crate) const OPS: &[&str] = &["Attention", "RotaryEmbedding"];

pub(crate) fn import(c: &mut Context<'_>) -> Outputs {
    if c.node.op_type == "Attention" {
        attention(c)
    } else {
        rotary(c)
    }
}

/// Batch, heads of queries, queries, keys.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    batch: usize,
    heads: usize,
    queries: usize,
    keys: usize,
}

/// What is added to the scores, and which keys a query sees at all: zeros and ones that broadcast to the scores.
#[derive(Clone, Copy, Default)]
struct Mask {
    added: Option<ValueId>,
    seen: Option<ValueId>,
    /// Whether large finite numbers hide keys: where they hide all keys of a query, they would cancel.
    by_numbers: bool,
}

/// Keys that a query sees, as a function of batch, query and key.
type Sees<'a> = &'a dyn Fn(usize, usize, usize) -> bool;

impl Mask {
    /// Only where these zeros and ones are one.
    fn restrict(&mut self, c: &mut Context<'_>, seen: ValueId) -> Result<(), NodeProblem> {
        self.seen = Some(match self.seen {
            Some(before) => c.mul(before, seen)?,
            None => seen,
        });
        Ok(())
    }

    fn restrict_to(&mut self, c: &mut Context<'_>, sizes: Sizes, sees: Sees<'_>) -> Result<(), NodeProblem> {
        let mut data = Vec::with_capacity(sizes.batch * sizes.queries * sizes.keys);
        for b in 0..sizes.batch {
            for query in 0..sizes.queries {
                data.extend((0..sizes.keys).map(|key| f64::from(u8::from(sees(b, query, key)))));
            }
        }
        let seen = c.structure(Tensor::new(vec![sizes.batch, 1, sizes.queries, sizes.keys], data));
        self.restrict(c, seen)
    }

    fn add(&mut self, c: &mut Context<'_>, value: ValueId) -> Result<(), NodeProblem> {
        self.added = Some(match self.added {
            Some(before) => c.add(before, value)?,
            None => value,
        });
        Ok(())
    }
}

/// A number of heads from an attribute.
fn heads(c: &Context<'_>, name: &'static str) -> Result<Option<usize>, NodeProblem> {
    match c.attributes.int(name) {
        None | Some(0) => Ok(None),
        Some(n) => usize::try_from(n).map(Some).map_err(|_| NodeProblem::Attribute(name)),
    }
}

/// Input `i` as `[batch, heads, length, size]`.
fn with_heads(c: &mut Context<'_>, i: usize, name: &'static str) -> Result<ValueId, NodeProblem> {
    let (x, shape, count) = (c.input(i)?, c.shape(i)?, heads(c, name)?);
    match (shape.as_slice(), count) {
        ([_, own, _, _], count) if count.is_none_or(|n| n == *own) => Ok(x),
        ([batch, length, hidden], Some(count)) if hidden.is_multiple_of(count) => {
            let x = c.reshape(x, vec![*batch, *length, count, hidden / count])?;
            c.transpose(x, &[0, 2, 1, 3])
        }
        _ => Err(NodeProblem::Attribute(name)),
    }
}

fn attention(c: &mut Context<'_>) -> Outputs {
    let flat = c.shape(0)?.len() == 3;
    let q = with_heads(c, 0, "q_num_heads")?;
    let mut k = with_heads(c, 1, "kv_num_heads")?;
    let mut v = with_heads(c, 2, "kv_num_heads")?;
    match (c.optional(4), c.optional(5)) {
        (None, None) => {}
        (Some(past_k), Some(past_v)) if !c.has(6) => {
            (k, v) = (c.concat(&[past_k, k], 2)?, c.concat(&[past_v, v], 2)?);
        }
        _ => return Err(NodeProblem::Variant("a cache of keys without values, or with lengths")),
    }
    let present = (k, v);
    let (shape_q, shape_k, shape_v) = (c.shape_of(q), c.shape_of(k), c.shape_of(v));
    let ([batch, heads, queries, size], [kb, kv_heads, keys, ks]) = (shape_q.as_slice(), shape_k.as_slice()) else {
        return Err(NodeProblem::MissingInput(0));
    };
    if kb != batch || ks != size || shape_v.get(..3) != Some(&shape_k[..3]) || !heads.is_multiple_of(*kv_heads) {
        let shapes = vec![shape_q, shape_k, shape_v];
        return Err(NodeProblem::Shapes { shapes, why: "queries, keys and values do not belong together" });
    }
    let sizes = Sizes { batch: *batch, heads: *heads, queries: *queries, keys: *keys };
    if heads != kv_heads {
        // Neighbouring heads share keys and values.
        let indices: Vec<Option<usize>> = (0..*heads).map(|h| Some(h / (heads / kv_heads))).collect();
        let repeat = |indices: Vec<Option<usize>>| FloatOp::Gather { axis: 1, shape: vec![indices.len()], indices };
        (k, v) = (c.push(repeat(indices.clone()), &[k])?, c.push(repeat(indices), &[v])?);
    }
    #[allow(clippy::cast_precision_loss)] // a small size
    let scale = match c.attributes.get("scale") {
        Some(a) => f64::from(a.f),
        None => 1.0 / libm::sqrt(*size as f64),
    };
    let transposed = c.transpose(k, &[0, 1, 3, 2])?;
    let product = c.matmul(q, transposed)?;
    let scores = c.affine(product, scale, 0.0)?;
    let softcap = c.attributes.float("softcap", 0.0);
    let mut capped = scores;
    if softcap > 0.0 {
        capped = c.affine(scores, 1.0 / softcap, 0.0)?;
        capped = c.unary(Unary::Tanh, capped)?;
        capped = c.affine(capped, softcap, 0.0)?;
    }
    let mask = mask(c, sizes)?;
    let (masked, hidden_rows) = apply(c, capped, mask)?;
    let axis = 3;
    let mut weights = c.push(FloatOp::Softmax(axis), &[masked])?;
    if let Some(rows) = hidden_rows {
        // A query that sees no key has weights of zero.
        let zero = c.scalar(0.0);
        weights = c.push(FloatOp::Where, &[rows, weights, zero])?;
    }
    let shown = match c.attributes.int("qk_matmul_output_mode").unwrap_or(0) {
        0 => scores,
        1 => capped,
        2 if mask.seen.is_some() && c.wants(3) => {
            return Err(NodeProblem::Variant("scores of hidden keys, which are infinite, as an output"));
        }
        2 => masked,
        3 => weights,
        _ => return Err(NodeProblem::Attribute("qk_matmul_output_mode")),
    };
    let mut y = c.matmul(weights, v)?;
    if flat {
        let (queries, width) = (sizes.queries, sizes.heads * shape_v[3]);
        y = c.transpose(y, &[0, 2, 1, 3])?;
        y = c.reshape(y, vec![sizes.batch, queries, width])?;
    }
    Ok(vec![y, present.0, present.1, shown])
}

/// The masks of the node: its input, causality, windows, lengths.
fn mask(c: &mut Context<'_>, sizes: Sizes) -> Result<Mask, NodeProblem> {
    let mut mask = Mask::default();
    given_mask(c, &mut mask, sizes)?;
    let signed = |v: usize| i64::try_from(v).unwrap_or(i64::MAX);
    let lengths = c.constant_ints(6)?;
    if lengths.as_ref().is_some_and(|l| l.len() != sizes.batch) {
        return Err(NodeProblem::Attribute("nonpad_kv_seqlen"));
    }
    let past = match c.optional(4) {
        Some(past) => signed(c.shape_of(past)[2]),
        None => 0,
    };
    // The place of the first query among the keys.
    let offset = |b: usize| lengths.as_ref().map_or(past, |l| l[b].saturating_sub(signed(sizes.queries)));
    let window = |name: &'static str| match c.attributes.int(name) {
        None | Some(-1) => Ok(None),
        Some(size) if size >= 0 => Ok(Some(size)),
        Some(_) => Err(NodeProblem::Attribute(name)),
    };
    let (left, mut right) = (window("left_window_size")?, window("right_window_size")?);
    if c.attributes.flag("is_causal") {
        right = Some(0);
    }
    if left.is_some() || right.is_some() {
        let sees = |b: usize, query: usize, key: usize| {
            let ahead = signed(key).saturating_sub(offset(b).saturating_add(signed(query)));
            right.is_none_or(|r| ahead <= r) && left.is_none_or(|l| ahead >= -l)
        };
        mask.restrict_to(c, sizes, &sees)?;
    }
    if let Some(lengths) = &lengths {
        mask.restrict_to(c, sizes, &|b, _, key| signed(key) < lengths[b])?;
    }
    let sees_all = |id: &ValueId| c.importer.graph.constant(*id).is_some_and(|t| !t.data.contains(&0.0));
    mask.seen = mask.seen.filter(|id| !sees_all(id));
    Ok(mask)
}

/// The mask that is an input: truth values, or what is added; keys beyond its end are hidden.
fn given_mask(c: &mut Context<'_>, mask: &mut Mask, sizes: Sizes) -> Result<(), NodeProblem> {
    let Some(given) = c.optional(3) else { return Ok(()) };
    let shape = c.shape_of(given);
    let misfit = |shape: &[usize]| NodeProblem::Shapes { shapes: vec![shape.to_vec()], why: "the mask does not fit" };
    let width = *shape.last().ok_or_else(|| misfit(&shape))?;
    let missing = sizes.keys.checked_sub(width).ok_or_else(|| misfit(&shape))?;
    let all = [sizes.batch, sizes.heads, sizes.queries, sizes.keys];
    let mut padded = shape.clone();
    *padded.last_mut().ok_or_else(|| misfit(&shape))? += missing;
    if broadcast_shapes(&padded, &all).is_none_or(|s| s != all) {
        return Err(misfit(&shape));
    }
    let mut pads = vec![(0, 0); shape.len()];
    *pads.last_mut().ok_or_else(|| misfit(&shape))? = (0, missing);
    if c.element(3) == Element::BOOL {
        let seen = c.push(FloatOp::Pad(pads, 0.0), &[given])?;
        return mask.restrict(c, seen);
    }
    if missing > 0 {
        mask.restrict_to(c, sizes, &|_, _, key| key < width)?;
    }
    let Some(constant) = c.importer.graph.constant(given).cloned() else {
        let padded = c.push(FloatOp::Pad(pads, 0.0), &[given])?;
        return mask.add(c, padded);
    };
    // What is infinite hides.
    if constant.data.iter().any(|v| *v >= 1e30) {
        return Err(NodeProblem::Variant("a mask that adds an infinity"));
    }
    let hides = |v: &f64| is_infinite(*v);
    let seen = constant.data.iter().map(|v| f64::from(u8::from(!hides(v)))).collect();
    let finite = constant.data.iter().map(|v| if hides(v) { 0.0 } else { *v }).collect();
    let any_hidden = constant.data.iter().any(hides);
    mask.by_numbers = constant.data.iter().any(|v| hides(v) && v.is_finite());
    if any_hidden {
        let seen = c.tensor(Tensor::new(shape.clone(), seen));
        let seen = c.push(FloatOp::Pad(pads.clone(), 1.0), &[seen])?;
        mask.restrict(c, seen)?;
    }
    let finite = c.tensor(Tensor::new(shape, finite));
    let finite = c.push(FloatOp::Pad(pads, 0.0), &[finite])?;
    mask.add(c, finite)
}

/// The masked scores; and, where some query may see no key at all, which ones see one.
fn apply(c: &mut Context<'_>, scores: ValueId, mask: Mask) -> Result<(ValueId, Option<ValueId>), NodeProblem> {
    let infinity = c.scalar(f64::NEG_INFINITY);
    let Some(mut seen) = mask.seen else {
        return Ok((mask.added.map_or(Ok(scores), |added| c.add(scores, added))?, None));
    };
    let axis = c.shape_of(seen).len() - 1;
    let rows = c.reduce(seen, Reduction::Max, &[axis])?;
    let constant = c.importer.graph.constant(rows).cloned();
    if let Some(constant) = constant {
        let some_hidden = constant.data.contains(&0.0);
        if some_hidden && mask.by_numbers {
            return Err(NodeProblem::Variant("a query whose keys are all hidden by finite numbers"));
        }
        if some_hidden {
            // Such a query sees all, for now.
            let hidden = c.affine(rows, -1.0, 1.0)?;
            seen = c.binary(Binary::Max, seen, hidden)?;
        }
        // What is added, and minus infinity where a key is hidden: one constant, if the former is one.
        let zero = c.scalar(0.0);
        let (base, added) = match mask.added {
            Some(added) if c.is_constant(added) => (scores, added),
            Some(added) => (c.add(scores, added)?, zero),
            None => (scores, zero),
        };
        let bias = c.push(FloatOp::Where, &[seen, added, infinity])?;
        return Ok((c.add(base, bias)?, some_hidden.then_some(rows)));
    }
    let base = mask.added.map_or(Ok(scores), |added| c.add(scores, added))?;
    Ok((c.push(FloatOp::Where, &[seen, base, infinity])?, Some(rows)))
}

/// Pairs of elements turned by angles whose cosines and sines are given.
fn rotary(c: &mut Context<'_>) -> Outputs {
    let (input, shape) = (c.input(0)?, c.shape(0)?);
    let flat = shape.len() == 3;
    let x = with_heads(c, 0, "num_heads")?;
    // [batch, length, heads, size]
    let x = c.transpose(x, &[0, 2, 1, 3])?;
    let [batch, length, _, size] = c.shape_of(x)[..] else { return Err(NodeProblem::Attribute("num_heads")) };
    let turned = match c.attributes.int("rotary_embedding_dim") {
        None | Some(0) => size,
        Some(d) => {
            usize::try_from(d).ok().filter(|d| *d <= size).ok_or(NodeProblem::Attribute("rotary_embedding_dim"))?
        }
    };
    if !turned.is_multiple_of(2) {
        return Err(NodeProblem::Variant("a rotation of an odd number of elements"));
    }
    let half = turned / 2;
    let positions = c.constant_ints(3)?;
    let angles = |c: &mut Context<'_>, i: usize| {
        let (cache, shape) = (c.input(i)?, c.shape(i)?);
        let misfit =
            || NodeProblem::Shapes { shapes: vec![shape.clone()], why: "the cache of angles has another size" };
        let cache = match &positions {
            Some(positions) if shape.len() == 2 && positions.len() == batch * length => {
                let place = |p: &i64| super::gather::resolve(*p, shape[0]).map(Some);
                let indices = positions.iter().map(place).collect::<Result<Vec<_>, _>>()?;
                c.push(FloatOp::Gather { axis: 0, indices, shape: vec![batch, length] }, &[cache])?
            }
            None if shape.len() == 3 => cache,
            _ => return Err(misfit()),
        };
        if c.shape_of(cache) != [batch, length, half] {
            return Err(misfit());
        }
        c.reshape(cache, vec![batch, length, 1, half])
    };
    let (cosine, sine) = (angles(c, 1)?, angles(c, 2)?);
    let interleaved = c.attributes.flag("interleaved");
    let (step, second) = if interleaved { (2, 1) } else { (1, half) };
    let (a, b) = (c.slice(x, 3, (0, step, half))?, c.slice(x, 3, (second, step, half))?);
    let products = |c: &mut Context<'_>, x: ValueId, y: ValueId, sign: f64| {
        let (x, y) = (c.mul(cosine, x)?, c.mul(sine, y)?);
        if sign < 0.0 {
            c.sub(x, y)
        } else {
            c.add(x, y)
        }
    };
    let (real, imaginary) = (products(c, a, b, -1.0)?, products(c, b, a, 1.0)?);
    let mut parts = c.shape_of(real);
    let y = if interleaved {
        parts.push(1);
        let (real, imaginary) = (c.reshape(real, parts.clone())?, c.reshape(imaginary, parts.clone())?);
        let pairs = c.concat(&[real, imaginary], 4)?;
        parts.truncate(3);
        parts.push(turned);
        c.reshape(pairs, parts)?
    } else {
        c.concat(&[real, imaginary], 3)?
    };
    let y = if turned < size {
        let rest = c.slice(x, 3, (turned, 1, size - turned))?;
        c.concat(&[y, rest], 3)?
    } else {
        y
    };
    if flat {
        return Ok(vec![c.reshape(y, c.shape_of(input))?]);
    }
    Ok(vec![c.transpose(y, &[0, 2, 1, 3])?])
}

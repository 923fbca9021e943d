//! Sampling at constant coordinates, and the grids of affine maps.

use crate::onnx::{
    context::{sizes, Context, Outputs},
    error::NodeProblem,
    graph::{FloatOp, ValueId},
    proto::checked_volume,
    tensor::{volume, Tensor},
};

pub(crate) const OPS: &[&str] = &["AffineGrid", "GridSample"];

/// Matrices of interpolation weights have at most so many elements.
const MAX_MATRIX: usize = 1 << 22;

pub(crate) fn import(c: &mut Context<'_>) -> Outputs {
    if c.node.op_type == "AffineGrid" {
        return affine_grid(c);
    }
    let shape = c.shape(0)?;
    let grid = c.constant(1)?;
    let misfit =
        || NodeProblem::Shapes { shapes: vec![shape.clone(), grid.shape.clone()], why: "the grid does not fit" };
    let [n, channels, spatial @ ..] = shape.as_slice() else { return Err(misfit()) };
    let rank = spatial.len();
    let fits = grid.shape.len() == rank + 2 && grid.shape[0] == *n && grid.shape.last() == Some(&rank);
    if !fits || rank == 0 || rank > 3 || checked_volume(&grid.shape).is_none() {
        return Err(misfit());
    }
    let sampler = Sampler::read(c, rank)?;
    let (area, out) = (volume(spatial), &grid.shape[1..=rank]);
    let count = volume(out);
    let x = c.input(0)?;
    let x = c.reshape(x, vec![*n, *channels, area])?;
    let mut parts = Vec::with_capacity(*n);
    for batch in 0..*n {
        let points = grid.data[batch * count * rank..][..count * rank].chunks(rank);
        let rows: Vec<Vec<(usize, f64)>> = points.map(|p| sampler.weights(p, spatial)).collect::<Result<_, _>>()?;
        let plane = c.slice(x, 0, (batch, 1, 1))?;
        parts.push(combine(c, plane, area, &rows)?);
    }
    let y = c.concat(&parts, 0)?;
    Ok(vec![c.reshape(y, [&[*n, *channels], out].concat())?])
}

/// Combinations of elements of the last axis.
fn combine(c: &mut Context<'_>, x: ValueId, area: usize, rows: &[Vec<(usize, f64)>]) -> Result<ValueId, NodeProblem> {
    let count = rows.len();
    let picks = |row: &Vec<(usize, f64)>| matches!(row.as_slice(), [] | [(_, 1.0)]);
    if rows.iter().all(picks) {
        let indices = rows.iter().map(|row| row.first().map(|(i, _)| *i)).collect();
        return c.push(FloatOp::Gather { axis: 2, indices, shape: vec![count] }, &[x]);
    }
    let size = area.checked_mul(count).filter(|s| *s <= MAX_MATRIX);
    let size = size.ok_or(NodeProblem::Variant("an interpolation between so many elements"))?;
    let mut matrix = Tensor::new(vec![area, count], vec![0.0; size]);
    for (o, row) in rows.iter().enumerate() {
        for (i, weight) in row {
            matrix.data[i * count + o] += weight;
        }
    }
    let matrix = c.tensor(matrix);
    c.matmul(x, matrix)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Nearest,
    Linear,
    Cubic,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Padding {
    Zeros,
    Border,
    Reflection,
}

struct Sampler {
    mode: Mode,
    padding: Padding,
    align_corners: bool,
}

impl Sampler {
    fn read(c: &Context<'_>, rank: usize) -> Result<Self, NodeProblem> {
        let mode = match c.attributes.string("mode").unwrap_or("linear") {
            "nearest" => Mode::Nearest,
            "linear" | "bilinear" => Mode::Linear,
            "cubic" | "bicubic" if rank <= 2 => Mode::Cubic,
            _ => return Err(NodeProblem::Attribute("mode")),
        };
        let padding = match c.attributes.string("padding_mode").unwrap_or("zeros") {
            "zeros" => Padding::Zeros,
            "border" => Padding::Border,
            "reflection" => Padding::Reflection,
            _ => return Err(NodeProblem::Attribute("padding_mode")),
        };
        Ok(Self { mode, padding, align_corners: c.attributes.flag("align_corners") })
    }

    /// The elements that a point of the grid combines; its coordinates come in reverse order of the axes.
    fn weights(&self, point: &[f64], sizes: &[usize]) -> Result<Vec<(usize, f64)>, NodeProblem> {
        let mut combined = vec![(0, 1.0)];
        for (coordinate, size) in point.iter().rev().zip(sizes) {
            let own = self.along(*coordinate, *size)?;
            combined = combined
                .iter()
                .flat_map(|(at, weight)| own.iter().map(move |(i, w)| (at * size + i, weight * w)))
                .collect();
        }
        Ok(combined)
    }

    /// The elements of one axis, with their weights. Coordinates are computed as others do, in single precision.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // sizes; what all implementations do
    fn along(&self, coordinate: f64, size: usize) -> Result<Vec<(usize, f64)>, NodeProblem> {
        let (n, length) = (coordinate as f32, size as f32);
        let mut x =
            if self.align_corners { (n + 1.0) / 2.0 * (length - 1.0) } else { ((n + 1.0) * length - 1.0) / 2.0 };
        if self.mode == Mode::Nearest {
            x = libm::rintf(x);
        }
        let (lo, hi) = if self.align_corners { (0.0, length - 1.0) } else { (-0.5, length - 0.5) };
        if x < lo || x > hi {
            x = match self.padding {
                Padding::Zeros => x,
                Padding::Border if self.mode == Mode::Cubic => {
                    return Err(NodeProblem::Variant(
                        "a cubic interpolation beyond a border, which is not the same everywhere",
                    ))
                }
                Padding::Border => x.clamp(0.0, length - 1.0),
                Padding::Reflection => reflect(x, lo, hi),
            };
        }
        let left = libm::floorf(x);
        let t = f64::from(x - left);
        let (first, weights) = match self.mode {
            Mode::Nearest => (left, vec![1.0]),
            Mode::Linear => (left, vec![1.0 - t, t]),
            Mode::Cubic => (left - 1.0, [t + 1.0, t, 1.0 - t, 2.0 - t].into_iter().map(cubic).collect()),
        };
        let mut own: Vec<(usize, f64)> = Vec::new();
        for (i, weight) in weights.into_iter().enumerate().filter(|(_, w)| *w != 0.0) {
            let at = first + i as f32;
            let at = match self.padding {
                Padding::Zeros if !(0.0..length).contains(&at) => continue,
                Padding::Zeros => at,
                Padding::Border => at.clamp(0.0, length - 1.0),
                Padding::Reflection => libm::truncf(reflect(at, lo, hi)).clamp(0.0, length - 1.0),
            };
            #[allow(clippy::cast_sign_loss)] // inside
            let at = at as usize;
            match own.iter_mut().find(|o| o.0 == at) {
                Some(same) => same.1 += weight,
                None => own.push((at, weight)),
            }
        }
        Ok(own)
    }
}

/// Reflects a coordinate at both ends until it is between them.
fn reflect(x: f32, lo: f32, hi: f32) -> f32 {
    let range = hi - lo;
    let beyond = if x < lo { lo - x } else { x - hi };
    if beyond <= 0.0 || range <= 0.0 {
        return x.clamp(lo, hi);
    }
    let times = libm::truncf(beyond / range);
    let rest = beyond - times * range;
    if (x < lo) == (times % 2.0 == 0.0) {
        lo + rest
    } else {
        hi - rest
    }
}

/// The cubic kernel with the usual slope, −3/4.
fn cubic(x: f64) -> f64 {
    let a = -0.75;
    if x <= 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else {
        ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a
    }
}

/// The coordinates of a grid after affine maps: a product with the constant grid.
fn affine_grid(c: &mut Context<'_>) -> Outputs {
    let shape = c.shape(0)?;
    let size = sizes(&c.constant_ints(1)?.ok_or(NodeProblem::MissingInput(1))?, "size")?;
    let rank = size.len().saturating_sub(2);
    if !(2..=3).contains(&rank) || shape != [size[0], rank, rank + 1] || checked_volume(&size).is_none() {
        return Err(NodeProblem::Attribute("size"));
    }
    let spatial = &size[2..];
    let align_corners = c.attributes.flag("align_corners");
    if align_corners && spatial.contains(&1) {
        return Err(NodeProblem::Variant("the corners of a single element"));
    }
    let count = volume(spatial);
    let mut grid = Vec::with_capacity(count * (rank + 1));
    for point in 0..count {
        let mut rest = point;
        for length in spatial.iter().rev() {
            #[allow(clippy::cast_precision_loss)] // sizes
            let (at, length_f) = ((rest % length) as f64, *length as f64);
            rest /= length;
            grid.push(if align_corners {
                2.0 * at / (length_f - 1.0) - 1.0
            } else {
                (2.0 * at + 1.0) / length_f - 1.0
            });
        }
        grid.push(1.0);
    }
    let grid = c.tensor(Tensor::new(vec![count, rank + 1], grid));
    let theta = c.input(0)?;
    let theta = c.transpose(theta, &[0, 2, 1])?;
    let y = c.matmul(grid, theta)?;
    Ok(vec![c.reshape(y, [&[size[0]], spatial, &[rank]].concat())?])
}

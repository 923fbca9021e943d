//! Resizing: on every axis a pick of elements or a constant matrix.
//!
//! Output element `y` of an axis stands at the coordinate `x` of the input that the coordinate mode gives, and is a
//! combination of the elements around `x`, as ONNX's reference defines it.

use crate::onnx::{
    context::{axis, sizes, Context, Outputs},
    error::NodeProblem,
    graph::{FloatOp, ValueId},
    proto::MAX_ELEMENTS,
    tensor::{volume, Tensor},
};

pub(crate) const OPS: &[&str] = &["Resize", "Upsample"];

/// How elements around a coordinate are combined.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Nearest(Rounding),
    Linear,
    Cubic { a: f64 },
}

/// Which element is the nearest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rounding {
    PreferFloor,
    PreferCeil,
    Floor,
    Ceil,
    /// Of the first operator sets: the floor, of coordinates that are whole when the axis shrinks.
    Whole,
}

/// Where an output element stands in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coordinates {
    HalfPixel,
    HalfPixelSymmetric,
    PytorchHalfPixel,
    HalfPixelForNearest,
    AlignCorners,
    Asymmetric,
    Crop,
}

struct Resize {
    mode: Mode,
    coordinates: Coordinates,
    antialias: bool,
    exclude_outside: bool,
}

/// One axis: sizes, the scale between them, and the part of the input that is taken.
#[derive(Clone, Copy, Debug)]
struct Axis {
    input: usize,
    output: usize,
    scale: f64,
    roi: (f64, f64),
}

pub(crate) fn import(c: &mut Context<'_>) -> Outputs {
    let shape = c.shape(0)?;
    let resize = Resize::read(c)?;
    let axes = read_axes(c, &shape)?;
    let whole = c.element(0).is_integer();
    if whole && !matches!(resize.mode, Mode::Nearest(_)) {
        return Err(NodeProblem::Variant("an interpolation of integers"));
    }
    let mut y = c.input(0)?;
    // Where a crop reaches outside, on any axis.
    let mut outside = Tensor::new(vec![], vec![0.0]);
    for (d, axis) in axes {
        let unchanged = axis.output == axis.input && (axis.scale - 1.0).abs() < 1e-9 && axis.roi == (0.0, 1.0);
        if unchanged {
            continue;
        }
        if resize.coordinates == Coordinates::Crop && (axis.scale - 1.0).abs() < 1e-9 {
            return Err(NodeProblem::Variant("a crop that keeps a size, which is not the same everywhere"));
        }
        let rows: Vec<Vec<(usize, f64)>> =
            (0..axis.output).map(|o| resize.weights(axis, o)).collect::<Result<_, _>>()?;
        y = apply(c, y, d, axis.input, &rows)?;
        if rows.iter().any(Vec::is_empty) {
            let empty: Vec<f64> = rows.iter().map(|r| f64::from(u8::from(r.is_empty()))).collect();
            let mut own = vec![1; shape.len() - d];
            own[0] = empty.len();
            outside = union(&outside, &Tensor::new(own, empty))?;
        }
    }
    if outside.data.contains(&1.0) {
        // Nothing inside of a crop is outside on another axis.
        let value = c.attributes.float("extrapolation_value", 0.0);
        let inside = Tensor { data: outside.data.iter().map(|v| 1.0 - v).collect(), ..outside.clone() };
        let (outside, inside, value) = (c.tensor(outside), c.tensor(inside), c.scalar(value));
        let fill = c.mul(outside, value)?;
        let kept = c.mul(y, inside)?;
        y = c.add(kept, fill)?;
    }
    Ok(vec![y])
}

/// Ones where either has one.
fn union(a: &Tensor, b: &Tensor) -> Result<Tensor, NodeProblem> {
    let shape = crate::onnx::tensor::broadcast_shapes(&a.shape, &b.shape).ok_or(NodeProblem::Attribute("roi"))?;
    if volume(&shape) > MAX_ELEMENTS {
        return Err(NodeProblem::Size(shape));
    }
    let (a, b) = (a.broadcast_to(&shape), b.broadcast_to(&shape));
    let data = a.data.iter().zip(&b.data).map(|(a, b)| a.max(*b)).collect();
    Ok(Tensor::new(shape, data))
}

/// Combines elements along an axis: a gather where every element is one of the input's, else a product.
fn apply(
    c: &mut Context<'_>,
    x: ValueId,
    d: usize,
    input: usize,
    rows: &[Vec<(usize, f64)>],
) -> Result<ValueId, NodeProblem> {
    let count = rows.len();
    let picks = |row: &Vec<(usize, f64)>| matches!(row.as_slice(), [] | [(_, 1.0)]);
    if rows.iter().all(picks) {
        let indices = rows.iter().map(|row| row.first().map(|(i, _)| *i)).collect();
        return c.push(FloatOp::Gather { axis: d, indices, shape: vec![count] }, &[x]);
    }
    let size = input.checked_mul(count).filter(|s| *s <= MAX_ELEMENTS).ok_or(NodeProblem::Size(vec![input, count]))?;
    let mut matrix = Tensor::new(vec![input, count], vec![0.0; size]);
    for (o, row) in rows.iter().enumerate() {
        for (i, weight) in row {
            matrix.data[i * count + o] += weight;
        }
    }
    let rank = c.shape_of(x).len();
    let mut perm: Vec<usize> = (0..rank).collect();
    perm.swap(d, rank - 1);
    let x = c.transpose(x, &perm)?;
    let matrix = c.tensor(matrix);
    let y = c.matmul(x, matrix)?;
    c.transpose(y, &perm)
}

/// The axes that change, with their sizes.
fn read_axes(c: &Context<'_>, shape: &[usize]) -> Result<Vec<(usize, Axis)>, NodeProblem> {
    let old = c.node.op_type == "Upsample" || c.opset < 11;
    let on: Vec<usize> = match c.attributes.ints("axes") {
        Some(list) => list.iter().map(|a| axis(*a, shape.len(), "axes")).collect::<Result<_, _>>()?,
        None => (0..shape.len()).collect(),
    };
    let given = |i: usize| if c.has(i) { c.constant(i).map(Some) } else { Ok(None) };
    let filled = |t: Option<std::sync::Arc<Tensor>>| t.filter(|t| !t.data.is_empty());
    let scales = match c.attributes.get("scales") {
        Some(a) => Some(a.floats.iter().map(|v| f64::from(*v)).collect()),
        None => filled(given(if old { 1 } else { 2 })?).map(|t| t.data.clone()),
    };
    let targets = if old { None } else { filled(given(3)?) };
    let roi = match filled(given(1)?) {
        Some(roi) if !old && c.attributes.string("coordinate_transformation_mode") == Some("tf_crop_and_resize") => {
            roi.data.clone()
        }
        _ => [vec![0.0; on.len()], vec![1.0; on.len()]].concat(),
    };
    if roi.len() != 2 * on.len() {
        return Err(NodeProblem::Attribute("roi"));
    }
    let part = |i: usize| (roi[i], roi[on.len() + i]);
    let axis_of =
        |i: usize, output: usize, scale: f64| (on[i], Axis { input: shape[on[i]], output, scale, roi: part(i) });
    #[allow(clippy::cast_precision_loss)] // sizes
    let axes: Vec<(usize, Axis)> = match (scales, targets) {
        (Some(scales), None) if scales.len() == on.len() => {
            let sized =
                |(i, scale): (usize, &f64)| scaled_size(shape[on[i]], *scale).map(|output| axis_of(i, output, *scale));
            scales.iter().enumerate().map(sized).collect::<Result<_, _>>()?
        }
        (None, Some(targets)) if targets.data.len() == on.len() => {
            let targets = sizes(&targets.to_ints(), "sizes")?;
            let ratio = |(i, target): (usize, &usize)| *target as f64 / shape[on[i]] as f64;
            let ratios = targets.iter().enumerate().map(ratio);
            let common = match c.attributes.string("keep_aspect_ratio_policy").unwrap_or("stretch") {
                "stretch" => None,
                "not_larger" => Some(ratios.fold(f64::INFINITY, f64::min)),
                "not_smaller" => Some(ratios.fold(0.0, f64::max)),
                _ => return Err(NodeProblem::Attribute("keep_aspect_ratio_policy")),
            };
            let sized = |(i, target): (usize, &usize)| match common {
                None => axis_of(i, *target, *target as f64 / shape[on[i]] as f64),
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a size
                Some(scale) => axis_of(i, (scale * shape[on[i]] as f64 + 0.5) as usize, scale),
            };
            targets.iter().enumerate().map(sized).collect()
        }
        _ => return Err(NodeProblem::Attribute("scales")),
    };
    if axes.iter().any(|(_, a)| a.output == 0 || a.output > MAX_ELEMENTS || !(a.scale > 0.0 && a.scale.is_finite())) {
        return Err(NodeProblem::Attribute("sizes"));
    }
    Ok(axes)
}

/// `floor(size · scale)`, where that is the same in single and in double precision.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)] // checked
fn scaled_size(size: usize, scale: f64) -> Result<usize, NodeProblem> {
    let product = size as f64 * scale;
    if !(product >= 1.0 && product <= MAX_ELEMENTS as f64) {
        return Err(NodeProblem::Attribute("scales"));
    }
    let single = size as f32 * scale as f32;
    if libm::floor(product) != f64::from(libm::floorf(single)) {
        return Err(NodeProblem::Variant("a scale whose product with the size is rounded to either side"));
    }
    Ok(product as usize)
}

impl Resize {
    fn read(c: &Context<'_>) -> Result<Self, NodeProblem> {
        let attributes = c.attributes;
        let old = c.node.op_type == "Upsample" || c.opset < 11;
        let rounding = match attributes.string("nearest_mode").unwrap_or("round_prefer_floor") {
            _ if old => Rounding::Whole,
            "round_prefer_floor" => Rounding::PreferFloor,
            "round_prefer_ceil" => Rounding::PreferCeil,
            "floor" => Rounding::Floor,
            "ceil" => Rounding::Ceil,
            _ => return Err(NodeProblem::Attribute("nearest_mode")),
        };
        let mode = match attributes.string("mode").unwrap_or("nearest") {
            "nearest" => Mode::Nearest(rounding),
            "linear" | "bilinear" => Mode::Linear,
            "cubic" if !old => Mode::Cubic { a: attributes.float("cubic_coeff_a", -0.75) },
            _ => return Err(NodeProblem::Attribute("mode")),
        };
        let coordinates = match attributes.string("coordinate_transformation_mode").unwrap_or("half_pixel") {
            _ if old => Coordinates::Asymmetric,
            "half_pixel" => Coordinates::HalfPixel,
            "half_pixel_symmetric" => Coordinates::HalfPixelSymmetric,
            "pytorch_half_pixel" => Coordinates::PytorchHalfPixel,
            "tf_half_pixel_for_nn" => Coordinates::HalfPixelForNearest,
            "align_corners" => Coordinates::AlignCorners,
            "asymmetric" => Coordinates::Asymmetric,
            "tf_crop_and_resize" => Coordinates::Crop,
            _ => return Err(NodeProblem::Attribute("coordinate_transformation_mode")),
        };
        let (antialias, exclude_outside) = (attributes.flag("antialias"), attributes.flag("exclude_outside"));
        if antialias && matches!(mode, Mode::Nearest(_)) {
            return Err(NodeProblem::Attribute("antialias"));
        }
        if antialias && exclude_outside {
            return Err(NodeProblem::Variant("smoothing without what is outside"));
        }
        Ok(Self { mode, coordinates, antialias, exclude_outside })
    }

    /// Refuses what implementations understand differently.
    fn unambiguous(&self, axis: Axis) -> Result<(), NodeProblem> {
        #[allow(clippy::cast_precision_loss)] // sizes
        let exact = (axis.scale * axis.input as f64 - axis.output as f64).abs() < 1e-3;
        match self.coordinates {
            // The size in their formulas is that of the result, or the exact one.
            Coordinates::AlignCorners | Coordinates::Crop if !exact => {
                Err(NodeProblem::Variant("corners of a size that is rounded"))
            }
            // A single element stands at 0, at −1/2, or in the middle.
            Coordinates::PytorchHalfPixel if axis.output == 1 => {
                let nearest = |r| matches!(r, Rounding::PreferFloor | Rounding::Floor) || axis.input == 1;
                let same = match self.mode {
                    Mode::Nearest(rounding) => exact && nearest(rounding),
                    Mode::Linear => exact && !self.antialias,
                    Mode::Cubic { .. } => axis.input == 1,
                };
                if same {
                    Ok(())
                } else {
                    Err(NodeProblem::Variant("this interpolation to a single element"))
                }
            }
            _ => Ok(()),
        }
    }

    /// The coordinate of output element `y`; `None` outside of a crop.
    #[allow(clippy::cast_precision_loss)] // sizes
    fn coordinate(&self, axis: Axis, y: usize) -> Option<f64> {
        let (y, input, scale) = (y as f64, axis.input as f64, axis.scale);
        let output = scale * input;
        let last = input - 1.0;
        Some(match self.coordinates {
            Coordinates::HalfPixel => (y + 0.5) / scale - 0.5,
            Coordinates::PytorchHalfPixel if output == 1.0 => -0.5,
            Coordinates::PytorchHalfPixel => (y + 0.5) / scale - 0.5,
            Coordinates::HalfPixelSymmetric => {
                let offset = input / 2.0 * (1.0 - axis.output as f64 / output);
                offset + (y + 0.5) / scale - 0.5
            }
            Coordinates::HalfPixelForNearest => (y + 0.5) / scale,
            Coordinates::AlignCorners if output == 1.0 => 0.0,
            Coordinates::AlignCorners => y * last / (output - 1.0),
            Coordinates::Asymmetric => y / scale,
            Coordinates::Crop => {
                let (start, end) = axis.roi;
                let x =
                    if output == 1.0 { (end - start) * last / 2.0 } else { y * (end - start) * last / (output - 1.0) };
                return Some(x + start * last).filter(|x| (0.0..=last).contains(x));
            }
        })
    }

    /// The elements of the input that make output element `y`, with their weights; none outside of a crop.
    fn weights(&self, axis: Axis, y: usize) -> Result<Vec<(usize, f64)>, NodeProblem> {
        self.unambiguous(axis)?;
        let Some(x) = self.coordinate(axis, y) else { return Ok(vec![]) };
        let left = libm::floor(x);
        if let Mode::Nearest(rounding) = self.mode {
            return Ok(vec![(nearest(rounding, x, axis)?, 1.0)]);
        }
        // The window starts before its centre; a coordinate that is whole is its own right neighbour.
        let (base, ratio) = if left == x { (left - 1.0, 1.0) } else { (left, x - left) };
        let scale = if self.antialias { axis.scale.min(1.0) } else { 1.0 };
        let reach = if self.mode == Mode::Linear { 1.0 } else { 2.0 };
        let first = libm::floor(-reach / scale) + 1.0;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a small window
        let count = (2.0 - 2.0 * first).clamp(0.0, 1e6) as u32;
        let mut weights = Vec::with_capacity(count as usize);
        #[allow(clippy::cast_precision_loss)] // sizes
        let last = (axis.input - 1) as f64;
        for i in 0..count {
            let offset = first + f64::from(i);
            let distance = (scale * (offset - ratio)).abs();
            let weight = match self.mode {
                Mode::Cubic { a } => cubic(distance, a),
                _ => (1.0 - distance).max(0.0),
            };
            let at = base + offset;
            if self.exclude_outside && !(0.0..=last).contains(&at) {
                continue;
            }
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
            weights.push((at.clamp(0.0, last) as usize, weight));
        }
        if self.antialias || self.exclude_outside {
            let sum: f64 = weights.iter().map(|w| w.1).sum();
            if sum != 0.0 {
                weights.iter_mut().for_each(|w| w.1 /= sum);
            }
        }
        let mut merged: Vec<(usize, f64)> = Vec::new();
        for (i, weight) in weights {
            match merged.iter_mut().find(|m| m.0 == i) {
                Some(same) => same.1 += weight,
                None => merged.push((i, weight)),
            }
        }
        merged.retain(|w| w.1 != 0.0);
        Ok(if merged.is_empty() { vec![(0, 0.0)] } else { merged })
    }
}

/// The element nearest to a coordinate, where single and double precision agree on it.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)] // clamped
fn nearest(rounding: Rounding, x: f64, axis: Axis) -> Result<usize, NodeProblem> {
    let last = (axis.input - 1) as f64;
    let round = |x: f64| {
        let index = match rounding {
            Rounding::PreferFloor => libm::ceil(x - 0.5),
            Rounding::PreferCeil => libm::floor(x + 0.5),
            Rounding::Floor | Rounding::Whole => libm::floor(x),
            Rounding::Ceil => libm::ceil(x),
        };
        index.clamp(0.0, last)
    };
    let index = round(x);
    if rounding == Rounding::Whole && axis.scale < 1.0 && libm::ceil(x).clamp(0.0, last) != index {
        return Err(NodeProblem::Variant(
            "downsampling to the nearest element, of which old operator sets say nothing",
        ));
    }
    // A coordinate that is whole but for rounding errors.
    let snapped = libm::round(x * 2.0) / 2.0;
    if (snapped - x).abs() < 1e-6 * x.abs().max(1.0) && round(snapped) != index {
        return Err(NodeProblem::Variant("a nearest element that depends on rounding errors"));
    }
    Ok(index as usize)
}

/// The cubic kernel.
fn cubic(x: f64, a: f64) -> f64 {
    if x <= 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a
    } else {
        0.0
    }
}

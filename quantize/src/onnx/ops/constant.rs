//! Constants, shapes, and operators that do nothing.

use crate::onnx::{
    context::{Context, Outputs},
    element::Element,
    error::NodeProblem,
    proto::{self, MAX_ELEMENTS},
    tensor::{strides, volume, Tensor},
};

pub(crate) const OPS: &[&str] =
    &["Constant", "ConstantOfShape", "Dropout", "EyeLike", "Identity", "NonZero", "Range", "Shape", "Size"];

pub(crate) fn import(c: &mut Context<'_>) -> Outputs {
    let attributes = c.attributes;
    match c.node.op_type.as_str() {
        "Constant" => constant(c),
        "Identity" | "Dropout" => identity(c),
        "Shape" => {
            let shape = c.shape(0)?;
            let end = |name, default| {
                let rank = i64::try_from(shape.len()).unwrap_or(0);
                let v = attributes.int(name).unwrap_or(default);
                usize::try_from(if v < 0 { v.saturating_add(rank) } else { v }.clamp(0, rank)).unwrap_or(0)
            };
            let (start, end) = (end("start", 0), end("end", i64::MAX));
            Ok(vec![c.tensor(Tensor::from_dims(shape.get(start..end).unwrap_or(&[])))])
        }
        "Size" => {
            let count = volume(&c.shape(0)?);
            Ok(vec![c.tensor(Tensor { shape: vec![], ..Tensor::from_dims(&[count]) })])
        }
        "EyeLike" => eye(c),
        "Range" => range(c),
        "NonZero" => non_zero(c),
        _ => {
            let shape = c.constant(0)?.to_ints();
            let shape = shape.iter().map(|v| usize::try_from(*v)).collect::<Result<Vec<_>, _>>();
            let shape = shape.map_err(|_| NodeProblem::NotConstant(0))?;
            if shape.iter().fold(1_usize, |v, s| v.saturating_mul(*s)) > MAX_ELEMENTS {
                return Err(NodeProblem::Size(shape));
            }
            let value = match attributes.get("value").and_then(|a| a.t.as_ref()) {
                Some(t) => {
                    proto::tensor(t).map_err(|problem| NodeProblem::Constant { name: "value".into(), problem })?
                }
                None => Tensor::new(vec![1], vec![0.0]),
            };
            let fill = value.scalar().ok_or(NodeProblem::Attribute("value"))?;
            let data = vec![fill; shape.iter().product()];
            Ok(vec![c.tensor(Tensor { shape, data, integer: value.integer })])
        }
    }
}

fn identity(c: &mut Context<'_>) -> Outputs {
    let x = c.input(0)?;
    if c.node.op_type == "Identity" {
        return Ok(vec![x]);
    }
    let training = c.constant_scalar(2, "training_mode")?.is_some_and(|v| v != 0.0);
    if training && c.constant_scalar(1, "ratio")? != Some(0.0) {
        return Err(NodeProblem::Variant("dropout in training mode"));
    }
    let shape = c.shape_of(x);
    let mask = Tensor { data: vec![1.0; volume(&shape)], shape, integer: true };
    let mask = c.tensor(mask);
    Ok(vec![x, mask])
}

/// Ones on a diagonal.
fn eye(c: &mut Context<'_>) -> Outputs {
    let shape = c.shape(0)?;
    let (rows, columns) = match shape[..] {
        [n] => (n, n),
        [rows, columns] => (rows, columns),
        _ => return Err(NodeProblem::Shapes { shapes: vec![shape], why: "a matrix is needed" }),
    };
    let size =
        rows.checked_mul(columns).filter(|s| *s <= MAX_ELEMENTS).ok_or(NodeProblem::Size(vec![rows, columns]))?;
    let k = c.attributes.int("k").unwrap_or(0);
    let mut data = vec![0.0; size];
    for row in 0..rows {
        let column = i64::try_from(row).ok().and_then(|r| r.checked_add(k)).and_then(|c| usize::try_from(c).ok());
        if let Some(column) = column.filter(|column| *column < columns) {
            data[row * columns + column] = 1.0;
        }
    }
    let given = c.attributes.int("dtype").and_then(|v| i32::try_from(v).ok());
    let element = given.map_or(c.element(0), Element);
    Ok(vec![c.tensor(Tensor { shape: vec![rows, columns], data, integer: !element.is_float() })])
}

/// Numbers from a start up to a limit.
fn range(c: &mut Context<'_>) -> Outputs {
    let number = |i: usize| c.constant_scalar(i, "range")?.ok_or(NodeProblem::MissingInput(i));
    let (start, limit, step) = (number(0)?, number(1)?, number(2)?);
    let count = libm::ceil((limit - start) / step).max(0.0);
    #[allow(clippy::cast_precision_loss)] // a cap
    if count.is_nan() || count > MAX_ELEMENTS as f64 {
        return Err(NodeProblem::Attribute("delta"));
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // checked
    let count = count as u32;
    let data = (0..count).map(|i| start + f64::from(i) * step).collect();
    let integer = c.constant(0)?.integer;
    Ok(vec![c.tensor(Tensor { shape: vec![count as usize], data, integer })])
}

/// The indices of what is not zero, of a constant: otherwise their number depends on the inputs.
fn non_zero(c: &mut Context<'_>) -> Outputs {
    let Some(x) = c.importer.graph.constant(c.input(0)?).cloned() else {
        return Err(NodeProblem::Variant("a shape that depends on the values of the inputs"));
    };
    let found: Vec<usize> = (0..x.data.len()).filter(|i| x.data[*i] != 0.0).collect();
    let own = strides(&x.shape);
    #[allow(clippy::cast_precision_loss)] // indices
    let rows =
        x.shape.iter().zip(&own).flat_map(|(size, stride)| found.iter().map(move |i| (i / stride % size) as f64));
    let data: Vec<f64> = rows.collect();
    Ok(vec![c.tensor(Tensor { shape: vec![x.shape.len(), found.len()], data, integer: true })])
}

fn constant(c: &mut Context<'_>) -> Outputs {
    let read = |name: &str, t| proto::tensor(t).map_err(|problem| NodeProblem::Constant { name: name.into(), problem });
    #[allow(clippy::cast_precision_loss)] // shapes, axes and indices
    let ints =
        |shape: Vec<usize>, v: &[i64]| Tensor { shape, data: v.iter().map(|i| *i as f64).collect(), integer: true };
    for a in &c.node.attribute {
        let tensor = match a.name.as_str() {
            "value" => match &a.t {
                Some(t) => read("value", t)?,
                None => continue,
            },
            "value_float" => Tensor::new(vec![], vec![f64::from(a.f)]),
            "value_floats" => Tensor::new(vec![a.floats.len()], a.floats.iter().map(|v| f64::from(*v)).collect()),
            "value_int" => ints(vec![], &[a.i]),
            "value_ints" => ints(vec![a.ints.len()], &a.ints),
            _ => continue,
        };
        return Ok(vec![c.tensor(tensor)]);
    }
    Err(NodeProblem::Attribute("value"))
}

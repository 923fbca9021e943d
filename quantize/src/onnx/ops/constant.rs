//! Constants, shapes, and operators that do nothing.

use crate::onnx::{
    context::{Context, Outputs},
    error::NodeProblem,
    proto::{self, MAX_ELEMENTS},
    tensor::Tensor,
};

pub(crate) const OPS: &[&str] = &["Constant", "ConstantOfShape", "Dropout", "Identity", "Shape"];

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
    if c.node.op_type == "Dropout" && (c.wants(1) || c.constant_scalar(2, "training_mode")? == Some(1.0)) {
        return Err(NodeProblem::Variant("dropout in training mode or with its mask"));
    }
    Ok(vec![c.input(0)?])
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

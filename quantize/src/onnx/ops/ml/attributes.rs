//! Attributes that hold lists and tensors.

use crate::onnx::{
    context::Context,
    error::NodeProblem,
    proto::{self, MAX_ELEMENTS},
    tensor::Tensor,
};

/// A list of floats; empty when there is none.
pub(super) fn floats(c: &Context<'_>, name: &'static str) -> Result<Vec<f64>, NodeProblem> {
    let list: Vec<f64> = c.attributes.get(name).map_or(vec![], |a| a.floats.iter().map(|v| f64::from(*v)).collect());
    finite(list, name)
}

fn finite(list: Vec<f64>, name: &'static str) -> Result<Vec<f64>, NodeProblem> {
    if list.len() > MAX_ELEMENTS || list.iter().any(|v| v.is_nan()) {
        return Err(NodeProblem::Attribute(name));
    }
    Ok(list)
}

/// A tensor, if there is one.
pub(super) fn tensor(c: &Context<'_>, name: &'static str) -> Result<Option<Tensor>, NodeProblem> {
    let Some(proto) = c.attributes.get(name).and_then(|a| a.t.as_ref()) else { return Ok(None) };
    let tensor = proto::tensor(proto).map_err(|problem| NodeProblem::Constant { name: name.to_owned(), problem })?;
    if tensor.data.iter().any(|v| v.is_nan()) {
        return Err(NodeProblem::Attribute(name));
    }
    Ok(Some(tensor))
}

/// A list of floats that newer operator sets also keep in a tensor.
pub(super) fn floats_or_tensor(
    c: &Context<'_>,
    name: &'static str,
    as_tensor: &'static str,
) -> Result<Vec<f64>, NodeProblem> {
    Ok(match tensor(c, as_tensor)? {
        Some(tensor) => tensor.data,
        None => floats(c, name)?,
    })
}

/// A list of integers; empty when there is none.
pub(super) fn ints<'a>(c: &Context<'a>, name: &str) -> &'a [i64] {
    c.attributes.ints(name).unwrap_or_default()
}

/// A list of numbers counted from zero.
pub(super) fn indices(c: &Context<'_>, name: &'static str) -> Result<Vec<usize>, NodeProblem> {
    let index = |v: &i64| usize::try_from(*v).ok().filter(|v| *v < MAX_ELEMENTS);
    ints(c, name).iter().map(index).collect::<Option<_>>().ok_or(NodeProblem::Attribute(name))
}

/// A list of strings; empty when there is none.
pub(super) fn strings(c: &Context<'_>, name: &'static str) -> Result<Vec<String>, NodeProblem> {
    let Some(attribute) = c.attributes.get(name) else { return Ok(vec![]) };
    let text = |s: &Vec<u8>| String::from_utf8(s.clone()).map_err(|_| NodeProblem::Attribute(name));
    attribute.strings.iter().map(text).collect()
}

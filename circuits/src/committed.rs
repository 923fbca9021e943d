//! Committed tensors: inputs and outputs that stand in the statement as points.
//!
//! One point commits [`POINT_LEN`] elements `v_i` of a tensor, row-major, the last one what is left: `Σ v_i·G_i + r·W` over the
//! generators of the coefficient basis. These do not depend on `k`, so the same points serve models of any size: the
//! committed output of one proof can be the committed input of another.

use crate::lower::{LowerError, Mode, Modes};
use zkonnx_quantize::graph::Graph;

/// Elements that one point commits.
pub const POINT_LEN: usize = 256;

/// Which tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommittedRef {
    /// A declared input.
    Input(usize),
    /// A declared output.
    Output(usize),
}

/// A committed tensor of a statement. Inputs come first, then outputs, each in declared order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommittedTensor {
    /// Which.
    pub tensor: CommittedRef,
    /// Its number of elements.
    pub len: usize,
}

impl CommittedTensor {
    /// Its number of points.
    #[must_use]
    pub fn num_points(&self) -> usize {
        num_points(self.len)
    }
}

/// Points of a tensor of so many elements.
#[must_use]
pub fn num_points(len: usize) -> usize {
    len.div_ceil(POINT_LEN)
}

/// The committed tensors of a graph.
///
/// # Errors
/// [`LowerError::CommittedRows`] when a point needs more generators than there are rows.
pub fn committed_tensors(graph: &Graph, modes: &Modes, num_rows: usize) -> Result<Vec<CommittedTensor>, LowerError> {
    let inputs = graph.inputs.iter().map(|i| (&i.name, &i.shape));
    let outputs = graph.outputs.iter().map(|o| (&o.name, &o.shape));
    let references =
        (0..graph.inputs.len()).map(CommittedRef::Input).chain((0..graph.outputs.len()).map(CommittedRef::Output));
    let mut tensors = Vec::new();
    for ((mode, (name, shape)), tensor) in
        modes.inputs.iter().chain(&modes.outputs).zip(inputs.chain(outputs)).zip(references)
    {
        if *mode != Mode::Committed {
            continue;
        }
        let len: usize = shape.iter().map(|s| *s as usize).product();
        if len.min(POINT_LEN) > num_rows {
            return Err(LowerError::CommittedRows { name: name.clone(), needed: len.min(POINT_LEN), rows: num_rows });
        }
        tensors.push(CommittedTensor { tensor, len });
    }
    Ok(tensors)
}

//! Comparisons and choices.

use super::{Lazy, LowerError, Lowering};
use crate::onnx::{graph::FloatNode, ops::elementwise::Binary};

impl Lowering<'_> {
    pub(super) fn compare(&mut self, _node: &FloatNode, _binary: Binary) -> Result<Lazy, LowerError> {
        Err(LowerError::Internal("todo"))
    }
    pub(super) fn choose_where(&mut self, _node: &FloatNode) -> Result<Lazy, LowerError> {
        Err(LowerError::Internal("todo"))
    }
    pub(super) fn arg_max(&mut self, _node: &FloatNode, _axis: usize, _last: bool) -> Result<Lazy, LowerError> {
        Err(LowerError::Internal("todo"))
    }
    pub(super) fn top_k(&mut self, _: &FloatNode, _: usize, _: usize, _: bool) -> Result<Lazy, LowerError> {
        Err(LowerError::Internal("todo"))
    }
    pub(super) fn one_hot(&mut self, _node: &FloatNode, _depth: usize) -> Result<Lazy, LowerError> {
        Err(LowerError::Internal("todo"))
    }
}

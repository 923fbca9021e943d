//! The meaning of a model: ONNX graphs, quantised to an integer graph.
//!
//! Semantics, version 1, is described in `docs/semantics.md`; the graph in [`graph`], its evaluation
//! in [`eval`]. With the default feature `onnx` the crate also imports and calibrates ONNX models.

pub mod bounds;
pub mod contraction;
pub mod eval;
pub mod graph;
pub mod index;
pub mod model;
pub mod scale;
pub mod table;
pub mod validate;

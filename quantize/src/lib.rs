//! The meaning of a model: ONNX graphs, quantised to an integer graph.
//!
//! Semantics, version 1, is described in `docs/semantics.md`; the graph in [`graph`], its evaluation
//! in [`eval`]. With the default feature `onnx` the crate also imports and calibrates ONNX models.

pub mod bounds;
#[cfg(feature = "onnx")]
pub mod calibrate;
pub mod contraction;
pub mod curve;
#[cfg(feature = "onnx")]
pub mod data;
pub mod eval;
#[cfg(feature = "onnx")]
mod fineness;
#[cfg(feature = "onnx")]
mod fused;
pub mod graph;
#[cfg(feature = "onnx")]
mod grid;
mod group;
#[cfg(feature = "onnx")]
mod half;
pub mod index;
pub mod integers;
mod kernels;
#[cfg(feature = "onnx")]
mod lower;
#[cfg(feature = "onnx")]
mod masks;
pub mod model;
pub mod one_hot;
#[cfg(feature = "onnx")]
pub mod onnx;
#[cfg(feature = "onnx")]
pub mod progress;
#[cfg(feature = "onnx")]
pub mod quantize;
#[cfg(feature = "onnx")]
pub mod recipe;
#[cfg(feature = "onnx")]
pub mod report;
#[cfg(feature = "onnx")]
mod roles;
pub mod scale;
pub mod table;
pub mod validate;

#[cfg(feature = "onnx")]
pub use {
    data::Samples,
    lower::{curve::TableNote, LowerError},
    onnx::{ImportError, OnnxModel},
    quantize::{quantize, QuantizeError, QuantizeNotes},
    recipe::Recipe,
};

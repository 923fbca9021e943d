//! Matrix products and reads of tensors, blocked for caches and registers, on all cores.
//!
//! What an element is does not depend on blocks, nor on the number of threads: sums of floats are taken in the order that
//! is stated with each kernel, sums of integers are exact.

#[cfg(test)]
mod check;
#[cfg(feature = "onnx")]
pub(crate) mod dots;
pub(crate) mod float;
pub(crate) mod narrow;
pub(crate) mod parallel;
pub(crate) mod product;
pub(crate) mod read;
pub(crate) mod term;
pub(crate) mod wide;

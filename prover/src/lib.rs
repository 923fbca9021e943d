//! zkonnx-prover.

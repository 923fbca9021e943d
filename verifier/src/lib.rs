//! zkonnx-verifier.

//! zkonnx-circuits.

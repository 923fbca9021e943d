//! zkonnx-benches.

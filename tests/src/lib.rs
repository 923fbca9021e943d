//! zkonnx-tests.

//! The verifier behind a C interface: see `include/zkonnx.h`, which is generated from these sources and checked against
//! them by a test, and `README.md`.
//!
//! Every function returns a [`ZkonnxCode`], never unwinds, and checks every pointer for null before it does anything. What
//! cannot be checked (that a pointer points to as many bytes as its length says, that a handle is one that was given out and
//! is not freed) is the caller's part, and stands in each function's *Safety* section.

mod batch;
mod code;
mod expected;
mod guard;
mod message;
mod models;
mod pointers;
mod proofs;
mod tensors;
#[cfg(target_family = "wasm")]
mod wasm;

pub use batch::{zkonnx_verify_batch, ZkonnxBatchItem};
pub use code::{zkonnx_abi_version, zkonnx_code_name, ZkonnxCode, ZKONNX_ABI_VERSION};
pub use expected::{ZkonnxContext, ZkonnxExpected};
pub use message::zkonnx_last_error_message;
pub use models::{
    zkonnx_model_free, zkonnx_model_id, zkonnx_model_params, zkonnx_registry_find, zkonnx_registry_free,
    zkonnx_registry_insert_params, zkonnx_registry_new, zkonnx_registry_register, zkonnx_zkv_k, ZkonnxModel,
    ZkonnxRegistry,
};
pub use proofs::{
    zkonnx_verified_context, zkonnx_verified_free, zkonnx_verified_model_id, zkonnx_verified_statement_digest,
    zkonnx_verify, ZkonnxVerified, ZKONNX_NO_CLOCK,
};
pub use tensors::{zkonnx_verified_num_tensors, zkonnx_verified_tensor, ZkonnxMode, ZkonnxSide, ZkonnxTensor};
#[cfg(target_family = "wasm")]
pub use wasm::{zkonnx_alloc, zkonnx_dealloc};

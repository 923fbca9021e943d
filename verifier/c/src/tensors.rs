//! The inputs and outputs of a statement that is true.

use crate::{
    code::Failure,
    guard::guarded,
    pointers::{reference, write},
    proofs::ZkonnxVerified,
    ZkonnxCode,
};
use std::ffi::c_char;
use zkonnx_quantize::{graph::Graph, scale::Scale};
use zkonnx_verifier::statement::{Statement, TensorEntry, TensorValue};

/// Inputs or outputs.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZkonnxSide {
    /// Inputs.
    Inputs = 0,
    /// Outputs.
    Outputs = 1,
}

/// How a tensor stands in the statement.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZkonnxMode {
    /// Its integers are there.
    Public = 0,
    /// Nothing is said about it.
    Hidden = 1,
    /// Its integers are hidden behind points in the proof file.
    Committed = 2,
}

/// One input or output. All pointers belong to the result, and live as long as it does.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ZkonnxTensor {
    /// The ONNX name in UTF-8, without a zero byte at the end.
    pub name: *const c_char,
    /// Bytes of the name.
    pub name_length: usize,
    /// The shape.
    pub shape: *const u32,
    /// Axes.
    pub rank: usize,
    /// The integers, row-major; null unless they are public.
    pub values: *const i64,
    /// How many integers there are; 0 unless they are public.
    pub count: usize,
    /// An integer times this is the value in real units.
    pub scale: f64,
    /// A `zkonnx_mode`.
    pub mode: i32,
}

#[derive(Debug)]
struct Tensor {
    name: String,
    shape: Vec<u32>,
    values: Option<Vec<i64>>,
    scale: f64,
    mode: ZkonnxMode,
}

/// Inputs and outputs, with their integers unpacked.
#[derive(Debug)]
pub(crate) struct Tensors([Vec<Tensor>; 2]);

impl Tensors {
    /// The tensors of a statement about the model of this graph.
    pub(crate) fn new(graph: &Graph, statement: &Statement) -> Self {
        let tensor = |(entry, scale): (&TensorEntry, Scale)| Tensor {
            name: entry.name.clone(),
            shape: entry.shape.clone(),
            values: match &entry.value {
                TensorValue::Public(integers) => Some(integers.to_vec()),
                _ => None,
            },
            scale: scale.to_f64(),
            mode: match &entry.value {
                TensorValue::Public(_) => ZkonnxMode::Public,
                value if *value == TensorValue::Hidden => ZkonnxMode::Hidden,
                _ => ZkonnxMode::Committed,
            },
        };
        let inputs = statement.inputs.iter().zip(graph.inputs.iter().map(|i| i.scale));
        let outputs = statement.outputs.iter().zip(graph.outputs.iter().map(|o| o.scale));
        Self([inputs.map(tensor).collect(), outputs.map(tensor).collect()])
    }

    fn side(&self, side: i32) -> Result<&[Tensor], Failure> {
        let [inputs, outputs] = &self.0;
        match side {
            0 => Ok(inputs),
            1 => Ok(outputs),
            _ => Err(Failure::new(ZkonnxCode::BadIndex, format!("{side} is no side"))),
        }
    }
}

/// Writes the number of inputs or outputs (`side` is a `zkonnx_side`).
///
/// # Safety
/// `verified` is null or a handle of this library that is not freed; `count` is null or has room for a number.
#[no_mangle]
pub unsafe extern "C" fn zkonnx_verified_num_tensors(
    verified: *const ZkonnxVerified,
    side: i32,
    count: *mut usize,
) -> ZkonnxCode {
    guarded(|| {
        // SAFETY: as the caller promises.
        let verified = unsafe { reference("verified", verified) }?;
        let tensors = verified.tensors.side(side)?;
        // SAFETY: as the caller promises.
        unsafe { write("count", count, tensors.len()) }
    })
}

/// Writes an input or output (`side` is a `zkonnx_side`), in the model's order.
///
/// # Safety
/// `verified` is null or a handle of this library that is not freed; `tensor` is null or has room for one.
#[no_mangle]
pub unsafe extern "C" fn zkonnx_verified_tensor(
    verified: *const ZkonnxVerified,
    side: i32,
    index: usize,
    tensor: *mut ZkonnxTensor,
) -> ZkonnxCode {
    guarded(|| {
        // SAFETY: as the caller promises.
        let verified = unsafe { reference("verified", verified) }?;
        let tensors = verified.tensors.side(side)?;
        let none = || Failure::new(ZkonnxCode::BadIndex, format!("no tensor {index}, there are {}", tensors.len()));
        let found = tensors.get(index).ok_or_else(none)?;
        let values = found.values.as_deref();
        let result = ZkonnxTensor {
            name: found.name.as_ptr().cast(),
            name_length: found.name.len(),
            shape: found.shape.as_ptr(),
            rank: found.shape.len(),
            values: values.map_or(std::ptr::null(), <[i64]>::as_ptr),
            count: values.map_or(0, <[i64]>::len),
            scale: found.scale,
            mode: found.mode as i32,
        };
        // SAFETY: as the caller promises.
        unsafe { write("tensor", tensor, result) }
    })
}

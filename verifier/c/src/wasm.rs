//! Memory for hosts of WebAssembly, which have no allocator of their own inside the module.

use std::alloc::{alloc, dealloc, Layout};

/// The alignment of everything that a host writes: enough for every structure of the interface.
const ALIGNMENT: usize = 8;

/// Memory for `length` bytes, to be given back to `zkonnx_dealloc` with the same length; null when there is none, or the
/// length is zero.
#[no_mangle]
pub extern "C" fn zkonnx_alloc(length: usize) -> *mut u8 {
    match Layout::from_size_align(length, ALIGNMENT) {
        // SAFETY: the size is not zero.
        Ok(layout) if length > 0 => unsafe { alloc(layout) },
        _ => std::ptr::null_mut(),
    }
}

/// Gives memory back; null is left alone.
///
/// # Safety
/// `pointer` is null, or from `zkonnx_alloc` with the same length, and not yet given back.
#[no_mangle]
pub unsafe extern "C" fn zkonnx_dealloc(pointer: *mut u8, length: usize) {
    match Layout::from_size_align(length, ALIGNMENT) {
        // SAFETY: from `alloc` with this layout, as the caller promises.
        Ok(layout) if length > 0 && !pointer.is_null() => unsafe { dealloc(pointer, layout) },
        _ => {}
    }
}

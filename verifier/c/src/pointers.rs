//! Reading and writing through pointers that a caller gave.

use crate::{code::Failure, ZkonnxCode};

fn null(what: &str) -> Failure {
    Failure::new(ZkonnxCode::NullPointer, format!("{what} is null"))
}

/// Bytes of a caller.
///
/// # Safety
/// `bytes` is null, or points to `length` readable bytes that nobody changes during `'a`.
pub(crate) unsafe fn slice<'a, T>(what: &str, items: *const T, length: usize) -> Result<&'a [T], Failure> {
    if items.is_null() {
        return Err(null(what));
    }
    if length > isize::MAX as usize / size_of::<T>().max(1) {
        return Err(Failure::new(ZkonnxCode::BadLength, format!("{what} cannot have the length {length}")));
    }
    // SAFETY: not null, and the caller promises as many items; they are no larger than an allocation can be.
    Ok(unsafe { std::slice::from_raw_parts(items, length) })
}

/// What a handle or structure of a caller points to.
///
/// # Safety
/// `pointer` is null, or points to a valid `T` that nobody changes during `'a`.
pub(crate) unsafe fn reference<'a, T>(what: &str, pointer: *const T) -> Result<&'a T, Failure> {
    // SAFETY: as the caller promises.
    unsafe { pointer.as_ref() }.ok_or_else(|| null(what))
}

/// Writes to a place of a caller, which may be uninitialised.
///
/// # Safety
/// `place` is null, or has room for a `T`.
pub(crate) unsafe fn write<T>(what: &str, place: *mut T, value: T) -> Result<(), Failure> {
    if place.is_null() {
        return Err(null(what));
    }
    // SAFETY: not null, and the caller has room. Nothing is read or dropped.
    unsafe { place.write(value) };
    Ok(())
}

/// Writes one of several places of a caller.
///
/// # Safety
/// `places` is null, or has room for more than `index` values.
pub(crate) unsafe fn write_item<T>(what: &str, places: *mut T, index: usize, value: T) -> Result<(), Failure> {
    if places.is_null() {
        return Err(null(what));
    }
    // SAFETY: within what the caller has room for.
    let place = unsafe { places.add(index) };
    // SAFETY: the same.
    unsafe { write(what, place, value) }
}

/// Writes bytes.
///
/// # Safety
/// `place` is not null, and has room for them.
pub(crate) unsafe fn write_bytes(place: *mut u8, bytes: &[u8]) {
    // SAFETY: as the caller promises; memory of the caller and of this library does not overlap.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), place, bytes.len()) };
}

/// Gives a handle to the caller.
///
/// # Safety
/// `place` is null, or has room for a pointer.
pub(crate) unsafe fn give<T>(what: &str, place: *mut *mut T, value: T) -> Result<(), Failure> {
    let handle = Box::into_raw(Box::new(value));
    // SAFETY: as the caller promises.
    let written = unsafe { write(what, place, handle) };
    if written.is_err() {
        // SAFETY: made two lines above, and given to nobody.
        drop(unsafe { Box::from_raw(handle) });
    }
    written
}

/// Takes a handle back, and leaves null in its place; null is left alone.
///
/// # Safety
/// `place` is null, or points to null or to a handle that [`give`] gave out and nobody else uses or has freed.
pub(crate) unsafe fn take<T>(place: *mut *mut T) -> Option<Box<T>> {
    if place.is_null() {
        return None;
    }
    // SAFETY: not null, and it points to a pointer.
    let handle = unsafe { place.replace(std::ptr::null_mut()) };
    if handle.is_null() {
        return None;
    }
    // SAFETY: from `give`, so from a box, and freed only once: nobody has another copy in use.
    Some(unsafe { Box::from_raw(handle) })
}

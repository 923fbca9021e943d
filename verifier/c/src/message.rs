//! The message of the last error, per thread.

use crate::{code::Failure, pointers::write_bytes, ZkonnxCode};
use std::{cell::RefCell, ffi::c_char};

thread_local! {
    static LAST: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Remembers the message; a code of success forgets the one before.
pub(crate) fn remember(result: Result<(), Failure>) -> ZkonnxCode {
    let (code, message) = match result {
        Ok(()) => (ZkonnxCode::Ok, String::new()),
        Err(Failure { code, message }) => (code, message),
    };
    // A thread that is ending has no place for it.
    let _ = LAST.try_with(|last| *last.borrow_mut() = message);
    code
}

/// Writes the message of this thread's last call that returned a code, as one or more lines of UTF-8 that end with a zero byte, and
/// cut if need be; empty after a success. Gives the length of the whole message without the zero byte: call it with a null
/// buffer to ask for it. It may contain names out of files of strangers.
///
/// # Safety
/// `buffer` is null, or has room for `length` bytes.
#[no_mangle]
pub unsafe extern "C" fn zkonnx_last_error_message(buffer: *mut c_char, length: usize) -> usize {
    let message = LAST.try_with(|last| last.borrow().clone()).unwrap_or_default().replace('\0', "\u{fffd}");
    if length > 0 && !buffer.is_null() {
        let mut end = message.len().min(length - 1);
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        let mut text = message.as_bytes()[..end].to_vec();
        text.push(0);
        // SAFETY: at most `length` bytes, for which the caller has room; not null.
        unsafe { write_bytes(buffer.cast(), &text) };
    }
    message.len()
}

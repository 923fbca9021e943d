//! The context of a statement, as a JSON file.

use super::{files, Failure};
use serde::Deserialize;
use std::path::Path;
use zkonnx_verifier::statement::Context;

/// `{"domain": hex, "job_id": hex, "nonce": n, "requester": hex, "payee": hex, "not_after": seconds}`; what is
/// missing is zero.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ContextFile {
    domain: String,
    job_id: String,
    nonce: u64,
    requester: String,
    payee: String,
    not_after: u64,
}

/// Reads a context file; without one, everything is zero.
pub(super) fn read(path: Option<&Path>) -> Result<Context, Failure> {
    let Some(path) = path else { return Ok(Context::default()) };
    let bytes = files::read(path)?;
    let refuse = |message: String| {
        Failure::at(path, message).hint("fields: domain, job_id, requester, payee (64 hex digits), nonce, not_after")
    };
    // serde would take a list for the fields in their order.
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return Err(refuse("not a JSON object".into()));
    }
    let file: ContextFile = serde_json::from_slice(&bytes).map_err(|e| refuse(e.to_string()))?;
    let field = |name: &str, text: &str| {
        parse_hex(text).ok_or_else(|| refuse(format!("'{name}' is not 64 hexadecimal digits")))
    };
    Ok(Context {
        domain: field("domain", &file.domain)?,
        job_id: field("job_id", &file.job_id)?,
        nonce: file.nonce,
        requester: field("requester", &file.requester)?,
        payee: field("payee", &file.payee)?,
        not_after: file.not_after,
    })
}

/// 32 bytes from 64 hexadecimal digits; an empty text is zero.
fn parse_hex(text: &str) -> Option<[u8; 32]> {
    let text = text.strip_prefix("0x").unwrap_or(text).as_bytes();
    let mut bytes = [0; 32];
    if text.is_empty() {
        return Some(bytes);
    }
    if text.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let digit = |c: u8| char::from(c).to_digit(16);
        *byte = u8::try_from(16 * digit(pair[0])? + digit(pair[1])?).ok()?;
    }
    Some(bytes)
}

/// 64 hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_hexadecimal_digits_and_nothing_else() {
        let bytes: [u8; 32] = std::array::from_fn(|i| u8::try_from(i * 7).expect("below 256"));
        assert_eq!(parse_hex(&hex(&bytes)), Some(bytes));
        assert_eq!(parse_hex(&format!("0x{}", hex(&bytes).to_uppercase())), Some(bytes));
        assert_eq!(parse_hex(""), Some([0; 32]));
        for bad in ["12", "zz", &"g".repeat(64), &"1".repeat(63), &"+1".repeat(32)] {
            assert_eq!(parse_hex(bad), None);
        }
    }
}

//! JSON for people and services: byte strings are hexadecimal, integers are exact, unknown fields are refused.
//!
//! Integers are written in full, also those above 2⁵³: a reader whose numbers are floats must read them another way.

use crate::statement::Context;
use serde::{Deserialize, Serialize};

/// Lower-case hexadecimal digits.
#[must_use]
pub fn to_hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Bytes from hexadecimal digits of either case; `None` for anything else.
#[must_use]
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |c: &u8| char::from(*c).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    pairs.iter().map(|[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect()
}

/// 32 bytes.
pub(crate) mod hex32 {
    use serde::{Deserialize, Deserializer, Serializer};
    use std::borrow::Cow;

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::to_hex(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let bytes = super::from_hex(&text).and_then(|b| b.try_into().ok());
        bytes.ok_or_else(|| serde::de::Error::custom("not 64 hexadecimal digits"))
    }
}

/// Any number of 32 bytes.
pub(crate) mod hex32_list {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(list: &[[u8; 32]], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(list.iter().map(|bytes| super::to_hex(bytes)))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<[u8; 32]>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        let list: Option<Vec<[u8; 32]>> = texts.iter().map(|t| super::from_hex(t)?.try_into().ok()).collect();
        list.ok_or_else(|| serde::de::Error::custom("not 64 hexadecimal digits each"))
    }
}

/// Any number of bytes.
pub(crate) mod bytes {
    use serde::{Deserialize, Deserializer, Serializer};
    use std::borrow::Cow;

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::to_hex(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        super::from_hex(&text).ok_or_else(|| serde::de::Error::custom("not pairs of hexadecimal digits"))
    }
}

/// A context as JSON has it: `{"domain": hex, "job_id": hex, "nonce": n, "requester": hex, "payee": hex, "not_after":
/// seconds}`. What is missing or an empty text is zero; digits may follow `0x`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ContextText {
    domain: String,
    job_id: String,
    nonce: u64,
    requester: String,
    payee: String,
    not_after: u64,
}

/// A field of a context that is no hexadecimal text of 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not 64 hexadecimal digits")]
pub struct ContextError(&'static str);

impl TryFrom<ContextText> for Context {
    type Error = ContextError;

    fn try_from(text: ContextText) -> Result<Self, ContextError> {
        let field = |name: &'static str, text: &str| match text.strip_prefix("0x").unwrap_or(text) {
            "" => Ok([0; 32]),
            digits => from_hex(digits).and_then(|b| b.try_into().ok()).ok_or(ContextError(name)),
        };
        Ok(Self {
            domain: field("domain", &text.domain)?,
            job_id: field("job_id", &text.job_id)?,
            nonce: text.nonce,
            requester: field("requester", &text.requester)?,
            payee: field("payee", &text.payee)?,
            not_after: text.not_after,
        })
    }
}

impl From<Context> for ContextText {
    fn from(context: Context) -> Self {
        Self {
            domain: to_hex(&context.domain),
            job_id: to_hex(&context.job_id),
            nonce: context.nonce,
            requester: to_hex(&context.requester),
            payee: to_hex(&context.payee),
            not_after: context.not_after,
        }
    }
}

/// Why a text is not the JSON of what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// serde would take a list for the fields in their order.
    #[error("not a JSON object")]
    Object,
    /// Longer than anything that is accepted.
    #[error("{actual} bytes of JSON: the limit is {limit}")]
    TooLong {
        /// Bytes given.
        actual: usize,
        /// Most bytes.
        limit: usize,
    },
    /// Not JSON, or not with these fields.
    #[error("{0}")]
    Invalid(String),
}

/// Reads a JSON object of at most `limit` bytes.
///
/// # Errors
/// [`JsonError`].
#[cfg(feature = "json")]
pub fn from_json<T: serde::de::DeserializeOwned>(text: &[u8], limit: usize) -> Result<T, JsonError> {
    if text.len() > limit {
        return Err(JsonError::TooLong { actual: text.len(), limit });
    }
    if !text.trim_ascii_start().starts_with(b"{") {
        return Err(JsonError::Object);
    }
    serde_json::from_slice(text).map_err(|e| JsonError::Invalid(e.to_string()))
}

#[cfg(feature = "json")]
impl Context {
    /// Reads a context's JSON; see [`ContextText`].
    ///
    /// # Errors
    /// [`JsonError`].
    pub fn from_json(text: &[u8]) -> Result<Self, JsonError> {
        from_json(text, crate::limits::Limits::CONTEXT_JSON_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_hexadecimal_digits_and_nothing_else() {
        let bytes: [u8; 32] = std::array::from_fn(|i| u8::try_from(i * 7).expect("below 256"));
        assert_eq!(from_hex(&to_hex(&bytes)).as_deref(), Some(bytes.as_slice()));
        let context =
            |domain: &str| Context::try_from(ContextText { domain: domain.to_owned(), ..ContextText::default() });
        assert_eq!(context(&format!("0x{}", to_hex(&bytes).to_uppercase())).map(|c| c.domain), Ok(bytes));
        assert_eq!(context("").map(|c| c.domain), Ok([0; 32]));
        for bad in ["12", "zz", &"g".repeat(64), &"1".repeat(63), &"+1".repeat(32), "é"] {
            assert_eq!(context(bad), Err(ContextError("domain")));
        }
    }
}

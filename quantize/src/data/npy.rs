//! Arrays of numpy's format `.npy`, versions 1 to 3 (NEP 1), whatever they are made of.
//!
//! Read are booleans, integers of 8 to 64 bits, float16, float32, float64 and bfloat16 (which numpy does not know: the
//! package `ml_dtypes` writes it as `V2`), little- and big-endian, in C's and Fortran's order. Nothing is allocated for what a
//! header promises: only for bytes that are there.

use crate::half::{bfloat_to_f64, half_to_f64};
use std::io::Read;

/// A header is that long at most; numpy itself reads 10,000 bytes by default.
const MAX_HEADER: usize = 1 << 16;

/// An array as it stands in a file.
#[derive(Debug, PartialEq)]
pub(super) struct Array {
    pub(super) shape: Vec<usize>,
    /// Row-major.
    pub(super) data: Vec<f64>,
}

/// Why an array is not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum NpyError {
    /// The bytes cannot be read, or there are too few.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// No header of the format.
    #[error("not a .npy array: {0}")]
    Header(&'static str),
    /// Elements of another kind.
    #[error(
        "its elements are of numpy's type '{0}'; booleans, integers of 8 to 64 bits, float16, bfloat16, float32 and \
         float64 are read"
    )]
    Type(String),
    /// Too few bytes for the shape, or too many.
    #[error("the shape {shape:?} of type '{kind}' needs {expected} bytes, there are {actual}")]
    Length {
        /// The shape.
        shape: Vec<usize>,
        /// The type.
        kind: String,
        /// Its bytes.
        expected: usize,
        /// The bytes there, or one more than are needed.
        actual: usize,
    },
    /// A byte that is neither true nor false.
    #[error("element {element} is {value}, no boolean")]
    Boolean {
        /// Its number, row-major, from 0.
        element: usize,
        /// The byte.
        value: u8,
    },
    /// An integer that no float of 64 bits is.
    #[error("element {element} is {value}: integers beyond 2^53 are not exact")]
    Inexact {
        /// Its number, row-major, from 0.
        element: usize,
        /// The integer.
        value: i128,
    },
}

/// Whether a float of 64 bits holds an integer exactly.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // this is the question
pub(super) fn is_exact(value: i128) -> bool {
    (value as f64) as i128 == value
}

/// What an array is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Bool,
    Signed,
    Unsigned,
    Float,
    Bfloat,
}

#[derive(Debug, PartialEq, Eq)]
struct Header {
    descr: String,
    kind: Kind,
    /// Bytes of an element.
    size: usize,
    big_endian: bool,
    fortran: bool,
    shape: Vec<usize>,
}

/// Reads an array; the reader must hold nothing more.
pub(super) fn read(mut reader: impl Read) -> Result<Array, NpyError> {
    let header = read_header(&mut reader)?;
    let count = header.shape.iter().try_fold(1_usize, |v, s| v.checked_mul(*s));
    let length = count.and_then(|c| c.checked_mul(header.size)).filter(|l| *l < usize::MAX);
    let (Some(count), Some(expected)) = (count, length) else {
        return Err(NpyError::Header("its shape has too many elements"));
    };
    let mut bytes = Vec::new();
    reader.take(expected as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() != expected {
        let Header { shape, descr: kind, .. } = header;
        return Err(NpyError::Length { shape, kind, expected, actual: bytes.len() });
    }
    if header.big_endian {
        bytes.chunks_exact_mut(header.size).for_each(<[u8]>::reverse);
    }
    let mut data = Vec::with_capacity(count);
    let numbers = bytes.chunks_exact(header.size).map(|part| {
        let mut word = [0; 8];
        for (to, from) in word.iter_mut().zip(part) {
            *to = *from;
        }
        u64::from_le_bytes(word)
    });
    for (at, word) in numbers.enumerate() {
        let element = || if header.fortran { row_major(&header.shape, at) } else { at };
        data.push(number(word, &header).map_err(|wrong| match wrong {
            Wrong::Boolean(value) => NpyError::Boolean { element: element(), value },
            Wrong::Inexact(value) => NpyError::Inexact { element: element(), value },
        })?);
    }
    if header.fortran && header.shape.len() > 1 {
        let mut sorted = vec![0.0; data.len()];
        for (at, value) in data.iter().enumerate() {
            if let Some(to) = sorted.get_mut(row_major(&header.shape, at)) {
                *to = *value;
            }
        }
        data = sorted;
    }
    Ok(Array { shape: header.shape, data })
}

/// The place in C's order of an element by its place in Fortran's.
fn row_major(shape: &[usize], mut at: usize) -> usize {
    let (mut place, mut stride) = (0, shape.iter().product::<usize>());
    for size in shape {
        stride /= size;
        place += at % size * stride;
        at /= size;
    }
    place
}

enum Wrong {
    Boolean(u8),
    Inexact(i128),
}

/// One element from its bytes, the lowest first.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)] // by the element's size; checked to be exact
fn number(word: u64, header: &Header) -> Result<f64, Wrong> {
    let unused = 64 - 8 * header.size as u32;
    let exact = |value: i128| if is_exact(value) { Ok(value as f64) } else { Err(Wrong::Inexact(value)) };
    match header.kind {
        Kind::Bool => match word {
            0 | 1 => Ok(word as f64),
            _ => Err(Wrong::Boolean(word as u8)),
        },
        Kind::Unsigned => exact(word.into()),
        Kind::Signed => exact((((word << unused).cast_signed()) >> unused).into()),
        Kind::Bfloat => Ok(bfloat_to_f64(word as u16)),
        Kind::Float => Ok(match header.size {
            2 => half_to_f64(word as u16),
            4 => f64::from(f32::from_bits(word as u32)),
            _ => f64::from_bits(word),
        }),
    }
}

fn read_header(reader: &mut impl Read) -> Result<Header, NpyError> {
    let mut start = [0; 8];
    reader.read_exact(&mut start).map_err(|_| NpyError::Header("the file ends in its header"))?;
    let [.., major, _] = start;
    if !start.starts_with(b"\x93NUMPY") {
        return Err(NpyError::Header("the first bytes are others"));
    }
    let length_bytes = match major {
        1 => 2,
        2 | 3 => 4,
        _ => return Err(NpyError::Header("its version is none of 1, 2 and 3")),
    };
    let mut length = [0; 4];
    let short = |_| NpyError::Header("the file ends in its header");
    reader.read_exact(length.get_mut(..length_bytes).unwrap_or_default()).map_err(short)?;
    let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    if length > MAX_HEADER {
        return Err(NpyError::Header("its header is too long"));
    }
    let mut text = vec![0; length];
    reader.read_exact(&mut text).map_err(short)?;
    Dictionary { rest: &text }.header()
}

/// The header's text: a Python dictionary with the keys `descr`, `fortran_order` and `shape`.
struct Dictionary<'a> {
    rest: &'a [u8],
}

impl<'a> Dictionary<'a> {
    fn header(mut self) -> Result<Header, NpyError> {
        const KEYS: NpyError = NpyError::Header("its header is no dictionary of 'descr', 'fortran_order' and 'shape'");
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        if !self.eat(b"{") {
            return Err(KEYS);
        }
        while !self.eat(b"}") {
            let key = self.string().ok_or(KEYS)?;
            if !self.eat(b":") {
                return Err(KEYS);
            }
            match key {
                b"descr" => {
                    // A list, of fields of a structure, or a string.
                    let text = self.string().ok_or_else(|| NpyError::Type("a structure".into()))?;
                    descr = Some(String::from_utf8_lossy(text).into_owned());
                }
                b"fortran_order" => fortran = Some(self.boolean().ok_or(KEYS)?),
                b"shape" => shape = Some(self.tuple().ok_or(NpyError::Header("its shape is no tuple of sizes"))?),
                _ => return Err(KEYS),
            }
            self.eat(b",");
        }
        let (Some(descr), Some(fortran), Some(shape)) = (descr, fortran, shape) else { return Err(KEYS) };
        let (kind, size, big_endian) = kind(&descr).ok_or_else(|| NpyError::Type(descr.clone()))?;
        Ok(Header { descr, kind, size, big_endian, fortran, shape })
    }

    /// Skips white space, and then these characters if they are next.
    fn eat(&mut self, text: &[u8]) -> bool {
        self.rest = self.rest.trim_ascii_start();
        let after = self.rest.strip_prefix(text);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let quote = [b"'", b"\""].into_iter().find(|quote| self.eat(*quote))?;
        let end = self.rest.iter().position(|c| [*c] == *quote)?;
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest.get(1..)?;
        Some(text)
    }

    fn boolean(&mut self) -> Option<bool> {
        match self.eat(b"True") {
            true => Some(true),
            false => self.eat(b"False").then_some(false),
        }
    }

    /// `(3, 4)`; numpy of Python 2 wrote `3L`.
    fn tuple(&mut self) -> Option<Vec<usize>> {
        let mut sizes = Vec::new();
        if !self.eat(b"(") {
            return None;
        }
        while !self.eat(b")") {
            self.rest = self.rest.trim_ascii_start();
            let digits = self.rest.iter().take_while(|c| c.is_ascii_digit()).count();
            let (digits, rest) = self.rest.split_at(digits);
            self.rest = rest;
            sizes.push(std::str::from_utf8(digits).ok()?.parse().ok()?);
            self.eat(b"L");
            if !self.eat(b",") && !self.rest.starts_with(b")") {
                return None;
            }
        }
        Some(sizes)
    }
}

/// What numpy's name of a type says: the kind, bytes of an element, whether the highest byte is first.
fn kind(descr: &str) -> Option<(Kind, usize, bool)> {
    let mut characters = descr.chars();
    let order = characters.next()?;
    let (kind, size) = match characters.as_str() {
        "b1" => (Kind::Bool, 1),
        "i1" => (Kind::Signed, 1),
        "i2" => (Kind::Signed, 2),
        "i4" => (Kind::Signed, 4),
        "i8" => (Kind::Signed, 8),
        "u1" => (Kind::Unsigned, 1),
        "u2" => (Kind::Unsigned, 2),
        "u4" => (Kind::Unsigned, 4),
        "u8" => (Kind::Unsigned, 8),
        "f2" => (Kind::Float, 2),
        "f4" => (Kind::Float, 4),
        "f8" => (Kind::Float, 8),
        "V2" => (Kind::Bfloat, 2),
        _ => return None,
    };
    match order {
        '<' => Some((kind, size, false)),
        '>' => Some((kind, size, true)),
        // No order, where there is one byte; some versions of ml_dtypes give bfloat16 none either.
        '|' if size == 1 || kind == Kind::Bfloat => Some((kind, size, false)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let length = u16::try_from(header.len()).expect("short").to_le_bytes();
        [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), data].concat()
    }

    fn array(descr: &str, shape: &str, data: &[u8]) -> Result<Array, NpyError> {
        read(&file(&format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}   \n"), data)[..])
    }

    #[test]
    fn every_type_has_its_values() {
        for (descr, bytes, value) in [
            ("|b1", &[1][..], 1.0),
            ("|i1", &[0xfe], -2.0),
            ("|u1", &[0xfe], 254.0),
            ("<i2", &[0xfe, 0xff], -2.0),
            (">i2", &[0xff, 0xfe], -2.0),
            ("<u2", &[0xfe, 0xff], 65534.0),
            ("<i4", &[0, 0, 0, 0x80], -2_147_483_648.0),
            ("<u4", &[0, 0, 0, 0x80], 2_147_483_648.0),
            ("<i8", &[0x39, 0x30, 0, 0, 0, 0, 0, 0], 12_345.0),
            (">i8", &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], -1.0),
            ("<u8", &[0, 0, 0, 0, 0, 0, 0, 0x80], 9_223_372_036_854_775_808.0),
            ("<f2", &[0x00, 0xc1], -2.5),
            (">f2", &[0xc1, 0x00], -2.5),
            ("<V2", &[0x20, 0xc0], -2.5),
            ("|V2", &[0x20, 0xc0], -2.5),
            ("<f4", &[0, 0, 0x20, 0xc0], -2.5),
            ("<f8", &[0, 0, 0, 0, 0, 0, 0x04, 0xc0], -2.5),
        ] {
            let array = array(descr, "()", bytes).expect(descr);
            assert_eq!(array, Array { shape: vec![], data: vec![value] }, "{descr}");
        }
    }

    #[test]
    fn integers_that_no_float_is_are_refused_with_their_place() {
        let beyond: Vec<u8> = [1_i64, 2, -(1 << 53) - 1].iter().flat_map(|v| v.to_le_bytes()).collect();
        let error = array("<i8", "(3,)", &beyond).expect_err("not exact");
        assert!(matches!(error, NpyError::Inexact { element: 2, value: -9_007_199_254_740_993 }), "{error}");
        let error = array("<u8", "(1,)", &u64::MAX.to_le_bytes()).expect_err("not exact");
        assert!(matches!(error, NpyError::Inexact { element: 0, value: 18_446_744_073_709_551_615 }), "{error}");
        assert!(matches!(array("|b1", "(2,)", &[1, 2]), Err(NpyError::Boolean { element: 1, value: 2 })));
    }

    #[test]
    fn the_order_of_fortran_is_turned() {
        let header = "{'descr': '|u1', 'fortran_order': True, 'shape': (2L, 3L)}";
        let array = read(&file(header, &[0, 3, 1, 4, 2, 5])[..]).expect("an array");
        assert_eq!(array, Array { shape: vec![2, 3], data: vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0] });
    }

    #[test]
    fn hostile_headers_are_refused() {
        assert!(matches!(array("<f4", "(2,)", &[0; 4]), Err(NpyError::Length { expected: 8, actual: 4, .. })));
        assert!(matches!(array("<f4", "(2,)", &[0; 9]), Err(NpyError::Length { expected: 8, actual: 9, .. })));
        // More than any machine has, and more than a number of bytes can say.
        assert!(matches!(array("<f4", "(1000000000000000000,)", &[]), Err(NpyError::Length { .. })));
        for shape in ["(9223372036854775807, 9)", "(99999999999999999999,)", "(-1,)", "(1.0,)", "(1 2)", "3", "(((("] {
            assert!(matches!(array("<f4", shape, &[]), Err(NpyError::Header(_))), "{shape}");
        }
        assert_eq!(array("<f4", "(0, 3)", &[]).expect("empty"), Array { shape: vec![0, 3], data: vec![] });
        for descr in ["<c8", "<f16", "<V1", "|O", "<M8[ns]", "<U4", "f4", ""] {
            assert!(matches!(array(descr, "()", &[0; 8]), Err(NpyError::Type(_))), "{descr}");
        }
        let structure = "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}";
        assert!(matches!(read(&file(structure, &[0; 4])[..]), Err(NpyError::Type(_))));
        let whole = file("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", &[0; 4]);
        for length in 0..whole.len() {
            assert!(read(&whole[..length]).is_err(), "{length} bytes");
        }
    }
}

//! An ONNX file: parsed while it is read, so that its bytes stand in memory once.

use super::{error::ImportError, external};
use bytes::Buf;
use prost::Message;
use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};
use tract_onnx::pb::ModelProto;

/// Bytes that are read at once.
const CHUNK: usize = 1 << 20;

/// Parses the bytes of a model.
pub(crate) fn parse(bytes: &[u8]) -> Result<ModelProto, ImportError> {
    if bytes.is_empty() {
        return Err(ImportError::Malformed("the file is empty".into()));
    }
    ModelProto::decode(bytes).map_err(|e| ImportError::Malformed(e.to_string()))
}

/// Reads a model, with its weights from the files beside it.
pub(crate) fn read(path: &Path) -> Result<ModelProto, ImportError> {
    let fail = |source| ImportError::Io { path: path.into(), source };
    let mut file = File::open(path).map_err(fail)?;
    let metadata = file.metadata().map_err(fail)?;
    let mut model = if metadata.is_file() && metadata.len() > 0 {
        let length = usize::try_from(metadata.len()).map_err(|_| fail(io::ErrorKind::FileTooLarge.into()))?;
        let mut stream = Stream::new(file, length);
        let model = ModelProto::decode(&mut stream);
        // What cannot be read looks truncated to the parser.
        if let Some(source) = stream.error {
            return Err(fail(source));
        }
        model.map_err(|e| ImportError::Malformed(e.to_string()))?
    } else {
        // A pipe has no length.
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(fail)?;
        parse(&bytes)?
    };
    external::read(&mut model, path)?;
    Ok(model)
}

/// A file as the parser's buffer. After an error of the operating system it is empty.
struct Stream<R> {
    reader: R,
    chunk: Vec<u8>,
    /// How much of the chunk has been taken.
    taken: usize,
    /// Bytes from there to the end of the file.
    remaining: usize,
    error: Option<io::Error>,
}

impl<R: Read> Stream<R> {
    fn new(reader: R, length: usize) -> Self {
        let mut stream = Self { reader, chunk: Vec::new(), taken: 0, remaining: length, error: None };
        stream.fill();
        stream
    }

    /// Reads the next chunk, when the last one has been taken.
    fn fill(&mut self) {
        self.chunk.resize(self.remaining.min(CHUNK), 0);
        self.taken = 0;
        if let Err(error) = self.reader.read_exact(&mut self.chunk) {
            self.error = Some(error);
            self.chunk.clear();
            self.remaining = 0;
        }
    }
}

impl<R: Read> Buf for Stream<R> {
    fn remaining(&self) -> usize {
        self.remaining
    }

    fn chunk(&self) -> &[u8] {
        self.chunk.get(self.taken..).unwrap_or_default()
    }

    fn advance(&mut self, mut count: usize) {
        while count > 0 && self.remaining > 0 {
            let step = count.min(self.chunk.len() - self.taken);
            self.taken += step;
            self.remaining -= step;
            count -= step;
            if self.taken == self.chunk.len() && self.remaining > 0 {
                self.fill();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_gives_the_bytes_in_order() {
        let bytes: Vec<u8> = (0..3 * CHUNK + 5).map(|i| u8::try_from(i % 251).expect("a byte")).collect();
        let mut stream = Stream::new(&bytes[..], bytes.len());
        let mut seen = Vec::new();
        for step in [1, CHUNK - 1, CHUNK + 7, 100].into_iter().cycle() {
            let step = step.min(stream.remaining());
            seen.extend_from_slice(&stream.copy_to_bytes(step));
            if stream.remaining() == 0 {
                break;
            }
        }
        assert!(seen == bytes && stream.error.is_none());
    }

    #[test]
    fn a_file_that_is_cut_while_it_is_read_is_an_error_of_reading() {
        let mut stream = Stream::new(&[8_u8, 1][..], 3);
        assert!(ModelProto::decode(&mut stream).is_ok(), "an empty message");
        assert_eq!(stream.error.expect("an error").kind(), io::ErrorKind::UnexpectedEof);
    }
}

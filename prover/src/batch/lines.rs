//! Inputs as lines of JSON.
//!
//! A line is an object with what a `.json` file of inputs has (arrays by input name, or `input_data`), or `file`, the path of a data file beside the lines;
//! `name` and `context` may stand beside it. Where the model has an input of one of these names, the input is meant.

use super::{
    error::{ItemError, ListError},
    source::{one, read_one, Loaded},
};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};
use zkonnx_quantize::data::{json_arrays, InputSpec, Samples};

/// Where a line stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    /// From 1.
    pub(super) number: usize,
    offset: u64,
    length: usize,
}

/// A file of lines, which are read when they are needed.
#[derive(Debug)]
pub(super) struct Lines {
    path: PathBuf,
    file: Mutex<File>,
}

/// A line, and the name that it gives itself, if any.
pub(super) type NamedLine = (Line, Result<Option<String>, ListError>);

/// What is read of all lines before any is proven.
#[derive(Deserialize)]
struct Head {
    name: Option<Value>,
}

impl Lines {
    /// All lines that are not empty, with the names that they give.
    pub(super) fn open(path: &Path, specs: &[InputSpec]) -> io::Result<(Self, Vec<NamedLine>)> {
        let has_name = !is_input(specs, "name");
        let mut reader = BufReader::new(File::open(path)?);
        let mut lines = Vec::new();
        let (mut number, mut offset) = (0, 0);
        let mut text = Vec::new();
        loop {
            text.clear();
            let length = reader.read_until(b'\n', &mut text)?;
            if length == 0 {
                break;
            }
            number += 1;
            let line = Line { number, offset, length };
            offset += u64::try_from(length).map_err(io::Error::other)?;
            if !text.trim_ascii().is_empty() {
                lines.push((line, name_in(line, &text, has_name)));
            }
        }
        Ok((Self { path: path.to_owned(), file: Mutex::new(File::open(path)?) }, lines))
    }

    /// One line.
    pub(super) fn load(&self, line: Line, specs: &[InputSpec]) -> Result<Loaded, ItemError> {
        let text = self.text(line).map_err(|source| ItemError::Read { number: line.number, source })?;
        let mut map: Map<String, Value> = serde_json::from_slice(&text).map_err(|e| wrong(line, json_message(&e)))?;
        let mut take = |key: &str| if is_input(specs, key) { None } else { map.remove(key) };
        take("name");
        let context = match take("context") {
            None => None,
            Some(Value::Object(context)) => Some(context),
            Some(_) => return Err(wrong(line, "\"context\" is no object").into()),
        };
        let file = take("file");
        let values = match file {
            None => one(&Samples::new(specs, json_arrays(&self.path, &map, specs)?)?)?,
            Some(Value::String(file)) if map.is_empty() => read_one(&self.path.with_file_name(file), specs)?,
            Some(Value::String(_)) => return Err(wrong(line, "inputs beside \"file\"").into()),
            Some(_) => return Err(wrong(line, "\"file\" is no path").into()),
        };
        Ok(Loaded { values, context })
    }

    fn text(&self, line: Line) -> io::Result<Vec<u8>> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(line.offset))?;
        let mut text = vec![0; line.length];
        file.read_exact(&mut text)?;
        Ok(text)
    }
}

fn is_input(specs: &[InputSpec], name: &str) -> bool {
    specs.iter().any(|spec| spec.name == name)
}

fn name_in(line: Line, text: &[u8], has_name: bool) -> Result<Option<String>, ListError> {
    if !text.trim_ascii_start().starts_with(b"{") {
        return Err(wrong(line, "not a JSON object"));
    }
    let head: Head = serde_json::from_slice(text).map_err(|e| wrong(line, json_message(&e)))?;
    match head.name.filter(|_| has_name) {
        None => Ok(None),
        Some(Value::String(name)) => Ok(Some(name)),
        Some(_) => Err(wrong(line, "\"name\" is no text")),
    }
}

fn wrong(line: Line, message: impl Into<String>) -> ListError {
    ListError::Line { number: line.number, message: message.into() }
}

/// The decoder counts lines too, always one here: only the column is left.
fn json_message(error: &serde_json::Error) -> String {
    error.to_string().replace(" at line 1 column ", " at column ")
}

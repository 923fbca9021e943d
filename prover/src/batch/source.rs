//! Where the items of a batch come from: a folder, lines of JSON, or the samples of one file.

use super::{
    error::{BatchError, ItemError, ListError},
    lines::{Line, Lines, NamedLine},
};
use serde_json::{Map, Value};
use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
};
use zkonnx_quantize::data::{read_arrays, read_samples, DataError, InputSpec, Samples};

/// Longest name of an item; a suffix of the file's name must still fit.
pub(super) const NAME_BYTES: usize = 200;

/// Extensions of files with inputs.
const EXTENSIONS: [&str; 4] = ["npy", "npz", "json", "csv"];

/// The items of a batch. What is in them is read when it is their turn.
#[derive(Debug)]
pub struct Source {
    items: Vec<Listed>,
    specs: Vec<InputSpec>,
    reader: Reader,
    ignored: usize,
}

/// An item with its name.
#[derive(Debug)]
struct Listed {
    name: String,
    /// Where it is, or why it cannot be proven whatever is in it.
    place: Result<Place, ListError>,
}

#[derive(Clone, Debug)]
enum Place {
    File(PathBuf),
    Line(Line),
    Sample(usize),
}

#[derive(Debug)]
enum Reader {
    Files,
    Lines(Lines),
    Samples(Samples),
}

/// An item that was read.
#[derive(Debug)]
pub struct Loaded {
    /// The values of every input, in real units.
    pub values: Vec<Vec<f64>>,
    /// What it says about its context.
    pub context: Option<Map<String, Value>>,
}

impl Source {
    /// Lists the items of a folder (every `.npy`, `.npz`, `.json` and `.csv` file is one, by its name), of a `.jsonl` file (every line is one), or of a file of
    /// samples (every one is one).
    ///
    /// # Errors
    /// [`BatchError`] when nothing can be listed. An item that cannot be read is none.
    pub fn open(path: &Path, specs: Vec<InputSpec>) -> Result<Self, BatchError> {
        let inputs = |source| BatchError::Inputs { path: path.to_owned(), source };
        let mut ignored = 0;
        let (items, reader) = if path.is_dir() {
            let files;
            (files, ignored) = folder(path).map_err(inputs)?;
            (files, Reader::Files)
        } else if has_extension(path, &["jsonl", "ndjson"]) {
            let (lines, found) = Lines::open(path, &specs).map_err(inputs)?;
            (lines_with_names(found), Reader::Lines(lines))
        } else {
            let samples = Samples::with_any_values(&specs, read_arrays(path, &specs)?)?;
            let listed = |at: usize| Listed { name: format!("sample-{at:06}"), place: Ok(Place::Sample(at)) };
            ((0..samples.len()).map(listed).collect(), Reader::Samples(samples))
        };
        if items.is_empty() {
            return Err(BatchError::Empty(path.to_owned()));
        }
        Ok(Self { items, specs, reader, ignored })
    }

    /// Number of items.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is none; never.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Files of a folder that are no data, by their extension.
    #[must_use]
    pub fn ignored(&self) -> usize {
        self.ignored
    }

    /// The name of an item.
    #[must_use]
    pub fn name(&self, index: usize) -> &str {
        self.items.get(index).map_or("", |item| &item.name)
    }

    /// Reads an item.
    ///
    /// # Errors
    /// [`ItemError`] when it cannot be read, or the model does not take it.
    pub fn load(&self, index: usize) -> Result<Loaded, ItemError> {
        let Some(item) = self.items.get(index) else { return Err(ItemError::Samples(0)) };
        let place = item.place.as_ref().map_err(Clone::clone)?;
        let values = match (place, &self.reader) {
            (Place::Line(line), Reader::Lines(lines)) => return lines.load(*line, &self.specs),
            (Place::Sample(at), Reader::Samples(samples)) => finite(samples, *at)?,
            (Place::File(path), _) => read_one(path, &self.specs)?,
            _ => return Err(ItemError::Samples(0)),
        };
        Ok(Loaded { values, context: None })
    }
}

/// The values of the only sample.
pub(super) fn one(samples: &Samples) -> Result<Vec<Vec<f64>>, ItemError> {
    match samples.len() {
        1 => Ok(samples.sample(0).into_iter().map(<[f64]>::to_vec).collect()),
        count => Err(ItemError::Samples(count)),
    }
}

/// The values of the only sample of a file.
pub(super) fn read_one(path: &Path, specs: &[InputSpec]) -> Result<Vec<Vec<f64>>, ItemError> {
    let io = |source| DataError::Io { path: path.to_owned(), source };
    // To open a pipe would wait for ever.
    if !std::fs::metadata(path).map_err(io)?.is_file() {
        return Err(ListError::NoFile(path.to_owned()).into());
    }
    one(&read_samples(path, specs)?)
}

/// One sample of many, where every value must be finite.
fn finite(samples: &Samples, sample: usize) -> Result<Vec<Vec<f64>>, DataError> {
    let values = samples.sample(sample);
    for (spec, values) in samples.specs().iter().zip(&values) {
        if let Some((element, value)) = values.iter().enumerate().find(|(_, v)| !v.is_finite()) {
            return Err(DataError::NotFinite { name: spec.name.clone(), sample, element, value: *value });
        }
    }
    Ok(values.into_iter().map(<[f64]>::to_vec).collect())
}

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    path.extension().is_some_and(|own| extensions.iter().any(|e| own.eq_ignore_ascii_case(e)))
}

/// The data files of a folder by name, and how many other files there are.
fn folder(path: &Path) -> io::Result<(Vec<Listed>, usize)> {
    let mut paths = std::fs::read_dir(path)?.map(|e| Ok(e?.path())).collect::<io::Result<Vec<_>>>()?;
    let all = paths.len();
    paths.retain(|path| has_extension(path, &EXTENSIONS));
    paths.sort();
    let ignored = all - paths.len();
    let listed = |path: PathBuf| {
        let file = path.file_name().unwrap_or_default();
        let name = file.to_string_lossy().into_owned();
        let is_utf8 = file.to_str().is_some();
        let place =
            if is_utf8 { check_name(&name).map(|()| Place::File(path)) } else { Err(ListError::Name(name.clone())) };
        Listed { name, place }
    };
    Ok((paths.into_iter().map(listed).collect(), ignored))
}

/// Lines that give no name, or one that cannot be theirs, have their number for a name.
fn lines_with_names(lines: Vec<NamedLine>) -> Vec<Listed> {
    let mut taken: HashMap<String, usize> = HashMap::new();
    let mut listed = Vec::with_capacity(lines.len());
    for (line, given) in lines {
        let fallback = || format!("line-{:06}", line.number);
        let name = given.and_then(|given| {
            let name = given.unwrap_or_else(fallback);
            check_name(&name)?;
            match taken.get(&name) {
                Some(other) => Err(ListError::Duplicate { name, line: *other }),
                None => Ok(name),
            }
        });
        listed.push(match name {
            Ok(name) => {
                taken.insert(name.clone(), line.number);
                Listed { name, place: Ok(Place::Line(line)) }
            }
            Err(error) => Listed { name: fallback(), place: Err(error) },
        });
    }
    listed
}

/// Names become names of files.
fn check_name(name: &str) -> Result<(), ListError> {
    let plain = |c: char| !c.is_control() && c != '/' && c != '\\';
    if (1..=NAME_BYTES).contains(&name.len()) && !name.starts_with('.') && name.chars().all(plain) {
        return Ok(());
    }
    Err(ListError::Name(name.chars().take(NAME_BYTES).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_names_of_files() {
        for good in ["a", "a b.npy", "ü", &"x".repeat(NAME_BYTES)] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", ".a", "a/b", "a\\b", "a\nb", "a\0", &"x".repeat(NAME_BYTES + 1)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}

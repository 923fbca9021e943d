//! Reading and writing data files.

use super::{
    npy::{self, Array, NpyError},
    DataError, InputSpec, NamedTensor, Samples,
};
use ndarray::ArrayD;
use ndarray_npy::{NpzWriter, WriteNpyExt};
use serde_json::Value;
use std::{
    fs::File,
    io::{BufReader, Read, Seek},
    path::Path,
};
use zip::ZipArchive;

fn io(path: &Path) -> impl Fn(std::io::Error) -> DataError + '_ {
    move |source| DataError::Io { path: path.into(), source }
}

fn malformed<E: std::fmt::Display>(path: &Path) -> impl Fn(E) -> DataError + '_ {
    move |e| DataError::Malformed { path: path.into(), message: e.to_string() }
}

fn extension(path: &Path) -> String {
    path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_lowercase()
}

/// Reads samples for the inputs of a model.
///
/// # Errors
/// [`DataError`], with the place.
pub fn read_samples(path: &Path, specs: &[InputSpec]) -> Result<Samples, DataError> {
    Samples::new(specs, read_arrays(path, specs)?)
}

/// Reads arrays that are named as the inputs of a model; shapes and values are not looked at.
///
/// # Errors
/// [`DataError`] when the file cannot be read, or its format holds no names and the model has several inputs.
pub fn read_arrays(path: &Path, specs: &[InputSpec]) -> Result<Vec<NamedTensor>, DataError> {
    let only = |format: &'static str| match specs {
        [spec] => Ok(spec.name.clone()),
        _ => Err(DataError::SingleTensor { format, count: specs.len() }),
    };
    match extension(path).as_str() {
        "npy" => {
            let name = only(".npy")?;
            Ok(vec![NamedTensor { name, ..read_array(path)? }])
        }
        "npz" => {
            let mut arrays = read_npz(path)?;
            // One array for one input needs no name.
            if let ([array], [spec]) = (arrays.as_mut_slice(), specs) {
                array.name.clone_from(&spec.name);
            }
            Ok(arrays)
        }
        "json" => read_json(path, specs),
        "csv" => read_csv(path, specs),
        _ => Err(DataError::Format(path.into())),
    }
}

/// What is wrong with an array, as an error of the file.
fn refused(path: &Path, name: &str, error: NpyError) -> DataError {
    match error {
        NpyError::Io(source) => DataError::Io { path: path.into(), source },
        NpyError::Inexact { element, value } => DataError::Inexact {
            path: path.into(),
            name: name.into(),
            place: format!("element {element}").into(),
            value: value.into(),
        },
        error if name.is_empty() => malformed(path)(error),
        error => malformed(path)(format!("'{name}': {error}")),
    }
}

/// Reads a `.npy` file: booleans, integers and floats of every width, bfloat16 too.
///
/// # Errors
/// [`DataError`] when it cannot be read, or holds integers that no `f64` is.
pub fn read_array(path: &Path) -> Result<NamedTensor, DataError> {
    let file = BufReader::new(File::open(path).map_err(io(path))?);
    let Array { shape, data } = npy::read(file).map_err(|e| refused(path, "", e))?;
    Ok(NamedTensor { name: String::new(), shape, data })
}

/// Reads all arrays of a `.npz` file, in the order of the file; see [`read_array`].
///
/// # Errors
/// [`DataError`] when it cannot be read.
pub fn read_npz(path: &Path) -> Result<Vec<NamedTensor>, DataError> {
    read_npz_from(path, BufReader::new(File::open(path).map_err(io(path))?))
}

/// The arrays of an `.npz` archive in memory; `path` is for errors.
///
/// # Errors
/// [`DataError`] when the bytes are malformed.
pub fn read_npz_from(path: &Path, reader: impl Read + Seek) -> Result<Vec<NamedTensor>, DataError> {
    let mut archive = ZipArchive::new(reader).map_err(malformed(path))?;
    let mut arrays = Vec::new();
    for i in 0..archive.len() {
        let entry = archive.by_index(i).map_err(malformed(path))?;
        let name = entry.name().strip_suffix(".npy").unwrap_or(entry.name()).to_owned();
        let Array { shape, data } = npy::read(entry).map_err(|e| refused(path, &name, e))?;
        arrays.push(NamedTensor { name, shape, data });
    }
    Ok(arrays)
}

/// What is wrong with a list of numbers.
enum ListError {
    Malformed(String),
    /// An integer that no float of 64 bits is.
    Inexact {
        element: usize,
        value: i128,
    },
}

/// A nested list of numbers with its shape; all lists of a level have the same length.
fn nested(value: &Value, shape: &mut Vec<usize>, depth: usize, data: &mut Vec<f64>) -> Result<(), ListError> {
    let wrong = |message: String| Err(ListError::Malformed(message));
    match value {
        Value::Number(n) if depth == shape.len() || data.is_empty() => {
            if let Some(value) = n.as_i128().filter(|value| !npy::is_exact(*value)) {
                return Err(ListError::Inexact { element: data.len(), value });
            }
            match n.as_f64() {
                Some(value) => data.push(value),
                None => return wrong("a number is out of range".into()),
            }
            Ok(())
        }
        Value::Bool(b) if depth == shape.len() || data.is_empty() => {
            data.push(f64::from(u8::from(*b)));
            Ok(())
        }
        Value::Array(list) if depth < 32 => {
            if data.is_empty() && shape.len() == depth {
                shape.push(list.len());
            } else if shape.get(depth) != Some(&list.len()) {
                return wrong(format!("lists of level {depth} have different lengths"));
            }
            list.iter().try_for_each(|v| nested(v, shape, depth + 1, data))
        }
        other => wrong(format!("level {depth} holds {other}, which is no number")),
    }
}

fn json_array(path: &Path, name: &str, value: &Value) -> Result<NamedTensor, DataError> {
    let (mut shape, mut data) = (Vec::new(), Vec::new());
    nested(value, &mut shape, 0, &mut data).map_err(|e| match e {
        ListError::Malformed(message) => malformed(path)(format!("'{name}': {message}")),
        ListError::Inexact { element, value } => DataError::Inexact {
            path: path.into(),
            name: name.into(),
            place: format!("element {element}").into(),
            value: value.into(),
        },
    })?;
    Ok(NamedTensor { name: name.into(), shape, data })
}

fn read_json(path: &Path, specs: &[InputSpec]) -> Result<Vec<NamedTensor>, DataError> {
    let file = BufReader::new(File::open(path).map_err(io(path))?);
    let value: Value = serde_json::from_reader(file).map_err(malformed(path))?;
    let Value::Object(map) = value else {
        return Err(malformed(path)("an object by input name is needed"));
    };
    json_arrays(path, &map, specs)
}

/// The arrays of a JSON object, as a `.json` file has them; `path` is for errors.
///
/// # Errors
/// [`DataError::Malformed`].
pub fn json_arrays(
    path: &Path,
    map: &serde_json::Map<String, Value>,
    specs: &[InputSpec],
) -> Result<Vec<NamedTensor>, DataError> {
    let Some(Value::Array(lists)) = map.get("input_data").filter(|_| specs.iter().all(|s| s.name != "input_data"))
    else {
        return map.iter().map(|(name, value)| json_array(path, name, value)).collect();
    };
    if lists.len() != specs.len() {
        let message = format!("\"input_data\" has {} lists, the model takes {} inputs", lists.len(), specs.len());
        return Err(malformed(path)(message));
    }
    let mut arrays = Vec::new();
    for (spec, list) in specs.iter().zip(lists) {
        let mut array = json_array(path, &spec.name, list)?;
        // A flat list is one sample after the other.
        let elements: usize = spec.shape.iter().product();
        if array.shape.len() == 1 && elements > 0 && array.data.len() % elements == 0 {
            array.shape = vec![array.data.len() / elements, elements];
        }
        arrays.push(array);
    }
    Ok(arrays)
}

fn read_csv(path: &Path, specs: &[InputSpec]) -> Result<Vec<NamedTensor>, DataError> {
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).trim(csv::Trim::All).from_path(path).map_err(malformed(path))?;
    let widths: Vec<usize> = specs.iter().map(|s| s.shape.iter().product()).collect();
    let total: usize = widths.iter().sum();
    let mut data = vec![Vec::new(); specs.len()];
    let mut rows = 0;
    for (line, record) in reader.records().enumerate() {
        let record = record.map_err(malformed(path))?;
        let integers = record.iter().enumerate().filter_map(|(c, field)| Some((c, field.parse::<i128>().ok()?)));
        if let Some((column, value)) = integers.into_iter().find(|(_, value)| !npy::is_exact(*value)) {
            let place = format!("line {}, column {}", line + 1, column + 1);
            return Err(DataError::Inexact {
                path: path.into(),
                name: "".into(),
                place: place.into(),
                value: value.into(),
            });
        }
        let row: Result<Vec<f64>, usize> =
            record.iter().enumerate().map(|(c, field)| field.parse::<f64>().map_err(|_| c)).collect();
        let row = match row {
            Ok(row) => row,
            Err(_) if line == 0 => continue, // a header
            Err(column) => {
                let message = format!("line {}, column {}: not a number", line + 1, column + 1);
                return Err(malformed(path)(message));
            }
        };
        if row.len() != total {
            let message = format!("line {} has {} columns, the inputs have {total} elements", line + 1, row.len());
            return Err(malformed(path)(message));
        }
        let mut rest = row.as_slice();
        for (data, width) in data.iter_mut().zip(&widths) {
            let (own, tail) = rest.split_at(*width);
            data.extend_from_slice(own);
            rest = tail;
        }
        rows += 1;
    }
    let arrays = specs.iter().zip(data).zip(&widths);
    Ok(arrays.map(|((s, data), width)| NamedTensor { name: s.name.clone(), shape: vec![rows, *width], data }).collect())
}

fn to_json(shape: &[usize], data: &[f64]) -> Value {
    match shape {
        [] => data.first().map_or(Value::Null, |v| serde_json::Number::from_f64(*v).map_or(Value::Null, Value::Number)),
        [_, rest @ ..] => {
            let width = rest.iter().product::<usize>().max(1);
            Value::Array(data.chunks(width).map(|part| to_json(rest, part)).collect())
        }
    }
}

/// Writes output tensors, in real units: `.npz` and `.json` by name, `.npy` for one tensor, `.csv` with one
/// sample per row (the first axis counts samples if there are several rows to write).
///
/// # Errors
/// [`DataError`] when the file cannot be written or the format does not fit.
pub fn write_outputs(path: &Path, outputs: &[NamedTensor]) -> Result<(), DataError> {
    let array = |t: &NamedTensor| ArrayD::from_shape_vec(t.shape.clone(), t.data.clone()).map_err(malformed(path));
    match extension(path).as_str() {
        "npz" => {
            let mut npz = NpzWriter::new_compressed(File::create(path).map_err(io(path))?);
            for output in outputs {
                npz.add_array(&output.name, &array(output)?).map_err(malformed(path))?;
            }
            npz.finish().map(|_| ()).map_err(malformed(path))
        }
        "npy" => match outputs {
            [output] => array(output)?.write_npy(File::create(path).map_err(io(path))?).map_err(malformed(path)),
            _ => Err(DataError::SingleTensor { format: ".npy", count: outputs.len() }),
        },
        "json" => {
            let map: serde_json::Map<String, Value> =
                outputs.iter().map(|o| (o.name.clone(), to_json(&o.shape, &o.data))).collect();
            let text = serde_json::to_string_pretty(&Value::Object(map)).map_err(malformed(path))?;
            std::fs::write(path, text + "\n").map_err(io(path))
        }
        "csv" => {
            let mut writer = csv::Writer::from_path(path).map_err(malformed(path))?;
            let rows = outputs.first().and_then(|o| o.shape.first().copied()).unwrap_or(1).max(1);
            for row in 0..rows {
                let fields = outputs.iter().flat_map(|o| {
                    let width = o.data.len() / rows;
                    o.data[row * width..(row + 1) * width].iter().map(ToString::to_string)
                });
                writer.write_record(fields).map_err(malformed(path))?;
            }
            writer.flush().map_err(io(path))
        }
        _ => Err(DataError::Format(path.into())),
    }
}

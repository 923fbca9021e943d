//! The committed ONNX models with their samples, quantised and laid out.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};
use zkonnx_circuits::cost::choose_layout;
use zkonnx_quantize::{
    data::{quantise_input, read_npz, NamedTensor, Samples},
    model::QuantizedModel,
    quantize, OnnxModel, Recipe,
};

/// A model of the folder `ops` with one sample.
#[derive(Clone, Debug)]
pub struct OperatorCase {
    /// Its path.
    pub name: String,
    /// The quantised model.
    pub model: QuantizedModel,
    /// Integers of one sample.
    pub inputs: Vec<Vec<i64>>,
}

/// The folder of this crate.
#[must_use]
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn load(path: &Path) -> OperatorCase {
    let name = path.display().to_string();
    let onnx = OnnxModel::from_path(path, &BTreeMap::new()).expect(&name);
    let arrays = read_npz(&path.with_extension("npz")).expect(&name);
    let own = arrays.iter().filter_map(|a| Some((a.name.strip_prefix("in_")?.to_owned(), a)));
    let own = own.map(|(name, a)| NamedTensor { name, ..a.clone() }).collect();
    let samples = Samples::new(&onnx.inputs(), own).expect(&name);
    let (mut model, _) = quantize(&onnx, Some(&samples), &Recipe::default()).expect(&name);
    model.layout = choose_layout(&Arc::new(model.graph.clone()), Some(8), None).expect(&name).0;
    let integers = |(input, values)| quantise_input(input, values).expect("finite").values;
    let inputs = model.graph.inputs.iter().zip(samples.sample(0)).map(integers).collect();
    OperatorCase { name, model, inputs }
}

/// All operator cases, by family and name; and the number of families.
#[must_use]
pub fn operator_cases() -> (Vec<OperatorCase>, usize) {
    let list = |folder: &Path| {
        let mut paths: Vec<PathBuf> =
            std::fs::read_dir(folder).expect("a folder").map(|e| e.expect("an entry").path()).collect();
        paths.sort();
        paths
    };
    let families: Vec<PathBuf> = list(&root().join("ops")).into_iter().filter(|path| path.is_dir()).collect();
    let paths = families.iter().flat_map(|family| list(family));
    let cases = paths.filter(|path| path.extension().is_some_and(|e| e == "onnx")).map(|path| load(&path)).collect();
    (cases, families.len())
}

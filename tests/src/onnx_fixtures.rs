//! The committed ONNX models with their samples, quantised and laid out.

use crate::setup::lay_out;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
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

/// A float model with samples, and what ONNX Runtime gives for them.
#[derive(Clone, Debug)]
pub struct FloatCase {
    /// Its path.
    pub name: String,
    /// The model.
    pub onnx: OnnxModel,
    /// The samples.
    pub samples: Samples,
    /// Every output with its values for all samples, one after another.
    pub expected: Vec<NamedTensor>,
}

impl FloatCase {
    /// Quantised by the default recipe, with the best layout of `2^8` rows.
    #[must_use]
    pub fn quantised(&self) -> QuantizedModel {
        let name = &self.name;
        let (mut model, _) = quantize(&self.onnx, Some(&self.samples), &Recipe::default()).expect(name);
        lay_out(&mut model, Some(8));
        model
    }

    /// A sample as integers.
    #[must_use]
    pub fn integers(&self, model: &QuantizedModel, sample: usize) -> Vec<Vec<i64>> {
        let integers = |(input, values)| quantise_input(input, values).expect("finite").values;
        model.graph.inputs.iter().zip(self.samples.sample(sample)).map(integers).collect()
    }
}

/// The folder of this crate.
#[must_use]
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn load_float(path: &Path) -> FloatCase {
    let name = path.display().to_string();
    let onnx = OnnxModel::from_path(path, &BTreeMap::new()).expect(&name);
    let arrays = read_npz(&path.with_extension("npz")).expect(&name);
    let part = |prefix: &str| -> Vec<NamedTensor> {
        let own = arrays.iter().filter_map(|a| Some((a.name.strip_prefix(prefix)?.to_owned(), a)));
        own.map(|(name, a)| NamedTensor { name, ..a.clone() }).collect()
    };
    let samples = Samples::new(&onnx.inputs(), part("in_")).expect(&name);
    FloatCase { onnx, samples, expected: part("out_"), name }
}

/// One operator case, `family/name`.
#[must_use]
pub fn float_case(case: &str) -> FloatCase {
    load_float(&root().join("ops").join(case).with_extension("onnx"))
}

fn load(path: &Path) -> OperatorCase {
    let case = load_float(path);
    let model = case.quantised();
    let inputs = case.integers(&model, 0);
    OperatorCase { name: case.name, model, inputs }
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

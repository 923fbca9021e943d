//! The directory that `tests/onnx_cases/dump.py` writes.

use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};
use zkonnx_quantize::data::{read_npz, DataError, NamedTensor};

/// All cases.
#[derive(Clone, Debug, Deserialize)]
pub struct Index {
    /// The version of the package that they come from.
    pub onnx: String,
    /// The cases, sorted by name.
    pub cases: Vec<Case>,
}

/// One case.
#[derive(Clone, Debug, Deserialize)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// Whether it is one node, not an operator written out as others.
    pub direct: bool,
    /// Operators of the graph, with their domains unless it is the default one.
    pub operators: Vec<String>,
    /// Versions of operator sets by domain.
    pub opset: BTreeMap<String, i64>,
    /// Inputs of the graph.
    pub inputs: Vec<Port>,
    /// Outputs of the graph.
    pub outputs: Vec<Port>,
    nodes: Vec<Node>,
    /// What it holds that is no tensor of numbers: such a case has no data.
    pub not_tensors: Vec<String>,
    #[serde(skip)]
    folder: PathBuf,
}

/// An input or output of a graph.
#[derive(Clone, Debug, Deserialize)]
pub struct Port {
    /// Its name in the graph.
    pub name: String,
    /// Its ONNX type, as ONNX spells it.
    #[serde(rename = "type")]
    pub kind: String,
    /// What ONNX calls this input of the operator.
    #[serde(default)]
    pub role: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Node {
    name: String,
    inputs: Vec<String>,
    outputs: Vec<String>,
}

impl Port {
    /// Whether it holds floats of any width.
    #[must_use]
    pub fn is_float(&self) -> bool {
        self.kind.contains("FLOAT") || self.kind == "DOUBLE"
    }
}

impl Index {
    /// Reads the index of a directory.
    ///
    /// # Panics
    /// When the directory is none that `dump.py` wrote.
    #[must_use]
    pub fn load(root: &Path) -> Self {
        let path = root.join("index.json");
        let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let mut index: Self = serde_json::from_slice(&bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        for case in &mut index.cases {
            case.folder = root.join("cases").join(&case.name);
        }
        index
    }

    /// The direct cases whose inputs and outputs are tensors of numbers.
    pub fn direct(&self) -> impl Iterator<Item = &Case> {
        self.cases.iter().filter(|case| case.direct && case.not_tensors.is_empty())
    }
}

impl Case {
    /// Whether it is direct, its one output is float32, and so is an input, the others being float32, 32-bit or
    /// 64-bit integers or booleans.
    #[must_use]
    pub fn is_float32(&self) -> bool {
        let float = |port: &Port| port.kind == "FLOAT";
        self.direct
            && self.not_tensors.is_empty()
            && matches!(self.outputs.as_slice(), [output] if float(output))
            && self.inputs.iter().any(float)
            && self.inputs.iter().all(|i| ["FLOAT", "INT32", "INT64", "BOOL"].contains(&i.kind.as_str()))
    }

    /// The operator of a direct case.
    #[must_use]
    pub fn operator(&self) -> &str {
        self.operators.first().map_or("", String::as_str)
    }

    /// The ONNX file.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    pub fn model(&self) -> Vec<u8> {
        std::fs::read(self.folder.join("model.onnx")).expect(&self.name)
    }

    /// Values of all graph inputs, in order.
    ///
    /// # Errors
    /// When they cannot be read, such as integers that no `f64` is.
    pub fn input_values(&self) -> Result<Vec<NamedTensor>, DataError> {
        read_npz(&self.folder.join("inputs.npz"))
    }

    /// The values that ONNX expects of all graph outputs, in order.
    ///
    /// # Panics
    /// When they cannot be read.
    #[must_use]
    pub fn output_values(&self) -> Vec<NamedTensor> {
        read_npz(&self.folder.join("outputs.npz")).expect(&self.name)
    }

    /// The graph inputs that an input of a node depends on; empty when there is no such node.
    #[must_use]
    pub fn sources(&self, node: &str, input: usize) -> BTreeSet<String> {
        let mut sources = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let node = self.nodes.iter().find(|n| !n.name.is_empty() && n.name == node);
        let mut open: Vec<&String> = node.and_then(|n| n.inputs.get(input)).into_iter().collect();
        while let Some(value) = open.pop() {
            if !seen.insert(value) {
                continue;
            }
            if self.inputs.iter().any(|i| i.name == *value) {
                sources.insert(value.clone());
            }
            open.extend(self.nodes.iter().filter(|n| n.outputs.contains(value)).flat_map(|n| &n.inputs));
        }
        sources
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_of_a_node_is_traced_to_the_inputs_of_the_graph() {
        let node =
            |inputs: &[&str], output: &str| serde_json::json!({"name": output, "inputs": inputs, "outputs": [output]});
        let case = serde_json::json!({
            "name": "case", "direct": false, "operators": [], "opset": {"": 18}, "outputs": [], "not_tensors": [],
            "inputs": [{"name": "x", "type": "FLOAT"}, {"name": "axes", "type": "INT64"}, {"name": "k", "type": "INT64"}],
            "nodes": [node(&["axes", "k"], "sum"), node(&["sum"], "shape"), node(&["x", "shape"], "y")],
        });
        let case: Case = serde_json::from_value(case).expect("a case");
        let names = |node, input| case.sources(node, input).into_iter().collect::<Vec<_>>();
        assert_eq!(names("y", 0), ["x"]);
        assert_eq!(names("y", 1), ["axes", "k"]);
        assert!(names("y", 2).is_empty() && names("no such node", 0).is_empty());
    }
}

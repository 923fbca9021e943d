//! Prints what is in ONNX files, and quantises them without samples where that is possible.

use std::{collections::BTreeMap, path::Path};
use zkonnx_quantize::{
    onnx::{inspect::inspect, ImportOptions},
    quantize, OnnxModel, Recipe,
};

fn main() {
    let mut dims = BTreeMap::new();
    for argument in std::env::args().skip(1) {
        if let Some((name, size)) = argument.split_once('=') {
            dims.insert(name.to_owned(), size.parse().unwrap_or(1));
            continue;
        }
        match inspect(Path::new(&argument), &ImportOptions { dims: dims.clone(), ..ImportOptions::default() }) {
            Ok(inspection) => println!("== {argument}\n{inspection}"),
            Err(error) => println!("== {argument}\n{error}"),
        }
        let Ok(model) = OnnxModel::from_path(Path::new(&argument), &dims) else { continue };
        match quantize(&model, None, &Recipe::default()) {
            Ok((model, _)) => {
                let elements: usize = model.graph.nodes.iter().map(|n| n.form.len()).sum();
                println!(
                    "quantised: {} nodes, {elements} form elements, {} bytes",
                    model.graph.nodes.len(),
                    model.to_bytes().len()
                );
            }
            Err(error) => println!("not quantised: {error}"),
        }
    }
}

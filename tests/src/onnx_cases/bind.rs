//! Which inputs of a case stay inputs.
//!
//! In ONNX's cases weights, shapes, axes and indices are graph inputs. Every input is a true one at first; those that the
//! importer wants to be constants are bound to the case's values, until it imports or has another objection. What is
//! empty carries nothing and is a constant from the start.

use super::{index::Case, panics};
use std::collections::BTreeSet;
use zkonnx_quantize::{
    data::NamedTensor,
    onnx::{error::InputProblem, tensor::Tensor, ImportOptions},
    ImportError, OnnxModel,
};

/// With more inputs than this, not all choices of constants are tried.
const MAX_CHOICES: usize = 6;

/// Why a case is not imported.
#[derive(Debug)]
pub enum NotImported {
    /// The importer refuses it.
    Refused(ImportError),
    /// It is imported only with all inputs bound; the importer's first objection.
    EverythingConstant(Option<ImportError>),
    /// The importer panicked.
    Panicked(String),
}

/// A case as it is imported.
#[derive(Debug)]
pub struct Import {
    /// The inputs that are constants.
    pub bound: BTreeSet<String>,
    /// The model.
    pub model: Result<OnnxModel, NotImported>,
}

/// Imports a case with as few inputs bound as the importer asks for.
#[must_use]
pub fn import(case: &Case, inputs: &[NamedTensor]) -> Import {
    let file = case.model();
    // A model of which only constants are left says nothing, unless no input's value matters at all: a shape, say.
    let depends = |model: &OnnxModel, bound: &BTreeSet<String>| {
        bound.is_empty() || model.graph().outputs.iter().any(|(_, id)| model.graph().constant(*id).is_none())
    };
    let attempt = |bound: &BTreeSet<String>| -> Result<OnnxModel, NotImported> {
        let constants = inputs.iter().filter(|a| bound.contains(&a.name)).map(|a| (a.name.clone(), constant(case, a)));
        let options = ImportOptions { constants: constants.collect(), ..ImportOptions::default() };
        let model = panics::catch(|| OnnxModel::from_bytes_with(&file, &options)).map_err(NotImported::Panicked)?;
        let model = model.map_err(NotImported::Refused)?;
        if depends(&model, bound) {
            Ok(model)
        } else {
            Err(NotImported::EverythingConstant(None))
        }
    };
    let empty: BTreeSet<String> = inputs.iter().filter(|a| a.data.is_empty()).map(|a| a.name.clone()).collect();
    let mut bound = empty.clone();
    let mut first = None;
    while bound.len() < inputs.len() {
        let error = match attempt(&bound) {
            Err(NotImported::Refused(error)) => error,
            Err(NotImported::EverythingConstant(_)) => break,
            model => return Import { bound, model },
        };
        let wanted = match &error {
            ImportError::Unsupported(nodes) => {
                let wanted = nodes.iter().filter_map(|n| Some(case.sources(&n.name, n.not_constant?)));
                wanted.flatten().collect()
            }
            ImportError::Input { name, problem: InputProblem::Type(_) } => BTreeSet::from([name.clone()]),
            _ => BTreeSet::new(),
        };
        if wanted.is_subset(&bound) {
            return Import { bound, model: Err(NotImported::Refused(error)) };
        }
        bound.extend(wanted);
        first.get_or_insert(error);
    }
    // Another choice of constants may leave an input.
    let names: Vec<&String> = inputs.iter().map(|a| &a.name).filter(|name| !empty.contains(*name)).collect();
    let mut choices: Vec<u32> = if names.len() > MAX_CHOICES { vec![] } else { (1..(1 << names.len()) - 1).collect() };
    choices.sort_by_key(|choice| choice.count_ones());
    for choice in choices {
        let chosen = names.iter().enumerate().filter(|(i, _)| choice >> i & 1 == 1).map(|(_, name)| (*name).clone());
        let bound = empty.iter().cloned().chain(chosen).collect();
        if let Ok(model) = attempt(&bound) {
            return Import { bound, model: Ok(model) };
        }
    }
    Import { bound, model: Err(NotImported::EverythingConstant(first)) }
}

fn constant(case: &Case, array: &NamedTensor) -> Tensor {
    let float = case.inputs.iter().any(|port| port.name == array.name && port.is_float());
    Tensor { shape: array.shape.clone(), data: array.data.clone(), integer: !float }
}

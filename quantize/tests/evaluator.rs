//! Properties of the reference evaluator, on the graphs of all operator cases and on all their inputs:
//! it agrees with the definition read literally, and nothing leaves its declared interval.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use std::{collections::BTreeMap, path::PathBuf, sync::OnceLock};
use zkonnx_quantize::{
    data::{read_npz, NamedTensor, Samples},
    eval::{evaluate, EvalError},
    graph::{round_shift, Form, Source},
    index::{Coordinate, IndexMap},
    integers::Integers,
    model::QuantizedModel,
    quantize, OnnxModel, Recipe,
};

/// The quantised models of all operator cases, by name.
fn models() -> &'static Vec<(String, QuantizedModel)> {
    static MODELS: OnceLock<Vec<(String, QuantizedModel)>> = OnceLock::new();
    MODELS.get_or_init(|| {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/ops");
        let mut models = Vec::new();
        for family in std::fs::read_dir(root).unwrap().filter_map(Result::ok).filter(|e| e.path().is_dir()) {
            for case in std::fs::read_dir(family.path()).unwrap().filter_map(Result::ok) {
                let path = case.path();
                if path.extension().is_some_and(|e| e == "onnx") {
                    let model = OnnxModel::from_path(&path, &BTreeMap::new()).unwrap();
                    let arrays = read_npz(&path.with_extension("npz")).unwrap();
                    let inputs = arrays
                        .iter()
                        .filter_map(|a| Some(NamedTensor { name: a.name.strip_prefix("in_")?.into(), ..a.clone() }));
                    let samples = Samples::new(&model.inputs(), inputs.collect()).unwrap();
                    let quantised = quantize(&model, Some(&samples), &Recipe::default()).unwrap().0;
                    models.push((path.display().to_string(), quantised));
                }
            }
        }
        assert!(models.len() >= 100, "only {} operator cases", models.len());
        models.sort_by(|a, b| a.0.cmp(&b.0));
        models
    })
}

/// The address that a map gives, straight from its definition.
fn address(map: &IndexMap, index: &[u32]) -> Option<usize> {
    let mut address = i64::from(map.base);
    for factor in &map.factors {
        let x = match &factor.coordinate {
            Coordinate::Table(entries) => i64::from(entries[index[usize::from(factor.axes[0])] as usize]),
            Coordinate::Affine { coefs, offset } => factor
                .axes
                .iter()
                .zip(coefs)
                .fold(i64::from(*offset), |x, (a, c)| x + i64::from(*c) * i64::from(index[usize::from(*a)])),
        };
        if x < 0 || x >= i64::from(factor.size) {
            return None;
        }
        address += x * i64::from(factor.stride);
    }
    Some(usize::try_from(address).unwrap())
}

/// Every index of a shape.
fn indices(shape: &[u32]) -> Vec<Vec<u32>> {
    shape.iter().fold(vec![vec![]], |list, size| {
        list.iter().flat_map(|i: &Vec<u32>| (0..*size).map(move |v| [i.as_slice(), &[v]].concat())).collect()
    })
}

fn literal(form: &Form, tensors: &[Vec<i64>], params: &[Integers]) -> Vec<i64> {
    let read = |source: Source, map: &IndexMap, index: &[u32]| {
        address(map, index).map_or(0, |a| match source {
            Source::Tensor(id) => tensors[id.0 as usize][a],
            Source::Param(id) => params[id.0 as usize].get(a).unwrap(),
        })
    };
    let summed = |sizes: &[u32]| indices(sizes);
    let values = indices(&form.shape).into_iter().map(|e| {
        let mut total = form.constant;
        for term in &form.terms {
            for j in summed(&term.sums) {
                total += term.coef * read(term.source, &term.map, &[e.as_slice(), &j].concat());
            }
        }
        for product in &form.products {
            for j in summed(&product.summed) {
                let at = [e.as_slice(), &j].concat();
                let side = |o: &zkonnx_quantize::graph::Operand| {
                    summed(&o.sums).iter().map(|s| read(o.source, &o.map, &[at.as_slice(), s].concat())).sum::<i64>()
                };
                total += product.coef * side(&product.left) * side(&product.right);
            }
        }
        total
    });
    values.collect()
}

/// Integer inputs within the declared intervals; `mode` 0 is all smallest, 1 all largest, others mix.
fn inputs(model: &QuantizedModel, seed: u64, mode: u8) -> Vec<Vec<i64>> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut value = |lo: i64, hi: i64| match mode {
        0 => lo,
        1 => hi,
        2 => [lo, hi][usize::from(next() & 1 == 1)],
        _ => lo + i64::try_from(next() % (hi.abs_diff(lo) + 1)).unwrap(),
    };
    let graph = &model.graph;
    let len = |i: &zkonnx_quantize::graph::Input| i.shape.iter().map(|s| *s as usize).product::<usize>();
    graph.inputs.iter().map(|i| (0..len(i)).map(|_| value(i.bounds.lo, i.bounds.hi)).collect()).collect()
}

fn check(name: &str, model: &QuantizedModel, seed: u64, mode: u8, slowly: bool) {
    let trace = evaluate(model, &inputs(model, seed, mode)).unwrap();
    for (tensor, info) in trace.tensors.iter().zip(model.graph.tensors()) {
        assert_eq!(tensor.len(), info.len(), "{name}");
        assert!(tensor.iter().all(|v| info.bounds.contains(*v)), "{name}: a tensor leaves its interval");
    }
    let nodes = model.graph.nodes.iter().map(|n| &n.form).zip(&trace.forms);
    let outputs = model.graph.outputs.iter().map(|o| &o.form).zip(&trace.outputs);
    for (form, values) in nodes.chain(outputs) {
        assert!(values.iter().all(|v| form.bounds.contains(*v)), "{name}: a form leaves its bounds");
        if slowly {
            assert_eq!(&literal(form, &trace.tensors, &model.weights), values, "{name}");
        }
    }
}

#[test]
fn agrees_with_the_definition_read_literally() {
    for (name, model) in models() {
        check(name, model, 7, 3, true);
    }
}

#[test]
fn nothing_leaves_its_interval_at_the_corners() {
    for (name, model) in models() {
        for mode in 0..=2 {
            check(name, model, 99, mode, false);
        }
    }
}

#[test]
fn refuses_inputs_that_are_not_as_declared() {
    let (_, model) = &models()[0];
    let good = inputs(model, 1, 3);
    assert!(matches!(evaluate(model, &[]), Err(EvalError::InputCount { .. })));
    let mut short = good.clone();
    short[0].pop();
    assert!(matches!(evaluate(model, &short), Err(EvalError::InputLength { .. })));
    let mut wide = good;
    wide[0][0] = model.graph.inputs[0].bounds.hi + 1;
    assert!(matches!(evaluate(model, &wide), Err(EvalError::InputRange { index: 0, .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn nothing_leaves_its_interval(seed in any::<u64>(), case in any::<prop::sample::Index>()) {
        let (name, model) = &models()[case.index(models().len())];
        check(name, model, seed, 3, false);
    }

    #[test]
    fn rounds_half_up(a in -(1_i64 << 61)..1_i64 << 61, shift in 1_u8..=40) {
        let q = round_shift(a, shift);
        let twice = 2 * (i128::from(q) << shift) - 2 * i128::from(a);
        // −2^s < 2(q·2^s − a) ≤ 2^s
        prop_assert!(-(1_i128 << shift) < twice && twice <= 1_i128 << shift);
    }

    #[test]
    fn random_bytes_are_no_model(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(QuantizedModel::from_bytes(&bytes).is_err());
        let mut framed = models()[0].1.to_bytes();
        framed.truncate(12);
        framed.extend(&bytes);
        let _ = QuantizedModel::from_bytes(&framed);
    }

    #[test]
    fn edited_models_never_panic(at in any::<prop::sample::Index>(), value in any::<u8>(), case in any::<prop::sample::Index>()) {
        let mut bytes = models()[case.index(models().len())].1.to_bytes();
        let at = at.index(bytes.len());
        bytes[at] = value;
        if let Ok(model) = QuantizedModel::from_bytes(&bytes) {
            let elements: usize = model.graph.nodes.iter().map(|n| n.form.len()).sum();
            if elements < 1 << 16 {
                let _ = evaluate(&model, &inputs(&model, 3, 3));
            }
        }
    }
}

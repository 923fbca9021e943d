//! Random float models that use every operator: the integer graph is near the float model, the circuit's witness is the
//! evaluator's trace bit for bit, and every input within the declared intervals can be proven.
#![cfg(feature = "onnx")]

use proptest::{prelude::*, test_runner::Config};
use std::{collections::BTreeSet, sync::Arc};
use zkonnx_circuits::{compiled::CompiledModel, cost::choose_layout, lower::Modes, witness::assign};
use zkonnx_prover::prove::prove;
use zkonnx_quantize::{
    curve::{Curve, Real},
    eval::evaluate,
    model::QuantizedModel,
    onnx::{
        build::ModelBuilder,
        graph::{FloatOp, ValueId},
        ops::{
            elementwise::{Binary, Unary},
            reduce::Reduction,
        },
        tensor::Tensor,
    },
    quantize, OnnxModel, QuantizeError, Recipe,
};
use zkonnx_tests::{debug_verifier::Witness, graphs::GraphBuilder, setup::Sides};
use zkonnx_verifier::{statement::Context, verify::verify};

/// Grows a model of small matrices.
struct Grower {
    random: GraphBuilder,
    model: ModelBuilder,
    values: Vec<ValueId>,
    used: BTreeSet<String>,
}

const CURVES: &[Curve] = &[
    Curve::Erf,
    Curve::Gelu,
    Curve::GeluTanh,
    Curve::Mish,
    Curve::Softplus,
    Curve::Softsign,
    Curve::Sin,
    Curve::Cos,
    Curve::Atan,
    Curve::Asinh,
];

impl Grower {
    fn choose(&mut self, options: usize) -> usize {
        let last = i64::try_from(options - 1).expect("few");
        usize::try_from(self.random.random(0, last)).expect("an index")
    }

    fn pick(&mut self) -> ValueId {
        let index = self.choose(self.values.len());
        self.values[index]
    }

    fn real(&mut self) -> f64 {
        #[allow(clippy::cast_precision_loss)]
        let value = self.random.random(-1000, 1000) as f64 / 500.0;
        value
    }

    fn weights(&mut self, shape: &[usize]) -> ValueId {
        let data = (0..shape.iter().product()).map(|_| self.real()).collect();
        self.model.constant(Tensor::new(shape.to_vec(), data))
    }

    /// Adds an operator to the values; one whose shapes do not fit is left out.
    fn add(&mut self, op: FloatOp, inputs: &[ValueId]) {
        let name = format!("n{}", self.values.len());
        let label = match &op {
            FloatOp::Unary(unary) => format!("{unary:?}"),
            FloatOp::Binary(binary) => format!("{binary:?}"),
            FloatOp::Reduce(reduction, _) => format!("{reduction:?}"),
            other => format!("{other:?}"),
        };
        if let Ok(id) = self.model.add(&name, op, inputs) {
            if self.model.shape(id).iter().product::<usize>() <= 48 {
                self.used.insert(label.split(['(', ' ', '{']).next().unwrap_or_default().to_owned());
                self.values.push(id);
            }
        }
    }

    #[allow(clippy::too_many_lines)] // one arm per operator
    fn step(&mut self) {
        let (x, y) = (self.pick(), self.pick());
        let shape = self.model.shape(x).to_vec();
        let rank = shape.len();
        let axis = self.choose(rank);
        let unary = |this: &mut Self, unary: Unary| this.add(FloatOp::Unary(unary), &[x]);
        match self.choose(32) {
            0 => self.add(FloatOp::Binary(Binary::Add), &[x, y]),
            1 => self.add(FloatOp::Binary(Binary::Sub), &[x, y]),
            2 => self.add(FloatOp::Binary(Binary::Mul), &[x, y]),
            3 => self.add(FloatOp::Binary(Binary::Max), &[x, y]),
            4 => self.add(FloatOp::Binary(Binary::Min), &[x, y]),
            5 => self.add(FloatOp::Binary(Binary::Greater), &[x, y]),
            6 => self.add(FloatOp::Binary(Binary::GreaterOrEqual), &[x, y]),
            7 => {
                // x / (1 + y²)
                self.add(FloatOp::Binary(Binary::Mul), &[y, y]);
                let one = self.model.constant(Tensor::new(vec![], vec![1.0]));
                let square = self.values[self.values.len() - 1];
                self.add(FloatOp::Binary(Binary::Add), &[square, one]);
                let below = self.values[self.values.len() - 1];
                self.add(FloatOp::Binary(Binary::Div), &[x, below]);
            }
            8 => unary(self, Unary::Relu),
            9 => unary(self, Unary::LeakyRelu { alpha: 0.2 }),
            10 => unary(self, Unary::Clip { lo: -0.5, hi: 1.25 }),
            11 => unary(self, Unary::Sigmoid),
            12 => unary(self, Unary::Tanh),
            13 => unary(self, Unary::HardSigmoid { alpha: 0.3, beta: 0.4 }),
            14 => unary(self, Unary::HardSwish),
            15 => unary(self, Unary::Neg),
            16 => unary(self, Unary::Abs),
            17 => unary(self, Unary::Floor),
            18 => {
                let curve = CURVES[self.choose(CURVES.len())];
                unary(self, Unary::Curve(curve));
            }
            19 => unary(self, Unary::Curve(Curve::Swish(Real::new(1.5)))),
            20 => {
                let columns = 1 + self.choose(4);
                let weights = self.weights(&[shape[rank - 1], columns]);
                self.add(FloatOp::MatMul, &[x, weights]);
            }
            21 => self.add(FloatOp::MatMul, &[x, y]),
            22 => self.add(FloatOp::Reduce(Reduction::Sum, vec![axis]), &[x]),
            23 => self.add(FloatOp::Reduce(Reduction::Mean, vec![axis]), &[x]),
            24 => self.add(FloatOp::Reduce(Reduction::Max, vec![axis]), &[x]),
            25 => self.add(FloatOp::Transpose((0..rank).rev().collect()), &[x]),
            26 => self.add(FloatOp::Concat(axis), &[x, y]),
            27 => self.add(FloatOp::Softmax(axis), &[x]),
            28 => {
                let zero = self.model.constant(Tensor::new(vec![], vec![0.25]));
                self.add(FloatOp::Binary(Binary::Greater), &[x, zero]);
                let condition = self.values[self.values.len() - 1];
                self.add(FloatOp::Where, &[condition, x, y]);
            }
            29 => {
                let last = self.choose(2) == 1;
                self.add(FloatOp::ArgMax { axis, last }, &[x]);
                let index = self.values[self.values.len() - 1];
                self.add(FloatOp::OneHot { depth: shape[axis], wrap: false }, &[index]);
            }
            30 => {
                let (k, indices) = (1 + self.choose(shape[axis].min(3)), self.choose(2) == 1);
                self.add(FloatOp::TopK { axis, k, indices }, &[x]);
            }
            _ => {
                let step = if self.choose(2) == 1 { -1 } else { 1 };
                let mut parts: Vec<(usize, i64, usize)> = shape.iter().map(|s| (0, 1, *s)).collect();
                parts[axis] = if step < 0 { (shape[axis] - 1, -1, shape[axis]) } else { (0, 1, 1) };
                self.add(FloatOp::Slice(parts), &[x]);
            }
        }
    }
}

fn grow(seed: u64) -> (OnnxModel, BTreeSet<String>) {
    let mut grower = Grower {
        random: GraphBuilder::new(seed),
        model: ModelBuilder::default(),
        values: Vec::new(),
        used: BTreeSet::new(),
    };
    for (name, shape) in [("a", [3, 4]), ("b", [3, 4]), ("c", [1, 4])] {
        let id = grower.model.input(name, &shape, false);
        grower.values.push(id);
    }
    for _ in 0..6 {
        grower.step();
    }
    let last = grower.values[grower.values.len() - 1];
    let other = grower.pick();
    let Grower { model, used, .. } = grower;
    let outputs = if last == other { vec![("y", last)] } else { vec![("y", last), ("z", other)] };
    (model.finish(&outputs), used)
}

/// The quantised model, unless the model has something without an integer form, such as a sum that leaves 62 bits.
fn quantised(onnx: &OnnxModel, bits: u8) -> Option<QuantizedModel> {
    let recipe = Recipe { input_range: Some((-2.0, 2.0)), ..Recipe::of_bits(bits) };
    match quantize(onnx, None, &recipe) {
        Ok((mut model, _)) => {
            let (graph, gates) = (Arc::new(model.graph.clone()), model.layout.gates);
            model.layout = choose_layout(&graph, gates, Some(8), None)
                .or_else(|_| choose_layout(&graph, gates, None, None))
                .expect("a layout")
                .0;
            Some(model)
        }
        Err(QuantizeError::Node { .. } | QuantizeError::Output { .. }) => None,
        Err(error) => panic!("{error}"),
    }
}

proptest! {
    #![proptest_config(Config { cases: 160, failure_persistence: None, ..Config::default() })]

    #[test]
    fn the_witness_is_the_trace_and_nothing_is_impossible(seed in any::<u64>(), wide in any::<bool>()) {
        let (onnx, _) = grow(seed);
        let Some(model) = quantised(&onnx, if wide { 14 } else { 9 }) else { return Ok(()) };
        let modes = Modes::public(&model.graph);
        let compiled = CompiledModel::new(Arc::new(model.graph.clone()), modes, model.layout).expect("a circuit");
        for sample in 0..3 {
            let inputs: Vec<Vec<i64>> = if sample == 0 {
                model.graph.inputs.iter().map(|i| vec![i.bounds.lo; i.shape.iter().map(|s| *s as usize).product()]).collect()
            } else {
                GraphBuilder::random_inputs(&model, seed ^ sample)
            };
            let trace = evaluate(&model, &inputs).expect("inputs as declared");
            let cells = assign(&compiled, &trace);
            for (tensor, values) in compiled.lowered.tensors.iter().zip(&trace.tensors) {
                for (element, value) in values.iter().enumerate() {
                    let Some(read) = cells.value(&compiled, *tensor, element) else { continue };
                    prop_assert_eq!(read, i128::from(*value));
                }
            }
            let (inputs, outputs) = (&inputs, &trace.outputs);
            let witness = Witness { model: &compiled, cells: &cells, weights: &model.weights, inputs, outputs };
            prop_assert_eq!(witness.faults(), vec![]);
        }
    }
}

proptest! {
    #![proptest_config(Config { cases: 16, failure_persistence: None, ..Config::default() })]

    #[test]
    fn random_models_are_proven(seed in any::<u64>()) {
        let (onnx, _) = grow(seed);
        let Some(model) = quantised(&onnx, 9) else { return Ok(()) };
        let inputs = GraphBuilder::random_inputs(&model, seed);
        for sides in Sides::both(&model) {
            let (statement, proof) = prove(&sides.prover, &inputs, Context::default()).expect("a proof");
            prop_assert!(verify(&sides.handle, &statement, &proof, None).is_ok());
        }
    }
}

#[test]
fn random_models_use_every_operator_and_most_have_an_integer_form() {
    let (mut used, mut quantisable) = (BTreeSet::new(), 0);
    for seed in 0..200 {
        let (onnx, own) = grow(seed);
        used.extend(own);
        quantisable += usize::from(quantised(&onnx, 9).is_some());
    }
    assert!(used.len() >= 30, "{used:?}");
    assert!(quantisable >= 180, "only {quantisable} of 200");
}

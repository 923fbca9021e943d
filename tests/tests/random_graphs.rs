//! Random graphs in random layouts: the circuit's witness is the evaluator's trace bit for bit, every input can be proven.

use proptest::{prelude::*, test_runner::Config};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use zkonnx_circuits::{
    compiled::CompiledModel,
    lower::{Mode, Modes},
    witness::assign,
};
use zkonnx_prover::prove::prove;
use zkonnx_quantize::{
    bounds::parameter_free_bounds,
    eval::evaluate,
    graph::{Form, Interval, Op, Operand, Product, Source, TensorId, Term},
    index::{Factor, IndexMap},
    model::QuantizedModel,
    scale::Scale,
    table::{Function, Table},
};
use zkonnx_tests::{
    debug_verifier::Witness,
    equation::Random,
    forgeries::{with_gates, WAYS},
    graphs::{dense, form, GraphBuilder},
    setup::{both_ways, Sides},
};
use zkonnx_verifier::{statement::Context, verify::verify};

/// Grows a random graph; a vector tensor is `(id, length)`.
struct Grower {
    b: GraphBuilder,
    tensors: Vec<(TensorId, u32)>,
}

impl Grower {
    fn pick(&mut self) -> (TensorId, u32) {
        let last = i64::try_from(self.tensors.len() - 1).expect("few");
        let index = self.b.random(0, last);
        self.tensors[usize::try_from(index).expect("an index")]
    }

    fn choose(&mut self, hi: u32) -> u32 {
        u32::try_from(self.b.random(0, hi.into())).expect("small")
    }

    /// A random map from axis 0 of size `len` to a source of `size` elements: sliced, strided, reversed, padded, or a table.
    fn map(&mut self, len: u32, size: u32) -> IndexMap {
        let factor = match self.choose(3) {
            0 => Factor::affine(&[(0, 1)], i32::try_from(self.b.random(-2, 2)).expect("small"), size, 1),
            1 => Factor::affine(&[(0, -1)], i32::try_from(len).expect("small") - 1, size, 1),
            2 => Factor::affine(&[(0, 2)], -1, size, 1),
            _ => {
                let entries =
                    (0..len).map(|_| i32::try_from(self.b.random(-1, i64::from(size) - 1)).expect("small")).collect();
                Factor::table(0, entries, size, 1)
            }
        };
        IndexMap { base: 0, factors: vec![factor] }
    }

    fn linear_form(&mut self) -> Form {
        let len = 1 + self.choose(9);
        let mut f = form(&[len]);
        for _ in 0..=self.choose(1) {
            let (source, size) = self.pick();
            let map = self.map(len, size);
            f.terms.push(Term { coef: self.b.random(-3, 3), source: Source::Tensor(source), sums: Vec::new(), map });
        }
        f.constant = self.b.random(-20, 20);
        f
    }

    fn dense_form(&mut self) -> Form {
        let (x, size) = self.pick();
        let rows = 1 + self.choose(11);
        let w = self.b.param(rows, size, 4);
        let mut f = form(&[rows]);
        f.products.push(dense(w, x, rows, size));
        if self.choose(1) == 0 {
            let bias = self.b.param(1, rows, 9);
            let map = IndexMap::identity(&[rows], 0);
            f.terms.push(Term { coef: 2, source: Source::Param(bias), sums: Vec::new(), map });
        }
        f
    }

    /// Elementwise, depthwise (batch) or outer products of tensors and parameters.
    fn product_form(&mut self) -> Form {
        let ((x, n), (y, m)) = (self.pick(), self.pick());
        let side = |source, factors| Operand { source, sums: Vec::new(), map: IndexMap { base: 0, factors } };
        match self.choose(2) {
            0 => {
                let mut f = form(&[n.min(m)]);
                let [left, right] =
                    [(x, n), (y, m)].map(|(t, size)| side(Source::Tensor(t), vec![Factor::plain(0, size, 1)]));
                f.products.push(Product { coef: self.b.random(-2, 2), summed: Vec::new(), left, right });
                f
            }
            1 => {
                let mut f = form(&[n, m]);
                let left = side(Source::Tensor(x), vec![Factor::plain(0, n, 1)]);
                let right = side(Source::Tensor(y), vec![Factor::plain(1, m, 1)]);
                f.products.push(Product { coef: 1, summed: Vec::new(), left, right });
                f
            }
            _ => {
                let rows = 1 + self.choose(3);
                let w = self.b.param(n * rows, 2, 4);
                let mut f = form(&[n, rows]);
                let weight = vec![Factor::plain(0, n, 2 * rows), Factor::plain(1, rows, 2), Factor::plain(2, 2, 1)];
                let left = side(Source::Param(w), weight);
                let right = side(Source::Tensor(x), vec![Factor::affine(&[(0, 1), (2, 1)], -1, n, 1)]);
                f.products.push(Product { coef: 1, summed: vec![2], left, right });
                f
            }
        }
    }

    fn op(&mut self, f: &Form) -> Op {
        let (lo, hi) = (self.b.random(-9, 0), self.b.random(1, 20));
        match self.choose(7) {
            0 => Op::Clamp { lo: Some(0), hi: None, under: false },
            1 => Op::Clamp { lo: None, hi: Some(hi), under: false },
            2 => Op::Clamp { lo: Some(lo), hi: Some(hi), under: false },
            3 => Op::Clamp { lo: Some(lo), hi: None, under: true },
            4 | 5 => Op::Max { axes: u8::try_from(f.shape.len()).expect("few").min(1), lo: Some(lo), hi: Some(hi) },
            6 => {
                let entries = (0..hi - lo + 1).map(|_| i32::try_from(self.b.random(-30, 30)).expect("small")).collect();
                self.b.graph.tables.push(Table {
                    function: Function::Custom,
                    input_scale: Scale::ONE,
                    output_scale: Scale::ONE,
                    lo,
                    entries,
                });
                Op::Table { table: u32::try_from(self.b.graph.tables.len() - 1).expect("few") }
            }
            _ => {
                let mut denominator = form(&f.shape);
                denominator.constant = 1 + hi;
                Op::Div { denominator: self.b.bounded(denominator) }
            }
        }
    }

    fn node(&mut self) {
        let f = match self.choose(2) {
            0 => self.linear_form(),
            1 => self.dense_form(),
            _ => self.product_form(),
        };
        let op = self.op(&f);
        let spread = self.b.bounded(f.clone()).bounds;
        let wide = spread.hi.max(-spread.lo).max(1);
        // Back to a few bits, so that products of products stay small.
        let shift =
            if matches!(op, Op::Div { .. }) { 0 } else { u8::try_from(wide.ilog2().saturating_sub(4)).expect("small") };
        let under = matches!(op, Op::Clamp { under: true, .. });
        let axes = if let Op::Max { axes, .. } = &op { usize::from(*axes) } else { 0 };
        let len = f.shape[..f.shape.len() - axes].iter().product();
        let y = self.b.node(f, shift, op);
        let bounds = self.b.graph.tensors()[y.0 as usize].bounds;
        if len > 64 {
            return;
        }
        if bounds.hi.max(-bounds.lo) < 1 << 20 {
            self.tensors.push((y, len));
        }
        if under {
            self.tensors.push((TensorId(y.0 + 1), len));
        }
    }
}

/// A random graph, its gates proven in either way.
fn random_model(seed: u64, nodes: u32, k: u8, limb_bits: u8) -> QuantizedModel {
    let mut grower = Grower { b: GraphBuilder::new(seed), tensors: Vec::new() };
    for _ in 0..=grower.choose(1) {
        let len = 1 + grower.choose(11);
        let (lo, hi) = (grower.b.random(-20, 0), grower.b.random(0, 20));
        let x = grower.b.input(&[len], lo, hi);
        grower.tensors.push((x, len));
    }
    for _ in 0..nodes {
        grower.node();
    }
    for _ in 0..=grower.choose(1) {
        let f = match grower.choose(2) {
            0 => grower.linear_form(),
            1 => grower.dense_form(),
            _ => grower.product_form(),
        };
        grower.b.output(f);
    }
    let [relations, halo2] = both_ways(&grower.b.finish(k, limb_bits));
    if seed.is_multiple_of(2) {
        relations
    } else {
        halo2
    }
}

fn random_modes(model: &QuantizedModel, bits: u32) -> Modes {
    let mode = |i: usize| if bits >> i & 1 == 1 { Mode::Hidden } else { Mode::Public };
    Modes {
        inputs: (0..model.graph.inputs.len()).map(mode).collect(),
        outputs: (0..model.graph.outputs.len()).map(|i| mode(i + 8)).collect(),
    }
}

/// All at the lower end, all at the upper end, alternating, and random.
fn inputs(model: &QuantizedModel, seed: u64) -> Vec<Vec<Vec<i64>>> {
    let extreme = |pick: fn(Interval, usize) -> i64| -> Vec<Vec<i64>> {
        let of = |i: &zkonnx_quantize::graph::Input| {
            let len: u32 = i.shape.iter().product();
            (0..len as usize).map(|e| pick(i.bounds, e)).collect()
        };
        model.graph.inputs.iter().map(of).collect()
    };
    vec![
        extreme(|b, _| b.lo),
        extreme(|b, _| b.hi),
        extreme(|b, e| if e % 2 == 0 { b.lo } else { b.hi }),
        GraphBuilder::random_inputs(model, seed),
    ]
}

proptest! {
    #![proptest_config(Config { cases: 250, failure_persistence: None, ..Config::default() })]

    /// No honest input breaks a range, a gate or a relation, and the cells hold the evaluator's tensors.
    #[test]
    fn the_witness_is_the_trace(seed: u64, nodes in 0_u32..6, k in 5_u8..=7, limb_bits in 4_u8..=6, bits: u32) {
        let quantized = random_model(seed, nodes, k, limb_bits);
        let tensors = quantized.graph.tensors();
        let forms = quantized.graph.nodes.iter().map(|n| &n.form).chain(quantized.graph.outputs.iter().map(|o| &o.form));
        for form in forms.filter(|form| !form.reads_parameters()) {
            // Declared are the bounds of the analysis that keeps every element.
            prop_assert_eq!(parameter_free_bounds(form, &tensors), Some(form.bounds));
        }
        let modes = random_modes(&quantized, bits);
        let model = CompiledModel::new(Arc::new(quantized.graph.clone()), modes, quantized.layout).expect("a circuit");
        for inputs in inputs(&quantized, seed) {
            let trace = evaluate(&quantized, &inputs).expect("inputs as declared");
            let cells = assign(&model, &trace);
            for (tensor, values) in model.lowered.tensors.iter().zip(&trace.tensors) {
                for (element, value) in values.iter().enumerate() {
                    let Some(read) = cells.value(&model, *tensor, element) else { continue };
                    prop_assert_eq!(read, i128::from(*value));
                }
            }
            let outputs = &trace.outputs;
            let witness = Witness { model: &model, cells: &cells, weights: &quantized.weights, inputs: &inputs, outputs };
            prop_assert_eq!(witness.faults(), vec![]);
        }
    }
}

/// What the verifier evaluates without walking over words is the plain sum over columns, in both ways of gates, whatever is public or committed.
#[test]
fn functionals_of_random_graphs_are_the_plain_sums() {
    for seed in 0..80_u64 {
        let small = |count: u64| u8::try_from(seed % count).expect("small");
        let quantized = random_model(seed, 1 + u32::from(small(6)), 5 + small(3), 4 + small(3));
        let trace = evaluate(&quantized, &inputs(&quantized, seed)[3]).expect("inputs as declared");
        let tensors = &trace.tensors[..quantized.graph.inputs.len()];
        for gates in WAYS {
            let quantized = with_gates(quantized.clone(), gates);
            let mut modes = random_modes(&quantized, u32::try_from(seed * 0x1_0101 % 0xffff).expect("small"));
            for (mode, values) in modes.inputs.iter_mut().zip(tensors) {
                if seed % 4 == 3 && values.len() <= 1 << quantized.layout.k {
                    *mode = Mode::Committed;
                }
            }
            let graph = Arc::new(quantized.graph.clone());
            let model = CompiledModel::new(graph, modes, quantized.layout).expect("a circuit");
            let (evaluated, plain) = Random::new(&model, (tensors, &trace.outputs), seed).on_random_rows(seed);
            assert_eq!(evaluated, plain, "seed {seed}");
        }
    }
}

/// Honest proofs of random graphs are accepted, and a changed public output is not; as many as fit the time.
#[test]
fn random_graphs_are_proven() {
    let start = Instant::now();
    let mut proven = 0;
    for seed in 0..200_u64 {
        if start.elapsed() > Duration::from_secs(20) {
            break;
        }
        let k = 5 + u8::try_from(seed % 3).expect("small");
        let quantized = random_model(
            seed,
            1 + u32::try_from(seed % 5).expect("small"),
            k,
            4 + u8::try_from(seed % 3).expect("small"),
        );
        let modes = random_modes(&quantized, u32::try_from(seed * 0x1_0101 % 0xffff).expect("small"));
        let sides = Sides::with_modes(quantized, modes);
        let all = inputs(&sides.prover.model, seed);
        for inputs in [&all[usize::try_from(seed % 3).expect("small")], &all[3]] {
            let (statement, proof) = prove(&sides.prover, inputs, Context::default()).expect("a proof");
            if let Err(e) = verify(&sides.handle, &statement, &proof, None) {
                panic!("seed {seed}: {e}");
            }
            proven += 1;
        }
    }
    assert!(proven >= 10, "only {proven} proofs in the time");
}

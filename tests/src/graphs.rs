//! Small integer graphs, one for each thing that a proof can contain.

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use zkonnx_quantize::{
    bounds::{conservative_bounds, tight_bounds},
    graph::{Form, Graph, Input, Interval, Node, Op, Operand, Output, Param, ParamId, Product, Source, TensorId, Term},
    index::{Factor, IndexMap},
    integers::Integers,
    model::{Gates, LayoutChoice, QuantizedModel, WeightPrivacy},
    scale::Scale,
    table::{Function, Table},
    validate::{validate_graph, validate_weights},
};

/// Builds a graph node by node; bounds are found by interval analysis.
#[derive(Clone, Debug)]
pub struct GraphBuilder {
    /// The graph so far.
    pub graph: Graph,
    /// Values of parameters.
    pub weights: Vec<Integers>,
    rng: ChaCha20Rng,
}

impl GraphBuilder {
    /// An empty graph; random weights come from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { graph: Graph::default(), weights: Vec::new(), rng: ChaCha20Rng::seed_from_u64(seed) }
    }

    /// A random integer in `lo..=hi`.
    pub fn random(&mut self, lo: i64, hi: i64) -> i64 {
        let width = u64::try_from(hi - lo + 1).expect("an interval");
        lo + i64::try_from(self.rng.next_u64() % width).expect("a small width")
    }

    /// Declares an input.
    pub fn input(&mut self, shape: &[u32], lo: i64, hi: i64) -> TensorId {
        let name = format!("input{}", self.graph.inputs.len());
        self.graph.inputs.push(Input { name, shape: shape.to_vec(), bounds: Interval::new(lo, hi), scale: Scale::ONE });
        TensorId(u32::try_from(self.graph.inputs.len() - 1).expect("few inputs"))
    }

    /// A parameter of random values with `|w| ≤ limit`.
    pub fn param(&mut self, rows: u32, cols: u32, limit: i64) -> ParamId {
        let values: Vec<i64> = (0..rows * cols).map(|_| self.random(-limit, limit)).collect();
        let name = format!("param{}", self.graph.params.len());
        self.graph.params.push(Param { name, rows, cols, bounds: Interval::new(-limit, limit) });
        self.weights.push(values.into());
        ParamId(u32::try_from(self.graph.params.len() - 1).expect("few params"))
    }

    /// Fills in the bounds of a form.
    #[must_use]
    pub fn bounded(&self, mut form: Form) -> Form {
        form.bounds =
            tight_bounds(&form, &self.graph.tensors(), &self.graph.params, &self.weights).expect("a valid form");
        form
    }

    /// Adds a node and gives its first output.
    pub fn node(&mut self, form: Form, shift: u8, op: Op) -> TensorId {
        let form = self.bounded(form);
        let id = self.graph.tensors().len();
        let name = format!("node{}", self.graph.nodes.len());
        self.graph.nodes.push(Node { name, form, shift, op, scale: Scale::ONE });
        TensorId(u32::try_from(id).expect("few tensors"))
    }

    /// Declares an output of the form's own shape.
    pub fn output(&mut self, form: Form) {
        let form = self.bounded(form);
        let name = format!("output{}", self.graph.outputs.len());
        self.graph.outputs.push(Output { name, shape: form.shape.clone(), form, scale: Scale::ONE });
    }

    /// The finished model.
    #[must_use]
    pub fn finish(self, k: u8, limb_bits: u8) -> QuantizedModel {
        validate_graph(&self.graph).expect("a valid graph");
        validate_weights(&self.graph, &self.weights).expect("valid weights");
        QuantizedModel {
            graph: self.graph,
            weights: self.weights,
            layout: LayoutChoice { k, limb_bits, gates: Gates::Relations },
            privacy: WeightPrivacy::Public,
        }
    }

    /// Random inputs within the declared intervals.
    pub fn random_inputs(model: &QuantizedModel, seed: u64) -> Vec<Vec<i64>> {
        let mut builder = Self::new(seed);
        model
            .graph
            .inputs
            .iter()
            .map(|input| {
                let len: u32 = input.shape.iter().product();
                (0..len).map(|_| builder.random(input.bounds.lo, input.bounds.hi)).collect()
            })
            .collect()
    }
}

/// A form without terms.
#[must_use]
pub fn form(shape: &[u32]) -> Form {
    Form { shape: shape.to_vec(), terms: Vec::new(), products: Vec::new(), constant: 0, bounds: Interval::new(0, 0) }
}

/// Reads a tensor of the form's shape, times `coef`.
#[must_use]
pub fn read(coef: i64, source: TensorId, shape: &[u32]) -> Term {
    Term { coef, source: Source::Tensor(source), sums: Vec::new(), map: IndexMap::identity(shape, 0) }
}

/// `W·x` with `W` of shape `[rows, cols]` and `x` of `cols` elements.
#[must_use]
pub fn dense(param: ParamId, x: TensorId, rows: u32, cols: u32) -> Product {
    Product {
        coef: 1,
        summed: vec![cols],
        left: Operand {
            source: Source::Param(param),
            sums: Vec::new(),
            map: IndexMap { base: 0, factors: vec![Factor::plain(0, rows, cols), Factor::plain(1, cols, 1)] },
        },
        right: Operand {
            source: Source::Tensor(x),
            sums: Vec::new(),
            map: IndexMap { base: 0, factors: vec![Factor::plain(1, cols, 1)] },
        },
    }
}

/// ReLU, clamped to `0..=hi`.
#[must_use]
pub fn relu(hi: Option<i64>) -> Op {
    Op::Clamp { lo: Some(0), hi, under: false }
}

/// An MLP `inputs → hidden → outputs` with biases and a clamped ReLU.
#[must_use]
pub fn mlp((inputs, hidden, outputs): (u32, u32, u32), k: u8, limb_bits: u8, seed: u64) -> QuantizedModel {
    let mut b = GraphBuilder::new(seed);
    let x = b.input(&[inputs], 0, 15);
    let (w1, w2) = (b.param(hidden, inputs, 7), b.param(outputs, hidden, 7));
    let bias = b.param(1, hidden, 20);
    let mut first = form(&[hidden]);
    first.products.push(dense(w1, x, hidden, inputs));
    first.terms.push(Term {
        coef: 1,
        source: Source::Param(bias),
        sums: Vec::new(),
        map: IndexMap::identity(&[hidden], 0),
    });
    let h = b.node(first, 3, relu(Some(15)));
    let mut second = form(&[outputs]);
    second.products.push(dense(w2, h, outputs, hidden));
    second.constant = 5;
    b.output(second);
    b.finish(k, limb_bits)
}

/// The product of a convolution `[c_out, h, w]` (axes 0, 1, 2, then window axes) over `[c_in, height, width]`.
#[must_use]
pub fn conv(param: ParamId, x: TensorId, c: (u32, u32), size: u32, kernel: u32, pad: i32, pooled: bool) -> Product {
    let (c_out, c_in) = c;
    let summed = vec![c_in, kernel, kernel];
    let first: u8 = if pooled { 5 } else { 3 };
    let taps = kernel * kernel;
    let spatial = |axis: u8, window: u8, tap: u8, stride: u32| {
        if pooled {
            Factor::affine(&[(axis, 2), (window, 1), (tap, 1)], -pad, size, stride)
        } else {
            Factor::affine(&[(axis, 1), (tap, 1)], -pad, size, stride)
        }
    };
    Product {
        coef: 1,
        summed,
        left: Operand {
            source: Source::Param(param),
            sums: Vec::new(),
            map: IndexMap {
                base: 0,
                factors: vec![
                    Factor::plain(0, c_out, c_in * taps),
                    Factor::plain(first, c_in, taps),
                    Factor::plain(first + 1, kernel, kernel),
                    Factor::plain(first + 2, kernel, 1),
                ],
            },
        },
        right: Operand {
            source: Source::Tensor(x),
            sums: Vec::new(),
            map: IndexMap {
                base: 0,
                factors: vec![
                    Factor::plain(first, c_in, size * size),
                    spatial(1, 3, first + 1, size),
                    spatial(2, 4, first + 2, 1),
                ],
            },
        },
    }
}

/// Two convolutions, the first pooled, then a dense layer: a small LeNet over `[1, 8, 8]`.
#[must_use]
pub fn lenet_like(k: u8, limb_bits: u8, seed: u64) -> QuantizedModel {
    let mut b = GraphBuilder::new(seed);
    let x = b.input(&[1, 8, 8], 0, 15);
    let w1 = b.param(2, 9, 5);
    let mut first = form(&[2, 4, 4, 2, 2]);
    first.products.push(conv(w1, x, (2, 1), 8, 3, 1, true));
    let pooled = b.node(first, 4, Op::Max { axes: 2, lo: Some(0), hi: Some(15) });
    let w2 = b.param(3, 2 * 9, 5);
    let mut second = form(&[3, 4, 4]);
    second.products.push(conv(w2, pooled, (3, 2), 4, 3, 1, false));
    let features = b.node(second, 5, relu(None));
    let w3 = b.param(4, 48, 5);
    let mut last = form(&[4]);
    last.products.push(dense(w3, features, 4, 48));
    b.output(last);
    b.finish(k, limb_bits)
}

/// Softmax-like: maximum over nine, exponential table, sum, division; and an elementwise square of the input.
#[must_use]
pub fn softmax_like(k: u8, limb_bits: u8, seed: u64) -> QuantizedModel {
    let mut b = GraphBuilder::new(seed);
    let x = b.input(&[9], -40, 40);
    let mut window = form(&[9]);
    window.terms.push(read(1, x, &[9]));
    let top = b.node(window, 0, Op::Max { axes: 1, lo: None, hi: None });
    let domain = Interval::new(-24, 0);
    let scales = (Scale::from_f64(0.25).expect("a scale"), Scale::from_f64(1.0 / 32.0).expect("a scale"));
    b.graph.tables.push(Table::named(Function::Exp, scales.0, scales.1, domain).expect("a table"));
    let mut relative = form(&[9]);
    relative.terms.push(read(1, x, &[9]));
    relative.terms.push(Term { coef: -1, source: Source::Tensor(top), sums: Vec::new(), map: IndexMap::default() });
    let e = b.node(relative, 1, Op::Table { table: 0 });
    let total = Term {
        coef: 2,
        source: Source::Tensor(e),
        sums: vec![9],
        map: IndexMap { base: 0, factors: vec![Factor::plain(1, 9, 1)] },
    };
    let mut denominator = form(&[9]);
    denominator.terms.push(total.clone());
    // The sum is at least the maximum's own entry, which interval analysis does not see.
    denominator.constant = 1;
    let denominator = b.bounded(denominator);
    let mut numerator = form(&[9]);
    numerator.terms.push(read(512, e, &[9]));
    numerator.terms.push(Term { coef: 1, ..total });
    let share = b.node(numerator, 0, Op::Div { denominator });
    let mut out = form(&[9]);
    out.terms.push(read(1, share, &[9]));
    out.products.push(Product {
        coef: 3,
        summed: Vec::new(),
        left: Operand { source: Source::Tensor(x), sums: Vec::new(), map: IndexMap::identity(&[9], 0) },
        right: Operand { source: Source::Tensor(share), sums: Vec::new(), map: IndexMap::identity(&[9], 0) },
    });
    b.output(out);
    b.finish(k, limb_bits)
}

/// Activation-by-activation products (batched matrix product), leaky ReLU, one- and two-sided clamps.
#[must_use]
pub fn attention_like(k: u8, limb_bits: u8, seed: u64) -> QuantizedModel {
    let mut b = GraphBuilder::new(seed);
    let x = b.input(&[2, 3, 4], -7, 8);
    let mut copy = form(&[2, 3, 4]);
    copy.terms.push(read(3, x, &[2, 3, 4]));
    let y = b.node(copy, 1, Op::Clamp { lo: Some(0), hi: None, under: true });
    let under = TensorId(y.0 + 1);
    // scores[b, i, j] = Σ_c y[b, i, c] · under[b, j, c]
    let side = |source: TensorId, axis: u8| Operand {
        source: Source::Tensor(source),
        sums: Vec::new(),
        map: IndexMap {
            base: 0,
            factors: vec![Factor::plain(0, 2, 12), Factor::plain(axis, 3, 4), Factor::plain(3, 4, 1)],
        },
    };
    let mut scores = form(&[2, 3, 3]);
    scores.products.push(Product { coef: -2, summed: vec![4], left: side(y, 1), right: side(under, 2) });
    scores.terms.push(Term {
        coef: 7,
        source: Source::Tensor(under),
        sums: vec![4],
        map: IndexMap {
            base: 0,
            factors: vec![Factor::plain(0, 2, 12), Factor::plain(1, 3, 4), Factor::plain(3, 4, 1)],
        },
    });
    let s = b.node(scores, 2, Op::Clamp { lo: Some(-20), hi: Some(12), under: false });
    let mut capped = form(&[2, 3, 3]);
    capped.terms.push(read(-1, s, &[2, 3, 3]));
    let capped = b.node(capped, 0, Op::Clamp { lo: None, hi: Some(3), under: false });
    let mut out = form(&[2, 3, 3]);
    out.terms.push(read(1, capped, &[2, 3, 3]));
    out.terms.push(read(2, s, &[2, 3, 3]));
    b.output(out);
    b.finish(k, limb_bits)
}

/// Rows of a table and of a tensor, picked by five indices into seven, some of which count from the end; and two of the vectors themselves.
#[must_use]
pub fn gather_like(k: u8, limb_bits: u8, seed: u64) -> QuantizedModel {
    const SIZE: u32 = 7;
    let mut b = GraphBuilder::new(seed);
    let ids = b.input(&[5], -7, 6);
    let x = b.input(&[SIZE, 2], -9, 9);
    let table = b.param(3, SIZE, 12);
    let mut index = form(&[5]);
    index.terms.push(read(1, ids, &[5]));
    let hot = b.node(index, 0, Op::OneHot { size: SIZE });
    let vectors = Operand {
        source: Source::Tensor(hot),
        sums: Vec::new(),
        map: IndexMap { base: 0, factors: vec![Factor::plain(0, 5, SIZE), Factor::plain(2, SIZE, 1)] },
    };
    let pick = |source: Source, factors: [Factor; 2]| Product {
        coef: 1,
        summed: vec![SIZE],
        left: Operand { source, sums: Vec::new(), map: IndexMap { base: 0, factors: factors.to_vec() } },
        right: vectors.clone(),
    };
    let mut rows = form(&[5, 3]);
    rows.products.push(pick(Source::Param(table), [Factor::plain(1, 3, SIZE), Factor::plain(2, SIZE, 1)]));
    let rows = b.node(rows, 0, relu(Some(10)));
    let mut copy = form(&[SIZE, 2]);
    copy.terms.push(read(1, x, &[SIZE, 2]));
    let copy = b.node(copy, 0, relu(None));
    let mut picked = form(&[5, 2]);
    picked.products.push(pick(Source::Tensor(copy), [Factor::plain(1, 2, 1), Factor::plain(2, SIZE, 2)]));
    b.output(picked);
    let mut out = form(&[5, 3]);
    out.terms.push(read(1, rows, &[5, 3]));
    b.output(out);
    let mut whole = form(&[2, SIZE]);
    let map = IndexMap { base: SIZE, factors: vec![Factor::plain(0, 2, 2 * SIZE), Factor::plain(1, SIZE, 1)] };
    whole.terms.push(Term { coef: 3, source: Source::Tensor(hot), sums: Vec::new(), map });
    b.output(whole);
    b.finish(k, limb_bits)
}

/// A chosen parameter's value changed by `by`; the graph stays the same.
#[must_use]
pub fn with_weight(model: &QuantizedModel, param: usize, index: usize, by: i64) -> QuantizedModel {
    let mut model = model.clone();
    let mut values = model.weights[param].to_vec();
    values[index] += by;
    model.weights[param] = values.into();
    model
}

/// A parameter's value.
#[must_use]
pub fn weight(model: &QuantizedModel, param: usize, index: usize) -> i64 {
    model.weights[param].get(index).expect("a weight")
}

/// `y = max(0, x / 4)`, `z = 3 y`, element by element.
#[must_use]
pub fn elementwise(len: u32, bounds: Interval, k: u8) -> QuantizedModel {
    let mut b = GraphBuilder::new(1);
    let x = b.input(&[len], bounds.lo, bounds.hi);
    let mut quarter = form(&[len]);
    quarter.terms.push(read(1, x, &[len]));
    let y = b.node(quarter, 2, relu(None));
    let mut triple = form(&[len]);
    triple.terms.push(read(3, y, &[len]));
    b.output(triple);
    b.finish(k, 5)
}

/// Saturations of many elements on narrow ranges, which are looked up: a ReLU of two bounds, a table beyond its ends, maxima cut at a bound; and a
/// clamp of a range that is too wide for it.
#[must_use]
pub fn saturating_like(k: u8, limb_bits: u8, seed: u64) -> QuantizedModel {
    let mut b = GraphBuilder::new(seed);
    let (shape, len) = ([10, 8], 80);
    let x = b.input(&shape, -30, 30);
    let of = |source: TensorId, coef: i64| {
        let mut own = form(&shape);
        own.terms.push(read(coef, source, &shape));
        own
    };
    let clamp = |lo: i64, hi: i64| Op::Clamp { lo: Some(lo), hi: Some(hi), under: false };
    let cut = b.node(of(x, 3), 1, clamp(0, 20));
    b.graph.tables.push(Table {
        function: Function::Custom,
        input_scale: Scale::ONE,
        output_scale: Scale::ONE,
        lo: 5,
        entries: vec![3, -4, 9, 9, 0, 2, 7],
    });
    let looked_up = b.node(of(cut, 1), 0, Op::Table { table: 0 });
    let mut both = of(looked_up, 2);
    both.terms.push(read(1, x, &shape));
    let maxima = b.node(both, 0, Op::Max { axes: 1, lo: Some(-5), hi: Some(30) });
    let wide = b.node(of(cut, 1000), 0, clamp(-7, 12_345));
    let mut out = form(&[10]);
    out.terms.push(read(1, maxima, &[10]));
    b.output(out);
    let mut out = form(&[len]);
    out.terms.push(read(1, wide, &[len]));
    b.output(out);
    b.finish(k, limb_bits)
}

/// The model with private weights, and bounds from declared widths alone.
///
/// # Panics
/// When a form leaves 64 bits.
#[must_use]
pub fn with_private_weights(mut model: QuantizedModel) -> QuantizedModel {
    model.privacy = WeightPrivacy::Private { blind_seed: [9; 32] };
    for node in 0..model.graph.nodes.len() {
        let tensors = model.graph.tensors();
        let graph = &mut model.graph;
        let form = &mut graph.nodes[node].form;
        let (lo, hi) = conservative_bounds(form, &tensors, &graph.params).expect("narrow");
        (form.bounds.lo, form.bounds.hi) = (lo.try_into().expect("narrow"), hi.try_into().expect("narrow"));
    }
    let tensors = model.graph.tensors();
    let graph = &mut model.graph;
    for output in &mut graph.outputs {
        let (lo, hi) = conservative_bounds(&output.form, &tensors, &graph.params).expect("narrow");
        (output.form.bounds.lo, output.form.bounds.hi) =
            (lo.try_into().expect("narrow"), hi.try_into().expect("narrow"));
    }
    model
}

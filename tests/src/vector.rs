//! The small model of `tests/vectors`, and the facts of it that `coefficients.py` starts from: columns, slots, tables, and relations index by
//! index, cell by cell. What challenges make of them is the script's affair.

use crate::{
    debug_verifier::{address, one_hot_element, points},
    graphs::{dense, form, read, GraphBuilder},
    lies::param_cell,
};
use serde_json::{json, Value};
use std::collections::BTreeMap;
use zkonnx_circuits::{
    compiled::CompiledModel,
    products::{Side, SumcheckProduct},
    relations::{Left, Right, TensorCells, WordTerm},
    slots::RowForm,
};
use zkonnx_quantize::{
    graph::{Form, Interval, Op, Operand, Product, Source, TensorId, Term},
    index::{Factor, IndexMap},
    model::{Gates, QuantizedModel},
    scale::Scale,
    table::{Function, Table},
};

/// `h = clamp((W·x + b − 2·Σx) / 4, 0, 12)`, `e = exp(−h)`, `s = 64·e / (e + 1)`, and
/// `o[i, j] = 3·h_i² + 2·h_i·z_i − h_i·x_j + (V·z)_i + 4·x_j + s_i + 7`, for hidden `x` and public `z`.
///
/// `W` is a matrix of two columns, `V` and `b` are pooled. There are product gates, linear gates, tables of ranges and of a function, and
/// contractions with two hidden sides, one hidden side and (linear) none of the sumcheck's; with batch axes, axes of one side, and free axes.
#[must_use]
pub fn model() -> QuantizedModel {
    let mut b = GraphBuilder::new(21);
    let x = b.input(&[8], -4, 4);
    let z = b.input(&[4], 0, 5);
    let (w, v, bias) = (b.param(4, 8, 3), b.param(4, 4, 3), b.param(1, 4, 9));
    let mut first = form(&[4]);
    first.products.push(dense(w, x, 4, 8));
    first.terms.push(Term { coef: 1, source: Source::Param(bias), sums: Vec::new(), map: IndexMap::identity(&[4], 0) });
    let all = IndexMap { base: 0, factors: vec![Factor::plain(1, 8, 1)] };
    first.terms.push(Term { coef: -2, source: Source::Tensor(x), sums: vec![8], map: all });
    let h = b.node(first, 2, Op::Clamp { lo: Some(0), hi: Some(12), under: false });
    let scales = (Scale::from_f64(0.5).expect("a scale"), Scale::from_f64(1.0 / 8.0).expect("a scale"));
    let exp = Table::named(Function::Exp, scales.0, scales.1, Interval::new(-4, 0)).expect("a table");
    b.graph.tables.push(exp);
    let times = |coef: i64, source: TensorId, constant: i64| {
        let mut own = form(&[4]);
        own.terms.push(read(coef, source, &[4]));
        own.constant = constant;
        own
    };
    let e = b.node(times(-1, h, 0), 0, Op::Table { table: 0 });
    let denominator = b.bounded(times(1, e, 1));
    let share = b.node(times(64, e, 0), 0, Op::Div { denominator });
    let side = |source: TensorId, axis: u8, size: u32| Operand {
        source: Source::Tensor(source),
        sums: Vec::new(),
        map: IndexMap { base: 0, factors: vec![Factor::plain(axis, size, 1)] },
    };
    let mut out = form(&[4, 3]);
    for (coef, right) in [(3, side(h, 0, 4)), (2, side(z, 0, 4)), (-1, side(x, 1, 3))] {
        out.products.push(Product { coef, summed: Vec::new(), left: side(h, 0, 4), right });
    }
    let mut linear = dense(v, z, 4, 4);
    for operand in [&mut linear.left, &mut linear.right] {
        // The axis after those of the form.
        operand.map.factors.last_mut().expect("a factor").axes = vec![2];
    }
    out.products.push(linear);
    out.terms.push(Term { map: side(x, 1, 3).map, ..read(4, x, &[3]) });
    out.terms.push(read(1, share, &[4]));
    out.constant = 7;
    b.output(out);
    b.finish(4, 4)
}

/// `constant + Σ coef·cell`.
#[derive(Clone, Debug, Default)]
struct Affine {
    constant: i64,
    cells: BTreeMap<(String, usize), i64>,
}

impl Affine {
    fn constant(constant: i64) -> Self {
        Self { constant, ..Self::default() }
    }

    fn add(&mut self, coef: i64, other: &Self) {
        self.constant += coef * other.constant;
        for (cell, own) in &other.cells {
            *self.cells.entry(cell.clone()).or_default() += coef * own;
        }
    }

    fn to_json(&self) -> Value {
        let cells = self.cells.iter().filter(|(_, coef)| **coef != 0);
        let cells: Vec<Value> = cells.map(|((column, row), coef)| json!([coef, column, row])).collect();
        json!([self.constant, cells])
    }
}

/// A compiled model with the public tensors of a statement.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The model.
    pub model: &'a CompiledModel,
    /// Public inputs; empty for hidden ones.
    pub inputs: &'a [Vec<i64>],
    /// Public outputs.
    pub outputs: &'a [Vec<i64>],
}

impl Facts<'_> {
    fn word(&self, word: usize, element: usize) -> Affine {
        let (word, rows) = (&self.model.placement.words[word], self.model.shape.num_active_rows());
        let mut sum = Affine::default();
        for (limb, place) in word.limbs.iter().zip(&word.places) {
            let at = place.start + element;
            let cell = (format!("w{}", place.columns[at / rows]), at % rows);
            sum.cells.insert(cell, 1 << limb.shift);
        }
        sum
    }

    fn words(&self, terms: &[WordTerm], constant: i64, point: &[u32]) -> Affine {
        let mut sum = Affine::constant(constant);
        for term in terms {
            for tail in points(&term.sums) {
                if let Some(element) = address(&term.map, &[point, &tail].concat()) {
                    sum.add(term.coef, &self.word(term.word.0, element));
                }
            }
        }
        sum
    }

    fn read(&self, source: Source, map: &IndexMap, point: &[u32]) -> Affine {
        let Some(at) = address(map, point) else { return Affine::default() };
        match source {
            Source::Param(id) => {
                let (column, row) = param_cell(self.model, id.0 as usize, at);
                Affine { constant: 0, cells: BTreeMap::from([((format!("p{column}"), row), 1)]) }
            }
            Source::Tensor(id) => match self.model.lowered.tensors[id.0 as usize] {
                TensorCells::Public(input) => Affine::constant(self.inputs[input][at]),
                TensorCells::OneHot { input, node } => {
                    Affine::constant(one_hot_element(&self.model.graph.nodes[node], &self.inputs[input], at))
                }
                TensorCells::Word { offset, coef, word, excess } => {
                    let mut value = Affine::constant(offset);
                    value.add(coef, &self.word(word.0, at));
                    excess.into_iter().for_each(|excess| value.add(1, &self.word(excess.0, at)));
                    value
                }
            },
        }
    }

    fn side(&self, operand: &Operand, point: &[u32]) -> Affine {
        let mut sum = Affine::default();
        for own in points(&operand.sums) {
            sum.add(1, &self.read(operand.source, &operand.map, &[point, &own].concat()));
        }
        sum
    }

    /// A form without the contractions of the sumcheck.
    fn form(&self, relation: usize, form: &Form, point: &[u32]) -> Affine {
        let mut sum = Affine::constant(form.constant);
        for term in &form.terms {
            for tail in points(&term.sums) {
                sum.add(term.coef, &self.read(term.source, &term.map, &[point, &tail].concat()));
            }
        }
        for (number, product) in form.products.iter().enumerate() {
            if self.model.sumcheck.linear.contains(&(relation, number)) {
                for j in points(&product.summed) {
                    let point = [point, &j].concat();
                    let known = self.side(&product.right, &point);
                    assert!(known.cells.is_empty());
                    sum.add(product.coef * known.constant, &self.side(&product.left, &point));
                }
            }
        }
        sum
    }

    /// Left minus right at every index, row-major.
    fn relation(&self, number: usize) -> Value {
        let own = &self.model.lowered.relations[number];
        let elements = points(&own.shape).enumerate().map(|(element, point)| {
            let mut sum = match &own.left {
                Left::Words(terms, constant) => self.words(terms, *constant, &point),
                Left::Output(output) => Affine::constant(self.outputs[*output][element]),
                Left::Committed(_) | Left::Weights(_) => panic!("not in this model"),
            };
            let right = match &own.right {
                Right::Words(terms, constant) => self.words(terms, *constant, &point),
                Right::Form(form) => self.form(number, form.resolve(&self.model.graph).expect("a form"), &point),
                Right::Committed(_) | Right::Weights(_) => panic!("not in this model"),
            };
            sum.add(-1, &right);
            sum.to_json()
        });
        json!({ "sizes": own.shape, "elements": elements.collect::<Vec<_>>() })
    }

    /// What the sides of a contraction are at every point of their axes; axes that a side does not read are at zero.
    fn contraction(&self, entry: &SumcheckProduct) -> Value {
        let Right::Form(form) = &self.model.lowered.relations[entry.relation].right else { panic!("a form") };
        let form = form.resolve(&self.model.graph).expect("a form");
        let product = &form.products[entry.product];
        let (outer, sizes) = (form.shape.len(), [form.shape.as_slice(), &product.summed].concat());
        let operands = [&product.left, &product.right];
        let reads = operands.map(|operand| (0..outer).filter(|axis| operand.map.uses(*axis)).collect::<Vec<_>>());
        let sides = operands.map(|operand| {
            let used = |axis: usize| axis >= outer || operand.map.uses(axis);
            let own: Vec<u32> = sizes.iter().enumerate().map(|(a, size)| if used(a) { *size } else { 1 }).collect();
            points(&own).map(|point| json!([point, self.side(operand, &point).to_json()])).collect::<Vec<_>>()
        });
        let hidden = [entry.left, entry.right].map(|side| side == Side::Hidden);
        json!({
            "relation": entry.relation, "coef": product.coef, "sizes": sizes, "outer": outer,
            "reads": reads, "hidden": hidden, "sides": sides,
        })
    }

    /// Everything.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let (model, shape) = (self.model, &self.model.shape);
        let name = |column: usize| format!("w{column}");
        let row_form = |form: &RowForm| {
            let terms: Vec<Value> = form.terms.iter().map(|(column, coef)| json!([coef, name(*column)])).collect();
            json!([form.constant, terms])
        };
        let table = |group: usize| -> Vec<Value> {
            shape.table_group(group).iter().map(|row| json!([row.tag, row.x, row.y])).collect()
        };
        let slots = &shape.slots;
        let lookups = slots.lookups.iter().map(|own| json!([name(own.x), own.y.map(name), own.tag]));
        let products = slots.products.iter().map(|gate| [&gate.a, &gate.b, &gate.c].map(row_form));
        json!({
            "k": shape.k,
            "gates": if shape.gates == Gates::Relations { "relations" } else { "halo2" },
            "columns": shape.columns.len(),
            "lookups": lookups.collect::<Vec<_>>(),
            "tables": (0..shape.num_table_groups()).map(table).collect::<Vec<_>>(),
            "products": products.collect::<Vec<_>>(),
            "linear": slots.linear.iter().map(row_form).collect::<Vec<_>>(),
            "params": {
                "columns": model.params.num_columns, "pooled": model.params.num_pooled,
                "combined": model.sumcheck.num_combined,
            },
            "relations": (0..model.lowered.relations.len()).map(|r| self.relation(r)).collect::<Vec<_>>(),
            "contractions": model.sumcheck.products.iter().map(|own| self.contraction(own)).collect::<Vec<_>>(),
        })
    }
}

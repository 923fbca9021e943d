//! Graphs of one gadget each, as many times as wanted.

use crate::Fixture;
use zkonnx_quantize::{
    bounds::tight_bounds,
    graph::{Form, Graph, Input, Interval, Node, Op, Operand, Output, Product, Source, TensorId, Term},
    index::{Factor, IndexMap},
    model::{Gates, LayoutChoice, QuantizedModel, WeightPrivacy},
    scale::Scale,
    table::{Function, Table},
    validate::validate_graph,
};

/// Rows `2^9`, limbs of 8 bits: all gadgets fill columns of the same kind.
const LAYOUT: LayoutChoice = LayoutChoice { k: 9, limb_bits: 8, gates: Gates::Relations };
/// Elements of a window whose maximum is taken.
const WINDOW: u32 = 4;
/// Products that a sum of products has.
const DEPTH: u32 = 16;

/// A gadget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gadget {
    /// Shift by two bits, and the range check of both parts.
    Rescale,
    /// The same, then `max(q, 0)`.
    Relu,
    /// The same, then a function by its table of 257 entries.
    Table,
    /// The largest of four.
    Max,
    /// A quotient of two tensors.
    Division,
    /// A product of two matrices of tensors, 16 products for an element, rescaled.
    Product,
}

impl Gadget {
    /// All of them, with their names.
    pub const ALL: [(&'static str, Self); 6] = [
        ("rescale", Self::Rescale),
        ("relu", Self::Relu),
        ("table", Self::Table),
        ("max of 4", Self::Max),
        ("division", Self::Division),
        ("matmul of tensors", Self::Product),
    ];

    /// A model with `side²` results of the gadget, whose sum is the output, and inputs over all of their interval.
    ///
    /// # Panics
    /// When the graph is not valid.
    #[must_use]
    pub fn fixture(self, side: u32) -> Fixture {
        let lanes = side * side;
        let signed = Interval::new(-512, 511);
        let mut graph = Graph::default();
        let mut node_form = form(&[lanes]);
        let (mut shift, mut op) = (2, Op::Clamp { lo: None, hi: None, under: false });
        match self {
            Self::Rescale => node_form.terms.push(read(declare(&mut graph, lanes, signed), lanes)),
            Self::Relu => {
                node_form.terms.push(read(declare(&mut graph, lanes, signed), lanes));
                op = Op::Clamp { lo: Some(0), hi: None, under: false };
            }
            Self::Table => {
                node_form.terms.push(read(declare(&mut graph, lanes, signed), lanes));
                let unit = |exponent| Scale::power_of_two(exponent).expect("a scale");
                let table = Table::named(Function::Tanh, unit(-5), unit(-7), Interval::new(-128, 128));
                graph.tables.push(table.expect("narrow values"));
                op = Op::Table { table: 0 };
            }
            Self::Max => {
                node_form = form(&[lanes, WINDOW]);
                let x = declare(&mut graph, lanes * WINDOW, Interval::new(-128, 127));
                let map =
                    IndexMap { base: 0, factors: vec![Factor::plain(0, lanes, WINDOW), Factor::plain(1, WINDOW, 1)] };
                node_form.terms.push(Term { coef: 1, source: Source::Tensor(x), sums: vec![], map });
                (shift, op) = (0, Op::Max { axes: 1, lo: None, hi: None });
            }
            Self::Division => {
                node_form.terms.push(read(declare(&mut graph, lanes, signed), lanes));
                let mut denominator = form(&[lanes]);
                denominator.terms.push(read(declare(&mut graph, lanes, Interval::new(1, 255)), lanes));
                (shift, op) = (0, Op::Div { denominator: bounded(&graph, denominator) });
            }
            Self::Product => {
                node_form = form(&[side, side]);
                let narrow = Interval::new(-4, 4);
                let mut operand = |axis: u8| Operand {
                    source: Source::Tensor(declare(&mut graph, side * DEPTH, narrow)),
                    sums: vec![],
                    map: IndexMap {
                        base: 0,
                        factors: vec![Factor::plain(axis, side, DEPTH), Factor::plain(2, DEPTH, 1)],
                    },
                };
                let (left, right) = (operand(0), operand(1));
                node_form.products.push(Product { coef: 1, summed: vec![DEPTH], left, right });
            }
        }
        let y = TensorId(u32::try_from(graph.inputs.len()).expect("few inputs"));
        let form_of_node = bounded(&graph, node_form);
        graph.nodes.push(Node { name: "gadget".into(), form: form_of_node, shift, op, scale: Scale::ONE });
        let mut sum = form(&[]);
        sum.terms.push(Term { sums: vec![lanes], ..read(y, lanes) });
        let sum = bounded(&graph, sum);
        graph.outputs.push(Output { name: "sum".into(), shape: vec![], form: sum, scale: Scale::ONE });
        validate_graph(&graph).expect("a valid graph");
        let inputs = graph.inputs.iter().map(spread).collect();
        let model = QuantizedModel { graph, weights: vec![], layout: LAYOUT, privacy: WeightPrivacy::Public };
        Fixture::new(model, vec![inputs])
    }
}

fn form(shape: &[u32]) -> Form {
    Form { shape: shape.to_vec(), terms: vec![], products: vec![], constant: 0, bounds: Interval::new(0, 0) }
}

fn bounded(graph: &Graph, mut form: Form) -> Form {
    form.bounds = tight_bounds(&form, &graph.tensors(), &[], &[]).expect("a valid form");
    form
}

fn declare(graph: &mut Graph, len: u32, bounds: Interval) -> TensorId {
    let id = graph.inputs.len();
    graph.inputs.push(Input { name: format!("input{id}"), shape: vec![len], bounds, scale: Scale::ONE });
    TensorId(u32::try_from(id).expect("few inputs"))
}

/// A tensor of `len` elements, read along the first axis.
fn read(source: TensorId, len: u32) -> Term {
    Term { coef: 1, source: Source::Tensor(source), sums: vec![], map: IndexMap::identity(&[len], 0) }
}

/// Integers all over an interval, in no order.
fn spread(input: &Input) -> Vec<i64> {
    let width = input.bounds.hi - input.bounds.lo + 1;
    (0..i64::from(input.shape[0])).map(|i| input.bounds.lo + i * 2_654_435_761 % width).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_gadget_is_proven_and_has_cells_for_every_lane() {
        for (name, gadget) in Gadget::ALL {
            let [small, large] = [gadget.fixture(8), gadget.fixture(16)];
            let (statement, _) = small.checked_proof();
            assert_eq!(statement.outputs.len(), 1, "{name}");
            assert_eq!(large.num_cells(), 4 * small.num_cells(), "{name}");
            assert_eq!(small.num_cells() % 64, 0, "{name}");
        }
    }
}

//! How the nodes of an integer graph are proven, in words.

use zkonnx_circuits::{
    compiled::CompiledModel,
    relations::{FormRef, Right},
};
use zkonnx_quantize::{
    contraction::{volume, ProductAxes},
    graph::{Graph, Node, Op},
    table::Function,
};

/// Phrases in order of their first appearance, with how often each stands.
#[derive(Debug, Default)]
pub(crate) struct Phrases(pub(crate) Vec<(String, usize)>);

impl Phrases {
    pub(crate) fn add(&mut self, phrase: String) {
        self.add_times(phrase, 1);
    }

    pub(crate) fn add_times(&mut self, phrase: String, times: usize) {
        match self.0.iter_mut().find(|(known, _)| *known == phrase) {
            Some((_, count)) => *count += times,
            None => self.0.push((phrase, times)),
        }
    }

    pub(crate) fn list(self) -> Vec<String> {
        let phrase = |(phrase, count): (String, usize)| if count == 1 { phrase } else { format!("{phrase} x{count}") };
        self.0.into_iter().map(phrase).collect()
    }
}

/// The gadget of a node of the integer graph.
pub(crate) fn gadget(graph: &Graph, node: &Node) -> String {
    match &node.op {
        Op::Clamp { under: true, .. } => "clamp on both sides of zero".into(),
        Op::Clamp { lo: None, hi: None, .. } if node.shift == 0 => "range check".into(),
        Op::Clamp { lo: None, hi: None, .. } => "rounding".into(),
        Op::Clamp { .. } => "clamp".into(),
        Op::Table { table } => {
            let Some(table) = graph.tables.get(*table as usize) else { return "table".into() };
            let name = match table.function {
                Function::Custom => String::new(),
                Function::Curve(curve) => format!(" ({curve:?})"),
                function => format!(" ({function:?})"),
            };
            format!("table of {}{name}", table.entries.len())
        }
        Op::Max { axes, .. } => {
            let window = &node.form.shape[node.form.shape.len().saturating_sub(usize::from(*axes))..];
            format!("max over {}", window.iter().map(|s| u64::from(*s)).product::<u64>())
        }
        Op::Div { .. } => "division".into(),
        Op::OneHot { size } => format!("one-hot vectors of {size}"),
    }
}

/// The contractions of every node, then of every output.
pub(crate) fn contractions(compiled: &CompiledModel) -> Vec<Phrases> {
    let graph = &compiled.graph;
    let mut phrases: Vec<Phrases> = Vec::new();
    phrases.resize_with(graph.nodes.len() + graph.outputs.len(), Phrases::default);
    let products = compiled.sumcheck.products.iter().map(|p| (p.relation, p.product, "contraction"));
    let linear = compiled.sumcheck.linear.iter().map(|(r, p)| (*r, *p, "linear in the public input"));
    for (relation, product, what) in products.chain(linear) {
        let Some(Right::Form(form_ref)) = compiled.lowered.relations.get(relation).map(|r| &r.right) else { continue };
        let place = match *form_ref {
            FormRef::Node(i) | FormRef::Denominator(i) => i,
            FormRef::Output(i) => graph.nodes.len() + i,
        };
        let Some(form) = form_ref.resolve(graph) else { continue };
        let Some(product) = form.products.get(product) else { continue };
        let axes = ProductAxes::new(form, product);
        let [rows, cols, summed, batch] = [&axes.rows, &axes.cols, &axes.summed, &axes.batch].map(|a| volume(a));
        phrases[place].add(match (rows * cols * summed, batch) {
            (1, batch) => format!("elementwise product of {batch}"),
            (_, 1) => format!("{what} {rows}x{cols}x{summed}"),
            (_, batch) => format!("{what} {batch} times {rows}x{cols}x{summed}"),
        });
    }
    phrases
}

/// Cells of words: limbs of all elements.
pub(crate) fn cells(compiled: &CompiledModel) -> usize {
    compiled.placement.words.iter().map(|word| word.len * word.limbs.len()).sum()
}

/// A name cut at the front: its end tells more.
pub(crate) fn cut(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.to_owned();
    }
    std::iter::once('…').chain(text.chars().skip(length - width + 1)).collect()
}

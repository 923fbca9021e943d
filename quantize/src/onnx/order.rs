//! The order of nodes: exporters and editors leave some behind what reads them.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap, HashMap},
};
use tract_onnx::pb::NodeProto;

/// Graphs within attributes are searched as deeply as this for what they read.
const MAX_DEPTH: usize = 32;

/// An order in which every node comes after those whose results it reads, as near to the given one as that allows; `None`
/// where the given order is one. Nodes that wait for each other come last: reading them is an error.
pub(crate) fn sorted(nodes: &[NodeProto]) -> Option<Vec<usize>> {
    let mut makers: HashMap<&str, usize> = HashMap::new();
    for (i, node) in nodes.iter().enumerate() {
        for output in node.output.iter().filter(|o| !o.is_empty()) {
            makers.entry(output).or_insert(i);
        }
    }
    let needed: Vec<BTreeSet<usize>> = nodes
        .iter()
        .map(|node| {
            let mut found = BTreeSet::new();
            reads(node, &mut |name| found.extend(makers.get(name)), MAX_DEPTH);
            found
        })
        .collect();
    if needed.iter().enumerate().all(|(i, needed)| needed.last().is_none_or(|last| *last < i)) {
        return None;
    }
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    let mut waits: Vec<usize> = needed.iter().map(BTreeSet::len).collect();
    for (i, needed) in needed.iter().enumerate() {
        needed.iter().for_each(|maker| readers[*maker].push(i));
    }
    let mut ready: BinaryHeap<Reverse<usize>> = (0..nodes.len()).filter(|i| waits[*i] == 0).map(Reverse).collect();
    let mut order = Vec::with_capacity(nodes.len());
    while let Some(Reverse(i)) = ready.pop() {
        order.push(i);
        for reader in &readers[i] {
            waits[*reader] -= 1;
            if waits[*reader] == 0 {
                ready.push(Reverse(*reader));
            }
        }
    }
    order.extend((0..nodes.len()).filter(|i| waits[*i] > 0));
    Some(order)
}

/// Visits all names that a node reads, in its graphs too.
fn reads<'a>(node: &'a NodeProto, visit: &mut impl FnMut(&'a str), depth: usize) {
    node.input.iter().filter(|i| !i.is_empty()).for_each(|name| visit(name));
    if depth == 0 {
        return;
    }
    for graph in node.attribute.iter().flat_map(|a| a.g.iter().chain(&a.graphs)) {
        graph.output.iter().for_each(|output| visit(&output.name));
        for inner in &graph.node {
            // A closure of a closure would be a new type at every depth.
            reads_within(inner, visit, depth - 1);
        }
    }
}

fn reads_within<'a>(node: &'a NodeProto, visit: &mut dyn FnMut(&'a str), depth: usize) {
    reads(node, &mut |name| visit(name), depth);
}

#[cfg(test)]
mod tests {
    use super::*;
    use tract_onnx::pb::{AttributeProto, GraphProto};

    fn node(inputs: &[&str], output: &str) -> NodeProto {
        NodeProto {
            input: inputs.iter().map(|i| (*i).into()).collect(),
            output: vec![output.into()],
            ..NodeProto::default()
        }
    }

    #[test]
    fn nodes_come_after_what_they_read_and_else_stay() {
        assert_eq!(sorted(&[node(&["x"], "a"), node(&["a"], "b")]), None);
        let nodes = [node(&["b", "x"], "c"), node(&["x"], "d"), node(&["a"], "b"), node(&["x"], "a")];
        assert_eq!(sorted(&nodes), Some(vec![1, 3, 2, 0]));
        // In a circle.
        assert_eq!(sorted(&[node(&["b"], "a"), node(&["a"], "b"), node(&["x"], "c")]), Some(vec![2, 0, 1]));
    }

    #[test]
    fn a_graph_in_an_attribute_reads_what_its_nodes_read() {
        let inner = GraphProto { node: vec![node(&["late"], "inner")], ..GraphProto::default() };
        let attribute = AttributeProto { g: Some(inner), ..AttributeProto::default() };
        let branch = NodeProto { attribute: vec![attribute], ..node(&["x"], "y") };
        assert_eq!(sorted(&[branch, node(&["x"], "late")]), Some(vec![1, 0]));
    }
}

//! How each ONNX node is proven, and what it costs.

use super::{files, gates::layout_text};
use crate::proven_by::{cells, contractions, cut, gadget, Phrases};
use serde::Serialize;
use serde_json::Value;
use std::{
    collections::{BTreeSet, HashMap},
    fmt,
};
use zkonnx_circuits::{
    compiled::CompiledModel,
    node_cost::{NodeCost, NodeCosts},
};
use zkonnx_quantize::{graph::Op, onnx::inspect::Inspection, TableNote};

/// Characters of a node's name in the integer graph: longer ones are cut.
const NAME: usize = 120;

/// One ONNX node, or one output.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    name: String,
    op: String,
    shape: Vec<usize>,
    /// Gadgets and contractions, each with how often it stands.
    by: Vec<String>,
    /// Nodes and outputs whose linear part holds this one.
    within: Vec<String>,
    cells: usize,
    seconds: f64,
    share: f64,
}

/// All nodes and outputs, and the whole.
#[derive(Debug)]
pub(super) struct Rows {
    rows: Vec<Row>,
    folded: usize,
    total: Value,
    summary: [String; 2],
}

/// The ONNX node of a node of the integer graph: its name, or what it starts with.
fn onnx_node(places: &HashMap<String, usize>, name: &str) -> Option<usize> {
    let mut name = name;
    loop {
        if let Some(place) = places.get(name) {
            return Some(*place);
        }
        name = &name[..name.rfind('/')?];
    }
}

/// How each node of a model is proven, and what it costs.
pub(super) fn rows(inspection: &Inspection, compiled: &CompiledModel, costs: &NodeCosts, notes: &[TableNote]) -> Rows {
    let graph = &compiled.graph;
    let cut = |name: &str| name.chars().take(NAME).collect::<String>();
    let places: HashMap<String, usize> =
        inspection.nodes.iter().enumerate().rev().map(|(i, n)| (cut(&n.name), i)).collect();
    let mut sums = vec![NodeCost::default(); inspection.nodes.len() + 1];
    let mut phrases: Vec<Phrases> = Vec::new();
    phrases.resize_with(sums.len(), Phrases::default);
    let mut contractions = contractions(compiled);
    let outputs = contractions.split_off(graph.nodes.len());
    let rest = inspection.nodes.len();
    // Interpolated tables first: they tell what several nodes are together.
    let interpolated: Vec<&TableNote> = notes.iter().filter(|n| n.interpolated).collect();
    for note in &interpolated {
        let place = onnx_node(&places, &cut(&note.node)).unwrap_or(rest);
        let (function, entries, error) = (&note.function, note.entries, note.max_error);
        phrases[place].add(format!("interpolated table of {function}, {entries} segments, error below {error:.1e}"));
    }
    let is_part = |name: &str| {
        let (base, part) = name.rsplit_once('/').unwrap_or((name, ""));
        matches!(part, "argument" | "segment" | "offset" | "middle" | "rise")
            && interpolated.iter().any(|n| n.node == base)
    };
    let mut other = Vec::new();
    let parts = graph.nodes.iter().zip(&costs.nodes).zip(contractions);
    for ((node, cost), contractions) in parts {
        let place = onnx_node(&places, &node.name).unwrap_or_else(|| {
            other.push(node.name.as_str());
            rest
        });
        sums[place].cells += cost.cells;
        sums[place].seconds += cost.seconds;
        if !is_part(&node.name) {
            let part = inspection.nodes.get(place).and_then(|n| node.name.strip_prefix(&n.name));
            let part = part.and_then(|rest| rest.rsplit('/').next()).filter(|part| !part.is_empty());
            phrases[place].add(match (part, &node.op) {
                (Some(part), Op::Clamp { .. }) => format!("{} ({part})", gadget(graph, node)),
                _ => gadget(graph, node),
            });
        }
        contractions.0.into_iter().for_each(|(phrase, times)| phrases[place].add_times(phrase, times));
    }
    let total = costs.total.seconds;
    let row = |name: &str, op: &str, shape: Vec<usize>, by: Vec<String>, cost: NodeCost| Row {
        name: name.to_owned(),
        op: op.to_owned(),
        shape,
        by,
        within: Vec::new(),
        cells: cost.cells,
        seconds: cost.seconds,
        share: if total > 0.0 { cost.seconds / total } else { 0.0 },
    };
    let mut rows: Vec<Row> = Vec::new();
    let mut phrases = phrases.into_iter().map(Phrases::list);
    for (node, cost) in inspection.nodes.iter().zip(&sums) {
        rows.push(row(&node.name, &node.op, node.shape.clone(), phrases.next().unwrap_or_default(), *cost));
    }
    let names: HashMap<&str, usize> = inspection.nodes.iter().enumerate().map(|(i, n)| (n.name.as_str(), i)).collect();
    let within: Vec<Vec<String>> = (0..rows.len()).map(|i| within(inspection, &names, &rows, i)).collect();
    for (row, within) in rows.iter_mut().zip(within) {
        row.within = within;
    }
    if sums[rest].cells > 0 {
        rows.push(row(&other.join(", "), "(other)", Vec::new(), phrases.next().unwrap_or_default(), sums[rest]));
    }
    for ((output, cost), contractions) in graph.outputs.iter().zip(&costs.outputs).zip(outputs) {
        let shape = output.shape.iter().map(|s| *s as usize).collect();
        let by = std::iter::once("exact linear form".to_owned()).chain(contractions.list()).collect();
        rows.push(row(&output.name, "(output)", shape, by, *cost));
    }
    let (layout, cost, cells) = (compiled.layout, costs.total, cells(compiled));
    Rows {
        rows,
        folded: inspection.folded,
        total: serde_json::json!({
            "k": layout.k,
            "limb_bits": layout.limb_bits,
            "gates": layout.gates,
            "columns": cost.columns,
            "cells": cells,
            "lookups": cost.lookups,
            "prove_seconds": cost.seconds,
            "verify_seconds": cost.verify_seconds,
            "memory_bytes": cost.memory,
            "proof_bytes": cost.proof_bytes,
        }),
        summary: [
            format!("{}, {} columns, {cells} cells, {} looked up", layout_text(layout), cost.columns, cost.lookups),
            files::cost_text(&cost),
        ],
    }
}

/// Where a node without a gadget of its own goes: the next nodes that have one, and outputs.
fn within(inspection: &Inspection, names: &HashMap<&str, usize>, rows: &[Row], start: usize) -> Vec<String> {
    if rows.get(start).is_none_or(|row| !row.by.is_empty()) {
        return Vec::new();
    }
    let (mut open, mut seen, mut found) = (vec![start], BTreeSet::from([start]), Vec::new());
    while let Some(at) = open.pop() {
        for reader in &inspection.nodes[at].readers {
            match names.get(reader.as_str()) {
                Some(next) if rows[*next].by.is_empty() => {
                    if seen.insert(*next) {
                        open.push(*next);
                    }
                }
                _ if found.contains(reader) => {}
                _ => found.push(reader.clone()),
            }
        }
    }
    found
}

impl Rows {
    pub(super) fn total_json(&self) -> Value {
        self.total.clone()
    }

    pub(super) fn nodes_json(&self) -> Value {
        serde_json::json!(self.rows)
    }
}

impl Row {
    fn how(&self) -> String {
        if !self.by.is_empty() {
            return self.by.join("; ");
        }
        let shown = self.within.iter().take(3).map(|name| cut(name, 32)).collect::<Vec<_>>().join(", ");
        let more = if self.within.len() > 3 { ", …" } else { "" };
        if shown.is_empty() {
            "free".into()
        } else {
            format!("free, within {shown}{more}")
        }
    }
}

impl fmt::Display for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |of: fn(&Row) -> usize, most: usize| self.rows.iter().map(of).max().unwrap_or(0).clamp(8, most);
        let op = width(|row| row.op.chars().count(), 24);
        let name = width(|row| row.name.chars().count(), 36);
        let shape = width(|row| format!("{:?}", row.shape).len(), 20);
        writeln!(
            f,
            "{:>7} {:>9}  {:op$}  {:name$}  {:shape$}  proven by",
            "time", "cells", "operator", "node", "shape"
        )?;
        for row in &self.rows {
            let (cost, cells) = if row.by.is_empty() {
                (String::new(), String::new())
            } else {
                (format!("{:.1} %", 100.0 * row.share), row.cells.to_string())
            };
            let dims = format!("{:?}", row.shape);
            let (operator, node) = (cut(&row.op, op), cut(&row.name, name));
            writeln!(f, "{cost:>7} {cells:>9}  {operator:op$}  {node:name$}  {dims:shape$}  {}", row.how())?;
        }
        if self.folded > 0 {
            writeln!(f, "           and {} nodes that are constants, change nothing or are not needed", self.folded)?;
        }
        let [layout, cost] = &self.summary;
        write!(f, "predicted  {layout}\npredicted  {cost}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_node_belong_to_it_whatever_its_name() {
        let places = HashMap::from([("/a/Softmax".to_owned(), 0), ("/a".to_owned(), 1), ("b".to_owned(), 2)]);
        assert_eq!(onnx_node(&places, "/a/Softmax/exp/argument"), Some(0));
        assert_eq!(onnx_node(&places, "/a/Other"), Some(1));
        assert_eq!(onnx_node(&places, "b"), Some(2));
        assert_eq!(onnx_node(&places, "c/max"), None);
    }

    #[test]
    fn equal_phrases_are_counted() {
        let mut phrases = Phrases::default();
        ["clamp", "max over 4", "clamp"].into_iter().for_each(|p| phrases.add(p.into()));
        assert_eq!(phrases.list(), ["clamp x2", "max over 4"]);
    }

    #[test]
    fn long_names_keep_their_ends() {
        assert_eq!(cut("abcdef", 4), "…def");
        assert_eq!(cut("abcd", 4), "abcd");
    }
}

//! Import of tree ensembles, in the spelling of operator sets 1 to 3 and in that of 5.

use super::{
    attributes::{floats_or_tensor, indices, ints, strings, tensor},
    scores::{above, binary_scores, post_transform, rows, Classes},
    trees::{Ensemble, Node, Test},
};
use crate::onnx::{
    context::{Context, Outputs},
    element::Element,
    error::NodeProblem,
    graph::{FloatOp, ValueId},
    ops::reduce::Reduction,
};
use std::{collections::HashMap, sync::Arc};

pub(super) const OPS: &[&str] = &["TreeEnsemble", "TreeEnsembleClassifier", "TreeEnsembleRegressor"];

pub(super) fn import(c: &mut Context<'_>) -> Outputs {
    match c.node.op_type.as_str() {
        "TreeEnsembleClassifier" => classifier(c),
        "TreeEnsembleRegressor" => {
            let targets = one_or_more(c.attributes.int("n_targets").unwrap_or(1))?;
            let forest = Forest::of_lists(c, ["target_ids", "target_nodeids", "target_treeids"], targets)?;
            let aggregate = Aggregate::named(c.attributes.string("aggregate_function").unwrap_or("SUM"))?;
            let base = floats_or_tensor(c, "base_values", "base_values_as_tensor")?;
            let scores = forest.scores(c, aggregate, &base)?;
            let transform = c.attributes.string("post_transform").unwrap_or("NONE").to_owned();
            regression(c, scores, &transform, targets)
        }
        _ => {
            let targets = one_or_more(c.attributes.int("n_targets").unwrap_or(1))?;
            let forest = Forest::of_tensors(c, targets)?;
            let aggregate = Aggregate::numbered(c.attributes.int("aggregate_function").unwrap_or(1))?;
            let scores = forest.scores(c, aggregate, &[])?;
            let names = ["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"];
            let number = usize::try_from(c.attributes.int("post_transform").unwrap_or(0)).ok();
            let name = number.and_then(|i| names.get(i)).ok_or(NodeProblem::Attribute("post_transform"))?;
            regression(c, scores, name, targets)
        }
    }
}

/// What a regressor makes of its sums: with one target the transform is left out, as in ONNX Runtime.
fn regression(c: &mut Context<'_>, scores: ValueId, transform: &str, targets: usize) -> Outputs {
    let transform = if targets == 1 && transform != "PROBIT" { "NONE" } else { transform };
    Ok(vec![post_transform(c, scores, transform)?])
}

fn one_or_more(count: i64) -> Result<usize, NodeProblem> {
    usize::try_from(count).ok().filter(|n| (1..=1 << 16).contains(n)).ok_or(NodeProblem::Attribute("n_targets"))
}

fn classifier(c: &mut Context<'_>) -> Outputs {
    let classes = Classes::read(c, "classlabels_int64s")?;
    let count = classes.len();
    let forest = Forest::of_lists(c, ["class_ids", "class_nodeids", "class_treeids"], count)?;
    let base = floats_or_tensor(c, "base_values", "base_values_as_tensor")?;
    let weights = || forest.ensemble.leaves.iter().flatten();
    let positive = weights().all(|(_, w)| *w >= 0.0);
    let scored: Vec<Scored> = (0..count).map(|class| forest.scored(class)).collect();
    let transform = c.attributes.string("post_transform").unwrap_or("NONE").to_owned();
    if count <= 2 {
        return two_classes(c, forest, &classes, &scored, (&base, positive), &transform);
    }
    // Labels are chosen among classes that some leaf on the row's way, or a base value, gives a weight.
    let known: Vec<bool> = match base.is_empty() {
        false => vec![true; count],
        true => scored.iter().map(|s| *s != Scored::Never).collect(),
    };
    if base.is_empty() && scored.contains(&Scored::Sometimes) && !weights().all(|(_, w)| *w > 0.0) {
        return Err(NodeProblem::Variant("classes that only some leaves know, with weights that are not positive"));
    }
    let scores = forest.scores(c, Aggregate::Sum, &base)?;
    let label = classes.largest(c, scores, &known)?;
    let probabilities = post_transform(c, scores, &transform)?;
    Ok(vec![label, probabilities])
}

/// One or two classes, with the conventions of ONNX Runtime.
///
/// Weights for the first class alone are one score `s`: of two classes the second is chosen if `s > ½` when no
/// weight is negative, and otherwise if `s > 0`; the scores are `[1 − s, s]` or `[−s, s]`, or with `LOGISTIC` those of
/// `[−s, s]`; other transforms are left out.
fn two_classes(
    c: &mut Context<'_>,
    forest: Forest,
    classes: &Classes,
    scored: &[Scored],
    (base, positive): (&[f64], bool),
    transform: &str,
) -> Outputs {
    if base.len() == 2 {
        return Err(NodeProblem::Variant("two base values for two classes: their meaning differs between runtimes"));
    }
    if transform == "PROBIT" {
        return Err(NodeProblem::Variant("the post-transform PROBIT"));
    }
    let base = base.first().copied().unwrap_or(0.0);
    match scored {
        [Scored::Always] => {
            let score = forest.scores(c, Aggregate::Sum, &[base])?;
            let above = above(c, score, 0.0)?;
            Ok(vec![classes.column(c, above)?, score])
        }
        [Scored::Always, Scored::Never] => {
            let score = forest.of_one_target().scores(c, Aggregate::Sum, &[base])?;
            let threshold = if positive { 0.5 } else { 0.0 };
            let above = above(c, score, threshold)?;
            let label = classes.of_two(c, above)?;
            let scores = binary_scores(c, score, transform, if positive { 1.0 } else { 0.0 })?;
            Ok(vec![label, scores])
        }
        [Scored::Never, Scored::Always] => {
            let scores = forest.scores(c, Aggregate::Sum, &[0.0, 0.0])?;
            let second = c.slice(scores, 1, (1, 1, 1))?;
            let threshold = if positive { 0.5 } else { 0.0 };
            let above = above(c, second, threshold)?;
            let label = classes.of_two(c, above)?;
            Ok(vec![label, post_transform(c, scores, transform)?])
        }
        [Scored::Always, Scored::Always] => {
            let scores = forest.scores(c, Aggregate::Sum, &[base, 0.0])?;
            // Not the larger of the two, and not its label: so does ONNX Runtime.
            let second = c.slice(scores, 1, (1, 1, 1))?;
            let above = above(c, second, 0.0)?;
            Ok(vec![classes.column(c, above)?, post_transform(c, scores, transform)?])
        }
        _ => Err(NodeProblem::Variant("two classes that only some leaves know")),
    }
}

/// How often leaves give a class a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scored {
    /// On every row's way.
    Always,
    /// On some rows' ways, perhaps.
    Sometimes,
    /// Nowhere.
    Never,
}

/// How the weights of all trees become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Aggregate {
    Average,
    Sum,
    Min,
    Max,
}

impl Aggregate {
    const NAMES: [(&'static str, Self); 4] =
        [("AVERAGE", Self::Average), ("SUM", Self::Sum), ("MIN", Self::Min), ("MAX", Self::Max)];

    fn named(name: &str) -> Result<Self, NodeProblem> {
        let found = Self::NAMES.iter().find(|(n, _)| *n == name);
        found.map(|(_, a)| *a).ok_or(NodeProblem::Attribute("aggregate_function"))
    }
    fn numbered(number: i64) -> Result<Self, NodeProblem> {
        let found = usize::try_from(number).ok().and_then(|i| Self::NAMES.get(i));
        found.map(|(_, a)| *a).ok_or(NodeProblem::Attribute("aggregate_function"))
    }
}

/// An ensemble as read, without base values.
struct Forest {
    ensemble: Ensemble,
}

impl Forest {
    /// The spelling of operator sets 1 to 3: one list per property of nodes, and lists of weights whose names are given
    /// (of targets, node numbers and tree numbers).
    fn of_lists(c: &Context<'_>, names: [&'static str; 3], targets: usize) -> Result<Self, NodeProblem> {
        let trees = ints(c, "nodes_treeids");
        let numbers = ints(c, "nodes_nodeids");
        let features = indices(c, "nodes_featureids")?;
        let modes = strings(c, "nodes_modes")?;
        let values = floats_or_tensor(c, "nodes_values", "nodes_values_as_tensor")?;
        let (yes, no) = (ints(c, "nodes_truenodeids"), ints(c, "nodes_falsenodeids"));
        let count = trees.len();
        let lengths = [numbers.len(), features.len(), modes.len(), values.len(), yes.len(), no.len()];
        if count == 0 || lengths.iter().any(|l| *l != count) {
            return Err(NodeProblem::Attribute("nodes_treeids"));
        }
        let mut places = HashMap::new();
        for (i, id) in trees.iter().zip(numbers).enumerate() {
            if places.insert((*id.0, *id.1), i).is_some() {
                return Err(NodeProblem::Attribute("nodes_nodeids"));
            }
        }
        let mut nodes = Vec::with_capacity(count);
        let mut leaves = Vec::new();
        let mut is_child = vec![false; count];
        for i in 0..count {
            let test = match modes[i].as_str() {
                "LEAF" => {
                    nodes.push(Node::Leaf(leaves.len()));
                    leaves.push(Vec::new());
                    continue;
                }
                "BRANCH_LEQ" => Test::LessOrEqual(values[i]),
                "BRANCH_LT" => Test::Less(values[i]),
                "BRANCH_GTE" => Test::GreaterOrEqual(values[i]),
                "BRANCH_GT" => Test::Greater(values[i]),
                "BRANCH_EQ" => Test::Member(vec![values[i]]),
                "BRANCH_NEQ" => Test::NoMember(vec![values[i]]),
                _ => return Err(NodeProblem::Attribute("nodes_modes")),
            };
            let child = |number: i64| places.get(&(trees[i], number)).copied();
            let yes = child(yes[i]).ok_or(NodeProblem::Attribute("nodes_truenodeids"))?;
            let no = child(no[i]).ok_or(NodeProblem::Attribute("nodes_falsenodeids"))?;
            (is_child[yes], is_child[no]) = (true, true);
            nodes.push(Node::Branch { feature: features[i], test, yes, no });
        }
        // The root of a tree is the first of its nodes in the list.
        let mut roots = Vec::new();
        let mut known = std::collections::HashSet::new();
        for i in 0..count {
            if i > 0 && trees[i] == trees[i - 1] {
                continue;
            }
            if !known.insert(trees[i]) || is_child[i] {
                return Err(NodeProblem::Variant("a tree whose nodes are not listed together, from the root on"));
            }
            roots.push(i);
        }
        let [ids, node_ids, tree_ids] = names;
        let (weights, weights_as_tensor) = match ids {
            "class_ids" => ("class_weights", "class_weights_as_tensor"),
            _ => ("target_weights", "target_weights_as_tensor"),
        };
        let weights = floats_or_tensor(c, weights, weights_as_tensor)?;
        let (ids, node_ids, tree_ids) = (indices(c, ids)?, ints(c, node_ids), ints(c, tree_ids));
        if [ids.len(), node_ids.len(), tree_ids.len()].iter().any(|l| *l != weights.len()) {
            return Err(NodeProblem::Attribute("target_ids"));
        }
        for (i, weight) in weights.into_iter().enumerate() {
            let place = places.get(&(tree_ids[i], node_ids[i])).ok_or(NodeProblem::Attribute("target_nodeids"))?;
            let Node::Leaf(leaf) = nodes[*place] else {
                return Err(NodeProblem::Variant("a weight of a node that is no leaf"));
            };
            if leaves[leaf].iter().any(|(target, _): &(usize, f64)| *target == ids[i]) {
                return Err(NodeProblem::Variant("a leaf with two weights for one target"));
            }
            leaves[leaf].push((ids[i], weight));
        }
        if targets == 1 && leaves.iter().any(Vec::is_empty) {
            return Err(NodeProblem::Variant("a leaf without a weight"));
        }
        let double = is_double(c, &["nodes_values_as_tensor", weights_as_tensor])?;
        let base = vec![0.0; targets];
        let ensemble = Ensemble { features: 0, targets, nodes, roots, leaves, base, double };
        Ok(Self { ensemble: ensemble.checked()? })
    }

    /// The spelling of operator set 5: branches and leaves apart.
    fn of_tensors(c: &Context<'_>, targets: usize) -> Result<Self, NodeProblem> {
        let needed = |name| tensor(c, name)?.ok_or(NodeProblem::Attribute(name));
        let (modes, splits) = (needed("nodes_modes")?.to_ints(), needed("nodes_splits")?.data);
        let features = indices(c, "nodes_featureids")?;
        let sides = [("nodes_truenodeids", "nodes_trueleafs"), ("nodes_falsenodeids", "nodes_falseleafs")];
        let weights = needed("leaf_weights")?.data;
        let ids = indices(c, "leaf_targetids")?;
        if ids.len() != weights.len() {
            return Err(NodeProblem::Attribute("leaf_targetids"));
        }
        let given: Vec<(usize, f64)> = ids.into_iter().zip(weights).collect();
        let count = features.len();
        if modes.len() != count || splits.len() != count {
            return Err(NodeProblem::Attribute("nodes_splits"));
        }
        // Every way to a leaf has a leaf of its own.
        let mut children = Vec::new();
        let mut leaves = Vec::new();
        for (numbers, leafs) in sides {
            let (ids, is_leaf) = (indices(c, numbers)?, ints(c, leafs));
            if ids.len() != count || is_leaf.len() != count {
                return Err(NodeProblem::Attribute(numbers));
            }
            let side = ids.iter().zip(is_leaf).map(|(id, is_leaf)| {
                if *is_leaf == 0 {
                    // A branch, or nothing: places of leaves follow those of branches.
                    return if *id < count { *id } else { usize::MAX };
                }
                leaves.push(given.get(*id).map(|leaf| vec![*leaf]));
                count + leaves.len() - 1
            });
            children.push(side.collect::<Vec<usize>>());
        }
        let leaves: Option<Vec<Vec<(usize, f64)>>> = leaves.into_iter().collect();
        let leaves = leaves.ok_or(NodeProblem::Attribute("nodes_trueleafs"))?;
        let mut sets = member_sets(c)?.into_iter();
        let mut nodes = Vec::with_capacity(count + leaves.len());
        for i in 0..count {
            let test = match modes[i] {
                0 => Test::LessOrEqual(splits[i]),
                1 => Test::Less(splits[i]),
                2 => Test::GreaterOrEqual(splits[i]),
                3 => Test::Greater(splits[i]),
                4 => Test::Member(vec![splits[i]]),
                5 => Test::NoMember(vec![splits[i]]),
                6 => Test::Member(sets.next().ok_or(NodeProblem::Attribute("membership_values"))?),
                _ => return Err(NodeProblem::Attribute("nodes_modes")),
            };
            nodes.push(Node::Branch { feature: features[i], test, yes: children[0][i], no: children[1][i] });
        }
        nodes.extend((0..leaves.len()).map(Node::Leaf));
        let roots = indices(c, "tree_roots")?;
        if roots.iter().any(|r| *r >= count) {
            return Err(NodeProblem::Attribute("tree_roots"));
        }
        let double = is_double(c, &["nodes_splits", "leaf_weights"])?;
        let base = vec![0.0; targets];
        let ensemble = Ensemble { features: 0, targets, nodes, roots, leaves, base, double };
        Ok(Self { ensemble: ensemble.checked()? })
    }

    /// The same, where only the first target has weights.
    fn of_one_target(mut self) -> Self {
        self.ensemble.targets = 1;
        self.ensemble.base.truncate(1);
        self
    }

    fn scored(&self, class: usize) -> Scored {
        let knows = |leaf: &usize| self.ensemble.leaves[*leaf].iter().any(|(target, _)| *target == class);
        let mut scored = Scored::Never;
        for leaves in self.ensemble.leaves_of_trees() {
            if leaves.iter().all(knows) {
                return Scored::Always;
            }
            if leaves.iter().any(knows) {
                scored = Scored::Sometimes;
            }
        }
        scored
    }

    /// The sums, or what else the trees' weights become, plus base values.
    fn scores(mut self, c: &mut Context<'_>, aggregate: Aggregate, base: &[f64]) -> Result<ValueId, NodeProblem> {
        let targets = self.ensemble.targets;
        if !base.is_empty() && base.len() != targets {
            return Err(NodeProblem::Attribute("base_values"));
        }
        let x = rows(c)?;
        let trees = self.ensemble.roots.len();
        match aggregate {
            Aggregate::Average => {
                #[allow(clippy::cast_precision_loss)] // a count
                self.ensemble.leaves.iter_mut().flatten().for_each(|(_, w)| *w /= trees as f64);
            }
            Aggregate::Sum => {}
            Aggregate::Min | Aggregate::Max => return self.extremum(c, x, aggregate == Aggregate::Min, base),
        }
        if !base.is_empty() {
            self.ensemble.base = base.to_vec();
        }
        c.push(FloatOp::Trees(Arc::new(self.ensemble.checked()?)), &[x])
    }

    /// The smallest or largest weight of all trees: every tree has targets of its own.
    fn extremum(
        mut self,
        c: &mut Context<'_>,
        x: ValueId,
        smallest: bool,
        base: &[f64],
    ) -> Result<ValueId, NodeProblem> {
        let (targets, trees) = (self.ensemble.targets, self.ensemble.roots.len());
        let rows = c.shape_of(x)[0];
        let all: Vec<Vec<usize>> = self.ensemble.leaves_of_trees().collect();
        let sign = if smallest { -1.0 } else { 1.0 };
        let mut leaves = vec![Vec::new(); self.ensemble.leaves.len()];
        for (tree, own) in all.iter().enumerate() {
            for leaf in own {
                let weights = &self.ensemble.leaves[*leaf];
                if weights.len() != targets {
                    return Err(NodeProblem::Variant("a smallest or largest weight where leaves leave targets out"));
                }
                if !leaves[*leaf].is_empty() {
                    return Err(NodeProblem::Variant("a smallest or largest weight where trees share leaves"));
                }
                leaves[*leaf] = weights.iter().map(|(t, w)| (t * trees + tree, sign * w)).collect();
            }
        }
        self.ensemble.leaves = leaves;
        self.ensemble.targets = targets.checked_mul(trees).ok_or(NodeProblem::Attribute("n_targets"))?;
        self.ensemble.base = vec![0.0; self.ensemble.targets];
        let all = c.push(FloatOp::Trees(Arc::new(self.ensemble.checked()?)), &[x])?;
        let all = c.reshape(all, vec![rows, targets, trees])?;
        let largest = c.reduce(all, Reduction::Max, &[2])?;
        let largest = c.reshape(largest, vec![rows, targets])?;
        let signed = c.affine(largest, sign, 0.0)?;
        if base.is_empty() {
            return Ok(signed);
        }
        let base = c.tensor(crate::onnx::tensor::Tensor::new(vec![targets], base.to_vec()));
        c.add(signed, base)
    }
}

/// The sets of `membership_values`: each ends with a NaN.
fn member_sets(c: &Context<'_>) -> Result<Vec<Vec<f64>>, NodeProblem> {
    let Some(proto) = c.attributes.get("membership_values").and_then(|a| a.t.as_ref()) else { return Ok(vec![]) };
    let values = crate::onnx::proto::tensor(proto)
        .map_err(|problem| NodeProblem::Constant { name: "membership_values".into(), problem })?;
    let mut sets: Vec<Vec<f64>> = values.data.split(|v| v.is_nan()).map(<[f64]>::to_vec).collect();
    if sets.last().is_some_and(Vec::is_empty) {
        sets.pop();
    }
    Ok(sets)
}

/// Whether features are compared as 64-bit floats: if they are such. Integers are compared as 32-bit floats.
fn is_double(c: &Context<'_>, tensors: &[&str]) -> Result<bool, NodeProblem> {
    let kind = |name: &&str| c.attributes.get(name).and_then(|a| a.t.as_ref()).map(|t| Element(t.data_type));
    let input = c.element(0);
    for element in tensors.iter().filter_map(kind).chain([input]) {
        if element.is_float() && ![Element::FLOAT, Element::DOUBLE].contains(&element) {
            return Err(NodeProblem::Variant("features or thresholds of 16 bits"));
        }
    }
    Ok(input == Element::DOUBLE)
}

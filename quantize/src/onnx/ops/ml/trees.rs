//! Ensembles of decision trees: sums of leaf weights.

use crate::onnx::{error::NodeProblem, tensor::Tensor};

/// What a branch asks of its feature.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// `x ≤ t`.
    LessOrEqual(f64),
    /// `x < t`.
    Less(f64),
    /// `x ≥ t`.
    GreaterOrEqual(f64),
    /// `x > t`.
    Greater(f64),
    /// `x` is one of these.
    Member(Vec<f64>),
    /// `x` is none of these.
    NoMember(Vec<f64>),
}

impl Test {
    /// Whether it holds for a value.
    #[must_use]
    #[allow(clippy::float_cmp)] // what the operator says
    pub fn holds(&self, x: f64) -> bool {
        match self {
            Self::LessOrEqual(t) => x <= *t,
            Self::Less(t) => x < *t,
            Self::GreaterOrEqual(t) => x >= *t,
            Self::Greater(t) => x > *t,
            Self::Member(set) => set.contains(&x),
            Self::NoMember(set) => !set.contains(&x),
        }
    }

    /// Its thresholds.
    #[must_use]
    pub fn thresholds(&self) -> &[f64] {
        match self {
            Self::LessOrEqual(t) | Self::Less(t) | Self::GreaterOrEqual(t) | Self::Greater(t) => {
                std::slice::from_ref(t)
            }
            Self::Member(set) | Self::NoMember(set) => set,
        }
    }
}

/// A node of a tree.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// A branch.
    Branch {
        /// The column that it reads.
        feature: usize,
        /// What it asks.
        test: Test,
        /// Where it leads if the test holds.
        yes: usize,
        /// Where it leads otherwise.
        no: usize,
    },
    /// A leaf, by its place in [`Ensemble::leaves`].
    Leaf(usize),
}

/// Trees whose weights are added up: rows of features to rows of targets.
#[derive(Clone, Debug, PartialEq)]
pub struct Ensemble {
    /// How many columns are read at least.
    pub features: usize,
    /// Columns of the result.
    pub targets: usize,
    /// The nodes of all trees.
    pub nodes: Vec<Node>,
    /// The root of every tree.
    pub roots: Vec<usize>,
    /// Targets and weights of every leaf.
    pub leaves: Vec<Vec<(usize, f64)>>,
    /// Added to every target.
    pub base: Vec<f64>,
    /// Whether features are compared as they are; otherwise as 32-bit floats.
    pub double: bool,
}

impl Ensemble {
    /// Checks that every root leads to a tree with leaves of its own, that all are in range, and fills in [`Ensemble::features`].
    pub(super) fn checked(mut self) -> Result<Self, NodeProblem> {
        let mut seen = vec![false; self.nodes.len()];
        let mut reached = vec![false; self.leaves.len()];
        let mut open = self.roots.clone();
        while let Some(at) = open.pop() {
            match seen.get_mut(at) {
                Some(seen) if !*seen => *seen = true,
                Some(_) => return Err(NodeProblem::Variant("a node of a tree with two ways to it")),
                None => return Err(NodeProblem::Attribute("nodes_truenodeids")),
            }
            match &self.nodes[at] {
                Node::Branch { feature, yes, no, .. } => {
                    self.features = self.features.max(feature + 1);
                    open.extend([*no, *yes]);
                }
                Node::Leaf(leaf) => match reached.get_mut(*leaf) {
                    Some(reached) if !*reached => *reached = true,
                    _ => return Err(NodeProblem::Attribute("nodes_nodeids")),
                },
            }
        }
        let fits = |(target, weight): &(usize, f64)| *target < self.targets && weight.is_finite();
        if self.roots.is_empty() || !self.leaves.iter().flatten().all(fits) {
            return Err(NodeProblem::Attribute("target_weights"));
        }
        if self.base.len() != self.targets || self.base.iter().any(|v| !v.is_finite()) {
            return Err(NodeProblem::Attribute("base_values"));
        }
        Ok(self)
    }

    pub(crate) fn output_shape(&self, x: &[usize]) -> Result<Vec<usize>, &'static str> {
        match x {
            [rows, features] if *features >= self.features => Ok(vec![*rows, self.targets]),
            [_, _] => Err("a branch reads a feature that is not there"),
            _ => Err("rows of features are needed"),
        }
    }

    /// A feature as branches see it.
    #[must_use]
    pub fn seen(&self, x: f64) -> f64 {
        #[allow(clippy::cast_possible_truncation)] // what the operator does
        if self.double {
            x
        } else {
            f64::from(x as f32)
        }
    }

    /// The leaf of a tree for one row.
    #[must_use]
    pub fn leaf(&self, root: usize, row: &[f64]) -> usize {
        let mut at = root;
        loop {
            match &self.nodes[at] {
                Node::Leaf(leaf) => return *leaf,
                Node::Branch { feature, test, yes, no } => {
                    at = if test.holds(self.seen(row[*feature])) { *yes } else { *no };
                }
            }
        }
    }

    /// The weight of a leaf for a target.
    #[must_use]
    pub fn weight(&self, leaf: usize, target: usize) -> f64 {
        self.leaves[leaf].iter().filter(|(t, _)| *t == target).map(|(_, weight)| weight).sum()
    }

    /// The leaves of every tree.
    pub fn leaves_of_trees(&self) -> impl Iterator<Item = Vec<usize>> + '_ {
        self.roots.iter().map(move |root| {
            let (mut open, mut leaves) = (vec![*root], Vec::new());
            while let Some(at) = open.pop() {
                match &self.nodes[at] {
                    Node::Branch { yes, no, .. } => open.extend([*no, *yes]),
                    Node::Leaf(leaf) => leaves.push(*leaf),
                }
            }
            leaves
        })
    }

    pub(crate) fn evaluate(&self, x: &Tensor, shape: &[usize]) -> Tensor {
        let mut y = Tensor::zeros(shape);
        let columns = x.shape[1];
        for (row, sums) in x.data.chunks_exact(columns.max(1)).zip(y.data.chunks_exact_mut(self.targets)) {
            for root in &self.roots {
                for (target, weight) in &self.leaves[self.leaf(*root, row)] {
                    sums[*target] += weight;
                }
            }
            for (sum, base) in sums.iter_mut().zip(&self.base) {
                *sum += base;
            }
        }
        y
    }
}

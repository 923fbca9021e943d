//! Maximum over a window, as a tree of nodes with at most four children.
//!
//! | cells | gate | input forms |
//! |---|---|---|
//! | `m` (a clamp's words, or a word), words `d_1 … d_w`, `w ≤ 4` | `Π d_i = 0` (degree `w + 1`) | `q_i = m − d_i` for each `i` |
//!
//! At the leaves `q_i` is the rounded form: the input form is `2^s·(m − d_i) + r_i − 2^(s-1)`. An inner node
//! of the tree has a word `m`; the root is clamped by [`super::clamp`].
//!
//! *Lemma.* Let the `q_i` be given. `d_i = m − q_i ≥ 0` says that `m` is an upper bound; a zero product
//! over the integers (words are below 2^62 and the field is large, so each factor that vanishes in the
//! field vanishes over the integers, and a product in a field vanishes only with a factor) says that
//! `m` is one of the `q_i`. So `m` is their maximum, and the `d_i` follow.

use super::{clamp, requantise, width, Builder, WordForm};
use crate::{
    lower::LowerError,
    relations::{FormRef, Right, TensorCells, WordTerm},
    words::{Lane, WordId},
};
use zkonnx_quantize::{
    graph::Node,
    index::{Factor, IndexMap},
};

/// Children of one node of the tree, at most.
pub const ARITY: usize = 4;

/// One level of the tree.
#[derive(Clone, Debug)]
pub struct Level {
    /// `differences[g][i]`: the word `d_i` of group `g`.
    pub differences: Vec<Vec<WordId>>,
    /// The word `m` of each group; empty at the root.
    pub maxima: Vec<WordId>,
}

/// The words of a maximum node.
#[derive(Clone, Debug)]
pub struct MaxNode {
    /// The root.
    pub clamp: clamp::ClampWords,
    /// The remainders of the requantisation, over the whole form.
    pub remainder: Option<WordId>,
    /// From the leaves to the root.
    pub levels: Vec<Level>,
    /// The smallest value of `q`: inner maxima are stored relative to it.
    pub q_lo: i64,
}

/// Lowers a maximum node whose form is `form`, over the last `axes` axes.
///
/// # Errors
/// [`LowerError::TooWide`].
pub fn lower(
    builder: &mut Builder,
    node: &Node,
    form: FormRef,
    axes: usize,
    bounds: (Option<i64>, Option<i64>),
) -> Result<MaxNode, LowerError> {
    let shape = &node.form.shape;
    let (outer, window_axes) = shape.split_at(shape.len() - axes);
    let window: usize = window_axes.iter().map(|s| *s as usize).product();
    let len: usize = outer.iter().map(|s| *s as usize).product();
    let q = node.quantised_bounds();
    let spread = width(q)?;
    let outer_map = IndexMap::identity(outer, 0);
    let mut levels: Vec<Level> = Vec::new();
    let mut remainder = None;
    let mut children = window;
    loop {
        let groups = children.div_ceil(ARITY);
        let is_root = groups == 1;
        let leaves = levels.is_empty();
        let mut level = Level { differences: Vec::new(), maxima: Vec::new() };
        for g in 0..groups {
            let members = (children - g * ARITY).min(ARITY);
            let words: Vec<WordId> = (0..members).map(|_| builder.loose_word(len, spread)).collect();
            builder.block(Lane::ZeroProduct, &words);
            level.differences.push(words);
            if !is_root {
                let m = builder.loose_word(len, spread);
                builder.block(Lane::Range, &[m]);
                level.maxima.push(m);
            }
        }
        let root = if is_root { Some(clamp::words(builder, len, q, bounds, false)?) } else { None };
        // The maximum above child `c`, as a form over the outer axes.
        let above = |c: usize| match &root {
            Some(clamp) => (clamp.offset, clamp.q_terms()),
            None => (q.lo, vec![(1, level.maxima[c / ARITY])]),
        };
        if leaves {
            // One relation over the whole form; child `c` is picked out by the window's axes.
            let mut terms = Vec::new();
            let mut picks: Vec<(Option<usize>, i64, WordId)> = Vec::new();
            let constant = above(0).0;
            for c in 0..children {
                if !is_root || c == 0 {
                    let pick = (!is_root).then_some(c);
                    picks.extend(above(c).1.into_iter().map(|(coef, word)| (pick, coef, word)));
                }
                picks.push((Some(c), -1, level.differences[c / ARITY][c % ARITY]));
            }
            for (pick, coef, word) in picks {
                let mut map = outer_map.clone();
                if let Some(c) = pick {
                    map.factors.extend(pick_child(c, outer.len(), window_axes));
                }
                terms.push(WordTerm { coef, word, map });
            }
            let (a, r) = requantise::lower(builder, shape, node.shift, WordForm { constant, terms })?;
            remainder = r;
            builder.relate(&node.name, shape, a, Right::Form(form));
        } else if let Some(below) = levels.last().map(|l: &Level| l.maxima.clone()) {
            for (c, child) in below.iter().enumerate() {
                let (constant, mut terms) = above(c);
                terms.push((-1, level.differences[c / ARITY][c % ARITY]));
                let right = vec![WordTerm { coef: 1, word: *child, map: outer_map.clone() }];
                let left = WordForm::elementwise(constant, &terms, outer);
                builder.relate(&node.name, outer, left, Right::Words(right, q.lo));
            }
        }
        children = groups;
        levels.push(level);
        if let Some(clamp) = root {
            builder.define(TensorCells::Word { offset: clamp.offset, coef: clamp.coef, word: clamp.value });
            return Ok(MaxNode { clamp, remainder, levels, q_lo: q.lo });
        }
    }
}

/// Factors that are outside unless the window's axes are at child `c`.
fn pick_child(c: usize, first_axis: usize, window_axes: &[u32]) -> Vec<Factor> {
    let mut rest = c;
    let mut factors = Vec::new();
    for (a, size) in window_axes.iter().enumerate().rev() {
        let index = i32::try_from(rest % *size as usize).unwrap_or(0);
        rest /= *size as usize;
        let axis = u8::try_from(first_axis + a).unwrap_or(u8::MAX);
        factors.push(Factor::affine(&[(axis, 1)], -index, 1, 0));
    }
    factors.reverse();
    factors
}

/// The honest values of a tree over one window: for each level, the differences and the maxima.
#[must_use]
pub fn assign(window: &[i64], q_range_lo: i64) -> Vec<(Vec<i64>, Vec<i64>)> {
    let mut values = window.to_vec();
    let mut levels = Vec::new();
    loop {
        let maxima: Vec<i64> = values.chunks(ARITY).map(|g| g.iter().copied().max().unwrap_or(0)).collect();
        let differences = values.iter().enumerate().map(|(c, v)| maxima[c / ARITY] - v).collect();
        let is_root = maxima.len() == 1;
        let relative = maxima.iter().map(|m| m - q_range_lo).collect();
        levels.push((differences, if is_root { Vec::new() } else { relative }));
        if is_root {
            return levels;
        }
        values = maxima;
    }
}

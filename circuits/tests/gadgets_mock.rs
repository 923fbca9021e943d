//! Gadgets under the mock prover: every honest assignment inside the range is accepted, the first value outside is
//! refused, and a lie in every cell of a lane is refused by the gate or the lookup that is there for it.

mod mock;

use mock::{
    accepts_all, cell, compile, honest, only, read, refuses_cells_out_of_range, unary, verify, LINEAR, LOOKUP, PRODUCT,
};
use std::collections::BTreeSet;
use zkonnx_circuits::{
    compiled::CompiledModel,
    gadgets::max::{self, MaxNode},
    lower::{Mode, NodeWords},
    witness::Cells,
};
use zkonnx_quantize::{
    graph::{Form, Interval, Op},
    model::{Gates, QuantizedModel},
    scale::Scale,
    table::{Function, Table},
};

fn clamp(lo: Option<i64>, hi: Option<i64>) -> Op {
    Op::Clamp { lo, hi, under: false }
}

#[test]
fn words_and_requantisation() {
    for shift in [1, 3, 6] {
        let quantized = unary(clamp(None, None), shift, Interval::new(-70, 90), 40, Vec::new());
        accepts_all(&quantized, -70..=90);
        refuses_cells_out_of_range(&quantized, &[17; 40]);
    }
}

#[test]
fn intervals() {
    for (lo, hi) in [(-3, 8), (0, 15), (0, 0), (-100, 155), (7, 8)] {
        let quantized = unary(clamp(None, None), 0, Interval::new(lo, hi), 40, Vec::new());
        accepts_all(&quantized, lo..=hi);
        let model = compile(&quantized, Mode::Hidden);
        let words = model.lowered.inputs[0].expect("a hidden input");
        let cells = honest(&quantized, &model, &[hi; 40]);
        // hi + 1, with the complement as it is.
        let mut wrong = cells.clone();
        *cell(&model, &mut wrong, words.value, 0, 0) += 1;
        let failed = verify(&model, &wrong);
        match words.complement {
            None => assert_eq!(failed, only(LOOKUP)),
            Some(complement) => {
                assert!(failed.contains(LINEAR), "{failed:?}");
                // And with the complement that fits the gate.
                *cell(&model, &mut wrong, complement, 0, 0) -= 1;
                assert_eq!(verify(&model, &wrong), only(LOOKUP));
            }
        }
    }
}

#[test]
fn clamps() {
    for (lo, hi) in [
        (Some(0), None),
        (None, Some(9)),
        (Some(-10), Some(20)),
        (Some(0), Some(15)),
        (Some(3), Some(4)),
        (Some(-80), Some(100)),
        (Some(60), None),
        (None, Some(-60)),
    ] {
        for shift in [0, 2] {
            // By words, and looked up: as many elements as pay for the table.
            for (len, x) in [(2, &[1_i64; 2][..]), (55, &[1; 55])] {
                let quantized = unary(clamp(lo, hi), shift, Interval::new(-50, 50), len, Vec::new());
                accepts_all(&quantized, -50..=50);
                refuses_cells_out_of_range(&quantized, x);
                let model = compile(&quantized, Mode::Public);
                let NodeWords::Clamp(node) = &model.lowered.nodes[0] else { panic!("a clamp") };
                let binds = node.clamp.under.is_some() || node.clamp.lookup.is_some();
                assert_eq!(node.clamp.lookup.is_some(), binds && len > 2, "{lo:?}, {hi:?}, shift {shift}");
            }
        }
    }
}

/// Of all pairs those of the clamp pass, whatever the bounds: within them, at them and beyond.
#[test]
fn a_clamp_by_lookup_has_no_other_assignment() {
    for (lo, hi) in [(Some(-3), Some(4)), (Some(0), None), (None, Some(-2))] {
        let quantized = unary(clamp(lo, hi), 0, Interval::new(-8, 7), 40, Vec::new());
        let model = compile(&quantized, Mode::Public);
        let NodeWords::Clamp(node) = &model.lowered.nodes[0] else { panic!("a clamp") };
        let (words, lookup) = (&node.clamp, node.clamp.lookup.expect("a lookup"));
        let honest: BTreeSet<(i64, i64)> = (-8..=7).map(|q| words.assign(q)).map(|a| (a.value, a.excess)).collect();
        assert_eq!(honest.len(), 16);
        for value in -1..=16 {
            for excess in -8..=8 {
                let mut cells = Cells::unused(&model);
                *cell(&model, &mut cells, words.value, 0, 39) = value;
                *cell(&model, &mut cells, lookup.excess, 0, 39) = excess;
                let pair = (value, excess);
                let failed = verify(&model, &cells);
                assert_eq!(failed, if honest.contains(&pair) { BTreeSet::new() } else { only(LOOKUP) }, "{pair:?}");
            }
        }
    }
}

/// All assignments of `y', v, w` up to a size: those that pass the gates are the honest ones.
#[test]
fn a_two_sided_clamp_has_no_other_assignment() {
    let quantized = unary(clamp(Some(-1), Some(2)), 0, Interval::new(-6, 6), 1, Vec::new());
    let model = compile(&quantized, Mode::Public);
    let NodeWords::Clamp(node) = &model.lowered.nodes[0] else { panic!("a clamp") };
    let words = &node.clamp;
    let honest: BTreeSet<(i64, i64, i64)> =
        (-6..=9).map(|q| words.assign(q)).map(|a| (a.value, a.under, a.over)).collect();
    let (under, over) = (words.under.expect("v"), words.over.expect("w"));
    for y in 0..=4 {
        for v in 0..=3 {
            for w in 0..=3 {
                let mut cells = Cells::unused(&model);
                *cell(&model, &mut cells, words.value, 0, 0) = y;
                *cell(&model, &mut cells, under, 0, 0) = v;
                *cell(&model, &mut cells, over, 0, 0) = w;
                let accepted = verify(&model, &cells).is_empty();
                assert_eq!(accepted, y <= 3 && honest.contains(&(y, v, w)), "{:?}", (y, v, w));
            }
        }
    }
}

fn maximum(quantized: &QuantizedModel) -> (CompiledModel, MaxNode) {
    let model = compile(quantized, Mode::Hidden);
    let NodeWords::Max(node) = model.lowered.nodes[0].clone() else { panic!("a maximum") };
    (model, node)
}

#[test]
fn maxima() {
    for window in [1_u32, 2, 4, 5, 9, 17] {
        let quantized = unary(Op::Max { axes: 1, lo: None, hi: None }, 0, Interval::new(-20, 20), window, Vec::new());
        let (model, node) = maximum(&quantized);
        let window = i64::from(window);
        let random = (0..8).map(|seed| (0..window).map(|i| (i * 7 + seed * 11) % 41 - 20).collect());
        for x in random.chain([-20, 20].map(|v| vec![v; usize::try_from(window).expect("small")])) {
            let x: Vec<i64> = x;
            let cells = honest(&quantized, &model, &x);
            assert_eq!(verify(&model, &cells), BTreeSet::new(), "{x:?}");
            // No difference is zero any more.
            let mut wrong = cells.clone();
            let most = x.iter().max().expect("a window");
            for element in (0..x.len()).filter(|element| x[*element] == *most) {
                *cell(&model, &mut wrong, node.difference, 0, element) += 1;
            }
            assert_eq!(verify(&model, &wrong), only(PRODUCT), "{x:?}");
            // A selector where the difference is not zero.
            for element in (0..x.len()).filter(|element| x[*element] < *most) {
                for by in [1, -1] {
                    let mut wrong = cells.clone();
                    *cell(&model, &mut wrong, node.selector, 0, element) += by;
                    assert_eq!(verify(&model, &wrong), only(PRODUCT), "{x:?}, element {element}");
                }
            }
        }
        refuses_cells_out_of_range(&quantized, &vec![3; usize::try_from(window).expect("small")]);
    }
}

/// All differences and selectors up to a size: where gates hold and the selectors' sum is one, a difference is zero. Honest ones are the first.
#[test]
fn a_maximum_has_no_other_assignment() {
    let quantized = unary(Op::Max { axes: 1, lo: None, hi: None }, 0, Interval::new(-3, 3), 2, Vec::new());
    let (model, node) = maximum(&quantized);
    let cells = Cells::unused(&model);
    let mut accepted = 0;
    for d in (0..3).flat_map(|a| (0..3).map(move |b| [a, b])) {
        for b in (-2..=3).flat_map(|a| (-2..=3).map(move |b| [a, b])) {
            let mut cells = cells.clone();
            for element in 0..2 {
                *cell(&model, &mut cells, node.difference, 0, element) = d[element];
                *cell(&model, &mut cells, node.selector, 0, element) = b[element];
            }
            let holds = verify(&model, &cells).is_empty();
            assert_eq!(holds, d.iter().zip(&b).all(|(d, b)| d * b == 0));
            if holds && b[0] + b[1] == 1 {
                assert!(d.contains(&0), "{d:?} {b:?}");
                accepted += 1;
            }
        }
    }
    assert!(accepted > 4);
    for (window, expected) in [([5, 7], ([2, 0], [0, 1])), ([4, 4], ([0, 0], [1, 0])), ([3, -3], ([0, 6], [1, 0]))] {
        assert_eq!(max::assign(&window), (expected.0.to_vec(), expected.1.to_vec()));
    }
}

#[test]
fn tables_with_saturation() {
    let table = |lo: i64| Table {
        function: Function::Custom,
        input_scale: Scale::ONE,
        output_scale: Scale::ONE,
        lo,
        entries: vec![5, -3, 7, 7, 0, 2, 11],
    };
    // Below and above; below; above; neither; only one entry is reached.
    for (lo, bounds) in [(-3, (-20, 20)), (-3, (-20, 2)), (-3, (-3, 20)), (-3, (-3, 3)), (-30, (0, 5))] {
        let quantized = unary(Op::Table { table: 0 }, 0, Interval::new(bounds.0, bounds.1), 20, vec![table(lo)]);
        accepts_all(&quantized, bounds.0..=bounds.1);
    }
    // As many elements as pay for a table on all that there may be: it saturates by itself.
    let quantized = unary(Op::Table { table: 0 }, 0, Interval::new(-20, 20), 20, vec![table(-3)]);
    let model = compile(&quantized, Mode::Public);
    let NodeWords::Table(node) = &model.lowered.nodes[0] else { panic!("a table") };
    assert!(node.under.is_none() && node.over.is_none());
    let function = table(-3);
    for x in -21..=21_i64 {
        for y in [8, 0, 14, 3] {
            let mut wrong = honest(&quantized, &model, &[0; 20]);
            *cell(&model, &mut wrong, node.argument, 0, 7) = x + 20;
            *cell(&model, &mut wrong, node.value, 0, 7) = y;
            let is_pair = x.abs() <= 20 && function.value(x) + 3 == y;
            assert_eq!(verify(&model, &wrong), if is_pair { BTreeSet::new() } else { only(LOOKUP) }, "{x}, {y}");
        }
    }
    // And few that do not: by words.
    let quantized = unary(Op::Table { table: 0 }, 0, Interval::new(-100, 100), 20, vec![table(-3)]);
    let model = compile(&quantized, Mode::Public);
    let cells = honest(&quantized, &model, &[0; 20]);
    let NodeWords::Table(node) = &model.lowered.nodes[0] else { panic!("a table") };
    let pairs: BTreeSet<(i64, i64)> = (0..).zip([8, 0, 10, 10, 3, 5, 14]).collect();
    for x in -1..=8 {
        for y in -1..=15 {
            let mut wrong = cells.clone();
            *cell(&model, &mut wrong, node.argument, 0, 0) = x;
            *cell(&model, &mut wrong, node.value, 0, 0) = y;
            let failed = verify(&model, &wrong);
            assert_eq!(!failed.contains(LOOKUP), pairs.contains(&(x, y)), "{:?}", (x, y));
        }
    }
    // x' at neither end, and v or w not zero.
    for word in [node.under.expect("v"), node.over.expect("w")] {
        let mut wrong = cells.clone();
        *cell(&model, &mut wrong, word, 0, 0) += 1;
        assert_eq!(verify(&model, &wrong), only(PRODUCT));
    }
}

fn denominator(len: u32) -> Form {
    let (shape, terms, products) = (vec![len], vec![read(1, 0, len)], Vec::new());
    Form { shape, terms, products, constant: 26, bounds: Interval::new(1, 51) }
}

#[test]
fn divisions() {
    let quantized = unary(Op::Div { denominator: denominator(20) }, 0, Interval::new(-25, 25), 20, Vec::new());
    accepts_all(&quantized, -25..=25);
    refuses_cells_out_of_range(&quantized, &[11; 20]);
    let model = compile(&quantized, Mode::Public);
    let cells = honest(&quantized, &model, &[11; 20]);
    let NodeWords::Division(words) = &model.lowered.nodes[0] else { panic!("a division") };
    for word in [words.numerator, words.quotient, words.remainder] {
        for by in [1, -1] {
            let mut wrong = cells.clone();
            let value = cell(&model, &mut wrong, word, 0, 0);
            *value += by;
            if *value < 0 && word != words.numerator {
                continue;
            }
            assert_eq!(verify(&model, &wrong), only(PRODUCT), "{word:?}");
        }
    }
}

/// A lie in every cell that gates read, on the first, a middle and the last active row: the gate of its own lane refuses it.
#[test]
fn every_row_is_gated() {
    let graph = |op, bounds: (i64, i64), tables| unary(op, 0, Interval::new(bounds.0, bounds.1), 20, tables);
    let table = Table {
        function: Function::Custom,
        input_scale: Scale::ONE,
        output_scale: Scale::ONE,
        lo: -3,
        entries: vec![5, -3, 7],
    };
    let wide = Op::Clamp { lo: Some(-10), hi: Some(20), under: false };
    // By how much each word of the lane of an unused row is moved, and what refuses it; `None` for what a relation alone would refuse.
    type Lies = &'static [(&'static [(usize, i64)], &'static str)];
    let cases: [(QuantizedModel, Lies); 5] = [
        (
            graph(wide, (-200, 200), Vec::new()),
            &[(&[(0, 1)], LINEAR), (&[(3, -1)], LINEAR), (&[(0, 1), (1, 1), (3, -1)], PRODUCT), (&[(2, 1)], PRODUCT)],
        ),
        (graph(clamp(Some(0), None), (-50, 50), Vec::new()), &[(&[(0, 1), (1, 1)], PRODUCT)]),
        (graph(Op::Max { axes: 1, lo: None, hi: None }, (-50, 50), Vec::new()), &[(&[(0, 2), (1, 1)], PRODUCT)]),
        (
            graph(Op::Table { table: 0 }, (-100, 100), vec![table]),
            &[(&[(0, 1)], LOOKUP), (&[(1, 1)], LOOKUP), (&[(3, 1)], PRODUCT), (&[(0, 1), (1, -8), (2, 1)], PRODUCT)],
        ),
        (
            graph(Op::Div { denominator: denominator(20) }, (-25, 25), Vec::new()),
            &[(&[(0, 1)], PRODUCT), (&[(1, 1)], PRODUCT), (&[(2, 1)], PRODUCT)],
        ),
    ];
    for (mut quantized, lies) in cases {
        for gates in [Gates::Halo2, Gates::Relations] {
            quantized.layout.gates = gates;
            let model = compile(&quantized, Mode::Public);
            let placed = model.shape.lanes.first().expect("a lane with gates");
            let last = model.shape.num_active_rows() - 1;
            assert_eq!(last, if gates == Gates::Relations { 63 } else { 57 });
            for (lie, refused) in lies {
                for row in [0, last / 2, last] {
                    let mut cells = Cells::unused(&model);
                    for (word, by) in *lie {
                        cells.columns[placed.words[*word][0].0][row] += by;
                    }
                    assert!(verify(&model, &cells).contains(*refused), "{:?}, {lie:?}, row {row}", placed.lane);
                }
            }
        }
    }
}

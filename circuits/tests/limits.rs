//! What no circuit may be: a column that nothing binds, or more slots than the argument takes.

use zkonnx_circuits::{
    lower::LowerError,
    shape::{active_rows, CircuitShape},
    slots::{RowForm, MAX_SLOT_BITS},
    words::{CellKind, Column, Lane, PlacedLane},
};
use zkonnx_quantize::model::Gates;

const RANGE: CellKind = CellKind::Range { bits: 4 };
const ARGUMENT: CellKind = CellKind::Argument { table: 0 };

fn shape(k: u32, kinds: &[CellKind], lanes: Vec<PlacedLane>) -> Result<CircuitShape, LowerError> {
    let columns: Vec<Column> = kinds.iter().map(|kind| Column { kind: *kind, unused: 0 }).collect();
    let [relations, halo2] = [Gates::Relations, Gates::Halo2]
        .map(|gates| CircuitShape::new((k, gates), columns.clone(), lanes.clone(), Vec::new()));
    assert_eq!(relations.is_ok(), halo2.is_ok(), "the same slots in both ways");
    relations
}

/// A lane of words of one limb each.
fn lane(lane: Lane, columns: &[usize]) -> PlacedLane {
    PlacedLane { lane, words: columns.iter().map(|column| vec![(*column, 0)]).collect() }
}

#[test]
fn every_column_is_bound_as_its_kind_asks() {
    use CellKind::{Unchecked, Value};
    let bound = [
        (vec![RANGE, RANGE], vec![]),
        (vec![ARGUMENT, Value], vec![]),
        (vec![RANGE, Unchecked], vec![lane(Lane::Select, &[0, 1])]),
        (vec![Unchecked, RANGE, RANGE, RANGE], vec![lane(Lane::Division { q_lo: -3 }, &[0, 1, 2, 3])]),
    ];
    for (kinds, lanes) in bound {
        shape(5, &kinds, lanes).unwrap_or_else(|e| panic!("{kinds:?}: {e}"));
    }
    let table = Lane::Table { table: 0, under: false, over: None };
    let free = [
        // Neither looked up nor in a product.
        (vec![RANGE, Unchecked], vec![], 1),
        (vec![RANGE, Unchecked, Unchecked], vec![lane(Lane::Select, &[0, 1])], 2),
        // In a linear gate alone.
        (vec![RANGE, Unchecked], vec![lane(Lane::Interval { width: 9 }, &[0, 1])], 1),
        // A value without its argument, an argument without its value, an argument whose value is looked up already.
        (vec![Value, RANGE], vec![], 0),
        (vec![RANGE, ARGUMENT], vec![lane(table, &[1])], 2),
        (vec![ARGUMENT, RANGE], vec![], 1),
        (vec![ARGUMENT, ARGUMENT, Value], vec![], 1),
        // Unchecked in a lookup.
        (vec![ARGUMENT, Unchecked, RANGE], vec![lane(Lane::Select, &[2, 1])], 1),
    ];
    for (kinds, lanes, column) in free {
        assert_eq!(shape(5, &kinds, lanes), Err(LowerError::Coverage(column)), "{kinds:?}");
    }
}

#[test]
fn slots_are_limited_for_lookups_and_gates() {
    let all = 1 << (MAX_SLOT_BITS - 18);
    assert!(shape(18, &vec![RANGE; all], Vec::new()).is_ok());
    let too_many = Err(LowerError::TooManySlots { actual: MAX_SLOT_BITS + 1, limit: MAX_SLOT_BITS });
    assert_eq!(shape(18, &vec![RANGE; all + 1], Vec::new()), too_many);
    assert!(shape(17, &vec![RANGE; all + 1], Vec::new()).is_ok());
}

/// Slots follow copies of lanes in order: a word's limbs count by their shifts.
#[test]
fn slots_are_those_of_each_copy() {
    let copy = |at: usize| PlacedLane {
        lane: Lane::Clamp { under: true, over: Some(30), complement: true },
        words: vec![vec![(at, 0), (at + 1, 4)], vec![(at + 2, 0)], vec![(at + 3, 0)], vec![(at + 4, 0), (at + 5, 4)]],
    };
    let shape = shape(5, &[RANGE; 12], vec![copy(0), copy(6)]).expect("a circuit");
    let form = |constant, terms: &[(usize, i64)]| RowForm { constant, terms: terms.to_vec() };
    assert_eq!((shape.slots.products.len(), shape.slots.linear.len()), (4, 2));
    for (number, at) in [0, 6].into_iter().enumerate() {
        let products = &shape.slots.products[2 * number..];
        assert_eq!(products[0].a, form(0, &[(at + 2, 1)]));
        assert_eq!(products[0].b, form(0, &[(at, 1), (at + 1, 16)]));
        assert_eq!(products[1].a, form(0, &[(at + 3, 1)]));
        assert_eq!(products[1].b, form(30, &[(at, -1), (at + 1, -16)]));
        assert!(products[..2].iter().all(|slot| slot.c == RowForm::default()));
        let linear = form(-30, &[(at, 1), (at + 1, 16), (at + 4, 1), (at + 5, 16)]);
        assert_eq!(shape.slots.linear[number], linear);
    }
    assert_eq!(shape.num_active_rows(), 32);
    assert_eq!((active_rows(5, Gates::Relations), active_rows(5, Gates::Halo2)), (32, 26));
}

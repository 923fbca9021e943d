//! The halo2 circuit: the row gates of all lanes, on active rows, and nothing else.
//!
//! | columns | |
//! |---|---|
//! | advice | the gated word columns, in order; their commitments are the first points of the proof |
//! | fixed | one selector, one on rows `0 .. u`, `u = n − 6`; the rows after them hold halo2's randomness and no gate reads them |
//! | instance, equality | none |
//!
//! Gates are `q·(A·B − C)` and `q·C` for the slots of [`crate::slots`]: degree 3, no rotation. Lookups are proven elsewhere.

use super::planner::OnePassPlanner;
use crate::{
    field::{from_i64, Fp},
    shape::CircuitShape,
    slots::RowForm,
};
use ff::Field;
use halo2_proofs::{
    circuit::{Layouter, Value},
    plonk::{Advice, Circuit, Column, ConstraintSystem, Constraints, Error, Expression, Fixed, VirtualCells},
    poly::Rotation,
};
use std::{cell::RefCell, collections::BTreeMap, sync::Arc};

thread_local! {
    /// `Circuit::configure` takes no arguments: the shape reaches it through this.
    static SHAPE: RefCell<Option<Arc<CircuitShape>>> = const { RefCell::new(None) };
}

/// Runs `action` with `shape` as the shape that `configure` sees on this thread.
///
/// Every call of halo2 that configures a circuit (keygen, proving, the mock prover) goes through here.
pub fn with_shape<R>(shape: &Arc<CircuitShape>, action: impl FnOnce() -> R) -> R {
    struct Restore(Option<Arc<CircuitShape>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            let previous = self.0.take();
            SHAPE.with(|cell| *cell.borrow_mut() = previous);
        }
    }
    let _restore = Restore(SHAPE.with(|cell| cell.borrow_mut().replace(Arc::clone(shape))));
    action()
}

/// The circuit, with or without a witness.
#[derive(Clone, Debug)]
pub struct ModelCircuit<'a> {
    /// Its shape; must be the one given to [`with_shape`].
    pub shape: &'a CircuitShape,
    /// The values of the gated columns on active rows.
    pub advice: Option<&'a [Vec<Fp>]>,
}

/// Columns of the circuit.
#[derive(Clone, Debug)]
pub struct Config {
    /// By the number of the word column.
    advice: BTreeMap<usize, Column<Advice>>,
    is_active: Option<Column<Fixed>>,
}

fn expression(cells: &mut VirtualCells<'_, Fp>, config: &Config, form: &RowForm) -> Expression<Fp> {
    let constant = Expression::Constant(from_i64(form.constant));
    form.terms.iter().fold(constant, |sum, (column, coef)| match config.advice.get(column) {
        Some(column) => sum + cells.query_advice(*column, Rotation::cur()) * from_i64(*coef),
        // Every column that a gate reads is gated; if one were not, no assignment would do.
        None => sum + Expression::Constant(Fp::ONE),
    })
}

impl Circuit<Fp> for ModelCircuit<'_> {
    type Config = Config;
    type FloorPlanner = OnePassPlanner;

    fn without_witnesses(&self) -> Self {
        Self { shape: self.shape, advice: None }
    }

    fn configure(meta: &mut ConstraintSystem<Fp>) -> Config {
        // Without a shape there is nothing to configure; keys are then made of no columns, and match none.
        let Some(shape) = SHAPE.with(|cell| cell.borrow().clone()) else {
            return Config { advice: BTreeMap::new(), is_active: None };
        };
        let advice = shape.gated.iter().map(|column| (*column, meta.advice_column())).collect();
        let is_active = meta.fixed_column();
        let config = Config { advice, is_active: Some(is_active) };
        for slot in &shape.slots.products {
            meta.create_gate("product", |cells| {
                let active = cells.query_fixed(is_active);
                let [a, b, c] = [&slot.a, &slot.b, &slot.c].map(|form| expression(cells, &config, form));
                Constraints::with_selector(active, [a * b - c])
            });
        }
        for form in &shape.slots.linear {
            meta.create_gate("linear", |cells| {
                let active = cells.query_fixed(is_active);
                Constraints::with_selector(active, [expression(cells, &config, form)])
            });
        }
        config
    }

    fn synthesize(&self, config: Config, mut layouter: impl Layouter<Fp>) -> Result<(), Error> {
        layouter.assign_region(
            || "model",
            |mut region| {
                if let Some(column) = config.is_active {
                    for row in 0..self.shape.num_active_rows() {
                        region.assign_fixed(|| "", column, row, || Value::known(Fp::ONE))?;
                    }
                }
                for (column, values) in config.advice.values().zip(self.advice.unwrap_or(&[])) {
                    for (row, value) in values.iter().enumerate() {
                        region.assign_advice(|| "", *column, row, || Value::known(*value))?;
                    }
                }
                Ok(())
            },
        )
    }
}

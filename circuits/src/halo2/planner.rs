//! A floor planner that runs the circuit's one region once, at row 0.
//!
//! halo2's planners run a region twice, first to measure it; our layout is known in advance.

use ff::Field;
use halo2_proofs::{
    circuit::{
        layouter::{RegionLayouter, RegionShape},
        Cell, Layouter, Region, RegionIndex, Table, Value,
    },
    plonk::{Advice, Assigned, Assignment, Circuit, Column, Error, Fixed, FloorPlanner, Instance, Selector},
};
use std::{fmt, marker::PhantomData};

/// The planner; no copy constraints, constants or halo2 tables.
#[derive(Debug)]
pub struct OnePassPlanner;

impl FloorPlanner for OnePassPlanner {
    fn synthesize<F: Field, CS: Assignment<F>, C: Circuit<F>>(
        cs: &mut CS,
        circuit: &C,
        config: C::Config,
        _constants: Vec<Column<Fixed>>,
    ) -> Result<(), Error> {
        circuit.synthesize(config, OnePassLayouter { cs, cell: None, field: PhantomData })
    }
}

struct OnePassLayouter<'a, F: Field, CS: Assignment<F> + 'a> {
    cs: &'a mut CS,
    cell: Option<Cell>,
    field: PhantomData<F>,
}

impl<F: Field, CS: Assignment<F>> fmt::Debug for OnePassLayouter<'_, F, CS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnePassLayouter").finish_non_exhaustive()
    }
}

impl<'a, F: Field, CS: Assignment<F> + 'a> Layouter<F> for OnePassLayouter<'a, F, CS> {
    type Root = Self;

    fn assign_region<A, AR, N, NR>(&mut self, name: N, mut assignment: A) -> Result<AR, Error>
    where
        A: FnMut(Region<'_, F>) -> Result<AR, Error>,
        N: Fn() -> NR,
        NR: Into<String>,
    {
        self.cs.enter_region(name);
        let region: &mut dyn RegionLayouter<F> = self;
        let result = assignment(region.into())?;
        self.cs.exit_region();
        Ok(result)
    }

    fn assign_table<A, N, NR>(&mut self, _name: N, _assignment: A) -> Result<(), Error>
    where
        A: FnMut(Table<'_, F>) -> Result<(), Error>,
        N: Fn() -> NR,
        NR: Into<String>,
    {
        Err(Error::Synthesis)
    }

    fn constrain_instance(&mut self, _: Cell, _: Column<Instance>, _: usize) -> Result<(), Error> {
        Err(Error::Synthesis)
    }

    fn get_root(&mut self) -> &mut Self::Root {
        self
    }

    fn push_namespace<NR, N>(&mut self, name: N)
    where
        NR: Into<String>,
        N: FnOnce() -> NR,
    {
        self.cs.push_namespace(name);
    }

    fn pop_namespace(&mut self, gadget_name: Option<String>) {
        self.cs.pop_namespace(gadget_name);
    }
}

impl<F: Field, CS: Assignment<F>> OnePassLayouter<'_, F, CS> {
    /// Some cell. Only halo2's own types make a [`Cell`], and one has to be returned; as there are no
    /// copy constraints, nobody looks at it.
    fn cell(&mut self, make: impl FnOnce(&mut RegionShape) -> Result<Cell, Error>) -> Result<Cell, Error> {
        match self.cell {
            Some(cell) => Ok(cell),
            None => {
                let cell = make(&mut RegionShape::new(RegionIndex::from(0)))?;
                self.cell = Some(cell);
                Ok(cell)
            }
        }
    }
}

impl<'a, F: Field, CS: Assignment<F> + 'a> RegionLayouter<F> for OnePassLayouter<'a, F, CS> {
    fn enable_selector<'v>(
        &'v mut self,
        annotation: &'v (dyn Fn() -> String + 'v),
        selector: &Selector,
        offset: usize,
    ) -> Result<(), Error> {
        self.cs.enable_selector(annotation, selector, offset)
    }

    fn assign_advice<'v>(
        &'v mut self,
        annotation: &'v (dyn Fn() -> String + 'v),
        column: Column<Advice>,
        offset: usize,
        to: &'v mut (dyn FnMut() -> Value<Assigned<F>> + 'v),
    ) -> Result<Cell, Error> {
        self.cs.assign_advice(annotation, column, offset, to)?;
        self.cell(|shape| RegionLayouter::<F>::assign_advice(shape, &String::new, column, 0, &mut Value::unknown))
    }

    fn assign_advice_from_constant<'v>(
        &'v mut self,
        _: &'v (dyn Fn() -> String + 'v),
        _: Column<Advice>,
        _: usize,
        _: Assigned<F>,
    ) -> Result<Cell, Error> {
        Err(Error::Synthesis)
    }

    fn assign_advice_from_instance<'v>(
        &mut self,
        _: &'v (dyn Fn() -> String + 'v),
        _: Column<Instance>,
        _: usize,
        _: Column<Advice>,
        _: usize,
    ) -> Result<(Cell, Value<F>), Error> {
        Err(Error::Synthesis)
    }

    fn instance_value(&mut self, instance: Column<Instance>, row: usize) -> Result<Value<F>, Error> {
        self.cs.query_instance(instance, row)
    }

    fn assign_fixed<'v>(
        &'v mut self,
        annotation: &'v (dyn Fn() -> String + 'v),
        column: Column<Fixed>,
        offset: usize,
        to: &'v mut (dyn FnMut() -> Value<Assigned<F>> + 'v),
    ) -> Result<Cell, Error> {
        self.cs.assign_fixed(annotation, column, offset, to)?;
        self.cell(|shape| RegionLayouter::<F>::assign_fixed(shape, &String::new, column, 0, &mut Value::unknown))
    }

    fn constrain_constant(&mut self, _: Cell, _: Assigned<F>) -> Result<(), Error> {
        Err(Error::Synthesis)
    }

    fn constrain_equal(&mut self, _: Cell, _: Cell) -> Result<(), Error> {
        Err(Error::Synthesis)
    }
}

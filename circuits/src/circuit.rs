//! The one halo2 circuit: words, gadget gates and the LogUp argument.
//!
//! No equality constraints; no weight in any fixed column. Columns are declared in this order, and the
//! argument relies on it (phase-1 commitments are the first points of the proof):
//!
//! | phase | advice columns |
//! |---|---|
//! | 1 | words, one multiplicity `m` per table group |
//! | 2 | `φ`, and `θ`, `θ²` where needed; one `h` per group of lookups; one `h_t` per table group; `s` |
//!
//! Instance: one column, row 0 is `φ`, row 1 is `θ`. Rows `0 .. u` are active, `u = n − 6`; row `u` and those after
//! it hold halo2's randomness and no gate reads them.
//!
//! LogUp (Haböck, *Multivariate lookups based on logarithmic derivatives*, 2022, section 3), per active
//! row with fingerprints `d = φ + t·θ² + x` or `φ + t·θ² + x + θ·y`. Without pairs the tag stands at `θ`, with a
//! single table there is no tag, and columns that are then not needed do not exist:
//!
//! | gate | rows | degree with selector |
//! |---|---|---|
//! | `φ = instance`, `s = 0` | 0 | 2 |
//! | `θ = instance` | 1 | 2 |
//! | `φ(next) = φ`, `θ(next) = θ` | 0 .. u−1 | 2 |
//! | `θ² = θ·θ` | active | 3 |
//! | `h·Π d_i = Σ_i Π_(j≠i) d_j` | active | ≤ 5 |
//! | `h_t·d_t = m` | active | 4 |
//! | `s(next) = s + Σ h − Σ h_t` | 0 .. u−1 | 2 |
//! | `s + Σ h − Σ h_t = 0` | u−1 | 2 |
//!
//! So `Σ 1/d` over all looked-up cells equals `Σ m/d_t` over all table rows, which for random `φ`, `θ`
//! holds only if every looked-up tuple is in the table, except with probability at most
//! `4(N + M)/|F|` for `N` lookups and `M` table rows.

use crate::{
    field::{from_i64, Fp},
    planner::OnePassPlanner,
    shape::{CircuitShape, Lookup},
    words::{Lane, PlacedLane},
};
use ff::Field;
use halo2_proofs::{
    circuit::{Layouter, Region, Value},
    plonk::{Advice, Circuit, Column, ConstraintSystem, Constraints, Error, Expression, Fixed, Instance, VirtualCells},
    poly::Rotation,
};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

thread_local! {
    /// `Circuit::configure` takes no arguments: the shape reaches it through this.
    static SHAPE: RefCell<Option<Arc<CircuitShape>>> = const { RefCell::new(None) };
    /// Advice columns in the order of queries, while [`query_order`] listens.
    static QUERIES: RefCell<Option<Vec<Column<Advice>>>> = const { RefCell::new(None) };
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

/// All advice values on active rows.
#[derive(Clone, Debug, Default)]
pub struct Assignment {
    /// Words.
    pub columns: Vec<Vec<i64>>,
    /// Multiplicities, one column per table group.
    pub multiplicities: Vec<Vec<u64>>,
    /// Phase 2.
    pub phase2: Phase2,
}

/// Advice values that depend on the challenges.
#[derive(Clone, Debug, Default)]
pub struct Phase2 {
    /// `φ`.
    pub phi: Fp,
    /// `θ`.
    pub theta: Fp,
    /// `h`, one column per group of lookups.
    pub helpers: Vec<Vec<Fp>>,
    /// `h_t`, one column per table group.
    pub table_helpers: Vec<Vec<Fp>>,
    /// `s`.
    pub sum: Vec<Fp>,
}

/// The circuit, with or without a witness.
#[derive(Clone, Debug)]
pub struct ModelCircuit<'a> {
    /// Its shape; must be the one given to [`with_shape`].
    pub shape: &'a CircuitShape,
    /// The witness.
    pub assignment: Option<&'a Assignment>,
}

/// Columns of the circuit.
#[derive(Clone, Debug)]
pub struct Config {
    words: Vec<Column<Advice>>,
    multiplicities: Vec<Column<Advice>>,
    phi: Column<Advice>,
    theta: Option<Column<Advice>>,
    theta_squared: Option<Column<Advice>>,
    helpers: Vec<Column<Advice>>,
    table_helpers: Vec<Column<Advice>>,
    sum: Column<Advice>,
    is_active: Column<Fixed>,
    has_next: Column<Fixed>,
    is_first: Column<Fixed>,
    is_second: Option<Column<Fixed>>,
    is_last: Column<Fixed>,
    tables: Vec<TableColumns>,
}

/// The fixed columns of a table group; values are zero, and tags one and the same, where there is no column.
#[derive(Clone, Copy, Debug)]
struct TableColumns {
    x: Column<Fixed>,
    tag: Option<Column<Fixed>>,
    y: Option<Column<Fixed>>,
}

/// Queries a column.
fn query(cells: &mut VirtualCells<'_, Fp>, column: Column<Advice>, at: Rotation) -> Expression<Fp> {
    QUERIES.with(|queries| {
        if let Some(queries) = queries.borrow_mut().as_mut() {
            queries.push(column);
        }
    });
    cells.query_advice(column, at)
}

/// All advice columns, by number, in the order in which gates first query them: the order in which halo2 opens them.
#[must_use]
pub fn query_order(shape: &Arc<CircuitShape>) -> Vec<usize> {
    QUERIES.with(|queries| *queries.borrow_mut() = Some(Vec::new()));
    with_shape(shape, || ModelCircuit::configure(&mut ConstraintSystem::default()));
    let queried = QUERIES.with(RefCell::take).unwrap_or_default();
    let columns: BTreeSet<Column<Advice>> = queried.iter().copied().collect();
    // Every column is queried, so its rank is its number.
    let numbers: BTreeMap<Column<Advice>, usize> = columns.into_iter().zip(0..).collect();
    let mut seen = BTreeSet::new();
    queried.iter().filter_map(|column| numbers.get(column).copied()).filter(|number| seen.insert(*number)).collect()
}

/// The sum of limbs of a word on a row.
fn word(cells: &mut VirtualCells<'_, Fp>, config: &Config, limbs: &[(usize, u8)]) -> Expression<Fp> {
    limbs.iter().fold(Expression::Constant(Fp::ZERO), |sum, (column, shift)| {
        let limb = query(cells, config.words[*column], Rotation::cur());
        sum + if *shift == 0 { limb } else { limb * Fp::from(1 << shift) }
    })
}

fn lane_gate(cells: &mut VirtualCells<'_, Fp>, config: &Config, placed: &PlacedLane) -> Vec<Expression<Fp>> {
    let words: Vec<Expression<Fp>> = placed.words.iter().map(|limbs| word(cells, config, limbs)).collect();
    let constant = |value: u64| Expression::Constant(Fp::from(value));
    let mut gates = Vec::new();
    match placed.lane {
        Lane::Range => {}
        Lane::Interval { width } => gates.push(words[0].clone() + words[1].clone() - constant(width)),
        Lane::Clamp { under, over, complement } => {
            let mut next = 1;
            gates.extend(saturation_gates(&words, &mut next, under, over));
            if let (true, Some(width)) = (complement, over) {
                gates.push(words[0].clone() + words[next].clone() - constant(width));
            }
        }
        Lane::Table { under, over, .. } => gates.extend(saturation_gates(&words, &mut 2, under, over)),
        Lane::ZeroProduct => {
            gates.extend(words.into_iter().reduce(|product, d| product * d));
        }
        Lane::Division { q_lo } => {
            let [x, q, r, rest] = [0, 1, 2, 3].map(|i| words[i].clone());
            let quotient = q + Expression::Constant(from_i64(q_lo));
            let divisor = r.clone() + rest + constant(1);
            gates.push(x - quotient * divisor - r);
        }
    }
    gates
}

/// `v·y' = 0` and `w·(D − y') = 0`, for those of `v` and `w` that exist.
fn saturation_gates(words: &[Expression<Fp>], next: &mut usize, under: bool, over: Option<u64>) -> Vec<Expression<Fp>> {
    let mut gates = Vec::new();
    if under {
        gates.push(words[*next].clone() * words[0].clone());
        *next += 1;
    }
    if let Some(width) = over {
        gates.push(words[*next].clone() * (Expression::Constant(Fp::from(width)) - words[0].clone()));
        *next += 1;
    }
    gates
}

impl Circuit<Fp> for ModelCircuit<'_> {
    type Config = Config;
    type FloorPlanner = OnePassPlanner;

    fn without_witnesses(&self) -> Self {
        Self { shape: self.shape, assignment: None }
    }

    fn configure(meta: &mut ConstraintSystem<Fp>) -> Config {
        let shape = SHAPE
            .with(|cell| cell.borrow().clone())
            .unwrap_or_else(|| Arc::new(CircuitShape::new(4, Vec::new(), Vec::new(), Vec::new())));
        let mut advice = |count: usize| (0..count).map(|_| meta.advice_column()).collect::<Vec<_>>();
        let words = advice(shape.columns.len());
        let multiplicities = advice(shape.num_table_groups());
        let phi = advice(1)[0];
        let theta = advice(usize::from(shape.has_theta())).first().copied();
        let theta_squared = advice(usize::from(shape.has_theta_squared())).first().copied();
        let helpers = advice(shape.groups.len());
        let table_helpers = advice(shape.num_table_groups());
        let sum = advice(1)[0];
        let instance = meta.instance_column();
        let mut fixed = || meta.fixed_column();
        let config = Config {
            words,
            multiplicities,
            phi,
            theta,
            theta_squared,
            helpers,
            table_helpers,
            sum,
            is_active: fixed(),
            has_next: fixed(),
            is_first: fixed(),
            is_second: shape.has_theta().then(&mut fixed),
            is_last: fixed(),
            tables: (0..shape.num_table_groups())
                .map(|_| TableColumns {
                    x: fixed(),
                    tag: shape.has_tags().then(&mut fixed),
                    y: shape.has_pairs().then(&mut fixed),
                })
                .collect(),
        };
        configure_challenges(meta, &config, instance);
        for placed in &shape.lanes {
            if placed.lane == Lane::Range || matches!(placed.lane, Lane::Table { under: false, over: None, .. }) {
                continue;
            }
            meta.create_gate("gadget", |cells| {
                let active = cells.query_fixed(config.is_active);
                Constraints::with_selector(active, lane_gate(cells, &config, placed))
            });
        }
        configure_lookups(meta, &config, &shape);
        config
    }

    fn synthesize(&self, config: Config, mut layouter: impl Layouter<Fp>) -> Result<(), Error> {
        layouter.assign_region(
            || "model",
            |mut region| {
                assign_fixed(&mut region, &config, self.shape)?;
                match self.assignment {
                    Some(assignment) => assign_advice(&mut region, &config, self.shape, assignment),
                    None => Ok(()),
                }
            },
        )
    }
}

fn configure_challenges(meta: &mut ConstraintSystem<Fp>, config: &Config, instance: Column<Instance>) {
    let theta = config.theta.zip(config.is_second).map(|(column, row)| ("theta is the instance", column, row));
    let constants = std::iter::once(("phi is the instance", config.phi, config.is_first)).chain(theta);
    for (name, column, row) in constants {
        meta.create_gate(name, |cells| {
            let here = cells.query_fixed(row);
            let value = query(cells, column, Rotation::cur());
            let public = cells.query_instance(instance, Rotation::cur());
            Constraints::with_selector(here, [value - public])
        });
        meta.create_gate("challenges are constant", |cells| {
            let has_next = cells.query_fixed(config.has_next);
            let step = query(cells, column, Rotation::next()) - query(cells, column, Rotation::cur());
            Constraints::with_selector(has_next, [step])
        });
    }
    if let (Some(theta), Some(squared)) = (config.theta, config.theta_squared) {
        meta.create_gate("theta squared", |cells| {
            let active = cells.query_fixed(config.is_active);
            let theta = query(cells, theta, Rotation::cur());
            let squared = query(cells, squared, Rotation::cur());
            Constraints::with_selector(active, [squared - theta.clone() * theta])
        });
    }
}

/// `φ + tag·(θ² or θ) + x + θ·y`, as far as the shape has tags and values.
fn fingerprint(
    cells: &mut VirtualCells<'_, Fp>,
    config: &Config,
    x: Expression<Fp>,
    tag: Option<Expression<Fp>>,
    y: Option<Expression<Fp>>,
) -> Expression<Fp> {
    let mut sum = query(cells, config.phi, Rotation::cur()) + x;
    if let (Some(tag), Some(power)) = (tag, config.theta_squared.or(config.theta)) {
        sum = sum + query(cells, power, Rotation::cur()) * tag;
    }
    if let (Some(y), Some(theta)) = (y, config.theta) {
        sum = sum + query(cells, theta, Rotation::cur()) * y;
    }
    sum
}

fn configure_lookups(meta: &mut ConstraintSystem<Fp>, config: &Config, shape: &CircuitShape) {
    for (group, helper) in shape.groups.iter().zip(&config.helpers) {
        meta.create_gate("lookups", |cells| {
            let active = cells.query_fixed(config.is_active);
            let helper = query(cells, *helper, Rotation::cur());
            let fingerprints: Vec<_> = group.iter().map(|l| lookup_fingerprint(cells, config, shape, l)).collect();
            let product = |skip: Option<usize>| {
                fingerprints
                    .iter()
                    .enumerate()
                    .filter(|(i, _)| Some(*i) != skip)
                    .map(|(_, d)| d.clone())
                    .reduce(|a, b| a * b)
                    .unwrap_or(Expression::Constant(Fp::ONE))
            };
            let numerators = (0..fingerprints.len())
                .map(|i| product(Some(i)))
                .reduce(|a, b| a + b)
                .unwrap_or(Expression::Constant(Fp::ZERO));
            Constraints::with_selector(active, [helper * product(None) - numerators])
        });
    }
    for ((table, helper), multiplicity) in config.tables.iter().zip(&config.table_helpers).zip(&config.multiplicities) {
        meta.create_gate("table", |cells| {
            let active = cells.query_fixed(config.is_active);
            let x = cells.query_fixed(table.x);
            let tag = table.tag.map(|column| cells.query_fixed(column));
            let y = table.y.map(|column| cells.query_fixed(column));
            let fingerprint = fingerprint(cells, config, x, tag, y);
            let helper = query(cells, *helper, Rotation::cur());
            let multiplicity = query(cells, *multiplicity, Rotation::cur());
            Constraints::with_selector(active, [helper * fingerprint - multiplicity])
        });
    }
    meta.create_gate("sum", |cells| {
        let [first, has_next, last] =
            [config.is_first, config.has_next, config.is_last].map(|column| cells.query_fixed(column));
        let sum = query(cells, config.sum, Rotation::cur());
        let next = query(cells, config.sum, Rotation::next());
        let mut here = |column: &Column<Advice>| query(cells, *column, Rotation::cur());
        let mut after = sum.clone();
        if let Some(helpers) = balanced_sum(config.helpers.iter().map(&mut here).collect()) {
            after = after + helpers;
        }
        if let Some(helpers) = balanced_sum(config.table_helpers.iter().map(&mut here).collect()) {
            after = after - helpers;
        }
        [
            ("starts at zero", first * sum),
            ("adds up", has_next * (next - after.clone())),
            ("ends at zero", last * after),
        ]
    });
}

/// The sum of expressions as a balanced tree: halo2 walks expressions recursively, and there may be thousands.
fn balanced_sum(mut terms: Vec<Expression<Fp>>) -> Option<Expression<Fp>> {
    while terms.len() > 1 {
        let mut pairs = terms.into_iter();
        let mut next = Vec::new();
        while let Some(first) = pairs.next() {
            next.push(match pairs.next() {
                Some(second) => first + second,
                None => first,
            });
        }
        terms = next;
    }
    terms.pop()
}

fn lookup_fingerprint(
    cells: &mut VirtualCells<'_, Fp>,
    config: &Config,
    shape: &CircuitShape,
    lookup: &Lookup,
) -> Expression<Fp> {
    let constant = |tag: u64| shape.has_tags().then(|| Expression::Constant(Fp::from(tag)));
    match *lookup {
        Lookup::Single { column, tag } => {
            let x = query(cells, config.words[column], Rotation::cur());
            fingerprint(cells, config, x, constant(tag), None)
        }
        Lookup::Pair { x, y, tag } => {
            let x = query(cells, config.words[x], Rotation::cur());
            let y = query(cells, config.words[y], Rotation::cur());
            fingerprint(cells, config, x, constant(tag), Some(y))
        }
    }
}

fn assign_fixed(region: &mut Region<'_, Fp>, config: &Config, shape: &CircuitShape) -> Result<(), Error> {
    let rows = shape.num_active_rows();
    let mut set = |column: Column<Fixed>, row: usize, value: Fp| {
        region.assign_fixed(|| "", column, row, || Value::known(value)).map(|_| ())
    };
    for row in 0..rows {
        set(config.is_active, row, Fp::ONE)?;
        if row + 1 < rows {
            set(config.has_next, row, Fp::ONE)?;
        }
    }
    set(config.is_first, 0, Fp::ONE)?;
    if let Some(is_second) = config.is_second {
        set(is_second, 1, Fp::ONE)?;
    }
    set(config.is_last, rows - 1, Fp::ONE)?;
    for (g, columns) in config.tables.iter().enumerate() {
        for row in 0..rows {
            // Rows past the end repeat the first one: a cell at its default would put zeros into the table.
            let entry = shape.table_row(g, row);
            set(columns.x, row, from_i64(entry.x))?;
            if let Some(tag) = columns.tag {
                set(tag, row, Fp::from(entry.tag))?;
            }
            if let Some(y) = columns.y {
                set(y, row, from_i64(entry.y))?;
            }
        }
    }
    Ok(())
}

fn assign_advice(
    region: &mut Region<'_, Fp>,
    config: &Config,
    shape: &CircuitShape,
    assignment: &Assignment,
) -> Result<(), Error> {
    let mut set = |column: Column<Advice>, row: usize, value: Fp| {
        region.assign_advice(|| "", column, row, || Value::known(value)).map(|_| ())
    };
    let small = (0..1_u64 << 12).map(Fp::from).collect::<Vec<_>>();
    let embed =
        |value: i64| usize::try_from(value).ok().and_then(|v| small.get(v)).copied().unwrap_or_else(|| from_i64(value));
    for (column, values) in config.words.iter().zip(&assignment.columns) {
        for (row, value) in values.iter().enumerate() {
            set(*column, row, embed(*value))?;
        }
    }
    for (column, values) in config.multiplicities.iter().zip(&assignment.multiplicities) {
        for (row, value) in values.iter().enumerate() {
            set(*column, row, Fp::from(*value))?;
        }
    }
    let phase2 = &assignment.phase2;
    let constants =
        [(Some(config.phi), phase2.phi), (config.theta, phase2.theta), (config.theta_squared, phase2.theta.square())];
    for (column, value) in constants {
        for row in 0..shape.num_active_rows() {
            if let Some(column) = column {
                set(column, row, value)?;
            }
        }
    }
    let sum = std::slice::from_ref(&phase2.sum);
    let columns = config.helpers.iter().chain(&config.table_helpers).chain(std::iter::once(&config.sum));
    for (column, values) in columns.zip(phase2.helpers.iter().chain(&phase2.table_helpers).chain(sum)) {
        for (row, value) in values.iter().enumerate() {
            set(*column, row, *value)?;
        }
    }
    Ok(())
}

//! The one halo2 circuit: words, gadget gates and the LogUp argument.
//!
//! No equality constraints; no weight in any fixed column. Columns are declared in this order, and the
//! argument relies on it (phase-1 commitments are the first points of the proof):
//!
//! | phase | advice columns |
//! |---|---|
//! | 1 | words, one multiplicity `m` per table group |
//! | 2 | `φ`, `θ`, `θ²`; one `h` per group of lookups; one `h_t` per table group; `s` |
//!
//! Instance: one column, row 0 is `φ`, row 1 is `θ`. Rows `0 .. u` are active, `u = n − 6`; row `u` and those after
//! it hold halo2's randomness and no gate reads them.
//!
//! LogUp (Haböck, *Multivariate lookups based on logarithmic derivatives*, 2022, section 3), per active
//! row with fingerprints `d = φ + t·θ² + x` or `φ + t·θ² + x + θ·y`:
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
use std::{cell::RefCell, sync::Arc};

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
    theta: Column<Advice>,
    theta_squared: Column<Advice>,
    helpers: Vec<Column<Advice>>,
    table_helpers: Vec<Column<Advice>>,
    sum: Column<Advice>,
    is_active: Column<Fixed>,
    has_next: Column<Fixed>,
    is_first: Column<Fixed>,
    is_second: Column<Fixed>,
    is_last: Column<Fixed>,
    tables: Vec<[Column<Fixed>; 3]>,
}

/// The sum of limbs of a word on a row.
fn word(cells: &mut VirtualCells<'_, Fp>, config: &Config, limbs: &[(usize, u8)]) -> Expression<Fp> {
    limbs.iter().fold(Expression::Constant(Fp::ZERO), |sum, (column, shift)| {
        let limb = cells.query_advice(config.words[*column], Rotation::cur());
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
        let constants = advice(3);
        let helpers = advice(shape.groups.len());
        let table_helpers = advice(shape.num_table_groups());
        let sum = advice(1)[0];
        let instance = meta.instance_column();
        let mut fixed = || meta.fixed_column();
        let config = Config {
            words,
            multiplicities,
            phi: constants[0],
            theta: constants[1],
            theta_squared: constants[2],
            helpers,
            table_helpers,
            sum,
            is_active: fixed(),
            has_next: fixed(),
            is_first: fixed(),
            is_second: fixed(),
            is_last: fixed(),
            tables: (0..shape.num_table_groups()).map(|_| [fixed(), fixed(), fixed()]).collect(),
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
    for (name, column, row) in [
        ("phi is the instance", config.phi, config.is_first),
        ("theta is the instance", config.theta, config.is_second),
    ] {
        meta.create_gate(name, |cells| {
            let here = cells.query_fixed(row);
            let value = cells.query_advice(column, Rotation::cur());
            let public = cells.query_instance(instance, Rotation::cur());
            Constraints::with_selector(here, [value - public])
        });
    }
    meta.create_gate("challenges are constant", |cells| {
        let has_next = cells.query_fixed(config.has_next);
        let steps = [config.phi, config.theta]
            .map(|column| cells.query_advice(column, Rotation::next()) - cells.query_advice(column, Rotation::cur()));
        Constraints::with_selector(has_next, steps)
    });
    meta.create_gate("theta squared", |cells| {
        let active = cells.query_fixed(config.is_active);
        let theta = cells.query_advice(config.theta, Rotation::cur());
        let squared = cells.query_advice(config.theta_squared, Rotation::cur());
        Constraints::with_selector(active, [squared - theta.clone() * theta])
    });
}

fn configure_lookups(meta: &mut ConstraintSystem<Fp>, config: &Config, shape: &CircuitShape) {
    for (group, helper) in shape.groups.iter().zip(&config.helpers) {
        meta.create_gate("lookups", |cells| {
            let active = cells.query_fixed(config.is_active);
            let helper = cells.query_advice(*helper, Rotation::cur());
            let fingerprints: Vec<_> = group.iter().map(|l| lookup_fingerprint(cells, config, l)).collect();
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
            let [tag, x, y] = table.map(|column| cells.query_fixed(column));
            let [phi, theta, squared] = [config.phi, config.theta, config.theta_squared]
                .map(|column| cells.query_advice(column, Rotation::cur()));
            let fingerprint = phi + squared * tag + x + theta * y;
            let helper = cells.query_advice(*helper, Rotation::cur());
            let multiplicity = cells.query_advice(*multiplicity, Rotation::cur());
            Constraints::with_selector(active, [helper * fingerprint - multiplicity])
        });
    }
    meta.create_gate("sum", |cells| {
        let [first, has_next, last] =
            [config.is_first, config.has_next, config.is_last].map(|column| cells.query_fixed(column));
        let sum = cells.query_advice(config.sum, Rotation::cur());
        let next = cells.query_advice(config.sum, Rotation::next());
        let mut after = sum.clone();
        for helper in &config.helpers {
            after = after + cells.query_advice(*helper, Rotation::cur());
        }
        for helper in &config.table_helpers {
            after = after - cells.query_advice(*helper, Rotation::cur());
        }
        [
            ("starts at zero", first * sum),
            ("adds up", has_next * (next - after.clone())),
            ("ends at zero", last * after),
        ]
    });
}

fn lookup_fingerprint(cells: &mut VirtualCells<'_, Fp>, config: &Config, lookup: &Lookup) -> Expression<Fp> {
    let phi = cells.query_advice(config.phi, Rotation::cur());
    let squared = cells.query_advice(config.theta_squared, Rotation::cur());
    match lookup {
        Lookup::Single { column, tag } => {
            phi + squared * Fp::from(*tag) + cells.query_advice(config.words[*column], Rotation::cur())
        }
        Lookup::Pair { x, y, tag } => {
            let theta = cells.query_advice(config.theta, Rotation::cur());
            let x = cells.query_advice(config.words[*x], Rotation::cur());
            let y = cells.query_advice(config.words[*y], Rotation::cur());
            phi + squared * Fp::from(*tag) + x + theta * y
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
    set(config.is_second, 1, Fp::ONE)?;
    set(config.is_last, rows - 1, Fp::ONE)?;
    for (g, columns) in config.tables.iter().enumerate() {
        for row in 0..rows {
            // Rows past the end repeat the first one: a cell at its default would put zeros into the table.
            let entry = shape.table_row(g, row);
            for (column, value) in columns.iter().zip([
                from_i64(i64::try_from(entry.tag).unwrap_or(0)),
                from_i64(entry.x),
                from_i64(entry.y),
            ]) {
                set(*column, row, value)?;
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
    let squared = phase2.theta.square();
    for row in 0..shape.num_active_rows() {
        set(config.phi, row, phase2.phi)?;
        set(config.theta, row, phase2.theta)?;
        set(config.theta_squared, row, squared)?;
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

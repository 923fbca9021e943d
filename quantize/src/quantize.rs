//! From a float model to a quantised model.

use crate::{
    calibrate::{calibrate_masked, Range},
    data::{DataError, InputSpec, NamedTensor, Samples},
    fineness::needed_unit,
    fused::fused,
    graph::{Input, Interval},
    grid,
    lower::{channels::channel_ranges, curve::TableNote, dims, LowerError, Lowering},
    masks,
    model::{Gates, LayoutChoice, QuantizedModel, WeightPrivacy},
    onnx::{graph::ValueId, inspect::macs, FloatGraph, ImportError, OnnxModel},
    progress::Stage,
    recipe::{Recipe, RecipeError},
    roles::{roles, Role},
    scale::Scale,
    validate::{validate_graph, validate_weights, ModelError},
};
use serde::Serialize;

/// What quantisation found worth saying.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct QuantizeNotes {
    /// Things that the owner of the model should know.
    pub warnings: Vec<String>,
    /// How many samples the ranges come from; zero for made-up ones.
    pub calibration_samples: usize,
    /// What the tables of functions reach.
    pub tables: Vec<TableNote>,
}

/// Why a model is not quantised.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QuantizeError {
    /// The recipe cannot be followed.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// The float model cannot be run on the samples.
    #[error(transparent)]
    Run(#[from] ImportError),
    /// The samples are not for this model.
    #[error(transparent)]
    Data(#[from] DataError),
    /// There are samples, but none in them.
    #[error("the calibration data holds no sample")]
    NoSamples,
    /// A node that has no exact integer form.
    #[error("node '{name}' ({op}): {source}")]
    Node {
        /// The ONNX node.
        name: String,
        /// Its operator.
        op: String,
        /// Why.
        source: LowerError,
    },
    /// An output that has no exact integer form.
    #[error("output '{name}': {source}")]
    Output {
        /// The output.
        name: String,
        /// Why.
        source: LowerError,
    },
    /// An input whose range gives no scale.
    #[error("input '{name}': its range, {lo} to {hi}, gives no scale")]
    Input {
        /// The input.
        name: String,
        /// Smallest value.
        lo: f64,
        /// Largest value.
        hi: f64,
    },
    /// The recipe declares an input that the model does not have.
    #[error("the recipe declares an input '{0}', the model has none of this name")]
    UnknownInput(String),
    /// The result is not valid; this is an error of this program.
    #[error("the quantised model is not valid: {0}")]
    Invalid(#[from] ModelError),
}

/// No file makes an input wider than so many bits.
const MAX_INPUT_BITS: i32 = 34;

/// How many made-up samples stand in for missing ones, where they cost little.
const MADE_UP: usize = 32;
/// Multiply-accumulates of all made-up samples together; but there are two at least.
const MADE_UP_MACS: u64 = 1 << 34;

/// How many made-up samples a model gets: its inputs are not like theirs anyway.
fn num_made_up(float: &FloatGraph) -> usize {
    let macs = float.nodes.iter().fold(1, |sum: u64, node| sum.saturating_add(macs(float, node)));
    usize::try_from(MADE_UP_MACS / macs).unwrap_or(MADE_UP).clamp(2, MADE_UP)
}

/// Inputs that integers are made of have at most so many bits.
const MOST_INPUT_BITS: u8 = 24;

/// Quantises a float model.
///
/// Without samples, inputs are declared on the recipe's range (−1 to 1 by default) and tensors are calibrated on
/// uniform pseudo-random inputs, with a warning. The layout of the result is a placeholder, and its privacy is
/// public: both are for the caller to set.
///
/// # Errors
/// [`QuantizeError`], naming the node that has no exact integer form.
pub fn quantize(
    model: &OnnxModel,
    samples: Option<&Samples>,
    recipe: &Recipe,
) -> Result<(QuantizedModel, QuantizeNotes), QuantizeError> {
    recipe.check()?;
    let mut recipe = recipe.clone();
    let asked = recipe.input_bits;
    loop {
        match attempt(model, samples, &recipe) {
            // Integers are made of inputs that are too coarse for them.
            Err(QuantizeError::Node { source: LowerError::Inexact, .. }) if recipe.input_bits < MOST_INPUT_BITS => {
                recipe.input_bits = (recipe.input_bits + 4).min(MOST_INPUT_BITS);
            }
            Ok((quantised, mut notes)) if recipe.input_bits > asked => {
                let bits = recipe.input_bits;
                notes.warnings.push(format!("inputs have {bits} bits, not {asked}: integers are made of them"));
                return Ok((quantised, notes));
            }
            done => return done,
        }
    }
}

/// [`quantize`] with the widths of a recipe that has been checked.
fn attempt(
    model: &OnnxModel,
    samples: Option<&Samples>,
    recipe: &Recipe,
) -> Result<(QuantizedModel, QuantizeNotes), QuantizeError> {
    let (float, masked) = masks::tamed(model.graph());
    let float = fused(float);
    let float = float.as_ref();
    let specs = model.inputs();
    if let Some(name) = recipe.inputs.keys().find(|name| !specs.iter().any(|s| s.name == **name)) {
        return Err(QuantizeError::UnknownInput(name.clone()));
    }
    let mut notes = QuantizeNotes { warnings: float.notes.clone(), ..QuantizeNotes::default() };
    let roles = roles(float, &masked);
    let made_up;
    let samples = match samples {
        Some(samples) if samples.is_empty() => return Err(QuantizeError::NoSamples),
        Some(samples) => {
            notes.calibration_samples = samples.len();
            if samples.specs() != specs.as_slice() {
                let arrays = |i: usize, s: &InputSpec| NamedTensor {
                    name: s.name.clone(),
                    shape: [&[samples.len()], s.shape.as_slice()].concat(),
                    data: samples.values(i).to_vec(),
                };
                Samples::new(&specs, samples.specs().iter().enumerate().map(|(i, s)| arrays(i, s)).collect())?;
            }
            samples
        }
        None => {
            let range = recipe.input_range.unwrap_or((-1.0, 1.0));
            notes.warnings.push(format!(
                "no calibration samples: inputs are declared on {} to {} and tensor ranges come from random inputs",
                range.0, range.1
            ));
            let kinds: Vec<(bool, Role)> =
                float.inputs.iter().zip(&roles).map(|(id, role)| (float.values[id.0].integer, *role)).collect();
            made_up = random_samples(&specs, &kinds, range, num_made_up(float))?;
            &made_up
        }
    };
    let mut ranges = calibrate_masked(float, samples, (recipe.calibration, recipe.bits), &masked)?;
    for (id, range) in ranges.iter_mut().enumerate() {
        if !float.inputs.contains(&ValueId(id)) && !float.values[id].integer {
            *range = range.with_headroom(recipe.headroom);
        }
    }
    let mut lowering = Lowering::new(float, &ranges, recipe);
    lowering.masked = masked;
    if recipe.per_channel {
        lowering.channels = channel_ranges(float, samples)?;
    }
    let dyadic = float.nodes.iter().any(|n| n.op.is_discontinuous());
    for (i, id) in float.inputs.iter().enumerate() {
        let (made_up, integer) = (notes.calibration_samples == 0, float.values[id.0].integer);
        let kind = InputKind { made_up, integer, dyadic };
        let values = samples.values(i);
        let on = |scale, bounds| Input { name: specs[i].name.clone(), shape: dims(&specs[i].shape), bounds, scale };
        if let Some(declared) = recipe.inputs.get(&specs[i].name) {
            lowering.input(*id, on(declared.scale, declared.bounds));
            continue;
        }
        if let Some(bounds) = role_bounds(roles[i], values) {
            lowering.input(*id, on(Scale::ONE, bounds));
            continue;
        }
        if let Some((scale, bounds)) = grid::of_trees(float, *id, values, recipe) {
            lowering.input(*id, on(scale, bounds));
            continue;
        }
        // Tables of features are what the operators of ai.onnx.ml read.
        let mut readers = float.nodes.iter().filter(|n| n.inputs.contains(id)).peekable();
        let is_table = !kind.made_up && readers.peek().is_some() && readers.all(|n| is_tabular(&n.op_type));
        let table = grid::of_table(&specs[i].shape, kind.integer, values, recipe).filter(|_| is_table);
        let Some((scale, bounds, columns)) = table else {
            let mut input = declare(&specs[i], values, recipe, kind, None)?;
            let needed = needed_unit(float, *id, input.scale.to_f64(), recipe.private_weights);
            if let Some(unit) = needed.filter(|_| input.scale != Scale::ONE) {
                input = declare(&specs[i], values, recipe, kind, Some(unit))?;
            }
            lowering.input(*id, input);
            continue;
        };
        lowering.input(*id, on(scale, bounds));
        lowering.features(*id, &columns).map_err(|source| QuantizeError::Node {
            name: specs[i].name.clone(),
            op: "input".into(),
            source,
        })?;
    }
    let stage = Stage::new("quantising", float.nodes.len());
    for node in &float.nodes {
        stage.step();
        lowering.node(node).map_err(|source| QuantizeError::Node {
            name: node.name.clone(),
            op: node.op_type.clone(),
            source,
        })?;
    }
    lowering.outputs().map_err(|(name, source)| QuantizeError::Output { name, source })?;
    notes.tables = std::mem::take(&mut lowering.tables);
    let model = QuantizedModel {
        graph: lowering.graph,
        weights: lowering.weights,
        layout: LayoutChoice { k: 0, limb_bits: 0, gates: Gates::Relations },
        privacy: WeightPrivacy::Public,
    };
    validate_graph(&model.graph)?;
    validate_weights(&model.graph, &model.weights)?;
    Ok((model, notes))
}

/// What is known of an input besides its values.
#[derive(Clone, Copy)]
struct InputKind {
    /// The values are made up.
    made_up: bool,
    /// It holds integers.
    integer: bool,
    /// Its unit is a power of two: some operator jumps, and integers and halves have to be on the grid.
    dyadic: bool,
}

/// Declares an input: its unit, at most `finest` if there is such, and interval.
fn declare(
    spec: &InputSpec,
    values: &[f64],
    recipe: &Recipe,
    kind: InputKind,
    finest: Option<f64>,
) -> Result<Input, QuantizeError> {
    let InputKind { made_up, integer, dyadic } = kind;
    let input = |lo: i64, hi: i64, scale: Scale| Input {
        name: spec.name.clone(),
        shape: dims(&spec.shape),
        bounds: Interval::new(lo, hi),
        scale,
    };
    let seen = values
        .iter()
        .fold(Range { lo: f64::INFINITY, hi: f64::NEG_INFINITY }, |r, v| r.union(Range { lo: *v, hi: *v }));
    let fail = |range: Range| QuantizeError::Input { name: spec.name.clone(), lo: range.lo, hi: range.hi };
    let levels = libm::ldexp(1.0, recipe.input_bits.into()) - 1.0;
    let whole = |v: &f64| *v == libm::floor(*v) && v.abs() < 1e15;
    if integer {
        if !values.iter().all(whole) {
            return Err(fail(seen));
        }
        let (lo, hi) = recipe.input_range.unwrap_or((seen.lo, seen.hi));
        #[allow(clippy::cast_possible_truncation)] // checked
        let (lo, hi) = (libm::ceil(lo.max(-1e15)) as i64, libm::floor(hi.min(1e15)) as i64);
        if recipe.input_range.is_some() && lo < hi {
            return Ok(input(lo, hi, Scale::ONE));
        }
        return Ok(input(lo, lo.saturating_add_unsigned(cheap_width(lo, hi)), Scale::ONE));
    }
    if recipe.input_range.is_none() && !made_up && (!dyadic || values.iter().all(whole)) {
        // Pixels, as k / 255.
        let on_grid = |v: &f64| (0.0..=1.0).contains(v) && (v * 255.0 - libm::round(v * 255.0)).abs() < 1e-4;
        if !dyadic && recipe.input_bits >= 8 && seen.hi > 0.0 && seen.hi * 255.0 > 1.5 && values.iter().all(on_grid) {
            return Ok(input(0, 255, Scale::from_f64(1.0 / 255.0).map_err(|_| fail(seen))?));
        }
        // Small integers.
        if seen.hi - seen.lo <= levels
            && seen.lo < seen.hi
            && values.iter().all(|v| *v == libm::floor(*v) && v.abs() < 1e9)
        {
            #[allow(clippy::cast_possible_truncation)] // checked
            let (mut lo, mut hi) = (seen.lo as i64, seen.hi as i64);
            // Pixels in bytes.
            if (0..=255).contains(&lo) && (16..=255).contains(&hi) && recipe.input_bits >= 8 {
                (lo, hi) = (0, 255);
            }
            return Ok(input(lo, lo.saturating_add_unsigned(cheap_width(lo, hi)), Scale::ONE));
        }
    }
    let range = match recipe.input_range {
        Some((lo, hi)) => Range { lo, hi },
        None if made_up => seen.union(Range { lo: -1.0, hi: 1.0 }),
        None => {
            // A little more than was seen, without reaching zero from either side.
            // One value says nothing but its size; a unit below the precision of 32-bit floats makes integers too large.
            let share = if seen.lo < seen.hi { 1.0 / 512.0 } else { 0.25 };
            let slack = ((seen.hi - seen.lo) / 32.0).max(seen.magnitude() * share).max(1e-6 / 32.0);
            let lo = if seen.lo > 0.0 { (seen.lo - slack).max(seen.lo / 2.0) } else { seen.lo - slack };
            let hi = if seen.hi < 0.0 { (seen.hi + slack).min(seen.hi / 2.0) } else { seen.hi + slack };
            Range { lo, hi }
        }
    };
    let unit = (range.hi - range.lo) / levels;
    let least = (range.hi - range.lo) * libm::ldexp(1.0, -MAX_INPUT_BITS);
    let unit = finest.map_or(unit, |finest| unit.min(finest).max(least));
    if dyadic {
        let exponent = libm::floor(libm::log2(unit));
        #[allow(clippy::cast_possible_truncation)] // an exponent
        let scale = Scale::power_of_two(exponent.clamp(-1000.0, 1000.0) as i32).map_err(|_| fail(range))?;
        let steps = |v: f64| integer_of(v / scale.to_f64()).ok_or_else(|| fail(range));
        let lo = steps(libm::floor(range.lo))?.min(steps(range.lo)?);
        return Ok(input(lo, lo.saturating_add_unsigned(cheap_width(lo, steps(range.hi)?)), scale));
    }
    let scale = Scale::from_f64(unit).map_err(|_| fail(range))?;
    let integer = |v: f64| integer_of(v).ok_or_else(|| fail(range));
    let lo = integer(libm::floor(range.lo / unit + 0.5))?;
    // The width is exactly 2^b − 1.
    Ok(input(lo, lo + integer(levels)?, scale))
}

/// Whether an operator reads rows of features.
fn is_tabular(op: &str) -> bool {
    const TABULAR: &[&str] = &[
        "ArrayFeatureExtractor",
        "Imputer",
        "LinearClassifier",
        "LinearRegressor",
        "Normalizer",
        "SVMClassifier",
        "SVMRegressor",
        "Scaler",
        "TreeEnsemble",
        "TreeEnsembleClassifier",
        "TreeEnsembleRegressor",
    ];
    TABULAR.contains(&op)
}

/// The integer part of a float that has one.
#[allow(clippy::cast_possible_truncation)] // checked
fn integer_of(v: f64) -> Option<i64> {
    (v.abs() < 1e15).then_some(v as i64)
}

/// The smallest width `2^b − 1 ≥ hi − lo`: it is the cheapest to prove.
pub(crate) fn cheap_width(lo: i64, hi: i64) -> u64 {
    let width = (hi - lo).unsigned_abs().next_power_of_two().max(2);
    if width == (hi - lo).unsigned_abs() {
        2 * width - 1
    } else {
        width - 1
    }
}

/// The interval of an input of ids or of a mask, which the samples need not reach the ends of.
fn role_bounds(role: Role, values: &[f64]) -> Option<Interval> {
    let whole = values.iter().all(|v| *v == libm::floor(*v) && v.abs() < f64::from(i32::MAX));
    #[allow(clippy::cast_possible_truncation)] // checked
    let (lo, hi) = values.iter().fold((0, 0), |(lo, hi): (i64, i64), v| (lo.min(*v as i64), hi.max(*v as i64)));
    match role {
        Role::Ids { rows } | Role::Positions { rows } if whole => {
            Some(Interval::new(lo, hi.max(i64::from(rows) - 1).max(lo + 1)))
        }
        Role::Mask if whole && lo == 0 && hi <= 1 => Some(Interval::new(0, 1)),
        _ => None,
    }
}

/// Uniform pseudo-random inputs, the same everywhere; ids within their tables, positions in order, masks of ones.
#[allow(clippy::cast_precision_loss)] // 53 bits, and indices
fn random_samples(
    specs: &[InputSpec],
    kinds: &[(bool, Role)],
    (lo, hi): (f64, f64),
    count: usize,
) -> Result<Samples, DataError> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        // xorshift64*
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1_u64 << 53) as f64
    };
    let arrays = specs
        .iter()
        .zip(kinds)
        .map(|(s, (integer, role))| {
            let length = s.shape.last().copied().unwrap_or(1).max(1);
            let mut value = |i: usize| match role {
                Role::Ids { rows } => libm::floor(next() * f64::from(*rows)),
                Role::Positions { rows } => ((i % length) as f64).min(f64::from(*rows) - 1.0),
                Role::Mask => 1.0,
                // Integers, both ends included.
                Role::Plain if *integer => libm::round(lo + (hi - lo) * next()),
                Role::Plain => lo + (hi - lo) * next(),
            };
            NamedTensor {
                name: s.name.clone(),
                shape: [&[count], s.shape.as_slice()].concat(),
                data: (0..count * s.shape.iter().product::<usize>()).map(&mut value).collect(),
            }
        })
        .collect();
    Samples::new(specs, arrays)
}

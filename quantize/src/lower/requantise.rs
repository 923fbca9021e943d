//! Nodes of the integer graph: scales, shifts, saturation and tables.

use super::{
    emit::{self, emit, EmittedParam, ParamPolicy},
    expr::{Atom, AxisId, Expr, Origin},
    LowerError, Lowering,
};
use crate::{
    bounds::{conservative_bounds, tight_bounds},
    calibrate::Range,
    graph::{round_shift, Form, Graph, Interval, Node, Op, ParamId, Source, TensorId},
    integers::Integers,
    scale::Scale,
    table::Function,
};

/// Requantisation to a tensor: its scale, shift and the form.
pub(super) struct Chosen {
    pub(super) scale: f64,
    pub(super) shift: u8,
}

impl Lowering<'_> {
    /// Emits a form with bounds and keeps its parameters. Equal ones are one parameter; with private weights only those
    /// that are equal by construction, for that tells nothing of values.
    pub(super) fn commit(&mut self, expr: &Expr, order: &[AxisId], unit: f64, name: &str) -> Result<Form, LowerError> {
        let recipe = self.recipe;
        let declared = recipe.private_weights.then_some((recipe.declared_weight_bits, recipe.declared_bias_bits));
        let first = u32::try_from(self.weights.len()).map_err(|_| LowerError::TooWide)?;
        let mut emitted = emit(&mut self.axes, expr, order, unit, ParamPolicy { declared, first }, name)?;
        let ids: Vec<ParamId> = emitted.params.into_iter().map(|p| self.shared(p)).collect::<Result<_, _>>()?;
        let terms = emitted.form.terms.iter_mut().map(|t| &mut t.source);
        for source in terms.chain(emitted.form.products.iter_mut().map(|p| &mut p.left.source)) {
            if let Source::Param(id) = source {
                *id = *ids.get((id.0 - first) as usize).ok_or(LowerError::Internal("a parameter of another form"))?;
            }
        }
        let (params, tensors) = (&self.graph.params, &self.tensors);
        let (lo, hi) = conservative_bounds(&emitted.form, tensors, params).ok_or(LowerError::TooWide)?;
        let narrow = |v: i128| i64::try_from(v).map_err(|_| LowerError::TooWide);
        emitted.form.bounds = if recipe.private_weights {
            Interval::new(narrow(lo)?, narrow(hi)?)
        } else {
            tight_bounds(&emitted.form, tensors, params, &self.weights).ok_or(LowerError::TooWide)?
        };
        Ok(emitted.form)
    }

    /// The parameter's place in the graph: that of an equal one, or its own.
    fn shared(&mut self, EmittedParam { param, values, origin }: EmittedParam) -> Result<ParamId, LowerError> {
        let key = if self.recipe.private_weights {
            origin
        } else {
            Some(Origin::new((param.rows, param.cols, param.bounds, &values)))
        };
        let values = Integers::from(values);
        let known = key.and_then(|k| self.shared.get(&k)).copied().filter(|id| {
            let place = id.0 as usize;
            // It may have been forgotten, and digests prove nothing.
            self.graph
                .params
                .get(place)
                .is_some_and(|p| (p.rows, p.cols, p.bounds) == (param.rows, param.cols, param.bounds))
                && self.weights.get(place) == Some(&values)
        });
        if let Some(id) = known {
            return Ok(id);
        }
        let id = ParamId(u32::try_from(self.weights.len()).map_err(|_| LowerError::TooWide)?);
        self.graph.params.push(param);
        self.weights.push(values);
        if let Some(key) = key {
            self.shared.insert(key, id);
        }
        Ok(id)
    }

    /// Forgets the parameters from `count` on.
    pub(super) fn roll_back(&mut self, count: usize) {
        self.graph.params.truncate(count);
        self.weights.truncate(count);
    }

    /// Scale and shift for a tensor whose scale should be `target`.
    pub(super) fn choose(&self, expr: &Expr, target: f64) -> Chosen {
        let target = libm::ldexp(target, self.coarser_unit);
        let (scalars, weights) = magnitudes(expr);
        let power = |s: u8| libm::ldexp(1.0, i32::from(s));
        let mut shift = self.recipe.shift;
        match (scalars.as_slice(), weights.is_empty()) {
            ([], true) => Chosen { scale: target, shift: 0 },
            ([unit], true) if constants_fit(expr, *unit, target) => {
                // One tensor: an exact coefficient, and the scale follows from it.
                let ratio = target / unit;
                if ratio <= 1.0 + 1e-9 {
                    return Chosen { scale: *unit, shift: 0 };
                }
                while shift < 40 && libm::floor(power(shift) / ratio) < 1.0 {
                    shift += 1;
                }
                let coef = libm::floor(power(shift) / ratio).max(1.0);
                Chosen { scale: unit * power(shift) / coef, shift }
            }
            _ if !self.recipe.private_weights && weight_grain(expr).is_some() => {
                // Weights that are integers times one number are kept: the scale follows from it.
                let grain = weight_grain(expr).unwrap_or(target);
                let steps = libm::ceil(libm::log2(target / grain) - 1e-9);
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
                let shift = steps.clamp(0.0, 40.0) as u8;
                Chosen { scale: libm::ldexp(grain, shift.into()), shift }
            }
            _ => {
                let largest = |list: &[f64]| list.iter().copied().fold(0.0, f64::max);
                // What saturates needs no precision, and what is far above it tells nothing of the others.
                let factors = self.needed_factors(expr, target * power(self.recipe.bits), self.recipe.factor_bits());
                let enough = |s: u8| {
                    let weights_fit = if self.recipe.private_weights {
                        i32::from(s) >= i32::from(self.recipe.weight_bits) - 1 + self.fan_in(expr)
                    } else {
                        largest(&weights) * power(s) / target >= power(self.recipe.weight_bits - 1)
                    };
                    let bits = power(self.recipe.factor_bits());
                    (weights.is_empty() || weights_fit) && factors.iter().all(|f| f * power(s) / target >= bits)
                };
                while shift < 40 && !enough(shift) {
                    shift += 1;
                }
                Chosen { scale: target, shift: shift.saturating_sub(self.coarser) }
            }
        }
    }

    /// For every atom that is a number times tensors, its factor over its share of the largest summand: what adds
    /// little may be known with less precision. That summand counts as far as coefficients of so many bits leave
    /// [`RESULT_BITS`] for the range of the result: beyond, it saturates or cancels. No factor needs more than its bits.
    pub(super) fn needed_factors(&self, expr: &Expr, range: f64, bits: u8) -> Vec<f64> {
        let most = range * libm::ldexp(1.0, i32::from(bits) - RESULT_BITS).max(1.0);
        let reach = |atom: &Atom| self.reach(atom);
        let atoms: Vec<&Atom> = expr.atoms.iter().filter(|a| !a.reads.is_empty()).collect();
        let largest = atoms.iter().map(|a| constant_magnitude(a) * reach(a)).fold(0.0, f64::max).min(most);
        let need = |atom: &Atom| (largest / reach(atom)).max(constant_magnitude(atom));
        atoms.iter().filter(|a| a.dense.is_none()).map(|a| need(a)).collect()
    }

    /// The expression as a tensor of `PRECISE_BITS` bits and as many more as its static interval needs: nothing
    /// saturates, and the factors of all summands are as precise as the result.
    pub(super) fn precise_tensor(
        &mut self,
        expr: &Expr,
        range: Range,
        name: &str,
        shape: &[u32],
    ) -> Result<TensorId, LowerError> {
        let expr = self.compacted(expr.clone(), &[]);
        let order = expr.axes();
        let span = (range.hi - range.lo).max(range.magnitude() * 1e-3).max(1e-30);
        let target = libm::ldexp(span, -PRECISE_BITS);
        let atoms: Vec<&Atom> = expr.atoms.iter().filter(|a| !a.reads.is_empty()).collect();
        let (_, reach) = libm::frexp(atoms.iter().map(|a| self.reach(a)).fold(1.0, f64::max));
        let params = self.weights.len();
        let (mut shift, mut coarser) = (u8::try_from(reach.clamp(0, 40)).unwrap_or(0), 0);
        let (form, shift, unit) = loop {
            let unit = scale(libm::ldexp(target, coarser))?;
            match self.commit(&expr, &order, libm::ldexp(unit.to_f64(), -i32::from(shift)), name) {
                Err(LowerError::TooWide) if shift > 0 => {
                    self.roll_back(params);
                    shift -= 1;
                }
                Err(LowerError::TooWide) if coarser < PRECISE_BITS => {
                    self.roll_back(params);
                    coarser += 1;
                }
                form => break (form?, shift, unit),
            }
        };
        let op = Op::Clamp { lo: None, hi: None, under: false };
        self.push_node(Node { name: clip_name(name), form, shift, op, scale: unit }, shape)
    }

    /// The largest absolute value that the tensors of an atom reach, times the root of the number of its summands.
    #[allow(clippy::cast_precision_loss)] // magnitudes
    fn reach(&self, atom: &Atom) -> f64 {
        let reads = atom.reads.iter().map(|r| {
            let bounds = self.tensors[r.tensor.0 as usize].bounds;
            (bounds.lo.unsigned_abs().max(bounds.hi.unsigned_abs()) as f64).max(1.0)
        });
        reads.product::<f64>() * libm::sqrt(self.axes.volume(&atom.summed) as f64)
    }

    /// The scale at which a range fills the recipe's bits.
    pub(super) fn target(&self, range: Range, (lo, hi): (f64, f64)) -> f64 {
        let (low, high) = (range.lo.max(lo).min(0.0), range.hi.min(hi).max(0.0));
        let span = high - low;
        if span > 0.0 && span.is_finite() {
            span / (libm::ldexp(1.0, (self.recipe.bits + self.more_bits).into()) - 1.0)
        } else {
            libm::ldexp(1.0, -i32::from(self.recipe.bits))
        }
    }

    /// [`Lowering::requantise`] of a sum that fits.
    pub(super) fn requantise_sum(
        &mut self,
        expr: &Expr,
        window: &[AxisId],
        clamp: (f64, f64),
        range: Range,
        shape: &[u32],
        name: &str,
    ) -> Result<TensorId, LowerError> {
        let expr = self.compacted(expr.clone(), window);
        let mut order = expr.axes();
        order.extend(window);
        let params = self.weights.len();
        let mut target = self.target(range, clamp);
        let span = libm::ldexp(1.0, self.recipe.max_range_bits.into());
        let mut attempt = 0;
        let (node_scale, shift, form, q) = loop {
            let chosen = self.choose(&expr, target);
            let node_scale = scale(chosen.scale)?;
            let form = self.commit(&expr, &order, libm::ldexp(node_scale.to_f64(), -i32::from(chosen.shift)), name)?;
            let q = quantised(&form, chosen.shift);
            #[allow(clippy::cast_precision_loss)] // a ratio
            let width = (q.hi - q.lo) as f64 + 1.0;
            let wider = chosen.scale * width / span * (1.0 + f64::from(attempt) / 64.0);
            let seen = range.hi.min(clamp.1).max(0.0) - range.lo.max(clamp.0).min(0.0);
            let keeps = seen / wider >= libm::ldexp(1.0, self.recipe.max_min_bits.into());
            if window.is_empty() || width <= span || !keeps || attempt == 4 {
                break (node_scale, chosen.shift, form, q);
            }
            target = wider;
            attempt += 1;
            self.roll_back(params);
        };
        let (lo, hi) = self.limits(q, clamp, range, node_scale.to_f64(), !window.is_empty())?;
        let op = match u8::try_from(window.len()).map_err(|_| LowerError::TooWide)? {
            0 => Op::Clamp { lo, hi, under: false },
            axes => Op::Max { axes, lo, hi },
        };
        self.push_node(Node { name: clip_name(name), form, shift, op, scale: node_scale }, shape)
    }

    /// The integer clamp: the real one, and saturation where the static interval is wider than the recipe's bits.
    pub(super) fn limits(
        &self,
        q: Interval,
        (lo, hi): (f64, f64),
        range: Range,
        unit: f64,
        is_max: bool,
    ) -> Result<(Option<i64>, Option<i64>), LowerError> {
        let room = self.recipe.bits + self.more_bits;
        let bits = if is_max { room.max(self.recipe.max_range_bits) } else { room };
        let levels = (1_i64 << bits) - 1;
        // A bound beyond all integers is none.
        let real = |v: f64, open: i64| emit::integer(v / unit).unwrap_or(open);
        let (mut low, mut high) = (real(lo, i64::MIN), real(hi, i64::MAX));
        if q.hi.min(high) - q.lo.max(low) > levels {
            // Saturate around what was seen.
            let seen = emit::integer(range.lo.max(lo).min(0.0) / unit)?;
            low = low.max(seen);
            high = high.min(low.saturating_add((1_i64 << room) - 1));
        }
        if low >= high {
            high = low + 1;
        }
        Ok(((low > q.lo).then_some(low), (high < q.hi).then_some(high)))
    }

    pub(super) fn push_node(&mut self, node: Node, shape: &[u32]) -> Result<TensorId, LowerError> {
        self.graph.nodes.push(node);
        let graph = Graph { inputs: Vec::new(), params: Vec::new(), outputs: Vec::new(), ..Graph::default() };
        // Interval and unit as every reader of the graph sees them.
        let node = self.graph.nodes.last().cloned().ok_or(LowerError::Internal("no node"))?;
        let infos = Graph { nodes: vec![node], tables: self.graph.tables.clone(), ..graph }.tensors();
        let mut first = None;
        for info in infos {
            let id = self.push_tensor(info);
            first.get_or_insert(id);
        }
        let tensor = first.ok_or(LowerError::Internal("no tensor"))?;
        debug_assert_eq!(self.tensors[tensor.0 as usize].len(), shape.iter().map(|s| *s as usize).product::<usize>());
        Ok(tensor)
    }

    /// Emits a table lookup of a function, saturated to `domain` (in reals), in a table of at most so many entries.
    pub(super) fn lookup(
        &mut self,
        expr: &Expr,
        function: Function,
        (domain, entries): (Range, f64),
        output_scale: f64,
        name: &str,
        shape: &[u32],
    ) -> Result<TensorId, LowerError> {
        self.fitting(expr, &[], step_of(domain, entries), name, &|this, expr| {
            this.lookup_sum(expr, function, (domain, entries), output_scale, name, shape)
        })
    }

    /// Entries of the recipe's largest table.
    pub(super) fn table_entries(&self) -> f64 {
        libm::ldexp(1.0, self.recipe.table_bits.into())
    }

    /// [`Lowering::lookup`] of a sum that fits.
    fn lookup_sum(
        &mut self,
        expr: &Expr,
        function: Function,
        (domain, entries): (Range, f64),
        output_scale: f64,
        name: &str,
        shape: &[u32],
    ) -> Result<TensorId, LowerError> {
        let expr = self.compacted(expr.clone(), &[]);
        let order = expr.axes();
        let chosen = self.choose(&expr, step_of(domain, entries));
        let entries = emit::integer(entries)?;
        let input_scale = scale(chosen.scale)?;
        let form = self.commit(&expr, &order, libm::ldexp(input_scale.to_f64(), -i32::from(chosen.shift)), name)?;
        let q = quantised(&form, chosen.shift);
        // The table starts at the domain's start and does not go beyond what is possible.
        let lo = emit::integer(domain.lo / input_scale.to_f64())?.max(q.lo);
        let hi = (lo + entries - 1).min(q.hi).max(lo + 1);
        let (lo, hi) = if self.in_steps || self.in_parts {
            let (first, last) =
                (emit::integer(domain.lo / input_scale.to_f64())?, emit::integer(domain.hi / input_scale.to_f64())?);
            (first, last.min(first + entries - 1).max(first + 1))
        } else {
            (lo, hi)
        };
        let output_scale = scale(output_scale)?;
        let table = self.curve_table(function, input_scale, output_scale, Interval::new(lo, hi), domain)?;
        let op = Op::Table { table: self.table_index(table)? };
        self.push_node(Node { name: clip_name(name), form, shift: chosen.shift, op, scale: output_scale }, shape)
    }
}

/// The step of a table of so many entries over a domain.
pub(super) fn step_of(domain: Range, entries: f64) -> f64 {
    (domain.hi - domain.lo) / (entries - 1.0)
}

/// Magnitudes of an expression's atoms: those that are one number times tensors, and those with weights.
pub(super) fn magnitudes(expr: &Expr) -> (Vec<f64>, Vec<f64>) {
    let (mut scalars, mut weights) = (Vec::new(), Vec::new());
    for atom in expr.atoms.iter().filter(|a| !a.reads.is_empty()) {
        match &atom.dense {
            None => scalars.push(atom.coef.abs()),
            Some(_) => weights.push(constant_magnitude(atom)),
        }
    }
    (scalars, weights)
}

/// The number of which all weights of an expression are integer multiples of at most [`MAX_GRAINS`], where it has
/// such weights and nothing else but constants: models that were quantised before keep their integers.
pub(super) fn weight_grain(expr: &Expr) -> Option<f64> {
    let mut weighted = expr.atoms.iter().filter(|a| !a.reads.is_empty());
    let (atom, None) = (weighted.next()?, weighted.next()) else { return None };
    let values = &atom.dense.as_ref()?.values;
    let smallest = values.iter().map(|v| v.abs()).filter(|v| *v > 0.0).fold(f64::INFINITY, f64::min);
    let grain = (1..=MAX_PARTS).map(|parts| smallest / f64::from(parts)).find(|grain| {
        values.iter().all(|v| {
            let n = v / grain;
            n.abs() <= MAX_GRAINS && (n - libm::round(n)).abs() < 1e-4
        })
    })?;
    Some(grain * atom.coef.abs())
}

/// See [`Lowering::precise_tensor`].
const PRECISE_BITS: i32 = 20;

/// Coefficients are precise enough for so many bits of the result.
const RESULT_BITS: i32 = 10;
/// The smallest weight is at most so many grains.
const MAX_PARTS: u32 = 12;
/// The largest integer weight that counts as such.
const MAX_GRAINS: f64 = 2048.0;

/// Whether the constants of an expression are multiples of a unit, or the unit is fine enough for them.
fn constants_fit(expr: &Expr, unit: f64, target: f64) -> bool {
    let constants = expr.atoms.iter().filter(|a| a.reads.is_empty());
    let whole = |v: f64| (v / unit - libm::round(v / unit)).abs() < 1e-9;
    unit <= target
        || constants.into_iter().all(|a| match &a.dense {
            None => whole(a.coef),
            Some(d) => d.values.iter().all(|v| whole(v * a.coef)),
        })
}

pub(super) fn constant_magnitude(atom: &Atom) -> f64 {
    let largest = atom.dense.as_ref().map_or(1.0, |d| d.values.iter().fold(0.0_f64, |m, v| m.max(v.abs())));
    atom.coef.abs() * largest
}

pub(super) fn quantised(form: &Form, shift: u8) -> Interval {
    Interval::new(round_shift(form.bounds.lo, shift), round_shift(form.bounds.hi, shift))
}

pub(super) fn scale(value: f64) -> Result<Scale, LowerError> {
    Scale::from_f64(value).map_err(|e| LowerError::Scale(e.0))
}

/// A name cut to what the file format takes.
pub(super) fn clip_name(name: &str) -> String {
    name.chars().take(120).collect()
}

//! What makes a graph valid. Everything later relies on these checks, whoever made the graph.

use crate::{
    bounds::{conservative_bounds, may_read_outside, parameter_free_bounds, tight_bounds, FORM_LIMIT},
    contraction::ProductAxes,
    graph::{Form, Graph, Interval, Node, Op, Operand, Source, TensorInfo},
    index::{Coordinate, IndexMap},
    integers::Integers,
    scale::Scale,
    with_integers,
};

/// Caps on what a graph may hold, so that hostile files stay cheap.
#[derive(Clone, Copy, Debug)]
pub struct Limits;

impl Limits {
    /// Elements of one tensor, form or parameter.
    pub const ELEMENTS: usize = 1 << 26;
    /// Points of the form's axes and of those summed over, for a term or an operand of a product: multiply-accumulates of
    /// whoever evaluates. No verifier enumerates them, so this only keeps counts far below 64 bits.
    pub const VISITS: u64 = 1 << 40;
    /// What checking a graph enumerates: points of all factors of all maps, and elements whose bounds differ.
    pub const WORK: usize = 1 << 28;
    /// Axes of an index space, all kinds together.
    pub const AXES: usize = 24;
    /// Inputs, outputs, tables, parameters and nodes, each.
    pub const ITEMS: usize = 1 << 16;
    /// Terms and products of one form, each.
    pub const TERMS: usize = 1 << 12;
    /// Bytes of a name.
    pub const NAME: usize = 512;
    /// Entries of a table.
    pub const TABLE: usize = 1 << 20;
    /// Largest shift.
    pub const SHIFT: u8 = 40;
    /// Largest window of a maximum. Its elements are elements of a form, and cost what those cost.
    pub const WINDOW: usize = 1 << 20;
}

/// Why a graph is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
#[non_exhaustive]
pub struct ModelError {
    /// Which part.
    pub place: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a part of a graph.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Too many or too large.
    #[error("{what} is {actual}, over the limit of {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its size.
        actual: usize,
        /// The limit.
        limit: usize,
    },
    /// A shape with a zero.
    #[error("an axis has size 0")]
    EmptyAxis,
    /// Refers to a tensor, table or parameter that is not there, or not there yet.
    #[error("refers to {0}, which is not defined before it")]
    Undefined(String),
    /// A map that reads past the end of its source.
    #[error("a map reads address {address} of {length}")]
    OutOfRange {
        /// One past the largest address.
        address: u64,
        /// Length of the source.
        length: usize,
    },
    /// A malformed index map.
    #[error("malformed index map: {0}")]
    Map(&'static str),
    /// A malformed product.
    #[error("malformed product: {0}")]
    Product(&'static str),
    /// Bounds that cannot be.
    #[error("bounds [{lo}, {hi}] are not valid: {why}")]
    Bounds {
        /// Lower bound.
        lo: i128,
        /// Upper bound.
        hi: i128,
        /// Why not.
        why: &'static str,
    },
    /// Some other rule.
    #[error("{0}")]
    Rule(&'static str),
}

fn cap(what: &'static str, actual: usize, limit: usize) -> Result<(), Problem> {
    if actual > limit {
        Err(Problem::TooLarge { what, actual, limit })
    } else {
        Ok(())
    }
}

fn volume(shape: &[u32]) -> Result<usize, Problem> {
    cap("the number of axes", shape.len(), Limits::AXES)?;
    shape.iter().try_fold(1_usize, |volume, size| {
        if *size == 0 {
            return Err(Problem::EmptyAxis);
        }
        let volume = volume.saturating_mul(*size as usize);
        cap("the number of elements", volume, Limits::ELEMENTS)?;
        Ok(volume)
    })
}

fn interval(bounds: Interval) -> Result<(), Problem> {
    let fail = |why| Err(Problem::Bounds { lo: bounds.lo.into(), hi: bounds.hi.into(), why });
    if bounds.lo > bounds.hi {
        return fail("the lower bound is above the upper");
    }
    if i128::from(bounds.lo) <= -FORM_LIMIT || i128::from(bounds.hi) >= FORM_LIMIT {
        return fail("absolute values must stay below 2^62");
    }
    Ok(())
}

/// Checks a graph, without its weights.
///
/// # Errors
/// [`ModelError`], naming the first part that is not valid.
pub fn validate_graph(graph: &Graph) -> Result<(), ModelError> {
    let at = |place: String| move |problem| ModelError { place, problem };
    for names in
        [graph.inputs.iter().map(|i| &i.name).collect::<Vec<_>>(), graph.outputs.iter().map(|o| &o.name).collect()]
    {
        let mut unique = std::collections::BTreeSet::new();
        if !names.iter().all(|name| unique.insert(*name)) {
            return Err(at("graph".into())(Problem::Rule("two inputs or two outputs have the same name")));
        }
        if names.iter().any(|name| name.chars().any(char::is_control)) {
            return Err(at("graph".into())(Problem::Rule("a name has control characters")));
        }
    }
    for (what, count) in [
        ("the number of inputs", graph.inputs.len()),
        ("the number of nodes", graph.nodes.len()),
        ("the number of outputs", graph.outputs.len()),
        ("the number of parameters", graph.params.len()),
        ("the number of tables", graph.tables.len()),
    ] {
        cap(what, count, Limits::ITEMS).map_err(at("graph".into()))?;
    }
    for (i, param) in graph.params.iter().enumerate() {
        let check = || {
            cap("the name", param.name.len(), Limits::NAME)?;
            interval(param.bounds)?;
            volume(&[param.rows, param.cols]).map(|_| ())
        };
        check().map_err(at(format!("parameter {i}")))?;
    }
    for (i, table) in graph.tables.iter().enumerate() {
        let check = || {
            cap("the table", table.entries.len(), Limits::TABLE)?;
            if table.entries.len() < 2 {
                return Err(Problem::Rule("a table needs two entries"));
            }
            if table.lo.unsigned_abs() > 1 << 40 {
                return Err(Problem::Rule("a table starts within 2^40 of zero"));
            }
            if !(table.input_scale.is_canonical() && table.output_scale.is_canonical()) {
                return Err(Problem::Rule("a scale is not canonical"));
            }
            if !table.is_genuine() {
                return Err(Problem::Rule("the entries of a named function are not its values"));
            }
            Ok(())
        };
        check().map_err(at(format!("table {i}")))?;
    }
    for (i, input) in graph.inputs.iter().enumerate() {
        let check = || {
            cap("the name", input.name.len(), Limits::NAME)?;
            volume(&input.shape)?;
            if !input.scale.is_canonical() {
                return Err(Problem::Rule("the scale is not canonical"));
            }
            interval(input.bounds)
        };
        check().map_err(at(format!("input {i} '{}'", printable(&input.name))))?;
    }
    for (i, node) in graph.nodes.iter().enumerate() {
        validate_scalars(node).map_err(at(format!("node {i} '{}'", printable(&node.name))))?;
    }
    let work = graph_work(graph);
    cap("the work of reading all maps", work, Limits::WORK).map_err(at("graph".into()))?;
    // Tensors defined so far: a node sees those before it and no others.
    let infos = graph.tensors();
    let mut defined = graph.inputs.len();
    for (i, node) in graph.nodes.iter().enumerate() {
        validate_node(graph, node, infos.get(..defined).unwrap_or(&infos))
            .map_err(at(format!("node {i} '{}'", printable(&node.name))))?;
        let own = infos.get(defined..defined + node.num_outputs() as usize).unwrap_or_default();
        if own.len() != node.num_outputs() as usize {
            return Err(at(format!("node {i}"))(Problem::Rule("an under output needs a lower bound")));
        }
        own.iter().try_for_each(|t| interval(t.bounds)).map_err(at(format!("node {i}")))?;
        defined += own.len();
    }
    for (i, output) in graph.outputs.iter().enumerate() {
        let check = || {
            cap("the name", output.name.len(), Limits::NAME)?;
            if volume(&output.shape)? != volume(&output.form.shape)? {
                return Err(Problem::Rule("the form has another number of elements"));
            }
            if !output.scale.is_canonical() {
                return Err(Problem::Rule("the scale is not canonical"));
            }
            validate_form(graph, &output.form, &infos)
        };
        check().map_err(at(format!("output {i} '{}'", printable(&output.name))))?;
    }
    if graph.outputs.is_empty() {
        return Err(at("graph".into())(Problem::Rule("a graph needs an output")));
    }
    Ok(())
}

fn printable(name: &str) -> String {
    name.chars().take(80).map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// Everything that interval arithmetic relies on not to overflow, before any is done.
fn validate_scalars(node: &Node) -> Result<(), Problem> {
    cap("the shift", usize::from(node.shift), usize::from(Limits::SHIFT))?;
    interval(node.form.bounds)?;
    match &node.op {
        Op::Clamp { lo, hi, .. } | Op::Max { lo, hi, .. } => {
            [lo, hi].into_iter().flatten().try_for_each(|bound| interval(Interval::new(*bound, *bound)))
        }
        Op::Div { denominator } => interval(denominator.bounds),
        Op::Table { .. } | Op::OneHot { .. } => Ok(()),
    }
}

/// What checking enumerates: points and coordinates of the factors of all maps, and the elements of [`bounds_work`].
fn graph_work(graph: &Graph) -> usize {
    let map_work = |map: &IndexMap, axes: &[u32]| {
        map.factors.iter().fold(map.num_points(axes), |work, f| work.saturating_add(f.size as usize))
    };
    let form_work = |form: &Form| {
        let terms =
            form.terms.iter().map(|t| map_work(&t.map, &form.shape.iter().chain(&t.sums).copied().collect::<Vec<_>>()));
        let products = form.products.iter().flat_map(|p| {
            [&p.left, &p.right].map(|o| {
                map_work(&o.map, &form.shape.iter().chain(&p.summed).chain(&o.sums).copied().collect::<Vec<_>>())
            })
        });
        terms.chain(products).fold(bounds_work(form), usize::saturating_add)
    };
    let nodes = graph.nodes.iter().map(|node| {
        let denominator = match &node.op {
            Op::Div { denominator } => form_work(denominator),
            _ => 0,
        };
        form_work(&node.form).saturating_add(denominator)
    });
    nodes.chain(graph.outputs.iter().map(|o| form_work(&o.form))).fold(0, usize::saturating_add)
}

/// What the bounds of a form enumerate: where terms read parameters, or may read outside, elements differ along the axes
/// that these terms read, and the summed axes are counted at each.
fn bounds_work(form: &Form) -> usize {
    let deciding: Vec<_> = form
        .terms
        .iter()
        .filter(|t| {
            let sizes: Vec<u32> = form.shape.iter().chain(&t.sums).copied().collect();
            matches!(t.source, Source::Param(_)) || may_read_outside(&t.map, &sizes)
        })
        .collect();
    let decides = |axis: usize| deciding.iter().any(|t| t.map.uses(axis));
    let sizes = form.shape.iter().enumerate().filter(|(axis, _)| decides(*axis));
    let elements = sizes.fold(1_usize, |n, (_, size)| n.saturating_mul(*size as usize));
    let counts = deciding.iter().map(|t| t.sums.iter().fold(elements, |n, size| n.saturating_mul(*size as usize)));
    counts.fold(0, usize::saturating_add)
}

fn validate_node(graph: &Graph, node: &Node, tensors: &[TensorInfo]) -> Result<(), Problem> {
    cap("the name", node.name.len(), Limits::NAME)?;
    if !node.scale.is_canonical() {
        return Err(Problem::Rule("the scale is not canonical"));
    }
    validate_form(graph, &node.form, tensors)?;
    let ordered = |lo: &Option<i64>, hi: &Option<i64>| {
        for bound in [lo, hi].into_iter().flatten() {
            interval(Interval::new(*bound, *bound))?;
        }
        match (lo, hi) {
            (Some(lo), Some(hi)) if lo >= hi => Err(Problem::Rule("a clamp needs lo < hi")),
            _ => Ok(()),
        }
    };
    match &node.op {
        Op::Clamp { lo, hi, under } => {
            if *under && lo.is_none() {
                return Err(Problem::Rule("an under output needs a lower bound"));
            }
            ordered(lo, hi)
        }
        Op::Table { table } => match graph.tables.get(*table as usize) {
            Some(_) => Ok(()),
            None => Err(Problem::Undefined(format!("table {table}"))),
        },
        Op::Max { axes, lo, hi } => {
            ordered(lo, hi)?;
            let outer = node.form.shape.len().checked_sub(usize::from(*axes));
            let outer = outer.ok_or(Problem::Rule("the window has more axes than the form"))?;
            cap("the window", volume(&node.form.shape[outer..])?, Limits::WINDOW)
        }
        Op::Div { denominator } => {
            validate_form(graph, denominator, tensors)?;
            if denominator.shape != node.form.shape {
                return Err(Problem::Rule("numerator and denominator differ in shape"));
            }
            if denominator.bounds.lo < 1 {
                return Err(Problem::Rule("a denominator may be zero or negative"));
            }
            if node.shift != 0 {
                return Err(Problem::Rule("a division has no shift"));
            }
            Ok(())
        }
        Op::OneHot { size } => {
            volume(&node.output_shape())?;
            let (lo, hi) = (-i64::from(*size), i64::from(*size) - 1);
            if node.form.bounds.lo < lo || node.form.bounds.hi > hi {
                return Err(Problem::Rule("an index of a one-hot vector may be outside of it"));
            }
            if node.shift != 0 || node.scale != Scale::ONE {
                return Err(Problem::Rule("one-hot vectors have no shift, and the unit one"));
            }
            Ok(())
        }
    }
}

fn validate_form(graph: &Graph, form: &Form, tensors: &[TensorInfo]) -> Result<(), Problem> {
    volume(&form.shape)?;
    cap("the number of terms", form.terms.len(), Limits::TERMS)?;
    cap("the number of products", form.products.len(), Limits::TERMS)?;
    interval(form.bounds)?;
    let mut axes;
    for term in &form.terms {
        axes = form.shape.iter().chain(&term.sums).copied().collect::<Vec<_>>();
        validate_map(&term.map, &axes, source_len(graph, tensors, term.source)?)?;
        for sum in form.shape.len()..axes.len() {
            if !term.map.uses(sum) && term.sums[sum - form.shape.len()] != 1 {
                return Err(Problem::Map("a summed axis that the map does not read"));
            }
        }
    }
    for product in &form.products {
        if matches!(product.right.source, Source::Param(_)) {
            return Err(Problem::Product("a parameter stands on the left"));
        }
        // What a sumcheck runs over, and what one side adds up.
        let inner = ProductAxes::new(form, product).inner();
        volume(&inner.iter().map(|a| a.size).collect::<Vec<_>>())?;
        for operand in [&product.left, &product.right] {
            volume(&operand.sums)?;
            axes = form.shape.iter().chain(&product.summed).chain(&operand.sums).copied().collect();
            validate_map(&operand.map, &axes, source_len(graph, tensors, operand.source)?)?;
            for (axis, size) in axes.iter().enumerate().skip(form.shape.len()) {
                if !operand.map.uses(axis) && *size != 1 {
                    return Err(Problem::Product("a side does not read a summed axis"));
                }
            }
        }
        if let Source::Param(id) = product.left.source {
            validate_weight_operand(graph, form, &product.left, id.0)?;
        }
    }
    let Some((lo, hi)) = conservative_bounds(form, tensors, &graph.params) else {
        return Err(Problem::Rule("the parts of an exact form may add up to 2^62"));
    };
    let declared = form.bounds;
    if i128::from(declared.lo) < lo || i128::from(declared.hi) > hi {
        return Err(Problem::Bounds {
            lo: declared.lo.into(),
            hi: declared.hi.into(),
            why: "wider than the declared widths allow",
        });
    }
    // Without parameters the bounds can be checked here and now. Too narrow ones would drop clamps that bind.
    if !form.reads_parameters() {
        let tight = parameter_free_bounds(form, tensors);
        if tight.is_none_or(|tight| tight.lo < declared.lo || tight.hi > declared.hi) {
            return Err(Problem::Bounds {
                lo: declared.lo.into(),
                hi: declared.hi.into(),
                why: "the form can leave its declared bounds",
            });
        }
    }
    Ok(())
}

/// A weight matrix is read plainly: its rows by at most one axis of the form.
fn validate_weight_operand(graph: &Graph, form: &Form, operand: &Operand, id: u32) -> Result<(), Problem> {
    let cols = graph.params[id as usize].cols;
    for factor in &operand.map.factors {
        let end = u64::from(factor.size - 1) * u64::from(factor.stride);
        if factor.size > 1 && end >= u64::from(cols) && factor.stride % cols != 0 {
            return Err(Problem::Product("a factor of a weight map crosses rows and columns"));
        }
        let outside = factor.axes.iter().any(|a| usize::from(*a) >= form.shape.len());
        if factor.size > 1 && factor.stride % cols == 0 && outside {
            return Err(Problem::Product("a summed axis runs over the rows of a weight matrix"));
        }
    }
    Ok(())
}

fn source_len(graph: &Graph, tensors: &[TensorInfo], source: Source) -> Result<usize, Problem> {
    match source {
        Source::Tensor(id) => tensors.get(id.0 as usize).map(TensorInfo::len),
        Source::Param(id) => graph.params.get(id.0 as usize).map(crate::graph::Param::len),
    }
    .ok_or_else(|| Problem::Undefined(format!("{source:?}")))
}

fn validate_map(map: &IndexMap, axes: &[u32], length: usize) -> Result<(), Problem> {
    cap("the number of axes", axes.len(), Limits::AXES)?;
    if axes.contains(&0) {
        return Err(Problem::EmptyAxis);
    }
    let visits = axes.iter().fold(1_u64, |v, s| v.saturating_mul((*s).into()));
    if visits > Limits::VISITS {
        let clipped = |v: u64| usize::try_from(v).unwrap_or(usize::MAX);
        let (actual, limit) = (clipped(visits), clipped(Limits::VISITS));
        return Err(Problem::TooLarge { what: "the number of reads", actual, limit });
    }
    let mut seen = vec![false; axes.len()];
    for factor in &map.factors {
        if factor.axes.is_empty() {
            return Err(Problem::Map("a factor without axes"));
        }
        if factor.axes.windows(2).any(|w| w[0] >= w[1]) {
            return Err(Problem::Map("axes of a factor are not in increasing order"));
        }
        for axis in &factor.axes {
            match seen.get_mut(usize::from(*axis)) {
                Some(seen) if !*seen => *seen = true,
                _ => return Err(Problem::Map("an axis is unknown or stands in two factors")),
            }
        }
        let points = factor.axes.iter().fold(1_usize, |v, a| v.saturating_mul(axes[usize::from(*a)] as usize));
        cap("the points of a factor", points, Limits::ELEMENTS)?;
        match &factor.coordinate {
            Coordinate::Affine { coefs, .. } if coefs.len() == factor.axes.len() => {}
            Coordinate::Table(entries) if factor.axes.len() == 1 && entries.len() == points => {}
            _ => return Err(Problem::Map("a coordinate does not fit its axes")),
        }
    }
    cap("the coordinates of a map", map.num_coordinates(), Limits::ELEMENTS)?;
    let extent = map.extent().ok_or(Problem::Map("the addresses overflow"))?;
    if extent as usize > length {
        return Err(Problem::OutOfRange { address: extent.into(), length });
    }
    Ok(())
}

/// Whether every form declares just the bounds that follow from declared intervals: so nothing in the graph
/// tells anything of the values of parameters, and no clamp is dropped by somebody's word.
#[must_use]
pub fn has_conservative_bounds(graph: &Graph) -> bool {
    let infos = graph.tensors();
    let denominators = graph.nodes.iter().filter_map(|node| match &node.op {
        Op::Div { denominator } => Some(denominator),
        _ => None,
    });
    let outputs = graph.outputs.iter().map(|o| &o.form);
    let mut forms = graph.nodes.iter().map(|n| &n.form).chain(denominators).chain(outputs);
    forms.all(|form| {
        conservative_bounds(form, &infos, &graph.params) == Some((form.bounds.lo.into(), form.bounds.hi.into()))
    })
}

fn all_within<T: Copy + Into<i64>>(values: &[T], bounds: Interval) -> bool {
    values.iter().all(|value| bounds.contains((*value).into()))
}

/// Checks weights against a valid graph: lengths, declared intervals, and that the bounds of every
/// form hold for all inputs.
///
/// # Errors
/// [`ModelError`], naming the first part that is not valid.
pub fn validate_weights(graph: &Graph, weights: &[Integers]) -> Result<(), ModelError> {
    let at = |place: String| move |problem| ModelError { place, problem };
    if weights.len() != graph.params.len() {
        return Err(at("weights".into())(Problem::Rule("one vector per parameter is needed")));
    }
    for (i, (param, values)) in graph.params.iter().zip(weights).enumerate() {
        if values.len() != param.len() || !with_integers!(values, values => all_within(values, param.bounds)) {
            return Err(at(format!("parameter {i}"))(Problem::Rule("values are not as declared")));
        }
    }
    let infos = graph.tensors();
    let forms = graph.nodes.iter().enumerate().flat_map(|(i, node)| {
        let denominator = match &node.op {
            Op::Div { denominator } => Some(denominator),
            _ => None,
        };
        std::iter::once(&node.form).chain(denominator).map(move |form| (format!("node {i}"), form))
    });
    let outputs = graph.outputs.iter().enumerate().map(|(i, o)| (format!("output {i}"), &o.form));
    for (place, form) in forms.chain(outputs) {
        if !form.reads_parameters() {
            continue; // checked with the graph
        }
        let tight = tight_bounds(form, &infos, &graph.params, weights)
            .ok_or(Problem::Rule("the bounds overflow"))
            .map_err(at(place.clone()))?;
        // Tighter declared bounds may come from a finer analysis of the importer only if it is this one.
        if tight.lo < form.bounds.lo || tight.hi > form.bounds.hi {
            return Err(at(place)(Problem::Bounds {
                lo: form.bounds.lo.into(),
                hi: form.bounds.hi.into(),
                why: "the form can leave its declared bounds",
            }));
        }
    }
    Ok(())
}

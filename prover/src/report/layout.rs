//! The layout of the circuit: which cells of which columns hold what, from the compiled model itself.

use serde::Serialize;
use std::ops::Range;
use zkonnx_circuits::{
    committed::POINT_LEN,
    compiled::CompiledModel,
    params::ParamPlace,
    table_rows::FUNCTION_TAG,
    words::{Lane, Place},
};
use zkonnx_quantize::graph::{Form, Op, Source};

/// Columns of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Area {
    /// Limbs of words.
    Words,
    /// How often each row of a table is looked up.
    Multiplicities,
    /// Parameters, committed once.
    Parameters,
    /// Committed tensors of a statement.
    Committed,
}

impl Area {
    /// All of them, in the order of the picture.
    pub const ALL: [Self; 4] = [Self::Words, Self::Multiplicities, Self::Parameters, Self::Committed];

    /// For people.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Words => "words",
            Self::Multiplicities => "multiplicities of tables",
            Self::Parameters => "committed parameters",
            Self::Committed => "committed tensors",
        }
    }
}

/// What binds a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gadget {
    /// A range table alone: remainders, and words that no gate binds.
    Range,
    /// An interval.
    Interval,
    /// Clamping.
    Clamp,
    /// A maximum.
    Max,
    /// A function's table.
    Table,
    /// A division.
    Division,
    /// Rows of a range table.
    RangeTable,
    /// Rows of a function's table.
    FunctionTable,
    /// Weights and biases.
    Parameter,
    /// A committed tensor.
    Committed,
}

impl Gadget {
    /// For people.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Range => "range",
            Self::Interval => "interval",
            Self::Clamp => "clamp",
            Self::Max => "maximum",
            Self::Table => "function by table",
            Self::Division => "division",
            Self::RangeTable => "range table",
            Self::FunctionTable => "function table",
            Self::Parameter => "parameters",
            Self::Committed => "committed tensors",
        }
    }
}

/// Cells of one column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Run {
    /// The rows.
    pub rows: Range<usize>,
    /// The layer that they belong to, by its number.
    pub layer: Option<usize>,
    /// What binds them.
    pub gadget: Gadget,
}

/// One column.
#[derive(Clone, Debug, Serialize)]
pub struct Column {
    /// Where it is.
    pub area: Area,
    /// Rows that can be used.
    pub usable: usize,
    /// What it holds, from the top.
    pub runs: Vec<Run>,
}

impl Column {
    /// Rows that hold something.
    #[must_use]
    pub fn used(&self) -> usize {
        self.runs.iter().map(|run| run.rows.len()).sum()
    }
}

/// All columns.
#[derive(Clone, Debug, Serialize)]
pub struct Layout {
    /// Rows of the circuit.
    pub rows: usize,
    /// Those that the circuit can use.
    pub active_rows: usize,
    /// The columns, area by area.
    pub columns: Vec<Column>,
}

impl Layout {
    /// The layout of a compiled model.
    #[must_use]
    pub fn new(compiled: &CompiledModel) -> Self {
        let mut layout =
            Self { rows: compiled.num_rows(), active_rows: compiled.shape.num_active_rows(), columns: Vec::new() };
        layout.words(compiled);
        layout.multiplicities(compiled);
        layout.parameters(compiled);
        layout.committed(compiled);
        layout
    }

    /// The columns of an area.
    pub fn area(&self, area: Area) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(move |column| column.area == area)
    }

    /// Cells of an area that hold something, and all that could.
    #[must_use]
    pub fn fill(&self, area: Area) -> (usize, usize) {
        self.area(area).fold((0, 0), |(used, usable), c| (used + c.used(), usable + c.usable))
    }

    fn push(&mut self, area: Area, usable: usize, runs: Vec<Run>) {
        self.columns.push(Column { area, usable, runs });
    }

    fn words(&mut self, compiled: &CompiledModel) {
        let first = self.columns.len();
        let active = self.active_rows;
        let inputs = compiled.graph.inputs.len();
        compiled.placement.columns.iter().for_each(|_| self.push(Area::Words, active, Vec::new()));
        let mut layers: Vec<Option<usize>> = vec![None; compiled.placement.words.len()];
        for (node, words) in compiled.lowered.node_words.iter().enumerate() {
            layers[words.clone()].fill(Some(inputs + node));
        }
        for (input, words) in compiled.lowered.inputs.iter().enumerate() {
            for word in words.iter().flat_map(|words| std::iter::once(words.value).chain(words.complement)) {
                layers[word.0] = Some(input);
            }
        }
        for block in &compiled.lowered.blocks {
            let gadget = match block.lane {
                Lane::Range => Gadget::Range,
                Lane::Interval { .. } => Gadget::Interval,
                Lane::Clamp { .. } => Gadget::Clamp,
                Lane::Select => Gadget::Max,
                Lane::Table { .. } => Gadget::Table,
                Lane::Division { .. } => Gadget::Division,
            };
            for id in &block.words {
                let word = &compiled.placement.words[id.0];
                for place in &word.places {
                    self.run_of(first, place, word.len, (layers[id.0], gadget));
                }
            }
        }
        for column in &mut self.columns[first..] {
            column.runs.sort_by_key(|run| run.rows.start);
        }
    }

    fn run_of(&mut self, first: usize, place: &Place, len: usize, (layer, gadget): (Option<usize>, Gadget)) {
        place.for_each_run(len, self.active_rows, |column, rows, _| {
            self.columns[first + column].runs.push(Run { rows, layer, gadget });
        });
    }

    /// A column for every group of table rows.
    fn multiplicities(&mut self, compiled: &CompiledModel) {
        let (shape, active) = (&compiled.shape, self.active_rows);
        for group in 0..shape.num_table_groups() {
            let mut runs: Vec<Run> = Vec::new();
            for (row, entry) in shape.table_group(group).iter().enumerate() {
                let gadget = if entry.tag >= FUNCTION_TAG { Gadget::FunctionTable } else { Gadget::RangeTable };
                match runs.last_mut() {
                    Some(run) if run.gadget == gadget => run.rows.end = row + 1,
                    _ => runs.push(Run { rows: row..row + 1, layer: None, gadget }),
                }
            }
            self.push(Area::Multiplicities, active, runs);
        }
    }

    fn parameters(&mut self, compiled: &CompiledModel) {
        let first = self.columns.len();
        let (params, rows) = (&compiled.params, self.rows);
        (0..params.num_columns).for_each(|_| self.push(Area::Parameters, rows, Vec::new()));
        let readers = first_readers(compiled);
        let mut put = |column: usize, rows: Range<usize>, layer: Option<usize>| {
            if let Some(column) = self.columns.get_mut(first + column).filter(|_| !rows.is_empty()) {
                column.runs.push(Run { rows, layer, gadget: Gadget::Parameter });
            }
        };
        for ((place, param), layer) in params.places.iter().zip(&compiled.graph.params).zip(readers) {
            let (param_rows, cols) = (param.rows as usize, param.cols as usize);
            match place {
                ParamPlace::Pooled { start } => {
                    let mut position = *start;
                    let end = start + param.len();
                    while position < end {
                        let row = position % rows;
                        let run = (rows - row).min(end - position);
                        put(position / rows, row..row + run, layer);
                        position += run;
                    }
                }
                ParamPlace::Packed { first, rows_per_column, count } => {
                    for column in 0..*count {
                        let left = param_rows.saturating_sub(column * rows_per_column).min(*rows_per_column);
                        put(first + column, 0..left * cols, layer);
                    }
                }
                ParamPlace::Chunked { first, chunks } => {
                    for row in 0..param_rows {
                        for chunk in 0..*chunks {
                            let left = cols.saturating_sub(chunk * rows).min(rows);
                            put(first + row * chunks + chunk, 0..left, layer);
                        }
                    }
                }
            }
        }
    }

    fn committed(&mut self, compiled: &CompiledModel) {
        for tensor in &compiled.committed {
            for point in 0..tensor.num_points() {
                let used = tensor.len.saturating_sub(point * POINT_LEN).min(POINT_LEN);
                let run = Run { rows: 0..used, layer: None, gadget: Gadget::Committed };
                self.push(Area::Committed, self.rows, vec![run]);
            }
        }
    }
}

/// The first layer that reads each parameter.
fn first_readers(compiled: &CompiledModel) -> Vec<Option<usize>> {
    let graph = &compiled.graph;
    let mut readers = vec![None; graph.params.len()];
    let mut read = |layer: usize, form: &Form| {
        let products = form.products.iter().flat_map(|p| [p.left.source, p.right.source]);
        for source in form.terms.iter().map(|t| t.source).chain(products) {
            if let Source::Param(id) = source {
                if let Some(reader) = readers.get_mut(id.0 as usize) {
                    reader.get_or_insert(layer);
                }
            }
        }
    };
    let inputs = graph.inputs.len();
    for (i, node) in graph.nodes.iter().enumerate() {
        read(inputs + i, &node.form);
        if let Op::Div { denominator } = &node.op {
            read(inputs + i, denominator);
        }
    }
    let outputs = inputs + graph.nodes.len();
    graph.outputs.iter().enumerate().for_each(|(i, output)| read(outputs + i, &output.form));
    readers
}

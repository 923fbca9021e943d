//! A compiled model: everything that the prover and the verifier derive from a graph.

use crate::{
    committed::{committed_tensors, CommittedTensor},
    gadgets::table,
    lower::{lower, LowerError, Lowered, Modes},
    params::ParamLayout,
    products::{collect_products, SumcheckShape},
    shape::{active_rows, CircuitShape},
    table_rows::{num_table_rows, table_rows},
    words::{place, Placement},
};
use std::sync::Arc;
use zkonnx_quantize::{graph::Graph, model::LayoutChoice};

/// More columns of words than this are refused.
pub const MAX_COLUMNS: usize = 1 << 14;
/// More rows of lookup tables than this are refused: every verification evaluates them.
pub const MAX_TABLE_ROWS: usize = 1 << 21;
/// Contractions over more index bits than this are refused: their tables would not fit memory.
pub const MAX_VARIABLES: usize = 24;
/// Smallest and largest `k`.
pub const K_RANGE: std::ops::RangeInclusive<u8> = 4..=18;

/// A graph with its circuit, relations and parameter layout, for given modes.
#[derive(Clone, Debug)]
pub struct CompiledModel {
    /// The graph.
    pub graph: Arc<Graph>,
    /// How inputs and outputs stand in the statement.
    pub modes: Modes,
    /// The layout choice.
    pub layout: LayoutChoice,
    /// Words, blocks and relations.
    pub lowered: Lowered,
    /// The places of words.
    pub placement: Placement,
    /// The circuit.
    pub shape: Arc<CircuitShape>,
    /// The places of parameters.
    pub params: ParamLayout,
    /// The contractions that go through the sumcheck.
    pub sumcheck: SumcheckShape,
    /// The committed tensors.
    pub committed: Vec<CommittedTensor>,
}

impl CompiledModel {
    /// Compiles a valid graph.
    ///
    /// # Errors
    /// [`LowerError`] when there is no circuit with this layout.
    pub fn new(graph: Arc<Graph>, modes: Modes, layout: LayoutChoice) -> Result<Self, LowerError> {
        Self::check_layout(layout)?;
        let num_rows = 1_usize << layout.k;
        let committed = committed_tensors(&graph, &modes, num_rows)?;
        let lowered = lower(&graph, &modes, layout.limb_bits)?;
        let params = ParamLayout::new(&graph, num_rows);
        let sumcheck = collect_products(&graph, &lowered, num_rows);
        if sumcheck.widest > MAX_VARIABLES {
            return Err(LowerError::TooManyVariables { actual: sumcheck.widest, limit: MAX_VARIABLES });
        }
        Self::assemble(graph, modes, layout, lowered, (params, sumcheck, committed))
    }

    /// Whether there may be circuits with this layout.
    pub(crate) fn check_layout(layout: LayoutChoice) -> Result<(), LowerError> {
        if K_RANGE.contains(&layout.k) {
            Ok(())
        } else {
            Err(LowerError::K(layout.k))
        }
    }

    /// Places words, and derives the circuit.
    pub(crate) fn assemble(
        graph: Arc<Graph>,
        modes: Modes,
        layout: LayoutChoice,
        lowered: Lowered,
        (params, sumcheck, committed): (ParamLayout, SumcheckShape, Vec<CommittedTensor>),
    ) -> Result<Self, LowerError> {
        let active = active_rows(layout.k.into(), layout.gates);
        let too_many = |actual| LowerError::TooManyColumns { actual, limit: MAX_COLUMNS };
        let mut placement = place(&lowered.words, &lowered.blocks, active, MAX_COLUMNS).map_err(too_many)?;
        let rows = num_table_rows(&lowered.tables, &placement.columns);
        if rows > MAX_TABLE_ROWS {
            return Err(LowerError::TooManyTableRows { actual: rows, limit: MAX_TABLE_ROWS });
        }
        table::fill_unused(&graph, &lowered.tables, &mut placement.columns);
        let table = table_rows(&graph, &lowered.tables, &placement.columns);
        let (columns, lanes) = (placement.columns.clone(), placement.lanes.clone());
        let shape = CircuitShape::new((layout.k.into(), layout.gates), columns, lanes, table)?;
        Ok(Self { graph, modes, layout, lowered, placement, shape: Arc::new(shape), params, sumcheck, committed })
    }

    /// Number of points of all committed tensors.
    #[must_use]
    pub fn num_committed_points(&self) -> usize {
        self.committed.iter().map(CommittedTensor::num_points).sum()
    }

    /// Number of rows, `n`.
    #[must_use]
    pub fn num_rows(&self) -> usize {
        1 << self.layout.k
    }
}

//! What was measured, for people, programs and spreadsheets.

use super::{batch::BatchTimes, environment::Environment, statistics::Spread};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};
use zkonnx_circuits::{
    compiled::CompiledModel,
    cost::{num_linear, predict, Counts},
    messages::Rounds,
};
use zkonnx_quantize::model::Gates;

/// Version of [`Report`].
pub const REPORT_FORMAT: u16 = 2;

/// Measurements of one run of the program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`REPORT_FORMAT`].
    pub format: u16,
    /// Machine and program.
    pub environment: Environment,
    /// One for each choice of settings.
    pub runs: Vec<Measurement>,
}

/// What can be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Settings {
    /// The circuit has `2^k` rows.
    pub k: u8,
    /// Width of a limb.
    pub limb_bits: u8,
    /// How gates are proven.
    #[serde(default)]
    pub gates: Gates,
    /// Bits of activations, where the model was quantised for this.
    pub bits: Option<u8>,
    /// Threads.
    pub threads: usize,
    /// Inferences in one proof.
    pub group: u32,
}

/// Counts of the circuit. Reports of other formats have none of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Shape {
    /// Rows; zero where nothing is known.
    pub rows: usize,
    /// Committed columns: words and multiplicities.
    pub columns: usize,
    /// Those of words.
    pub word_columns: usize,
    /// Cells that are looked up.
    pub lookups: usize,
    /// Columns that are looked up, and groups of table rows: with the rows, leaves of the lookup argument.
    pub lookup_slots: usize,
    /// Layers of the lookup argument.
    pub layers: usize,
    /// Product gates that are relations, on every row.
    pub product_gates: usize,
    /// Linear gates that are relations, on every row.
    pub linear_gates: usize,
    /// Columns in a halo2 circuit.
    pub gated_columns: usize,
    /// Rounds of the contractions.
    pub contraction_rounds: usize,
    /// Pieces: messages with a commitment of their own.
    pub pieces: usize,
    /// Weights.
    pub weights: usize,
    /// Elements of parameters and of words.
    pub linear: usize,
}

impl Shape {
    /// The counts of a compiled model.
    #[must_use]
    pub fn of(model: &CompiledModel) -> Self {
        let (shape, rounds, cost) = (&model.shape, Rounds::of(model), predict(model));
        Self {
            rows: shape.num_rows(),
            columns: cost.columns,
            word_columns: shape.columns.len(),
            lookups: cost.lookups,
            lookup_slots: shape.num_lookup_slots(),
            layers: rounds.layers,
            product_gates: shape.num_product_slots(),
            linear_gates: shape.num_linear_slots(),
            gated_columns: shape.gated.len(),
            contraction_rounds: rounds.contractions,
            pieces: rounds.num_pieces(),
            weights: model.graph.params.iter().map(|p| p.len()).sum(),
            linear: num_linear(model),
        }
    }
}

/// Bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sizes {
    /// Of a proof.
    pub proof: usize,
    /// Of its statement.
    pub statement: usize,
    /// Of the model's `.zkv`.
    pub zkv: usize,
    /// Peak of the whole process while keys were made; `None` where unknown.
    pub prepare_peak: Option<u64>,
    /// The same while proving.
    pub prove_peak: Option<u64>,
}

/// What the cost model says.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Predicted {
    /// Seconds to prove, on two cores.
    pub seconds: f64,
    /// Seconds to verify, on two cores.
    #[serde(default)]
    pub verify_seconds: f64,
    /// Peak bytes while proving.
    pub memory: usize,
}

/// One choice of settings, measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// The model's file.
    pub model: String,
    /// Its identity; with several inferences in one proof that of the group.
    pub model_id: String,
    /// The settings.
    pub settings: Settings,
    /// The circuit.
    pub shape: Shape,
    /// Seconds of every stage by name.
    pub stages: BTreeMap<String, Spread>,
    /// Batches of proofs that were verified.
    pub batches: Vec<BatchTimes>,
    /// Bytes.
    pub sizes: Sizes,
    /// What was predicted.
    pub predicted: Predicted,
}

/// Stages in the order in which they happen; others follow by name.
pub const STAGES: [&str; 28] = [
    "load",
    "import",
    "quantise",
    "commit parameters",
    "keys",
    "register",
    "evaluate",
    "witness",
    "commitments",
    "halo2 proof",
    "commit columns",
    "transform columns",
    "quotient",
    "evaluations",
    "combine",
    "inner product",
    "lookups",
    "add up fractions",
    "contractions",
    "contraction tables",
    "pairs",
    "relations",
    "opening",
    "collect columns",
    "fold columns",
    "inner product rounds",
    "prove",
    "verify",
];

impl Measurement {
    /// All stages in order.
    #[must_use]
    pub fn ordered(&self) -> Vec<(&str, &Spread)> {
        let mut stages: Vec<(&str, &Spread)> =
            self.stages.iter().map(|(name, spread)| (name.as_str(), spread)).collect();
        stages.sort_by_key(|(name, _)| STAGES.iter().position(|stage| stage == name).unwrap_or(STAGES.len()));
        stages
    }
}

impl Measurement {
    /// What the cost model counts; `None` for reports of before it was written.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // counts are far below 2^52
    pub fn counts(&self) -> Option<Counts> {
        let Shape { rows, columns, lookup_slots, product_gates, gated_columns, pieces, linear, .. } = self.shape;
        let of_rows = |count: usize| rows as f64 * count as f64;
        (rows > 0).then(|| Counts {
            rows: rows as f64,
            cells: of_rows(columns),
            leaves: of_rows(lookup_slots),
            products: of_rows(product_gates),
            halo2_rows: if gated_columns > 0 { rows as f64 } else { 0.0 },
            gated_cells: of_rows(gated_columns),
            pieces: pieces as f64,
            linear: linear as f64,
        })
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "k = {}, limbs of {} bits, gates by {}", self.k, self.limb_bits, self.gates)?;
        if let Some(bits) = self.bits {
            write!(f, ", {bits} bits")?;
        }
        write!(f, ", threads: {}", self.threads)?;
        match self.group {
            1 => Ok(()),
            group => write!(f, ", {group} inferences in one proof"),
        }
    }
}

impl Report {
    /// One line for every stage of every measurement.
    ///
    /// # Errors
    /// When writing fails.
    pub fn to_csv(&self) -> Result<String, csv::Error> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record([
            "model",
            "k",
            "limb_bits",
            "gates",
            "bits",
            "threads",
            "group",
            "columns",
            "lookups",
            "proof_bytes",
            "prove_peak_bytes",
            "stage",
            "median",
            "min",
            "max",
            "deviation",
            "count",
        ])?;
        for run in &self.runs {
            let Settings { k, limb_bits, gates, bits, threads, group } = run.settings;
            let optional = |value: Option<u64>| value.map_or(String::new(), |v| v.to_string());
            for (stage, spread) in run.ordered() {
                writer.write_record([
                    run.model.clone(),
                    k.to_string(),
                    limb_bits.to_string(),
                    gates.to_string(),
                    optional(bits.map(u64::from)),
                    threads.to_string(),
                    group.to_string(),
                    run.shape.columns.to_string(),
                    run.shape.lookups.to_string(),
                    run.sizes.proof.to_string(),
                    optional(run.sizes.prove_peak),
                    stage.to_owned(),
                    spread.median.to_string(),
                    spread.min.to_string(),
                    spread.max.to_string(),
                    spread.deviation.to_string(),
                    spread.count.to_string(),
                ])?;
            }
        }
        let bytes = writer.into_inner().map_err(|e| csv::Error::from(std::io::Error::other(e.to_string())))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

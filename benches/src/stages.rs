//! The time of one stage of a proof, from the prover's own spans.

use crate::Fixture;
use std::{hint::black_box, time::Duration};
use zkonnx_prover::bench::stages::{by_name, StageTimes};
use zkonnx_quantize::model::Gates;

/// The stages of a proof: names of spans. Where halo2 proves the gates only what is then different is listed.
#[must_use]
pub fn stages_of(gates: Gates) -> &'static [&'static str] {
    match gates {
        Gates::Relations => {
            &["witness", "commitments", "lookups", "contractions", "pairs", "relations", "fold columns", "opening"]
        }
        Gates::Halo2 => &["commitments", "halo2 proof", "contractions", "opening"],
    }
}

/// The time that `runs` proofs spend in one stage.
///
/// # Panics
/// When the prover has no such span.
#[must_use]
pub fn time_of(fixture: &Fixture, stage: &str, runs: u64) -> Duration {
    let times = StageTimes::default();
    tracing::subscriber::with_default(times.subscriber(), || {
        (0..runs)
            .map(|_| {
                black_box(fixture.prove());
                *by_name(&times.take_spans()).get(stage).expect("a span of this name")
            })
            .sum()
    })
}

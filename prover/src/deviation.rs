//! Places where a test can make the prover lie.
//!
//! A prover is free to send anything; the tests of the verifier use that freedom. Every hook does
//! nothing by default, and proving with [`Honest`] is plain proving.

use pasta_curves::Fp;
use zkonnx_circuits::{circuit::Assignment, compiled::CompiledModel, witness::Cells};

/// What a lying prover changes, and when. Hooks are called in the order of the transcript.
#[allow(unused_variables)]
pub trait Deviation {
    /// The word cells, before anything is committed.
    fn cells(&mut self, model: &CompiledModel, cells: &mut Cells) {}
    /// Multiplicities, before they are committed.
    fn multiplicities(&mut self, counts: &mut Vec<Vec<u64>>) {}
    /// The values on halo2's own rows, of word column `column`.
    fn tail(&mut self, column: usize, tail: &mut [Fp]) {}
    /// The assignment given to halo2, after the LogUp challenges are known.
    fn assignment(&mut self, assignment: &mut Assignment) {}
    /// The round message `(c0, c2)` before it is committed; `sigma` are the challenges so far.
    fn round(&mut self, round: usize, sigma: &[Fp], message: &mut [Fp; 2]) {}
    /// Extra values `(column row, value)` that a piece's commitment contains beside its own, given the
    /// challenges drawn so far (for a mask piece: all σ).
    fn piece(&mut self, piece: usize, sigma: &[Fp]) -> Vec<(usize, Fp)> {
        Vec::new()
    }
    /// Masks and cross terms before they are committed.
    fn masks(&mut self, masks: &mut [Fp]) {}
    /// The masked evaluations before they are sent.
    fn masked(&mut self, gamma: Fp, masked: &mut [(Fp, Fp)]) {}
    /// How much the column equation is off: with everything committed, the prover may look.
    fn excess(&mut self, excess: Fp) {}
    /// The cross terms `(c_L, c_R)` of a fold before they are sent.
    fn fold(&mut self, round: usize, num_rounds: usize, cross: &mut (Fp, Fp)) {}
    /// A value that `X_L` (first) or `X_R` (second) contains on `G_0`.
    fn fold_on_generator(&mut self, round: usize, num_rounds: usize) -> (Fp, Fp) {
        (Fp::zero(), Fp::zero())
    }
    /// The final scalar and blind before they are sent.
    fn finish(&mut self, c: &mut Fp, f: &mut Fp) {}
}

/// Changes nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Honest;

impl Deviation for Honest {}

//! Places where a test can make the prover lie.
//!
//! A prover is free to send anything; the tests of the verifier use that freedom. Every hook does
//! nothing by default, and proving with [`Honest`] is plain proving. No hook sees or changes how a verifier
//! works: a lie is only something else sent, or another column committed.

use halo2_proofs::transcript::{Transcript, TranscriptWrite};
use pasta_curves::{EqAffine, Fp};
use std::io;
use zkonnx_circuits::{
    compiled::CompiledModel,
    messages::{Challenges, GateWeights, Piece},
    witness::Cells,
};
use zkonnx_verifier::{checks::Check, statement::StatementDigest, transcript::Challenge};

/// What a prover who wants to cheat with a piece looks at.
#[derive(Clone, Copy, Debug, Default)]
pub struct PieceView {
    /// The claim that what was sent so far leaves. For the contractions: what it moved the true one to.
    pub claim: Fp,
    /// The same of the true values.
    pub truth: Fp,
    /// The coordinate of the claim's point that this round is about; ½ for averages.
    pub z: Fp,
    /// `λ` of the layer.
    pub lambda: Fp,
}

/// What a prover who wants to cheat in the fold of columns looks at.
#[derive(Clone, Copy, Debug)]
pub struct FoldView<'a> {
    /// The round, from 0.
    pub round: usize,
    /// Number of rounds.
    pub num_rounds: usize,
    /// Functional of the first column of the lower half.
    pub low: &'a [Fp],
    /// Functional of the first column of the upper half.
    pub high: &'a [Fp],
}

/// What a lying prover changes, and when. Hooks are called in the order of the transcript.
#[allow(unused_variables)]
pub trait Deviation {
    /// The word cells, before anything is committed.
    fn cells(&mut self, model: &CompiledModel, cells: &mut Cells) {}
    /// Multiplicities, before they are committed.
    fn multiplicities(&mut self, counts: &mut Vec<Vec<i64>>) {}
    /// What word and multiplicity columns hold beside their integers, whatever field elements: (column, row, value).
    fn strays(&mut self, model: &CompiledModel) -> Vec<(usize, usize, Fp)> {
        Vec::new()
    }
    /// The commitment of a word or multiplicity column that is sent first, before it is sent.
    fn free_point(&mut self, column: usize, point: &mut EqAffine) {}
    /// A point of halo2's proof, by its number, before it is sent.
    fn halo2_point(&mut self, index: usize, point: &mut EqAffine) {}
    /// A scalar of halo2's proof, by its number, before it is sent.
    fn halo2_scalar(&mut self, index: usize, scalar: &mut Fp) {}
    /// What cells of parameter columns hold beside their integers, whatever field elements: (column, row, value).
    /// The commitments of a file that is to be believed hold them too.
    fn parameters(&mut self) -> Vec<(usize, usize, Fp)> {
        Vec::new()
    }
    /// The same for points of committed tensors, by their generators: (point, generator, value).
    fn committed(&mut self) -> Vec<(usize, usize, Fp)> {
        Vec::new()
    }
    /// The digest that starts the transcript. Changing it is proving for another protocol.
    fn header(&mut self, digest: &mut StatementDigest) {}
    /// A challenge was drawn. Changing it is proving for another protocol, one whose verifier
    /// draws it otherwise.
    fn challenge(&mut self, name: Check, challenge: &mut Fp) {}
    /// The weights of the relations of gates. Changing them is proving for another protocol, one that lacks such a relation.
    fn gates(&mut self, weights: &mut GateWeights) {}
    /// ρ and μ are known.
    fn relations(&mut self, challenges: &Challenges) {}
    /// A piece before it is committed.
    fn piece(&mut self, piece: Piece, view: &PieceView, values: &mut [Fp]) {}
    /// What a piece's commitment contains beside its values: on rows, and on `U`.
    fn beside_piece(&mut self, piece: Piece) -> (Vec<(usize, Fp)>, Fp) {
        (Vec::new(), Fp::zero())
    }
    /// `l` and `r` before they are sent; `claim` is what the rounds leave.
    fn clear(&mut self, claim: Fp, clear: &mut (Fp, Fp)) {}
    /// All challenges up to η are known, and what was sent in the clear.
    fn linear(&mut self, challenges: &Challenges, clear: (Fp, Fp)) {}
    /// The cross terms `(c_L, c_R)` of a fold before they are sent.
    fn fold(&mut self, view: &FoldView<'_>, cross: &mut (Fp, Fp)) {}
    /// A value that `X_L` (first) or `X_R` (second) contains on `G_0`.
    fn fold_on_generator(&mut self, view: &FoldView<'_>) -> (Fp, Fp) {
        (Fp::zero(), Fp::zero())
    }
    /// A value that `S` contains on `Ũ` beside its own.
    fn mask(&mut self) -> Fp {
        Fp::zero()
    }
    /// Values that `L` (first) and `R` (second) of a round contain on `Ũ` beside their own.
    fn round_of_opening(&mut self, round: usize) -> (Fp, Fp) {
        (Fp::zero(), Fp::zero())
    }
    /// The final scalar and blind before they are sent.
    fn finish(&mut self, c: &mut Fp, f: &mut Fp) {}
}

/// Changes nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Honest;

impl Deviation for Honest {}

/// Halo2's transcript, with every element shown to the deviation before it is sent.
pub(crate) struct Tampered<'a, T> {
    pub(crate) inner: &'a mut T,
    pub(crate) deviation: &'a mut dyn Deviation,
    pub(crate) points: usize,
    pub(crate) scalars: usize,
}

impl<T: Transcript<EqAffine, Challenge>> Transcript<EqAffine, Challenge> for Tampered<'_, T> {
    fn squeeze_challenge(&mut self) -> Challenge {
        self.inner.squeeze_challenge()
    }
    fn common_point(&mut self, point: EqAffine) -> io::Result<()> {
        self.inner.common_point(point)
    }
    fn common_scalar(&mut self, scalar: Fp) -> io::Result<()> {
        self.inner.common_scalar(scalar)
    }
}

impl<T: TranscriptWrite<EqAffine, Challenge>> TranscriptWrite<EqAffine, Challenge> for Tampered<'_, T> {
    fn write_point(&mut self, mut point: EqAffine) -> io::Result<()> {
        self.deviation.halo2_point(self.points, &mut point);
        self.points += 1;
        self.inner.write_point(point)
    }
    fn write_scalar(&mut self, mut scalar: Fp) -> io::Result<()> {
        self.deviation.halo2_scalar(self.scalars, &mut scalar);
        self.scalars += 1;
        self.inner.write_scalar(scalar)
    }
}

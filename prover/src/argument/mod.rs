//! The proving side of every step, as in [`zkonnx_verifier::argument`].

pub mod contractions;
pub mod gates;
pub mod lookup;
pub mod opening;
pub mod pairs;
pub mod relations;

use crate::{
    columns::Column,
    deviation::{Deviation, PieceView},
    keys::ProverModel,
    vartime::Point,
};
use group::{Curve as _, Group as _};
use halo2_proofs::transcript::TranscriptWrite;
use pasta_curves::{EqAffine, Fp};
use rand_chacha::ChaCha20Rng;
use zkonnx_circuits::messages::{Challenges, Piece};
use zkonnx_verifier::{checks::Check, transcript::Challenge};

/// A piece as it was sent.
#[derive(Clone, Debug)]
pub struct SentPiece {
    /// The values, from row 0 on.
    pub values: Vec<Fp>,
    /// The blind.
    pub blind: Fp,
    /// What a lying piece contains beside its values: (row, value).
    pub beside: Vec<(usize, Fp)>,
}

/// What the steps share.
#[derive(Debug)]
pub struct Prover<'a, T> {
    /// The model.
    pub model: &'a ProverModel,
    /// Every tensor of the trace.
    pub tensors: &'a [Vec<i64>],
    /// Word columns, then multiplicities.
    pub columns: &'a [Column],
    /// Their blinds.
    pub blinds: &'a [Fp],
    /// Challenges so far.
    pub challenges: Challenges,
    /// What was sent in the clear.
    pub clear: (Fp, Fp),
    /// Pieces so far.
    pub pieces: Vec<SentPiece>,
    /// Integers of every point of a committed tensor, and its blind.
    pub committed: Vec<(Vec<i64>, Fp)>,
    /// Randomness of everything but halo2's part.
    pub rng: ChaCha20Rng,
    /// The transcript.
    pub transcript: &'a mut T,
}

impl<T: TranscriptWrite<EqAffine, Challenge>> Prover<'_, T> {
    /// Commits a piece, and sends the point.
    fn send_piece(
        &mut self,
        piece: Piece,
        view: &PieceView,
        mut values: Vec<Fp>,
        deviation: &mut dyn Deviation,
    ) -> std::io::Result<()> {
        deviation.piece(piece, view, &mut values);
        let (beside, on_value) = deviation.beside_piece(piece);
        let generators = &self.model.generators;
        let blind = ff::Field::random(&mut self.rng);
        let mut point = generators.commit_piece(&values, blind);
        for (row, value) in &beside {
            point += generators.row[*row] * value;
        }
        if on_value != Fp::zero() {
            point += generators.value * on_value;
        }
        self.pieces.push(SentPiece { values, blind, beside });
        self.send_point(point)
    }

    fn send_point(&mut self, point: Point) -> std::io::Result<()> {
        debug_assert!(!bool::from(point.is_identity()));
        self.transcript.write_point(point.to_affine().into())
    }

    fn challenge(&mut self, name: Check, deviation: &mut dyn Deviation) -> Fp {
        let mut challenge = zkonnx_verifier::transcript::squeeze(self.transcript);
        deviation.challenge(name, &mut challenge);
        challenge
    }

    /// The values of the last piece as they were sent.
    fn last_piece(&self) -> &[Fp] {
        self.pieces.last().map_or(&[], |piece| &piece.values)
    }
}

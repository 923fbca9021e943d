//! The proving side of the linear part, step by step as in [`zkonnx_verifier::argument`].

pub mod opening;
pub mod product;
pub mod relations;
pub mod sumcheck;

use crate::{deviation::Deviation, generators::Generators, keys::ProverModel, vartime::Point};
use group::{Curve as _, Group as _};
use halo2_proofs::transcript::TranscriptWrite;
use pasta_curves::{EqAffine, Fp};
use rand_chacha::ChaCha20Rng;
use zkonnx_circuits::products::Piece;
use zkonnx_quantize::integers::Integers;
use zkonnx_verifier::{argument::LinearMessages, checks::Check, transcript::Challenge};

/// What the steps of the linear part share.
#[derive(Debug)]
pub struct LinearProver<'a, T> {
    /// The model.
    pub model: &'a ProverModel,
    /// Every tensor of the trace.
    pub tensors: &'a [Vec<i64>],
    /// Values of parameters.
    pub weights: &'a [Integers],
    /// Challenges and what was sent.
    pub messages: LinearMessages,
    /// Values of the message columns, and the blind of every piece.
    pub message_columns: Vec<Vec<Fp>>,
    /// One per piece.
    pub piece_blinds: Vec<Fp>,
    /// What lying pieces contain beside their own rows: (piece, row, value).
    pub strays: Vec<(usize, usize, Fp)>,
    /// Integers of every point of a committed tensor, and its blind.
    pub committed: Vec<(Vec<i64>, Fp)>,
    /// Randomness of the linear part.
    pub rng: ChaCha20Rng,
    /// The transcript, after halo2's proof.
    pub transcript: &'a mut T,
}

impl<T: TranscriptWrite<EqAffine, Challenge>> LinearProver<'_, T> {
    /// Commits the values of a piece on its own rows, and sends the point.
    fn send_piece(&mut self, index: usize, values: &[Fp], extra: &[(usize, Fp)]) -> std::io::Result<()> {
        let piece: Piece = self.model.keys.compiled.sumcheck.pieces[index];
        let generators: &Generators = &self.model.generators;
        let blind = ff::Field::random(&mut self.rng);
        let mut point = generators.blind(blind);
        for (row, value) in (piece.start..).zip(values) {
            point += generators.row[row] * value;
            self.message_columns[piece.column][row] = *value;
        }
        for (row, value) in extra {
            point += generators.row[*row] * value;
            self.strays.push((index, *row, *value));
        }
        self.piece_blinds.push(blind);
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
}

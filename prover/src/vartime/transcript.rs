//! halo2's transcript over [`Affine`]: the one over pasta_curves' points.

use super::Affine;
use halo2_proofs::transcript::{EncodedChallenge, Transcript, TranscriptWrite};
use pasta_curves::{EqAffine, Fp};
use std::io;
use zkonnx_verifier::transcript::Challenge;

/// A challenge.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drawn(Fp);

impl EncodedChallenge<Affine> for Drawn {
    type Input = Fp;

    fn new(challenge: &Fp) -> Self {
        Self(*challenge)
    }

    fn get_scalar(&self) -> Fp {
        self.0
    }
}

/// Passes everything on.
pub(crate) struct Bridge<'a, T>(pub(crate) &'a mut T);

impl<T: Transcript<EqAffine, Challenge>> Transcript<Affine, Drawn> for Bridge<'_, T> {
    fn squeeze_challenge(&mut self) -> Drawn {
        Drawn(self.0.squeeze_challenge().get_scalar())
    }

    fn common_point(&mut self, point: Affine) -> io::Result<()> {
        self.0.common_point(point.into())
    }

    fn common_scalar(&mut self, scalar: Fp) -> io::Result<()> {
        self.0.common_scalar(scalar)
    }
}

impl<T: TranscriptWrite<EqAffine, Challenge>> TranscriptWrite<Affine, Drawn> for Bridge<'_, T> {
    fn write_point(&mut self, point: Affine) -> io::Result<()> {
        self.0.write_point(point.into())
    }

    fn write_scalar(&mut self, scalar: Fp) -> io::Result<()> {
        self.0.write_scalar(scalar)
    }
}

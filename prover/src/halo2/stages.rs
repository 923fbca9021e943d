//! The stages of halo2's own proof, told apart by the challenges that it draws; each is a span.
//!
//! halo2 has no spans of its own, but its transcript is ours: what it does between two challenges is one step of its protocol.

use halo2_proofs::transcript::{Transcript, TranscriptWrite};
use pasta_curves::{EqAffine, Fp};
use std::io;
use tracing::span::EnteredSpan;
use zkonnx_verifier::transcript::Challenge;

/// The span of the step after so many challenges: θ, β, γ, y, x, then x₁ to x₄ of the opening, then those of the inner product argument. There are
/// no permutations or lookups of halo2's own, so after θ there is only the random polynomial to commit, and columns to transform.
fn stage(challenges: usize) -> Option<tracing::Span> {
    Some(match challenges {
        0 => tracing::info_span!("commit columns"),
        1 => tracing::info_span!("transform columns"),
        4 => tracing::info_span!("quotient"),
        5 => tracing::info_span!("evaluations"),
        6 => tracing::info_span!("combine"),
        9 => tracing::info_span!("inner product"),
        _ => return None,
    })
}

/// When a step begins.
const STARTS: [usize; 6] = [0, 1, 4, 5, 6, 9];

/// A transcript that enters the span of each step.
pub(crate) struct Staged<'a, T> {
    inner: &'a mut T,
    challenges: usize,
    span: Option<EnteredSpan>,
}

impl<'a, T> Staged<'a, T> {
    pub(crate) fn new(inner: &'a mut T) -> Self {
        Self { inner, challenges: 0, span: stage(0).map(tracing::Span::entered) }
    }
}

impl<T: Transcript<EqAffine, Challenge>> Transcript<EqAffine, Challenge> for Staged<'_, T> {
    fn squeeze_challenge(&mut self) -> Challenge {
        self.challenges += 1;
        if STARTS.contains(&self.challenges) {
            // One is left before the next is made, or it would stand within.
            self.span = None;
            self.span = stage(self.challenges).map(tracing::Span::entered);
        }
        self.inner.squeeze_challenge()
    }
    fn common_point(&mut self, point: EqAffine) -> io::Result<()> {
        self.inner.common_point(point)
    }
    fn common_scalar(&mut self, scalar: Fp) -> io::Result<()> {
        self.inner.common_scalar(scalar)
    }
}

impl<T: TranscriptWrite<EqAffine, Challenge>> TranscriptWrite<EqAffine, Challenge> for Staged<'_, T> {
    fn write_point(&mut self, point: EqAffine) -> io::Result<()> {
        self.inner.write_point(point)
    }
    fn write_scalar(&mut self, scalar: Fp) -> io::Result<()> {
        self.inner.write_scalar(scalar)
    }
}

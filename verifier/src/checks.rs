//! Every single check of the verifier, by name.
//!
//! A check is what it looks like: `fails` and `drawn` give back what they are given, and cost nothing. Only the
//! package `zkonnx-weakened-verifier` in `tests/weakened`, made of these same sources, can take one check away at
//! a time, which shows that a forgery is then accepted (`tests/tests/forgeries.rs`). Its build script sets
//! `cfg(weakened_verifier)`; a package of any other name does not compile with it, so no release contains it.

/// One check. Challenges are checks too: to take one away is to know it before what depends on it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Check {
    /// Parameters from a cache have the length for their `k`.
    ParamsLength,
    /// Parameters from a cache have the pinned digest: nobody knows a relation between the generators.
    ParamsDigest,
    /// A `model.zkv` has as many parameter commitments as its layout needs.
    CommitmentCount,
    /// With private weights, bounds follow from declared widths alone.
    PrivateBounds,
    /// Verifying is not too expensive.
    Work,
    /// Recomputing: the graph's bounds hold for the weights.
    RecomputedBounds,
    /// Recomputing: the commitments are those of the weights.
    RecomputedPoints,
    /// A registration proof is there for private weights only.
    RegistrationKind,
    /// The final equation of a registration proof: private weights are integers of their declared widths.
    Registration,
    /// The statement's format version is known.
    Format,
    /// The statement's proof system is known.
    Suite,
    /// The statement's semantics version is known.
    Semantics,
    /// The statement is about the registered model.
    Model,
    /// The statement has the model's number of inputs and outputs.
    Count,
    /// Inputs and outputs have the model's names.
    Name,
    /// Inputs and outputs have the model's shapes.
    Shape,
    /// Public integers are in their narrowest encoding.
    Width,
    /// A public tensor has as many elements as its shape.
    Elements,
    /// Public integers are within their declared interval.
    Interval,
    /// A committed tensor has as many points as its elements need.
    CommittedCount,
    /// A committed tensor's scale and interval are the model's.
    CommittedKind,
    /// A committed tensor's points are points of the curve.
    CommittedPoints,
    /// A tensor's digest is its own.
    Digest,
    /// The statement has not expired.
    Expiry,
    /// The proof has the model's length.
    Length,
    /// The transcript starts with the statement's digest.
    Header,
    /// `θ`, after all columns: the parts of a looked-up tuple count by themselves.
    Theta,
    /// `φ`, after all columns: every fraction counts by itself.
    Phi,
    /// `λ` of a layer, after the values that its claims come from: both claims count.
    Lambda,
    /// `σ_j` of a layer, after the round's message.
    LayerSigma,
    /// `β` of a layer, after its four values.
    Line,
    /// `ρ`: every index of a relation counts.
    Rho,
    /// `μ`: every relation counts by itself.
    Mu,
    /// The linear row gates are a relation.
    LinearGates,
    /// The row gates that are products are a relation.
    Gates,
    /// `σ_i` of the contractions, after the round's message.
    Sigma,
    /// `ω`, after every message of layers and contractions: every product counts by itself.
    Omega,
    /// `δ_i` of the pairs, after the round's message.
    PairSigma,
    /// `η`, after `l` and `r`.
    Eta,
    /// `τ_i`, after the fold's cross terms.
    Tau,
    /// `z`, after the last fold.
    Z,
    /// `ξ`, after the mask.
    Xi,
    /// `u_i`, after the round's cross terms.
    U,
    /// `r`, after everything, where there is a halo2 proof: it and the linear part count by themselves.
    R,
    /// A challenge that is divided by is not zero.
    NonZero,
    /// Nothing follows the proof.
    Trailing,
    /// halo2's final equation.
    Halo2,
    /// The linear part's final equation.
    Linear,
    /// Weights of a batch, after all of its proofs.
    Batch,
    /// A receipt's metering is the model's.
    Metering,
}

impl Check {
    /// All of them, in order.
    pub const ALL: [Self; 50] = [
        Self::ParamsLength,
        Self::ParamsDigest,
        Self::CommitmentCount,
        Self::PrivateBounds,
        Self::Work,
        Self::RecomputedBounds,
        Self::RecomputedPoints,
        Self::RegistrationKind,
        Self::Registration,
        Self::Format,
        Self::Suite,
        Self::Semantics,
        Self::Model,
        Self::Count,
        Self::Name,
        Self::Shape,
        Self::Width,
        Self::Elements,
        Self::Interval,
        Self::CommittedCount,
        Self::CommittedKind,
        Self::CommittedPoints,
        Self::Digest,
        Self::Expiry,
        Self::Length,
        Self::Header,
        Self::Theta,
        Self::Phi,
        Self::Lambda,
        Self::LayerSigma,
        Self::Line,
        Self::Rho,
        Self::Mu,
        Self::LinearGates,
        Self::Gates,
        Self::Sigma,
        Self::Omega,
        Self::PairSigma,
        Self::Eta,
        Self::Tau,
        Self::Z,
        Self::Xi,
        Self::U,
        Self::R,
        Self::NonZero,
        Self::Trailing,
        Self::Halo2,
        Self::Linear,
        Self::Batch,
        Self::Metering,
    ];
}

/// Whether a check fails.
#[cfg(not(weakened_verifier))]
pub(crate) const fn fails(_: Check, failed: bool) -> bool {
    failed
}

/// A challenge as it was drawn.
#[cfg(not(weakened_verifier))]
pub(crate) fn drawn<T>(_: Check, challenge: T, _: impl FnOnce() -> T) -> T {
    challenge
}

#[cfg(weakened_verifier)]
mod weakened {
    use super::Check;
    use std::cell::RefCell;

    const _: () = {
        let (name, allowed) = (env!("CARGO_PKG_NAME").as_bytes(), b"zkonnx-weakened-verifier");
        let mut is_allowed = name.len() == allowed.len();
        let mut i = 0;
        while is_allowed && i < name.len() {
            is_allowed = name[i] == allowed[i];
            i += 1;
        }
        assert!(is_allowed, "no package but the tests' can be weakened");
    };

    thread_local! {
        static WITHOUT: RefCell<Vec<Check>> = const { RefCell::new(Vec::new()) };
    }

    /// Runs `action` on a verifier that lacks the checks, on this thread.
    pub fn without<R>(checks: &[Check], action: impl FnOnce() -> R) -> R {
        struct Restore(Vec<Check>);
        impl Drop for Restore {
            fn drop(&mut self) {
                WITHOUT.with(|w| *w.borrow_mut() = std::mem::take(&mut self.0));
            }
        }
        let _restore = Restore(WITHOUT.with(|w| std::mem::replace(&mut *w.borrow_mut(), checks.to_vec())));
        action()
    }

    fn lacks(check: Check) -> bool {
        WITHOUT.with(|w| w.borrow().contains(&check))
    }

    pub(crate) fn fails(check: Check, failed: bool) -> bool {
        failed && !lacks(check)
    }

    pub(crate) fn drawn<T>(check: Check, challenge: T, known: impl FnOnce() -> T) -> T {
        if lacks(check) {
            known()
        } else {
            challenge
        }
    }
}
#[cfg(weakened_verifier)]
pub use weakened::without;
#[cfg(weakened_verifier)]
pub(crate) use weakened::{drawn, fails};

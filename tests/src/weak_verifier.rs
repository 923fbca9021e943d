//! Verifiers that lack one defence, to show that an attack on it is real.
//!
//! [`outcome_without`] is written from the protocol's text, not from the verifier's code; without
//! any weakness it must agree with [`zkonnx_verifier::verify::verify`], which the tests check too.

use crate::setup::Sides;
use ff::Field;
use halo2_proofs::{plonk::verify_proof, transcript::Blake2bRead};
use pasta_curves::group::GroupEncoding as _;
use pasta_curves::{EqAffine, Fp};
use zkonnx_circuits::{field::inner_product, functional::linear_system, functional::PublicTensors};
use zkonnx_verifier::{
    argument::{
        opening::{bit_products, fold_functionals},
        product, relations, sumcheck, LinearMessages, Reader,
    },
    checks::Check,
    length::num_fold_rounds,
    statement::Statement,
    transcript::{absorb_header, compress, lookup_challenges, Challenge},
    verify::{public_values, Defer},
};

/// What a weak verifier lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lacks {
    /// Nothing.
    Nothing,
    /// ζ is one: pieces of messages are just added (S1).
    Zeta,
    /// z is one, as if drawn before the fold (S2).
    Z,
    /// r is one: the two equations are added (S3).
    R,
}

/// The two equations of a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// halo2's holds.
    pub halo2: bool,
    /// The linear part's holds.
    pub linear: bool,
    /// Their sum, with `r`, holds.
    pub joint: bool,
}

/// Verifies without one defence. The statement must be one about the model.
///
/// # Panics
/// When the proof is malformed.
#[must_use]
pub fn outcome_without(lacks: Lacks, sides: &Sides, statement: &Statement, proof: &[u8]) -> Outcome {
    let handle = &sides.handle;
    let keys = handle.keys(&statement.modes()).expect("keys");
    let model = &keys.compiled;
    let params = handle.params();
    let digest = statement.digest();
    let points: Vec<EqAffine> = proof
        .chunks_exact(32)
        .take(model.shape.num_phase1_columns())
        .map(|b| Option::from(EqAffine::from_bytes(b.try_into().expect("32 bytes"))).expect("a point"))
        .collect();
    let (theta, phi) = lookup_challenges(&digest, keys.vk_digest, 0, &compress(&points));
    let mut transcript = Blake2bRead::<_, EqAffine, Challenge>::init(proof);
    absorb_header(&mut transcript, &digest).expect("a header");
    let instance: [&[Fp]; 1] = [&[phi, theta]];
    let halo2 = verify_proof(params, &keys.vk, Defer(params.empty_msm()), &[&instance], &mut transcript)
        .expect("a well-formed proof of halo2");
    let mut reader = Reader { transcript: &mut transcript, count: 0 };
    let mut messages = LinearMessages::default();
    relations::verify(model, &mut reader, &mut messages);
    sumcheck::verify(model, &mut reader, &mut messages).expect("messages");
    product::verify(model, &mut reader, &mut messages).expect("masked evaluations");
    if lacks == Lacks::Zeta {
        messages.challenges.zeta = Fp::ONE;
    }
    let public = public_values(statement);
    let tensors = PublicTensors { inputs: &public.0, outputs: &public.1 };
    let system = linear_system(model, tensors, &messages.challenges, &messages.masked);

    // Terms of the left side minus the right side: (coefficient, point).
    let mut terms: Vec<(Fp, EqAffine)> = Vec::new();
    let (mut tau, mut tau_inverse, mut cross) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..num_fold_rounds(model) {
        let (left, right) = (reader.point().expect("X_L"), reader.point().expect("X_R"));
        let (challenge, inverse) = reader.nonzero_challenge(Check::Tau).expect("τ");
        cross.extend([(inverse, left), (challenge, right)]);
        tau.push(challenge);
        tau_inverse.push(inverse);
    }
    let drawn = reader.challenge(Check::Z);
    let z = if lacks == Lacks::Z { Fp::ONE } else { drawn };
    terms.extend(cross.into_iter().map(|(weight, point)| (weight * z, point)));
    let mask = reader.point().expect("S");
    terms.push((reader.challenge(Check::Xi), mask));
    let mut u_inverse = Vec::new();
    for _ in 0..model.layout.k {
        let (left, right) = (reader.point().expect("L"), reader.point().expect("R"));
        let (challenge, inverse) = reader.nonzero_challenge(Check::U).expect("u");
        terms.extend([(inverse, left), (challenge, right)]);
        u_inverse.push(inverse);
    }
    let (c, f) = (reader.scalar().expect("c"), reader.scalar().expect("f"));
    let drawn = reader.challenge(Check::R);
    let r = if lacks == Lacks::R { Fp::ONE } else { drawn };
    let weights = bit_products(&tau, 1 << tau.len());
    let (mut next, zeta) = (0, messages.challenges.zeta);
    for point in &points[..model.shape.columns.len()] {
        terms.push((weights[next], *point));
        next += 1;
    }
    for point in &handle.points()[..model.params.num_pooled] {
        terms.push((weights[next], *point));
        next += 1;
    }
    for combined in &system.combined {
        for (column, own) in &combined.columns {
            terms.push((weights[next] * own, handle.points()[*column]));
        }
        next += 1;
    }
    let mut power = Fp::ONE;
    for (piece, point) in model.sumcheck.pieces.iter().zip(&messages.pieces) {
        terms.push((weights[next + piece.column] * power, *point));
        power *= zeta;
    }
    let k = u32::from(model.layout.k);
    let b = fold_functionals(model, &system, &bit_products(&tau_inverse, 1 << tau.len()));
    let s = bit_products(&u_inverse, 1 << k);
    let mut linear = params.empty_msm();
    for (coefficient, point) in terms {
        linear.append_term(coefficient, point);
    }
    linear.add_to_u_scalar(-(z * system.constant) - c * z * inner_product(&s, &b));
    linear.add_to_g_scalars(&s.iter().map(|s| -*s * c).collect::<Vec<_>>());
    linear.add_to_w_scalar(-f);
    linear.scale(r);
    let mut joint = halo2.clone();
    joint.add_msm(&linear);
    Outcome { halo2: halo2.eval(), linear: linear.eval(), joint: joint.eval() }
}

/// Whether a verifier that lacks one defence accepts.
#[must_use]
pub fn accepts_without(lacks: Lacks, sides: &Sides, statement: &Statement, proof: &[u8]) -> bool {
    outcome_without(lacks, sides, statement, proof).joint
}

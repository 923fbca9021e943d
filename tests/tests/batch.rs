//! Batches: every verdict is the single one, whatever stands beside a proof; the joint equation hides nothing.

use halo2_proofs::poly::commitment::MSM;
use pasta_curves::{EqAffine, Fp};
use zkonnx_circuits::{
    functional::PublicTensors,
    length::{halo2_elements, num_free_points, ELEMENT},
    messages::Rounds,
};
use zkonnx_prover::{
    deviation::{Deviation, Honest},
    prove::prove,
};
use zkonnx_quantize::model::{Gates, QuantizedModel};
use zkonnx_tests::{
    forgeries::{with_gates, WAYS},
    graphs::{self, GraphBuilder},
    lies::Case,
    setup::Sides,
};
use zkonnx_verifier::{
    batch::{verify_batch, BatchItem},
    error::{Step, VerifyError},
    statement::{Context, Statement},
    transcript::batch_weights,
    verify::{defer, public_values, verify, Deferred, KnownPoints, Verified},
};

type Verdict = Result<Verified, VerifyError>;

/// A model with its side of the verifier, and proofs that may be wrong.
struct Proven<'a> {
    sides: &'a Sides,
    statement: Statement,
    proof: Vec<u8>,
}

impl Proven<'_> {
    fn item(&self) -> BatchItem<'_> {
        BatchItem { handle: &self.sides.handle, statement: &self.statement, proof: &self.proof }
    }

    fn single(&self, now: Option<u64>) -> Verdict {
        verify(&self.sides.handle, &self.statement, &self.proof, now)
    }

    fn deferred(&self) -> Deferred<'_> {
        let handle = &self.sides.handle;
        let keys = handle.keys(&self.statement.modes()).expect("keys");
        let (inputs, outputs) = public_values(&self.statement);
        let tensors = PublicTensors { inputs: &inputs, outputs: &outputs };
        let known = KnownPoints { params: handle.points(), committed: &[] };
        defer(&keys, handle.params(), known, self.statement.digest(), tensors, &self.proof).expect("elements")
    }
}

/// Of both ways of proving gates.
fn models() -> [QuantizedModel; 4] {
    [
        graphs::mlp((10, 6, 3), 6, 4, 1),
        with_gates(graphs::lenet_like(7, 6, 5), Gates::Halo2),
        with_gates(graphs::attention_like(6, 4, 9), Gates::Halo2),
        graphs::mlp((40, 20, 6), 5, 4, 3),
    ]
}

fn honest(sides: &Sides, seed: u64, context: Context) -> Proven<'_> {
    let inputs = GraphBuilder::random_inputs(&sides.prover.model, seed);
    let (statement, proof) = prove(&sides.prover, &inputs, context).expect("a proof");
    Proven { sides, statement, proof }
}

fn batch(proofs: &[Proven<'_>], now: Option<u64>) -> Vec<Verdict> {
    verify_batch(&proofs.iter().map(Proven::item).collect::<Vec<_>>(), now)
}

/// In how many ways the proofs below are wrong; in the first one they are right.
const WRONGS: usize = 9;

fn spoil(proof: &mut Proven<'_>, way: usize) {
    let bytes = &mut proof.proof;
    let model = &proof.sides.prover.keys.compiled;
    let rest = (num_free_points(&model.shape) + halo2_elements(&model.shape)) * ELEMENT;
    let left = rest + Rounds::of(model).num_pieces() * ELEMENT;
    let last = bytes.len() - ELEMENT;
    match way {
        0 => {}
        // The blind of halo2's opening, or l; and an element of no curve.
        1 if model.shape.has_halo2() => bytes[rest - ELEMENT] ^= 1,
        1 => bytes[left] ^= 1,
        2 => bytes[..ELEMENT].fill(0xff),
        // c and f of the linear part.
        3 => bytes[last - ELEMENT] ^= 1,
        4 => bytes[last] ^= 1,
        5 => proof.statement.context.payee[0] ^= 1,
        6 => bytes.truncate(last),
        7 => bytes.push(0),
        _ => proof.statement.context.not_after = 9,
    }
}

#[test]
fn verdicts_of_a_batch_are_those_of_single_verifications() {
    let sides = models().map(Sides::new);
    // Every model with every wrong, right ones between.
    let mut proofs = Vec::new();
    for round in 0..WRONGS {
        for (m, side) in sides.iter().enumerate() {
            let context = Context { job_id: [u8::try_from(round).expect("few"); 32], ..Context::default() };
            let mut proof = honest(side, round as u64, context);
            spoil(&mut proof, if (m + round) % 2 == 0 { 0 } else { round });
            proofs.push(proof);
        }
    }
    let now = Some(10);
    let single: Vec<Verdict> = proofs.iter().map(|p| p.single(now)).collect();
    assert!(single.iter().filter(|v| v.is_ok()).count() >= single.len() / 2);
    for step in [Step::Transcript, Step::Halo2, Step::Linear] {
        assert!(single.iter().any(|v| matches!(v, Err(VerifyError::Rejected { step: s, .. }) if *s == step)), "{step}");
    }
    assert!(single.iter().any(|v| matches!(v, Err(VerifyError::Length { .. }))));
    assert!(single.iter().any(|v| matches!(v, Err(VerifyError::Expired { .. }))));
    assert_eq!(batch(&proofs, now), single);
    assert_eq!(batch(&proofs, now), single, "the same again");
    // Any part of it, in any order.
    proofs.reverse();
    let reversed: Vec<Verdict> = single.iter().rev().cloned().collect();
    assert_eq!(batch(&proofs, now), reversed);
    for size in [1, 2, 3, 5] {
        for (part, expected) in proofs.chunks(size).zip(reversed.chunks(size)) {
            assert_eq!(batch(part, now), expected);
        }
    }
    assert_eq!(batch(&[], now), []);
}

#[test]
fn names_every_bad_proof_of_one_model() {
    let sides = Sides::new(graphs::mlp((10, 6, 3), 6, 4, 1));
    let proofs: Vec<Proven<'_>> = (0..5).map(|seed| honest(&sides, seed, Context::default())).collect();
    // Every subset of bad ones.
    for bad in 0_u32..32 {
        let proofs: Vec<Proven<'_>> = proofs
            .iter()
            .enumerate()
            .map(|(i, p)| {
                let mut copy = Proven { sides: p.sides, statement: p.statement.clone(), proof: p.proof.clone() };
                spoil(&mut copy, if bad >> i & 1 == 1 { [1, 3, 4][i % 3] } else { 0 });
                copy
            })
            .collect();
        for (i, verdict) in batch(&proofs, None).into_iter().enumerate() {
            assert_eq!(verdict.is_err(), bad >> i & 1 == 1, "proof {i} of {bad:05b}");
        }
    }
}

#[test]
fn a_statement_of_another_model_is_named() {
    let [a, b, ..] = models().map(Sides::new);
    let (first, second) = (honest(&a, 1, Context::default()), honest(&b, 1, Context::default()));
    let mixed = Proven { sides: &b, statement: first.statement.clone(), proof: first.proof.clone() };
    let verdicts = batch(&[first, mixed, second], None);
    assert!(verdicts[0].is_ok() && verdicts[2].is_ok());
    assert!(matches!(verdicts[1], Err(VerifyError::UnknownModel { .. })));
}

/// A blind that is sent last is off by `h`, that of halo2's opening where there is one: one equation is then off by `h·W`,
/// whatever follows.
#[derive(Default)]
struct OffOnW {
    last: Option<usize>,
    seen: Option<usize>,
    h: Fp,
}

impl Deviation for OffOnW {
    fn halo2_scalar(&mut self, index: usize, scalar: &mut Fp) {
        self.seen = Some(index);
        if self.last == Some(index) {
            *scalar += self.h;
        }
    }
    fn finish(&mut self, _: &mut Fp, f: &mut Fp) {
        if self.seen.is_none() {
            *f += self.h;
        }
    }
}

/// Both equations of a proof, added up.
fn add<'p>(sum: &mut MSM<'p, EqAffine>, sides: &'p Sides, deferred: Deferred<'p>) {
    let Deferred { halo2, opening, .. } = deferred;
    if let Some(halo2) = halo2 {
        sum.add_msm(&halo2);
    }
    let params = opening.params.into_iter().zip(sides.handle.points().iter().copied());
    opening.points.into_iter().chain(params).for_each(|(scalar, point)| sum.append_term(scalar, point));
    sum.add_to_g_scalars(&opening.g);
    sum.add_to_u_scalar(opening.u);
    sum.add_to_w_scalar(opening.w);
}

#[test]
fn rejects_two_proofs_whose_errors_cancel() {
    for gates in WAYS {
        let case = Case::public(with_gates(graphs::mlp((10, 6, 3), 6, 4, 1), gates), 2);
        let mut count = OffOnW::default();
        let proof = case.prove(&case.statement, &mut count);
        let make = |h: Fp, nonce: u64| {
            let mut statement = case.statement.clone();
            statement.context.nonce = nonce;
            let proof = case.prove(&statement, &mut OffOnW { last: count.seen, seen: None, h });
            Proven { sides: &case.sides, statement, proof }
        };
        // Without weights, or with equal ones, the three equations add up to zero. Where r multiplies the linear part's the error is in
        // halo2's.
        let h = Fp::from(12_345);
        let proofs = [Proven { sides: &case.sides, statement: case.statement.clone(), proof }, make(h, 1), make(-h, 2)];
        let mut sum = case.sides.handle.params().empty_msm();
        for proof in &proofs {
            add(&mut sum, &case.sides, proof.deferred());
        }
        assert!(sum.eval(), "the attack is real without weights");
        let expected = if gates == Gates::Halo2 { Step::Halo2 } else { Step::Linear };
        for order in [[0, 1, 2], [1, 0, 2], [1, 2, 0]] {
            let items: Vec<BatchItem<'_>> = order.iter().map(|i| proofs[*i].item()).collect();
            for (i, verdict) in order.iter().zip(verify_batch(&items, None)) {
                match verdict {
                    Ok(_) => assert_eq!(*i, 0),
                    Err(VerifyError::Rejected { step, .. }) => assert!(step == expected && *i != 0),
                    Err(other) => panic!("{other}"),
                }
            }
        }
        // Nor with weights that a proof alone decides: each would know its own, and aim at it.
        let weights = batch_weights(&proofs.each_ref().map(|p| p.deferred().final_state));
        assert!(weights[1] != weights[2] && weights[1] != batch_weights(&[proofs[1].deferred().final_state])[0]);
    }
}

/// The equations that a batch adds up are those that a single verification decides by: each one alone, and both together.
#[test]
fn deferred_equations_hold_for_true_proofs_alone() {
    for model in models() {
        let sides = Sides::new(model);
        for way in [0, 1, 3, 4, 5] {
            let mut proof = honest(&sides, 1, Context::default());
            spoil(&mut proof, way);
            let mut sum = sides.handle.params().empty_msm();
            add(&mut sum, &sides, proof.deferred());
            assert_eq!(sum.eval(), way == 0, "{way}");
            let decided = proof.deferred().decide(sides.handle.params(), sides.handle.points());
            assert_eq!(decided.is_none(), way == 0, "{way}");
        }
    }
}

/// The final state depends on the statement and on every element: also on `c` and `f`, which nothing else follows.
#[test]
fn final_states_bind_the_whole_proof() {
    for gates in WAYS {
        let case = Case::public(with_gates(graphs::mlp((10, 6, 3), 6, 4, 1), gates), 2);
        let model = case.model();
        let proof = case.prove(&case.statement, &mut Honest);
        let made = |proof: Vec<u8>| Proven { sides: &case.sides, statement: case.statement.clone(), proof };
        let state = made(proof.clone()).deferred().final_state;
        assert_eq!(made(proof.clone()).deferred().final_state, state, "no randomness");
        let mut states = vec![state];
        let elements = proof.len() / ELEMENT;
        let rest = num_free_points(&model.shape) + halo2_elements(&model.shape);
        let left = rest + Rounds::of(model).num_pieces();
        // l, r, c and f; and the last two of halo2's part.
        let mut scalars = vec![left, left + 1, elements - 2, elements - 1];
        if model.shape.has_halo2() {
            scalars.extend([rest - 2, rest - 1]);
        }
        for scalar in scalars {
            let mut other = proof.clone();
            other[scalar * ELEMENT] ^= 1;
            states.push(made(other).deferred().final_state);
        }
        // The negatives of points: a column's, the first and the last piece, a cross term, S, the last R.
        let mask = elements - 3 - 2 * usize::from(model.layout.k);
        for point in [0, rest, left - 1, left + 2, mask, elements - 3] {
            let mut other = proof.clone();
            other[(point + 1) * ELEMENT - 1] ^= 0x80;
            states.push(made(other).deferred().final_state);
        }
        let mut moved = made(proof);
        moved.statement.context.nonce += 1;
        states.push(moved.deferred().final_state);
        let count = states.len();
        states.sort_unstable();
        states.dedup();
        assert_eq!(states.len(), count);
    }
}

#[test]
fn weights_depend_on_every_final_state_their_order_and_number() {
    let states = [[1_u8; 64], [2; 64], [3; 64]];
    let weights = batch_weights(&states);
    assert_eq!(weights, batch_weights(&states));
    let mut seen: Vec<Fp> = weights.clone();
    let mut others = vec![vec![states[1], states[0], states[2]], states[..2].to_vec(), vec![states[0]; 3]];
    for proof in 0..3 {
        for byte in [0, 31, 32, 63] {
            let mut other = states;
            other[proof][byte] ^= 1;
            others.push(other.to_vec());
        }
    }
    for other in &others {
        seen.extend(batch_weights(other));
    }
    let count = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), count, "no weight occurs twice");
    assert!(batch_weights(&[]).is_empty());
}

/// A service verifies on threads of its own pool: one that waits inside of a verification must not begin another there.
#[test]
fn many_verifications_on_two_threads_of_a_pool_need_no_deeper_stack() {
    use rayon::prelude::*;
    let sides = Sides::new(graphs::mlp((3, 2, 2), 5, 4, 1));
    let proof = honest(&sides, 1, Context::default());
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("a pool");
    let verdicts: Vec<bool> = pool.install(|| (0..1500).into_par_iter().map(|_| proof.single(None).is_ok()).collect());
    assert_eq!(verdicts, [true; 1500]);
}

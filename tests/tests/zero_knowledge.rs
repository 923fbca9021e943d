//! What a proof must not show: randomness is never used twice, and what is sent in the clear is uniform whatever the
//! witness. Statistics cannot prove zero knowledge; they find a mask that was forgotten.

use ff::PrimeField;
use std::collections::HashSet;
use zkonnx_circuits::lower::{Mode, Modes};
use zkonnx_prover::deviation::Honest;
use zkonnx_quantize::eval::evaluate;
use zkonnx_tests::{
    graphs::{self, form, read, relu, GraphBuilder},
    lies::Case,
};
use zkonnx_verifier::length::{halo2_elements, linear_elements, ELEMENT};

/// A hidden input of four, multiplied by public weights and clamped so hard that many inputs give one output.
fn case(inputs: &[i64]) -> Case {
    let mut b = GraphBuilder::new(1);
    let x = b.input(&[4], 0, 15);
    let w = b.param(2, 4, 3);
    let mut a = form(&[4]);
    a.terms.push(read(1, x, &[4]));
    let h = b.node(a, 1, relu(Some(7)));
    let mut a = form(&[2]);
    a.products.push(graphs::dense(w, h, 2, 4));
    let y = b.node(a, 0, graphs::relu(Some(1)));
    let mut out = form(&[2]);
    out.terms.push(read(0, y, &[2]));
    out.terms.push(read(1, y, &[2]));
    b.output(out);
    let model = b.finish(5, 4);
    let mut modes = Modes::public(&model.graph);
    modes.inputs.fill(Mode::Hidden);
    Case::with_inputs(model, modes, &[inputs.to_vec()])
}

/// Two inputs with the same output.
fn two_witnesses() -> (Case, Case) {
    let one = case(&[0, 15, 3, 9]);
    let model = &one.sides.prover.model;
    let other = (0..1000)
        .map(|seed| GraphBuilder::random_inputs(model, seed).remove(0))
        .filter(|inputs| inputs.iter().zip(&one.trace.tensors[0]).all(|(a, b)| a != b))
        .find(|inputs| evaluate(model, std::slice::from_ref(inputs)).expect("inputs").outputs == one.trace.outputs);
    let two = case(&other.expect("an input with the same output"));
    (one, two)
}

fn elements(proof: &[u8]) -> Vec<[u8; 32]> {
    proof.chunks_exact(ELEMENT).map(|c| c.try_into().expect("32 bytes")).collect()
}

#[test]
fn no_two_proofs_share_an_element() {
    let (one, two) = two_witnesses();
    assert_eq!(one.statement, two.statement, "the same statement");
    let mut seen = HashSet::new();
    for case in [&one, &one, &two] {
        case.is_sound();
        for element in elements(&case.prove(&case.statement, &mut Honest)) {
            // Evaluations of fixed columns at one's own challenge differ too; nothing may come twice.
            assert!(seen.insert(element), "an element came twice: {element:02x?}");
        }
    }
}

/// Positions of the clear scalars of the linear part: `p'`, `q'` of every masked product, and `c`, `f`.
fn clear_scalars(case: &Case) -> Vec<usize> {
    let model = case.model();
    let first = halo2_elements(&model.shape);
    let end = first + linear_elements(model);
    let masked = first + model.sumcheck.pieces.len();
    (masked..masked + 2 * model.sumcheck.num_masked).chain([end - 2, end - 1]).collect()
}

#[test]
fn clear_scalars_are_uniform_for_both_witnesses() {
    const PROOFS: usize = 40;
    let (one, two) = two_witnesses();
    let positions = clear_scalars(&one);
    assert!(positions.len() >= 4, "p', q', c and f");
    let mut seen = HashSet::new();
    for case in [&one, &two] {
        let samples: Vec<Vec<[u8; 32]>> = (0..PROOFS)
            .map(|_| {
                let all = elements(&case.prove(&case.statement, &mut Honest));
                positions.iter().map(|p| all[*p]).collect()
            })
            .collect();
        for (s, position) in positions.iter().enumerate() {
            // Eight bins by the top three bits below the modulus' own (bits 251 to 253), and eight by the lowest.
            for bin in [|b: &[u8; 32]| usize::from(b[31] >> 3), |b: &[u8; 32]| usize::from(b[0] & 7)] {
                let mut counts = [0_u32; 8];
                for sample in &samples {
                    let scalar = sample[s];
                    assert!(Option::<pasta_curves::Fp>::from(pasta_curves::Fp::from_repr(scalar)).is_some());
                    counts[bin(&scalar).min(7)] += 1;
                }
                let expected = f64::from(u32::try_from(PROOFS).expect("few")) / 8.0;
                let chi_square: f64 = counts.iter().map(|c| (f64::from(*c) - expected).powi(2) / expected).sum();
                // Seven degrees of freedom: 40 is passed by chance once in a million.
                assert!(chi_square < 40.0, "element {position}: {counts:?}");
            }
            for sample in &samples {
                assert!(seen.insert(sample[s]), "a clear scalar came twice");
            }
        }
    }
}

//! Hostile bytes: proofs, statements and model files with anything changed are refused, and nothing panics.

use zkonnx_prover::deviation::Honest;
use zkonnx_quantize::model::{Gates, QuantizedModel};
use zkonnx_tests::{
    forgeries::{with_gates, WAYS},
    graphs::{self, form, read, relu, GraphBuilder},
    lies::Case,
};
use zkonnx_verifier::{
    error::{Step, VerifyError},
    statement::{Integers, ModelId, Statement, TensorEntry, TensorValue},
    verify::verify,
};

/// A small model with a gate and a hidden contraction, so that a proof has all its parts.
fn small(gates: Gates) -> QuantizedModel {
    let mut b = GraphBuilder::new(1);
    let x = b.input(&[2], 0, 15);
    let w = b.param(2, 2, 3);
    let mut a = form(&[2]);
    a.terms.push(read(1, x, &[2]));
    // Inputs reach 15: there is a gate.
    let h = b.node(a, 0, relu(Some(9)));
    let mut out = form(&[2]);
    out.products.push(graphs::dense(w, h, 2, 2));
    b.output(out);
    with_gates(b.finish(4, 4), gates)
}

#[test]
fn rejects_a_proof_with_any_byte_changed_or_another_length() {
    for gates in WAYS {
        let case = Case::public(small(gates), 1);
        case.is_sound();
        let proof = case.prove(&case.statement, &mut Honest);
        let mut steps = [0; 4];
        for at in 0..proof.len() {
            let mut wrong = proof.clone();
            wrong[at] ^= 1 << (at % 8);
            steps[match case.rejected_at(&case.statement, &wrong) {
                Step::Statement => 0,
                Step::Transcript => 1,
                Step::Halo2 => 2,
                _ => 3,
            }] += 1;
        }
        assert_eq!((steps[0], steps[2] > 0), (0, gates == Gates::Halo2), "{steps:?}");
        assert!(steps[1] > 0 && steps[3] > 0, "{steps:?}");
        for length in (0..proof.len()).chain([proof.len() + 1, proof.len() + 32]) {
            let mut wrong = proof.clone();
            wrong.resize(length, 0);
            let error = verify(&case.sides.handle, &case.statement, &wrong, None);
            assert_eq!(error, Err(VerifyError::Length { expected: proof.len(), actual: length }));
        }
    }
}

#[test]
fn rejects_malformed_elements_in_every_place() {
    for gates in WAYS {
        let case = Case::public(small(gates), 1);
        let proof = case.prove(&case.statement, &mut Honest);
        // The identity, x = p, the largest number, no point.
        let mut modulus = [0xff; 32];
        modulus.copy_from_slice(&ff::PrimeField::to_repr(&-<pasta_curves::Fp as ff::Field>::ONE));
        modulus[0] += 1;
        for element in 0..proof.len() / 32 {
            for bytes in [[0; 32], modulus, [0xff; 32]] {
                let mut wrong = proof.clone();
                wrong[element * 32..][..32].copy_from_slice(&bytes);
                let _ = case.rejected_at(&case.statement, &wrong);
            }
        }
    }
}

#[test]
fn rejects_a_statement_with_any_field_edited() {
    let case = Case::public(small(Gates::Relations), 1);
    let proof = case.prove(&case.statement, &mut Honest);
    assert!(verify(&case.sides.handle, &case.statement, &proof, Some(u64::MAX)).is_ok(), "never expires");
    type Edit = fn(&mut Statement);
    let edits: [Edit; 24] = [
        |s| s.format += 1,
        |s| s.suite += 1,
        |s| s.semantics += 1,
        |s| s.model_id = ModelId([7; 32]),
        |s| s.context.domain[0] ^= 1,
        |s| s.context.job_id[31] ^= 1,
        |s| s.context.nonce += 1,
        |s| s.context.requester[5] ^= 1,
        |s| s.context.payee[0] ^= 1,
        |s| s.context.not_after = 1 << 40,
        |s| s.inputs[0].name.push('x'),
        |s| s.inputs[0].shape = vec![1, 2],
        |s| s.inputs[0].digest[0] ^= 1,
        |s| s.inputs[0].value = TensorValue::Public(Integers::new(&[1, 2, 3])),
        |s| s.inputs[0] = TensorEntry::new("input0", &[2], TensorValue::Hidden),
        |s| s.inputs[0] = TensorEntry::new("input0", &[2], TensorValue::Public(Integers::new(&[0, 16]))),
        |s| s.inputs[0] = TensorEntry::new("input0", &[2], TensorValue::Public(Integers::new(&[-1, 0]))),
        |s| s.outputs[0] = TensorEntry::new("output0", &[2], TensorValue::Hidden),
        |s| s.outputs[0].value = TensorValue::Hidden,
        |s| s.outputs[0].digest = [0; 32],
        |s| s.inputs.clear(),
        |s| s.outputs.clear(),
        |s| s.outputs.push(s.outputs[0].clone()),
        |s| {
            // The same integers in a wider encoding.
            let TensorValue::Public(values) = &s.inputs[0].value else { return };
            s.inputs[0].value = TensorValue::Public(Integers::I64(values.to_vec()));
        },
    ];
    for (i, edit) in edits.iter().enumerate() {
        let mut statement = case.statement.clone();
        edit(&mut statement);
        assert_ne!(statement, case.statement);
        assert_ne!(statement.digest(), case.statement.digest(), "edit {i}");
        assert!(verify(&case.sides.handle, &statement, &proof, None).is_err(), "edit {i}");
    }
    let mut expired = case.statement.clone();
    expired.context.not_after = 10;
    let proof = case.prove(&expired, &mut Honest);
    assert!(verify(&case.sides.handle, &expired, &proof, Some(10)).is_ok());
    let late = verify(&case.sides.handle, &expired, &proof, Some(11));
    assert_eq!(late, Err(VerifyError::Expired { not_after: 10, now: 11 }));
}

/// S5: a public input out of its declared interval is refused before the proof is looked at, also with a proof for it.
#[test]
fn rejects_a_public_input_out_of_its_interval() {
    let model = small(Gates::Relations);
    let mut wide = model.clone();
    wide.graph.inputs[0].bounds.hi = 16;
    let case = Case::public(model, 1);
    let trace = zkonnx_quantize::eval::evaluate(&wide, &[vec![16, 3]]).expect("inputs of the wider model");
    let claim = case.claim(&trace);
    let proof = zkonnx_prover::prove::prove_trace(&case.sides.prover, &trace, &claim, &mut Honest).expect("a proof");
    assert_eq!(case.rejected_at(&claim, &proof), Step::Statement);
}

//! Hostile model files: anything changed is another model or none, and nothing panics.

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use zkonnx_quantize::model::QuantizedModel;
use zkonnx_tests::{
    graphs::{self},
    lies::Case,
    setup::params,
};
use zkonnx_verifier::{error::VerifyError, registry::Registry, verify::verify, zkv::VerifierModel};

/// A model file is a model with its own identity, or refused.
#[test]
fn every_changed_byte_of_a_model_file_is_another_model_or_none() {
    for model in [graphs::mlp((3, 2, 2), 5, 4, 1), graphs::softmax_like(7, 5, 7)] {
        let k = model.layout.k;
        let case = Case::public(model, 1);
        let bytes = &case.sides.prover.zkv;
        let mut registered = 0;
        let step = if bytes.len() > 2000 { 7 } else { 1 };
        for at in (0..bytes.len()).step_by(step) {
            let mut wrong = bytes.clone();
            wrong[at] ^= 1 << (at % 8);
            // Registering what decodes is slow: only now and then, and only for the k that is at hand.
            let decoded = VerifierModel::from_bytes(&wrong);
            let Ok(decoded) = decoded else { continue };
            assert_eq!(decoded.to_bytes(), wrong, "one encoding");
            assert_ne!(decoded.id(), case.sides.handle.id());
            if decoded.layout.k == k && registered < 12 {
                registered += 1;
                let mut registry = Registry::new();
                registry.insert_params(params(k));
                if let Ok(handle) = registry.register(&wrong) {
                    let error = verify(&handle, &case.statement, &[], None);
                    assert!(matches!(error, Err(VerifyError::UnknownModel { .. })));
                }
            }
        }
        for length in 0..bytes.len().min(400) {
            assert!(VerifierModel::from_bytes(&bytes[..length]).is_err());
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        assert!(VerifierModel::from_bytes(&longer).is_err());
    }
}

#[test]
fn random_bytes_are_no_file() {
    let case = Case::public(graphs::mlp((3, 2, 2), 5, 4, 1), 1);
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let zkv = case.sides.prover.zkv.clone();
    let zkq = case.sides.prover.model.to_bytes();
    for round in 0..2000 {
        let mut bytes = vec![0; 14 + rng.next_u32() as usize % 300];
        rng.fill_bytes(&mut bytes);
        // With and without a header that is right; and real files with eight random bytes.
        if round % 4 == 1 {
            bytes[..14].copy_from_slice(&zkv[..14]);
        } else if round % 4 == 2 {
            bytes[..12].copy_from_slice(&zkq[..12]);
        } else if round % 4 == 3 {
            let source = if round % 8 == 3 { &zkv } else { &zkq };
            let at = 14 + rng.next_u32() as usize % (source.len() - 22);
            let random: Vec<u8> = bytes[..8].to_vec();
            bytes.clone_from(source);
            bytes[at..at + 8].copy_from_slice(&random);
        }
        let _ = VerifierModel::from_bytes(&bytes);
        let _ = QuantizedModel::from_bytes(&bytes);
        let _ = zkonnx_verifier::params::read(5, &bytes);
        let mut proof = vec![0; case.sides.prover.keys.proof_length];
        if round % 50 == 0 {
            rng.fill_bytes(&mut proof);
            assert!(verify(&case.sides.handle, &case.statement, &proof, None).is_err());
        }
    }
}

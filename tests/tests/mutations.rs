//! Every byte of a proof file and of a `model.zkv` changed: nothing is accepted, nothing panics.

use rayon::prelude::*;
use std::sync::Arc;
use zkonnx_prover::deviation::Honest;
use zkonnx_quantize::model::DecodeError;
use zkonnx_tests::{
    forgeries::{with_gates, WAYS},
    graphs,
    lies::Case,
    setup::params,
};
use zkonnx_verifier::{
    error::{RegisterError, VerifyError},
    json::JsonError,
    limits::Limits,
    proof_file::ProofFile,
    receipt::{Receipt, ReceiptError},
    registry::ModelHandle,
    statement::Statement,
    verify::{verify, Verified},
    zkv::VerifierModel,
};

/// A contraction with two hidden sides, with and without halo2; a table and a division: proofs have all their parts.
fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = WAYS.map(|way| Case::public(with_gates(graphs::mlp((3, 2, 2), 5, 4, 1), way), 1)).into();
    cases.push(Case::public(graphs::softmax_like(7, 5, 7), 1));
    cases.iter().for_each(Case::is_sound);
    cases
}

fn file_of(case: &Case) -> ProofFile {
    ProofFile { statement: case.statement.clone(), proof: case.prove(&case.statement, &mut Honest) }
}

fn accepted(handle: &ModelHandle, file: &[u8]) -> Result<Verified, VerifyError> {
    let file = ProofFile::from_bytes(file)?;
    verify(handle, &file.statement, &file.proof, None)
}

/// Changes of one byte by one bit, and of eight bytes to an integer that a length or a value might be.
fn changes(bytes: &[u8], step: usize) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for at in (0..bytes.len()).step_by(step) {
        let mut changed = bytes.to_vec();
        changed[at] ^= 1 << (at % 8);
        all.push(changed);
        let value = [0, 1, 1 << 33, u64::MAX, 1 << 63][at % 5];
        let mut changed = bytes.to_vec();
        for (byte, new) in changed[at..].iter_mut().zip(u64::to_le_bytes(value)) {
            *byte = new;
        }
        all.push(changed);
    }
    all.retain(|changed| changed != bytes);
    all
}

#[test]
fn no_proof_file_with_a_changed_byte_is_accepted() {
    for case in cases() {
        let handle = &case.sides.handle;
        let file = file_of(&case);
        let bytes = file.to_bytes();
        accepted(handle, &bytes).expect("the file as it is");
        let statement = bytes.len() - file.proof.len();
        // All of the statement; the proof is long, and its elements are alike.
        let mut hostile: Vec<Vec<u8>> = changes(&bytes[..statement], 1)
            .into_iter()
            .map(|head| [head.as_slice(), &bytes[statement..]].concat())
            .collect();
        let step = file.proof.len() / 200 + 1;
        hostile.extend(changes(&file.proof, step).into_iter().map(|p| [&bytes[..statement], p.as_slice()].concat()));
        // Truncated, and longer.
        hostile.extend((0..bytes.len()).step_by(7).map(|length| bytes[..length].to_vec()));
        hostile.extend([vec![0], vec![0; 32]].map(|more| [bytes.as_slice(), &more].concat()));
        hostile.par_iter().for_each(|changed| {
            let error = accepted(handle, changed).expect_err("changed bytes");
            if let Ok(decoded) = ProofFile::from_bytes(changed) {
                assert_eq!(&decoded.to_bytes(), changed, "one encoding");
                assert!(!matches!(error, VerifyError::Malformed(_)), "{error}");
            }
        });
        let statement = case.statement.to_bytes();
        assert_eq!(Statement::from_bytes(&statement).as_ref(), Ok(&case.statement));
        for changed in changes(&statement, 1) {
            if let Ok(decoded) = Statement::from_bytes(&changed) {
                assert_eq!(decoded.to_bytes(), changed, "one encoding");
                assert_ne!(decoded.digest(), case.statement.digest());
            }
        }
    }
}

/// Parameters for small `k` only: deriving others takes long, and a changed layout is another model anyway.
fn register(bytes: &[u8]) -> Result<ModelHandle, RegisterError> {
    ModelHandle::new(bytes, |k| match u8::try_from(k) {
        Ok(k @ 0..=8) => Ok(Arc::clone(&params(k))),
        _ => Err(RegisterError::Keygen("not here".into())),
    })
}

#[test]
fn no_model_file_with_a_changed_byte_is_the_model() {
    for case in cases() {
        let file = file_of(&case);
        let bytes = &case.sides.prover.zkv;
        let step = bytes.len() / 1200 + 1;
        let registered: usize = changes(bytes, step)
            .par_iter()
            .map(|changed| {
                let Ok(handle) = register(changed) else { return 0 };
                assert_ne!(handle.id(), case.sides.handle.id());
                assert_eq!(
                    &VerifierModel::from_bytes(changed).expect("registered").to_bytes(),
                    changed,
                    "one encoding"
                );
                let error = verify(&handle, &file.statement, &file.proof, None).expect_err("another model");
                assert!(matches!(error, VerifyError::UnknownModel { .. }), "{error}");
                // The thief says in the statement that it is about the other model.
                let statement = Statement { model_id: handle.id(), ..file.statement.clone() };
                verify(&handle, &statement, &file.proof, None).expect_err("a proof about another model");
                1
            })
            .sum();
        assert!(registered > 50, "{registered}: names and constants may well be others");
        for length in 0..bytes.len() {
            assert!(register(&bytes[..length]).is_err());
        }
        assert!(register(&[bytes.as_slice(), &[0]].concat()).is_err());
    }
}

#[test]
fn files_that_are_too_long_are_refused_unread() {
    let long = |limit: usize| vec![0; limit + 1];
    let refused = |error: DecodeError, limit: usize| {
        assert!(
            matches!(error, DecodeError::TooLong { actual, limit: l, .. } if l == limit && actual == l + 1),
            "{error}"
        );
    };
    refused(Statement::from_bytes(&long(Limits::STATEMENT_BYTES)).expect_err("long"), Limits::STATEMENT_BYTES);
    refused(ProofFile::from_bytes(&long(Limits::PROOF_FILE_BYTES)).expect_err("long"), Limits::PROOF_FILE_BYTES);
    refused(VerifierModel::from_bytes(&long(Limits::ZKV_BYTES)).expect_err("long"), Limits::ZKV_BYTES);
    let receipt = Receipt::from_bytes(&long(Limits::RECEIPT_BYTES)).expect_err("long");
    assert!(matches!(receipt, ReceiptError::Decode(DecodeError::TooLong { limit: Limits::RECEIPT_BYTES, .. })));
    let receipt = Receipt::from_json(&long(Limits::RECEIPT_JSON_BYTES)).expect_err("long");
    assert!(matches!(receipt, ReceiptError::Json(JsonError::TooLong { limit: Limits::RECEIPT_JSON_BYTES, .. })));
}

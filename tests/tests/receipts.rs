//! Receipts: the same in binary and in JSON, refused when anything is off, and accepted with the model's metering only.

use proptest::{collection::vec, option, prelude::*};
use zkonnx_circuits::lower::{Mode, Modes};
use zkonnx_prover::prove::prove;
use zkonnx_quantize::model::{DecodeError, SEMANTICS_VERSION};
use zkonnx_tests::{
    graphs::{self, GraphBuilder},
    setup::Sides,
};
use zkonnx_verifier::{
    error::{Step, VerifyError},
    json::JsonError,
    limits::Limits,
    metering::Metering,
    receipt::{Receipt, ReceiptError, StorageReference},
    statement::{Context, Integers, ModelId, Statement, TensorEntry, TensorValue, FORMAT_VERSION, SUITE},
};

prop_compose! {
    fn any_entry()(
        name in any::<String>(),
        shape in vec(any::<u32>(), 0..4),
        values in option::of(prop_oneof![vec(-128_i64..128, 0..9), vec(any::<i64>(), 0..9)]),
    ) -> TensorEntry {
        let value = values.map_or(TensorValue::Hidden, |v| TensorValue::Public(Integers::new(&v)));
        TensorEntry::new(&name, &shape, value)
    }
}

prop_compose! {
    fn any_context()(
        ids in any::<[[u8; 32]; 4]>(),
        nonce in any::<u64>(),
        not_after in any::<u64>(),
    ) -> Context {
        let [domain, job_id, requester, payee] = ids;
        Context { domain, job_id, nonce, requester, payee, not_after }
    }
}

prop_compose! {
    fn any_receipt()(
        model_id in any::<[u8; 32]>(),
        inputs in vec(any_entry(), 0..3),
        outputs in vec(any_entry(), 0..3),
        context in any_context(),
        proof in vec(any::<u8>(), 0..100),
        units in any::<[u64; 6]>(),
        storage in option::of(("[!-~]{1,40}", any::<[u8; 32]>(), any::<u64>(), any::<u64>())),
    ) -> Receipt {
        let [macs, weights, lookups, rows, columns, proof_bytes] = units;
        Receipt {
            statement: Statement {
                format: FORMAT_VERSION,
                suite: SUITE,
                semantics: SEMANTICS_VERSION,
                model_id: ModelId(model_id),
                inputs,
                outputs,
                context,
            },
            proof,
            metering: Metering { macs, weights, lookups, rows, columns, proof_bytes },
            storage: storage.map(|(uri, digest, length, expires)| StorageReference { uri, digest, length, expires }),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_receipt_is_the_same_in_binary_and_in_json(receipt in any_receipt()) {
        let bytes = receipt.to_bytes();
        let read = Receipt::from_bytes(&bytes).expect("its own bytes");
        prop_assert_eq!(&read, &receipt);
        prop_assert_eq!(read.to_bytes(), bytes.clone());
        let text = receipt.to_json().expect("JSON");
        let read = Receipt::from_json(text.as_bytes()).expect("its own JSON");
        prop_assert_eq!(&read, &receipt);
        prop_assert_eq!(read.to_json().expect("JSON"), text.clone());
        prop_assert_eq!(read.statement.digest(), receipt.statement.digest());
        prop_assert_eq!(Receipt::from_either(&bytes).expect("bytes"), Receipt::from_either(text.as_bytes()).expect("text"));
    }

    #[test]
    fn what_is_read_from_any_bytes_is_written_as_the_same_bytes(
        receipt in any_receipt(),
        edits in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = receipt.to_bytes();
        for (at, value) in edits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes.truncate(cut.map_or(bytes.len(), |c| c.index(bytes.len() + 1)));
        if let Ok(read) = Receipt::from_bytes(&bytes) {
            prop_assert_eq!(read.to_bytes(), bytes.clone());
        }
        let _ = Receipt::from_either(&bytes);
    }

    #[test]
    fn no_text_panics(receipt in any_receipt(), at in any::<prop::sample::Index>(), value in any::<char>()) {
        let mut text: Vec<char> = receipt.to_json().expect("JSON").chars().collect();
        let at = at.index(text.len());
        text[at] = value;
        let text: String = text.into_iter().collect();
        if let Ok(read) = Receipt::from_json(text.as_bytes()) {
            prop_assert_eq!(Receipt::from_bytes(&read.to_bytes()).expect("its own bytes"), read);
        }
    }

    #[test]
    fn a_context_is_the_same_in_json(context in any_context()) {
        let text = serde_json::to_string(&context).expect("JSON");
        prop_assert_eq!(Context::from_json(text.as_bytes()), Ok(context));
    }
}

fn sides() -> Sides {
    Sides::new(graphs::mlp((10, 6, 3), 6, 4, 1))
}

fn receipt(sides: &Sides) -> Receipt {
    let inputs = GraphBuilder::random_inputs(&sides.prover.model, 1);
    let context = Context { payee: [3; 32], nonce: u64::MAX, ..Context::default() };
    let (statement, proof) = prove(&sides.prover, &inputs, context).expect("a proof");
    Receipt::new(&sides.handle, statement, proof).expect("a receipt")
}

#[test]
fn a_receipt_is_accepted_with_its_proof_and_the_models_metering_only() {
    let sides = sides();
    let honest = receipt(&sides);
    let verified = honest.verify(&sides.handle, None).expect("an honest receipt");
    assert_eq!(verified.statement_digest(), honest.statement.digest());
    let read = Receipt::from_json(honest.to_json().expect("JSON").as_bytes()).expect("a receipt");
    assert_eq!(read.verify(&sides.handle, None), Ok(verified));
    // Storage is not proven, and may be added later.
    let storage = StorageReference { uri: "ipfs://x".into(), digest: [1; 32], length: 5, expires: 0 };
    let stored = Receipt { storage: Some(storage), ..honest.clone() };
    assert_eq!(stored.verify(&sides.handle, None), Ok(verified));

    type Edit = fn(&mut Metering);
    let edits: [Edit; 6] = [
        |m| m.macs += 1,
        |m| m.weights -= 1,
        |m| m.lookups *= 2,
        |m| m.rows = 0,
        |m| m.columns += 1,
        |m| m.proof_bytes += 1,
    ];
    for edit in edits {
        let mut wrong = honest.clone();
        edit(&mut wrong.metering);
        assert!(matches!(wrong.verify(&sides.handle, None), Err(ReceiptError::Metering { .. })));
    }
    let mut wrong = honest.clone();
    wrong.statement.context.payee[0] ^= 1;
    let verdict = wrong.verify(&sides.handle, None);
    assert!(matches!(verdict, Err(ReceiptError::Verify(VerifyError::Rejected { step: Step::Linear, .. }))));
    let mut wrong = honest;
    wrong.proof.push(0);
    assert!(matches!(wrong.verify(&sides.handle, None), Err(ReceiptError::Verify(VerifyError::Length { .. }))));
}

#[test]
fn metering_follows_from_the_model_alone() {
    let sides = sides();
    let metering = receipt(&sides).metering;
    let keys = &sides.prover.keys;
    assert_eq!(metering, Metering::of(&keys.compiled), "known before anything is proven");
    // Two dense layers, 10 × 6 and 6 × 3.
    assert_eq!((metering.macs, metering.rows), (10 * 6 + 6 * 3, 64));
    assert_eq!(metering.proof_bytes, keys.proof_length as u64);
    let shape = &keys.compiled.shape;
    assert_eq!(metering.columns, (shape.columns.len() + shape.num_table_groups()) as u64);
    assert_eq!(metering.cells(), metering.rows * metering.columns);
    let weights: usize = sides.prover.model.weights.iter().map(Integers::len).sum();
    assert_eq!(metering.weights, weights as u64);
    assert!(metering.lookups > 0 && metering.lookups <= metering.cells());
    // Products of activations, and of convolutions with overlapping windows.
    let attention = Sides::new(graphs::attention_like(6, 4, 9));
    assert!(Metering::of(&attention.prover.keys.compiled).macs > 0);
    // Hidden inputs are looked up too.
    let mut modes = Modes::public(&sides.prover.model.graph);
    modes.inputs[0] = Mode::Hidden;
    let hidden = Sides::with_modes(graphs::mlp((10, 6, 3), 6, 4, 1), modes);
    let hidden = Metering::of(&hidden.prover.keys.compiled);
    assert!(hidden.lookups > metering.lookups && hidden.macs == metering.macs);
}

#[test]
fn refuses_what_is_not_canonical() {
    let honest = receipt(&sides());
    let reread = |edit: &dyn Fn(&mut Receipt)| {
        let mut receipt = honest.clone();
        edit(&mut receipt);
        let binary = Receipt::from_bytes(&receipt.to_bytes()).expect_err("refused");
        (binary, Receipt::from_json(receipt.to_json().expect("JSON").as_bytes()))
    };
    let (binary, _) = reread(&|r| {
        let TensorValue::Public(values) = &r.statement.inputs[0].value else { panic!("a public input") };
        r.statement.inputs[0].value = TensorValue::Public(Integers::I64(values.to_vec()));
    });
    assert!(matches!(binary, ReceiptError::Entry { .. }), "{binary}");
    let edits: [fn(&mut Receipt); 6] = [
        |r| r.statement.format += 1,
        |r| r.statement.suite += 1,
        |r| r.statement.semantics += 1,
        |r| r.statement.outputs[0].digest[0] ^= 1,
        |r| {
            r.storage = Some(StorageReference { uri: "a b".into(), digest: [0; 32], length: 0, expires: 0 });
        },
        |r| {
            r.storage =
                Some(StorageReference { uri: "a".repeat(Limits::URI + 1), digest: [0; 32], length: 0, expires: 0 });
        },
    ];
    for edit in edits {
        let (binary, text) = reread(&edit);
        assert_eq!(Err(binary), text);
    }
    // Bytes: another magic number, unknown versions, anything after the end.
    let bytes = honest.to_bytes();
    let decode = |edit: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = bytes.clone();
        edit(&mut bytes);
        match Receipt::from_bytes(&bytes) {
            Err(ReceiptError::Decode(error)) => error,
            other => panic!("{other:?}"),
        }
    };
    assert!(matches!(decode(&|b| b[0] ^= 1), DecodeError::Magic { .. }));
    for (at, what) in [(8, "format"), (10, "suite"), (12, "semantics")] {
        let error = decode(&|b| b[at] += 1);
        assert!(matches!(error, DecodeError::Version { what: w, .. } if w == what), "{error}");
    }
    assert!(matches!(decode(&|b| b.push(0)), DecodeError::Malformed(_)));
    assert!(matches!(decode(&|b| b.truncate(b.len() - 1)), DecodeError::Malformed(_)));
}

#[test]
fn refuses_json_with_other_fields_or_types() {
    let honest = receipt(&sides());
    let text = honest.to_json().expect("JSON");
    assert!(text.contains("\"nonce\": 18446744073709551615"), "integers are exact");
    assert!(text.contains(&format!("\"model_id\": \"{}\"", honest.statement.model_id)));
    for (from, to) in [
        ("\"proof\":", "\"proofs\":"),
        ("\"metering\": {", "\"metering\": { \"more\": 1,"),
        ("\"nonce\": 18446744073709551615", "\"nonce\": 18446744073709551616"),
        ("\"nonce\": 18446744073709551615", "\"nonce\": 1.0"),
        ("\"payee\": \"03", "\"payee\": \"3"),
        ("\"model_id\": \"", "\"model_id\": \"0x"),
        ("\"public\": [", "\"public\": [\"1\", "),
        ("\"public\": [", "\"secret\": ["),
        ("\"public\": [", "\"public\": [9223372036854775808, "),
    ] {
        assert!(text.contains(from), "{from}");
        let wrong = text.replacen(from, to, 1);
        let error = Receipt::from_json(wrong.as_bytes()).expect_err(to);
        assert!(matches!(error, ReceiptError::Json(JsonError::Invalid(_))), "{to}: {error}");
    }
    for text in ["", "[]", "null"] {
        assert_eq!(Receipt::from_json(text.as_bytes()), Err(ReceiptError::Json(JsonError::Object)));
    }
    let long = vec![b' '; Limits::CONTEXT_JSON_BYTES + 1];
    assert!(matches!(Context::from_json(&long), Err(JsonError::TooLong { .. })));
}

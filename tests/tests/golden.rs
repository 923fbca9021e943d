//! Frozen values: verifying keys, proof lengths, transcript vectors. A change here is a change of the proof system:
//! old proofs stop verifying, so it needs a new suite number.

use ff::PrimeField;
use halo2_proofs::transcript::{Blake2bWrite, TranscriptWrite};
use pasta_curves::{EqAffine, Fp};
use zkonnx_quantize::model::QuantizedModel;
use zkonnx_tests::{graphs, setup::Sides};
use zkonnx_verifier::{
    statement::{ModelId, StatementDigest},
    transcript::{absorb_header, lookup_challenges, squeeze, Challenge},
};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn models() -> Vec<(&'static str, QuantizedModel)> {
    vec![
        ("mlp", graphs::mlp((10, 6, 3), 6, 4, 1)),
        ("wide mlp", graphs::mlp((40, 20, 6), 5, 4, 3)),
        ("lenet", graphs::lenet_like(7, 6, 5)),
        ("softmax", graphs::softmax_like(7, 5, 7)),
        ("attention", graphs::attention_like(6, 4, 9)),
    ]
}

/// Name, digest of the verifying key, bytes of a proof, model id.
const GOLDEN: [(&str, &str, usize, &str); 5] = include!("golden.in");

#[test]
fn keys_lengths_and_identities_are_frozen() {
    let found: Vec<(&str, String, usize, String)> = models()
        .into_iter()
        .map(|(name, model)| {
            let sides = Sides::new(model);
            let keys = &sides.prover.keys;
            let ModelId(id) = sides.handle.id();
            (name, hex(&keys.vk_digest.to_repr()), keys.proof_length, hex(&id))
        })
        .collect();
    let golden = GOLDEN.map(|(name, key, length, id)| (name, key.to_owned(), length, id.to_owned()));
    assert_eq!(found, golden, "a key, a length or an identity has changed");
}

#[test]
fn the_transcript_is_frozen() {
    let digest = StatementDigest([0x5a; 32]);
    let points = [[1_u8; 32], [2; 32]];
    let (theta, phi) = lookup_challenges(&digest, Fp::from(7), 0, &points);
    let mut transcript = Blake2bWrite::<_, EqAffine, Challenge>::init(Vec::new());
    absorb_header(&mut transcript, &digest).expect("memory");
    let first = squeeze(&mut transcript);
    transcript.write_scalar(Fp::from(3)).expect("memory");
    let second = squeeze(&mut transcript);
    let found = [theta, phi, first, second].map(|c| hex(&c.to_repr()));
    let golden: [&str; 4] = include!("golden_transcript.in");
    assert_eq!(found, golden, "the transcript has changed");
    // Everything that is absorbed matters.
    let others = [
        lookup_challenges(&StatementDigest([0x5b; 32]), Fp::from(7), 0, &points),
        lookup_challenges(&digest, Fp::from(8), 0, &points),
        lookup_challenges(&digest, Fp::from(7), 1, &points),
        lookup_challenges(&digest, Fp::from(7), 0, &points[..1]),
        lookup_challenges(&digest, Fp::from(7), 0, &[points[1], points[0]]),
    ];
    for other in others {
        assert!(other.0 != theta && other.1 != phi && other.0 != other.1);
    }
}

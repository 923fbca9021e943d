//! The trained models in `tests/models`: witness against evaluator, golden identities, proofs of real and of extreme images.
//!
//! Accuracy on the held-out images is tested in `quantize/tests/models.rs`.
#![cfg(feature = "onnx")]

use ff::PrimeField;
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};
use zkonnx_circuits::{compiled::CompiledModel, lower::Modes, relations::TensorCells, witness::assign};
use zkonnx_prover::prove::prove;
use zkonnx_quantize::{
    data::{quantise_input, read_npz, read_samples, NamedTensor},
    eval::evaluate,
    graph::Input,
    model::QuantizedModel,
    quantize, OnnxModel, Recipe,
};
use zkonnx_tests::setup::{lay_out, Sides};
use zkonnx_verifier::{statement::Context, verify::verify};

/// What may only change on purpose: the model id with quantiser, layout or file format; the digest of halo2's key, where gates are
/// proven by it, with lanes and gates; lengths of proofs with either. To renew, run
/// `cargo test --release -p zkonnx-tests --test fixtures golden` and copy what the failures print; then raise
/// the version numbers (`SEMANTICS_VERSION`, `FORMAT_VERSION`, `SUITE`) that the change calls for.
#[derive(Clone, Copy)]
struct Golden {
    model_id: &'static str,
    proof_length: usize,
    key_digest: &'static str,
    halo2_proof_length: usize,
}

struct Fixture {
    name: &'static str,
    images: &'static str,
    golden: Golden,
}

const LENET: Fixture = Fixture {
    name: "lenet",
    images: "mnist",
    golden: Golden {
        model_id: "a4caf23914c5fcc19bce2c5a3836474aa3ee6ee8c8011f6b63d918d5921f3ca5",
        proof_length: 8480,
        key_digest: "8f5214d5ab108f610168b7d002d8bbf0289dcab3926d1db5a1ad3a6fcf900a01",
        halo2_proof_length: 11_264,
    },
};

const MLP: Fixture = Fixture {
    name: "mlp",
    images: "mnist",
    golden: Golden {
        model_id: "503e05b7952f6647faa6e0ce861a226ade9a69f133750aaa19fbe27489c93956",
        proof_length: 3904,
        key_digest: "802983c9e2d06dd5d68f6d2ed930db6a638a1b631cd719eacc28b9a18983af29",
        halo2_proof_length: 5760,
    },
};

const CIFAR: Fixture = Fixture {
    name: "cifar",
    images: "cifar",
    golden: Golden {
        model_id: "bb08aba142d21e9ebe4897db5d374a023c21fbbea964d55367fe040d449b81be",
        proof_length: 11_136,
        key_digest: "25bcfacd3f8da8e79554d6696669fd7fd5cb42537a7466953167d743321d8810",
        halo2_proof_length: 15_104,
    },
};

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("models").join(name)
}

impl Fixture {
    fn model(&self) -> QuantizedModel {
        let onnx = OnnxModel::from_path(&path(&format!("{}.onnx", self.name)), &BTreeMap::new()).expect("a model");
        let calibration = path(&format!("{}_calibration.npz", self.name));
        let samples = read_samples(&calibration, &onnx.inputs()).expect("samples");
        let (mut model, _) = quantize(&onnx, Some(&samples), &Recipe::default()).expect("a quantised model");
        lay_out(&mut model, None);
        model
    }

    /// Integers of the first held-out images.
    fn images(&self, model: &QuantizedModel, count: usize) -> Vec<Vec<i64>> {
        let arrays = read_npz(&path(&format!("{}_heldout.npz", self.images))).expect("images");
        let is_images = |a: &&NamedTensor| a.name == "images";
        let images = arrays.iter().find(is_images).expect("images");
        let input = &model.graph.inputs[0];
        images
            .data
            .chunks_exact(len(input))
            .take(count)
            .map(|pixels| {
                #[allow(clippy::cast_possible_truncation)] // pixels are bytes
                let units: Vec<f64> = pixels.iter().map(|v| f64::from(*v as f32 / 255.0)).collect();
                quantise_input(input, &units).expect("finite").values
            })
            .collect()
    }

    fn is_golden(&self) {
        let [relations, halo2] = Sides::both(&self.model());
        assert!(relations.prover.keys.halo2.is_none());
        let key = halo2.prover.keys.halo2.as_ref().expect("a model with gates");
        let hex: String = key.digest.to_repr().iter().map(|b| format!("{b:02x}")).collect();
        let lengths = [&relations, &halo2].map(|sides| sides.prover.keys.proof_length);
        assert_eq!(relations.handle.id(), relations.prover.id);
        assert_ne!(relations.handle.id(), halo2.handle.id());
        let Golden { model_id, proof_length, key_digest, halo2_proof_length } = self.golden;
        let golden = (model_id.to_owned(), key_digest.to_owned(), [proof_length, halo2_proof_length]);
        assert_eq!((relations.prover.id.to_string(), hex, lengths), golden, "{}: see Golden", self.name);
    }

    /// The cells hold the evaluator's tensors, for real and for extreme images.
    fn has_the_trace_for_a_witness(&self) {
        let quantized = self.model();
        let modes = Modes::public(&quantized.graph);
        let graph = Arc::new(quantized.graph.clone());
        let model = CompiledModel::new(graph, modes, quantized.layout).expect("a circuit");
        for image in self.images(&quantized, 3).into_iter().chain(extremes(&quantized.graph.inputs[0])) {
            let trace = evaluate(&quantized, &[image]).expect("an image as declared");
            let cells = assign(&model, &trace);
            let mut compared = 0;
            for (tensor, values) in model.lowered.tensors.iter().zip(&trace.tensors) {
                for (element, value) in values.iter().enumerate() {
                    let Some(read) = cells.value(&model, *tensor, element) else { continue };
                    assert_eq!(read, i128::from(*value), "{}, element {element}", self.name);
                }
                compared += usize::from(matches!(tensor, TensorCells::Word { .. }));
            }
            assert_eq!(compared, quantized.graph.nodes.len(), "every node has cells");
        }
    }

    /// Proves all images with gates as relations, and the first one with gates by halo2.
    fn proves(&self, images: usize, extreme: usize) {
        let [relations, halo2] = Sides::both(&self.model());
        self.proves_with(&relations, self.golden.proof_length, images, extreme);
        self.proves_with(&halo2, self.golden.halo2_proof_length, 1, 0);
    }

    fn proves_with(&self, sides: &Sides, proof_length: usize, images: usize, extreme: usize) {
        let input = &sides.prover.model.graph.inputs[0];
        let images =
            self.images(&sides.prover.model, images).into_iter().chain(extremes(input).into_iter().take(extreme));
        for (i, image) in images.enumerate() {
            let expected = evaluate(&sides.prover.model, std::slice::from_ref(&image)).expect("as declared").outputs;
            let (statement, proof) = prove(&sides.prover, &[image], Context::default()).expect("a proof");
            assert_eq!(proof.len(), proof_length, "{}, image {i}", self.name);
            if let Err(error) = verify(&sides.handle, &statement, &proof, None) {
                panic!("{}, image {i}: {error}", self.name);
            }
            assert_eq!(zkonnx_verifier::verify::public_values(&statement).1, expected);
        }
    }
}

fn len(input: &Input) -> usize {
    input.shape.iter().map(|s| *s as usize).product()
}

/// A checkerboard, noise, all at the lower and all at the upper end.
fn extremes(input: &Input) -> Vec<Vec<i64>> {
    let (lo, hi, len) = (input.bounds.lo, input.bounds.hi, len(input));
    let side = *input.shape.last().expect("an axis") as usize;
    let side = if side == len { len.isqrt() } else { side };
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut noise = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        lo + i64::try_from(state % (hi.abs_diff(lo) + 1)).expect("within the interval")
    };
    let board = (0..len).map(|i| if (i % side + i / side) % 2 == 0 { lo } else { hi }).collect();
    vec![board, (0..len).map(|_| noise()).collect(), vec![lo; len], vec![hi; len]]
}

#[test]
fn lenet_is_golden() {
    LENET.is_golden();
}

#[test]
fn mlp_is_golden() {
    MLP.is_golden();
}

#[test]
fn cifar_is_golden() {
    CIFAR.is_golden();
}

#[test]
fn every_model_has_the_trace_for_a_witness() {
    for fixture in [LENET, MLP, CIFAR] {
        fixture.has_the_trace_for_a_witness();
    }
}

#[test]
fn lenet_proves_real_and_extreme_images() {
    LENET.proves(3, 4);
}

#[test]
fn mlp_proves_real_and_extreme_images() {
    MLP.proves(3, 4);
}

#[test]
fn cifar_proves_real_and_extreme_images() {
    CIFAR.proves(2, 1);
}

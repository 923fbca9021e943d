//! Hostile bytes: every decoder of the verifier, and what to feed it.

use crate::{
    graphs::{self, GraphBuilder},
    lies::Case,
    setup::{both_ways, params, Sides},
};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use std::sync::OnceLock;
use zkonnx_circuits::lower::{Mode, Modes};
use zkonnx_prover::{
    deviation::Honest,
    keys::{verifier_model, ProverModel},
    prove::{prove, prove_weights},
};
use zkonnx_quantize::model::QuantizedModel;
use zkonnx_verifier::{
    error::RegisterError,
    proof_file::ProofFile,
    receipt::{Receipt, StorageReference},
    registry::ModelHandle,
    statement::{Context, Integers, Statement, TensorEntry, TensorValue},
    verify::verify,
    zkv::VerifierModel,
};

/// No decoder may allocate more than this for an input of at most four mebibytes.
pub const MAX_ALLOCATION: usize = 64 << 20;

/// A decoder with some valid inputs.
#[derive(Debug)]
pub struct Decoder {
    /// Its name; also that of its fuzz target.
    pub name: &'static str,
    /// Valid inputs.
    pub seeds: Vec<Vec<u8>>,
    /// Decodes, and says whether the bytes were accepted. Panics when they are not the canonical encoding of what was decoded.
    pub decode: fn(&[u8]) -> bool,
}

fn canonical<T, E>(bytes: &[u8], decoded: Result<T, E>, encode: impl FnOnce(&T) -> Vec<u8>) -> bool {
    decoded.is_ok_and(|value| {
        assert_eq!(encode(&value), bytes, "accepted, and not canonical");
        true
    })
}

/// `model.zkv`.
#[must_use]
pub fn decode_zkv(bytes: &[u8]) -> bool {
    canonical(bytes, VerifierModel::from_bytes(bytes), VerifierModel::to_bytes)
}

/// `model.zkv`, compiled as for registering, up to the parameters of the commitment scheme. Says whether it got there.
#[must_use]
pub fn decode_register(bytes: &[u8]) -> bool {
    let here = RegisterError::Keygen("compiled".into());
    ModelHandle::new(bytes, |_| Err(here.clone())).is_err_and(|error| error == here)
}

/// A proof file.
#[must_use]
pub fn decode_proof_file(bytes: &[u8]) -> bool {
    canonical(bytes, ProofFile::from_bytes(bytes), ProofFile::to_bytes)
}

/// A statement.
#[must_use]
pub fn decode_statement(bytes: &[u8]) -> bool {
    canonical(bytes, Statement::from_bytes(bytes), Statement::to_bytes)
}

/// Parameters of the commitment scheme for k = 4.
#[must_use]
pub fn decode_params(bytes: &[u8]) -> bool {
    canonical(bytes, zkonnx_verifier::params::read(4, bytes), zkonnx_verifier::params::write)
}

/// A receipt.
#[must_use]
pub fn decode_receipt(bytes: &[u8]) -> bool {
    canonical(bytes, Receipt::from_bytes(bytes), Receipt::to_bytes)
}

/// A receipt in JSON: what is read is written and read again as the same, in both encodings.
#[must_use]
pub fn decode_receipt_json(bytes: &[u8]) -> bool {
    Receipt::from_json(bytes).is_ok_and(|receipt| {
        let text = receipt.to_json().expect("a receipt has a JSON");
        assert_eq!(Receipt::from_json(text.as_bytes()).as_ref(), Ok(&receipt));
        assert_eq!(Receipt::from_bytes(&receipt.to_bytes()).as_ref(), Ok(&receipt));
        true
    })
}

/// A context in JSON.
#[must_use]
pub fn decode_context_json(bytes: &[u8]) -> bool {
    Context::from_json(bytes).is_ok_and(|context| {
        let text = serde_json::to_vec(&context).expect("a context has a JSON");
        assert_eq!(Context::from_json(&text), Ok(context));
        true
    })
}

/// A model with a proof.
struct Seed {
    handle: ModelHandle,
    zkv: Vec<u8>,
    file: ProofFile,
}

/// Everything public.
fn public(model: QuantizedModel) -> Seed {
    let case = Case::public(model, 1);
    let proof = case.prove(&case.statement, &mut Honest);
    Seed { zkv: case.sides.prover.zkv, file: ProofFile { statement: case.statement, proof }, handle: case.sides.handle }
}

/// Private weights with their registration, a committed input and a hidden output.
fn private() -> Seed {
    let model = graphs::with_private_weights(graphs::mlp((3, 2, 2), 5, 4, 1));
    let own = ProverModel::for_registration(model.clone(), params(5)).expect("a circuit");
    let mut file = verifier_model(&own.model, &own.columns);
    file.registration = prove_weights(&own, &mut Honest).expect("a proof");
    let modes = Modes { inputs: vec![Mode::Committed], outputs: vec![Mode::Hidden] };
    let Sides { prover, handle } = Sides::with_modes(model, modes);
    let inputs = GraphBuilder::random_inputs(&prover.model, 1);
    let (statement, proof) = prove(&prover, &inputs, Context::default()).expect("a proof");
    Seed { handle, zkv: file.to_bytes(), file: ProofFile { statement, proof } }
}

/// All decoders, with valid inputs of four small models.
#[must_use]
pub fn decoders() -> Vec<Decoder> {
    let [_, halo2] = both_ways(&graphs::mlp((3, 2, 2), 5, 4, 1));
    let all =
        [public(graphs::mlp((3, 2, 2), 5, 4, 1)), public(graphs::softmax_like(7, 5, 7)), private(), public(halo2)];
    let seeds = |make: &dyn Fn(&Seed) -> Vec<u8>| all.iter().map(make).collect();
    let receipt = |Seed { handle, file, .. }: &Seed| {
        let mut receipt = Receipt::new(handle, file.statement.clone(), file.proof.clone()).expect("a circuit");
        let uri = "ipfs://bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi".to_owned();
        receipt.storage = Some(StorageReference { uri, digest: [3; 32], length: 1 << 20, expires: 1 << 31 });
        receipt
    };
    let context =
        Context { domain: [1; 32], job_id: [0xab; 32], nonce: u64::MAX, payee: [2; 32], ..Context::default() };
    let context = serde_json::to_vec(&context).expect("a context has a JSON");
    let params = vec![zkonnx_verifier::params::write(&params(4))];
    vec![
        Decoder { name: "zkv", seeds: seeds(&|s| s.zkv.clone()), decode: decode_zkv },
        Decoder { name: "register", seeds: seeds(&|s| s.zkv.clone()), decode: decode_register },
        Decoder { name: "proof_file", seeds: seeds(&|s| s.file.to_bytes()), decode: decode_proof_file },
        Decoder { name: "statement", seeds: seeds(&|s| s.file.statement.to_bytes()), decode: decode_statement },
        Decoder { name: "receipt", seeds: seeds(&|s| receipt(s).to_bytes()), decode: decode_receipt },
        Decoder {
            name: "receipt_json",
            seeds: seeds(&|s| receipt(s).to_json().expect("JSON").into_bytes()),
            decode: decode_receipt_json,
        },
        Decoder { name: "context_json", seeds: vec![context], decode: decode_context_json },
        Decoder { name: "params", seeds: params, decode: decode_params },
    ]
}

/// Changes a valid proof and its statement as the bytes say, twelve for one change, and verifies: nothing but the
/// proof as it was is accepted. The first bit says in which way the gates are proven.
///
/// # Panics
/// When something else is.
pub fn verify_changed(bytes: &[u8]) {
    static CASES: OnceLock<[(Case, Vec<u8>); 2]> = OnceLock::new();
    let cases = CASES.get_or_init(|| {
        both_ways(&graphs::mlp((3, 2, 2), 5, 4, 1)).map(|model| {
            let case = Case::public(model, 1);
            case.is_sound();
            let proof = case.prove(&case.statement, &mut Honest);
            (case, proof)
        })
    });
    let (case, valid) = &cases[usize::from(bytes.first().is_some_and(|byte| *byte >= 0x80))];
    let (mut statement, mut proof) = (case.statement.clone(), valid.clone());
    for change in bytes.chunks(12) {
        let byte = |i: usize| change.get(i).copied().unwrap_or_default();
        let at = usize::from(u16::from_le_bytes([byte(1), byte(2)]));
        let value = u64::from_le_bytes([3, 4, 5, 6, 7, 8, 9, 10].map(byte));
        change_one(&mut statement, &mut proof, byte(0), at, value);
    }
    if (&statement, &proof) != (&case.statement, valid) {
        assert!(verify(&case.sides.handle, &statement, &proof, Some(1)).is_err(), "{statement:?} {proof:02x?}");
    }
}

fn change_one(statement: &mut Statement, proof: &mut Vec<u8>, what: u8, at: usize, value: u64) {
    let elements = proof.len() / 32;
    let [low, high] = [value.to_le_bytes()[0], value.to_le_bytes()[7]];
    let entry = |entries: &mut Vec<TensorEntry>, change: &dyn Fn(&mut TensorEntry)| {
        let count = entries.len();
        if let Some(entry) = entries.get_mut(at.checked_rem(count).unwrap_or(0)) {
            change(entry);
        }
    };
    let set_value = |entry: &mut TensorEntry| {
        let TensorValue::Public(integers) = &entry.value else { return };
        let mut values = integers.to_vec();
        let count = values.len();
        if let Some(old) = values.get_mut(usize::from(high).checked_rem(count).unwrap_or(0)) {
            *old = i64::from_le_bytes(value.to_le_bytes());
        }
        *entry = TensorEntry::new(&entry.name, &entry.shape, TensorValue::Public(Integers::new(&values)));
    };
    match what % 16 {
        0 => proof.get_mut(at).into_iter().for_each(|byte| *byte = low),
        1 if elements > 0 => {
            // An element again in another's place.
            let (from, to) = (at % elements * 32, usize::from(low) % elements * 32);
            proof.copy_within(from..from + 32, to);
        }
        2 if elements > 0 => (0..32).for_each(|i| {
            proof.swap(at % elements * 32 + i, usize::from(low) % elements * 32 + i);
        }),
        3 if elements > 0 => proof[at % elements * 32..][..32].fill(low),
        // The other point with the same x, or a scalar out of its range.
        4 if elements > 0 => proof[at % elements * 32 + 31] ^= 0x80,
        5 => proof.truncate(at),
        6 => proof.extend_from_slice(&value.to_le_bytes()),
        7 => statement.context.domain[at % 32] = low,
        8 => statement.context.job_id[at % 32] = low,
        9 => statement.context.payee[at % 32] = low,
        10 => match at % 6 {
            0 => statement.context.nonce = value,
            1 => statement.context.not_after = value,
            2 => statement.context.requester[usize::from(high) % 32] = low,
            3 => statement.format = u16::from(low),
            4 => statement.suite = u16::from(low),
            _ => statement.semantics = u16::from(low),
        },
        11 => statement.model_id.0[at % 32] = low,
        12 => entry(&mut statement.inputs, &set_value),
        13 => entry(&mut statement.outputs, &set_value),
        14 => entry(&mut statement.outputs, &|entry| match low % 4 {
            0 => entry.digest[usize::from(high) % 32] ^= 1,
            1 => entry.name.push('x'),
            2 => entry.shape.push(u32::from(high)),
            _ => *entry = TensorEntry::new(&entry.name, &entry.shape, TensorValue::Hidden),
        }),
        15 => match low % 4 {
            0 => statement.inputs.truncate(usize::from(high)),
            1 => statement.outputs.truncate(usize::from(high)),
            2 => statement.outputs.extend(statement.inputs.first().cloned()),
            _ => statement.inputs.extend(statement.outputs.first().cloned()),
        },
        _ => {}
    }
}

/// Makes hostile inputs: random ones, random ones with a true beginning, and valid ones with changes.
#[derive(Debug)]
pub struct Mutator(ChaCha20Rng);

impl Mutator {
    /// A mutator with a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(ChaCha20Rng::seed_from_u64(seed))
    }

    /// A number below `n`, which must not be zero.
    pub fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.0.next_u64() % n as u64).unwrap_or(0)
    }

    /// Random bytes.
    pub fn random(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.0.fill_bytes(&mut bytes);
        bytes
    }

    /// The next input.
    pub fn next(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let seed = &seeds[self.below(seeds.len())];
        match self.below(4) {
            0 => {
                let length = self.below(600);
                self.random(length)
            }
            1 => {
                let (kept, more) = (self.below(seed.len().min(200)), self.below(400));
                [&seed[..kept], &self.random(more)].concat()
            }
            _ => {
                let mut bytes = seed.clone();
                for _ in 0..=self.below(4) {
                    self.mutate(&mut bytes);
                }
                bytes
            }
        }
    }

    /// One change.
    pub fn mutate(&mut self, bytes: &mut Vec<u8>) {
        let length = bytes.len();
        if length == 0 {
            return bytes.push(0);
        }
        let at = self.below(length);
        let end = at + self.below((length - at).min(32)) + 1;
        match self.below(9) {
            0 => bytes[at] ^= 1 << self.below(8),
            1 => bytes[at] = [0, 1, 2, 4, 0x7f, 0x80, 0xff][self.below(7)],
            2 | 3 => {
                // A length or an integer of eight bytes: small, huge, or a power of two.
                let value = match self.below(3) {
                    0 => self.below(300) as u64,
                    1 => u64::MAX - self.below(3) as u64,
                    _ => 1 << self.below(64),
                };
                for (byte, new) in bytes[at..].iter_mut().zip(value.to_le_bytes()) {
                    *byte = new;
                }
            }
            4 => {
                let value = (1_u32 << self.below(32)).wrapping_sub(u32::from(self.below(2) == 0));
                for (byte, new) in bytes[at..].iter_mut().zip(value.to_le_bytes()) {
                    *byte = new;
                }
            }
            5 => bytes.truncate(at),
            6 => drop(bytes.drain(at..end)),
            7 => {
                let copy = bytes[at..end].to_vec();
                let to = self.below(bytes.len() + 1);
                bytes.splice(to..to, copy);
            }
            _ => {
                let new = self.random(end - at);
                bytes[at..end].copy_from_slice(&new);
            }
        }
    }
}

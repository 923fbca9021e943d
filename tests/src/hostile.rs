//! Hostile bytes: every decoder of the verifier, and what to feed it.

use crate::{graphs, lies::Case};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use zkonnx_prover::deviation::Honest;
use zkonnx_quantize::model::QuantizedModel;
use zkonnx_verifier::{proof_file::ProofFile, statement::Statement, zkv::VerifierModel};

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

/// `model.zkq`.
#[must_use]
pub fn decode_zkq(bytes: &[u8]) -> bool {
    canonical(bytes, QuantizedModel::from_bytes(bytes), QuantizedModel::to_bytes)
}

/// Parameters of the commitment scheme for k = 4.
#[must_use]
pub fn decode_params(bytes: &[u8]) -> bool {
    canonical(bytes, zkonnx_verifier::params::read(4, bytes), zkonnx_verifier::params::write)
}

/// All decoders, with valid inputs of two small models.
#[must_use]
pub fn decoders() -> Vec<Decoder> {
    let cases = [Case::public(graphs::mlp((3, 2, 2), 5, 4, 1), 1), Case::public(graphs::softmax_like(7, 5, 7), 1)];
    let files: Vec<ProofFile> = cases
        .iter()
        .map(|case| {
            let proof = case.prove(&case.statement, &mut Honest);
            ProofFile { statement: case.statement.clone(), proof }
        })
        .collect();
    let seeds =
        |make: &dyn Fn(&Case, &ProofFile) -> Vec<u8>| cases.iter().zip(&files).map(|(c, f)| make(c, f)).collect();
    let params = vec![zkonnx_verifier::params::write(&crate::setup::params(4))];
    vec![
        Decoder { name: "zkv", seeds: seeds(&|case, _| case.sides.prover.zkv.clone()), decode: decode_zkv },
        Decoder { name: "proof_file", seeds: seeds(&|_, file| file.to_bytes()), decode: decode_proof_file },
        Decoder { name: "statement", seeds: seeds(&|case, _| case.statement.to_bytes()), decode: decode_statement },
        Decoder { name: "zkq", seeds: seeds(&|case, _| case.sides.prover.model.to_bytes()), decode: decode_zkq },
        Decoder { name: "params", seeds: params, decode: decode_params },
    ]
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

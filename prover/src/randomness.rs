//! Seeds of one attempt to prove (protocol, section 3, Z1).
//!
//! halo2 draws its randomness from a ChaCha20 generator that it owns; a clone replays the blinding rows
//! and blinds of the advice columns, and is then dropped. What the linear part needs comes from a
//! second seed, so no randomness is used twice. No seed survives an attempt.

use crate::error::ProveError;
use blake2b_simd::Params as Blake2b;
use ff::Field;
use pasta_curves::Fp;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use zkonnx_circuits::shape::{CircuitShape, UNUSABLE_ROWS};
use zkonnx_verifier::statement::StatementDigest;

/// Generators of one attempt.
pub(crate) struct Attempt {
    /// For halo2.
    pub(crate) halo2: ChaCha20Rng,
    /// For the linear part.
    pub(crate) linear: ChaCha20Rng,
}

impl Attempt {
    /// Fresh seeds: 32 bytes of the operating system for each, bound to statement and witness.
    pub(crate) fn new(shard: u32, statement: &StatementDigest, witness: &[Vec<i64>]) -> Result<Self, ProveError> {
        let mut hash = Blake2b::new().hash_length(32).personal(b"zkonnx.witness_1").to_state();
        for value in witness.iter().flatten() {
            hash.update(&value.to_le_bytes());
        }
        let witness = hash.finalize();
        let seed = |label: &[u8]| {
            let mut entropy = [0; 32];
            getrandom::fill(&mut entropy).map_err(|e| ProveError::Randomness(e.to_string()))?;
            let mut state = Blake2b::new().hash_length(32).personal(b"zkonnx.seed.v1__").to_state();
            state.update(label).update(&shard.to_le_bytes()).update(&entropy);
            state.update(&statement.0).update(witness.as_bytes());
            let mut seed = [0; 32];
            seed.copy_from_slice(state.finalize().as_bytes());
            Ok::<_, ProveError>(ChaCha20Rng::from_seed(seed))
        };
        Ok(Self { halo2: seed(b"halo2")?, linear: seed(b"linear")? })
    }
}

/// What halo2 0.4.1 draws first: blinding rows of every advice column, then one blind for each.
#[derive(Clone, Debug)]
pub struct AdviceRandomness {
    /// Values of the rows from the first inactive one on, per advice column.
    pub tails: Vec<[Fp; UNUSABLE_ROWS]>,
    /// Blinds, per advice column.
    pub blinds: Vec<Fp>,
}

impl AdviceRandomness {
    /// Replays the draws from a clone of halo2's generator.
    #[must_use]
    pub fn replay(mut rng: ChaCha20Rng, shape: &CircuitShape) -> Self {
        let columns = shape.num_advice_columns();
        let tails = (0..columns).map(|_| std::array::from_fn(|_| Fp::random(&mut rng))).collect();
        let blinds = (0..columns).map(|_| Fp::random(&mut rng)).collect();
        Self { tails, blinds }
    }
}

//! Seeds of one proof (`verifier/docs/security.md`, section 6).
//!
//! halo2's part, where there is one, and everything else have a seed each. No seed survives a proof.

use crate::{columns::Column, error::ProveError};
use blake2b_simd::Params as Blake2b;
use ff::PrimeField;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use zkonnx_quantize::with_integers;
use zkonnx_verifier::statement::StatementDigest;

/// Generators of one proof.
pub(crate) struct Seeds {
    /// For halo2.
    pub(crate) halo2: ChaCha20Rng,
    /// For everything else.
    pub(crate) own: ChaCha20Rng,
}

impl Seeds {
    /// Fresh seeds: 32 bytes of the operating system for each, bound to statement and witness.
    pub(crate) fn new(statement: &StatementDigest, witness: &[Column]) -> Result<Self, ProveError> {
        let mut hash = Blake2b::new().hash_length(32).personal(b"zkonnx.witness_2").to_state();
        let mut bytes = Vec::new();
        for column in witness {
            bytes.clear();
            match column {
                Column::Integers(values) => with_integers!(values, values => {
                    values.iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
                }),
                Column::Field(values) => values.iter().for_each(|value| bytes.extend_from_slice(&value.to_repr())),
            }
            hash.update(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_le_bytes()).update(&bytes);
        }
        let witness = hash.finalize();
        let seed = |label: &[u8]| {
            let mut entropy = [0; 32];
            getrandom::fill(&mut entropy).map_err(|e| ProveError::Randomness(e.to_string()))?;
            let mut state = Blake2b::new().hash_length(32).personal(b"zkonnx.seed.v2__").to_state();
            state.update(label).update(&entropy);
            state.update(&statement.0).update(witness.as_bytes());
            let mut seed = [0; 32];
            seed.copy_from_slice(state.finalize().as_bytes());
            Ok::<_, ProveError>(ChaCha20Rng::from_seed(seed))
        };
        Ok(Self { halo2: seed(b"halo2")?, own: seed(b"linear")? })
    }
}

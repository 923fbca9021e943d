//! Committed tensors: Pedersen points that hide a tensor's integers, and opening them.
//!
//! Elements `256·c .. 256·(c + 1)` of a tensor, row-major, are `v_0, v_1, …` of point `c`: `Σ v_i·G_i + r·W`, over halo2's generators in the coefficient
//! basis and its blinding generator, with a random `r` for every point (Pedersen, CRYPTO 1991). The generators do not
//! depend on `k`. The points hide the integers perfectly, and bind to them if discrete logarithms on Vesta are hard; equal
//! points in two statements mean equal integers. A point commits what stands on other generators too: the
//! proof reads the tensor's own elements alone, an opening shows that there is nothing else.

use crate::{
    checks::{fails, Check},
    statement::{array, TensorEntry, TensorValue},
};
use bincode::{Decode, Encode};
use blake2b_simd::Params as Blake2b;
use ff::{Field, PrimeField};
use group::{Curve, CurveAffine as _, GroupEncoding};
use halo2_proofs::{arithmetic::best_multiexp, poly::commitment::Params};
use pasta_curves::{Eq, EqAffine, Fp};
use serde::{Deserialize, Serialize};
use zkonnx_circuits::{
    committed::{num_points, POINT_LEN},
    field::from_i64,
};
use zkonnx_quantize::{graph::Interval, scale::Scale};

/// What a statement says of a committed tensor.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommittedValue {
    /// The real value of the integer 1, as the model declares it.
    pub scale: Scale,
    /// Where its integers lie, as the model declares it.
    pub bounds: Interval,
    /// Compressed points, one per 256 elements.
    #[serde(with = "crate::json::hex32_list")]
    pub points: Vec<[u8; 32]>,
}

impl CommittedValue {
    /// BLAKE2b-256 of shape, scale, interval and points.
    #[must_use]
    pub(crate) fn digest(&self, shape: &[u32]) -> [u8; 32] {
        let mut state = Blake2b::new().hash_length(32).personal(b"zkonnx.commit.v1").to_state();
        state.update(&u64::try_from(shape.len()).unwrap_or(u64::MAX).to_le_bytes());
        for size in shape {
            state.update(&size.to_le_bytes());
        }
        let body = bincode::encode_to_vec(self, zkonnx_quantize::model::codec()).unwrap_or_default();
        array(state.update(&body).finalize().as_bytes())
    }

    /// The points, if there are as many as a tensor of this length has, and none is the identity.
    pub(crate) fn decode(&self, len: usize) -> Result<Vec<EqAffine>, String> {
        let expected = num_points(len);
        if fails(Check::CommittedCount, self.points.len() != expected) {
            return Err(format!("{} points, a tensor of {len} elements has {expected}", self.points.len()));
        }
        let mut points = Vec::new();
        for (i, bytes) in self.points.iter().enumerate() {
            let point = Option::<EqAffine>::from(EqAffine::from_bytes(bytes));
            let point = point.filter(|p| !bool::from(p.is_identity()));
            if fails(Check::CommittedPoints, point.is_none()) {
                return Err(format!("point {i} is not one of the curve, or the identity"));
            }
            points.push(point.unwrap_or_default());
        }
        Ok(points)
    }
}

/// The integers and blinds behind the points of a tensor: who has it can open them. It is secret.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct Opening {
    /// The integers, row-major.
    pub values: Vec<i64>,
    /// Canonical bytes of one scalar per point.
    pub blinds: Vec<[u8; 32]>,
}

impl std::fmt::Debug for Opening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Opening({} integers)", self.values.len())
    }
}

/// Why points were not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The entry of the statement is public or hidden.
    #[error("the tensor is not committed in this statement")]
    NotCommitted,
    /// Another number of integers than the tensor has.
    #[error("the opening has {actual} integers, the tensor {expected}")]
    Length {
        /// Of the tensor.
        expected: usize,
        /// Of the opening.
        actual: usize,
    },
    /// Another number of blinds than points, or one that is no canonical scalar.
    #[error("the opening has no canonical blind for every point")]
    Blinds,
    /// More elements in a point than there are generators.
    #[error("a point of {needed} elements needs as many generators, there are {actual}")]
    Generators {
        /// Elements of the point.
        needed: usize,
        /// Generators of the parameters.
        actual: usize,
    },
    /// The points commit something else.
    #[error("point {0} of the tensor commits other integers, or has another blind")]
    Other(usize),
}

impl Opening {
    /// The blinds as scalars.
    ///
    /// # Errors
    /// [`OpenError::Blinds`].
    pub fn scalars(&self) -> Result<Vec<Fp>, OpenError> {
        let scalars: Option<Vec<Fp>> = self.blinds.iter().map(|b| Fp::from_repr(*b).into()).collect();
        scalars.filter(|s| s.len() == num_points(self.values.len())).ok_or(OpenError::Blinds)
    }

    /// The points that this opens.
    ///
    /// # Errors
    /// [`OpenError`] when blinds or generators are missing.
    pub fn points(&self, params: &Params<EqAffine>) -> Result<Vec<[u8; 32]>, OpenError> {
        let (generators, blinding) = (params.get_g(), blinding_generator(params));
        let needed = self.values.len().min(POINT_LEN);
        if needed > generators.len() {
            return Err(OpenError::Generators { needed, actual: generators.len() });
        }
        let blinds = self.scalars()?;
        let point = |(values, blind): (&[i64], &Fp)| {
            let scalars: Vec<Fp> = values.iter().map(|v| from_i64(*v)).collect();
            let sum: Eq = best_multiexp(&scalars, &generators[..scalars.len()]);
            (sum + blinding * blind).to_affine().to_bytes()
        };
        Ok(self.values.chunks(POINT_LEN).zip(&blinds).map(point).collect())
    }

    /// Whether this opens the committed tensor of a statement.
    ///
    /// # Errors
    /// [`OpenError`] when it does not.
    pub fn open(&self, entry: &TensorEntry, params: &Params<EqAffine>) -> Result<(), OpenError> {
        let TensorValue::Committed(committed) = &entry.value else { return Err(OpenError::NotCommitted) };
        let expected = entry.shape.iter().map(|s| *s as usize).fold(1, usize::saturating_mul);
        if self.values.len() != expected {
            return Err(OpenError::Length { expected, actual: self.values.len() });
        }
        let points = self.points(params)?;
        if points.len() != committed.points.len() {
            return Err(OpenError::Blinds);
        }
        match points.iter().zip(&committed.points).position(|(ours, theirs)| ours != theirs) {
            Some(at) => Err(OpenError::Other(at)),
            None => Ok(()),
        }
    }
}

/// `W`: what the commitment of zeros with blind one is.
fn blinding_generator(params: &Params<EqAffine>) -> EqAffine {
    let zeros = halo2_proofs::poly::EvaluationDomain::<Fp>::new(1, params.k()).empty_coeff();
    params.commit(&zeros, halo2_proofs::poly::commitment::Blind(Fp::ONE)).to_affine()
}

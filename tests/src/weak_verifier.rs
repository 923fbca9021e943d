//! Verifiers that lack one defence, or draw a challenge too early, to show that an attack is real.
//!
//! [`outcome`] is written from the protocol's text, not from the verifier's code (but for the system of functionals, which [`crate::equation`]
//! compares with the text): it reads the messages in the text's order, folds all columns'
//! functionals one by one, and adds up both equations. Without a weakness it must agree with [`zkonnx_verifier::verify::verify`], which
//! the tests check too. A forger plays by the same mutant: it learns the challenges of its own transcript, and replaces what
//! the mutant replaces ([`Mutant`]).

use crate::setup::Sides;
use blake2b_simd::Params as Blake2b;
use ff::{Field, FromUniformBytes, PrimeField};
use halo2_proofs::{arithmetic::best_fft, plonk::verify_proof, transcript::TranscriptRead};
use pasta_curves::{EqAffine, Fp};
use zkonnx_circuits::{
    compiled::CompiledModel,
    field::inner_product,
    functional::{num_index_bits, PublicTensors},
    length::num_fold_rounds,
    linear_system::LinearSystem,
    messages::{gate_weights, Challenges, GateWeights, LayerChallenges, Piece, Rounds},
    system::linear_system,
};
use zkonnx_verifier::{
    argument::opening::root_of_unity,
    checks::Check,
    halo2::Defer,
    statement::Statement,
    transcript::{absorb_header, squeeze, Challenge, ProofTranscript},
    verify::public_values,
};

/// What a weak verifier lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lacks {
    /// Nothing.
    Nothing,
    /// z is one, as if drawn before the fold (S2).
    Z,
    /// r is one: the two equations are added (S3).
    R,
    /// ω is drawn when this layer begins, before its pieces.
    LateOmega(usize),
    /// All layers have the λ of the first.
    OwnLambda,
    /// The products of gates have the weight of the linear gates.
    OwnWeight,
    /// There is no relation of gates.
    Gates,
}

/// How challenges follow from those of the real protocol, where something is lacking: the prover's side and the verifier's.
#[derive(Clone, Debug)]
pub struct Mutant {
    lacks: Lacks,
    /// How many λ were drawn.
    lambdas: usize,
    /// λ of layer 1, or ω where it is drawn early.
    early: Option<Fp>,
}

impl Mutant {
    /// Nothing is drawn yet.
    #[must_use]
    pub fn new(lacks: Lacks) -> Self {
        Self { lacks, lambdas: 0, early: None }
    }

    /// What the mutant uses for a challenge that the real protocol draws now.
    pub fn drawn(&mut self, name: Check, challenge: Fp) -> Fp {
        match (self.lacks, name) {
            (Lacks::LateOmega(layer), Check::Lambda) => {
                self.lambdas += 1;
                if self.lambdas == layer {
                    // One more challenge from the same state.
                    let hash = Blake2b::new().hash_length(64).personal(b"one more").hash(&challenge.to_repr());
                    self.early = Some(Fp::from_uniform_bytes(hash.as_array()));
                }
                challenge
            }
            (Lacks::LateOmega(_), Check::Omega) => self.early.unwrap_or(challenge),
            (Lacks::OwnLambda, Check::Lambda) => *self.early.get_or_insert(challenge),
            (Lacks::Z, Check::Z) | (Lacks::R, Check::R) => Fp::ONE,
            _ => challenge,
        }
    }

    /// ω, where it is drawn early and that has happened.
    #[must_use]
    pub fn early_omega(&self) -> Option<Fp> {
        self.early.filter(|_| matches!(self.lacks, Lacks::LateOmega(_)))
    }

    /// The weights of the relations of gates.
    pub fn gates(&self, weights: &mut GateWeights) {
        match self.lacks {
            Lacks::OwnWeight => weights.products = weights.linear,
            Lacks::Gates => *weights = GateWeights::default(),
            _ => {}
        }
    }
}

/// The two equations of a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// halo2's holds, or there is none.
    pub halo2: bool,
    /// The linear part's holds.
    pub linear: bool,
    /// Their sum, with `r`, holds.
    pub joint: bool,
}

/// Reads a proof, and draws what the mutant draws.
struct Reading<'a, T> {
    transcript: &'a mut T,
    mutant: Mutant,
}

impl<T: TranscriptRead<EqAffine, Challenge>> Reading<'_, T> {
    fn point(&mut self) -> EqAffine {
        self.transcript.read_point().expect("a point")
    }
    fn points(&mut self, count: usize) -> Vec<EqAffine> {
        (0..count).map(|_| self.point()).collect()
    }
    fn scalar(&mut self) -> Fp {
        self.transcript.read_scalar().expect("a scalar")
    }
    fn challenge(&mut self, name: Check) -> Fp {
        let drawn = squeeze(self.transcript);
        self.mutant.drawn(name, drawn)
    }
}

/// What is sent and drawn in steps 3 to 6.
#[derive(Default)]
struct Middle {
    challenges: Challenges,
    pieces: Vec<EqAffine>,
    clear: (Fp, Fp),
}

fn middle<T: TranscriptRead<EqAffine, Challenge>>(model: &CompiledModel, reading: &mut Reading<'_, T>) -> Middle {
    let rounds = Rounds::of(model);
    let mut middle = Middle::default();
    let Middle { challenges, pieces, clear } = &mut middle;
    // 3. Lookups.
    if rounds.layers > 0 {
        challenges.theta = reading.challenge(Check::Theta);
        challenges.phi = reading.challenge(Check::Phi);
    }
    for layer in 0..rounds.layers {
        let mut own = LayerChallenges::default();
        if layer > 0 {
            own.lambda = reading.challenge(Check::Lambda);
        }
        for _ in 0..layer {
            pieces.push(reading.point());
            own.sigma.push(reading.challenge(Check::LayerSigma));
        }
        pieces.push(reading.point());
        own.beta = reading.challenge(Check::Line);
        challenges.layers.push(own);
    }
    // 4. Relations and gates.
    challenges.rho = (0..num_index_bits(model)).map(|_| reading.challenge(Check::Rho)).collect();
    challenges.mu = reading.challenge(Check::Mu);
    challenges.gates = gate_weights(model, challenges.mu);
    reading.mutant.gates(&mut challenges.gates);
    for _ in 0..rounds.contractions {
        pieces.push(reading.point());
        challenges.sigma.push(reading.challenge(Check::Sigma));
    }
    // 5., 6. Pairs.
    if rounds.pairs > 0 {
        challenges.omega = reading.challenge(Check::Omega);
        for _ in 0..rounds.pair_rounds {
            pieces.push(reading.point());
            challenges.delta.push(reading.challenge(Check::PairSigma));
        }
        *clear = (reading.scalar(), reading.scalar());
        challenges.eta = reading.challenge(Check::Eta);
    }
    middle
}

/// The functionals of all columns on rows, in the order of the opening, committed tensors left out.
#[must_use]
pub fn functionals(model: &CompiledModel, system: &LinearSystem) -> Vec<Vec<Fp>> {
    let mut all: Vec<Vec<Fp>> = system.functionals().map(<[Fp]>::to_vec).collect();
    all.iter_mut().for_each(|functional| functional.resize(model.num_rows(), Fp::ZERO));
    for (rows, coefs) in system.rank_one.rows.iter().zip(&system.rank_one.coefs) {
        for (functional, coef) in all.iter_mut().zip(coefs) {
            functional.iter_mut().zip(rows).for_each(|(own, row)| *own += *coef * row);
        }
    }
    all
}

/// The weight of every column after a fold in halves: `τ` of round `r` for the columns whose bit `rounds − 1 − r` is set.
fn fold_weights(challenges: &[Fp]) -> Vec<Fp> {
    let rounds = challenges.len();
    let weight = |column: usize| {
        let own = challenges.iter().enumerate().filter(|(r, _)| column >> (rounds - 1 - r) & 1 == 1);
        own.fold(Fp::ONE, |w, (_, challenge)| w * challenge)
    };
    (0..1 << rounds).map(weight).collect()
}

/// Verifies without one defence. The statement must be one about the model, without committed tensors.
///
/// # Panics
/// When the proof is malformed.
#[must_use]
pub fn outcome(lacks: Lacks, sides: &Sides, statement: &Statement, proof: &[u8]) -> Outcome {
    let handle = &sides.handle;
    let keys = handle.keys(&statement.modes()).expect("keys");
    let model = &keys.compiled;
    let (shape, params) = (&model.shape, handle.params());
    // 1. Header and free points.
    let mut transcript = ProofTranscript::new(proof);
    absorb_header(&mut transcript, &statement.digest()).expect("a header");
    let mut reading = Reading { transcript: &mut transcript, mutant: Mutant::new(lacks) };
    let mut columns = vec![EqAffine::default(); shape.columns.len()];
    for column in shape.free_columns() {
        columns[column] = reading.point();
    }
    columns.extend(reading.points(shape.num_table_groups()));
    // 2. halo2.
    let mut halo2 = params.empty_msm();
    if let Some(key) = &keys.halo2 {
        reading.transcript.take_points();
        let circuits: [&[&[Fp]]; 1] = [&[]];
        let strategy = Defer(params.empty_msm());
        halo2 = verify_proof(params, &key.vk, strategy, &circuits, reading.transcript).expect("well-formed");
        for (column, point) in shape.gated.iter().zip(reading.transcript.take_points()) {
            columns[*column] = point;
        }
    }
    // 3. to 6.
    let Middle { challenges, pieces, clear } = middle(model, &mut reading);
    let public = public_values(statement);
    let tensors = PublicTensors { inputs: &public.0, outputs: &public.1 };
    let system = linear_system(model, tensors, &challenges, clear);
    assert!(system.committed.is_empty());
    // 7. The opening: (coefficient, point).
    let mut terms: Vec<(Fp, EqAffine)> = Vec::new();
    let inverse = |x: Fp| x.invert().expect("not zero");
    let (mut tau, mut cross) = (Vec::new(), Vec::new());
    for _ in 0..num_fold_rounds(model) {
        let (left, right) = (reading.point(), reading.point());
        let challenge = reading.challenge(Check::Tau);
        cross.extend([(inverse(challenge), left), (challenge, right)]);
        tau.push(challenge);
    }
    let z = reading.challenge(Check::Z);
    terms.extend(cross.into_iter().map(|(weight, point)| (weight * z, point)));
    let mask = reading.point();
    terms.push((reading.challenge(Check::Xi), mask));
    let mut u_inverse = Vec::new();
    for _ in 0..model.layout.k {
        let (left, right) = (reading.point(), reading.point());
        let u = reading.challenge(Check::U);
        terms.extend([(inverse(u), left), (u, right)]);
        u_inverse.push(inverse(u));
    }
    let (c, f) = (reading.scalar(), reading.scalar());
    let r = if keys.halo2.is_some() { reading.challenge(Check::R) } else { Fp::ONE };

    // All columns with their weights, and their functionals with the inverse ones.
    let weights = fold_weights(&tau);
    let inverses = fold_weights(&tau.iter().map(|tau| inverse(*tau)).collect::<Vec<_>>());
    let mut points: Vec<Vec<(Fp, EqAffine)>> = columns.iter().map(|point| vec![(Fp::ONE, *point)]).collect();
    points.extend(handle.points()[..model.params.num_pooled].iter().map(|point| vec![(Fp::ONE, *point)]));
    for combined in &system.combined {
        points.push(combined.columns.iter().map(|(column, own)| (*own, handle.points()[*column])).collect());
    }
    assert_eq!(pieces.len(), Rounds::of(model).pieces().iter().filter(|piece: &&Piece| piece.len() > 0).count());
    points.extend(pieces.iter().map(|point| vec![(Fp::ONE, *point)]));
    let functionals = functionals(model, &system);
    assert_eq!(points.len(), functionals.len());
    let mut b = vec![Fp::ZERO; model.num_rows()];
    for ((parts, functional), (weight, inverse)) in points.iter().zip(&functionals).zip(weights.iter().zip(&inverses)) {
        terms.extend(parts.iter().map(|(own, point)| (*weight * own, *point)));
        b.iter_mut().zip(functional).for_each(|(b, own)| *b += *inverse * own);
    }
    let k = u32::from(model.layout.k);
    best_fft(&mut b, root_of_unity(k), k);
    let s = fold_weights(&u_inverse);
    let mut linear = params.empty_msm();
    for (coefficient, point) in terms {
        linear.append_term(coefficient, point);
    }
    linear.add_to_u_scalar(-(z * system.constant) - c * z * inner_product(&s, &b));
    linear.add_to_g_scalars(&s.iter().map(|s| -*s * c).collect::<Vec<_>>());
    linear.add_to_w_scalar(-f);
    linear.scale(r);
    let mut joint = halo2.clone();
    joint.add_msm(&linear);
    Outcome { halo2: halo2.eval(), linear: linear.eval(), joint: joint.eval() }
}

/// Whether a verifier that lacks one defence accepts.
#[must_use]
pub fn accepts_without(lacks: Lacks, sides: &Sides, statement: &Statement, proof: &[u8]) -> bool {
    outcome(lacks, sides, statement, proof).joint
}

//! Forgeries: for every check of the verifier, something false that only this check stops.
//!
//! Each is made by a prover without any honest check, and says how it is stopped ([`Stopped`]). The verifier's own sources
//! without the check (`zkonnx-weakened-verifier`) must accept it; where nothing false is accepted without a check, the
//! table says why, and why the check is there all the same.

use crate::{
    graphs::{self, dense, form, read, relu, with_weight, GraphBuilder},
    lies::{claim_excess, force, Case},
    setup::{params, Sides},
};
use ff::{Field, PrimeField};
use pasta_curves::Fp;
use std::sync::{Arc, Mutex, OnceLock};
use zkonnx_circuits::{
    compiled::CompiledModel,
    field::from_i64,
    functional::{axis_vectors, product_weight, relation_weights, LinearChallenges},
    lower::{Mode, Modes, NodeWords},
    relations::Right,
    witness::Cells,
};
use zkonnx_prover::{
    deviation::{Deviation, FoldView, Honest},
    keys::{verifier_model, ProverModel},
    prove::{prove_opened, prove_trace, prove_weights},
};
use zkonnx_quantize::{
    eval::{evaluate, Trace},
    graph::{Interval, Output},
    index::Factor,
    model::{LayoutChoice, QuantizedModel, WeightPrivacy},
    scale::Scale,
};
use zkonnx_verifier::{
    checks::Check,
    commitment::{CommittedValue, Opening},
    length::num_opening_columns,
    proof_file::ProofFile,
    receipt::Receipt,
    statement::{Context, Integers, ModelId, Statement, StatementDigest, TensorEntry, TensorValue},
    zkv::{DeclaredWeights, VerifierModel},
};

/// What every challenge is for a verifier that does not draw it.
pub const KNOWN: u64 = 7;

/// What is shown to a verifier.
#[derive(Clone, Debug)]
pub enum Attempt {
    /// A proof file for a registered model, at a time.
    Proof {
        /// `model.zkv`.
        zkv: Vec<u8>,
        /// The proof file.
        file: Vec<u8>,
        /// The caller's time.
        now: Option<u64>,
    },
    /// Proof files for one model, in one batch.
    Batch {
        /// `model.zkv`.
        zkv: Vec<u8>,
        /// The proof files.
        files: Vec<Vec<u8>>,
    },
    /// A receipt.
    Receipt {
        /// `model.zkv`.
        zkv: Vec<u8>,
        /// The receipt.
        receipt: Vec<u8>,
    },
    /// A model.
    Register {
        /// `model.zkv`.
        zkv: Vec<u8>,
    },
    /// A model, with weights that are said to be its own.
    Recompute {
        /// `model.zkv`.
        zkv: Vec<u8>,
        /// The weights.
        weights: Vec<Vec<i64>>,
    },
    /// Cached parameters.
    Params {
        /// The size.
        k: u32,
        /// The bytes.
        bytes: Vec<u8>,
    },
}

/// How a forgery gets past a verifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// By this check alone.
    Alone,
    /// By this check, and if it were not there by these.
    With(&'static [Check]),
}

/// A forgery against a check.
#[derive(Debug)]
pub struct Forgery {
    /// The check.
    pub check: Check,
    /// What is false.
    pub lie: &'static str,
    /// Where the verifier says no.
    pub step: &'static str,
    /// Whether other checks stop it too.
    pub stopped: Stopped,
    /// The forgery.
    pub attempt: Attempt,
}

/// Checks without which nothing false is accepted, and why they are there.
pub const REDUNDANT: [(Check, &str); 3] = [
    (Check::Count, "lowering refuses modes of another number; here the error says it before anything is compiled"),
    (
        Check::Phase1Points,
        "what is no point would count as the identity, which the transcript refuses; here the error says which element",
    ),
    (Check::NonZero, "a challenge is zero with probability 2^-254; without the check it would be a division by zero"),
];

/// How a verifier decides about an attempt: nothing, or where it says no.
macro_rules! judge {
    ($name:ident, $verifier:ident, $strictly:expr) => {
        /// Decides about an attempt.
        ///
        /// # Errors
        /// Where the verifier says no.
        pub fn $name(attempt: &Attempt) -> Result<(), String> {
            use $verifier::{
                batch::{verify_batch, BatchItem},
                error::VerifyError,
                proof_file::ProofFile,
                receipt::{Receipt, ReceiptError},
                registry::Registry,
                verify::verify,
            };
            static KNOWN_MODELS: OnceLock<Mutex<Registry>> = OnceLock::new();
            let new = || {
                let mut registry = Registry::new();
                (4..=8).for_each(|k| registry.insert_params(params(k)));
                registry
            };
            let step = |error: VerifyError| match error {
                VerifyError::Malformed(_) => "malformed".to_owned(),
                VerifyError::Length { .. } => "length".to_owned(),
                VerifyError::Rejected { step, .. } => step.to_string(),
                VerifyError::UnknownModel { .. } => "model".to_owned(),
                VerifyError::WrongVersion { .. } => "version".to_owned(),
                VerifyError::Expired { .. } => "expired".to_owned(),
                other => other.to_string(),
            };
            let register = |zkv: &[u8]| new().register(zkv).map_err(|_| "register".to_owned());
            // What no check refuses is registered once.
            let known = |zkv: &[u8]| {
                let known = KNOWN_MODELS.get_or_init(|| Mutex::new(new()));
                $strictly(|| known.lock().expect("no panic while registering").register(zkv)).or_else(|_| register(zkv))
            };
            match attempt {
                Attempt::Register { zkv } => register(zkv).map(|_| ()),
                Attempt::Recompute { zkv, weights } => {
                    register(zkv)?.recompute(weights).map(|_| ()).map_err(|_| "recompute".to_owned())
                }
                Attempt::Params { k, bytes } => {
                    $verifier::params::read(*k, bytes).map(|_| ()).map_err(|_| "params".to_owned())
                }
                Attempt::Receipt { zkv, receipt } => {
                    let receipt = Receipt::from_bytes(receipt).map_err(|_| "malformed".to_owned())?;
                    receipt.verify(&known(zkv)?, None).map(|_| ()).map_err(|e| match e {
                        ReceiptError::Metering { .. } => "metering".to_owned(),
                        other => other.to_string(),
                    })
                }
                Attempt::Batch { zkv, files } => {
                    let handle = known(zkv)?;
                    let files: Result<Vec<_>, _> = files.iter().map(|file| ProofFile::from_bytes(file)).collect();
                    let files = files.map_err(|_| "malformed".to_owned())?;
                    let items = files.iter().map(|file| BatchItem {
                        handle: &handle,
                        statement: &file.statement,
                        proof: &file.proof,
                    });
                    verify_batch(&items.collect::<Vec<_>>(), None)
                        .into_iter()
                        .try_for_each(|v| v.map(|_| ()).map_err(step))
                }
                Attempt::Proof { zkv, file, now } => {
                    let handle = known(zkv)?;
                    let file = ProofFile::from_bytes(file).map_err(|_| "malformed".to_owned())?;
                    verify(&handle, &file.statement, &file.proof, *now).map(|_| ()).map_err(step)
                }
            }
        }
    };
}

fn plainly<R>(action: impl FnOnce() -> R) -> R {
    action()
}
fn with_every_check<R>(action: impl FnOnce() -> R) -> R {
    zkonnx_weakened_verifier::checks::without(&[], action)
}
judge!(strict, zkonnx_verifier, plainly);
judge!(weakened, zkonnx_weakened_verifier, with_every_check);

/// Decides about an attempt without some checks.
///
/// # Errors
/// Where the verifier says no all the same.
pub fn without(checks: &[Check], attempt: &Attempt) -> Result<(), String> {
    use zkonnx_weakened_verifier::checks::{without, Check as Weakened};
    // The same sources: the same checks in the same order.
    let checks: Vec<Weakened> = checks.iter().map(|c| Weakened::ALL[*c as usize]).collect();
    without(&checks, || weakened(attempt))
}

fn proof_of(case: &Case, statement: &Statement, proof: Vec<u8>) -> Attempt {
    let file = ProofFile { statement: statement.clone(), proof };
    Attempt::Proof { zkv: case.sides.prover.zkv.clone(), file: file.to_bytes(), now: None }
}

fn lie(case: &Case, statement: &Statement, deviation: &mut dyn Deviation) -> Attempt {
    proof_of(case, statement, case.prove(statement, deviation))
}

/// Two layers: the second contraction goes through the sumcheck, both sides hidden.
fn mlp() -> Case {
    let case = Case::public(graphs::mlp((10, 6, 3), 6, 4, 1), 2);
    case.is_sound();
    case
}

/// Everything that can be told from a prover's own transcript about a lie in the last relation.
struct Forger {
    /// The check that the verifier lacks.
    lacks: Check,
    model: CompiledModel,
    /// By how much the lie moves the claim of the sumcheck.
    claim: Fp,
    rho_mu: LinearChallenges,
    sigma: Vec<Fp>,
    /// By how much it moves the one linear equation.
    excess: Fp,
}

impl Forger {
    fn new(case: &Case, lacks: Check) -> Self {
        let model = case.model().clone();
        let rho_mu = LinearChallenges::default();
        Self { lacks, model, claim: Fp::ZERO, rho_mu, sigma: Vec::new(), excess: Fp::ZERO }
    }

    fn known() -> Fp {
        Fp::from(KNOWN)
    }

    fn inverse(x: Fp) -> Fp {
        Option::from(x.invert()).expect("not zero")
    }

    /// `−σ·E/(1 − 2σ)` on `c0` of a round cancels an excess `E` of its claim.
    fn rewritten(&self, sigma: Fp) -> Fp {
        -sigma * self.claim * Self::inverse(Fp::ONE - sigma.double())
    }

    /// `κ` of the last relation's contraction.
    fn kappa(&self) -> Fp {
        let relations = &self.model.lowered.relations;
        let Right::Form(form) = &relations.last().expect("relations").right else { panic!("a form") };
        let form = form.resolve(&self.model.graph).expect("the graph's form");
        let chi = axis_vectors(&self.rho_mu.rho, &form.shape);
        let weight = relation_weights(&self.model, self.rho_mu.mu)[relations.len() - 1];
        product_weight(form, &form.products[0], &chi, weight)
    }
}

impl Deviation for Forger {
    fn challenge(&mut self, name: Check, challenge: &mut Fp) {
        if name == self.lacks {
            *challenge = Self::known();
        }
        if name == Check::Sigma {
            self.sigma.push(*challenge);
        }
    }
    fn relations(&mut self, challenges: &LinearChallenges) {
        let last = self.model.lowered.relations.len() - 1;
        self.claim = claim_excess(&self.model, challenges, last, 0, 1);
        self.rho_mu = challenges.clone();
    }
    fn round(&mut self, round: usize, _: &[Fp], message: &mut [Fp; 2]) {
        if self.lacks == Check::Sigma && round == 0 {
            message[0] += self.rewritten(Self::known());
        }
    }
    fn piece(&mut self, piece: usize, sigma: &[Fp]) -> Vec<(usize, Fp)> {
        // The first mask piece writes on round 0's rows; its power of ζ is known.
        if self.lacks != Check::Zeta || piece != self.model.sumcheck.num_rounds {
            return Vec::new();
        }
        let power = Self::known().pow_vartime([piece as u64]);
        vec![(self.model.sumcheck.pieces[0].start, self.rewritten(sigma[0]) * Self::inverse(power))]
    }
    fn masks(&mut self, masks: &mut [Fp]) {
        if self.lacks == Check::Gamma {
            let scale = self.sigma.iter().fold(Self::known().square(), |scale, sigma| scale * sigma);
            *masks.last_mut().expect("t0") -= scale * self.claim;
        }
    }
    fn masked(&mut self, gamma: Fp, masked: &mut [(Fp, Fp)]) {
        self.excess = self.sigma.iter().fold(gamma.square() * self.claim, |excess, sigma| excess * sigma);
        if self.lacks == Check::Eta {
            // p' + d moves the equation of products by −κ·d·q' and the one of p' by −η·d.
            let slope = self.kappa() * masked[0].1 + Self::known();
            masked[0].0 += self.excess * Self::inverse(slope);
        }
    }
    fn fold(&mut self, view: &FoldView<'_>, cross: &mut (Fp, Fp)) {
        let last = view.round + 1 == view.num_rounds;
        if self.lacks == Check::Tau && last {
            cross.1 += self.excess * Self::inverse(Self::known());
        }
        if self.lacks == Check::Z && last {
            let low: Fp = view.low.iter().sum();
            cross.1 += self.fold_on_generator(view).1 * low * Self::known();
        }
    }
    fn fold_on_generator(&mut self, view: &FoldView<'_>) -> (Fp, Fp) {
        if self.lacks != Check::Z || view.round + 1 < view.num_rounds {
            return (Fp::ZERO, Fp::ZERO);
        }
        // X_R moves the folded column by z·τ·g on G_0: z·g·b_hi makes up for the excess, z·τ·g·b_lo goes into c_R.
        let high: Fp = view.high.iter().sum();
        (Fp::ZERO, -self.excess * Self::inverse(high * Self::known()))
    }
    fn mask(&mut self) -> Fp {
        if self.lacks == Check::Xi {
            self.excess * Self::inverse(Self::known())
        } else {
            Fp::ZERO
        }
    }
    fn round_of_opening(&mut self, round: usize) -> (Fp, Fp) {
        if self.lacks == Check::U && round == 0 {
            (self.excess * Self::known(), Fp::ZERO)
        } else {
            (Fp::ZERO, Fp::ZERO)
        }
    }
}

/// A false output, forged for a verifier that does not draw one challenge.
fn false_output_without(check: Check) -> Attempt {
    let case = mlp();
    let statement = case.false_output(0, 0, 1);
    lie(&case, &statement, &mut Forger::new(&case, check))
}

fn edited(case: &Case, edit: impl FnOnce(&mut Statement)) -> Attempt {
    let mut statement = case.statement.clone();
    edit(&mut statement);
    lie(case, &statement, &mut Honest)
}

fn values(entry: &TensorEntry) -> Vec<i64> {
    match &entry.value {
        TensorValue::Public(integers) => integers.to_vec(),
        other => panic!("a public tensor, not {other:?}"),
    }
}

/// Replaces the model file of a case; the thief proves under its identity.
fn with_file(case: &mut Case, edit: impl FnOnce(&mut VerifierModel)) {
    let mut file = VerifierModel::from_bytes(&case.sides.prover.zkv).expect("a valid file");
    edit(&mut file);
    case.sides.prover.zkv = file.to_bytes();
    case.sides.prover.id = file.id();
    case.statement.model_id = case.sides.prover.id;
}

/// A file whose private weights have a registration proof, with one weight beyond its declared width.
fn registered(privately: bool) -> Attempt {
    let model = graphs::mlp((6, 4, 3), 5, 4, 1);
    let (model, by) = if privately { (graphs::with_private_weights(model), 1 << 20) } else { (model, 0) };
    let model = with_weight(&model, 0, 0, by);
    let prover = ProverModel::for_registration(model, params(5)).expect("a circuit");
    let mut file = verifier_model(&prover.model, &prover.columns);
    file.registration = prove_weights(&prover, &mut Honest).expect("a proof");
    Attempt::Register { zkv: file.to_bytes() }
}

fn against_files() -> Vec<Forgery> {
    use Stopped::{Alone, With};
    let swapped = {
        let mut bytes = zkonnx_verifier::params::write(&params(4));
        bytes[4..68].rotate_left(32);
        bytes
    };
    let longer = [zkonnx_verifier::params::write(&params(4)), vec![0]].concat();
    let more_points = {
        let mut case = mlp();
        with_file(&mut case, |file| file.commitments.push(file.commitments[0]));
        edited(&case, |_| {})
    };
    let tight = {
        let mut case = mlp();
        with_file(&mut case, |file| file.weights = DeclaredWeights::Private);
        Attempt::Register { zkv: case.sides.prover.zkv }
    };
    let slow = {
        let mut b = GraphBuilder::new(1);
        let x = b.input(&[1 << 12], 0, 3);
        let w = b.param(1, 1 << 12, 3);
        let mut out = form(&[1 << 17]);
        let mut product = dense(w, x, 1, 1 << 12);
        product.left.map.factors[0] = Factor::affine(&[(0, 0)], 0, 1, 1 << 12);
        out.products.push(product);
        // From declared intervals: looking at every row takes long.
        out.bounds = Interval::new(-9 << 12, 9 << 12);
        b.graph.outputs.push(Output { name: "output0".into(), shape: out.shape.clone(), form: out, scale: Scale::ONE });
        let (graph, weights, layout) = (b.graph, b.weights, LayoutChoice { k: 8, limb_bits: 6 });
        let model = QuantizedModel { graph, weights, layout, privacy: WeightPrivacy::Public };
        let sides_of_few = Sides::new(small_rows(&model));
        let mut file = VerifierModel::from_bytes(&sides_of_few.prover.zkv).expect("a valid file");
        file.graph = model.graph;
        Attempt::Register { zkv: file.to_bytes() }
    };
    let other_weights = {
        let case = mlp();
        let lying =
            with_weight(&case.sides.prover.model, 0, 0, if case.sides.prover.model.weights[0][0] > 0 { -1 } else { 1 });
        Attempt::Recompute { zkv: case.sides.prover.zkv, weights: lying.weights }
    };
    let wild_weights = {
        let model = graphs::mlp((10, 6, 3), 6, 4, 1);
        let lying = with_weight(&model, 1, 0, 9_999);
        let sides = Sides::new(lying);
        Attempt::Recompute { zkv: sides.prover.zkv, weights: sides.prover.model.weights }
    };
    let forgery = |check, lie, step, stopped, attempt| Forgery { check, lie, step, stopped, attempt };
    vec![
        forgery(
            Check::ParamsLength,
            "parameters with a byte more",
            "params",
            With(&[Check::ParamsDigest]),
            Attempt::Params { k: 4, bytes: longer },
        ),
        forgery(Check::ParamsDigest, "other generators", "params", Alone, Attempt::Params { k: 4, bytes: swapped }),
        forgery(Check::CommitmentCount, "a second identity of one model", "register", Alone, more_points),
        forgery(
            Check::PrivateBounds,
            "a model that hides its weights and shows their bounds",
            "register",
            Alone,
            tight,
        ),
        forgery(Check::Work, "a model that takes minutes to verify", "register", Alone, slow),
        forgery(Check::RecomputedBounds, "a weight out of its declared interval", "recompute", Alone, wild_weights),
        forgery(Check::RecomputedPoints, "other weights", "recompute", Alone, other_weights),
        forgery(Check::RegistrationKind, "a second file of one model", "register", Alone, registered(false)),
        forgery(Check::Registration, "a private weight beyond its width", "register", Alone, registered(true)),
    ]
}

/// The same model with few rows.
fn small_rows(model: &QuantizedModel) -> QuantizedModel {
    let mut model = model.clone();
    let form = &mut model.graph.outputs[0].form;
    form.shape = vec![1];
    model.graph.outputs[0].shape = vec![1];
    model
}

/// A committed input of zeros, and what the thief makes of its entry.
fn committed(edit: impl FnOnce(&mut CommittedValue)) -> Attempt {
    // All weights of the columns are used, so that one more point has none.
    let sizes = (1..=30).flat_map(|len| (2..30).map(move |bits| (len, bits)));
    let sides = sizes.into_iter().find_map(|(len, bits)| {
        let model = graphs::elementwise(len, Interval::new(-1, (1 << bits) - 2), 5);
        let modes = Modes { inputs: vec![Mode::Committed], outputs: vec![Mode::Public] };
        let compiled = CompiledModel::new(Arc::new(model.graph.clone()), modes.clone(), model.layout).ok()?;
        num_opening_columns(&compiled).is_power_of_two().then(|| Sides::with_modes(model, modes))
    });
    let sides = sides.expect("a model of a power of two of columns");
    let graph = &sides.prover.model.graph;
    let len: u32 = graph.inputs[0].shape.iter().product();
    let opening = Opening { values: vec![0; len as usize], blinds: vec![[0; 32]] };
    let trace = evaluate(&sides.prover.model, std::slice::from_ref(&opening.values)).expect("zeros");
    let (values, context) = ((&trace.tensors[..1], trace.outputs.as_slice()), Context::default());
    let modes = &sides.prover.keys.compiled.modes;
    // A blind, for points that are to be points.
    let blinded = Opening { blinds: vec![Fp::from(5).to_repr()], ..opening.clone() };
    let points = blinded.points(&sides.prover.params).expect("a point");
    let mut statement =
        Statement::with_commitments(graph, modes, sides.prover.id, values, std::slice::from_ref(&points), context);
    let entry = &mut statement.inputs[0];
    if let TensorValue::Committed(committed) = &mut entry.value {
        edit(committed);
    }
    let changed = matches!(&entry.value, TensorValue::Committed(c) if c.points[0] != points[0]);
    *entry = TensorEntry::new(&entry.name, &entry.shape, entry.value.clone());
    // What is no point counts as the identity: zeros without a blind.
    let opening = if changed { opening } else { blinded };
    let proof = prove_opened(&sides.prover, &trace, &statement, &[opening], &mut Honest).expect("a proof");
    let file = ProofFile { statement, proof };
    Attempt::Proof { zkv: sides.prover.zkv, file: file.to_bytes(), now: None }
}

fn against_statements() -> Vec<Forgery> {
    use Stopped::Alone;
    let case = mlp();
    let expired = match edited(&case, |s| s.context.not_after = 10) {
        Attempt::Proof { zkv, file, .. } => Attempt::Proof { zkv, file, now: Some(11) },
        other => other,
    };
    let wide = {
        let mut model = case.sides.prover.model.clone();
        model.graph.inputs[0].bounds.hi = 16;
        let mut inputs = vec![vec![0; 10]];
        inputs[0][0] = 16;
        let trace = evaluate(&model, &inputs).expect("inputs of the wider model");
        let statement = case.claim(&trace);
        let proof = prove_trace(&case.sides.prover, &trace, &statement, &mut Honest).expect("a proof");
        proof_of(&case, &statement, proof)
    };
    let forgery = |check, lie, step, attempt| Forgery { check, lie, step, stopped: Alone, attempt };
    vec![
        forgery(Check::Format, "a statement of format 2", "version", edited(&case, |s| s.format = 2)),
        forgery(Check::Suite, "a statement of another proof system", "version", edited(&case, |s| s.suite = 2)),
        forgery(Check::Semantics, "a statement of other semantics", "version", edited(&case, |s| s.semantics = 2)),
        forgery(
            Check::Model,
            "a statement about another model",
            "model",
            edited(&case, |s| s.model_id = ModelId([9; 32])),
        ),
        forgery(
            Check::Name,
            "the output is called 'approved'",
            "statement",
            edited(&case, |s| s.outputs[0].name = "approved".into()),
        ),
        forgery(
            Check::Shape,
            "the output has another shape",
            "statement",
            edited(&case, |s| s.outputs[0] = TensorEntry::new("output0", &[3, 1], s.outputs[0].value.clone())),
        ),
        forgery(
            Check::Width,
            "a second statement that says the same",
            "statement",
            edited(&case, |s| s.outputs[0].value = TensorValue::Public(Integers::I64(values(&s.outputs[0])))),
        ),
        forgery(
            Check::Elements,
            "an output element that the model does not have",
            "statement",
            edited(&case, |s| {
                let more = [values(&s.outputs[0]), vec![1]].concat();
                s.outputs[0] = TensorEntry::new("output0", &[3], TensorValue::Public(Integers::new(&more)));
            }),
        ),
        forgery(Check::Interval, "an input above its declared interval", "statement", wide),
        forgery(
            Check::CommittedCount,
            "a committed tensor with a point that commits to nothing in the model",
            "statement",
            committed(|c| c.points.push(c.points[0])),
        ),
        forgery(
            Check::CommittedKind,
            "a committed tensor in units that are not the model's",
            "statement",
            committed(|c| c.bounds.hi += 1),
        ),
        forgery(
            Check::CommittedPoints,
            "a committed tensor whose point is none",
            "statement",
            committed(|c| c.points[0] = [255; 32]),
        ),
        forgery(
            Check::Digest,
            "a tensor with another tensor's digest",
            "statement",
            edited(&case, |s| s.outputs[0].digest[0] ^= 1),
        ),
        forgery(Check::Expiry, "a statement that has expired", "expired", expired),
    ]
}

/// Binds no statement.
struct Unbound;

impl Deviation for Unbound {
    fn statement(&mut self, _: Check, digest: &mut StatementDigest) {
        *digest = StatementDigest([0; 32]);
    }
}

/// A proof made for one payee, with a statement that names another.
fn stolen() -> Attempt {
    let case = mlp();
    let proof = case.prove(&case.statement, &mut Unbound);
    let mut statement = case.statement.clone();
    statement.context.payee = [0x66; 32];
    proof_of(&case, &statement, proof)
}

/// A remainder below zero, made up for by multiplicities, for known `φ` and `θ`.
struct OutOfTable<'a> {
    case: &'a Case,
    row: usize,
}

impl OutOfTable<'_> {
    fn remainder(&self) -> zkonnx_circuits::words::WordId {
        match &self.case.model().lowered.nodes[0] {
            NodeWords::Clamp(words) => words.remainder.expect("a shift"),
            other => panic!("a clamp, not {other:?}"),
        }
    }
    fn honest(&self) -> i64 {
        i64::try_from(self.case.cells().read(self.case.model(), self.remainder(), self.row)).expect("a remainder")
    }
}

impl Deviation for OutOfTable<'_> {
    fn cells(&mut self, model: &CompiledModel, cells: &mut Cells) {
        force(model, cells, self.remainder(), self.row, self.honest() - 8);
    }
    fn multiplicities(&mut self, counts: &mut Vec<Vec<u64>>) {
        // 1/d of what is looked up is 2/(2d) of a row that is there.
        let known = i64::try_from(KNOWN).expect("small");
        let shape = &self.case.model().shape;
        assert!(shape.has_tags() && !shape.has_pairs());
        let fingerprint = |tag: u64, x: i64| known + known * i64::try_from(tag).expect("small") + x;
        let double = 2 * fingerprint(3, self.honest() - 8);
        let found = shape.table.iter().position(|row| fingerprint(row.tag, row.x) == double).expect("a row");
        counts[found / shape.num_active_rows()][found % shape.num_active_rows()] += 2;
    }
    fn lookup(&mut self, theta: &mut Fp, phi: &mut Fp) {
        (*theta, *phi) = (Fp::from(KNOWN), Fp::from(KNOWN));
    }
}

/// The trace in which one neuron's form is 8 more, and all that follows is consistent with it.
fn one_more(case: &Case, row: usize) -> Trace {
    let model = with_weight(&case.sides.prover.model, 2, row, 8);
    evaluate(&model, &case.trace.tensors[..1]).expect("the same inputs")
}

/// A neuron inside of the clamp, with a remainder of at most 5.
fn neuron(case: &Case) -> usize {
    let inside = |row: &usize| (1..14).contains(&case.trace.tensors[1][*row]);
    (0..6).filter(inside).find(|row| OutOfTable { case, row: *row }.honest() <= 5).expect("a neuron inside the clamp")
}

fn out_of_table() -> Attempt {
    let case = mlp();
    let row = neuron(&case);
    let trace = one_more(&case, row);
    let statement = case.claim(&trace);
    let mut lie = OutOfTable { case: &case, row };
    let proof = prove_trace(&case.sides.prover, &trace, &statement, &mut lie).expect("a proof");
    proof_of(&case, &statement, proof)
}

/// The same without any making up: halo2's equation fails, and nothing else.
fn out_of_range() -> Attempt {
    struct Plain<'a>(OutOfTable<'a>);
    impl Deviation for Plain<'_> {
        fn cells(&mut self, model: &CompiledModel, cells: &mut Cells) {
            self.0.cells(model, cells);
        }
    }
    let case = mlp();
    let row = neuron(&case);
    let trace = one_more(&case, row);
    let statement = case.claim(&trace);
    let mut lie = Plain(OutOfTable { case: &case, row });
    let proof = prove_trace(&case.sides.prover, &trace, &statement, &mut lie).expect("a proof");
    proof_of(&case, &statement, proof)
}

/// Errors of two elements, or of two outputs, that cancel when `ρ`, or `μ`, is known.
fn cancelling(check: Check) -> Attempt {
    let mut b = GraphBuilder::new(1);
    let x = b.input(&[3], 0, 15);
    let mut a = form(&[3]);
    a.terms.push(read(1, x, &[3]));
    let y = b.node(a, 0, relu(Some(15)));
    for _ in 0..2 {
        let mut out = form(&[3]);
        out.terms.push(read(1, y, &[3]));
        b.output(out);
    }
    let model = b.finish(5, 4);
    let modes = Modes::public(&model.graph);
    let case = Case::with_inputs(model, modes, &[vec![4, 5, 6]]);
    case.is_sound();
    let mut statement = case.statement.clone();
    let mut add = |output: usize, element: usize, by: i64| {
        let entry = &mut statement.outputs[output];
        let mut values = values(entry);
        values[element] += by;
        *entry = TensorEntry::new(&entry.name, &entry.shape, TensorValue::Public(Integers::new(&values)));
    };
    if check == Check::Rho {
        // Both have one bit set: the same χ for a ρ whose parts are all the same.
        add(0, 1, 1);
        add(0, 2, -1);
    } else {
        add(0, 0, i64::try_from(KNOWN).expect("small"));
        add(1, 0, -1);
    }
    lie(&case, &statement, &mut Forger::new(&case, check))
}

/// Adds `h` to the last scalar of halo2's proof, and takes `linear` from that of the linear part: blinds, on `W`.
#[derive(Clone, Copy, Default)]
struct OffOnW {
    h: Fp,
    linear: Fp,
    last: Option<usize>,
    seen: usize,
}

impl Deviation for OffOnW {
    fn halo2_scalar(&mut self, index: usize, scalar: &mut Fp) {
        self.seen = index;
        if self.last == Some(index) {
            *scalar += self.h;
        }
    }
    fn finish(&mut self, _: &mut Fp, f: &mut Fp) {
        *f -= self.linear;
    }
}

/// S3: halo2's equation is off by `h·W`, the linear one by `−h/r·W`.
fn opposite() -> Attempt {
    let case = mlp();
    let mut count = OffOnW::default();
    let _ = case.prove(&case.statement, &mut count);
    let (h, linear) = (Fp::from(KNOWN * 5), Fp::from(5));
    lie(&case, &case.statement, &mut OffOnW { h, linear, last: Some(count.seen), seen: 0 })
}

/// Two proofs of a batch: halo2's equations are off by `±h·W`.
fn opposite_in_a_batch() -> Attempt {
    let case = mlp();
    let mut count = OffOnW::default();
    let _ = case.prove(&case.statement, &mut count);
    let files = [5, -5].map(|h| {
        let proof = case.prove(&case.statement, &mut OffOnW { h: from_i64(h), last: Some(count.seen), ..count });
        ProofFile { statement: case.statement.clone(), proof }.to_bytes()
    });
    Attempt::Batch { zkv: case.sides.prover.zkv, files: files.to_vec() }
}

/// A true proof, charged for twice.
fn overcharged() -> Attempt {
    let case = mlp();
    let proof = case.prove(&case.statement, &mut Honest);
    let mut receipt = Receipt::new(&case.sides.handle, case.statement.clone(), proof).expect("a circuit");
    receipt.metering.macs *= 2;
    Attempt::Receipt { zkv: case.sides.prover.zkv, receipt: receipt.to_bytes() }
}

fn against_proofs() -> Vec<Forgery> {
    use Stopped::{Alone, With};
    let longer = || {
        let case = mlp();
        let proof = [case.prove(&case.statement, &mut Honest), vec![0; 32]].concat();
        proof_of(&case, &case.statement, proof)
    };
    let naive = {
        let case = mlp();
        let statement = case.false_output(0, 0, 1);
        lie(&case, &statement, &mut Honest)
    };
    let forgery = |check, lie, step, stopped, attempt| Forgery { check, lie, step, stopped, attempt };
    let output = |check, lie| forgery(check, lie, "linear", Alone, false_output_without(check));
    vec![
        forgery(Check::Length, "a second proof file with the same proof", "length", With(&[Check::Trailing]), longer()),
        forgery(Check::Trailing, "a second proof file with the same proof", "length", With(&[Check::Length]), longer()),
        forgery(Check::Header, "a proof for another payee", "halo2", With(&[Check::LookupStatement]), stolen()),
        forgery(Check::LookupStatement, "a proof for another payee", "halo2", With(&[Check::Header]), stolen()),
        forgery(
            Check::LookupPoints,
            "a value in no table, with multiplicities made for φ",
            "halo2",
            Alone,
            out_of_table(),
        ),
        forgery(Check::Rho, "two false elements", "linear", Alone, cancelling(Check::Rho)),
        forgery(Check::Mu, "two false outputs", "linear", Alone, cancelling(Check::Mu)),
        output(Check::Sigma, "a false output, and a round made for σ"),
        output(Check::Gamma, "a false output, and t0 made for γ"),
        output(Check::Eta, "a false output, and p' made for η"),
        output(Check::Zeta, "a false output, and a mask piece that rewrites round 0 (S1)"),
        output(Check::Tau, "a false output, and c_R made for τ"),
        output(Check::Z, "a false output, and X_R with a part on G_0 (S2)"),
        output(Check::Xi, "a false output, and S with a part on U"),
        output(Check::U, "a false output, and L with another value"),
        forgery(Check::R, "opposite errors of halo2 and the linear part (S3)", "halo2", Alone, opposite()),
        forgery(Check::Halo2, "a remainder out of range", "halo2", Alone, out_of_range()),
        forgery(Check::Linear, "a false output", "linear", Alone, naive),
        forgery(Check::Batch, "two proofs with opposite errors", "halo2", Alone, opposite_in_a_batch()),
        forgery(Check::Metering, "a true proof, charged for twice", "metering", Alone, overcharged()),
    ]
}

/// All forgeries, made once.
#[must_use]
pub fn forgeries() -> &'static [Forgery] {
    static ALL: OnceLock<Vec<Forgery>> = OnceLock::new();
    ALL.get_or_init(|| [against_files(), against_statements(), against_proofs()].into_iter().flatten().collect())
}

//! The order of the transcript and the one linear equation are those of `tests/vectors/coefficients.py`, which was written from the protocol's
//! text in another language, and knows of this code nothing but the facts in `shape.json`.
//!
//! `ZKONNX_WRITE_VECTORS=1` writes `shape.json` anew; then run the script, and this test once more.

use ff::{Field, PrimeField};
use halo2_proofs::transcript::{Transcript, TranscriptRead};
use pasta_curves::{EqAffine, Fp};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, fmt::Write, fs, io, path::PathBuf};
use zkonnx_circuits::{
    compiled::CompiledModel,
    functional::{num_index_bits, PublicTensors},
    linear_system::LinearSystem,
    lower::{Mode, Modes},
    messages::{gate_weights, Challenges, LayerChallenges, Piece, Rounds},
    system::{linear_system, word_system},
};
use zkonnx_prover::deviation::{Deviation, FoldView, PieceView};
use zkonnx_quantize::model::Gates;
use zkonnx_tests::{
    forgeries::{with_gates, WAYS},
    lies::Case,
    vector::{model, Facts},
    weak_verifier::functionals,
};
use zkonnx_verifier::{
    argument::{contractions, lookup, opening, pairs, relations, Messages, Reader},
    checks::Check,
    halo2,
    statement::StatementDigest,
    transcript::{absorb_header, Challenge, ProofTranscript},
    verify::{public_values, verify},
};

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors").join(name)
}

fn name_of(gates: Gates) -> &'static str {
    match gates {
        Gates::Relations => "relations",
        Gates::Halo2 => "halo2",
    }
}

fn case(gates: Gates) -> Case {
    let model = with_gates(model(), gates);
    let mut modes = Modes::public(&model.graph);
    modes.inputs[0] = Mode::Hidden;
    Case::new(model, modes, 3)
}

/// The vector of one way of proving gates.
fn vector(gates: Gates) -> Value {
    let text = fs::read_to_string(file("coefficients.json")).expect("a committed vector");
    serde_json::from_str::<Value>(&text).expect("JSON")[name_of(gates)].take()
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().expect("a list").iter().map(|v| v.as_str().expect("a string").to_owned()).collect()
}

fn element(hex: &str) -> Fp {
    assert_eq!(hex.len(), 64);
    let mut bytes = [0; 32];
    for (i, byte) in bytes.iter_mut().rev().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).expect("hexadecimal digits");
    }
    Option::from(Fp::from_repr(bytes)).expect("a canonical element")
}

#[test]
fn shape_json_holds_the_facts_of_the_model() {
    let mut cases = Map::new();
    for gates in WAYS {
        let case = case(gates);
        let (inputs, outputs) = public_values(&case.statement);
        let facts = Facts { model: case.model(), inputs: &inputs, outputs: &outputs };
        cases.insert(name_of(gates).to_owned(), facts.to_json());
    }
    // A line for each fact.
    let mut text = "{\n".to_owned();
    for (number, (name, facts)) in cases.iter().enumerate() {
        let separator = if number > 0 { ",\n" } else { "" };
        let facts = facts.as_object().expect("an object").iter().map(|(key, fact)| format!("  \"{key}\": {fact}"));
        write!(text, "{separator} \"{name}\": {{\n{}\n }}", facts.collect::<Vec<_>>().join(",\n")).expect("memory");
    }
    text.push_str("\n}\n");
    if std::env::var_os("ZKONNX_WRITE_VECTORS").is_some() {
        fs::write(file("shape.json"), &text).expect("written");
    }
    assert_eq!(fs::read_to_string(file("shape.json")).expect("a committed shape"), text);
}

/// The model has what the vector is to show.
#[test]
fn the_model_is_rich_enough() {
    let case = case(Gates::Relations);
    let (shape, sumcheck) = (&case.model().shape, &case.model().sumcheck);
    assert!(shape.num_product_slots() > 1 && shape.num_linear_slots() > 1 && shape.num_table_groups() > 1);
    assert!(shape.table_group(1).len() < shape.num_active_rows());
    assert!(shape.slots.lookups.iter().any(|lookup| lookup.y.is_some()));
    assert!(shape.slots.products.iter().any(|gate| !gate.c.terms.is_empty() && gate.a.constant + gate.b.constant != 0));
    let tags = shape.slots.lookups.iter().map(|lookup| lookup.tag).collect::<std::collections::BTreeSet<_>>();
    assert!(tags.len() > 1 && sumcheck.num_hidden > 2 && sumcheck.products.len() > sumcheck.num_hidden);
    assert!(!sumcheck.linear.is_empty() && sumcheck.num_combined > 0 && case.model().params.num_pooled > 0);
}

/// What the prover sends and is told, by name: hooks are called in the order of the transcript.
#[derive(Default)]
struct Recorder {
    order: Vec<String>,
    columns: usize,
    piece: Option<Piece>,
    counts: BTreeMap<Check, usize>,
}

impl Recorder {
    fn push(&mut self, what: &str, name: String) {
        self.order.push(format!("{what} {name}"));
    }
}

impl Deviation for Recorder {
    fn header(&mut self, _: &mut StatementDigest) {
        self.order.push("header".to_owned());
    }
    fn free_point(&mut self, column: usize, _: &mut EqAffine) {
        let group = column.checked_sub(self.columns);
        self.push("point", group.map_or_else(|| format!("w{column}"), |group| format!("m{group}")));
    }
    fn halo2_point(&mut self, index: usize, _: &mut EqAffine) {
        if index == 0 {
            self.order.push("halo2".to_owned());
        }
    }
    fn challenge(&mut self, name: Check, _: &mut Fp) {
        let count = self.counts.entry(name).or_default();
        let number = *count;
        *count += 1;
        let name = match (name, self.piece) {
            (Check::Theta, _) => "theta".to_owned(),
            (Check::Phi, _) => "phi".to_owned(),
            (Check::Lambda, _) => format!("lambda {}", number + 1),
            (Check::LayerSigma, Some(Piece::LayerRound { layer, round })) => format!("sigma {layer}.{round}"),
            (Check::Line, Some(Piece::LayerValues { layer })) => format!("beta {layer}"),
            (Check::Rho, _) => format!("rho {number}"),
            (Check::Mu, _) => "mu".to_owned(),
            (Check::Sigma, Some(Piece::ContractionRound(round))) => format!("sigma {round}"),
            (Check::Omega, _) => "omega".to_owned(),
            (Check::PairSigma, Some(Piece::PairRound(round))) => format!("delta {round}"),
            (Check::Eta, _) => "eta".to_owned(),
            (Check::Tau, _) => format!("tau {number}"),
            (Check::Z, _) => "z".to_owned(),
            (Check::Xi, _) => "xi".to_owned(),
            (Check::U, _) => format!("u {number}"),
            (name, piece) => panic!("{name:?} after {piece:?}"),
        };
        self.push("challenge", name);
    }
    fn piece(&mut self, piece: Piece, _: &PieceView, _: &mut [Fp]) {
        self.piece = Some(piece);
        self.push("piece", piece_name(piece));
    }
    fn clear(&mut self, _: Fp, _: &mut (Fp, Fp)) {
        self.order.extend(["scalar l", "scalar r"].map(str::to_owned));
    }
    fn fold(&mut self, view: &FoldView<'_>, _: &mut (Fp, Fp)) {
        self.order.extend(["X_L", "X_R"].map(|side| format!("point {side} {}", view.round)));
    }
    fn mask(&mut self) -> Fp {
        self.order.push("point S".to_owned());
        Fp::ZERO
    }
    fn round_of_opening(&mut self, round: usize) -> (Fp, Fp) {
        self.order.extend(["L", "R"].map(|side| format!("point {side} {round}")));
        (Fp::ZERO, Fp::ZERO)
    }
    fn finish(&mut self, _: &mut Fp, _: &mut Fp) {
        self.order.extend(["scalar c", "scalar f"].map(str::to_owned));
    }
}

fn piece_name(piece: Piece) -> String {
    match piece {
        Piece::LayerRound { layer, round } => format!("layer {layer} round {round}"),
        Piece::LayerValues { layer } => format!("layer {layer} values"),
        Piece::ContractionRound(round) => format!("contraction {round}"),
        Piece::PairRound(round) => format!("pair {round}"),
    }
}

/// A transcript that notes what the verifier reads (points and scalars) and draws.
struct Recording<'a> {
    inner: ProofTranscript<'a>,
    order: Vec<&'static str>,
}

impl Transcript<EqAffine, Challenge> for Recording<'_> {
    fn squeeze_challenge(&mut self) -> Challenge {
        self.order.push("challenge");
        self.inner.squeeze_challenge()
    }
    fn common_point(&mut self, point: EqAffine) -> io::Result<()> {
        self.inner.common_point(point)
    }
    fn common_scalar(&mut self, scalar: Fp) -> io::Result<()> {
        self.inner.common_scalar(scalar)
    }
}

impl TranscriptRead<EqAffine, Challenge> for Recording<'_> {
    fn read_point(&mut self) -> io::Result<EqAffine> {
        self.order.push("point");
        self.inner.read_point()
    }
    fn read_scalar(&mut self) -> io::Result<Fp> {
        self.order.push("scalar");
        self.inner.read_scalar()
    }
}

/// The kinds of everything that the verifier's steps read and draw, in `verify::defer`'s order.
fn read_by_the_verifier(case: &Case, proof: &[u8]) -> Vec<&'static str> {
    let handle = &case.sides.handle;
    let keys = handle.keys(&case.statement.modes()).expect("keys");
    let (model, shape) = (&keys.compiled, &keys.compiled.shape);
    let mut transcript = Recording { inner: ProofTranscript::new(proof), order: vec!["header"] };
    absorb_header(&mut transcript, &case.statement.digest()).expect("a header");
    let mut columns = Vec::new();
    for _ in shape.free_columns().chain(0..shape.num_table_groups()) {
        columns.push(transcript.read_point().expect("a point"));
    }
    if let Some(key) = &keys.halo2 {
        transcript.order.push("halo2");
        columns.extend(halo2::verify(key, shape, handle.params(), &mut transcript.inner).expect("well-formed").1);
    }
    let (rounds, mut messages) = (Rounds::of(model), Messages::default());
    let mut reader = Reader { transcript: &mut transcript, count: 0 };
    lookup::verify(&rounds, &mut reader, &mut messages).expect("well-formed");
    relations::verify(model, &mut reader, &mut messages);
    contractions::verify(&rounds, &mut reader, &mut messages).expect("well-formed");
    pairs::verify(&rounds, &mut reader, &mut messages).expect("well-formed");
    let (inputs, outputs) = public_values(&case.statement);
    let public = PublicTensors { inputs: &inputs, outputs: &outputs };
    let system = word_system(model, public, &messages.challenges, messages.clear);
    let points =
        opening::ColumnPoints { columns: &columns, params: handle.points(), pieces: &messages.pieces, committed: &[] };
    opening::verify(model, &mut reader, &system, &points).expect("well-formed");
    if keys.halo2.is_some() {
        let _ = reader.challenge(Check::R);
    }
    assert_eq!(transcript.inner.num_left(), 0);
    transcript.order
}

#[test]
fn the_transcript_has_the_order_of_the_vector() {
    for gates in WAYS {
        let case = case(gates);
        let order = strings(&vector(gates)["order"]);
        let mut recorder = Recorder { columns: case.model().shape.columns.len(), ..Recorder::default() };
        let proof = case.prove(&case.statement, &mut recorder);
        verify(&case.sides.handle, &case.statement, &proof, None).expect("recording changes nothing");
        // The last challenge separates halo2's equation from this one: only the verifier draws it.
        recorder.order.extend((gates == Gates::Halo2).then(|| "challenge both".to_owned()));
        assert_eq!(recorder.order, order);
        let kind = |entry: &String| entry.split(' ').next().map(|kind| kind.replace("piece", "point"));
        let kinds: Vec<String> = order.iter().filter_map(kind).collect();
        assert_eq!(read_by_the_verifier(&case, &proof), kinds);
    }
}

/// The vector's challenges and its `l`, `r`.
fn drawn(model: &CompiledModel, vector: &Value) -> (Challenges, (Fp, Fp)) {
    let own = |name: &str| element(vector["drawn"][name].as_str().expect(name));
    let some = |name: &str, count: usize| (0..count).map(|j| own(&format!("{name}{j}"))).collect::<Vec<_>>();
    let rounds = Rounds::of(model);
    let layer = |layer: usize| LayerChallenges {
        lambda: if layer == 0 { Fp::ZERO } else { own(&format!("lambda {layer}")) },
        sigma: some(&format!("sigma {layer}."), layer),
        beta: own(&format!("beta {layer}")),
    };
    let challenges = Challenges {
        theta: own("theta"),
        phi: own("phi"),
        layers: (0..rounds.layers).map(layer).collect(),
        rho: some("rho ", num_index_bits(model)),
        mu: own("mu"),
        gates: gate_weights(model, own("mu")),
        sigma: some("sigma ", rounds.contractions),
        omega: own("omega"),
        delta: some("delta ", rounds.pair_rounds),
        eta: own("eta"),
    };
    (challenges, (own("l"), own("r")))
}

/// The coefficients of every column by name; combined parameter columns spread over those that they combine.
fn coefficients(model: &CompiledModel, system: &LinearSystem) -> BTreeMap<String, Vec<Fp>> {
    let mut functionals = functionals(model, system).into_iter();
    let mut all = BTreeMap::new();
    let words = (0..model.shape.columns.len()).map(|c| format!("w{c}"));
    let groups = (0..model.shape.num_table_groups()).map(|g| format!("m{g}"));
    let pooled = (0..model.params.num_pooled).map(|c| format!("p{c}"));
    all.extend(words.chain(groups).chain(pooled).zip(functionals.by_ref()));
    for (combined, functional) in system.combined.iter().zip(functionals.by_ref()) {
        for (column, weight) in &combined.columns {
            let own = all.entry(format!("p{column}")).or_insert_with(|| vec![Fp::ZERO; model.num_rows()]);
            own.iter_mut().zip(&functional).for_each(|(sum, coef)| *sum += *weight * coef);
        }
    }
    for (piece, mut functional) in Rounds::of(model).pieces().into_iter().zip(functionals.by_ref()) {
        assert!(functional[piece.len()..].iter().all(|coef| *coef == Fp::ZERO));
        functional.truncate(piece.len());
        all.insert(piece_name(piece), functional);
    }
    assert_eq!(functionals.count(), 0);
    all
}

#[test]
fn the_equation_has_the_coefficients_of_the_vector() {
    for gates in WAYS {
        let case = case(gates);
        let vector = vector(gates);
        let (challenges, clear) = drawn(case.model(), &vector);
        let (inputs, outputs) = public_values(&case.statement);
        let public = PublicTensors { inputs: &inputs, outputs: &outputs };
        let system = linear_system(case.model(), public, &challenges, clear);
        let expected = vector["coefficients"].as_object().expect("an object").iter().map(|(column, values)| {
            (column.clone(), strings(values).iter().map(|value| element(value)).collect::<Vec<_>>())
        });
        assert_eq!(coefficients(case.model(), &system), expected.collect::<BTreeMap<_, _>>());
        assert_eq!(system.constant, element(vector["constant"].as_str().expect("a string")));
    }
}

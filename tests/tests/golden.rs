//! Frozen values: the transcript, lengths of proofs, identities, what a circuit looks up and what its gates are, halo2's keys. A change here is a
//! change of the proof system or of a layout: old proofs stop verifying, so it needs a new suite number, or a version of the layout.

use blake2b_simd::Params as Blake2b;
use ff::PrimeField;
use halo2_proofs::transcript::{Blake2bWrite, TranscriptWrite};
use pasta_curves::{EqAffine, Fp};
use zkonnx_circuits::{
    compiled::CompiledModel,
    length::{num_fold_rounds, num_opening_columns, ELEMENT},
    messages::Rounds,
    shape::CircuitShape,
    slots::RowForm,
    words::CellKind,
};
use zkonnx_prover::deviation::Honest;
use zkonnx_quantize::model::{Gates, QuantizedModel};
use zkonnx_tests::{
    forgeries::{with_gates, WAYS},
    graphs,
    lies::Case,
};
use zkonnx_verifier::{
    statement::{ModelId, StatementDigest, SUITE},
    transcript::{absorb_header, squeeze, Challenge},
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

/// What the lookups, the gates and the layers of a circuit follow from, in one encoding: all integers of 64 bits, with lengths.
#[derive(Default)]
struct Encoder(Vec<u8>);

impl Encoder {
    fn put(&mut self, value: impl TryInto<i64, Error: std::fmt::Debug>) {
        self.0.extend_from_slice(&value.try_into().expect("small").to_le_bytes());
    }

    fn form(&mut self, form: &RowForm) {
        self.put(form.constant);
        self.put(form.terms.len());
        for (column, coef) in &form.terms {
            self.put(*column);
            self.put(*coef);
        }
    }

    fn shape(&mut self, shape: &CircuitShape) {
        // Classes of columns, with what unused cells hold.
        self.put(shape.columns.len());
        for (number, column) in shape.columns.iter().enumerate() {
            let (kind, of) = match column.kind {
                CellKind::Range { bits } => (0, i64::from(bits)),
                CellKind::Argument { table } => (1, i64::from(table)),
                CellKind::Value => (2, 0),
                CellKind::Unchecked => (3, 0),
            };
            [kind, of, column.unused, i64::from(shape.gated.contains(&number))].into_iter().for_each(|v| self.put(v));
        }
        // Tables, in groups.
        self.put(shape.num_table_groups());
        self.put(shape.table.len());
        for row in &shape.table {
            self.put(row.tag);
            self.put(row.x);
            self.put(row.y);
        }
        // Slots.
        self.put(shape.slots.lookups.len());
        for lookup in &shape.slots.lookups {
            self.put(lookup.x);
            self.put(lookup.y.map_or(-1, |y| i64::try_from(y).expect("small")));
            self.put(lookup.tag);
        }
        self.put(shape.slots.products.len());
        for product in &shape.slots.products {
            [&product.a, &product.b, &product.c].into_iter().for_each(|form| self.form(form));
        }
        self.put(shape.slots.linear.len());
        shape.slots.linear.iter().for_each(|form| self.form(form));
        // Rows, active rows, ν, and the variables of the gates.
        for size in [shape.num_rows(), shape.num_active_rows(), shape.num_layers(), shape.product_variables()] {
            self.put(size);
        }
    }
}

fn digest_of(shape: &CircuitShape) -> String {
    let mut encoder = Encoder::default();
    encoder.shape(shape);
    hex(Blake2b::new().hash_length(16).personal(b"zkonnx.golden").hash(&encoder.0).as_bytes())
}

/// Elements of a proof as the protocol's text counts them.
fn elements(model: &CompiledModel) -> usize {
    let shape = &model.shape;
    let Rounds { layers, contractions, pairs, pair_rounds } = Rounds::of(model);
    let k = usize::from(model.layout.k);
    let advice = shape.gated.len();
    let free = shape.columns.len() - advice + shape.num_table_groups();
    let halo2 = if advice == 0 { 0 } else { 2 * advice + 3 + 2 * k + 7 };
    let pieces = layers * (layers + 1) / 2 + contractions + pair_rounds;
    let clear = if pairs > 0 { 2 } else { 0 };
    let folds = (0..).find(|f| 1 << f >= num_opening_columns(model)).expect("columns");
    assert_eq!(folds, num_fold_rounds(model));
    assert!(pairs == 0 || 1 << pair_rounds >= pairs + 2 && 1 << pair_rounds < 2 * (pairs + 2));
    free + halo2 + pieces + clear + 2 * folds + 1 + 2 * k + 2
}

/// Name, way of proving gates, bytes of a proof, model id, digest of slots and tables, digest of halo2's key.
const GOLDEN: [(&str, &str, usize, &str, &str, &str); 10] = include!("golden.in");

#[test]
fn lengths_identities_slots_and_keys_are_frozen() {
    let mut found = Vec::new();
    for (name, model) in models() {
        for gates in WAYS {
            let case = Case::public(with_gates(model.clone(), gates), 1);
            let keys = &case.sides.prover.keys;
            let ModelId(id) = case.sides.handle.id();
            let proof = case.prove(&case.statement, &mut Honest);
            assert_eq!((proof.len(), keys.proof_length), (elements(case.model()) * ELEMENT, proof.len()), "{name}");
            let key = keys.halo2.as_ref().map_or_else(String::new, |key| hex(&key.digest.to_repr()));
            assert_eq!(key.is_empty(), gates == Gates::Relations, "{name}");
            let way = format!("{gates:?}");
            found.push((name, way, proof.len(), hex(&id), digest_of(&keys.compiled.shape), key));
        }
    }
    let golden = GOLDEN.map(|(name, way, length, id, slots, key)| {
        (name, way.to_owned(), length, id.to_owned(), slots.to_owned(), key.to_owned())
    });
    assert_eq!(found, golden, "a length, an identity, a circuit or a key has changed");
}

/// A digest that everything counts in: other slots, tables or classes are another digest.
#[test]
fn the_digest_of_slots_depends_on_everything() {
    let case = Case::public(graphs::softmax_like(7, 5, 7), 1);
    let shape = &case.model().shape;
    let edits: [fn(&mut CircuitShape); 9] = [
        |s| s.columns.swap(0, 1),
        |s| s.columns[0].unused += 1,
        |s| s.table.swap(0, 1),
        |s| s.table[0].y += 1,
        |s| s.slots.lookups.swap(0, 1),
        |s| s.slots.products.swap(0, 1),
        |s| s.slots.products[0].a.constant += 1,
        |s| s.gated.push(0),
        |s| s.k += 1,
    ];
    for (i, edit) in edits.iter().enumerate() {
        let mut other = (**shape).clone();
        edit(&mut other);
        assert_ne!(digest_of(&other), digest_of(shape), "edit {i}");
    }
}

#[test]
fn the_transcript_is_frozen() {
    assert_eq!(SUITE, 2);
    let mut transcript = Blake2bWrite::<_, EqAffine, Challenge>::init(Vec::new());
    absorb_header(&mut transcript, &StatementDigest([0x5a; 32])).expect("memory");
    let first = squeeze(&mut transcript);
    transcript.write_scalar(Fp::from(3)).expect("memory");
    let second = squeeze(&mut transcript);
    let third = squeeze(&mut transcript);
    let found = [first, second, third].map(|c| hex(&c.to_repr()));
    let golden: [&str; 3] = include!("golden_transcript.in");
    assert_eq!(found, golden, "the transcript has changed");
}

/// The header is six scalars: the separator, three versions, both halves of the digest.
#[test]
fn the_header_is_what_the_protocol_says() {
    use halo2_proofs::transcript::Transcript;
    let digest = StatementDigest(std::array::from_fn(|i| u8::try_from(i).expect("small")));
    let mut own = Blake2bWrite::<_, EqAffine, Challenge>::init(Vec::new());
    absorb_header(&mut own, &digest).expect("memory");
    let number = |bytes: &[u8]| Fp::from_u128(u128::from_le_bytes(bytes.try_into().expect("16 bytes")));
    let expected = [
        number(b"zkonnx.argument2"),
        Fp::from(1),
        Fp::from(2),
        Fp::from(1),
        number(&digest.0[..16]),
        number(&digest.0[16..]),
    ];
    let mut text = Blake2bWrite::<_, EqAffine, Challenge>::init(Vec::new());
    expected.iter().for_each(|scalar| text.common_scalar(*scalar).expect("memory"));
    assert_eq!(squeeze(&mut own), squeeze(&mut text));
}

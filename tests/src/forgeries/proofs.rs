//! Forgeries of proofs, batches and receipts.

use super::{
    forger::{false_output_without, Forger},
    lie, mlp, proof_of, values, Attempt, Forgery, Stopped, KNOWN,
};
use crate::{
    graphs::{form, read, relu, with_weight, GraphBuilder},
    lies::{force, Case},
};
use pasta_curves::Fp;
use zkonnx_circuits::{
    compiled::CompiledModel,
    field::from_i64,
    lower::{Modes, NodeWords},
    witness::Cells,
};
use zkonnx_prover::{
    deviation::{Deviation, Honest},
    prove::prove_trace,
};
use zkonnx_quantize::eval::{evaluate, Trace};
use zkonnx_verifier::{
    checks::Check,
    proof_file::ProofFile,
    receipt::Receipt,
    statement::{Integers, StatementDigest, TensorEntry, TensorValue},
};

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

pub(super) fn against_proofs() -> Vec<Forgery> {
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

//! Forgeries of proofs, batches and receipts.

use super::{
    cells::{false_remainder, for_known_phi, for_known_theta, Falsehood},
    forger::{Forger, Lie},
    gates::{beyond, both_nonzero, clamped, INPUTS},
    lie, mlp, mlp_with, proof_of, values, Attempt, Forgery, Stopped, KNOWN,
};
use crate::{
    graphs::{form, read, relu, GraphBuilder},
    lies::Case,
};
use pasta_curves::Fp;
use zkonnx_circuits::{field::from_i64, length::num_fold_rounds, lower::Modes};
use zkonnx_prover::deviation::{Deviation, Honest};
use zkonnx_quantize::model::Gates;
use zkonnx_verifier::{
    checks::Check,
    proof_file::ProofFile,
    receipt::Receipt,
    statement::{Integers, TensorEntry, TensorValue},
};

/// A proof made for one payee, with a statement that names another.
fn stolen() -> Attempt {
    let case = mlp();
    let proof = case.prove(&case.statement, &mut Forger::new(case.model(), Lie::default(), &[Check::Header]));
    let mut statement = case.statement.clone();
    statement.context.payee = [0x66; 32];
    proof_of(&case, &statement, proof)
}

/// A falsehood with messages made for challenges that the verifier does not draw.
fn told(falsehood: &Falsehood, check: Check, (layer, round): (usize, usize)) -> Attempt {
    let forger = Forger::new(falsehood.model(), falsehood.lie.clone(), &[check]);
    falsehood.attempt(&mut forger.at(layer, round))
}

/// A false lookup, forged for a verifier that does not draw one challenge.
fn false_lookup_without(check: Check, at: (usize, usize)) -> Attempt {
    told(&false_remainder(Gates::Relations, &[(3, 0), (5, 1), (-4, 2)], 1, 1), check, at)
}

/// A false output, forged for a verifier that does not draw one challenge.
fn false_output_without(check: Check) -> Attempt {
    let case = mlp();
    let relations = vec![(case.model().lowered.relations.len() - 1, 0, Fp::one())];
    let statement = case.false_output(0, 0, 1);
    let last_fold = num_fold_rounds(case.model()) - 1;
    let round = if check == Check::Tau { last_fold } else { 0 };
    let lie = Lie { relations, ..Lie::default() };
    super::lie(&case, &statement, &mut Forger::new(case.model(), lie, &[check]).at(0, round))
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
    lie(&case, &statement, &mut Forger::new(case.model(), Lie::default(), &[check]))
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
    let case = mlp_with(Gates::Halo2);
    let mut count = OffOnW::default();
    let _ = case.prove(&case.statement, &mut count);
    let (h, linear) = (Fp::from(KNOWN * 5), Fp::from(5));
    lie(&case, &case.statement, &mut OffOnW { h, linear, last: Some(count.seen), seen: 0 })
}

/// Two proofs of a batch: their equations are off by `±5·W`.
fn opposite_in_a_batch() -> Attempt {
    let case = mlp();
    let files = [5, -5].map(|h| {
        let proof = case.prove(&case.statement, &mut OffOnW { linear: from_i64(h), ..OffOnW::default() });
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
    let lookup = |check, lie, at| forgery(check, lie, "linear", Alone, false_lookup_without(check, at));
    vec![
        forgery(Check::Length, "a second proof file with the same proof", "length", With(&[Check::Trailing]), longer()),
        forgery(Check::Trailing, "a second proof file with the same proof", "length", With(&[Check::Length]), longer()),
        forgery(Check::Header, "a proof for another payee", "linear", Alone, stolen()),
        forgery(
            Check::Theta,
            "a value of a function that counts as another pair for θ",
            "linear",
            Alone,
            told(&for_known_theta(Gates::Relations), Check::Theta, (0, 0)),
        ),
        forgery(
            Check::Phi,
            "a value in no table, with a multiplicity made for φ",
            "linear",
            Alone,
            told(&for_known_phi(Gates::Relations), Check::Phi, (0, 0)),
        ),
        lookup(Check::Lambda, "a false lookup, and errors of p and q that cancel with λ", (0, 0)),
        lookup(Check::LayerSigma, "a false lookup, and a layer's round made for σ", (1, 0)),
        lookup(Check::Line, "a false lookup, and values that are right on the line at β", (0, 0)),
        forgery(Check::Rho, "two false elements", "linear", Alone, cancelling(Check::Rho)),
        forgery(Check::Mu, "two false outputs", "linear", Alone, cancelling(Check::Mu)),
        forgery(
            Check::LinearGates,
            "a value above the bound that it is clamped to",
            "linear",
            Alone,
            told(&beyond(Gates::Relations), Check::LinearGates, (0, 0)),
        ),
        forgery(
            Check::Gates,
            "a value that is moved up and down at once",
            "linear",
            Alone,
            told(&both_nonzero(clamped(Gates::Relations, &INPUTS), 2), Check::Gates, (0, 0)),
        ),
        output(Check::Sigma, "a false output, and a round made for σ"),
        lookup(Check::Omega, "a false lookup, and values of the root made for ω", (0, 0)),
        output(Check::PairSigma, "a false output, and a round of the pairs made for δ"),
        output(Check::Eta, "a false output, and l made for η"),
        output(Check::Tau, "a false output, and c_R made for τ"),
        output(Check::Z, "a false output, and X_R with a part on G_0 (S2)"),
        output(Check::Xi, "a false output, and S with a part on U"),
        output(Check::U, "a false output, and L with another value"),
        forgery(Check::R, "opposite errors of halo2 and the linear part (S3)", "halo2", Alone, opposite()),
        forgery(
            Check::Halo2,
            "a value that is moved up and down at once",
            "halo2",
            Alone,
            told(&both_nonzero(clamped(Gates::Halo2, &INPUTS), 2), Check::Halo2, (0, 0)),
        ),
        forgery(Check::Linear, "a false output", "linear", Alone, naive),
        forgery(Check::Batch, "two proofs with opposite errors", "linear", Alone, opposite_in_a_batch()),
        forgery(Check::Metering, "a true proof, charged for twice", "metering", Alone, overcharged()),
    ]
}

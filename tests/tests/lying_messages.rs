//! Lying provers who send other messages than the true ones for a true statement: every entry of every piece, everything that is sent in
//! the clear, every cross term of the opening; and pieces that hold more than their entries.

use ff::Field;
use pasta_curves::Fp;
use zkonnx_circuits::{
    length::num_fold_rounds,
    messages::{Piece, Rounds},
};
use zkonnx_prover::deviation::{Deviation, FoldView, PieceView};
use zkonnx_quantize::model::Gates;
use zkonnx_tests::{
    forgeries::{
        cells::{false_remainder, Falsehood},
        with_gates, WAYS,
    },
    graphs,
    lies::Case,
};
use zkonnx_verifier::{checks::Check, error::Step, verify::verify};

/// Lookups, gates, and a contraction with two hidden sides.
fn case(gates: Gates) -> Case {
    let case = Case::public(with_gates(graphs::mlp((3, 2, 2), 5, 4, 1), gates), 1);
    case.is_sound();
    assert_eq!(case.model().sumcheck.num_hidden, 1);
    case
}

/// One thing that is sent otherwise.
#[derive(Clone, Copy, Debug)]
enum Other {
    Entry(Piece, usize),
    Clear(bool, bool),
    Scaled,
    Cross(usize, bool),
    Mask,
    Round(usize, bool),
    Finish(bool, bool),
}

impl Deviation for Other {
    fn piece(&mut self, piece: Piece, _: &PieceView, values: &mut [Fp]) {
        match self {
            Self::Entry(at, entry) if *at == piece => values[*entry] += Fp::ONE,
            _ => {}
        }
    }
    fn clear(&mut self, _: Fp, (l, r): &mut (Fp, Fp)) {
        match self {
            Self::Clear(wrong_l, wrong_r) => {
                *l += Fp::from(u64::from(*wrong_l));
                *r += Fp::from(u64::from(*wrong_r));
            }
            Self::Scaled => {
                *l *= Fp::from(3);
                *r *= Fp::from(3).invert().expect("not zero");
            }
            _ => {}
        }
    }
    fn fold(&mut self, view: &FoldView<'_>, cross: &mut (Fp, Fp)) {
        match self {
            Self::Cross(round, false) if *round == view.round => cross.0 += Fp::ONE,
            Self::Cross(round, true) if *round == view.round => cross.1 += Fp::ONE,
            _ => {}
        }
    }
    fn mask(&mut self) -> Fp {
        Fp::from(u64::from(matches!(self, Self::Mask)))
    }
    fn round_of_opening(&mut self, round: usize) -> (Fp, Fp) {
        match self {
            Self::Round(at, false) if *at == round => (Fp::ONE, Fp::ZERO),
            Self::Round(at, true) if *at == round => (Fp::ZERO, Fp::ONE),
            _ => (Fp::ZERO, Fp::ZERO),
        }
    }
    fn finish(&mut self, c: &mut Fp, f: &mut Fp) {
        if let Self::Finish(wrong_c, wrong_f) = self {
            *c += Fp::from(u64::from(*wrong_c));
            *f += Fp::from(u64::from(*wrong_f));
        }
    }
}

#[test]
fn rejects_every_entry_of_every_piece_that_is_wrong_by_one() {
    for gates in WAYS {
        let case = case(gates);
        let rounds = Rounds::of(case.model());
        let pieces = rounds.pieces();
        assert_eq!(pieces.len(), rounds.num_pieces());
        assert!(rounds.layers > 5 && rounds.contractions > 0 && rounds.pair_rounds > 3);
        for piece in pieces {
            for entry in 0..piece.len() {
                let proof = case.prove(&case.statement, &mut Other::Entry(piece, entry));
                assert_eq!(case.rejected_at(&case.statement, &proof), Step::Linear, "{piece:?}, entry {entry}");
            }
        }
    }
}

#[test]
fn rejects_everything_else_that_is_wrong_by_one() {
    for gates in WAYS {
        let case = case(gates);
        let any = [(true, false), (false, true), (true, true)];
        let mut others: Vec<Other> = any.iter().map(|(l, r)| Other::Clear(*l, *r)).collect();
        others.extend(any.iter().map(|(c, f)| Other::Finish(*c, *f)));
        others.extend([Other::Scaled, Other::Mask]);
        for right in [false, true] {
            others.extend((0..num_fold_rounds(case.model())).map(|round| Other::Cross(round, right)));
            others.extend((0..usize::from(case.model().layout.k)).map(|round| Other::Round(round, right)));
        }
        for mut other in others {
            let proof = case.prove(&case.statement, &mut other);
            assert_eq!(case.rejected_at(&case.statement, &proof), Step::Linear, "{other:?}");
        }
    }
}

/// The masks of the pairs are another `a` and `b`, and `l`, `r` are as they make them.
#[derive(Default)]
struct OtherMasks {
    pairs: usize,
    delta: Vec<Fp>,
}

impl Deviation for OtherMasks {
    fn piece(&mut self, piece: Piece, _: &PieceView, values: &mut [Fp]) {
        if piece == Piece::PairRound(0) {
            values[2] += Fp::from(5);
            values[3] += Fp::from(6);
        }
    }
    fn challenge(&mut self, name: Check, challenge: &mut Fp) {
        if name == Check::PairSigma {
            self.delta.push(*challenge);
        }
    }
    fn clear(&mut self, _: Fp, (l, r): &mut (Fp, Fp)) {
        let weight = |t: usize| {
            let bits = self.delta.iter().enumerate();
            bits.fold(Fp::ONE, |w, (b, d)| w * if t >> b & 1 == 1 { *d } else { Fp::ONE - d })
        };
        *l += weight(self.pairs) * Fp::from(5);
        *r += weight(self.pairs + 1) * Fp::from(6);
    }
}

/// They are free, but `l·r` is not: other masks come out at another product.
#[test]
fn masks_count_in_what_they_mask() {
    for gates in WAYS {
        let case = case(gates);
        let pairs = Rounds::of(case.model()).pairs;
        let proof = case.prove(&case.statement, &mut OtherMasks { pairs, ..OtherMasks::default() });
        assert_eq!(case.rejected_at(&case.statement, &proof), Step::Linear);
    }
}

/// Pieces that hold something beside their entries.
struct Beside<F>(F);

impl<F: FnMut(Piece) -> (Vec<(usize, Fp)>, Fp)> Deviation for Beside<F> {
    fn beside_piece(&mut self, piece: Piece) -> (Vec<(usize, Fp)>, Fp) {
        (self.0)(piece)
    }
}

#[test]
fn accepts_pieces_with_anything_on_rows_that_nothing_reads() {
    for gates in WAYS {
        let case = case(gates);
        let rows = case.model().num_rows();
        let mut seen = 0;
        let mut strays = Beside(|piece: Piece| {
            seen += 1;
            ((piece.len()..rows).map(|row| (row, Fp::from(1000 + row as u64))).collect(), Fp::ZERO)
        });
        let proof = case.prove(&case.statement, &mut strays);
        assert_eq!(seen, Rounds::of(case.model()).num_pieces());
        verify(&case.sides.handle, &case.statement, &proof, None).expect("harmless");
    }
}

#[test]
fn rejects_pieces_with_a_part_on_u() {
    for gates in WAYS {
        let case = case(gates);
        for at in Rounds::of(case.model()).pieces() {
            let on_u = |piece| (Vec::new(), Fp::from(if piece == at { 5 } else { 0 }));
            let proof = case.prove(&case.statement, &mut Beside(on_u));
            assert_eq!(case.rejected_at(&case.statement, &proof), Step::Linear, "{at:?}");
        }
    }
}

/// S1: every piece has a column of its own, so what a later one holds on the rows of an earlier one is its own message.
#[test]
fn a_later_piece_changes_no_earlier_one() {
    for gates in WAYS {
        let Falsehood { case, trace, statement, mut lie } = false_remainder(gates, &[(3, 0), (5, 1), (-4, 2)], 1, 1);
        let falsehood = Falsehood::new(case, trace, lie.clone());
        let rejected = |deviation: &mut dyn Deviation| {
            let proof = falsehood.prove(deviation);
            assert_eq!(falsehood.case.rejected_at(&statement, &proof), Step::Linear);
        };
        rejected(&mut lie);
        let rounds = Rounds::of(falsehood.model());
        let pieces = rounds.pieces();
        for writer in [1, pieces.len() / 2, pieces.len() - rounds.pair_rounds, pieces.len() - 1] {
            for rows in [0..1, 0..2, 0..pieces[writer].len(), pieces[writer].len()..6] {
                rejected(&mut Rewriting { lie: lie.clone(), writer: pieces[writer], rows });
            }
        }
    }
}

struct Rewriting {
    lie: zkonnx_tests::forgeries::forger::Lie,
    writer: Piece,
    rows: std::ops::Range<usize>,
}

impl Deviation for Rewriting {
    fn cells(&mut self, model: &zkonnx_circuits::compiled::CompiledModel, cells: &mut zkonnx_circuits::witness::Cells) {
        self.lie.cells(model, cells);
    }
    fn beside_piece(&mut self, piece: Piece) -> (Vec<(usize, Fp)>, Fp) {
        let rows = if piece == self.writer { self.rows.clone() } else { 0..0 };
        (rows.map(|row| (row, Fp::from(12_345 + row as u64))).collect(), Fp::ZERO)
    }
}

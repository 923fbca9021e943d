//! A false output, forged for a verifier that does not draw one challenge.

use super::{lie, mlp, Attempt, KNOWN};
use crate::lies::{claim_excess, Case};
use ff::Field;
use pasta_curves::Fp;
use zkonnx_circuits::{
    compiled::CompiledModel,
    functional::{axis_vectors, product_weight, relation_weights, LinearChallenges},
    relations::Right,
};
use zkonnx_prover::deviation::{Deviation, FoldView};
use zkonnx_verifier::checks::Check;

/// Everything that can be told from a prover's own transcript about a lie in the last relation.
pub(super) struct Forger {
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
    pub(super) fn new(case: &Case, lacks: Check) -> Self {
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
pub(super) fn false_output_without(check: Check) -> Attempt {
    let case = mlp();
    let statement = case.false_output(0, 0, 1);
    lie(&case, &statement, &mut Forger::new(&case, check))
}

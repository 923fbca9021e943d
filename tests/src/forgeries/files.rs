//! Forgeries of parameters, models and their registrations.

use super::{edited, mlp, Attempt, Forgery, Stopped};
use crate::{
    graphs::{self, dense, form, weight, with_weight, GraphBuilder},
    lies::Case,
    setup::{params, Sides},
};
use zkonnx_prover::{
    deviation::Honest,
    keys::{verifier_model, ProverModel},
    prove::prove_weights,
};
use zkonnx_quantize::{
    graph::{Interval, Output},
    index::Factor,
    model::{Gates, LayoutChoice, QuantizedModel, WeightPrivacy},
    scale::Scale,
};
use zkonnx_verifier::{
    checks::Check,
    zkv::{DeclaredWeights, VerifierModel},
};

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

pub(super) fn against_files() -> Vec<Forgery> {
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
        let (graph, weights, layout) =
            (b.graph, b.weights, LayoutChoice { k: 8, limb_bits: 6, gates: Gates::Relations });
        let model = QuantizedModel { graph, weights, layout, privacy: WeightPrivacy::Public };
        let sides_of_few = Sides::new(small_rows(&model));
        let mut file = VerifierModel::from_bytes(&sides_of_few.prover.zkv).expect("a valid file");
        file.graph = model.graph;
        Attempt::Register { zkv: file.to_bytes() }
    };
    let other_weights = {
        let case = mlp();
        let lying = with_weight(
            &case.sides.prover.model,
            0,
            0,
            if weight(&case.sides.prover.model, 0, 0) > 0 { -1 } else { 1 },
        );
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

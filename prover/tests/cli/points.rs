//! The points of a `.zkv` beside the model: used where they are those of its weights, never trusted.

use crate::{batch, fixture, images, mlp, write, zkonnx, Dir, Ended};
use std::path::Path;
use zkonnx_quantize::data::{read_npz, NamedTensor};
use zkonnx_verifier::zkv::VerifierModel;

/// A model in a folder of its own, with an input.
struct Case {
    dir: Dir,
    /// The file that `quantize` wrote beside it.
    zkv: Vec<u8>,
}

impl Case {
    fn new(name: &str, options: &[&str]) -> Self {
        let dir = Dir::new(name);
        let data = fixture("cli/regressor_samples.npz");
        let quantize =
            ["quantize", &fixture("cli/regressor.onnx"), "-o", &dir.path("m.zkq"), "--calibrate", &data, "--quiet"];
        zkonnx(&[&quantize[..], options].concat()).done();
        let array = read_npz(Path::new(&data)).unwrap().remove(0);
        let elements = array.data.len() / array.shape[0];
        let first = NamedTensor { shape: array.shape[1..].to_vec(), data: array.data[..elements].to_vec(), ..array };
        write(&dir.path("x.npy"), &[first]);
        let zkv = std::fs::read(dir.path("m.zkv")).unwrap();
        Self { dir, zkv }
    }

    /// Proves with this file beside the model; the proof verifies with the one that `quantize` wrote.
    fn prove(&self, beside: Option<&[u8]>) -> (bool, String) {
        let (dir, zkv, good) = (&self.dir, self.dir.path("m.zkv"), self.dir.file("good.zkv", &self.zkv));
        match beside {
            Some(bytes) => std::fs::write(&zkv, bytes).unwrap(),
            None => std::fs::remove_file(&zkv).unwrap(),
        }
        let proof = dir.path("m.proof");
        let ended = zkonnx(&["prove", &dir.path("m.zkq"), "--input", &dir.path("x.npy"), "-o", &proof, "--json"]);
        let err = ended.err.clone();
        let committed = ended.json()["weights_committed"].as_bool().unwrap();
        zkonnx(&["verify", "--model", &good, &proof]).done();
        assert_eq!(std::fs::read(&zkv).ok().as_deref(), beside, "a file that was refused is left alone");
        (committed, err)
    }

    #[track_caller]
    fn is_refused(&self, beside: &[u8], reason: &str) {
        let (committed, err) = self.prove(Some(beside));
        let [warning] = err.lines().collect::<Vec<_>>()[..] else { panic!("not one line: {err}") };
        assert!(committed && warning.starts_with("warning: "), "{warning}");
        for part in ["m.zkv: ", reason, "the weights are committed anew", "zkonnx register"] {
            assert!(warning.contains(part), "no '{part}' in {warning}");
        }
    }

    /// The good file, changed.
    fn changed(&self, change: impl FnOnce(&mut VerifierModel)) -> Vec<u8> {
        let mut model = VerifierModel::from_bytes(&self.zkv).unwrap();
        change(&mut model);
        model.to_bytes()
    }
}

#[test]
fn points_of_the_weights_are_not_made_again_and_others_are_noticed() {
    let case = Case::new("points", &[]);
    assert_eq!(case.prove(Some(&case.zkv)), (false, String::new()));
    assert_eq!(case.prove(None), (true, String::new()));
    let last = VerifierModel::from_bytes(&case.zkv).unwrap().commitments.len() - 1;
    let other = "not the commitments of the model's weights";
    // One that is a point, but another one.
    case.is_refused(&case.changed(|model| model.commitments[last] = [0; 32]), other);
    case.is_refused(&case.changed(|model| model.commitments[0][31] ^= 0x80), other);
    case.is_refused(&case.changed(|model| model.commitments[0] = [0xff; 32]), "its point 0 is none");
    case.is_refused(&case.changed(|model| model.commitments.push([0; 32])), "points, the weights stand in");
    case.is_refused(&case.changed(|model| model.layout.limb_bits -= 1), "it is of another model: k = ");
    case.is_refused(&case.changed(|model| model.graph.outputs[0].name.push('2')), "its graph is another");
    case.is_refused(&std::fs::read(&mlp().zkv).unwrap(), "its graph is another");
    case.is_refused(&case.zkv[..case.zkv.len() / 2], "malformed");
    case.is_refused(b"nothing of ours", "not a model.zkv file");
}

#[test]
fn points_of_private_weights_are_checked_with_their_blinds() {
    let (case, public) = (Case::new("points-private", &["--private-weights"]), Case::new("points-public", &[]));
    assert_eq!(case.prove(Some(&case.zkv)), (false, String::new()));
    assert_eq!(case.prove(None), (true, String::new()));
    case.is_refused(&case.changed(|model| model.commitments[0][31] ^= 0x80), "not the commitments");
    // The same weights with other blinds.
    let other = Case::new("points-blinds", &["--private-weights"]);
    case.is_refused(&other.zkv, "not the commitments");
    let declared = public.changed(|model| model.weights = VerifierModel::from_bytes(&case.zkv).unwrap().weights);
    public.is_refused(&declared, "its weights are private, those of the model public");
}

#[test]
fn a_batch_uses_the_points_beside_its_model_for_groups_too() {
    let dir = Dir::new("points-batch");
    let (zkq, zkv) = (dir.path("m.zkq"), dir.path("m.zkv"));
    std::fs::copy(&mlp().zkq, &zkq).unwrap();
    images(&dir.path("in.npz"), &[0, 1, 2, 3, 4], &[]);
    let prove = |out: &str| -> Ended {
        let out = dir.path(out);
        let ended = zkonnx(&["batch", &zkq, "--inputs", &dir.path("in.npz"), "-o", &out, "--group", "3"]).done();
        assert_eq!(batch::proofs(&out), ["group-000000.proof", "group-000001.proof"]);
        ended
    };
    assert_eq!(prove("none").err, "");
    std::fs::copy(&mlp().zkv, &zkv).unwrap();
    assert_eq!(prove("good").err, "");
    let mut changed = VerifierModel::from_bytes(&std::fs::read(&zkv).unwrap()).unwrap();
    changed.commitments.swap(0, 1);
    std::fs::write(&zkv, changed.to_bytes()).unwrap();
    let err = prove("changed").err;
    assert!(err.starts_with("warning: ") && err.contains("not the commitments") && err.lines().count() == 1, "{err}");
}

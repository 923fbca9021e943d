//! Committed tensors, and private weights.

use super::{fixture, zkonnx, Dir, Ended};
use std::path::Path;
use zkonnx_quantize::data::{read_npz, write_outputs, NamedTensor};

fn write(path: &str, name: &str, tensor: NamedTensor) {
    write_outputs(Path::new(path), &[NamedTensor { name: name.into(), ..tensor }]).unwrap();
}

/// One sample of the regressor.
fn sample(dir: &Dir) -> String {
    let arrays = read_npz(Path::new(&fixture("cli/regressor_samples.npz"))).unwrap();
    let x = arrays.into_iter().find(|a| a.name == "x").unwrap();
    let path = dir.path("x.npy");
    write(&path, "x", NamedTensor { shape: vec![1, 5], data: x.data[..5].to_vec(), ..x });
    path
}

#[test]
fn what_passes_between_two_models_stays_hidden() {
    let dir = Dir::new("chain");
    let (first, second) = (dir.path("first.zkq"), dir.path("second.zkq"));
    let data = fixture("cli/regressor_samples.npz");
    zkonnx(&["quantize", &fixture("cli/regressor.onnx"), "-o", &first, "--calibrate", &data]).done();
    // The next model takes the score of the first, in its unit.
    let score = format!("s={first}:y");
    let scorer = fixture("cli/scorer.onnx");
    let scores = dir.path("s.npy");
    write(&scores, "s", NamedTensor { name: "s".into(), shape: vec![4, 1, 1], data: vec![-1.0, -0.2, 0.3, 1.0] });
    let quantize = ["quantize", &scorer, "-o", &second, "--calibrate", &scores, "--k", "6"];
    zkonnx(&[&quantize[..], &["--input-like", &score]].concat()).done();

    let (proof, end) = (dir.path("first.proof"), dir.path("second.proof"));
    let x = sample(&dir);
    let json =
        zkonnx(&["prove", &first, "--input", &x, "-o", &proof, "--commit", "x", "--commit", "y", "--json"]).json();
    let openings: Vec<&str> = json["openings"].as_array().unwrap().iter().map(|o| o.as_str().unwrap()).collect();
    assert_eq!(openings, [format!("{proof}.0-x.opening.json"), format!("{proof}.1-y.opening.json")]);
    // Nobody but their owner reads them, whatever was there before.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &str| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        zkonnx(&["prove", &first, "--input", &x, "-o", &dir.path("again.proof"), "--commit", "x"]).done();
        let again = dir.path("again.proof.0-x.opening.json");
        std::fs::set_permissions(&again, PermissionsExt::from_mode(0o644)).unwrap();
        zkonnx(&["prove", &first, "--input", &x, "-o", &dir.path("again.proof"), "--commit", "x"]).done();
        assert_eq!([mode(openings[1]), mode(&again)], [0o600; 2]);
    }
    let open = format!("s={}", openings[1]);
    zkonnx(&["prove", &second, "--open", &open, "-o", &end]).done();

    let verify = |model: &str, proof: &str| {
        let zkv = model.replace(".zkq", ".zkv");
        zkonnx(&["verify", "--model", &zkv, proof]).done().out
    };
    let shown = verify(&first, &proof);
    assert!(shown.contains("x [1, 5] committed in 1 points") && shown.contains("y [1, 1] committed"), "{shown}");
    let shown = verify(&second, &end);
    assert!(shown.contains("s [1, 1] committed") && shown.contains("z [1, 1] = ["), "{shown}");
    // Both statements have the same points: what one opening opens, under either name.
    let opened = zkonnx(&["open", &proof, "--opening", openings[1], "--json"]).json();
    let other = zkonnx(&["open", &end, "--opening", openings[1], "--tensor", "s", "--json"]).json();
    assert_eq!(opened["integers"], other["integers"]);
    let run = zkonnx(&["run", &first, "--input", &x]).json();
    let y = run.to_string();
    let scale = opened["scale"].as_f64().unwrap();
    let score = scale * opened["integers"][0].as_f64().unwrap();
    assert!(y.contains(&format!("{score}")[..6]), "{score} in {y}");

    // Another opening opens nothing; a changed one neither.
    zkonnx(&["open", &proof, "--opening", openings[0], "--tensor", "y"]).rejected("integers");
    let text = std::fs::read_to_string(openings[1]).unwrap();
    let integer = format!("\"values\":[{}", opened["integers"][0]);
    let changed = text.replace(&integer, "\"values\":[7");
    assert_ne!(changed, text);
    let wrong = dir.file("wrong.opening.json", changed);
    zkonnx(&["open", &proof, "--opening", &wrong]).rejected("other integers");
    // Refusals.
    zkonnx(&["open", &proof, "--opening", &proof]).refused(&["first.proof"]);
    zkonnx(&["open", &end, "--opening", openings[1]]).refused(&["'y'", "committed are: s"]);
    let prove = |more: &[&str]| zkonnx(&[&["prove", second.as_str(), "-o", &dir.path("x.proof")][..], more].concat());
    prove(&[]).refused(&["'s' is not given"]);
    prove(&["--open", &format!("q={}", openings[1])]).refused(&["no such input", "s"]);
    prove(&["--open", &format!("s={}", openings[0])]).refused(&["5 elements"]);
    prove(&["--open", &open, "--hide", "s"]).refused(&["both hidden and committed"]);
    // What clap refuses takes more than one line.
    let usage = |ended: Ended, part: &str| {
        assert_eq!(ended.code, Some(2), "{ended:#?}");
        assert!(ended.err.contains(part) && ended.out.is_empty(), "{ended:#?}");
    };
    usage(prove(&["--open", "s"]), "NAME=OPENING.json");
    let one = dir.path("one.npy");
    write(&one, "s", NamedTensor { name: "s".into(), shape: vec![1, 1], data: vec![0.1] });
    prove(&["--input", &one, "--commit", "q"]).refused(&["--commit q", "no such"]);
    assert!(!Path::new(&dir.path("x.proof")).exists());
    let like = |like: &str| zkonnx(&[&quantize[..], &["--input-like", like]].concat());
    usage(like(&format!("s={first}:q")), "no output 'q'");
    usage(like("s=y"), "INPUT=OTHER.zkq:OUTPUT");
    like(&format!("t={first}:y")).refused(&["'t'"]);
}

#[test]
fn private_weights_are_registered_with_a_proof_of_their_widths() {
    let dir = Dir::new("private");
    let model = dir.path("m.zkq");
    let data = fixture("cli/regressor_samples.npz");
    zkonnx(&["quantize", &fixture("cli/regressor.onnx"), "-o", &model, "--calibrate", &data, "--private-weights"])
        .done();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&model).unwrap().permissions().mode() & 0o777, 0o600, "it has weights and blinds");
    }
    let proof = dir.path("m.proof");
    zkonnx(&["prove", &model, "--input", &sample(&dir), "-o", &proof]).done();
    let zkv = dir.path("m.zkv");
    let shown = zkonnx(&["verify", "--model", &zkv, &proof]).done().out;
    assert!(shown.contains("private, range-proven"), "{shown}");
    // A changed registration proof: the model is refused.
    let mut bytes = std::fs::read(&zkv).unwrap();
    let at = bytes.len() - 40;
    bytes[at] ^= 1;
    let wrong = dir.file("wrong.zkv", bytes);
    let reasons = ["wrong.zkv", "registration proof", "hint", "zkonnx register"];
    zkonnx(&["verify", "--model", &wrong, &proof]).refused(&reasons);
    // Whoever has the model writes the file anew: the same model with another registration proof.
    let (good, text) = (std::fs::read(&zkv).unwrap(), zkonnx(&["register", &model, "-o", &wrong]).done().out);
    assert!(text.contains("with the registration proof"), "{text}");
    assert_ne!(std::fs::read(&wrong).unwrap(), good);
    zkonnx(&["verify", "--model", &wrong, &proof]).done();
    let renewed = zkonnx(&["register", &model, "--json"]).json();
    assert_eq!((&renewed["zkv"], &renewed["range_proven"]), (&zkv.as_str().into(), &true.into()));
    assert_eq!(zkonnx(&["verify", "--model", &zkv, &proof, "--json"]).json()["model_id"], renewed["model_id"]);
    zkonnx(&["register", &model, "-o", &model]).refused(&["m.zkq", ".zkv"]);
    zkonnx(&["register", &zkv]).refused(&["m.zkv"]);
}

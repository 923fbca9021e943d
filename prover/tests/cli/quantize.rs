//! Options of `zkonnx quantize`: preprocessing, calibration, widths and their automatic choice, the accuracy report.

use crate::{fixture, write, zkonnx, Dir, Ended};
use serde_json::Value;
use std::path::Path;
use zkonnx_quantize::data::{read_npz, NamedTensor};

const STATS: &str =
    r#"{"pixels": {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "scale": 0.00392156862745098}}"#;

/// One sample of an array.
fn sample(file: &str, name: &str, index: usize) -> NamedTensor {
    let array = read_npz(Path::new(&fixture(file))).unwrap().into_iter().find(|a| a.name == name).unwrap();
    let shape = array.shape[1..].to_vec();
    let elements: usize = shape.iter().product();
    NamedTensor { name: name.into(), data: array.data[index * elements..(index + 1) * elements].to_vec(), shape }
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

#[test]
fn preprocessing_in_the_graph_takes_raw_inputs() {
    let (dir, onnx) = (Dir::new("normalize"), fixture("cli/pixels.onnx"));
    let (raw, normal) = (fixture("cli/pixels_raw.npz"), fixture("cli/pixels_normal.npz"));
    let (stats, zkq) = (dir.file("stats.json", STATS), dir.path("raw.zkq"));
    let options = ["--normalize", &stats, "--calibrate", &raw, "--json"];
    let quantised = zkonnx(&[&["quantize", &onnx, "-o", &zkq], &options[..]].concat()).json();
    let by_hand = ["quantize", &onnx, "-o", &dir.path("normal.zkq"), "--calibrate", &normal, "--json"];
    let by_hand = zkonnx(&by_hand).json();
    for accuracy in [&quantised["accuracy"], &by_hand["accuracy"]] {
        assert!(accuracy["outputs"][0]["error_share"].as_f64().unwrap() < 0.005, "{accuracy:#}");
    }
    // The float model behind the report is the normalised one: its range is what the samples give by hand.
    let range = |json: &Value, end: &str| json["accuracy"]["outputs"][0][end].as_f64().unwrap();
    for end in ["float_lo", "float_hi"] {
        assert!((range(&quantised, end) - range(&by_hand, end)).abs() < 1e-4);
    }
    // Bytes in, scores out as ONNX Runtime gives them for normalised pixels; and a proof of that.
    write(&dir.path("x.npy"), &[sample("cli/pixels_raw.npz", "pixels", 3)]);
    let scores = zkonnx(&["run", &zkq, "--input", &dir.path("x.npy")]).json();
    let expected = sample("cli/pixels_expected.npz", "scores", 3).data;
    for (score, expected) in numbers(&scores["scores"]["data"]).iter().zip(&expected) {
        assert!((score - expected).abs() < 0.02, "{scores} {expected:?}");
    }
    zkonnx(&["prove", &zkq, "--input", &dir.path("x.npy"), "-o", &dir.path("p")]).done();
    let verified = zkonnx(&["verify", "--model", &dir.path("raw.zkv"), &dir.path("p"), "--json"]).json();
    assert_eq!(verified["outputs"], scores);
}

#[test]
fn a_normalisation_that_does_not_fit_is_refused() {
    let (dir, onnx) = (Dir::new("normalize-refused"), fixture("cli/pixels.onnx"));
    for (text, reason) in [
        ("", "EOF"),
        ("{", "EOF"),
        ("[]", "expected a map"),
        (r#"{"pixel": {"mean": 1}}"#, "'pixel', which is no input; the model takes 'pixels'"),
        (r#"{"pixels": {"mean": [1, 2]}}"#, "'mean' has 2 numbers, axis 1 has size 3"),
        (r#"{"pixels": {"std": [1, 2, 0]}}"#, "'std' is 0, it must be above zero"),
        (r#"{"pixels": {"std": [1, 2, 3], "axis": 4}}"#, "axis 4"),
        (r#"{"pixels": {"scale": 0}}"#, "'scale' is 0"),
        (r#"{"pixels": {"mena": 1}}"#, "unknown field `mena`"),
        (r#"{"pixels": {"mean": "1"}}"#, "a number or a list of numbers"),
    ] {
        let stats = dir.file("stats.json", text);
        let arguments = ["quantize", &onnx, "-o", &dir.path("m.zkq"), "--normalize", &stats];
        zkonnx(&arguments).refused(&["stats.json", reason]);
    }
    let labelled = ["quantize", &onnx, "-o", &dir.path("m.zkq"), "--normalize", &dir.path("nothing.json")];
    zkonnx(&labelled).refused(&["nothing.json"]);
    assert_eq!(dir.list(), ["stats.json"]);
}

fn regressor(dir: &Dir, options: &[&str]) -> Ended {
    let (onnx, data) = (fixture("cli/regressor.onnx"), fixture("cli/regressor_samples.npz"));
    // All samples to calibrate and to measure: nothing lies outside of the declared range.
    let quantize = ["quantize", &onnx, "-o", &dir.path("m.zkq"), "--calibrate", &data, "--evaluate", &data];
    zkonnx(&[&quantize[..], options].concat())
}

#[test]
fn the_cheapest_width_that_meets_the_limits_is_chosen() {
    let dir = Dir::new("auto");
    let search = |limit: &str| regressor(&dir, &["--auto", "--max-error", limit, "--json"]).json();
    let mut last = 0;
    for limit in ["5%", "0.1%", "0.005%"] {
        let json = search(limit);
        let steps = json["steps"].as_array().unwrap();
        assert_eq!(steps.iter().map(|s| s["bits"].as_u64().unwrap()).collect::<Vec<_>>(), [8, 10, 12, 14, 16, 20, 24]);
        let good = steps.iter().filter(|s| s["missed"].is_null());
        let cheapest = good.map(|s| s["prove_seconds"].as_f64().unwrap()).fold(f64::INFINITY, f64::min);
        let chosen: Vec<&Value> = steps.iter().filter(|s| s["chosen"] == true).collect();
        let [chosen] = chosen[..] else { panic!("{json:#}") };
        assert_eq!(chosen["prove_seconds"], cheapest);
        assert_eq!(json["recipe"]["bits"], chosen["bits"]);
        assert_eq!(json["accuracy"]["outputs"][0]["max_error"], chosen["max_error"]);
        let bits = chosen["bits"].as_u64().unwrap();
        assert!(bits >= last, "{limit}: {bits} bits");
        last = bits;
    }
    assert!(last >= 14, "{last} bits for 0.005 %");
    // The same model as with its bits given, on every run.
    let auto = std::fs::read(dir.path("m.zkq")).unwrap();
    search("0.005%");
    assert_eq!(auto, std::fs::read(dir.path("m.zkq")).unwrap());
    regressor(&dir, &["--bits", &last.to_string()]).done();
    assert_eq!(auto, std::fs::read(dir.path("m.zkq")).unwrap());

    let text = regressor(&dir, &["--bits", "auto", "--max-error", "0.1%"]).done().out;
    let steps: Vec<&str> = text.lines().take(8).collect();
    assert!(steps[0].contains("max error") && steps[0].contains("prove"), "{text}");
    assert_eq!(steps.iter().filter(|s| s.contains("<- chosen")).count(), 1, "{text}");
    assert!(steps.iter().any(|s| s.contains("misses --max-error")), "{text}");
}

#[test]
fn the_automatic_choice_fails_clearly() {
    let dir = Dir::new("auto-fails");
    let ended = regressor(&dir, &["--auto", "--max-error", "1e-12"]);
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    assert_eq!(ended.out.matches("misses --max-error").count(), 7, "{ended:#?}");
    assert_eq!(ended.err.lines().count(), 1, "{ended:#?}");
    assert!(
        ended.err.contains("regressor.onnx: no width meets the limits") && ended.err.contains("hint"),
        "{ended:#?}"
    );
    regressor(&dir, &["--auto"]).refused(&["needs a limit", "--max-error"]);
    // A limit that says nothing about any output.
    regressor(&dir, &["--auto", "--min-top1", "1"]).refused(&["--min-top1", "give --max-error"]);
    let onnx = fixture("cli/regressor.onnx");
    let without = ["quantize", &onnx, "-o", &dir.path("m.zkq"), "--auto", "--max-error", "1"];
    zkonnx(&without).refused(&["need samples", "--calibrate"]);
    for options in [&["--auto", "--bits", "8"][..], &["--bits", "ten"], &["--bits", "auto", "--max-error", "%"]] {
        assert_eq!(regressor(&dir, options).code, Some(2), "{options:?}");
    }
    assert!(dir.list().is_empty());
    // Samples beyond what was calibrated are the reason more often than widths are.
    let (first, far) = (sample("cli/regressor_samples.npz", "x", 0), sample("cli/regressor_samples.npz", "x", 1));
    write(&dir.path("x.npy"), &[first]);
    write(&dir.path("far.npy"), &[NamedTensor { data: far.data.iter().map(|v| 100.0 * v).collect(), ..far }]);
    let quantize = ["quantize", &onnx, "-o", &dir.path("m.zkq"), "--calibrate", &dir.path("x.npy")];
    let auto = ["--evaluate", &dir.path("far.npy"), "--auto", "--max-error", "1e-9"];
    let ended = zkonnx(&[&quantize[..], &auto].concat());
    assert!(
        ended.err.contains("lie outside of the declared range") && ended.err.contains("--input-range"),
        "{ended:#?}"
    );
}

#[test]
fn widths_from_four_to_twenty_four_bits_are_taken() {
    let dir = Dir::new("widths");
    let error = |options: &[&str]| {
        let json = regressor(&dir, &[options, &["--json"]].concat()).json();
        json["accuracy"]["outputs"][0]["error_share"].as_f64().unwrap()
    };
    let errors = ["4", "8", "12", "16", "24"].map(|bits| error(&["--bits", bits]));
    assert!(errors.windows(2).all(|pair| pair[1] < pair[0]), "{errors:?}");
    assert!(errors[3] < 1e-4 && errors[4] < 1e-5, "{errors:?}");
    // Inputs and weights follow, unless they are given.
    assert!(error(&["--bits", "16", "--input-bits", "6"]) > 10.0 * errors[3]);
    assert!(error(&["--bits", "16", "--weight-bits", "3"]) > 0.0);
    let recipe = |options: &[&str]| regressor(&dir, &[options, &["--json"]].concat()).json()["recipe"].clone();
    assert_eq!(recipe(&["--bits", "8"])["per_channel"], false);
    assert_eq!(recipe(&["--bits", "8", "--per-channel"])["per_channel"], true);
    for (option, value, reason) in [
        ("--bits", "3", "bits is 3, it must be 4 to 24"),
        ("--bits", "25", "bits is 25"),
        ("--input-bits", "3", "input_bits is 3"),
        ("--input-bits", "25", "input_bits is 25"),
        ("--weight-bits", "1", "weight_bits is 1"),
        ("--weight-bits", "25", "weight_bits is 25"),
    ] {
        regressor(&dir, &[option, value]).refused(&["regressor.onnx", reason]);
    }
}

#[test]
fn ranges_are_found_in_three_ways() {
    let dir = Dir::new("methods");
    let method =
        |options: &[&str]| regressor(&dir, &[options, &["--json"]].concat()).json()["recipe"]["calibration"].clone();
    assert_eq!(method(&[]), "MinMax");
    assert_eq!(method(&["--calibration", "minmax"]), "MinMax");
    assert_eq!(method(&["--calibration", "mse"]), "Mse");
    assert_eq!(method(&["--calibration", "percentile:0.999"]), serde_json::json!({"Percentile": 0.999}));
    let by_method = std::fs::read(dir.path("m.zkq")).unwrap();
    assert_eq!(method(&["--percentile", "0.999"]), serde_json::json!({"Percentile": 0.999}));
    assert_eq!(by_method, std::fs::read(dir.path("m.zkq")).unwrap());
    regressor(&dir, &["--calibration", "percentile:0.3"]).refused(&["percentile 0.3", "above 0.5"]);
    for wrong in ["max", "percentile", "percentile:x", "mse:1"] {
        assert_eq!(regressor(&dir, &["--calibration", wrong]).code, Some(2), "{wrong}");
    }
    let both = ["--calibration", "mse", "--percentile", "0.999"];
    assert_eq!(regressor(&dir, &both).code, Some(2));
}

#[test]
fn the_report_tells_classifiers_from_regressors_and_labels() {
    let dir = Dir::new("report");
    let report = |name: &str, options: &[&str]| {
        let (onnx, data) = (fixture(&format!("cli/{name}.onnx")), fixture(&format!("cli/{name}_samples.npz")));
        let zkq = dir.path("m.zkq");
        let quantize = ["quantize", &onnx, "-o", &zkq, "--calibrate", &data, "--evaluate", &data];
        let json = zkonnx(&[&quantize[..], options, &["--json"]].concat()).json()["accuracy"].clone();
        (json, zkonnx(&[&quantize[..], options].concat()).done().out)
    };
    let (json, text) = report("label", &[]);
    let (label, scores) = (&json["outputs"][0], &json["outputs"][1]);
    assert_eq!((&label["integer"], &label["top1_agreement"]), (&true.into(), &1.0.into()), "{json:#}");
    assert!(text.contains("output label: integers, equal in 100.00 % of samples (0 of 60 differ)"), "{text}");
    assert_eq!((&scores["integer"], &scores["elements"]), (&false.into(), &7.into()));
    assert!(scores["top5_agreement"].as_f64().unwrap() > 0.95 && scores["rank_correlation"].as_f64().unwrap() > 0.99);
    assert!(text.contains("top-5 agreement") && text.contains("sign agreement"), "{text}");

    let (json, text) = report("regressor", &["--bits", "16"]);
    let y = &json["outputs"][0];
    assert_eq!((&y["elements"], &y["top5_agreement"]), (&1.into(), &Value::Null));
    assert!(y["rank_correlation"].as_f64().unwrap() > 0.9999, "{json:#}");
    let span = y["float_hi"].as_f64().unwrap() - y["float_lo"].as_f64().unwrap();
    assert!((y["error_share"].as_f64().unwrap() - y["max_error"].as_f64().unwrap() / span).abs() < 1e-12);
    assert!(text.contains("% of the range") && text.contains("rank correlation") && !text.contains("top-1"), "{text}");
    assert_eq!(y["sign_disagreements"], 0);

    // Ranges cut at the middle of what is seen: it is said which nodes suffer.
    let (json, text) = report("label", &[]);
    assert!(json["tensors"].as_array().unwrap().iter().all(|t| t["saturated"] == 0), "{json:#}");
    assert!(!text.contains("saturation in"), "{text}");
    let (json, text) = report("label", &["--calibration", "percentile:0.6"]);
    let saturated: Vec<&Value> = json["tensors"].as_array().unwrap().iter().filter(|t| t["saturated"] != 0).collect();
    assert!(saturated.iter().any(|t| t["saturated_share"].as_f64().unwrap() > 0.01), "{json:#}");
    assert!(text.contains("saturation in ") && text.contains(", most in "), "{text}");
}

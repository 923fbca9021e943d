//! What `zkonnx report` writes: a page that stands alone, pictures, and numbers that add up.

use crate::{fixture, mlp, write, zkonnx, Dir};
use serde_json::Value;
use zkonnx_quantize::{data::read_npz, model::QuantizedModel};

/// What a name in a stranger's model may be.
const HOSTILE: &str = "<script>alert(1)</script>";
const QUOTED: &str = "\"><img src=x onerror=alert(1)>&'";

fn text(path: &str) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// The regressor of the fixtures, with its samples.
fn regressor(dir: &Dir) -> (String, String) {
    let (zkq, samples) = (dir.path("regressor.zkq"), fixture("cli/regressor_samples.npz"));
    zkonnx(&["quantize", &fixture("cli/regressor.onnx"), "-o", &zkq, "--calibrate", &samples]).done();
    (zkq, samples)
}

fn sum(layers: &Value, field: &str) -> u64 {
    layers.as_array().unwrap().iter().map(|layer| layer[field].as_u64().unwrap()).sum()
}

/// Nothing is loaded from anywhere, and nothing runs.
#[track_caller]
fn stands_alone(page: &str) {
    let page = page.replace("xmlns=\"http://www.w3.org/2000/svg\"", "").to_lowercase();
    for part in ["http:", "https:", "url(", "@import"] {
        assert!(!page.contains(part), "{part}");
    }
    // Names have no angle brackets: what lies between two is a tag of ours.
    for tag in page.split('<').skip(1).map(|rest| rest.split('>').next().unwrap()) {
        for name in ["script", "link", "img", "image", "iframe", "object", "embed", "use", "foreignobject", "base"] {
            assert!(tag.split_whitespace().next() != Some(name), "<{tag}>");
        }
        assert!(!tag.contains(" src=") && !tag.contains(" on"), "<{tag}>");
        assert!(!tag.contains("href=") || tag.contains("href=\"#"), "<{tag}>");
    }
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn a_page_stands_alone_names_every_layer_and_is_the_same_every_time() {
    let dir = Dir::new("report-page");
    let (first, second) = (dir.path("a.html"), dir.path("b.html"));
    let json = zkonnx(&["report", &mlp().zkq, "-o", &first, "--no-measure", "--json"]).json();
    zkonnx(&["report", &mlp().zkq, "-o", &second, "--no-measure"]).done();
    let page = text(&first);
    assert_eq!(page, text(&second));
    stands_alone(&page);
    let layers = json["layers"].as_array().unwrap();
    let model = QuantizedModel::from_bytes(&std::fs::read(&mlp().zkq).unwrap()).unwrap();
    assert_eq!(layers.len(), model.graph.inputs.len() + model.graph.nodes.len() + model.graph.outputs.len());
    for node in &model.graph.nodes {
        // In the graph and in the table.
        assert!(page.matches(&format!(">{}<", node.name)).count() >= 2, "{}", node.name);
    }
    // What is missing, and how to get it.
    assert!(page.contains("--inputs SAMPLES.npz") && page.contains("Nothing was measured"));
    assert_eq!((&json["measured"], &json["accuracy"]), (&Value::Null, &Value::Null));
}

#[test]
fn names_of_strangers_are_text_wherever_they_stand() {
    let dir = Dir::new("report-names");
    let (zkq, samples) = regressor(&dir);
    let mut model = QuantizedModel::from_bytes(&std::fs::read(&zkq).unwrap()).unwrap();
    model.graph.nodes.iter_mut().for_each(|node| node.name = HOSTILE.into());
    model.graph.inputs[0].name = QUOTED.into();
    model.graph.outputs[0].name = HOSTILE.into();
    let hostile = dir.file("hostile <b>&.zkq", model.to_bytes());
    let mut tensors = read_npz(std::path::Path::new(&samples)).unwrap();
    tensors.truncate(1);
    tensors[0].name = QUOTED.into();
    let inputs = dir.path("x.npz");
    write(&inputs, &tensors);
    let (page, pictures) = (dir.path("r.html"), dir.path("svg"));
    zkonnx(&["report", &hostile, "-o", &page, "--svg", &pictures, "--no-measure", "--inputs", &inputs]).done();
    let page = text(&page);
    stands_alone(&page);
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(page.contains("<title>hostile &lt;b&gt;&amp;.zkq"));
    for name in ["graph", "layout-by-layer", "histograms"] {
        let picture = text(&format!("{pictures}/{name}.svg"));
        let xml = roxmltree::Document::parse(&picture).unwrap();
        assert!(xml.descendants().all(|node| !["script", "img"].contains(&node.tag_name().name())), "{name}");
        let shown = |name: &str| xml.descendants().any(|n| n.text().is_some_and(|text| text.contains(name)));
        assert!(shown(HOSTILE), "{name}");
    }
}

#[test]
fn cells_time_and_parameters_of_layers_add_up_to_the_whole() {
    let dir = Dir::new("report-sums");
    for zkq in [&mlp().zkq, &regressor(&dir).0] {
        let json = zkonnx(&["report", zkq, "--no-measure", "--json"]).json();
        let (layers, sizes) = (&json["layers"], &json["sizes"]);
        let words = json["areas"].as_array().unwrap().iter().find(|area| area["area"] == "words").unwrap();
        assert!(sum(layers, "cells") > 0);
        assert_eq!(sum(layers, "cells"), words["used"].as_u64().unwrap(), "{json:#}");
        assert_eq!(sum(layers, "lookups"), sizes["lookups"].as_u64().unwrap());
        assert_eq!(sum(layers, "macs"), sizes["macs"].as_u64().unwrap());
        assert_eq!(sum(layers, "parameters"), sizes["parameters"].as_u64().unwrap());
        let predicted: f64 = layers.as_array().unwrap().iter().map(|l| l["predicted"].as_f64().unwrap()).sum();
        assert!((predicted / sizes["predicted_seconds"].as_f64().unwrap() - 1.0).abs() < 1e-9, "{json:#}");
        let zkv = std::fs::metadata(zkq.replace(".zkq", ".zkv")).unwrap().len();
        assert_eq!(sizes["zkv"].as_u64().unwrap(), zkv);
        assert_eq!(sizes["zkq"].as_u64().unwrap(), std::fs::metadata(zkq).unwrap().len());
    }
    assert_eq!(dir.list(), ["regressor.zkq", "regressor.zkv"]);
}

#[test]
fn proving_is_measured_by_stage_and_shared_out_to_layers() {
    let dir = Dir::new("report-time");
    let page = dir.path("r.html");
    let json = zkonnx(&["report", &mlp().zkq, "-o", &page, "--runs", "2", "--json", "--inputs", &mlp().input]).json();
    let stage = |list: &Value, name: &str| {
        let found = list.as_array().unwrap().iter().find(|stage| stage["name"] == name);
        found.unwrap_or_else(|| panic!("no {name} in {list:#}")).clone()
    };
    let measured = &json["measured"];
    let prove = stage(&measured["stages"], "prove");
    let names = |stage: &Value| -> Vec<String> {
        stage["within"].as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap().to_owned()).collect()
    };
    // Side by side, in order.
    let steps = ["evaluate", "witness", "commitments", "lookups", "contractions", "pairs", "relations", "opening"];
    assert_eq!(names(&prove), steps);
    assert_eq!(names(&stage(&prove["within"], "lookups")), ["add up fractions"]);
    assert_eq!(names(&stage(&prove["within"], "contractions")), ["contraction tables"]);
    let opening = stage(&prove["within"], "opening");
    assert_eq!(names(&opening), ["collect columns", "fold columns", "inner product rounds"]);
    stage(&measured["stages"], "keys");
    stage(&measured["stages"], "verify");
    let layers = json["layers"].as_array().unwrap();
    let part = |layer: &Value, name: &str| layer["measured"][name].as_f64().unwrap();
    let total: f64 = layers.iter().map(|l| part(l, "evaluate") + part(l, "share")).sum();
    assert!((total / prove["seconds"].as_f64().unwrap() - 1.0).abs() < 1e-6, "{json:#}");
    assert_eq!((&measured["prove"]["count"], &measured["made_up"]), (&2.into(), &false.into()));
    let proof = std::fs::metadata(&mlp().proof).unwrap().len();
    assert!(json["sizes"]["proof"].as_u64().unwrap() < proof);
    let page = text(&page);
    stands_alone(&page);
    assert!(
        page.contains("in proportion to the layers' cells") && page.contains("2 runs on the given inputs"),
        "{page}"
    );
}

#[test]
fn the_page_says_how_gates_are_proven() {
    let dir = Dir::new("report-gates");
    let (zkq, page) = (dir.path("halo2.zkq"), dir.path("r.html"));
    let samples = fixture("cli/regressor_samples.npz");
    let quantize = ["quantize", &fixture("cli/regressor.onnx"), "-o", &zkq, "--calibrate", &samples];
    zkonnx(&[&quantize[..], &["--gates", "halo2"]].concat()).done();
    let json = zkonnx(&["report", &zkq, "-o", &page, "--runs", "1", "--json"]).json();
    let find = |list: &Value, name: &str| {
        list.as_array().unwrap().iter().find(|stage| stage["name"] == name).unwrap_or(&Value::Null).clone()
    };
    let prove = find(&json["measured"]["stages"], "prove");
    let steps = ["commit columns", "transform columns", "quotient", "evaluations", "combine", "inner product"];
    let halo2 = find(&prove["within"], "halo2 proof");
    let names: Vec<&str> = halo2["within"].as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap()).collect();
    assert_eq!(names, steps);
    let sizes = &json["sizes"];
    assert_eq!(sizes["gates"], "halo2");
    assert!(sizes["gated_columns"].as_u64().unwrap() > 0 && sizes["product_gates"].as_u64().unwrap() > 0);
    assert!(text(&page).contains("by a halo2 circuit of "));
    let json = zkonnx(&["report", &regressor(&dir).0, "-o", &page, "--no-measure", "--json"]).json();
    assert_eq!((&json["sizes"]["gates"], &json["sizes"]["gated_columns"]), (&"relations".into(), &0.into()));
    assert!(text(&page).contains("proven as relations"));
}

#[test]
fn values_have_histograms_and_errors_against_the_float_model() {
    let dir = Dir::new("report-values");
    let (zkq, samples) = regressor(&dir);
    let onnx = fixture("cli/regressor.onnx");
    let page = dir.path("r.html");
    let options = ["report", &zkq, "--no-measure", "--inputs", &samples, "--samples", "16", "-o", &page, "--json"];
    let alone = zkonnx(&options).json();
    assert_eq!(alone["accuracy"]["against"], Value::Null);
    assert!(text(&page).contains("Without the float model"));
    let json = zkonnx(&[&options[..], &["--onnx", &onnx]].concat()).json();
    let accuracy = &json["accuracy"];
    assert_eq!(accuracy["samples"], 16);
    for (layer, values) in json["layers"].as_array().unwrap().iter().zip(accuracy["layers"].as_array().unwrap()) {
        let elements: u64 = layer["shape"].as_array().unwrap().iter().map(|s| s.as_u64().unwrap()).product();
        let counted: u64 = values["histogram"].as_array().unwrap().iter().map(|c| c.as_u64().unwrap()).sum();
        assert_eq!((counted, values["count"].as_u64().unwrap()), (16 * elements, 16 * elements), "{layer:#}");
        assert!(
            values["low"].as_f64() <= values["mean"].as_f64() && values["mean"].as_f64() <= values["high"].as_f64()
        );
    }
    let tensors = accuracy["against"]["tensors"].as_array().unwrap();
    assert!(tensors.iter().any(|t| t["rms_error"].as_f64().is_some_and(|error| error > 0.0)), "{accuracy:#}");
    assert!(accuracy["against"]["outputs"][0]["max_error"].as_f64().unwrap() > 0.0);
    let page = text(&page);
    stands_alone(&page);
    assert!(page.contains("SQNR") && page.contains(" dB"));
}

#[test]
fn pictures_are_files_of_their_own() {
    let dir = Dir::new("report-pictures");
    let (zkq, samples) = regressor(&dir);
    let (svg, png) = (dir.path("svg"), dir.path("png"));
    let report = ["report", &zkq, "--inputs", &samples, "--samples", "4", "--runs", "1", "--svg", &svg, "--png", &png];
    zkonnx(&report).done();
    let names = |folder: &str| {
        let mut names: Vec<String> =
            std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let expected = ["graph", "histograms", "layout-by-gadget", "layout-by-layer", "time"];
    assert_eq!(names(&svg), expected.map(|name| format!("{name}.svg")));
    assert_eq!(names(&png), expected.map(|name| format!("{name}.png")));
    for name in expected {
        let picture = text(&format!("{svg}/{name}.svg"));
        let xml = roxmltree::Document::parse(&picture).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(xml.root_element().tag_name().name(), "svg");
        assert!(xml.descendants().any(|n| n.tag_name().name() == "text"), "{name}");
        let length = |side: &str| xml.root_element().attribute(side).unwrap().parse::<f64>().unwrap();
        let bytes = std::fs::read(format!("{png}/{name}.png")).unwrap();
        assert_eq!(&bytes[..8], b"\x89PNG\r\n\x1a\n", "{name}");
        let side = |at: usize| f64::from(u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()));
        // Twice as many pixels.
        assert!((side(16) - 2.0 * length("width")).abs() <= 1.0 && (side(20) - 2.0 * length("height")).abs() <= 1.0);
    }
}

#[test]
fn what_is_wrong_is_named_and_nothing_is_written() {
    let dir = Dir::new("report-refused");
    let page = dir.path("r.html");
    let (absent, broken) = (dir.path("absent.zkq"), dir.file("broken.zkq", "not a model"));
    zkonnx(&["report", &absent, "-o", &page]).refused(&["absent.zkq"]);
    zkonnx(&["report", &broken, "-o", &page]).refused(&["broken.zkq", "zkonnx quantize"]);
    let report = ["report", &mlp().zkq, "-o", &page, "--no-measure"];
    let with = |more: &[&str]| zkonnx(&[&report[..], more].concat());
    with(&["--inputs", &dir.path("absent.npz")]).refused(&["absent.npz"]);
    let samples = fixture("cli/regressor_samples.npz");
    with(&["--inputs", &samples]).refused(&["regressor_samples.npz", "image"]);
    let other = fixture("cli/regressor.onnx");
    with(&["--inputs", &mlp().input, "--onnx", &other]).refused(&["regressor.onnx", "other inputs or outputs"]);
    assert_eq!(with(&["--onnx", &other]).code, Some(2));
    with(&["--svg", &broken]).refused(&["broken.zkq", "is no directory"]);
    zkonnx(&["report", &mlp().zkq, "-o", &mlp().zkq, "--no-measure"]).refused(&["would replace an input"]);
    assert_eq!(zkonnx(&["report", &mlp().zkq]).code, Some(2));
    assert_eq!(dir.list(), ["broken.zkq"]);
}

//! The page.

use super::{
    accuracy_section, colour, flame_picture, graph_picture,
    layers::{Kind, Layer},
    layout_picture,
    numbers::{bytes, count, percent, seconds, shape},
    stages::Stage,
    svg::clean,
    By, Measured, Picture, Report, Sizes,
};
use maud::{html, Markup, PreEscaped, DOCTYPE};
use zkonnx_quantize::model::Gates;

/// Nothing may be loaded, and nothing runs.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

pub(super) fn page(report: &Report) -> Markup {
    let sections = [
        ("graph", "Graph", graph(report)),
        ("layers", "Layers", layers(report)),
        ("layout", "Layout of the circuit", layout(report)),
        ("time", "Time", time(report)),
        ("accuracy", "Accuracy", accuracy_section::section(report)),
        ("sizes", "Sizes", sizes(report)),
    ];
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (clean(&report.name)) " – zkonnx report" }
                style { (PreEscaped(include_str!("page.css"))) }
            }
            body {
                header {
                    h1 { (clean(&report.name)) }
                    p class="note" { "What proving this model takes, by " code { "zkonnx report" } " " (env!("CARGO_PKG_VERSION")) "." }
                    nav aria-label="Sections" { @for (id, title, _) in &sections { a href={ "#" (id) } { (title) } } }
                    (cards(report))
                }
                main { @for (id, title, body) in &sections { section id=(id) aria-label=(title) { h2 { (title) } (body) } } }
            }
        }
    }
}

/// A picture or a table that may be larger than the window.
pub(super) fn scroll(label: &str, class: &str, inner: &Markup) -> Markup {
    html! { div class={ "scroll " (class) } tabindex="0" role="region" aria-label=(label) { (inner) } }
}

fn picture(picture: &Picture, fits: bool) -> Markup {
    scroll(&picture.title, if fits { "picture fit" } else { "picture" }, &html! { (picture) })
}

fn peak(bytes_of: Option<u64>) -> String {
    bytes_of.and_then(|p| usize::try_from(p).ok()).map_or_else(|| "unknown".to_owned(), bytes)
}

fn columns(count: usize) -> String {
    counted(count, "column")
}

/// A count with its noun.
fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn units(value: u64) -> String {
    count(usize::try_from(value).unwrap_or(usize::MAX))
}

fn cards(report: &Report) -> Markup {
    let sizes = &report.sizes;
    let predicted = seconds(sizes.predicted_seconds);
    let mut cards: Vec<(&str, String, String)> = Vec::new();
    match &report.measured {
        Some(m) => {
            cards.push(("prove", seconds(m.prove.median), format!("predicted {predicted}")));
            let predicted_verify = seconds(sizes.predicted_verify_seconds);
            cards.push(("verify", seconds(m.verify.median), format!("predicted {predicted_verify}")));
            cards.push(("peak memory", peak(m.prove_peak), format!("predicted {}", bytes(sizes.predicted_memory))));
        }
        None => {
            cards.push(("prove, predicted", predicted, "on two cores".into()));
            cards.push(("verify, predicted", seconds(sizes.predicted_verify_seconds), "on two cores".into()));
            cards.push(("peak memory, predicted", bytes(sizes.predicted_memory), String::new()));
        }
    }
    cards.push(("proof", bytes(usize::try_from(sizes.proof).unwrap_or(0)), String::new()));
    cards.push((
        "circuit",
        format!("{} × 2^{}", sizes.columns, sizes.k),
        format!("columns × rows, limbs of {} bits, gates by {}", sizes.limb_bits, sizes.gates),
    ));
    cards.push(("cells", count(sizes.cells), format!("{} looked up", units(sizes.lookups))));
    cards.push(("parameters", units(sizes.parameters), format!("{} multiply-accumulates", units(sizes.macs))));
    html! {
        dl class="cards" {
            @for (title, value, more) in &cards {
                div { dt { (title) } dd { (value) @if !more.is_empty() { small { (more) } } } }
            }
        }
    }
}

fn graph(report: &Report) -> Markup {
    html! {
        p {
            "Every box is an input, an output or a node of the integer graph: its name, how it is proven, its shape and what it takes. Boxes read those above "
            "them; what is read further down passes the rows between, in another colour. The bar in a box is its share of the predicted time."
        }
        (picture(&graph_picture::draw(&report.layers), false))
    }
}

fn layers(report: &Report) -> Markup {
    let has_time = report.measured.is_some();
    let sum = |of: &dyn Fn(&Layer) -> usize| count(report.layers.iter().map(of).sum());
    let predicted: f64 = report.layers.iter().map(|l| l.predicted).sum();
    let measured: f64 = report.layers.iter().filter_map(|l| l.measured).map(|m| m.seconds()).sum();
    let evaluated: f64 = report.layers.iter().filter_map(|l| l.measured).map(|m| m.evaluate).sum();
    let macs: u64 = report.layers.iter().map(|l| l.macs).fold(0, u64::saturating_add);
    let table = html! {
        table {
            thead { tr {
                th class="l" scope="col" { "layer" } th class="l" scope="col" { "proven by" } th class="l" scope="col" { "shape" }
                th scope="col" { "cells" } th scope="col" { "looked up" } th scope="col" { "columns" } th scope="col" { "lane rows" }
                th scope="col" { "MACs" } th scope="col" { "parameters" } th scope="col" { "predicted" }
                @if has_time { th scope="col" { "measured" } th scope="col" { "of that, evaluated" } }
            } }
            tbody { @for (i, layer) in report.layers.iter().enumerate() { (row(i, layer, has_time)) } }
            tfoot { tr {
                td class="l" { "all" } td {} td {}
                td { (sum(&|l| l.cells)) } td { (sum(&|l| l.lookups)) } td {} td { (sum(&|l| l.lane_rows)) }
                td { (units(macs)) } td { (sum(&|l| l.parameters)) } td { (seconds(predicted)) }
                @if has_time { td { (seconds(measured)) } td { (seconds(evaluated)) } }
            } }
        }
    };
    html! {
        p {
            "A " em { "cell" } " is one limb of one element. " em { "Columns" } " are those of words that the layer has cells in, which it may share with others; "
            em { "lane rows" } " are elements that a gate, or a range alone, binds. Linear work (products, sums, shapes) has no cells. Parameters count for the first layer "
            "that reads them. Predicted times are the layer's part of the cost model's prediction."
        }
        @if has_time {
            p class="note" {
                "Only the evaluation of each node is measured by itself (“of that, evaluated”). All other stages of proving work on whole columns: their "
                "measured time is shared out in proportion to the layers' cells, and says no more than that about a single layer."
            }
        }
        (scroll("Layers", "", &table))
    }
}

fn row(number: usize, layer: &Layer, has_time: bool) -> Markup {
    let what = match layer.kind {
        Kind::Input => "input",
        Kind::Node => "",
        Kind::Output => "output",
    };
    let by: Vec<&str> = layer.products.iter().map(String::as_str).chain([layer.operator.as_str()]).collect();
    let nonzero = |value: usize| if value > 0 { count(value) } else { String::new() };
    let macs = if layer.macs > 0 { units(layer.macs) } else { String::new() };
    html! {
        tr {
            td class="l w c" style={ "border-left-color:" (colour::of_layer(number)) } {
                (clean(&layer.name)) @if !what.is_empty() { " " span class="note" { "(" (what) ")" } }
            }
            td class="l w" { (by.join(", ")) }
            td class="l" { (shape(&layer.shape)) @if layer.form != layer.shape { " " span class="note" { "of " (shape(&layer.form)) } } }
            td { (nonzero(layer.cells)) } td { (nonzero(layer.lookups)) } td { (nonzero(layer.columns)) } td { (nonzero(layer.lane_rows)) }
            td { (macs) } td { (nonzero(layer.parameters)) } td { (seconds(layer.predicted)) }
            @if has_time {
                td { (layer.measured.map_or_else(String::new, |m| seconds(m.seconds()))) }
                td { (layer.measured.map_or_else(String::new, |m| seconds(m.evaluate))) }
            }
        }
    }
}

fn layout(report: &Report) -> Markup {
    let layout = &report.layout;
    #[allow(clippy::cast_precision_loss)]
    let share = |used: usize, usable: usize| percent(used as f64 / usable.max(1) as f64);
    html! {
        p {
            "Columns by rows, as the circuit is compiled: " (layout.rows) " rows, of which the circuit can use " (layout.active_rows) ", from the top. The bars above a "
            "block say how full each of its columns is. A proof commits words and the multiplicities of table rows; parameters are committed once, with the model."
        }
        (circuit(&report.sizes))
        h3 { "By gadget" }
        (picture(&layout_picture::draw(layout, &report.layers, By::Gadget), true))
        h3 { "By layer" }
        (picture(&layout_picture::draw(layout, &report.layers, By::Layer), true))
        p class="note" {
            @for (i, fill) in report.areas.iter().enumerate() {
                @if i > 0 { "; " }
                (fill.area.title()) ": " (columns(fill.columns)) ", " (fill.used) " of " (fill.usable) " cells (" (share(fill.used, fill.usable)) ")"
            }
            "."
        }
    }
}

/// What the circuit consists of, and how each part is proven.
fn circuit(sizes: &Sizes) -> Markup {
    let multiplicities = sizes.columns.saturating_sub(sizes.word_columns);
    let lookups = format!(
        "{} on each row, {} fractions in {}",
        counted(sizes.lookup_slots, "lookup"),
        count(sizes.leaves),
        counted(sizes.layers, "layer")
    );
    let gates = format!(
        "{} and {} on each row, proven {}",
        counted(sizes.product_gates, "product"),
        counted(sizes.linear_gates, "linear gate"),
        match sizes.gates {
            Gates::Relations => "as relations".to_owned(),
            Gates::Halo2 => format!("by a halo2 circuit of {}", columns(sizes.gated_columns)),
        }
    );
    let rows: [(&str, String); 6] = [
        (
            "columns",
            format!(
                "{} of words, {multiplicities} of multiplicities (for {})",
                sizes.word_columns,
                counted(sizes.table_rows, "table row")
            ),
        ),
        ("lookups", if sizes.lookup_slots > 0 { lookups } else { "none".into() }),
        ("gates", if sizes.product_gates + sizes.linear_gates > 0 { gates } else { "none".into() }),
        ("contractions", counted(sizes.contraction_rounds, "round")),
        (
            "messages",
            format!("{}, {} of hidden values", counted(sizes.pieces, "piece"), counted(sizes.pairs, "product")),
        ),
        ("opening", format!("{} folded in {}", columns(sizes.opening_columns), counted(sizes.fold_rounds, "round"))),
    ];
    pairs_table("Circuit", &rows)
}

/// Names and values.
fn pairs_table(label: &str, rows: &[(&str, String)]) -> Markup {
    scroll(
        label,
        "narrow",
        &html! {
            table { tbody { @for (name, value) in rows { tr { th class="l" scope="row" { (name) } td class="l" { (value) } } } } }
        },
    )
}

fn time(report: &Report) -> Markup {
    let Some(measured) = &report.measured else {
        return html! {
            p { "Nothing was measured (" code { "--no-measure" } "). The cost model predicts " (seconds(report.sizes.predicted_seconds)) " to prove on two cores." }
        };
    };
    html! {
        p { (how(report, measured)) }
        (picture(&flame_picture::draw(&measured.stages), true))
        h3 { "Stages" }
        (scroll("Stages", "narrow", &html! {
            table {
                thead { tr { th class="l" scope="col" { "stage" } th scope="col" { "time" } th scope="col" { "share" } th scope="col" { "of its own" } } }
                tbody { @for stage in &measured.stages { (stage_rows(stage, 0, stage.seconds)) } }
            }
        }))
    }
}

fn how(report: &Report, measured: &Measured) -> String {
    let spread = &measured.prove;
    let cpu = measured.environment.cpu.as_deref().unwrap_or("an unknown processor");
    let inputs = if measured.made_up { "pseudo-random inputs" } else { "the given inputs" };
    let runs = if spread.count == 1 { "1 run".to_owned() } else { format!("{} runs", spread.count) };
    format!(
        "{runs} on {inputs}, {} threads, {cpu}; every proof was verified. Proving took {} (median; {} to {}), predicted {}. The bars are the median run; point at \
         one for its share.",
        measured.threads,
        seconds(spread.median),
        seconds(spread.min),
        seconds(spread.max),
        seconds(report.sizes.predicted_seconds),
    )
}

/// A stage and those within it; shares are of the outermost.
fn stage_rows(stage: &Stage, depth: usize, whole: f64) -> Markup {
    html! {
        tr {
            td class="l" style={ "padding-left:" (6 + 18 * depth) "px" } { (stage.name) }
            td { (seconds(stage.seconds)) }
            td { @if depth > 0 && whole > 0.0 { (percent(stage.seconds / whole)) } }
            td { @if !stage.within.is_empty() { (seconds(stage.own())) } }
        }
        @for inner in &stage.within { (stage_rows(inner, depth + 1, whole)) }
    }
}

fn sizes(report: &Report) -> Markup {
    let sizes = &report.sizes;
    let zkv = match sizes.private_weights {
        true => format!("{}, and the registration proof", bytes(sizes.zkv)),
        false => bytes(sizes.zkv),
    };
    let mut rows: Vec<(&str, String)> = vec![
        ("model file (.zkq)", bytes(sizes.zkq)),
        ("verifier's file (.zkv)", zkv),
        ("proof", bytes(usize::try_from(sizes.proof).unwrap_or(0))),
        ("parameters", format!("{} in {}", sizes.parameters, columns(sizes.parameter_columns))),
        ("rows", format!("2^{} = {}", sizes.k, 1_u64 << sizes.k)),
        ("committed columns", format!("{}, {} of words", sizes.columns, sizes.word_columns)),
        ("cells of words", format!("{}, {} looked up", sizes.cells, sizes.lookups)),
        ("relations", sizes.relations.to_string()),
        ("multiply-accumulates", sizes.macs.to_string()),
        ("peak memory, predicted", bytes(sizes.predicted_memory)),
    ];
    if let Some(measured) = &report.measured {
        rows.insert(3, ("statement", bytes(measured.statement)));
        rows.push(("peak memory, making keys", peak(measured.prepare_peak)));
        rows.push(("peak memory, proving", peak(measured.prove_peak)));
        rows.push(("model id", measured.model_id.clone()));
    }
    pairs_table("Sizes", &rows)
}

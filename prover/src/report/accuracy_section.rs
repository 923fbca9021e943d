//! The part of the page about values and errors.

use super::{
    accuracy::{Accuracy, Values},
    histogram_picture,
    layers::{Kind, Layer},
    numbers::{percent, real},
    page::scroll,
    svg::clean,
    Report,
};
use maud::{html, Markup};
use zkonnx_quantize::report::{AccuracyReport, OutputReport, TensorReport};

pub(super) fn section(report: &Report) -> Markup {
    let Some(accuracy) = &report.accuracy else {
        return html! {
            p {
                "No samples were given, so nothing is known of the values. " code { "--inputs SAMPLES.npz" } " adds a histogram of every layer and what is clamped; with "
                code { "--onnx MODEL.onnx" } " also the error of every layer against the float model."
            }
        };
    };
    let rows = report.layers.iter().zip(&accuracy.layers).enumerate();
    let table = html! {
        table {
            thead { tr {
                th class="l" scope="col" { "layer" } th class="l" scope="col" { "values" } th scope="col" { "smallest" } th scope="col" { "largest" }
                th scope="col" { "mean" } th scope="col" { "deviation" } th scope="col" { "at lower bound" } th scope="col" { "at upper bound" }
                @if accuracy.against.is_some() {
                    th scope="col" { "saturated" } th scope="col" { "headroom" } th scope="col" { "SQNR" } th scope="col" { "RMS error" }
                }
            } }
            tbody { @for (i, (layer, values)) in rows { (row(report, accuracy, i, layer, values)) } }
        }
    };
    html! {
        p {
            (accuracy.samples) @if accuracy.samples == 1 { " sample" } @else { " samples" } ", " (accuracy.clamped_inputs)
            " input values outside of their declared range. Values are in real units; heights of bars are square roots of counts. "
            "Values at a bound are those that a layer's own clamp or table cuts: the zeros of a ReLU are among them."
        }
        @match &accuracy.against {
            None => p class="note" { "Without the float model (" code { "--onnx MODEL.onnx" } ") there is no error to show." },
            Some(against) => {
                p class="note" {
                    "Against the float model: " em { "saturated" } " values are cut though the float model's lie beyond; " em { "headroom" } " is bits between what is possible and what was "
                    "seen; " em { "SQNR" } " is signal to quantisation noise. They are there for layers whose values the float model has too."
                }
                (outputs(against))
            }
        }
        (scroll("Values of layers", "", &table))
    }
}

/// The comparison of a layer with the float model.
fn compared<'a>(report: &Report, accuracy: &'a Accuracy, layer: usize) -> Option<&'a TensorReport> {
    let inputs = report.layers.iter().take_while(|l| l.kind == Kind::Input).count();
    accuracy.against.as_ref()?.tensors.get(layer.checked_sub(inputs)?)
}

fn row(report: &Report, accuracy: &Accuracy, number: usize, layer: &Layer, values: &Values) -> Markup {
    let share = |share: f64| if share > 0.0 { percent(share) } else { String::new() };
    let tensor = compared(report, accuracy, number);
    html! {
        tr {
            td class="l w" { (clean(&layer.name)) }
            td class="l" { (histogram_picture::small(number, values)) }
            td { (real(values.low)) } td { (real(values.high)) } td { (real(values.mean)) } td { (real(values.deviation)) }
            td { (share(values.at_low)) } td { (share(values.at_high)) }
            @if accuracy.against.is_some() {
                @match tensor {
                    None => { td {} td {} td {} td {} }
                    Some(tensor) => {
                        td { (share(tensor.saturated_share)) }
                        td { (format!("{:.1} bits", tensor.headroom_bits)) }
                        td { (tensor.sqnr_db.map_or_else(String::new, |db| format!("{db:.1} dB"))) }
                        td { (tensor.rms_error.map_or_else(String::new, real)) }
                    }
                }
            }
        }
    }
}

/// The outputs against the float model's.
fn outputs(against: &AccuracyReport) -> Markup {
    let line = |output: &OutputReport| match output.integer {
        true => format!("integers, equal in {} of samples", percent(output.top1_agreement)),
        false => format!(
            "range {} to {}, mean error {}, largest error {} ({} of the range), top-1 agreement {}",
            real(output.float_lo),
            real(output.float_hi),
            real(output.mean_error),
            real(output.max_error),
            percent(output.error_share),
            percent(output.top1_agreement)
        ),
    };
    html! { ul { @for output in &against.outputs { li { "output " strong { (clean(&output.name)) } ": " (line(output)) } } } }
}

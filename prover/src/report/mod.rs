//! A model's report: its graph, the layout of its circuit, where proving time goes, what its values are, and sizes; as one page of HTML
//! without scripts or anything from elsewhere, as single pictures, and as numbers.
//!
//! Names in it come from a model's file, which may be a stranger's: they are escaped wherever they stand.

pub mod accuracy;
mod accuracy_section;
mod colour;
pub mod flame_picture;
pub mod graph_picture;
pub mod histogram_picture;
pub mod layers;
pub mod layout;
pub mod layout_picture;
pub mod measured;
mod numbers;
mod page;
mod place;
pub mod png;
mod sizes;
pub mod stages;
pub mod svg;

pub use accuracy::{Accuracy, AccuracyError};
pub use layers::Layer;
pub use layout::Layout;
pub use layout_picture::By;
pub use measured::Measured;
pub use png::Rasteriser;
pub use sizes::Sizes;
pub use svg::Picture;

use layout::Area;
use serde::Serialize;
use zkonnx_circuits::compiled::CompiledModel;
use zkonnx_quantize::model::QuantizedModel;

/// Version of the numbers.
pub const REPORT_FORMAT: u16 = 2;

/// Everything that is known of a model.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// [`REPORT_FORMAT`].
    pub format: u16,
    /// The file's name.
    pub name: String,
    /// Sizes and predictions.
    pub sizes: Sizes,
    /// Inputs, nodes, outputs.
    pub layers: Vec<Layer>,
    /// How full the circuit's columns are, by kind.
    pub areas: Vec<AreaFill>,
    /// The layout, for the picture.
    #[serde(skip)]
    pub layout: Layout,
    /// What was measured.
    pub measured: Option<Measured>,
    /// Values on samples.
    pub accuracy: Option<Accuracy>,
}

/// How full columns of one kind are.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct AreaFill {
    /// The kind.
    pub area: Area,
    /// How many columns.
    pub columns: usize,
    /// Cells that hold something.
    pub used: usize,
    /// Cells that could.
    pub usable: usize,
}

impl Report {
    /// The report of a compiled model that comes from a file of so many bytes.
    #[must_use]
    pub fn new(name: &str, file: usize, model: &QuantizedModel, compiled: &CompiledModel) -> Self {
        let layout = Layout::new(compiled);
        let fill = |area: Area| {
            let (used, usable) = layout.fill(area);
            AreaFill { area, columns: layout.area(area).count(), used, usable }
        };
        Self {
            format: REPORT_FORMAT,
            name: name.to_owned(),
            sizes: Sizes::new(file, model, compiled),
            layers: layers::layers(compiled),
            areas: Area::ALL.into_iter().map(fill).filter(|fill| fill.columns > 0).collect(),
            layout,
            measured: None,
            accuracy: None,
        }
    }

    /// Adds what was measured, and shares it out to the layers.
    pub fn set_measured(&mut self, measured: Measured) {
        layers::share_time(&mut self.layers, &measured.evaluate, measured.shown());
        self.measured = Some(measured);
    }

    /// The page.
    #[must_use]
    pub fn to_html(&self) -> String {
        page::page(self).into_string()
    }

    /// The pictures that there are, by name.
    #[must_use]
    pub fn pictures(&self) -> Vec<(&'static str, Picture)> {
        let mut pictures = vec![
            ("graph", graph_picture::draw(&self.layers)),
            ("layout-by-gadget", layout_picture::draw(&self.layout, &self.layers, By::Gadget)),
            ("layout-by-layer", layout_picture::draw(&self.layout, &self.layers, By::Layer)),
        ];
        pictures.extend(self.measured.as_ref().map(|m| ("time", flame_picture::draw(&m.stages))));
        pictures.extend(self.accuracy.as_ref().map(|a| ("histograms", histogram_picture::draw(&self.layers, a))));
        pictures
    }
}

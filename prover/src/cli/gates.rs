//! How gates are proven, as an option; and layouts in words.

use clap::ValueEnum;
use zkonnx_quantize::model::{Gates, LayoutChoice};

/// The values of `--gates`.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum GatesOption {
    /// As relations of the linear part: short proofs, no halo2 key
    Relations,
    /// By a halo2 proof beside it
    Halo2,
}

impl From<GatesOption> for Gates {
    fn from(option: GatesOption) -> Self {
        match option {
            GatesOption::Relations => Self::Relations,
            GatesOption::Halo2 => Self::Halo2,
        }
    }
}

/// A layout in words.
pub(super) fn layout_text(layout: LayoutChoice) -> String {
    let LayoutChoice { k, limb_bits, gates } = layout;
    format!("k = {k}, limbs of {limb_bits} bits, gates by {gates}")
}

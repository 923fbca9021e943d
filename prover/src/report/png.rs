//! Pictures as PNG.
//!
//! Letters come from a font that is part of the program, so a picture looks the same on every machine; what that font lacks is taken from
//! the system's fonts, where there are any.

use super::svg::Picture;
use resvg::{
    tiny_skia::{Color, Pixmap, Transform},
    usvg::{fontdb::Database, Options, Tree},
};
use std::sync::Arc;

/// Pixels for each pixel of the SVG.
const SCALE: f32 = 2.0;
/// A picture has no more pixels than this: larger ones are drawn smaller.
const MOST_PIXELS: f32 = 3.0e7;
/// No side is longer.
const LONGEST: f32 = 20_000.0;

/// A picture that cannot be drawn.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PngError {
    /// The SVG is not understood.
    #[error("the picture is no SVG: {0}")]
    Svg(String),
    /// No area.
    #[error("the picture is empty, or too large")]
    Size,
    /// Encoding.
    #[error("PNG: {0}")]
    Png(String),
}

/// Draws pictures.
#[derive(Debug)]
pub struct Rasteriser {
    fonts: Arc<Database>,
}

impl Default for Rasteriser {
    fn default() -> Self {
        Self::new()
    }
}

impl Rasteriser {
    /// With the fonts of the program and the system.
    #[must_use]
    pub fn new() -> Self {
        let mut fonts = Database::new();
        fonts.load_font_data(epaint_default_fonts::UBUNTU_LIGHT.to_vec());
        let family = fonts.faces().next().and_then(|face| face.families.first()).map(|(name, _)| name.clone());
        fonts.load_system_fonts();
        if let Some(family) = family {
            fonts.set_sans_serif_family(family);
        }
        Self { fonts: Arc::new(fonts) }
    }

    /// The PNG file of a picture, on white.
    ///
    /// # Errors
    /// [`PngError`] when it has no area or is not drawn.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // within limits
    pub fn png(&self, picture: &Picture) -> Result<Vec<u8>, PngError> {
        let options =
            Options { fontdb: Arc::clone(&self.fonts), font_family: "sans-serif".into(), ..Options::default() };
        let tree = Tree::from_str(&picture.to_svg(), &options).map_err(|e| PngError::Svg(e.to_string()))?;
        let (width, height) = (tree.size().width(), tree.size().height());
        let scale = SCALE.min((MOST_PIXELS / (width * height)).sqrt()).min(LONGEST / width.max(height));
        let side = |length: f32| (length * scale).ceil().max(1.0) as u32;
        let mut pixels = Pixmap::new(side(width), side(height)).ok_or(PngError::Size)?;
        pixels.fill(Color::WHITE);
        resvg::render(&tree, Transform::from_scale(scale, scale), &mut pixels.as_mut());
        pixels.encode_png().map_err(|e| PngError::Png(e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::svg::{text, Style};

    #[test]
    fn text_is_drawn_without_fonts_of_the_system() {
        let mut rasteriser = Rasteriser::new();
        let fonts = Arc::make_mut(&mut rasteriser.fonts);
        let system: Vec<_> = fonts.faces().skip(1).map(|face| face.id).collect();
        system.into_iter().for_each(|id| fonts.remove_face(id));
        let dark = |content: &str| {
            let body = text(4.0, 16.0, Style::Plain, content);
            let png =
                rasteriser.png(&Picture { title: String::new(), width: 60.0, height: 20.0, body }).expect("an SVG");
            let pixels = Pixmap::decode_png(&png).expect("a PNG");
            assert_eq!((pixels.width(), pixels.height()), (120, 40));
            pixels.pixels().iter().filter(|pixel| pixel.red() < 128).count()
        };
        assert_eq!(dark(""), 0);
        assert!(dark("conv1") > 50);
    }
}

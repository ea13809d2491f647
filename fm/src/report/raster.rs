//! **Rasters**: pictures made of pixels, as PNG.
//!
//! Densities and digits are small arrays of levels, so they are stored as
//! indexed PNG: one byte a pixel, and a table that says how each level looks.

use super::palette::Rgb;
use png::{BitDepth, ColorType, Compression, Encoder};

/// What the 256 levels of an indexed picture look like: colour and opacity.
pub(super) struct Levels {
    colours: Vec<u8>,
    opacities: Vec<u8>,
}

impl Levels {
    pub(super) fn new(level: impl Fn(u8) -> (Rgb, u8)) -> Self {
        let (colours, opacities): (Vec<Rgb>, Vec<u8>) = (0..=u8::MAX).map(level).unzip();
        Self {
            colours: colours.concat(),
            opacities,
        }
    }
}

/// An indexed picture as the bytes of a PNG file; `pixels` line by line from
/// the top left.
///
/// # Panics
/// If `pixels` does not have `width × height` entries, or either is 0.
pub(super) fn encode(pixels: &[u8], width: usize, height: usize, levels: &Levels) -> Vec<u8> {
    assert!(
        width > 0 && pixels.len() == width * height,
        "{} pixels for a picture of {width} by {height}",
        pixels.len()
    );
    let size = |n: usize| u32::try_from(n).expect("a picture has fewer than 2^32 pixels a side");
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, size(width), size(height));
    encoder.set_color(ColorType::Indexed);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(Compression::High);
    encoder.set_palette(levels.colours.as_slice());
    if levels.opacities.iter().any(|&a| a != u8::MAX) {
        encoder.set_trns(levels.opacities.as_slice());
    }
    let mut writer = encoder
        .write_header()
        .expect("the header of a non-empty indexed picture is valid");
    writer
        .write_image_data(pixels)
        .expect("the pixels fit the header, and memory can be written");
    writer.finish().expect("memory can be written");
    file
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Width, height and the levels of an indexed PNG.
    pub(in crate::report) fn decode(file: &[u8]) -> (usize, usize, Vec<u8>) {
        let decoder = png::Decoder::new(std::io::Cursor::new(file));
        let mut reader = decoder.read_info().expect("a PNG");
        let mut pixels = vec![0; reader.output_buffer_size().expect("fits memory")];
        let info = reader.next_frame(&mut pixels).expect("one frame");
        (info.width as usize, info.height as usize, pixels)
    }

    #[test]
    fn pixels_survive_the_file() {
        let levels = Levels::new(|v| ([v, 0, 255 - v], v));
        let pixels: Vec<u8> = (0..=5).collect();
        let file = encode(&pixels, 3, 2, &levels);
        let decoded = decode(&file);
        assert_eq!((decoded.0, decoded.1), (3, 2));
        assert_eq!(file, encode(&pixels, 3, 2, &levels));
    }
}

//! QR codes as `data:` URIs: pictures that a web page shows without asking anybody else to draw the secret.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use qrcode::render::svg;
use qrcode::{Color, EcLevel, QrCode as Symbol};

/// A QR code of a text, with the quiet zone of four modules that scanners need.
pub(crate) struct QrCode(Symbol);

impl QrCode {
    /// The code of a text, with medium error correction if it fits, otherwise with the lowest.
    ///
    /// # Errors
    /// When the text is longer than a QR code can hold: 2953 bytes.
    pub(crate) fn new(text: &str) -> Result<Self, TextTooLong> {
        Symbol::with_error_correction_level(text, EcLevel::M)
            .or_else(|_| Symbol::with_error_correction_level(text, EcLevel::L))
            .map(Self)
            .map_err(|_| TextTooLong)
    }

    /// The picture as `data:image/svg+xml;base64,...`.
    #[must_use]
    pub(crate) fn svg_data_uri(&self) -> String {
        let side = u32::from(MODULE_PIXELS);
        let picture = self
            .0
            .render::<svg::Color<'_>>()
            .module_dimensions(side, side)
            .build();
        format!("data:image/svg+xml;base64,{}", STANDARD.encode(picture))
    }

    /// The picture as `data:image/png;base64,...`: black and white, eight pixels a module.
    #[must_use]
    pub(crate) fn png_data_uri(&self) -> String {
        format!("data:image/png;base64,{}", STANDARD.encode(self.png()))
    }

    fn png(&self) -> Vec<u8> {
        let rows = self.rows();
        let side = u32::try_from(rows.len()).expect("a QR code has at most 177 modules a side")
            * u32::from(MODULE_PIXELS);
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, side, side);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::One);
        // Eight pixels a module and one bit a pixel make one byte a module.
        let pixels: Vec<u8> = rows
            .iter()
            .flat_map(|row| std::iter::repeat_n(row, usize::from(MODULE_PIXELS)))
            .flatten()
            .copied()
            .collect();
        encoder
            .write_header()
            .and_then(|mut writer| writer.write_image_data(&pixels))
            .expect("writing to memory does not fail, and the picture has the size announced");
        file
    }

    /// One byte a module, all ones for light and all zeros for dark, the quiet zone included.
    fn rows(&self) -> Vec<Vec<u8>> {
        let width = self.0.width();
        let blank = vec![LIGHT; width + 2 * QUIET_ZONE];
        let colors = self.0.to_colors();
        let inner = colors.chunks_exact(width).map(|modules| {
            let mut row = blank.clone();
            for (pixel, color) in row[QUIET_ZONE..].iter_mut().zip(modules) {
                *pixel = if *color == Color::Dark { DARK } else { LIGHT };
            }
            row
        });
        let margin = || std::iter::repeat_n(blank.clone(), QUIET_ZONE);
        margin().chain(inner).chain(margin()).collect()
    }
}

impl fmt::Debug for QrCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("QrCode(..)")
    }
}

/// The text does not fit in any QR code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text is too long for a QR code")]
pub(crate) struct TextTooLong;

const QUIET_ZONE: usize = 4;
const MODULE_PIXELS: u8 = 8;
const LIGHT: u8 = 0xff;
const DARK: u8 = 0;

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "otpauth://totp/test-issuer:John?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=test-issuer";

    fn payload<'t>(uri: &'t str, prefix: &str) -> Vec<u8> {
        let encoded: &'t str = uri.strip_prefix(prefix).unwrap();
        STANDARD.decode(encoded).unwrap()
    }

    #[test]
    fn the_png_shows_every_module_eight_pixels_wide() {
        let code = QrCode::new(TEXT).unwrap();
        let file = payload(&code.png_data_uri(), "data:image/png;base64,");
        let mut reader = png::Decoder::new(std::io::Cursor::new(&file))
            .read_info()
            .unwrap();
        let side = u32::try_from((code.0.width() + 8) * 8).unwrap();
        assert_eq!((reader.info().width, reader.info().height), (side, side));
        assert_eq!(reader.info().bit_depth, png::BitDepth::One);
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        let row_length = code.0.width() + 8;
        for y in 0..row_length * 8 {
            for x in 0..row_length {
                let (module_x, module_y) = (x.checked_sub(4), (y / 8).checked_sub(4));
                let dark = match (module_x, module_y) {
                    (Some(x), Some(y)) if x < code.0.width() && y < code.0.width() => {
                        code.0[(x, y)] == Color::Dark
                    }
                    _ => false,
                };
                assert_eq!(pixels[y * row_length + x], if dark { 0 } else { 0xff }, "{x},{y}");
            }
        }
    }

    #[test]
    fn the_svg_has_the_same_size_and_a_quiet_zone() {
        let code = QrCode::new(TEXT).unwrap();
        let svg = String::from_utf8(payload(&code.svg_data_uri(), "data:image/svg+xml;base64,")).unwrap();
        let side = (code.0.width() + 8) * 8;
        assert!(
            svg.contains(&format!("viewBox=\"0 0 {side} {side}\"")),
            "{}",
            &svg[..200]
        );
        // The first dark module is the corner of the finder pattern, four modules in.
        assert!(svg.contains("d=\"M32 32h8v8H32V32"), "{}", &svg[..400]);
    }

    #[test]
    fn a_text_that_fits_no_code_is_refused() {
        assert!(QrCode::new(&"x".repeat(2953)).is_ok());
        assert_eq!(QrCode::new(&"x".repeat(2954)).unwrap_err(), TextTooLong);
    }

    /// Version 20 with medium error correction holds so many bytes, of letters that have no shorter form.
    #[test]
    fn the_longest_uri_is_as_long_as_a_code_of_version_20() {
        let longest = crate::crypto::otpauth::OtpauthUri::LONGEST;
        for (length, expected) in [(longest, 20), (longest + 1, 21)] {
            let QrCode(symbol) = QrCode::new(&"x".repeat(length)).unwrap();
            assert_eq!(symbol.version(), qrcode::Version::Normal(expected));
        }
    }

    #[test]
    fn the_longest_uri_of_a_factor_fits() {
        let uri = crate::crypto::otpauth::OtpauthUri {
            secret: crate::crypto::totp::TotpSecret::from_base32(&"A".repeat(204)).unwrap(),
            issuer: Some("\u{1f989}".repeat(64)),
            label: "\u{1f989}".repeat(64),
            algorithm: crate::domain::totp_algorithm::TotpAlgorithm::Sha512,
            digits: 8,
            period: 60,
        };
        let text = uri.to_text();
        assert!(text.len() > 650, "{}", text.len());
        let QrCode(symbol) = QrCode::new(&text).unwrap();
        assert_eq!(symbol.error_correction_level(), EcLevel::M);
        let qrcode::Version::Normal(version) = symbol.version() else {
            panic!("a tiny code")
        };
        assert!(version <= 20, "{version}");
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", QrCode::new(TEXT)), "Ok(QrCode(..))");
    }
}

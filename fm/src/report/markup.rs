//! **Markup**: the few strings from which pages and pictures are assembled.
//!
//! A report is read by a browser, so every text that comes from outside
//! passes through [`escape`], and every number through one of the formatters
//! here. They write the same bytes on every machine.

use std::fmt::Write as _;

/// Text made safe for an element's content and for a quoted attribute.
///
/// The five characters with a meaning in HTML become entities. Control
/// characters, which no HTML document may hold, become U+FFFD.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\n' | '\t' => safe.push(' '),
            c if c.is_control() => safe.push('\u{FFFD}'),
            c => safe.push(c),
        }
    }
    safe
}

/// A coordinate inside a picture, to a tenth of a unit and as short as it can
/// be: `3`, `-0.5`, `12.3`.
pub(super) fn coordinate(value: f64) -> String {
    let tenths = (value * 10.0).round();
    if tenths == 0.0 {
        return "0".to_owned();
    }
    let text = format!("{:.1}", tenths / 10.0);
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// Two coordinates, as the data of an SVG path wants them.
pub(super) fn point(x: f64, y: f64) -> String {
    format!("{} {}", coordinate(x), coordinate(y))
}

/// A measured value for a reader: `digits` significant digits, plain from
/// 0.001 to 99 999 and as a power of ten outside.
pub(super) fn significant(value: f64, digits: usize) -> String {
    if value.is_nan() {
        return "not a number".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "∞" } else { "−∞" }.to_owned();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    // Rounding may carry into the next power of ten, so the exponent is read
    // off the rounded text rather than off a logarithm.
    let rounded = format!("{:.*e}", digits.saturating_sub(1), value.abs());
    let (mantissa, exponent) = rounded.split_once('e').unwrap_or((&rounded, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if value < 0.0 { "−" } else { "" };
    if (-3..5).contains(&exponent) {
        let decimals = (digits as i32 - 1 - exponent).max(0) as usize;
        format!("{sign}{:.decimals$}", value.abs())
    } else {
        format!("{sign}{mantissa}·10{}", superscript(exponent))
    }
}

/// A time for a reader, to a hundredth and as short as it can be: `0.5`.
pub(super) fn time(t: f64) -> String {
    let text = format!("{t:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// An integer raised: `-12` becomes `⁻¹²`.
pub(super) fn superscript(exponent: i32) -> String {
    exponent
        .to_string()
        .chars()
        .map(|c| match c {
            '-' => '⁻',
            '1' => '¹',
            '2' => '²',
            '3' => '³',
            '0' => '⁰',
            // The other superscript digits lie in a row in Unicode.
            digit => char::from_u32(0x2070 + digit as u32 - '0' as u32).unwrap_or(digit),
        })
        .collect()
}

/// A count, its thousands set apart by a narrow space: `12 000`.
pub(super) fn count(n: usize) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, c) in digits.chars().enumerate() {
        // Four digits are read at a glance and stay together.
        if i > 0 && digits.len() > 4 && (digits.len() - i).is_multiple_of(3) {
            text.push('\u{202F}');
        }
        text.push(c);
    }
    text
}

/// A count with its noun: `1 point`, `7 points`.
pub(super) fn counted(n: usize, noun: &str) -> String {
    let ending = if n == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", count(n))
}

/// A PNG as the address of an `<img>` or `<image>`: the picture travels inside
/// the page.
pub(super) fn data_uri(png: &[u8]) -> String {
    use base64::Engine as _;
    let mut uri = String::from("data:image/png;base64,");
    base64::engine::general_purpose::STANDARD.encode_string(png, &mut uri);
    uri
}

/// The open tag of a picture, `role="img"` and described for those who do not
/// see it. The caller closes it.
pub(super) fn open_svg(width: f64, height: f64, description: &str) -> String {
    format!(
        "<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">",
        coordinate(width),
        coordinate(height),
        escape(description)
    )
}

/// One entry of a legend: a small drawing and what it stands for. `mark` is
/// the inside of an SVG of 28 by 14 units.
pub(super) fn legend_entry(mark: &str, text: &str) -> String {
    let mut entry = String::from("<li><svg viewBox=\"0 0 28 14\" aria-hidden=\"true\">");
    let _ = write!(entry, "{mark}</svg>{}</li>", escape(text));
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_cannot_become_markup() {
        assert_eq!(
            escape("<b a=\"x\" c='y'>&\0\n"),
            "&lt;b a=&quot;x&quot; c=&#39;y&#39;&gt;&amp;\u{FFFD} "
        );
    }

    #[test]
    fn coordinates_are_short() {
        assert_eq!(coordinate(3.0), "3");
        assert_eq!(coordinate(-0.04), "0");
        assert_eq!(coordinate(-0.06), "-0.1");
        assert_eq!(coordinate(12.25), "12.3");
    }

    #[test]
    fn values_read_as_a_person_would_write_them() {
        assert_eq!(significant(0.19345, 3), "0.193");
        assert_eq!(significant(0.9999, 3), "1.00");
        assert_eq!(significant(99.96, 3), "100");
        assert_eq!(significant(-12.0, 3), "−12.0");
        assert_eq!(significant(3.39e-9, 2), "3.4·10⁻⁹");
        assert_eq!(significant(1.0e12, 2), "1.0·10¹²");
        assert_eq!(significant(f64::NAN, 2), "not a number");
        assert_eq!(significant(f64::NEG_INFINITY, 2), "−∞");
        assert_eq!(significant(0.0, 3), "0");
    }

    #[test]
    fn times_are_short() {
        assert_eq!(time(0.0), "0");
        assert_eq!(time(0.2), "0.2");
        assert_eq!(time(0.995), "0.99");
        assert_eq!(time(1.0), "1");
        assert_eq!(time(f64::NAN), "NaN");
    }

    #[test]
    fn counts_are_grouped_from_five_digits_on() {
        assert_eq!(count(0), "0");
        assert_eq!(count(1297), "1297");
        assert_eq!(count(12000), "12\u{202F}000");
        assert_eq!(count(1234567), "1\u{202F}234\u{202F}567");
        assert_eq!(counted(1, "point"), "1 point");
    }
}

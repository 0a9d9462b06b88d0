//! Determines the type of a plain YAML scalar by the rules of PyYAML (YAML 1.1), with the floats of
//! OmegaConf 2.3. For example, `yes` and `off` are booleans, `010` is 8, `1:30` is 90, `1e-3` is a
//! float, and dates are strings.

use crate::node::Node;

/// Returns the node of a plain scalar, or the text of an error for a number out of range.
pub(crate) fn resolve(text: &str) -> Result<Node, String> {
    if is_null(text) {
        return Ok(Node::Null);
    }
    if let Some(value) = yaml_bool(text) {
        return Ok(Node::Bool(value));
    }
    if is_int(text) {
        return int_value(text)
            .map(Node::Int)
            .ok_or_else(|| format!("the number {text} does not fit into 64 bits"));
    }
    if is_float(text) {
        return float_value(text)
            .map(Node::Float)
            .ok_or_else(|| format!("{text} cannot be read as a number"));
    }
    Ok(Node::Str(text.to_owned()))
}

/// Returns whether PyYAML's own rules (without OmegaConf's) read a plain scalar as a string. The
/// emitter writes a string plain only if it is read back as a string.
pub(crate) fn is_plain_string(text: &str) -> bool {
    !(is_null(text)
        || yaml_bool(text).is_some()
        || is_int(text)
        || is_yaml_float(text)
        || is_timestamp(text)
        || matches!(text, "<<" | "=" | "!" | "&" | "*"))
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

fn yaml_bool(text: &str) -> Option<bool> {
    match text {
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Some(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

fn unsigned(text: &str) -> &str {
    text.strip_prefix(['-', '+']).unwrap_or(text)
}

/// Returns whether the text is not empty and consists of digits of `radix` and `_`.
fn digits(text: &str, radix: u32) -> bool {
    !text.is_empty() && text.chars().all(|c| c == '_' || c.is_digit(radix))
}

/// Splits a base-60 number such as `12:30:59` (without its sign) into its parts, all of which but
/// the first are below 60.
fn sexagesimal(text: &str) -> Option<impl Iterator<Item = &str>> {
    let mut parts = text.split(':');
    let first = parts.next()?;
    let rest: Vec<&str> = parts.collect();
    let small = |part: &&str| {
        (1..=2).contains(&part.len())
            && part.bytes().all(|b| b.is_ascii_digit())
            && part.parse::<u8>().is_ok_and(|n| n < 60)
    };
    (!rest.is_empty() && first.starts_with(|c: char| c.is_ascii_digit()) && digits(first, 10))
        .then_some(())?;
    rest.iter().all(small).then(|| std::iter::once(first).chain(rest))
}

fn is_int(text: &str) -> bool {
    let body = unsigned(text);
    if let Some(bits) = body.strip_prefix("0b") {
        return !bits.is_empty() && bits.chars().all(|c| matches!(c, '0' | '1' | '_'));
    }
    if let Some(hex) = body.strip_prefix("0x") {
        return digits(hex, 16);
    }
    if let Some(octal) = body.strip_prefix('0') {
        return octal.is_empty() || digits(octal, 8);
    }
    if body.starts_with(|c: char| c.is_ascii_digit()) {
        return digits(body, 10) || sexagesimal(body).is_some();
    }
    false
}

fn int_value(text: &str) -> Option<i64> {
    let negative = text.starts_with('-');
    let body = unsigned(text).replace('_', "");
    let magnitude: i128 = if let Some(bits) = body.strip_prefix("0b") {
        i128::from_str_radix(bits, 2).ok()?
    } else if let Some(hex) = body.strip_prefix("0x") {
        i128::from_str_radix(hex, 16).ok()?
    } else if body != "0" && body.starts_with('0') {
        i128::from_str_radix(&body, 8).ok()?
    } else {
        body.split(':')
            .try_fold(0i128, |sum, part| sum.checked_mul(60)?.checked_add(part.parse().ok()?))?
    };
    i64::try_from(if negative { -magnitude } else { magnitude }).ok()
}

/// Returns whether the text is empty or matches `[eE][-+]?[0-9]+`, where the sign may be required.
fn is_exponent(text: &str, sign_needed: bool) -> bool {
    let Some(rest) = text.strip_prefix(['e', 'E']) else {
        return text.is_empty();
    };
    let number = unsigned(rest);
    (!sign_needed || number.len() < rest.len())
        && !number.is_empty()
        && number.bytes().all(|b| b.is_ascii_digit())
}

/// Splits a number before its exponent.
fn at_exponent(text: &str) -> (&str, &str) {
    text.split_at(text.find(['e', 'E']).unwrap_or(text.len()))
}

fn is_special_float(text: &str) -> bool {
    matches!(unsigned(text), ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN")
}

fn starts_with_digit(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
}

/// Returns whether PyYAML reads a float: it needs a decimal point, and a sign in the exponent.
fn is_yaml_float(text: &str) -> bool {
    if is_special_float(text) {
        return true;
    }
    let (mantissa, exponent) = at_exponent(text);
    if let Some(fraction) = mantissa.strip_prefix('.') {
        return starts_with_digit(fraction) && digits(fraction, 10) && is_exponent(exponent, true);
    }
    let Some((whole, fraction)) = unsigned(mantissa).split_once('.') else {
        return false;
    };
    let fraction_fits = fraction.is_empty() || digits(fraction, 10);
    let plain = starts_with_digit(whole) && digits(whole, 10) && is_exponent(exponent, true);
    fraction_fits && (plain || (exponent.is_empty() && sexagesimal(whole).is_some()))
}

/// Returns whether PyYAML or OmegaConf reads a float; OmegaConf requires neither the decimal point
/// nor the sign of the exponent.
fn is_float(text: &str) -> bool {
    if is_yaml_float(text) {
        return true;
    }
    let (mantissa, exponent) = at_exponent(text);
    let body = unsigned(mantissa);
    let (whole, fraction) = match body.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (body, None),
    };
    // Underscores are allowed one at a time, between digits.
    let grouped = starts_with_digit(whole)
        && whole
            .split('_')
            .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    match fraction {
        Some(fraction) => {
            grouped && (fraction.is_empty() || digits(fraction, 10)) && is_exponent(exponent, false)
        }
        None => grouped && !exponent.is_empty() && is_exponent(exponent, false),
    }
}

fn float_value(text: &str) -> Option<f64> {
    let lower = text.replace('_', "").to_ascii_lowercase();
    let negative = lower.starts_with('-');
    let magnitude = match unsigned(&lower) {
        ".inf" => f64::INFINITY,
        ".nan" => f64::NAN,
        body => body
            .split(':')
            .try_fold(0.0, |sum, part| Some(sum * 60.0 + part.parse::<f64>().ok()?))?,
    };
    Some(if negative { -magnitude } else { magnitude })
}

/// Returns whether PyYAML would read the text as a date, such as `2026-11-23`, with or without a
/// time.
fn is_timestamp(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digits = |range: std::ops::Range<usize>| {
        bytes.get(range).is_some_and(|part| part.iter().all(u8::is_ascii_digit))
    };
    if !digits(0..4) || bytes.get(4) != Some(&b'-') {
        return false;
    }
    if bytes.len() == 10 && digits(5..7) && bytes[7] == b'-' && digits(8..10) {
        return true;
    }
    // With a time, the month, the day and the hour have one or two digits, and minutes and seconds
    // two.
    let mut parts = text[5..].splitn(2, ['T', 't', ' ', '\t']);
    let (Some(day), Some(time)) = (parts.next(), parts.next()) else {
        return false;
    };
    let short =
        |part: &str| (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    let Some((month, day)) = day.split_once('-') else {
        return false;
    };
    if !short(month) || !short(day) {
        return false;
    }
    let time = time.trim_start_matches([' ', '\t']);
    let end = time.find(|c: char| !(c.is_ascii_digit() || c == ':')).unwrap_or(time.len());
    let (clock, zone) = time.split_at(end);
    let clock: Vec<&str> = clock.split(':').collect();
    let clock_fits = matches!(clock[..], [h, m, s] if short(h) && m.len() == 2 && s.len() == 2);
    let zone = match zone.strip_prefix('.') {
        Some(fraction) => fraction.trim_start_matches(|c: char| c.is_ascii_digit()),
        None => zone,
    };
    let zone = zone.trim_start_matches([' ', '\t']);
    let zone_fits = zone.is_empty()
        || zone == "Z"
        || zone.strip_prefix(['-', '+']).is_some_and(|offset| {
            let (hours, minutes) = offset.split_once(':').unwrap_or((offset, "00"));
            short(hours) && minutes.len() == 2 && minutes.bytes().all(|b| b.is_ascii_digit())
        });
    clock_fits && zone_fits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_do_not_fit_are_errors() {
        assert!(resolve("123456789012345678901234567890").is_err());
        assert_eq!(
            resolve("-9223372036854775808"),
            Ok(Node::Int(i64::MIN)),
            "the smallest 64-bit integer"
        );
    }

    #[test]
    fn strings_that_pyyaml_would_read_otherwise() {
        for text in ["2026-11-23", "2026-1-2 3:04:05", "2026-01-02T03:04:05.5 +09:00", "<<", "1.5"]
        {
            assert!(!is_plain_string(text), "{text}");
        }
        for text in ["2026-11", "20260-11-23", "2026-1-2", "1e5", "a"] {
            assert!(is_plain_string(text), "{text}");
        }
    }
}

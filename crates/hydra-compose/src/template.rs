//! Parses a string with interpolations into its parts, following OmegaConf's grammar.

use crate::error::Fault;
use crate::overrides::{interpolation_end, parse_value};
use crate::value::Value;

/// A piece of a string: literal text or an interpolation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fragment {
    Text(String),
    Interpolation(Interpolation),
}

/// The content of `${...}`. Its keys and names may contain interpolations themselves.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Interpolation {
    /// A reference to another node, such as `${a.b}` or `${..x}`.
    Node { dots: usize, keys: Vec<Vec<Fragment>> },
    /// A call of a resolver, `${name:argument,argument}`.
    Resolver { name: Vec<Fragment>, arguments: Vec<Argument> },
}

/// An argument of a resolver.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Argument {
    Value(Value),
    /// An argument that contains interpolations.
    Parts(Vec<Fragment>),
}

/// The limit of interpolations in one string. They are parsed recursively.
const MAX_INTERPOLATIONS: usize = 100;

/// Returns whether OmegaConf treats a string as an interpolation.
pub(crate) fn is_interpolation(text: &str) -> bool {
    text.contains("${")
}

/// Parses a string into its parts. No two literal texts are adjacent.
pub(crate) fn parse(text: &str) -> Result<Vec<Fragment>, Fault> {
    if text.matches("${").count() > MAX_INTERPOLATIONS {
        return Err(format!("the string has more than {MAX_INTERPOLATIONS} interpolations").into());
    }
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let before = &rest[..at];
        let backslashes = before.len() - before.trim_end_matches('\\').len();
        // Before `${`, two backslashes stand for one, and an odd one escapes the interpolation.
        plain.push_str(&before[..before.len() - backslashes]);
        plain.extend(std::iter::repeat_n('\\', backslashes / 2));
        rest = &rest[at..];
        if backslashes % 2 == 1 {
            plain.push_str("${");
            rest = &rest[2..];
            continue;
        }
        let end = interpolation_end(rest)
            .ok_or_else(|| format!("the interpolation `{rest}` is not closed with `}}`"))?;
        if !plain.is_empty() {
            parts.push(Fragment::Text(std::mem::take(&mut plain)));
        }
        parts.push(Fragment::Interpolation(interpolation(&rest[2..end - 1])?));
        rest = &rest[end..];
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        parts.push(Fragment::Text(plain));
    }
    Ok(parts)
}

/// Parses the text between `${` and `}`.
fn interpolation(text: &str) -> Result<Interpolation, Fault> {
    let inner = text.trim_matches([' ', '\t']);
    if let Some(colon) = outside(inner, ':') {
        let name = parse(inner[..colon].trim_end())?;
        let arguments = arguments(&inner[colon + 1..])?;
        return Ok(Interpolation::Resolver { name, arguments });
    }
    let path = inner.trim_start_matches('.');
    let dots = inner.len() - path.len();
    let keys = keys(path).ok_or_else(|| format!("`${{{text}}}` is not a path of keys"))?;
    let keys = keys.into_iter().map(parse).collect::<Result<_, _>>()?;
    Ok(Interpolation::Node { dots, keys })
}

/// Splits `a.b[c].d` into its keys, or returns `None` if the path is malformed.
fn keys(path: &str) -> Option<Vec<&str>> {
    let mut keys = Vec::new();
    let mut rest = path;
    loop {
        if let Some(inner) = rest.strip_prefix('[') {
            let end = outside(inner, ']')?;
            keys.push(&inner[..end]);
            rest = &inner[end + 1..];
        } else {
            let dot = outside(rest, '.').unwrap_or(rest.len());
            let bracket = outside(rest, '[').unwrap_or(rest.len());
            let (key, tail) = rest.split_at(dot.min(bracket));
            keys.push(key);
            rest = tail;
        }
        match rest.chars().next() {
            None => break,
            Some('.') => rest = &rest[1..],
            Some('[') => {}
            Some(_) => return None,
        }
    }
    let fits = |key: &&str| {
        !key.is_empty() && (key.contains("${") || !key.contains(|c| "\\{}()[]: \t'\"".contains(c)))
    };
    keys.iter().all(fits).then_some(keys)
}

/// Returns the offset of the first `wanted` that is not within `${}`, brackets or quotes.
fn outside(text: &str, wanted: char) -> Option<usize> {
    let mut depth = 0usize;
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, c) if c == wanted && depth == 0 => return Some(at),
            (None, '\'' | '"') => quote = Some(c),
            (None, '{' | '[') => depth += 1,
            (None, '}' | ']') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

fn arguments(text: &str) -> Result<Vec<Argument>, Fault> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let mut list = Vec::new();
    let mut rest = text;
    loop {
        let end = outside(rest, ',').unwrap_or(rest.len());
        list.push(argument(rest[..end].trim_matches([' ', '\t']))?);
        match rest.get(end + 1..) {
            Some(tail) => rest = tail,
            None => return Ok(list),
        }
    }
}

fn argument(text: &str) -> Result<Argument, Fault> {
    if !is_interpolation(text) {
        if text.is_empty() {
            return Ok(Argument::Value(Value::Str(String::new())));
        }
        return parse_value(text).map(Argument::Value);
    }
    let unquoted = ['\'', '"'].iter().find_map(|&quote| {
        let inner = text.strip_prefix(quote)?.strip_suffix(quote)?;
        (!inner.contains(quote)).then_some(inner)
    });
    parse(unquoted.unwrap_or(text)).map(Argument::Parts)
}

//! The values of overrides: parsing unquoted values, and writing values back for the jobs of a
//! sweep.

use crate::node::{Map, Node, python_float};

/// A value of an override. Quoted strings are a variant of their own, since a sweep writes their
/// quotes again.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(String),
    Quoted(String, char),
    List(Vec<Value>),
    Map(Vec<(String, Value)>),
}

impl Value {
    pub(crate) fn to_node(&self) -> Node {
        match self {
            Value::Null => Node::Null,
            Value::Bool(b) => Node::Bool(*b),
            Value::Int(i) => Node::Int(*i),
            Value::Float(f) => Node::Float(*f),
            Value::Str(s) | Value::Quoted(s, _) => Node::Str(s.clone()),
            Value::List(list) => Node::List(list.iter().map(Value::to_node).collect()),
            Value::Map(pairs) => {
                let mut map = Map::default();
                for (key, value) in pairs {
                    map.set(key, value.to_node());
                }
                Node::Map(map)
            }
        }
    }

    /// Returns the value in the syntax of an override, which is how a sweep passes values to its
    /// jobs.
    pub(crate) fn to_override(&self) -> String {
        match self {
            Value::Null => "null".to_owned(),
            Value::Bool(b) => if *b { "True" } else { "False" }.to_owned(),
            Value::Int(i) => i.to_string(),
            Value::Float(f) => python_float(*f),
            Value::Str(s) => escape(s),
            Value::Quoted(s, quote) => quote_again(s, *quote),
            Value::List(list) => {
                let items: Vec<String> = list.iter().map(Value::to_override).collect();
                format!("[{}]", items.join(","))
            }
            Value::Map(pairs) => {
                let items: Vec<String> = pairs
                    .iter()
                    .map(|(key, value)| format!("{}:{}", escape(key), value.to_override()))
                    .collect();
                format!("{{{}}}", items.join(","))
            }
        }
    }
}

/// The characters that an unquoted value escapes with a backslash.
pub(crate) const ESCAPED: &str = "\\()[]{}:=, \t";

/// Escapes every special character with a backslash.
fn escape(text: &str) -> String {
    if !text.contains(|c| ESCAPED.contains(c)) {
        return text.to_owned();
    }
    let mut out = String::new();
    for c in text.chars() {
        if ESCAPED.contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Quotes a text. Quotes in it are escaped, and backslashes before a quote or the end are doubled.
pub(crate) fn quote_again(text: &str, quote: char) -> String {
    let mut out = String::from(quote);
    let mut backslashes = 0;
    for c in text.chars().chain([quote]) {
        if c == '\\' {
            backslashes += 1;
            continue;
        }
        let doubled = if c == quote { 2 * backslashes } else { backslashes };
        out.extend(std::iter::repeat_n('\\', doubled));
        backslashes = 0;
        if c == quote {
            out.push('\\');
        }
        out.push(c);
    }
    // The last quote closes the string, so its backslash is removed.
    out.truncate(out.len() - 2);
    out.push(quote);
    out
}

/// An unquoted value whose escapes have been removed.
#[derive(Debug, Default)]
pub(crate) struct Unquoted {
    pub(crate) text: String,
    /// Whether the text had an escape or an interpolation, which makes it a string in any case.
    pub(crate) changed: bool,
    /// The number of bytes that trimming must keep, up to and including the last escaped character.
    kept: usize,
}

impl Unquoted {
    pub(crate) fn push_escaped(&mut self, c: char) {
        self.text.push(c);
        self.changed = true;
        self.kept = self.text.len();
    }

    /// Removes trailing spaces except escaped ones.
    pub(crate) fn trim(&mut self) {
        let trimmed = self.text.trim_end_matches([' ', '\t']).len();
        self.text.truncate(trimmed.max(self.kept));
    }

    /// Returns a number, a boolean or null if the text is exactly one, and otherwise a string. A
    /// number that does not fit into 64 bits is a string too; a setting that expects a number
    /// rejects it later.
    pub(crate) fn value(self) -> Value {
        let text = self.text;
        if self.changed {
            return Value::Str(text);
        }
        match text.to_ascii_lowercase().as_str() {
            "null" => return Value::Null,
            "true" => return Value::Bool(true),
            "false" => return Value::Bool(false),
            _ => {}
        }
        let plain = || text.replace('_', "");
        if is_int(&text)
            && let Ok(value) = plain().parse()
        {
            return Value::Int(value);
        }
        if is_float(&text)
            && let Ok(value) = plain().parse()
        {
            return Value::Float(value);
        }
        Value::Str(text)
    }
}

/// Returns whether the text consists of digits with single underscores between them.
fn is_digits(text: &str) -> bool {
    text.split('_').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
}

/// Returns whether the text is `0` or digits without a leading zero.
fn is_unsigned(text: &str) -> bool {
    text == "0" || (is_digits(text) && !text.starts_with('0'))
}

fn without_sign(text: &str) -> &str {
    text.strip_prefix(['-', '+']).unwrap_or(text)
}

fn is_int(text: &str) -> bool {
    is_unsigned(without_sign(text))
}

fn is_float(text: &str) -> bool {
    let body = without_sign(text).to_ascii_lowercase();
    if body == "inf" || body == "nan" {
        return true;
    }
    let (mantissa, exponent) = match body.split_once('e') {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (body.as_str(), None),
    };
    let mantissa_fits = match mantissa.split_once('.') {
        Some((whole, "")) => is_unsigned(whole),
        Some((whole, fraction)) => (whole.is_empty() || is_unsigned(whole)) && is_digits(fraction),
        None => exponent.is_some() && is_unsigned(mantissa),
    };
    mantissa_fits && exponent.is_none_or(|exponent| is_digits(without_sign(exponent)))
}

/// Lists the values of `range(stop)`, `range(start,stop)` or `range(start,stop,step)`, as Python
/// does.
pub(crate) fn range(arguments: &[Value]) -> Result<Vec<Value>, String> {
    const MOST: usize = 10_000;
    let number = |value: &Value| match value {
        Value::Int(i) => Ok(*i as f64),
        Value::Float(f) if f.is_finite() => Ok(*f),
        _ => Err("range takes numbers: range(start,stop,step)".to_owned()),
    };
    let (start, stop, step) = match arguments {
        [stop] => (&Value::Int(0), stop, &Value::Int(1)),
        [start, stop] => (start, stop, &Value::Int(1)),
        [start, stop, step] => (start, stop, step),
        _ => return Err("range takes numbers: range(start,stop,step)".to_owned()),
    };
    let (from, to, by) = (number(start)?, number(stop)?, number(step)?);
    // The count is reduced slightly because, for example, 0.3 / 0.1 is a little above 3.
    let count = ((to - from) / by - 1e-9).ceil();
    if by == 0.0 || count > MOST as f64 {
        return Err(format!("the range has step 0 or more than {MOST} values"));
    }
    let ints = [start, stop, step].iter().all(|v| matches!(v, Value::Int(_)));
    // Python counts decimals exactly; here they are rounded to the number of digits that was typed.
    let digits = [start, stop, step]
        .iter()
        .map(|v| v.to_override())
        .map(|text| text.split_once('.').map_or(0, |(_, fraction)| fraction.len()))
        .max()
        .unwrap_or(0);
    Ok((0..count.max(0.0) as usize)
        .map(|i| {
            let value = from + i as f64 * by;
            if ints {
                Value::Int(value as i64)
            } else {
                let text = format!("{value:.digits$}");
                Value::Float(text.parse().expect("a formatted number is a number: this is a bug"))
            }
        })
        .collect())
}

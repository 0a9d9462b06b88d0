//! The untyped tree of a config, with the containers and scalar types of OmegaConf.

use std::fmt::Write as _;

/// The placeholder of a mandatory value, which the user has to set.
pub(crate) const MANDATORY: &str = "???";

/// A value with its type. Interpolations are strings until they are resolved.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(String),
    List(Vec<Node>),
    Map(Map),
}

/// A mapping in the order in which its keys first appeared, which is the order of `--cfg job`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Map(pub(crate) Vec<(String, Node)>);

impl Map {
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, v)| v)
    }

    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.0.iter_mut().find(|(k, _)| k == key).map(|(_, v)| v)
    }

    /// Replaces the value of an existing key in place, or appends a new key.
    pub(crate) fn set(&mut self, key: &str, value: Node) {
        match self.get_mut(key) {
            Some(old) => *old = value,
            None => self.0.push((key.to_owned(), value)),
        }
    }

    pub(crate) fn remove(&mut self, key: &str) -> Option<Node> {
        let at = self.0.iter().position(|(k, _)| k == key)?;
        Some(self.0.remove(at).1)
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(k, _)| k.as_str())
    }

    /// Merges another mapping into this one as `OmegaConf.merge` does: mappings are merged key by
    /// key, lists and scalars are replaced, and a missing value (`???`) does not replace an
    /// existing one. Merging a list with a mapping returns the text of an error.
    pub(crate) fn merge(&mut self, other: Map) -> Result<(), String> {
        for (key, value) in other.0 {
            match (self.get_mut(&key), value) {
                (Some(Node::Map(mine)), Node::Map(theirs)) => mine.merge(theirs)?,
                (Some(mine @ (Node::Map(_) | Node::List(_))), value)
                    if matches!(value, Node::Map(_) | Node::List(_))
                        && mine.kind() != value.kind() =>
                {
                    return Err(format!(
                        "{key} is {} here and {} in another file",
                        value.kind(),
                        mine.kind()
                    ));
                }
                (Some(_), value) if value.is_missing() => {}
                (Some(mine), value) => *mine = value,
                (None, value) => self.0.push((key, value)),
            }
        }
        Ok(())
    }
}

impl Node {
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Node::Str(s) if s == MANDATORY)
    }

    /// Returns the child at a key of a mapping or at an index of a list.
    pub(crate) fn child(&self, key: &str) -> Option<&Node> {
        match self {
            Node::Map(map) => map.get(key),
            Node::List(list) => list.get(key.parse::<usize>().ok()?),
            _ => None,
        }
    }

    /// Returns the child at a key or an index, mutably.
    pub(crate) fn child_mut(&mut self, key: &str) -> Option<&mut Node> {
        match self {
            Node::Map(map) => map.get_mut(key),
            Node::List(list) => list.get_mut(key.parse::<usize>().ok()?),
            _ => None,
        }
    }

    /// Follows a path of keys and indices.
    pub(crate) fn select(&self, path: &[String]) -> Option<&Node> {
        path.iter().try_fold(self, |node, key| node.child(key))
    }

    /// Returns Python's `str()` of a scalar, which is what an interpolation inside a string
    /// inserts, or `None` for a list or a mapping.
    pub(crate) fn python_str(&self) -> Option<String> {
        Some(match self {
            Node::Null => "None".to_owned(),
            Node::Bool(b) => if *b { "True" } else { "False" }.to_owned(),
            Node::Int(i) => i.to_string(),
            Node::Float(f) => python_float(*f),
            Node::Str(s) => s.clone(),
            Node::List(_) | Node::Map(_) => return None,
        })
    }

    /// Returns the name of the value's type for error messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Node::Null => "null",
            Node::Bool(_) => "a boolean",
            Node::Int(_) | Node::Float(_) => "a number",
            Node::Str(_) => "a string",
            Node::List(_) => "a list",
            Node::Map(_) => "a mapping",
        }
    }
}

/// Formats a float as Python's `repr` does: the shortest digits that read back as the same number,
/// with an exponent below `1e-4` and from `1e16`.
pub(crate) fn python_float(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific
        .split_once('e')
        .expect("Rust's scientific format has an exponent: this is a bug");
    let exponent: i32 = exponent.parse().expect("Rust's exponent is a number: this is a bug");
    if (-4..16).contains(&exponent) {
        let mut plain = format!("{value}");
        if !plain.contains('.') {
            plain.push_str(".0");
        }
        return plain;
    }
    let mut text = digits.to_owned();
    let sign = if exponent < 0 { '-' } else { '+' };
    write!(text, "e{sign}{:02}", exponent.abs()).expect("writing to a String cannot fail");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_print_as_in_python() {
        // The expected strings are repr() of Python 3.11.
        for (value, expected) in [
            (0.1, "0.1"),
            (1.0, "1.0"),
            (2e-5, "2e-05"),
            (1e-4, "0.0001"),
            (0.00012, "0.00012"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.5e300, "1.5e+300"),
            (-0.0, "-0.0"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(python_float(value), expected);
        }
    }

    #[test]
    fn merging_keeps_order_and_what_is_given() {
        let map = |pairs: &[(&str, Node)]| {
            Map(pairs.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect())
        };
        let mut a = map(&[
            ("x", Node::Int(1)),
            ("y", Node::Map(map(&[("a", Node::Int(2))]))),
            ("z", Node::List(vec![Node::Int(3)])),
        ]);
        a.merge(map(&[
            ("y", Node::Map(map(&[("b", Node::Null)]))),
            ("x", Node::Str(MANDATORY.to_owned())),
            ("z", Node::List(vec![])),
        ]))
        .unwrap();
        assert!(a.merge(map(&[("y", Node::List(vec![]))])).is_err());
        let expected = map(&[
            ("x", Node::Int(1)),
            ("y", Node::Map(map(&[("a", Node::Int(2)), ("b", Node::Null)]))),
            ("z", Node::List(vec![])),
        ]);
        assert_eq!(a, expected);
    }
}

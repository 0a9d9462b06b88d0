//! Functions that append JSON to bytes without building a tree of values.

use super::tokens::TermNames;
use splade_sparse::SparseVector;

/// Appends a JSON string with quotes and escapes.
pub(crate) fn push_string(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a string into memory: this is a bug");
}

/// Appends formatted text to bytes, with the arguments of `format!`.
macro_rules! push {
    ($out:expr, $($format:tt)*) => {
        std::io::Write::write_fmt(&mut *$out, format_args!($($format)*))
            .expect("text into memory: this is a bug")
    };
}

/// Appends `{"token":1.5,…}`. A weight has the shortest decimals that parse to the same f32.
pub(crate) fn push_weights(out: &mut Vec<u8>, vector: &SparseVector, terms: &TermNames) {
    push_object(out, vector.iter().map(|(term, weight)| (terms.name(term), weight)));
}

/// Appends `{"key":value,…}`.
pub(crate) fn push_object<K: AsRef<str>, V: std::fmt::Display>(
    out: &mut Vec<u8>,
    pairs: impl Iterator<Item = (K, V)>,
) {
    out.push(b'{');
    for (place, (key, value)) in pairs.enumerate() {
        if place > 0 {
            out.push(b',');
        }
        push_string(out, key.as_ref());
        push!(out, ":{value}");
    }
    out.push(b'}');
}

/// Appends `{"indices":[…],"values":[…]}`.
pub(crate) fn push_lists(out: &mut Vec<u8>, vector: &SparseVector) {
    out.extend_from_slice(b"{\"indices\":[");
    push_list(out, vector.terms().iter());
    out.extend_from_slice(b"],\"values\":[");
    push_list(out, vector.weights().iter());
    out.extend_from_slice(b"]}");
}

/// Appends values with commas between them.
fn push_list<V: std::fmt::Display>(out: &mut Vec<u8>, values: impl Iterator<Item = V>) {
    for (place, value) in values.enumerate() {
        let comma = if place > 0 { "," } else { "" };
        push!(out, "{comma}{value}");
    }
}

/// Appends a line `{"id":"q1","body":…}`. `body` appends the body of the request to the search
/// search engine.
pub(crate) fn push_query(out: &mut Vec<u8>, id: &str, body: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(b"{\"id\":");
    push_string(out, id);
    out.extend_from_slice(b",\"body\":");
    body(out);
    out.extend_from_slice(b"}\n");
}

pub(crate) use push;

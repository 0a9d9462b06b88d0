//! Tests of the crate's public interface, in one binary.

/// Returns an error and what to do about it.
fn advice(error: &dyn std::fmt::Display, hint: Option<&str>) -> String {
    format!("{error}; {}", hint.unwrap_or_default())
}

mod export;
#[cfg(feature = "push")]
mod push;

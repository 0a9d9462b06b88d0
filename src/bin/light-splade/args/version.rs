//! What `--version` prints.

use std::sync::LazyLock;

/// The version, the commit if it is known, and what was built into the program.
pub(super) static LONG: LazyLock<String> = LazyLock::new(|| {
    let version = env!("CARGO_PKG_VERSION");
    let commit = option_env!("LIGHT_SPLADE_COMMIT");
    let commit = commit.map_or(String::new(), |commit| format!(" ({commit})"));
    let all = [
        ("hub", cfg!(feature = "hub")),
        ("otel", cfg!(feature = "otel")),
        ("push", cfg!(feature = "push")),
        ("serve", cfg!(feature = "serve")),
        ("unidic-lite", cfg!(feature = "unidic-lite")),
    ];
    let features: Vec<&str> = all.iter().filter(|(_, on)| *on).map(|(name, _)| *name).collect();
    let features = if features.is_empty() { "none".to_owned() } else { features.join(", ") };
    format!("{version}{commit}\nfeatures: {features}\nkernels: {}", splade_model::Isa::detect())
});

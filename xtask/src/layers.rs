//! `cargo xtask layers`: data flows one way, so each crate may use only the crates named here.
//!
//! Dependencies of tests and benches are free.

use std::path::Path;

use crate::files::Failure;
use crate::manifest::{Package, packages};

/// A crate that every other crate may use.
const BELOW_ALL: &str = "splade-io";

/// Each crate with the crates of this workspace that it may use, from the lowest layer up. The command line, the
/// package in the root, may use all of them, and none of them may use it.
const MAY_USE: &[(&str, &[&str])] = &[
    (BELOW_ALL, &[]),
    ("splade-demo-data", &[]),
    ("splade-unidic", &[]),
    ("splade-mini-ja-en", &[]),
    ("hydra-compose", &[]),
    // Whoever writes a page uses the one design of pages.
    ("splade-page", &[]),
    ("splade-logs", &["splade-page"]),
    ("splade-http", &[]),
    ("splade-nn", &[]),
    ("splade-sparse", &[]),
    ("splade-text", &["splade-unidic"]),
    // Whoever searches, exports or judges builds no model.
    ("splade-eval", &["splade-page", "splade-sparse"]),
    ("splade-export", &["splade-http", "splade-sparse"]),
    ("splade-index", &["splade-sparse"]),
    ("splade-data", &["hydra-compose", "splade-eval", "splade-sparse", "splade-text"]),
    ("splade-model", &["splade-http", "splade-nn", "splade-sparse", "splade-text"]),
    (
        "splade-train",
        &[
            "hydra-compose",
            "splade-data",
            "splade-eval",
            "splade-index",
            "splade-logs",
            "splade-model",
            "splade-nn",
            "splade-sparse",
            "splade-text",
        ],
    ),
];

const ROOT: &str = "light-splade";

pub(crate) fn run(root: &Path) -> Result<(), Failure> {
    let packages = packages(root)?;
    let broken = broken(&packages);
    if broken.is_empty() {
        println!("layers: {} crates depend on each other as they may", packages.len());
        return Ok(());
    }
    Err(format!("{}\nThe rules are in xtask/src/layers.rs.", broken.join("\n")))
}

fn broken(packages: &[Package]) -> Vec<String> {
    let ours = |name: &str| packages.iter().any(|package| package.name == name);
    let mut broken = Vec::new();
    for package in packages.iter().filter(|package| package.name != ROOT) {
        let name = &package.name;
        let Some((_, may_use)) = MAY_USE.iter().find(|(of, _)| of == name) else {
            broken.push(format!("{name} has no rule: add the crates that it may use"));
            continue;
        };
        let used = package.dependencies.iter().filter(|used| ours(used));
        for used in used.filter(|used| !may_use.contains(&used.as_str()) && *used != BELOW_ALL) {
            broken.push(format!("{name} must not depend on {used}"));
        }
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dependencies: &[&str]) -> Package {
        let dependencies = dependencies.iter().map(|name| (*name).to_owned()).collect();
        Package { name: name.to_owned(), folder: name.into(), dependencies }
    }

    #[test]
    fn rules_that_are_broken_are_named() {
        let packages = [
            package(ROOT, &["splade-model", "splade-text", "anyhow"]),
            package("splade-io", &["libc"]),
            package("splade-model", &["splade-text", "splade-io", "half"]),
            package("splade-text", &["splade-model", "splade-index-of-another"]),
            package("splade-sparse", &[ROOT]),
            package("splade-new", &[]),
        ];
        assert_eq!(
            broken(&packages),
            [
                "splade-text must not depend on splade-model",
                "splade-sparse must not depend on light-splade",
                "splade-new has no rule: add the crates that it may use",
            ]
        );
    }

    #[test]
    fn rules_name_crates_below() {
        for (at, (name, may_use)) in MAY_USE.iter().enumerate() {
            for used in *may_use {
                assert!(MAY_USE[..at].iter().any(|(of, _)| of == used), "{name} before {used}");
            }
        }
    }
}

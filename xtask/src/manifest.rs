//! What the checks need of the packages' `Cargo.toml` files. Not a TOML parser: it knows the forms that this
//! repository uses, a table per kind of dependency and a line per dependency.

use std::path::{Path, PathBuf};

use crate::files::{Failure, read};

/// A package of the workspace.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    /// The names of its dependencies, those for tests and benches left out.
    pub(crate) dependencies: Vec<String>,
}

/// Reads the package in the root, that of the data and those under `crates/`, in alphabetical order of their
/// folders.
pub(crate) fn packages(root: &Path) -> Result<Vec<Package>, Failure> {
    let mut folders = vec![root.to_owned(), root.join("data")];
    let crates = root.join("crates");
    let entries = std::fs::read_dir(&crates)
        .map_err(|error| format!("cannot read {}: {error}", crates.display()))?;
    folders.extend(entries.flatten().map(|entry| entry.path()));
    folders.sort();
    let mut packages = Vec::new();
    for folder in folders {
        let path = folder.join("Cargo.toml");
        if path.is_file() {
            packages.push(parse(&read(&path)?, folder)?);
        }
    }
    Ok(packages)
}

fn parse(manifest: &str, folder: PathBuf) -> Result<Package, Failure> {
    let mut name = None;
    let mut dependencies = Vec::new();
    let mut table = "";
    for line in manifest.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            table = header;
            // `[dependencies.name]`
            let (kind, of) = table.rsplit_once('.').unwrap_or_default();
            if is_dependencies(kind) {
                dependencies.push(of.to_owned());
            }
            continue;
        }
        let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with('#')) else {
            continue;
        };
        if table == "package" && key.trim() == "name" {
            name = Some(value.trim().trim_matches('"').to_owned());
        }
        if is_dependencies(table) {
            // `name = …` and `name.workspace = true`
            let key = key.split('.').next().unwrap_or_default();
            dependencies.push(key.trim().to_owned());
        }
    }
    let name = name.ok_or_else(|| format!("{}/Cargo.toml has no name", folder.display()))?;
    Ok(Package { name, folder, dependencies })
}

/// `dependencies`, `build-dependencies` and those of a target, but not `dev-dependencies`, nor the versions of
/// `workspace.dependencies`.
fn is_dependencies(table: &str) -> bool {
    let kind = match table.strip_prefix("target.") {
        Some(target) => target.rsplit('.').next().unwrap_or_default(),
        None => table,
    };
    matches!(kind, "dependencies" | "build-dependencies")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_of_every_form() {
        let manifest = r#"
            [workspace.dependencies]
            not-this = "1"
            [package]
            name = "a"
            [dependencies]
            # comment = "1"
            b.workspace = true
            c = { workspace = true, optional = true }
            [dependencies.d]
            version = "1"
            [target.'cfg(not(target_arch = "wasm32"))'.dependencies]
            e = "1"
            [build-dependencies]
            f = "1"
            [dev-dependencies]
            nor-this = "1"
            [lints]
            workspace = true
        "#;
        let package = parse(manifest, PathBuf::new()).expect("a package");
        assert_eq!(package.name, "a");
        assert_eq!(package.dependencies, ["b", "c", "d", "e", "f"]);
    }
}

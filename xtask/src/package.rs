//! `cargo xtask package`: the crates as crates.io would get them, and their sizes.

use std::path::Path;
use std::process::Command;

use crate::files::Failure;

/// What crates.io takes at most.
const LIMIT: u64 = 10 * 1024 * 1024;

pub(crate) fn run(root: &Path) -> Result<(), Failure> {
    // A folder of its own, so that packages of other versions are not listed.
    let folder = root.join("target/xtask-package");
    if folder.is_dir() {
        std::fs::remove_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["package", "--workspace", "--exclude", "xtask", "--locked", "--no-verify"])
        .args(["--exclude", "light-splade-python", "--exclude", "light-splade-command"])
        .args(["--allow-dirty", "--quiet", "--target-dir"])
        .arg(&folder)
        .current_dir(root)
        .status()
        .map_err(|error| format!("cannot start cargo: {error}"))?;
    if !status.success() {
        return Err("package: cargo package failed".to_owned());
    }
    let packages = folder.join("package");
    let entries = std::fs::read_dir(&packages);
    let mut sizes = Vec::new();
    for entry in entries.map_err(|e| format!("cannot read {}: {e}", packages.display()))?.flatten()
    {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".crate") {
            let size = entry.metadata().map_err(|error| format!("{name}: {error}"))?.len();
            sizes.push((name, size));
        }
    }
    sizes.sort();
    for (name, size) in &sizes {
        println!("{size:>10}  {name}");
    }
    match sizes.iter().find(|(_, size)| *size > LIMIT) {
        Some((name, _)) => Err(format!("package: {name} has more than {LIMIT} bytes")),
        None => Ok(()),
    }
}

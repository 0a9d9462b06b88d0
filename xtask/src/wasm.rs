//! `cargo xtask wasm`: the libraries compile for a browser.
//!
//! Skipped, with a line that says so, where the target's standard library is not there and cannot be installed.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::files::Failure;
use crate::manifest::packages;

const TARGET: &str = "wasm32-unknown-unknown";

/// From texts to vectors and hits, and the built-in model.
const LIBRARIES: [&str; 7] = [
    "splade-sparse",
    "splade-unidic",
    "splade-mini-ja-en",
    "splade-text",
    "splade-nn",
    "splade-model",
    "splade-index",
];

pub(crate) fn run(root: &Path) -> Result<(), Failure> {
    if !is_installed()? && !install() {
        println!("wasm: skipped, since rustup cannot install the target {TARGET} here");
        return Ok(());
    }
    let mut checks: Vec<Vec<&str>> = LIBRARIES.iter().map(|name| vec!["-p", *name]).collect();
    checks.push(vec!["-p", "light-splade", "--lib"]);
    // The npm package, with the kernels that need relaxed SIMD.
    checks.push(vec!["-p", "splade-web", "--features", "relaxed-simd"]);
    let packages = packages(root)?;
    let mut failed = Vec::new();
    for check in &checks {
        if LIBRARIES.contains(&check[1]) && !packages.iter().any(|package| package.name == check[1])
        {
            return Err(format!("wasm: the workspace has no package {}", check[1]));
        }
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status = Command::new(cargo)
            .args(["check", "--quiet", "--locked", "--no-default-features", "--target", TARGET])
            .args(check)
            .current_dir(root)
            .status()
            .map_err(|error| format!("cannot start cargo: {error}"))?;
        if !status.success() {
            failed.push(check[1]);
        }
    }
    if failed.is_empty() {
        println!("wasm: {} libraries compile for {TARGET}", checks.len());
        return Ok(());
    }
    Err(format!("wasm: these do not compile for {TARGET}: {}", failed.join(", ")))
}

/// Asks the compiler that cargo will use, which `RUSTC` may name.
fn is_installed() -> Result<bool, Failure> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let folder = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .map_err(|error| format!("cannot start rustc: {error}"))?;
    let folder = String::from_utf8_lossy(&folder.stdout);
    Ok(Path::new(folder.trim()).is_dir())
}

fn install() -> bool {
    let rustup = Command::new("rustup")
        .args(["target", "add", TARGET])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    rustup.is_ok_and(|status| status.success())
}

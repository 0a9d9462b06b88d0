//! Tells the program which commit it was built of, for `light-splade --version`.
//!
//! It reads two small files and runs nothing. Builds of packages have the commit in a file of cargo's,
//! and others may name it in LIGHT_SPLADE_COMMIT; where nothing knows it, the program says none. Debug
//! builds say none either: they would be built anew after every commit.

#![allow(clippy::print_stdout, reason = "cargo reads the output of build scripts")]

use std::fs::read_to_string;
use std::path::{Path, PathBuf};

const VARIABLE: &str = "LIGHT_SPLADE_COMMIT";

/// The digits of a commit that are shown.
const DIGITS: usize = 12;

fn main() {
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    let named = std::env::var(VARIABLE).ok();
    if let Some(commit) = named.or_else(of_sources)
        && !commit.is_empty()
        && commit.bytes().all(|byte| byte.is_ascii_alphanumeric())
    {
        println!("cargo::rustc-env={VARIABLE}={}", &commit[..commit.len().min(DIGITS)]);
    }
}

/// The commit of the sources.
fn of_sources() -> Option<String> {
    if std::env::var("PROFILE").ok()? == "debug" {
        return None;
    }
    let package = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR")?);
    // The package of the Python command builds the same sources from two folders below.
    let root = match package.ends_with("python/command") {
        true => package.parent()?.parent()?.to_owned(),
        false => package,
    };
    of_git(&root.join(".git")).or_else(|| of_package(&root.join(".cargo_vcs_info.json")))
}

/// The commit of a checkout, or of a work tree, where `.git` is a file that names the folder.
fn of_git(git: &Path) -> Option<String> {
    let git = match git.is_dir() {
        true => git.to_owned(),
        false => git.parent()?.join(read_to_string(git).ok()?.strip_prefix("gitdir:")?.trim()),
    };
    let head = read(&git.join("HEAD"))?;
    let Some(reference) = head.strip_prefix("ref:") else { return Some(head) };
    let reference = reference.trim();
    // What work trees share is in another folder.
    let common = read_to_string(git.join("commondir")).ok();
    let common = common.map_or(git.clone(), |folder| git.join(folder.trim()));
    read(&common.join(reference)).or_else(|| {
        let packed = read(&common.join("packed-refs"))?;
        let line = packed.lines().find(|line| line.ends_with(reference))?;
        Some(line.split_whitespace().next()?.to_owned())
    })
}

/// The commit that `cargo package` notes.
fn of_package(info: &Path) -> Option<String> {
    let text = read(info)?;
    let (_, rest) = text.split_once("\"sha1\"")?;
    Some(rest.split('"').nth(1)?.to_owned())
}

/// Reads a file, and has the program built anew when it changes.
fn read(path: &Path) -> Option<String> {
    let text = read_to_string(path).ok()?;
    println!("cargo::rerun-if-changed={}", path.display());
    Some(text.trim().to_owned())
}

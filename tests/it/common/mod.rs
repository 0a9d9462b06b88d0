//! Functions that call the program, and comparisons with files of its expected output.
#![allow(dead_code, unreachable_pub, reason = "each test file uses some of it")]

use std::path::Path;
use std::process::{Command, Output, Stdio};

pub const MODEL: &str = "models/demo";

pub fn run(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_light-splade"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(args).stdin(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("LIGHT_SPLADE")) {
        command.env_remove(name);
    }
    command.output().expect("the tool runs")
}

/// Returns the standard output of a call that must succeed.
pub fn stdout(args: &[&str]) -> String {
    let output = run(args);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{args:?}: {errors}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Returns the standard error of a call that must fail with this exit code.
pub fn failure(args: &[&str], code: i32) -> String {
    let output = run(args);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {errors}");
    errors
}

/// Compares texts with the files of the same names in tests/cli, or writes these files if
/// `UPDATE_SNAPSHOTS` is set.
pub fn compare_with_files<'a>(printed: impl IntoIterator<Item = (&'a str, String)>) {
    let update = std::env::var_os("UPDATE_SNAPSHOTS").is_some();
    let mut different = Vec::new();
    for (name, got) in printed {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/cli/{name}.txt"));
        if update {
            std::fs::write(&file, got).expect("written");
        } else if std::fs::read_to_string(&file).ok().as_ref() != Some(&got) {
            different.push(format!("{name} prints\n{got}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

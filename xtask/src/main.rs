//! The commands of `cargo xtask`: checks that no other tool makes, and files that are generated.

mod book;
mod circles;
mod files;
mod instructions;
mod layers;
mod manifest;
mod pack_model;
mod package;
mod wasm;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const HELP: &str = "\
Commands of this repository: cargo xtask COMMAND

  circles                   Find files of a crate that import each other in a circle
    --no-children           Ignore what a module uses of its own child modules
  layers                    Check which crates depend on which
  book                      Build the site of the documentation and check its links
  wasm                      Check the libraries that must build for WebAssembly
  instructions              Compare the instructions of fixed work with xtask/instructions.txt
    --update                Write the counts into this file
  package                   Make the packages for crates.io and list their sizes
  pack-model FOLDER FILE    Pack a model folder for crates/splade-mini-ja-en
  help                      Show this list

Commands of every day:

  cargo run --release -- encode -t TEXT    Build the tool and encode a text
  ./test                                   Run every test
  ./test -p splade-index                   Run the tests of one crate
  cargo test --test cli                    Run one file of tests of the command line
  cargo clippy --workspace --all-targets   Run the lints
  cargo fmt --all                          Format the code
  cargo doc --no-deps --workspace --open   Read the documentation
  cargo bench -p splade-nn                 Measure the kernels
  cargo build --profile dist               Build what is released: smaller and slightly faster, slow to build
  cargo deny check                         Check licences, sources and duplicates of dependencies
  .ci/run                                  Run all that a change must pass
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args[..] {
        ["circles"] => circles::run(&root(), true),
        ["circles", "--no-children"] => circles::run(&root(), false),
        ["layers"] => layers::run(&root()),
        ["instructions"] => instructions::run(&root(), false),
        ["instructions", "--update"] => instructions::run(&root(), true),
        ["book"] => book::run(&root()),
        ["wasm"] => wasm::run(&root()),
        ["package"] => package::run(&root()),
        ["pack-model", folder, file] => pack_model::run(folder.as_ref(), file.as_ref()),
        [] | ["help" | "--help" | "-h", ..] => {
            print!("{HELP}");
            Ok(())
        }
        _ => Err(format!("no such command: {}\n\n{HELP}", args.join(" "))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{}", failure.trim_end());
            ExitCode::FAILURE
        }
    }
}

/// The folder of the workspace, wherever the command is started.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("xtask is in the folder of the workspace").to_owned()
}

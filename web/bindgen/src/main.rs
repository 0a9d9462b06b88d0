//! Writes the JavaScript between a WebAssembly module and its package: `splade-web-bindgen MODULE FOLDER`.
//!
//! The folder gets a module for web pages, workers and Node, `splade_web.js`, and what it loads, `splade_web_bg.wasm`.

use std::process::ExitCode;

use wasm_bindgen_cli_support::Bindgen;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [module, folder] = &arguments[..] else {
        eprintln!("usage: splade-web-bindgen MODULE FOLDER");
        return ExitCode::from(2);
    };
    let mut bindgen = Bindgen::new();
    let written = bindgen.input_path(module).web(true).and_then(|bindgen| {
        bindgen.typescript(false).omit_default_module_path(true).remove_producers_section(true);
        bindgen.generate(folder)
    });
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("splade-web-bindgen: {error:#}");
            ExitCode::FAILURE
        }
    }
}

//! Tells the linker of macOS that the interpreter has the symbols of Python, so that the extension module also builds
//! without maturin.

fn main() {
    pyo3_build_config::add_extension_module_link_args();
}

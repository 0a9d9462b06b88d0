//! What JavaScript calls of light-splade. `web/js` makes the public interface of the package of it: the classes here
//! take and return flat arrays and JSON, so that few calls cross the border to JavaScript and they copy little.

mod error;
mod files;
mod vectors;
mod encoder;
mod index;
pub mod pack;

use wasm_bindgen::prelude::wasm_bindgen;

/// The name of the instruction set that the kernels use, such as `relaxed-simd128`.
#[wasm_bindgen]
pub fn instructions() -> String {
    light_splade::encode::Isa::detect().to_string()
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = console, js_name = error)]
    fn console_error(message: &str);
}

/// Makes panics, which end the module, tell their message and place first.
#[wasm_bindgen(start)]
pub fn start() {
    std::panic::set_hook(Box::new(|info| console_error(&info.to_string())));
}

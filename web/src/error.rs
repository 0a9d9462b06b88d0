//! Errors as JavaScript gets them: an `Error` whose property `hint` says what a person can do.

use js_sys::{Error, Reflect};
use wasm_bindgen::JsValue;

/// Makes an error of one of light-splade, with the messages of its sources.
pub(crate) fn failure(error: impl Into<light_splade::Error>) -> JsValue {
    let error = error.into();
    let hint = error.hint();
    let mut message = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(inner) = source {
        message.push_str(": ");
        message.push_str(&inner.to_string());
        source = inner.source();
    }
    advised(&message, hint.as_deref())
}

/// Makes an error of a message and a hint.
pub(crate) fn advised(message: &str, hint: Option<&str>) -> JsValue {
    let error = Error::new(message);
    if let Some(hint) = hint {
        // Setting a property of a new object cannot fail.
        let _ = Reflect::set(&error, &"hint".into(), &hint.into());
    }
    error.into()
}

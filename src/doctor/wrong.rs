//! A finding of something wrong, as the requests to a search engine and their checks return it.

use std::borrow::Cow;

/// What is wrong, and what to do.
pub(super) struct Wrong {
    pub(super) what: String,
    pub(super) hint: Cow<'static, str>,
    /// There was no answer, or one of a server that is busy: it says nothing of what was asked.
    pub(super) unanswered: bool,
}

impl Wrong {
    pub(super) fn new(what: String, hint: impl Into<Cow<'static, str>>) -> Self {
        Self { what, hint: hint.into(), unanswered: false }
    }
}

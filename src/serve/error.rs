//! What clients get when a request fails.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::error::Error;

/// The kind of a failure, with the names of text-embeddings-inference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) enum ErrorType {
    /// The service is starting or stopping.
    Unhealthy,
    /// The model cannot do what was asked.
    Backend,
    /// Too many requests are waiting.
    Overloaded,
    /// The request is not valid.
    Validation,
    /// A text cannot be tokenized.
    Tokenizer,
    /// There is nothing to work on.
    Empty,
}

impl ErrorType {
    /// The status that belongs to the kind, unless the error names another.
    fn status(self) -> StatusCode {
        match self {
            Self::Unhealthy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Backend => StatusCode::FAILED_DEPENDENCY,
            Self::Overloaded => StatusCode::TOO_MANY_REQUESTS,
            Self::Validation | Self::Tokenizer => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Empty => StatusCode::BAD_REQUEST,
        }
    }
}

/// The body of an error.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    /// What is wrong, and where something is known, what to do.
    #[schema(example = "`inputs` cannot be empty")]
    error: String,
    error_type: ErrorType,
}

/// The body of an error of the routes that are like OpenAI's.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OpenAiErrorBody {
    message: String,
    code: u16,
    #[serde(rename = "type")]
    kind: ErrorType,
}

/// A failed request.
#[derive(Debug, Clone)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) kind: ErrorType,
    pub(crate) message: String,
}

impl ApiError {
    pub(crate) fn new(kind: ErrorType, message: impl Into<String>) -> Self {
        Self { status: kind.status(), kind, message: message.into() }
    }

    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Self::new(ErrorType::Validation, message)
    }

    pub(crate) fn empty(what: &str) -> Self {
        Self::new(ErrorType::Empty, format!("`{what}` cannot be empty"))
    }

    pub(crate) fn overloaded() -> Self {
        Self::new(ErrorType::Overloaded, "Model is overloaded")
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::validation(message).with_status(StatusCode::NOT_FOUND)
    }

    pub(crate) fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// The reply of the routes that are like OpenAI's.
    pub(crate) fn openai(self) -> Response {
        let body =
            OpenAiErrorBody { message: self.message, code: self.status.as_u16(), kind: self.kind };
        with_retry(self.status, Json(body).into_response())
    }

    /// The reply that Qdrant expects of its inference service, which takes every failure but
    /// overload as a bad request.
    pub(crate) fn qdrant(self) -> Response {
        let status = match self.status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => self.status,
            _ => StatusCode::BAD_REQUEST,
        };
        with_retry(status, Json(json!({"error": self.message})).into_response())
    }
}

/// Sets the status, and says when to try again where waiting helps.
fn with_retry(status: StatusCode, mut response: Response) -> Response {
    *response.status_mut() = status;
    if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = ErrorBody { error: self.message, error_type: self.kind };
        with_retry(self.status, Json(body).into_response())
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Text(_) => ErrorType::Tokenizer,
            _ => ErrorType::Backend,
        };
        let this = Self::new(kind, chain(&error));
        match is_of_full_disk(&error) {
            true => this.with_status(StatusCode::INSUFFICIENT_STORAGE),
            false => this,
        }
    }
}

/// Whether something could not be written because there is no room for it.
fn is_of_full_disk(error: &Error) -> bool {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        if matches!(kind, Some(StorageFull | QuotaExceeded | FileTooLarge)) {
            return true;
        }
        next = error.source();
    }
    false
}

/// An error with its sources and its hint, on one line.
pub(crate) fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    match error.hint() {
        Some(hint) => format!("{text}; {hint}"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_has_a_status_of_its_own() {
        for (kind, status) in [
            (std::io::ErrorKind::StorageFull, 507),
            (std::io::ErrorKind::QuotaExceeded, 507),
            (std::io::ErrorKind::PermissionDenied, 424),
        ] {
            let file = Error::io("write", "a/index.json".as_ref())(kind.into());
            let error = Error::During { doing: "committing".to_owned(), source: Box::new(file) };
            assert_eq!(ApiError::from(error).status.as_u16(), status, "{kind}");
        }
    }
}

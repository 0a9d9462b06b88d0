//! The JSON body of a request, read within limits of size, memory and time.

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use super::error::ApiError;
use super::state::{App, BODY_UNIT};

/// A body of JSON.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<App> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            return Err(ApiError::validation("send JSON with `Content-Type: application/json`")
                .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        let bytes = read(request, app).await?;
        let mut parser = serde_json::Deserializer::from_slice(&bytes);
        let parsed = T::deserialize(&mut parser).and_then(|value| parser.end().map(|()| value));
        parsed.map(Json).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => {
                ApiError::validation(format!("the JSON does not fit the request: {error}"))
            }
            _ => ApiError::validation(format!("the body is not valid JSON: {error}"))
                .with_status(StatusCode::BAD_REQUEST),
        })
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let (_, subtype) = kind.split_once('/').unwrap_or_default();
    subtype.eq_ignore_ascii_case("json") || subtype.to_ascii_lowercase().ends_with("+json")
}

/// Reads a body. Its memory is reserved before it is read, by the length that the client tells or
/// else by the largest one.
async fn read(request: Request<Body>, app: &App) -> Result<Vec<u8>, ApiError> {
    let limits = &app.options.limits;
    let told = request.headers().get(header::CONTENT_LENGTH);
    let told = told.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let too_large = || {
        let limit = limits.payload_limit;
        ApiError::validation(format!("the body is larger than {limit} bytes"))
            .with_status(StatusCode::PAYLOAD_TOO_LARGE)
    };
    let length = told.unwrap_or(limits.payload_limit);
    if length > limits.payload_limit {
        return Err(too_large());
    }
    let units = u32::try_from(length.div_ceil(BODY_UNIT)).unwrap_or(u32::MAX);
    let _held = app.bodies.try_acquire_many(units).map_err(|_| ApiError::overloaded())?;
    let body = Limited::new(request.into_body(), limits.payload_limit).collect();
    match tokio::time::timeout(limits.read_timeout, body).await {
        Ok(Ok(body)) => Ok(body.to_bytes().into()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(error)) => Err(ApiError::validation(format!("the body cannot be read: {error}"))
            .with_status(StatusCode::BAD_REQUEST)),
        Err(_) => Err(ApiError::validation("the body came too slowly")
            .with_status(StatusCode::REQUEST_TIMEOUT)),
    }
}

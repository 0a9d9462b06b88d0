//! What requests say: the JSON body, read within limits of size, memory and time, the query string
//! and the names in paths.

use std::sync::{Arc, OnceLock};

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use tokio::sync::OwnedSemaphorePermit;

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
        let parsed = Object::deserialize(&mut parser);
        let parsed = parsed.and_then(|Object(value)| parser.end().map(|()| value));
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

/// The memory of a request's body, which is reserved until the request is answered. It is an extension
/// of each request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reserved(Arc<OnceLock<OwnedSemaphorePermit>>);

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
    let bodies = Arc::clone(&app.bodies);
    let permit = bodies.try_acquire_many_owned(units).map_err(|_| ApiError::overloaded())?;
    if let Some(Reserved(reserved)) = request.extensions().get() {
        // A request has one body.
        _ = reserved.set(permit);
    }
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

/// A struct that is read from a JSON object only. By itself serde also takes an array, whose values
/// it gives to the fields in their order.
#[derive(Debug, Clone)]
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfMap<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for OfMap<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }
        deserializer.deserialize_map(OfMap(std::marker::PhantomData))
    }
}

/// The query string.
#[derive(Debug)]
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query = axum::extract::Query::from_request_parts(parts, state).await;
        query.map(|query| Self(query.0)).map_err(|error| {
            ApiError::validation(format!("the query string does not fit: {}", error.body_text()))
        })
    }
}

/// A name in the path, without its percent-encoding.
#[derive(Debug)]
pub(crate) struct Name(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Name {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let name = axum::extract::Path::from_request_parts(parts, state).await;
        name.map(|name| Self(name.0)).map_err(|_| {
            ApiError::validation("the path is not UTF-8 after its percent-encoding is undone")
        })
    }
}

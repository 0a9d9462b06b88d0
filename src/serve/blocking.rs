//! Work that may wait or takes long, on a thread beside those that answer requests.

use super::error::{ApiError, ErrorType};

/// Runs work on a thread that may wait.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    let lost = |_| ApiError::new(ErrorType::Backend, "the work was lost");
    tokio::task::spawn_blocking(work).await.map_err(lost)
}

//! Describes the progress of downloads and uploads.

/// The progress of the download or the upload of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HubProgress<'a> {
    /// The path of the file in the repository.
    pub file: &'a str,
    /// The number of bytes that have been received or sent.
    pub bytes: u64,
    /// The size of the file in bytes.
    pub total: u64,
}

//! Names what a file is that stands where a file of a model is expected, by its first bytes.
//!
//! Downloads that failed and clones without Git LFS leave such files: a pointer, an error page, a
//! message of a server, an archive that was not unpacked.

/// The number of bytes at the start of a file that [`foreign_text`] and [`foreign_weights`] need.
pub(crate) const FOREIGN_START: usize = 1024;

/// The longest message of a server. Larger files that begin like one are not taken for one.
const MAX_MESSAGE: u64 = 64 << 10;

/// What a file is that stands where a file of a model is expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Foreign {
    /// What it is: a sentence that begins with "it", without a full stop.
    pub what: String,
    /// What a person can do about it.
    pub remedy: &'static str,
}

impl Foreign {
    /// The number of bytes at the start of a file that tell what it is.
    pub const START: usize = FOREIGN_START;

    /// Returns what a file is that should hold weights, or `None` if it may hold some. `start` holds
    /// the first [`START`](Self::START) bytes of the file, and `size` is its whole size.
    pub fn instead_of_weights(start: &[u8], size: u64) -> Option<Self> {
        foreign_weights(start, size)
    }

    fn new(what: impl Into<String>, remedy: &'static str) -> Self {
        Self { what: what.into(), remedy }
    }
}

/// Returns what a file is that should be a text in UTF-8, or `None` if it may be one.
///
/// `start` holds the first [`FOREIGN_START`] bytes of the file, and `size` is its whole size.
pub(crate) fn foreign_text(start: &[u8], size: u64) -> Option<Foreign> {
    if let Some(what) = foreign(start, size) {
        return Some(what);
    }
    if start.starts_with(b"\xff\xfe") || start.starts_with(b"\xfe\xff") {
        return Some(Foreign::new("it is a text in UTF-16", "save it in UTF-8"));
    }
    let is_message = ["error", "errors", "detail", "message", "statuscode"].iter().any(|key| {
        let rest = begin(start).strip_prefix('{').map(str::trim_start);
        let rest = rest.and_then(|rest| rest.strip_prefix('"')).map(str::to_ascii_lowercase);
        rest.is_some_and(|rest| rest.strip_prefix(key).is_some_and(|rest| rest.starts_with('"')))
    });
    (is_message && size <= MAX_MESSAGE).then(|| message(start))
}

/// Returns what a file is that should hold weights, or `None` if it may hold some. The answer and
/// the arguments are those of [`foreign_text`].
fn foreign_weights(start: &[u8], size: u64) -> Option<Foreign> {
    if let Some(what) = foreign(start, size) {
        return Some(what);
    }
    let known: [(&[u8], &str); 3] = [
        (b"GGUF", "it is a GGUF file of llama.cpp"),
        (b"\x89HDF\r\n\x1a\n", "it is an HDF5 file, as TensorFlow writes it"),
        (b"\x08\x03\x12", "it is an ONNX graph"),
    ];
    if let Some((_, what)) = known.iter().find(|(magic, _)| start.starts_with(magic)) {
        return Some(Foreign::new(*what, "save the model as safetensors"));
    }
    let is_text = |byte: &u8| *byte >= 0x20 || matches!(byte, b'\n' | b'\r' | b'\t');
    // The first eight bytes of a safetensors file are a number with zeros at its end.
    (start.len() >= 4 && start.iter().all(is_text) && std::str::from_utf8(&start[..4]).is_ok())
        .then(|| message(start))
}

/// Returns what a file is that no file of a model can be.
fn foreign(start: &[u8], size: u64) -> Option<Foreign> {
    if size == 0 {
        return Some(Foreign::new("it is empty", "download it again"));
    }
    if start.starts_with(b"version https://git-lfs") {
        let text = String::from_utf8_lossy(start);
        let wanted = text.lines().find_map(|line| line.strip_prefix("size ")?.parse::<u64>().ok());
        let wanted = wanted.map_or(String::new(), |size| format!(" to a file of {size} bytes"));
        return Some(Foreign::new(
            format!("it is a Git LFS pointer{wanted}, not the file itself"),
            "install git-lfs and run `git lfs pull`, or download the file",
        ));
    }
    let text = begin(start).to_ascii_lowercase();
    let pages = ["<!doctype html", "<html", "<head", "<?xml", "<error>"];
    if pages.iter().any(|page| text.starts_with(page)) {
        return Some(Foreign::new(
            "it is a web page, probably the error of a server, not the file itself",
            CHECK_ADDRESS,
        ));
    }
    let packed: [(&[u8], &str); 4] = [
        (b"\x1f\x8b", "a gzip archive"),
        (b"\xfd7zXZ\0", "an xz archive"),
        (b"\x28\xb5\x2f\xfd", "a zstd archive"),
        (b"BZh", "a bzip2 archive"),
    ];
    if let Some((_, what)) = packed.iter().find(|(magic, _)| start.starts_with(magic)) {
        return Some(Foreign::new(format!("it is {what}"), "unpack it"));
    }
    let zeros = start.len() >= 64.min(size as usize) && start.iter().all(|byte| *byte == 0);
    zeros.then(|| {
        Foreign::new(
            format!("it begins with {} zeros, as after an interrupted download", start.len()),
            "download it again",
        )
    })
}

/// Returns the text at the start of a file, without a byte order mark and blanks before it.
fn begin(start: &[u8]) -> &str {
    let start = start.strip_prefix(BYTE_ORDER_MARK).unwrap_or(start);
    let text = match std::str::from_utf8(start) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&start[..error.valid_up_to()]).unwrap_or_default(),
    };
    text.trim_start()
}

/// What to do where a server sent something else than the file.
const CHECK_ADDRESS: &str = "check the address and the access rights, and download the file again";

fn message(start: &[u8]) -> Foreign {
    let line: String =
        begin(start).chars().take(100).map(|c| if c == '\n' { ' ' } else { c }).collect();
    Foreign::new(
        format!(
            "it is a text, probably the message of a server, not the file itself: {:?}",
            line.trim_end()
        ),
        CHECK_ADDRESS,
    )
}

/// The mark that some editors put before a text in UTF-8.
pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_by_their_first_bytes() {
        let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 440449768\n";
        for (start, text, weights) in [
            (pointer.as_bytes(), "LFS pointer to a file of 440449768 bytes", "LFS pointer"),
            (b"\xef\xbb\xbf \n<!DOCTYPE html><html>", "web page", "web page"),
            (b"<?xml version=\"1.0\"?><Error><Code>AccessDenied", "web page", "web page"),
            (b"{\"error\":\"Repository not found\"}", "Repository not found", "not found"),
            (b"{ \"statusCode\" : 401 }", "message of a server", "message of a server"),
            (b"Entry not found", "", "\"Entry not found\""),
            (b"../../blobs/0123", "", "../../blobs/0123"),
            (b"\xff\xfe{\0", "UTF-16", ""),
            (b"\x1f\x8b\x08\0", "gzip", "gzip"),
            (b"\0\0\0\0\0\0\0\0\0\0", "10 zeros", "10 zeros"),
            (b"", "empty", "empty"),
            (b"GGUF\x03\0\0\0", "", "GGUF"),
            // Files that are what they should be.
            (b"{\"model_type\": \"bert\", \"error\": 1}", "", "message"),
            (b"<s>\n</s>\n<unk>\n", "", "message"),
            (b"\x30\x02\0\0\0\0\0\0{\"", "", ""),
            (b"PK\x03\x04\0\0", "", ""),
            (b"\x80\x02\x8a\x0a", "", ""),
        ] {
            let size = start.len() as u64;
            for (got, wanted) in
                [(foreign_text(start, size), text), (foreign_weights(start, size), weights)]
            {
                let shown = String::from_utf8_lossy(start);
                match wanted {
                    "" => assert_eq!(got, None, "{shown}"),
                    _ => assert!(
                        got.as_ref().is_some_and(|got| got.what.contains(wanted)),
                        "{shown}: {got:?}"
                    ),
                }
            }
        }
    }
}

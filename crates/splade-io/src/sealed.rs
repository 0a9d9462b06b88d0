//! JSON files with a checksum of their own.
//!
//! The last line but one of the object is `"checksum": "crc32:…"`, the CRC-32 of the text before the
//! comma that precedes this line. Files that earlier versions of the program wrote have no checksum.

/// The text before the checksum.
const CHECKSUM: &str = ",\n  \"checksum\": \"crc32:";

/// Adds the checksum to a JSON object that is indented by two spaces.
///
/// ```
/// use splade_io::{is_sealed, seal_json};
///
/// let sealed = seal_json("{\n  \"rows\": 3\n}");
/// assert!(is_sealed(&sealed) && sealed.contains("\"rows\": 3"));
/// ```
///
/// # Panics
/// Panics if the text is not an object of at least one member that is indented in this way.
pub fn seal_json(text: &str) -> String {
    let text = text.strip_suffix("\n}").expect("an object ends with a brace: this is a bug");
    format!("{text}{CHECKSUM}{}", ending(text))
}

/// Returns whether the text of a file matches its checksum, or has none because an earlier version
/// wrote it.
///
/// ```
/// use splade_io::{is_sealed, seal_json};
///
/// let sealed = seal_json("{\n  \"rows\": 3\n}");
/// assert!(is_sealed(&sealed));
/// assert!(!is_sealed(&sealed.replace('3', "4")), "somebody has changed it");
/// ```
pub fn is_sealed(text: &str) -> bool {
    match text.rsplit_once(CHECKSUM) {
        Some((before, after)) => after == ending(before),
        // The remains of a damaged checksum line show that an earlier version did not write it.
        None => !text.contains("checksum") && !text.contains("crc32:"),
    }
}

/// Returns the text that follows [`CHECKSUM`]: the checksum of `text` and the closing brace.
fn ending(text: &str) -> String {
    format!("{:08x}\"\n}}\n", crc32fast::hash(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_is_found() {
        let sealed = seal_json("{\n  \"rows\": 7\n}");
        assert!(sealed.ends_with("\"\n}\n") && sealed.contains("\n  \"checksum\": \"crc32:"));
        assert!(is_sealed(&sealed) && is_sealed("{\n  \"rows\": 7\n}\n"));
        for bit in 0..8 * sealed.len() {
            let mut bytes = sealed.clone().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            // Other bytes are found when the file is read as text.
            if let Ok(text) = String::from_utf8(bytes) {
                assert!(!is_sealed(&text), "bit {bit}: {text}");
            }
        }
    }
}

//! Half of a surrogate pair in the escapes of JSON.
//!
//! A text that was cut in the middle of an emoji has half of a surrogate pair. Python's `json` writes
//! it as `\ud83d` and reads it again; it is no character, and UTF-8 cannot hold it.

/// The escape of U+FFFD, which stands for a character that is lost.
const REPLACEMENT: &[u8] = b"\\ufffd";

/// Replaces each half of a surrogate pair in the escapes of a JSON text by U+FFFD, and returns the
/// text and the number of halves; `None` if there is none.
///
/// ```
/// use splade_io::repair_surrogates;
///
/// let whole = br#"{"text": "\ud83d\ude00"}"#;
/// assert_eq!(repair_surrogates(whole), None);
/// let cut = br#"{"text": "\ud83d"}"#;
/// assert_eq!(repair_surrogates(cut), Some((br#"{"text": "\ufffd"}"#.to_vec(), 1)));
/// ```
pub fn repair_surrogates(json: &[u8]) -> Option<(Vec<u8>, u64)> {
    let (mut repaired, mut count) = (Vec::new(), 0);
    // The bytes before `kept` are in `repaired` once there is a repair.
    let (mut at, mut kept) = (0, 0);
    while let Some(next) = json[at..].iter().position(|byte| *byte == b'\\') {
        at += next;
        let Some(code) = code_unit(&json[at..]) else {
            // Another escape: a backslash and the character after it.
            at = json.len().min(at + 2);
            continue;
        };
        let low =
            || code_unit(&json[at + 6..]).is_some_and(|unit| (0xdc00..0xe000).contains(&unit));
        match code {
            0xd800..0xdc00 if low() => at += 12,
            0xd800..0xe000 => {
                repaired.extend_from_slice(&json[kept..at]);
                repaired.extend_from_slice(REPLACEMENT);
                count += 1;
                at += 6;
                kept = at;
            }
            _ => at += 6,
        }
    }
    repaired.extend_from_slice(&json[kept..]);
    (count > 0).then_some((repaired, count))
}

/// Returns the code unit of an escape `\uXXXX` at the start of some bytes.
fn code_unit(bytes: &[u8]) -> Option<u32> {
    let digits = bytes.strip_prefix(b"\\u")?.get(..4)?;
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_become_replacement_characters() {
        let cases = [
            (r#""a""#, None),
            (r#""\u3042\n\\ud83d""#, None),
            (r#""\uD83D\uDE00""#, None),
            (r#""\ud83d""#, Some((r#""\ufffd""#, 1))),
            (r#""x\ude00y\ud83d\u0041""#, Some((r#""x\ufffdy\ufffd\u0041""#, 2))),
            (r#""\ud83d\ud83d\ude00""#, Some((r#""\ufffd\ud83d\ude00""#, 1))),
            (r#""\\\ud83d\n""#, Some((r#""\\\ufffd\n""#, 1))),
            (r#""\ud8"#, None),
            ("\\", None),
        ];
        for (json, want) in cases {
            let got = repair_surrogates(json.as_bytes());
            let want = want.map(|(text, count)| (text.as_bytes().to_vec(), count));
            assert_eq!(got, want, "{json}");
        }
    }
}

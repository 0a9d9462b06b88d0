//! Checks that the bytes of a file are those that its ETag names.
//!
//! The hub's ETag of a large file is the SHA-256 of its bytes. That of a small file is the name that
//! git gives to its bytes: the SHA-1 of `blob`, a space, the length, a zero byte and the bytes.
//! Mirrors such as Artifactory send the SHA-1 of the bytes alone. Other servers send other ETags,
//! which cannot be checked; then the form of the content has to do.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek};

use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};

/// The number of bytes that are read at a time.
pub(super) const CHUNK: usize = 256 << 10;
/// The number of bytes at the start of a file that tell a web page from other content.
const START: u64 = 512;

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The bytes have the hash in the ETag, or the ETag has none and nothing is wrong.
    Sound,
    /// The bytes have another hash. The field is the name of the hash.
    Damaged(&'static str),
    /// The bytes are a web page.
    WebPage,
    /// The bytes are not JSON although the file is called so.
    NotJson,
    /// The check was stopped.
    Stopped,
}

/// Checks the bytes of a file against its ETag and name. `stop` is asked after every part.
pub(super) fn check(
    file: &mut File,
    name: &str,
    etag: &str,
    stop: &mut dyn FnMut() -> bool,
) -> io::Result<Verdict> {
    let is_hash = |digits| etag.len() == digits && etag.bytes().all(|b| b.is_ascii_hexdigit());
    let (mut hashes, called) = if is_hash(64) {
        (vec![Context::new(&SHA256)], "SHA-256")
    } else if is_hash(40) {
        let mut git = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
        git.update(format!("blob {}\0", file.metadata()?.len()).as_bytes());
        (vec![git, Context::new(&SHA1_FOR_LEGACY_USE_ONLY)], "git hash")
    } else {
        return check_form(file, name);
    };
    file.rewind()?;
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => hashes.iter_mut().for_each(|hash| hash.update(&chunk[..count])),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if stop() {
            return Ok(Verdict::Stopped);
        }
    }
    let is_etag = |hash: Context| hex(hash.finish().as_ref()).eq_ignore_ascii_case(etag);
    match hashes.into_iter().any(is_etag) {
        true => Ok(Verdict::Sound),
        false if starts_as_web_page(file)? => Ok(Verdict::WebPage),
        false => Ok(Verdict::Damaged(called)),
    }
}

/// Returns whether a file begins as a web page does.
pub(super) fn starts_as_web_page(file: &mut File) -> io::Result<bool> {
    file.rewind()?;
    let mut start = Vec::new();
    file.take(START).read_to_end(&mut start)?;
    Ok(is_web_page(&start))
}

/// Returns the digits of a hash.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns whether a text is a web page, which proxies and login pages send in place of a file.
pub(super) fn is_web_page(start: &[u8]) -> bool {
    let start = start.strip_prefix("\u{feff}".as_bytes()).unwrap_or(start).trim_ascii_start();
    ["<!doctype html", "<html"].iter().any(|tag| {
        start.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag.as_bytes()))
    })
}

fn check_form(file: &mut File, name: &str) -> io::Result<Verdict> {
    if starts_as_web_page(file)? {
        return Ok(Verdict::WebPage);
    }
    if !name.ends_with(".json") {
        return Ok(Verdict::Sound);
    }
    file.rewind()?;
    let json = serde_json::from_reader::<_, serde::de::IgnoredAny>(io::BufReader::new(file));
    Ok(match json {
        Ok(_) => Verdict::Sound,
        Err(error) if error.is_io() => return Err(error.into()),
        Err(_) => Verdict::NotJson,
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// The hashes are those of `git hash-object`, `sha1sum` and `sha256sum`.
    #[test]
    fn contents_and_etags() {
        let page = "<!DOCTYPE html><title>Log in</title>";
        for (name, content, etag, expected) in [
            ("a.json", "hello\n", "ce013625030ba8dba906f756967f9e9ca394464a", Verdict::Sound),
            ("a.json", "hello\n", "CE013625030BA8DBA906F756967F9E9CA394464A", Verdict::Sound),
            ("a.json", "hello\n", "f572d396fae9206628714fb2ce00f72e94f2258f", Verdict::Sound),
            (
                "a",
                "hello\n",
                "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
                Verdict::Sound,
            ),
            (
                "a",
                "hallo\n",
                "ce013625030ba8dba906f756967f9e9ca394464a",
                Verdict::Damaged("git hash"),
            ),
            (
                "a",
                "hallo\n",
                "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
                Verdict::Damaged("SHA-256"),
            ),
            ("a", page, "ce013625030ba8dba906f756967f9e9ca394464a", Verdict::WebPage),
            ("a", page, "66a-5f3", Verdict::WebPage),
            ("a.json", "{\"a\": 1}\n", "66a-5f3", Verdict::Sound),
            ("a.json", "{\"a\": 1", "66a-5f3", Verdict::NotJson),
            ("vocab.txt", "{\"a\": 1", "66a-5f3", Verdict::Sound),
        ] {
            let mut file = tempfile::tempfile().expect("a file");
            file.write_all(content.as_bytes()).expect("written");
            let verdict = check(&mut file, name, etag, &mut || false).expect("read");
            assert_eq!(verdict, expected, "{name} {content:?} {etag}");
        }
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(b"x").expect("written");
        let verdict = check(&mut file, "a", &"0".repeat(64), &mut || true).expect("read");
        assert_eq!(verdict, Verdict::Stopped);
    }

    #[test]
    fn web_pages() {
        for (start, expected) in [
            ("<!DOCTYPE html><html>", true),
            ("\u{feff}\n <html lang=\"en\">", true),
            ("{\"a\": \"<html>\"}", false),
            ("<htm", false),
            ("", false),
        ] {
            assert_eq!(is_web_page(start.as_bytes()), expected, "{start}");
        }
    }
}

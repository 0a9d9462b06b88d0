//! Downloads a file of the hub into the cache: the download resumes where it was interrupted, the
//! content is checked, and then the file gets its name.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;

use ring::digest::{Context, SHA256};

use super::cache::RepoCache;
use super::client::{Client, Remote};
use super::progress::HubProgress;
use crate::error::ModelError;

/// The number of bytes that are read at a time.
const CHUNK: usize = 256 << 10;

/// The downloads of one commit.
#[derive(Debug)]
pub(super) struct Download<'a> {
    pub(super) client: &'a Client<'a>,
    pub(super) cache: &'a RepoCache<'a>,
    pub(super) commit: &'a str,
}

type Progress<'a> = &'a mut dyn FnMut(HubProgress<'_>);

impl Download<'_> {
    /// Downloads a file into the snapshot, if the snapshot does not have it.
    pub(super) fn file(&self, file: &str, progress: Progress<'_>) -> Result<(), ModelError> {
        if self.cache.has(self.commit, file) {
            return Ok(());
        }
        let remote = self.client.head(self.commit, file)?;
        let blob = self.cache.blob(&remote.etag);
        let is_there = || fs::metadata(&blob).is_ok_and(|data| data.len() == remote.size);
        if !is_there() {
            let _lock = self.cache.lock(&remote.etag)?;
            // Another process may have downloaded the blob while this one waited for the lock.
            if !is_there() {
                self.blob(file, &remote, &blob, progress)?;
            }
        }
        self.cache.link(self.commit, file, &remote.etag)
    }
    /// Downloads a blob, checks it and gives it its name. The caller holds its lock.
    fn blob(
        &self,
        file: &str,
        remote: &Remote,
        blob: &Path,
        progress: Progress<'_>,
    ) -> Result<(), ModelError> {
        let part = blob.with_added_extension("incomplete");
        let failed = |error| self.cache.write_error(&part, &error);
        if let Some(blobs) = blob.parent() {
            fs::create_dir_all(blobs).map_err(failed)?;
        }
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        let mut out = options.open(&part).map_err(failed)?;
        let mut start = out.metadata().map_err(failed)?.len();
        if start > remote.size {
            start = 0;
        }
        loop {
            self.receive(file, remote.size, &mut out, &part, start, progress)?;
            if is_intact(&mut out, &remote.etag).map_err(failed)? {
                break;
            }
            out.set_len(0).map_err(failed)?;
            if start == 0 {
                return Err(self.cache.error(format!(
                    "{file} was damaged on its way: its SHA-256 is not the hub's; try again"
                )));
            }
            // The partial file may have come from another program, so the download starts again.
            start = 0;
        }
        out.sync_all().map_err(failed)?;
        drop(out);
        fs::rename(&part, blob).map_err(failed)
    }

    /// Downloads the bytes from `start` on. If the connection is interrupted, it retries as long as
    /// each attempt brings new bytes.
    fn receive(
        &self,
        file: &str,
        size: u64,
        out: &mut File,
        part: &Path,
        start: u64,
        progress: Progress<'_>,
    ) -> Result<(), ModelError> {
        let failed = |error| self.cache.write_error(part, &error);
        let (mut have, mut furthest) = (start, start);
        let mut chunk = vec![0; CHUNK];
        progress(HubProgress { file, bytes: have, total: size });
        while have < size {
            let (from, body) = self.client.bytes(self.commit, file, have)?;
            have = from;
            out.set_len(have).map_err(failed)?;
            out.seek(SeekFrom::Start(have)).map_err(failed)?;
            let mut body = body.into_reader();
            let cut = loop {
                let count = match body.read(&mut chunk) {
                    Ok(0) => break "the connection was closed".to_owned(),
                    Ok(count) => count,
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    Err(error) => break error.to_string(),
                };
                have += count as u64;
                if have > size {
                    out.set_len(0).map_err(failed)?;
                    let message =
                        format!("{file} is longer than the {size} bytes that the hub announced");
                    return Err(self.cache.error(message));
                }
                out.write_all(&chunk[..count]).map_err(failed)?;
                progress(HubProgress { file, bytes: have, total: size });
            };
            if have < size && have <= furthest {
                return Err(self.client.unreachable(&format!(
                    "{file} stops after {have} of {size} bytes ({cut}), which are kept"
                )));
            }
            furthest = have;
        }
        out.set_len(size).map_err(failed)
    }
}

/// Compares the content with the SHA-256 in the ETag of a large file. ETags of small files are not
/// SHA-256 sums, so small files always pass.
fn is_intact(file: &mut File, etag: &str) -> std::io::Result<bool> {
    if etag.len() != 64 || !etag.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(true);
    }
    file.rewind()?;
    let (mut context, mut chunk) = (Context::new(&SHA256), vec![0; CHUNK]);
    loop {
        match file.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => context.update(&chunk[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let digest = context.finish();
    let hex: String = digest.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    Ok(hex.eq_ignore_ascii_case(etag))
}

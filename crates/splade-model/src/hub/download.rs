//! Downloads a file of the hub into the cache: the download resumes where it was interrupted, the
//! content is checked, and then the file gets its name.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use splade_io::{Event, Observer, Problem, Progress};

use super::cache::RepoCache;
use super::client::{Client, NO_HUB, Remote};
use super::content::{Verdict, check};
use crate::error::ModelError;

/// The downloads of one commit.
#[derive(Debug)]
pub(super) struct Download<'a> {
    pub(super) client: &'a Client<'a>,
    pub(super) cache: &'a RepoCache<'a>,
    pub(super) commit: &'a str,
}

impl Download<'_> {
    /// Downloads a file into the snapshot, if the snapshot does not have it.
    pub(super) fn file(&self, file: &str, observer: &mut dyn Observer) -> Result<(), ModelError> {
        if self.cache.has(self.commit, file) {
            return Ok(());
        }
        let remote = self.client.head(self.commit, file, observer)?;
        if !self.cache.has_blob(&remote.etag, remote.size) {
            let _lock = self.cache.lock(&remote.etag, file, observer)?;
            // Another process may have downloaded the blob while this one waited for the lock.
            if !self.cache.has_blob(&remote.etag, remote.size) {
                self.blob(file, &remote, observer)?;
            }
        }
        self.cache.link(self.commit, file, &remote.etag)
    }

    /// Downloads a blob, checks it and gives it its name. The caller holds its lock.
    fn blob(
        &self,
        file: &str,
        remote: &Remote,
        observer: &mut dyn Observer,
    ) -> Result<(), ModelError> {
        let blob = self.cache.blob(&remote.etag);
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
            self.receive(file, remote.size, &mut out, &part, start, observer)?;
            let verdict = check(&mut out, file, &remote.etag, &mut || observer.stop());
            let verdict = verdict.map_err(failed)?;
            match verdict {
                Verdict::Sound => break,
                Verdict::Stopped => return Err(ModelError::transfer_stopped()),
                _ => out.set_len(0).map_err(failed)?,
            }
            if start == 0 {
                drop(out);
                // The file is empty; if it cannot be removed, it does no harm.
                _ = fs::remove_file(&part);
                return Err(self.refused(file, verdict));
            }
            // The partial file may have come from another program, so the download starts again.
            start = 0;
        }
        out.sync_all().map_err(failed)?;
        drop(out);
        fs::rename(&part, &blob).map_err(failed)?;
        self.cache.sync_folder_of(&blob);
        Ok(())
    }

    /// Returns the error of a file whose content is not that of the hub. Nothing of it is kept.
    fn refused(&self, file: &str, verdict: Verdict) -> ModelError {
        let hub = self.client.shown();
        let (what, remedy) = match verdict {
            Verdict::WebPage => {
                (format!("{hub} sent a web page in place of {file}, which was not kept"), NO_HUB)
            }
            Verdict::NotJson => {
                (format!("what {hub} sent as {file} is not JSON and was not kept"), NO_HUB)
            }
            Verdict::Damaged(hash) => {
                (format!("{file} was damaged on its way: its {hash} is not the hub's"), "try again")
            }
            Verdict::Sound | Verdict::Stopped => unreachable!("no refusal: this is a bug"),
        };
        self.cache.error(Problem::new(what).with_remedy(remedy))
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
        observer: &mut dyn Observer,
    ) -> Result<(), ModelError> {
        let failed = |error| self.cache.write_error(part, &error);
        let (mut have, mut furthest) = (start, start);
        let report = |have: u64, observer: &mut dyn Observer| {
            observer.event(Event::Progress(Progress {
                doing: "fetching",
                unit: file,
                done: have,
                total: Some(size),
                finished: have == size,
                ..Progress::default()
            }));
        };
        report(have, observer);
        while have < size {
            let mut bytes = self.client.bytes(self.commit, file, have, observer)?;
            have = bytes.from;
            out.set_len(have).map_err(failed)?;
            out.seek(SeekFrom::Start(have)).map_err(failed)?;
            let cut = loop {
                let chunk = match bytes.body.chunk(observer) {
                    Ok(None) => break "the connection was closed".to_owned(),
                    Ok(Some(chunk)) => chunk,
                    Err(splade_http::HttpError::Stopped) => {
                        return Err(ModelError::transfer_stopped());
                    }
                    Err(error) => break error.to_string(),
                };
                have += chunk.len() as u64;
                if have > size {
                    out.set_len(0).map_err(failed)?;
                    let message =
                        format!("{file} is longer than the {size} bytes that the hub announced");
                    return Err(self.cache.error(message));
                }
                out.write_all(&chunk).map_err(failed)?;
                report(have, observer);
            };
            if have < size && have <= furthest {
                let why =
                    format!("{file} stops after {have} of {size} bytes ({cut}), which are kept");
                return Err(self.client.unreachable(&why, "try again"));
            }
            furthest = have;
        }
        out.set_len(size).map_err(failed)
    }
}

//! Uploads a folder to the hub with the same requests as `huggingface_hub` (its `_commit_api.py`
//! and `lfs.py`): it creates the model, asks the hub which files are large, sends the large files
//! that the hub does not have with the protocol of Git LFS, and creates one commit with all files.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::digest::{Context, SHA256};
use serde_json::{Value, json};
use splade_http::{Again, Content, Response};
use splade_io::{Event, Observer, Progress};

use super::client::{Client, LFS, later};
use super::content::{CHUNK, hex};
use super::name::RepoName;
use crate::error::ModelError;

/// The number of bytes at the start of a file that the hub uses to classify it.
const SAMPLE: u64 = 512;

/// The upload of one folder.
pub(super) struct Upload<'a> {
    pub(super) client: &'a Client<'a>,
    pub(super) name: &'a RepoName,
    pub(super) folder: &'a Path,
}

/// A file of the folder.
struct Upfile {
    /// The path in the repository.
    path: String,
    size: u64,
    /// The SHA-256 in hexadecimal digits, for large files only.
    sha256: Option<String>,
}

impl Upload<'_> {
    /// Runs the upload and returns the URL of the commit.
    pub(super) fn run(
        &self,
        private: bool,
        observer: &mut dyn Observer,
    ) -> Result<String, ModelError> {
        let mut files = self.files()?;
        self.make_model(private, observer)?;
        self.make_branch(observer)?;
        self.sort_out(&mut files, observer)?;
        self.send_large(&files, observer)?;
        self.commit(&files, observer)
    }

    /// Returns every file of the folder, sorted by path.
    fn files(&self) -> Result<Vec<Upfile>, ModelError> {
        let io = |path: &Path| {
            let path = path.to_path_buf();
            move |source| ModelError::Io { path, source }
        };
        let (mut files, mut folders) =
            (Vec::new(), vec![(self.folder.to_path_buf(), String::new())]);
        while let Some((folder, prefix)) = folders.pop() {
            for entry in std::fs::read_dir(&folder).map_err(io(&folder))? {
                let entry = entry.map_err(io(&folder))?;
                let name = entry.file_name().into_string().map_err(|name| {
                    self.name.error(format!("the file name {} is not UTF-8", name.display()))
                })?;
                let (from, path) = (entry.path(), format!("{prefix}{name}"));
                let about = std::fs::metadata(&from).map_err(io(&from))?;
                match about.is_dir() {
                    true => folders.push((from, path + "/")),
                    false => files.push(Upfile { path, size: about.len(), sha256: None }),
                }
            }
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }

    fn make_model(&self, private: bool, observer: &mut dyn Observer) -> Result<(), ModelError> {
        let (organization, name) = self.name.id.split_once('/').unwrap_or_default();
        let body = json!({
            "name": name, "organization": organization, "private": private, "type": "model",
        });
        let url = format!("{}/api/repos/create", self.client.endpoint());
        let response = self.post(&url, &body, Again::Busy, observer)?;
        // The status 409 means that the model exists already.
        if response.status == 409 { Ok(()) } else { self.accepted(response, observer).map(drop) }
    }

    fn make_branch(&self, observer: &mut dyn Observer) -> Result<(), ModelError> {
        let revision = &self.name.revision;
        if revision == "main" || revision.starts_with("refs/") {
            return Ok(());
        }
        let url = self.client.api("branch", revision);
        let response = self.post(&url, &json!({}), Again::Busy, observer)?;
        if response.status == 409 { Ok(()) } else { self.accepted(response, observer).map(drop) }
    }

    /// Asks the hub which files are large, and removes the files that the repository ignores.
    fn sort_out(
        &self,
        files: &mut Vec<Upfile>,
        observer: &mut dyn Observer,
    ) -> Result<(), ModelError> {
        let mut asked = Vec::new();
        for file in &*files {
            let mut sample = Vec::new();
            let (from, source) = self.open(file)?;
            source.take(SAMPLE).read_to_end(&mut sample).map_err(read_error(&from))?;
            let sample = BASE64.encode(sample);
            asked.push(json!({"path": file.path, "sample": sample, "size": file.size}));
        }
        let url = self.client.api("preupload", &self.name.revision);
        let response = self.post(&url, &json!({"files": asked}), Again::Failed, observer)?;
        let answer = self.accepted(response, observer)?;
        let about = |path: &str| {
            let answers = answer["files"].as_array().into_iter().flatten();
            answers.into_iter().find(|answer| answer["path"] == path).cloned()
        };
        let mut kept = Vec::new();
        for mut file in files.drain(..) {
            let about = about(&file.path).ok_or_else(|| {
                self.name.error(format!("the hub did not say how to send {}", file.path))
            })?;
            if about["shouldIgnore"] == true {
                continue;
            }
            match about["uploadMode"].as_str() {
                // Stores of large files refuse empty files, so empty files are sent in the commit.
                Some("regular") => {}
                Some("lfs") if file.size == 0 => {}
                Some("lfs") => file.sha256 = Some(self.sha256(&file, observer)?),
                mode => {
                    return Err(self.name.error(format!(
                        "the hub wants {} to be sent as {}, which is not implemented",
                        file.path,
                        mode.unwrap_or("an unnamed type")
                    )));
                }
            }
            kept.push(file);
        }
        *files = kept;
        Ok(())
    }

    fn send_large(&self, files: &[Upfile], observer: &mut dyn Observer) -> Result<(), ModelError> {
        let large: Vec<(&Upfile, &String)> =
            files.iter().filter_map(|file| Some((file, file.sha256.as_ref()?))).collect();
        if large.is_empty() {
            return Ok(());
        }
        let objects: Vec<Value> =
            large.iter().map(|(file, oid)| json!({"oid": oid, "size": file.size})).collect();
        let body = json!({
            "operation": "upload", "transfers": ["basic"], "objects": objects,
            "hash_algo": "sha256", "ref": {"name": self.name.revision},
        });
        let url = format!("{}/{}.git/info/lfs/objects/batch", self.client.endpoint(), self.name.id);
        let body = body.to_string();
        let response = self.client.post(&url, LFS, body.as_bytes(), Again::Failed, observer)?;
        let answer = self.accepted(response, observer)?;
        for (file, oid) in large {
            let answers = answer["objects"].as_array().into_iter().flatten();
            let object = answers.into_iter().find(|object| object["oid"] == **oid);
            let object = object.ok_or_else(|| {
                self.name.error(format!("the hub did not say where to send {}", file.path))
            })?;
            if let Some(message) = object["error"]["message"].as_str() {
                return Err(self.name.error(format!("the hub refuses {}: {message}", file.path)));
            }
            let actions = &object["actions"];
            let Some(href) = actions["upload"]["href"].as_str() else {
                // Without an upload URL, the hub has the content already.
                observer.event(Event::Progress(Progress {
                    doing: "sending",
                    unit: &file.path,
                    done: file.size,
                    total: Some(file.size),
                    finished: true,
                    ..Progress::default()
                }));
                continue;
            };
            if !actions["upload"]["header"]["chunk_size"].is_null() {
                return Err(self.name.advised(
                    format!("the hub wants {} in parts, which is not implemented", file.path),
                    "make each file smaller than 5 GB, which is sent in one part",
                ));
            }
            let content = Content::File {
                path: self.folder.join(&file.path),
                size: file.size,
                name: file.path.clone(),
            };
            self.accepted(self.client.put(href, content, observer)?, observer)?;
            if let Some(href) = actions["verify"]["href"].as_str() {
                let body = json!({"oid": oid, "size": file.size});
                self.accepted(self.post(href, &body, Again::Failed, observer)?, observer)?;
            }
        }
        Ok(())
    }

    fn commit(&self, files: &[Upfile], observer: &mut dyn Observer) -> Result<String, ModelError> {
        let header = json!({"summary": "Upload a SPLADE model", "description": ""});
        let mut lines = vec![json!({"key": "header", "value": header})];
        for file in files {
            lines.push(match &file.sha256 {
                Some(oid) => json!({"key": "lfsFile", "value": {
                    "path": file.path, "algo": "sha256", "oid": oid, "size": file.size,
                }}),
                None => {
                    let (from, mut source) = self.open(file)?;
                    let mut bytes = Vec::new();
                    source.read_to_end(&mut bytes).map_err(read_error(&from))?;
                    json!({"key": "file", "value": {
                        "content": BASE64.encode(bytes), "path": file.path, "encoding": "base64",
                    }})
                }
            });
        }
        let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let url = self.client.api("commit", &self.name.revision);
        let kind = "application/x-ndjson";
        let response = self.client.post(&url, kind, body.as_bytes(), Again::Busy, observer)?;
        let answer = self.accepted(response, observer)?;
        answer["commitUrl"].as_str().map(str::to_owned).ok_or_else(|| {
            self.name.advised("the hub did not name the commit", "look there before trying again")
        })
    }

    fn post(
        &self,
        url: &str,
        body: &Value,
        again: Again,
        observer: &mut dyn Observer,
    ) -> Result<Response, ModelError> {
        self.client.post(url, "application/json", body.to_string().as_bytes(), again, observer)
    }

    /// Returns the body of an answer if its status is a success, or else an error with the hub's
    /// message. A body that is not JSON is null; the code that reads a key reports that it is missing.
    fn accepted(
        &self,
        response: Response,
        observer: &mut dyn Observer,
    ) -> Result<Value, ModelError> {
        let (status, is_success) = (response.status, response.is_success());
        let (later, at) = (later(&response), response.address.to_string());
        let header = response.header("x-error-message").map(str::to_owned);
        let body = self.client.read(response, observer)?;
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        if is_success {
            return Ok(body);
        }
        let said = header.or_else(|| body["error"].as_str().map(str::to_owned));
        let said = said.map(|said| format!(" ({said})")).unwrap_or_default();
        let endpoint = self.client.shown();
        let (what, remedy) = match status {
            401 => {
                (format!("{endpoint} does not accept the token{said}"), "check HF_TOKEN".to_owned())
            }
            403 => (
                format!("{endpoint} does not allow the upload{said}"),
                format!("give a token (HF_TOKEN) with the right to write to {}", self.name.id),
            ),
            _ => (
                format!("{at} answered {status}{said}"),
                format!("{later} (completed files are not sent again)"),
            ),
        };
        Err(self.name.advised(what, remedy))
    }

    fn open(&self, file: &Upfile) -> Result<(PathBuf, File), ModelError> {
        let path = self.folder.join(&file.path);
        let source = File::open(&path).map_err(read_error(&path))?;
        Ok((path, source))
    }

    fn sha256(&self, file: &Upfile, observer: &mut dyn Observer) -> Result<String, ModelError> {
        let (path, mut source) = self.open(file)?;
        let (mut context, mut buffer) = (Context::new(&SHA256), vec![0; CHUNK]);
        loop {
            match source.read(&mut buffer).map_err(read_error(&path))? {
                0 => break,
                count => context.update(&buffer[..count]),
            }
            if observer.stop() {
                return Err(ModelError::transfer_stopped());
            }
        }
        Ok(hex(context.finish().as_ref()))
    }
}

fn read_error(path: &Path) -> impl FnOnce(std::io::Error) -> ModelError {
    let path = path.to_path_buf();
    move |source| ModelError::Io { path, source }
}

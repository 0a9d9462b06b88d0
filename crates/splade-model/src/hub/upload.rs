//! Uploads a folder to the hub with the same requests as `huggingface_hub` (its `_commit_api.py`
//! and `lfs.py`): it creates the model, asks the hub which files are large, sends the large files
//! that the hub does not have with the protocol of Git LFS, and creates one commit with all files.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::digest::{Context, SHA256};
use serde_json::{Value, json};
use ureq::Body;
use ureq::http::Response;

use super::client::{Client, LFS};
use super::name::RepoName;
use super::progress::HubProgress;
use crate::error::ModelError;

/// The number of bytes at the start of a file that the hub uses to classify it.
const SAMPLE: u64 = 512;
/// The number of bytes that are read at a time.
const CHUNK: usize = 256 << 10;
/// The waiting times before each retry of a file.
const WAITS: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(16)];

type Progress<'a> = &'a mut dyn FnMut(HubProgress<'_>);

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
    pub(super) fn run(&self, private: bool, progress: Progress<'_>) -> Result<String, ModelError> {
        let mut files = self.files()?;
        self.make_model(private)?;
        self.make_branch()?;
        self.sort_out(&mut files)?;
        self.send_large(&files, progress)?;
        self.commit(&files)
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

    fn make_model(&self, private: bool) -> Result<(), ModelError> {
        let (organization, name) = self.name.id.split_once('/').unwrap_or_default();
        let body = json!({
            "name": name, "organization": organization, "private": private, "type": "model",
        });
        let url = format!("{}/api/repos/create", self.client.endpoint());
        let response = self.post(&url, &body)?;
        // The status 409 means that the model exists already.
        if response.status() == 409 { Ok(()) } else { self.accepted(response).map(drop) }
    }

    fn make_branch(&self) -> Result<(), ModelError> {
        let revision = &self.name.revision;
        if revision == "main" || revision.starts_with("refs/") {
            return Ok(());
        }
        let response = self.post(&self.client.api("branch", revision), &json!({}))?;
        if response.status() == 409 { Ok(()) } else { self.accepted(response).map(drop) }
    }

    /// Asks the hub which files are large, and removes the files that the repository ignores.
    fn sort_out(&self, files: &mut Vec<Upfile>) -> Result<(), ModelError> {
        let mut asked = Vec::new();
        for file in &*files {
            let mut sample = Vec::new();
            let (from, source) = self.open(file)?;
            source.take(SAMPLE).read_to_end(&mut sample).map_err(read_error(&from))?;
            let sample = BASE64.encode(sample);
            asked.push(json!({"path": file.path, "sample": sample, "size": file.size}));
        }
        let url = self.client.api("preupload", &self.name.revision);
        let answer = json_of(self.accepted(self.post(&url, &json!({"files": asked}))?)?);
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
                Some("lfs") => file.sha256 = Some(self.sha256(&file)?),
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

    fn send_large(&self, files: &[Upfile], progress: Progress<'_>) -> Result<(), ModelError> {
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
        let response = self.client.post(&url, LFS, body.to_string().as_bytes())?;
        let answer = json_of(self.accepted(response)?);
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
                progress(HubProgress { file: &file.path, bytes: file.size, total: file.size });
                continue;
            };
            if !actions["upload"]["header"]["chunk_size"].is_null() {
                return Err(self.name.error(format!(
                    "the hub wants {} in parts, which is not implemented; files below 5 GB are \
                     sent in one part",
                    file.path
                )));
            }
            self.send(file, href, progress)?;
            if let Some(href) = actions["verify"]["href"].as_str() {
                let body = json!({"oid": oid, "size": file.size});
                self.accepted(self.post(href, &body)?)?;
            }
        }
        Ok(())
    }

    /// Sends a file, and retries if the store answers with a server error.
    fn send(&self, file: &Upfile, href: &str, progress: Progress<'_>) -> Result<(), ModelError> {
        let mut waits = WAITS.iter();
        loop {
            let (_, source) = self.open(file)?;
            let mut source = Watched { source, file, sent: 0, progress: &mut *progress };
            let result = match self.client.put(href, file.size, &mut source) {
                Ok(response) if response.status().is_server_error() => self.accepted(response),
                Ok(response) => return self.accepted(response).map(drop),
                Err(error) => Err(error),
            };
            match (result, waits.next()) {
                (Ok(_), _) => return Ok(()),
                (Err(error), None) => return Err(error),
                (Err(_), Some(wait)) => std::thread::sleep(*wait),
            }
        }
    }

    fn commit(&self, files: &[Upfile]) -> Result<String, ModelError> {
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
        let response = self.client.post(&url, "application/x-ndjson", body.as_bytes())?;
        let answer = json_of(self.accepted(response)?);
        answer["commitUrl"].as_str().map(str::to_owned).ok_or_else(|| {
            self.name.error("the hub did not name the commit; look there before trying again")
        })
    }

    fn post(&self, url: &str, body: &Value) -> Result<Response<Body>, ModelError> {
        self.client.post(url, "application/json", body.to_string().as_bytes())
    }

    /// Returns the answer if its status is a success, or else an error with the hub's message.
    fn accepted(&self, mut response: Response<Body>) -> Result<Response<Body>, ModelError> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let header = response.headers().get("x-error-message");
        let header = header.and_then(|message| message.to_str().ok()).map(str::to_owned);
        let body = response.body_mut().read_to_string().unwrap_or_default();
        let body: Value = serde_json::from_str(&body).unwrap_or_default();
        let said = header.or_else(|| body["error"].as_str().map(str::to_owned));
        let said = said.map(|said| format!(" ({said})")).unwrap_or_default();
        let endpoint = self.client.endpoint();
        Err(self.name.error(match status.as_u16() {
            401 => format!("{endpoint} does not accept the token{said}; check HF_TOKEN"),
            403 => format!(
                "{endpoint} does not allow the upload{said}; the token (HF_TOKEN) needs the right to \
                 write to {}",
                self.name.id
            ),
            _ => format!("{endpoint} answered {status}{said}; completed files are not sent again"),
        }))
    }

    fn open(&self, file: &Upfile) -> Result<(PathBuf, File), ModelError> {
        let path = self.folder.join(&file.path);
        let source = File::open(&path).map_err(read_error(&path))?;
        Ok((path, source))
    }

    fn sha256(&self, file: &Upfile) -> Result<String, ModelError> {
        let (path, mut source) = self.open(file)?;
        let (mut context, mut buffer) = (Context::new(&SHA256), vec![0; CHUNK]);
        loop {
            match source.read(&mut buffer).map_err(read_error(&path))? {
                0 => break,
                count => context.update(&buffer[..count]),
            }
        }
        Ok(context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

fn read_error(path: &Path) -> impl FnOnce(std::io::Error) -> ModelError {
    let path = path.to_path_buf();
    move |source| ModelError::Io { path, source }
}

/// Parses the body of an answer, or returns null if it is not JSON. A missing key is then reported
/// by the code that reads it.
fn json_of(mut response: Response<Body>) -> Value {
    let text = response.body_mut().read_to_string().unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

/// A file that reports the bytes that are read from it as sent.
struct Watched<'a, 'p> {
    source: File,
    file: &'a Upfile,
    sent: u64,
    progress: &'a mut (dyn FnMut(HubProgress<'_>) + 'p),
}

impl Read for Watched<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.sent += count as u64;
        let Upfile { path, size, .. } = self.file;
        (self.progress)(HubProgress { file: path, bytes: self.sent, total: *size });
        Ok(count)
    }
}

//! The upload part of the fake hub, which answers the requests of `huggingface_hub` 0.36: models
//! and branches are created once, large files go to the CDN under their SHA-256, and a commit lists
//! all files.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use super::{Answer, FakeHub, Request, is_large, sha256};

/// The uploads that the hub has received.
#[derive(Debug, Default)]
pub(crate) struct Uploads {
    /// The created models, with a flag for private ones.
    pub(crate) models: BTreeMap<String, bool>,
    /// The created branches, as `id@branch`.
    pub(crate) branches: Vec<String>,
    /// The large files by their SHA-256.
    pub(crate) blobs: BTreeMap<String, Vec<u8>>,
    /// The SHA-256 sums in the order in which the client asked to verify them.
    pub(crate) verified: Vec<String>,
    /// The files of every commit, with `id@revision`.
    pub(crate) commits: Vec<(String, BTreeMap<String, Vec<u8>>)>,
}

/// The only token that may upload.
pub(crate) const WRITE_TOKEN: &str = "hf_write";

impl FakeHub {
    /// Answers a POST request.
    pub(super) fn post(&self, request: &Request, body: &[u8]) -> Answer {
        match request.authorization.as_deref() {
            Some("Bearer hf_write") => {}
            Some(_) => return Answer::said(403, "You don't have the rights"),
            None => return Answer::said(401, "Invalid username or password."),
        }
        let mut uploads = self.uploads.lock().expect("no panic");
        let path = request.path.as_str();
        let value: Value = serde_json::from_slice(body).unwrap_or_default();
        if path == "/api/repos/create" {
            let id = format!("{}/{}", text(&value["organization"]), text(&value["name"]));
            let private = value["private"] == true;
            return match uploads.models.insert(id, private) {
                None => Answer::json(&json!({"url": "x"})),
                Some(_) => Answer::said(409, "You already created this model repo"),
            };
        }
        if path == "/verify" {
            let oid = text(&value["oid"]).to_owned();
            let known = uploads.blobs.get(&oid).is_some_and(|blob| value["size"] == blob.len());
            uploads.verified.push(oid);
            return if known { Answer::json(&json!({})) } else { Answer::said(404, "not stored") };
        }
        if let Some(id) = path.strip_suffix(".git/info/lfs/objects/batch") {
            assert!(uploads.models.contains_key(&id[1..]), "{id}");
            assert_eq!(value["hash_algo"], "sha256");
            let objects = value["objects"].as_array().expect("objects").iter().map(|object| {
                let mut object = object.clone();
                let oid = text(&object["oid"]).to_owned();
                if !uploads.blobs.contains_key(&oid) {
                    object["actions"] = json!({
                        "upload": {"href": format!("{}/upload/{oid}?X-Signature=secret", self.cdn)},
                        "verify": {"href": format!("{}/verify", self.endpoint)},
                    });
                }
                object
            });
            return Answer::json(
                &json!({"transfer": "basic", "objects": objects.collect::<Value>()}),
            );
        }
        let (id, what, revision) = parts(path);
        assert!(uploads.models.contains_key(&id), "{id}");
        let branch = format!("{id}@{revision}");
        match what {
            "branch" if uploads.branches.contains(&branch) => Answer::said(409, "Branch exists"),
            "branch" => {
                uploads.branches.push(branch);
                Answer::json(&json!({}))
            }
            "preupload" => {
                let files = value["files"].as_array().expect("files").iter().map(|file| {
                    let path = text(&file["path"]);
                    BASE64.decode(text(&file["sample"])).expect("base64");
                    let mode = if is_large(path) { "lfs" } else { "regular" };
                    json!({"path": path, "uploadMode": mode, "shouldIgnore": path == "ignored.txt"})
                });
                Answer::json(&json!({"files": files.collect::<Value>()}))
            }
            "commit" => {
                let mut files = BTreeMap::new();
                let lines = std::str::from_utf8(body).expect("UTF-8").lines();
                let lines: Vec<Value> =
                    lines.map(|line| serde_json::from_str(line).expect("JSON")).collect();
                assert_eq!(lines[0]["key"], "header");
                for line in &lines[1..] {
                    let value = &line["value"];
                    let content = match text(&line["key"]) {
                        "file" => BASE64.decode(text(&value["content"])).expect("base64"),
                        "lfsFile" => match uploads.blobs.get(text(&value["oid"])) {
                            Some(blob) => blob.clone(),
                            None => return Answer::said(400, "a large file was not uploaded"),
                        },
                        key => return Answer::said(400, key),
                    };
                    files.insert(text(&value["path"]).to_owned(), content);
                }
                uploads.commits.push((branch, files));
                let url = format!("{}/{id}/commit/abc", self.endpoint);
                Answer::json(&json!({"commitUrl": url, "commitOid": "abc"}))
            }
            _ => Answer::said(404, "unknown"),
        }
    }

    /// Answers a PUT request to the CDN.
    pub(super) fn put(&self, request: &Request, body: &[u8]) -> Answer {
        let mut behaviour = self.behaviour.lock().expect("no panic");
        if behaviour.failing_puts > 0 {
            behaviour.failing_puts -= 1;
            return Answer::said(503, "SlowDown");
        }
        let name = request.path.trim_start_matches("/upload/");
        let oid = name.split('?').next().unwrap_or_default().to_owned();
        if sha256(body) != oid {
            return Answer::said(400, "BadDigest");
        }
        self.uploads.lock().expect("no panic").blobs.insert(oid, body.to_vec());
        Answer::ok(Vec::new())
    }
}

/// Splits a path of the form `/api/models/org/name/what/revision`.
fn parts(path: &str) -> (String, &str, String) {
    let parts: Vec<&str> = path.trim_start_matches("/api/models/").split('/').collect();
    let [org, name, what, revision] = parts[..] else { panic!("{path}") };
    (format!("{org}/{name}"), what, revision.replace("%2F", "/"))
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a string")
}

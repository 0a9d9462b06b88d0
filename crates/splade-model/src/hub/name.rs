//! Names at the hub: what is a path and what is `org/name[@revision]`.

use std::path::PathBuf;

use crate::error::ModelError;

/// The branch where no revision is named.
const MAIN: &str = "main";

/// What a repository of the hub holds; each has its own names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(feature = "hub"), allow(dead_code, reason = "only errors are made of it"))]
pub(super) enum Kind {
    Model,
    Dataset,
}

impl Kind {
    /// As messages call it.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Dataset => "data set",
        }
    }

    /// In the hub's API and in the cache.
    #[cfg(feature = "hub")]
    pub(super) fn plural(self) -> &'static str {
        match self {
            Self::Model => "models",
            Self::Dataset => "datasets",
        }
    }
}

/// A repository of the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(not(feature = "hub"), allow(dead_code, reason = "only errors are made of it"))]
pub(super) struct RepoName {
    /// As it was given.
    name: String,
    pub(super) kind: Kind,
    /// `org/name`.
    pub(super) id: String,
    /// A branch, a tag or a commit.
    pub(super) revision: String,
}

impl RepoName {
    /// # Errors
    /// If it is no name of the hub: then it was meant as a folder, which does not exist.
    pub(super) fn parse(name: &str, kind: Kind) -> Result<Self, ModelError> {
        let (id, revision) = name.split_once('@').unwrap_or((name, MAIN));
        if !is_id(id) {
            let message = format!(
                "there is no such folder, and it is no hub {} either: these are named org/name or \
                 org/name@revision",
                kind.noun()
            );
            return Err(ModelError::NoModel { path: PathBuf::from(name), message });
        }
        let (id, revision) = (id.to_owned(), revision.to_owned());
        let name = Self { name: name.to_owned(), kind, id, revision };
        match is_revision(&name.revision) {
            true => Ok(name),
            false => Err(name.error("after @ the name of a branch, a tag or a commit is expected")),
        }
    }

    pub(super) fn error(&self, message: impl Into<String>) -> ModelError {
        ModelError::Hub { name: self.name.clone(), message: message.into() }
    }
}

/// The hub's own rules, as `huggingface_hub.utils.validate_repo_id` states them.
fn is_id(id: &str) -> bool {
    let is_part = |part: &str| {
        part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
            && !part.starts_with(['-', '.'])
            && !part.ends_with(['-', '.'])
            && (1..=96).contains(&part.len())
    };
    let parts = id.split_once('/');
    parts.is_some_and(|(org, name)| is_part(org) && is_part(name))
        && !id.contains("--")
        && !id.contains("..")
        && !id.ends_with(".git")
}

/// It becomes a path below `refs`: it must not lead out of there. Git allows no more than this.
fn is_revision(revision: &str) -> bool {
    let is_part = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with('.');
    revision.split('/').all(is_part)
        && revision.len() <= 200
        && !revision.chars().any(|c| c.is_control() || " ~^:?*[\\@".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_revisions() {
        for (name, id, revision) in [
            ("org/name", "org/name", "main"),
            ("naver/splade-v3", "naver/splade-v3", "main"),
            ("a_b/c.d-e", "a_b/c.d-e", "main"),
            ("org/name@v1.0", "org/name", "v1.0"),
            ("org/name@refs/pr/1", "org/name", "refs/pr/1"),
        ] {
            let parsed = RepoName::parse(name, Kind::Model).expect(name);
            assert_eq!((&*parsed.id, &*parsed.revision), (id, revision));
        }
    }

    /// None of these may become a request or a path in the cache.
    #[test]
    fn paths_are_no_ids() {
        for name in [
            "",
            "name",
            "./org/name",
            "/org/name",
            "~/name",
            "../name",
            "org/..",
            "a/b/c",
            "org/",
            "org\\name",
            "C:\\models\\x",
            "org/na me",
            "org/na--me",
            "org/name.git",
            "-org/name",
            "org/name.",
            "org/é",
        ] {
            let error = RepoName::parse(name, Kind::Model).expect_err(name).to_string();
            assert!(error.contains("there is no such folder"), "{name}: {error}");
        }
        for name in ["org/name@", "org/name@../x", "org/name@a//b", "org/name@a b", "org/name@/x"] {
            let error = RepoName::parse(name, Kind::Model).expect_err(name).to_string();
            assert!(error.contains("after @"), "{name}: {error}");
        }
    }
}

//! Folders of late-interaction models: those of colbert-ai, whose settings are in `artifact.metadata`,
//! and those of PyLate and of sentence-transformers' MultiVectorEncoder, whose settings are in
//! `config_sentence_transformers.json` and in the modules.

use std::path::Path;

use splade_nn::Activation;
use splade_text::ModelFiles;

use crate::config::{Keys, read_if_any};
use crate::dense_modules::steps;
use crate::error::ModelError;
use crate::heads::{Expansion, LateInteraction, Projection, ProjectionFile, Step, TokenRules};
use crate::sentence_transformers::{Lengths, ModelSettings, PyLate};
use crate::tower::{Method, Module, Tower, Towers, invalid};

/// The number of tokens of a query in the paper, to which mask tokens fill it.
const QUERY_LENGTH: usize = 32;

/// Reads the towers of a folder of colbert-ai: the projection is the tensor `linear.weight` beside
/// the tensors of the body. Defaults are those of colbert-ai 0.2.
pub(crate) fn metadata(files: &ModelFiles, config: &Path) -> Result<(Tower, Tower), ModelError> {
    let dir = files.root();
    let path = dir.join("artifact.metadata");
    let value = read_if_any(files, &path)?.ok_or_else(|| {
        invalid(config, "the class is HF_ColBERT, but its settings, artifact.metadata, are missing")
    })?;
    let keys = Keys::new(&value, &path);
    let projection = Projection {
        file: ProjectionFile::Folder(dir.to_path_buf()),
        inputs: None,
        outputs: keys.size_if_any("dim")?,
        bias: false,
        activation: Activation::Identity,
        residual: false,
    };
    keys.only("similarity", &"cosine".into())?;
    let steps = vec![Step::Project(projection), Step::Normalize];
    let tower = |length: usize, tokens: TokenRules| {
        let method = Method::LateInteraction(LateInteraction { steps: steps.clone(), tokens });
        let max_seq_length = Some(length);
        Tower { method, max_seq_length, ..Tower::masked_lm(dir.to_path_buf()) }
    };
    let length = keys.size("query_maxlen", QUERY_LENGTH)?;
    let attend = keys.flag("attend_to_mask_tokens", false)?;
    let query = TokenRules {
        marker: Some(keys.text("query_token_id", "[unused0]")?),
        expansion: Some(Expansion { length, truncates: true, attend, token: None }),
        ..TokenRules::default()
    };
    let document = TokenRules {
        marker: Some(keys.text("doc_token_id", "[unused1]")?),
        skip: if keys.flag("mask_punctuation", true)? { punctuation() } else { Vec::new() },
        ..TokenRules::default()
    };
    Ok((tower(length, query), tower(keys.size("doc_maxlen", 220)?, document)))
}

/// Reads the towers of a transformer with the modules of late interaction behind it.
pub(crate) fn modules(
    files: &ModelFiles,
    file: &Path,
    transformer: &Module,
    rest: &[Module],
    settings: &ModelSettings,
) -> Result<Towers, ModelError> {
    let lengths = Lengths::read(files, &transformer.dir, transformer.kind(), "feature-extraction")?;
    let (masks, others): (Vec<&Module>, Vec<&Module>) =
        rest.iter().partition(|module| module.kind() == "MultiVectorMask");
    let mut steps = steps(files, file, &others)?;
    if !steps.iter().any(|step| matches!(step, Step::Project(_))) {
        return Err(invalid(
            file,
            "a late-interaction model needs a projection, a module Dense, and there is none",
        ));
    }
    let (mut query, mut document) = (TokenRules::default(), TokenRules::default());
    for mask in &masks {
        read_mask(files, &mask.dir, &mut query, &mut document)?;
    }
    query.expansion = lengths.expansion;
    let (mut query_length, mut document_length) = (lengths.query, lengths.document);
    if let Some(pylate) = &settings.pylate {
        let PyLate { query_marker, document_marker, expands, attends, .. } = pylate;
        let marker = |marker: &String| Some(marker.clone()).filter(|marker| !marker.is_empty());
        query.marker = marker(query_marker);
        document.marker = marker(document_marker);
        let length = pylate.query_length;
        query.expansion =
            expands.then_some(Expansion { length, truncates: true, attend: *attends, token: None });
        (query_length, document_length) = (Some(length), Some(pylate.document_length));
        document.skip = pylate.skip.clone().unwrap_or_else(punctuation);
        // PyLate normalises outside of its modules.
        if steps.last() != Some(&Step::Normalize) {
            steps.push(Step::Normalize);
        }
    }
    let tower = |tokens, max_seq_length| {
        let method = Method::LateInteraction(LateInteraction { steps: steps.clone(), tokens });
        Tower { method, max_seq_length, ..Tower::masked_lm(transformer.dir.clone()) }
    };
    Ok(Towers { query: tower(query, query_length), document: tower(document, document_length) })
}

/// Reads the config of a MultiVectorMask: the words without a vector.
fn read_mask(
    files: &ModelFiles,
    dir: &Path,
    query: &mut TokenRules,
    document: &mut TokenRules,
) -> Result<(), ModelError> {
    let path = dir.join("config.json");
    let value = read_if_any(files, &path)?.unwrap_or_default();
    let keys = Keys::new(&value, &path);
    let words = keys.texts("skiplist_words")?.unwrap_or_default();
    let tasks = keys.texts("skiplist_tasks")?.unwrap_or_else(|| vec!["document".to_owned()]);
    keys.only("keep_only_token_ids", &serde_json::Value::Null)?;
    keys.refuse_unknown(&[])?;
    for (task, side) in [("query", query), ("document", document)] {
        if tasks.iter().any(|own| own == task) {
            side.skip.extend(words.iter().cloned());
        }
    }
    Ok(())
}

/// Returns the signs of punctuation of ASCII, one a text.
fn punctuation() -> Vec<String> {
    (b'!'..=b'~').filter(u8::is_ascii_punctuation).map(|c| char::from(c).to_string()).collect()
}

//! The settings in the JSON files of a sentence-transformers folder.
//!
//! Every key on which a vector depends in sentence-transformers 5.0 to 6.2 is followed, or its value
//! is an error. The lists of keys without influence are here, too.

use std::path::{Path, PathBuf};

use serde_json::Value;
use splade_nn::{Pooling, Saturation};
use splade_text::ModelFiles;

use crate::config::{Keys, read_if_any};
use crate::error::ModelError;
use crate::head_kind::{HeadKind, Similarity};
use crate::heads::Expansion;

/// The settings of the whole model, in `config_sentence_transformers.json`.
#[derive(Debug)]
pub(crate) struct ModelSettings {
    /// The name of the similarity, if the file gives one.
    similarity: Option<String>,
    /// The settings with which PyLate replaces those of the modules.
    pub(crate) pylate: Option<PyLate>,
    pub(crate) query_prompt: String,
    pub(crate) document_prompt: String,
    /// The number of terms with the largest weights that a vector keeps, for both sides.
    pub(crate) max_active_dims: Option<usize>,
    path: PathBuf,
}

/// The settings of late interaction in the file of PyLate.
#[derive(Debug, Clone)]
pub(crate) struct PyLate {
    pub(crate) query_marker: String,
    pub(crate) document_marker: String,
    pub(crate) query_length: usize,
    pub(crate) document_length: usize,
    pub(crate) expands: bool,
    pub(crate) attends: bool,
    /// The words without a vector, or `None` for punctuation.
    pub(crate) skip: Option<Vec<String>>,
}

impl PyLate {
    /// Reads the settings, or returns `None` if the model is not one of PyLate. Defaults are those of
    /// PyLate 1.6.
    fn read(keys: &Keys<'_>) -> Result<Option<Self>, ModelError> {
        let is_pylate = keys.text("model_type", "")? == "ColBERT"
            || keys.get("query_prefix").is_some()
            || keys.get("do_query_expansion").is_some();
        let read = Self {
            query_marker: keys.text("query_prefix", "[Q] ")?,
            document_marker: keys.text("document_prefix", "[D] ")?,
            query_length: keys.size("query_length", 32)?,
            document_length: keys.size("document_length", 180)?,
            expands: keys.flag("do_query_expansion", true)?,
            attends: keys.flag("attend_to_expansion_tokens", false)?,
            skip: keys.texts("skiplist_words")?,
        };
        Ok(is_pylate.then_some(read))
    }
}

impl ModelSettings {
    /// Returns the similarity that the file names for vectors of a kind.
    pub(crate) fn similarity(&self, kind: HeadKind) -> Result<Similarity, ModelError> {
        let name = self.similarity.as_deref().map(str::to_lowercase);
        match (kind, name.as_deref()) {
            (HeadKind::Dense, None | Some("cosine")) => Ok(Similarity::Cosine),
            (HeadKind::Dense, Some("dot" | "dot_score")) => Ok(Similarity::Dot),
            (HeadKind::Dense, Some(_)) => Err(ModelError::UnsupportedConfig {
                path: self.path.clone(),
                key: "similarity_fn_name".to_owned(),
                value: serde_json::json!(self.similarity).to_string(),
                known: "cosine, dot".to_owned(),
            }),
            (HeadKind::MultiVector, Some("meanmaxsim")) => Ok(Similarity::MeanMaxSim),
            (HeadKind::MultiVector, _) => Ok(Similarity::MaxSim),
            _ => Ok(Similarity::Dot),
        }
    }

    /// Reads the file of a folder, which may be absent.
    pub(crate) fn read(files: &ModelFiles) -> Result<Self, ModelError> {
        let path = files.root().join("config_sentence_transformers.json");
        let value = read_if_any(files, &path)?.unwrap_or_else(|| Value::Object(Default::default()));
        let keys = Keys::new(&value, &path);
        // As in `encode_query` and `encode_document`, a side without a prompt of its own has none.
        // Other prompts, also the default one, are for callers that name them.
        let (query_prompt, document_prompt) = match keys.object("prompts")? {
            None => Default::default(),
            Some(prompts) => (prompts.text("query", "")?, prompts.text("document", "")?),
        };
        check_default_prompt(&keys)?;
        let max_active_dims = keys.size_if_any("max_active_dims")?;
        let similarity = keys.get("similarity_fn_name").and_then(Value::as_str).map(str::to_owned);
        let pylate = PyLate::read(&keys)?;
        keys.refuse_unknown(&[&[
            "__version__",
            "requirements",
            // sentence-transformers takes it as an argument and does not read it.
            "truncate_dim",
        ]])?;
        Ok(Self {
            similarity,
            pylate,
            query_prompt,
            document_prompt,
            max_active_dims,
            path: path.clone(),
        })
    }
}

/// Refuses the name of a default prompt that the folder does not have, as sentence-transformers does. The prompts of
/// queries and documents are there in any case.
fn check_default_prompt(keys: &Keys<'_>) -> Result<(), ModelError> {
    let Some(name) = keys.get("default_prompt_name").and_then(Value::as_str) else { return Ok(()) };
    let prompts = keys.get("prompts").and_then(Value::as_object);
    let is_known = prompts.is_some_and(|prompts| prompts.contains_key(name));
    match is_known || ["query", "document"].contains(&name) {
        true => Ok(()),
        false => {
            Err(keys.unsupported("default_prompt_name", "query, document and the names in prompts"))
        }
    }
}

/// The settings of a transformer: the longest query and document in tokens, and the tokens that are
/// appended to queries.
#[derive(Debug, Default, Clone)]
pub(crate) struct Lengths {
    pub(crate) expansion: Option<Expansion>,
    pub(crate) query: Option<usize>,
    pub(crate) document: Option<usize>,
}

/// The names under which versions of sentence-transformers write the settings of a transformer.
const TRANSFORMER_FILES: [&str; 7] = [
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_albert_config.json",
    "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
];

impl Lengths {
    /// Reads the settings of the transformer in the folder `dir`. `class` is the class of the
    /// module, without its package, and `wanted` the task for which its output is used.
    pub(crate) fn read(
        files: &ModelFiles,
        dir: &Path,
        class: &str,
        wanted: &str,
    ) -> Result<Self, ModelError> {
        let path = TRANSFORMER_FILES.map(|name| dir.join(name));
        let path = path.iter().find(|path| files.is_file(path)).unwrap_or(&path[0]);
        let value = read_if_any(files, path)?.unwrap_or_else(|| Value::Object(Default::default()));
        let keys = Keys::new(&value, path);
        // The class MLMTransformer is a masked language model, and a Transformer may be one.
        let task = if class == "MLMTransformer" { "fill-mask" } else { "feature-extraction" };
        if keys.text("transformer_task", task)? != wanted {
            return Err(keys.unsupported("transformer_task", wanted));
        }
        keys.only("do_lower_case", &Value::Bool(false))?;
        if wanted == "fill-mask" {
            keys.only("query_expansion", &Value::Null)?;
        }
        let expansion = expansion(&keys)?;
        keys.only("module_output_name", &Value::from("token_embeddings"))?;
        if let Some(modalities) = keys.object("modality_config")? {
            if let Some(text) = modalities.object("text")? {
                text.only("method", &Value::from("forward"))?;
                let output = if wanted == "fill-mask" { "logits" } else { "last_hidden_state" };
                text.only("method_output_name", &Value::from(output))?;
            }
            // Texts would be put into a chat template.
            modalities.only("message", &Value::Null)?;
            modalities.refuse_unknown(&[&["image*", "audio*", "video*"]])?;
        }
        let own = tokenizer_length(&keys)?;
        let both = keys.size_if_any("max_seq_length")?.or(own);
        let call = call_length(&keys)?;
        let (query, document) =
            (keys.size_if_any("query_length")?, keys.size_if_any("document_length")?);
        let side = |own: Option<usize>| call.or(own).or(both);
        let lengths = Self { expansion, query: side(query), document: side(document) };
        for key in ["config_args", "config_kwargs"] {
            if let Some(settings) = keys.object(key)? {
                settings
                    .refuse_unknown(&[HUB, &["use_cache", "output_*", "torch_dtype", "dtype"]])?;
            }
        }
        for key in ["model_args", "model_kwargs"] {
            if let Some(settings) = keys.object(key)? {
                settings.refuse_unknown(&[HUB, COMPUTING])?;
            }
        }
        keys.refuse_unknown(&[&["unpad_inputs"]])?;
        Ok(lengths)
    }
}

/// Reads the tokens that are appended to queries.
fn expansion(keys: &Keys<'_>) -> Result<Option<Expansion>, ModelError> {
    let Some(expansion) = keys.object("query_expansion")? else { return Ok(None) };
    let truncates = expansion.choice("strategy", [("fixed", true), ("min", false)])?;
    let attend = expansion.flag("attend", false)?;
    let token = expansion.get("token").and_then(Value::as_str).map(str::to_owned);
    let length = expansion.size("length", 32)?;
    expansion.refuse_unknown(&[])?;
    Ok(Some(Expansion { length, truncates, attend, token }))
}

/// Settings of downloads, which say nothing about the model.
const HUB: &[&str] = &[
    "cache_dir",
    "force_download",
    "local_files_only",
    "revision",
    "safe_serialization",
    "subfolder",
    "token",
    "trust_remote_code",
    "use_safetensors",
];

/// Settings of the way in which PyTorch computes the same numbers.
const COMPUTING: &[&str] = &[
    "attn_implementation",
    "device_map",
    "dtype",
    "export",
    "file_name",
    "low_cpu_mem_usage",
    "max_memory",
    "offload_folder",
    "provider",
    "torch_dtype",
];

/// Returns the longest text by the settings with which the tokenizer is loaded.
fn tokenizer_length(keys: &Keys<'_>) -> Result<Option<usize>, ModelError> {
    let mut length = None;
    for key in ["tokenizer_args", "processor_kwargs"] {
        if let Some(settings) = keys.object(key)? {
            length = length.or(settings.size_if_any("model_max_length")?);
            settings.refuse_unknown(&[HUB, &["padding_side", "use_fast"]])?;
        }
    }
    Ok(length)
}

/// Returns the longest text by the settings with which the tokenizer is called.
fn call_length(keys: &Keys<'_>) -> Result<Option<usize>, ModelError> {
    let Some(settings) = keys.object("processing_kwargs")? else { return Ok(None) };
    let mut length = None;
    // Settings that are common to all kinds of input are called after those of texts.
    for key in ["common", "text"] {
        let Some(call) = settings.object(key)? else { continue };
        length = length.or(call.size_if_any("max_length")?);
        let truncation = call.get("truncation").unwrap_or(&Value::Null);
        let truncates = ["longest_first", "only_first"].iter().any(|way| truncation == way);
        if !(truncates || truncation.is_null() || *truncation == Value::Bool(true)) {
            return Err(call.unsupported("truncation", "true, longest_first and only_first"));
        }
        call.only("add_special_tokens", &Value::Bool(true))?;
        call.only("return_attention_mask", &Value::Bool(true))?;
        call.refuse_unknown(&[&[
            "padding",
            "padding_side",
            "pad_to_multiple_of",
            "return_tensors",
            "return_token_type_ids",
            "logits_to_keep",
        ]])?;
    }
    // Texts are neither images nor chats.
    settings.refuse_unknown(&[&["audio", "chat_template", "image", "video"]])?;
    Ok(length)
}

/// Reads the config of a SpladePooling.
pub(crate) fn pooling(
    files: &ModelFiles,
    path: &Path,
) -> Result<(Pooling, Saturation), ModelError> {
    let value = read_if_any(files, path)?.unwrap_or_default();
    let keys = Keys::new(&value, path);
    let saturations = [("relu", Saturation::Log1pRelu), ("log1p_relu", Saturation::Log1pLog1pRelu)];
    let read = (
        keys.choice("pooling_strategy", POOLINGS)?,
        keys.choice("activation_function", saturations)?,
    );
    keys.refuse_unknown(&[&["chunk_size", "embedding_dimension", "word_embedding_dimension"]])?;
    Ok(read)
}

/// The words for poolings.
pub(crate) const POOLINGS: [(&str, Pooling); 2] = [("max", Pooling::Max), ("sum", Pooling::Sum)];

/// Returns the name of the JSON file of a SparseStaticEmbedding, or `None` if its weights are a
/// tensor.
pub(crate) fn table_file(files: &ModelFiles, path: &Path) -> Result<Option<String>, ModelError> {
    let value = read_if_any(files, path)?.unwrap_or_default();
    let keys = Keys::new(&value, path);
    let name = keys.text("path", "")?;
    // Whether training changes the table.
    keys.refuse_unknown(&[&["frozen"]])?;
    // As in sentence-transformers, other files are passed over.
    Ok(Some(name).filter(|name| name.ends_with(".json")))
}

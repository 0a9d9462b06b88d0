//! A model as a folder for other libraries, with its card, and its way to the hub.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use splade_data::contents::folder_content;
use splade_io::{Event, NewFolder, Observer, is_free, write_file};
use splade_model::HeadKind;
use splade_model::export::{ExportOptions, ExportedModel, OnnxOutput};
use splade_model::hub::{HubOptions, HubTarget, upload};
use splade_model::weights::FloatType;
use splade_text::TokenizerOptions;

use super::card::{Card, ModelCard, Results, Training};
use super::front_matter;
use super::record::Record;
use crate::error::{Error, advised};
use crate::model::{folder_name, identify, model_folder};
use crate::provenance::{Provenance, content_json};

/// Settings of [`export_model`].
///
/// ```
/// use light_splade::models::{ExportModelOptions, ModelCard, export_model};
///
/// let folder = tempfile::tempdir()?;
/// let options = ExportModelOptions {
///     model: concat!(env!("CARGO_MANIFEST_DIR"), "/models/demo").into(),
///     out: folder.path().join("demo"),
///     card: ModelCard { name: Some("my-splade".to_owned()), ..ModelCard::default() },
///     ..ExportModelOptions::default()
/// };
/// let exported = export_model(&options, &mut ())?;
/// assert!(options.out.join("model.safetensors").is_file());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ExportModelOptions {
    /// The model: a folder, a name at the hub, or the built-in model's name.
    pub model: PathBuf,
    /// The folder to write; it must not exist, or be empty.
    pub out: PathBuf,
    /// The type of the weights.
    pub dtype: FloatType,
    /// Writes `model.onnx`, too, with this output.
    pub onnx: Option<OnnxOutput>,
    /// The longest text in tokens, special tokens included; the model's own limit if none is given.
    pub max_length: Option<usize>,
    /// A compiled MeCab dictionary in UTF-8, in place of the model's.
    pub mecab_dicdir: Option<PathBuf>,
    /// What the model card says beside what the model tells of itself.
    pub card: ModelCard,
    /// Uploads the folder to the Hugging Face hub.
    pub upload: Option<HubUpload>,
}

impl Default for ExportModelOptions {
    fn default() -> Self {
        Self {
            model: crate::builtin::NAME.into(),
            out: PathBuf::new(),
            dtype: FloatType::F32,
            onnx: None,
            max_length: None,
            mecab_dicdir: None,
            card: ModelCard::default(),
            upload: None,
        }
    }
}

/// The place of a model at the Hugging Face hub.
///
/// ```
/// use light_splade::models::{ExportModelOptions, HubUpload};
///
/// // A folder that is uploaded as me/my-splade once it is written.
/// let upload = HubUpload {
///     name: "me/my-splade".to_owned(),
///     revision: "main".to_owned(),
///     private: true,
/// };
/// let options = ExportModelOptions { upload: Some(upload), ..ExportModelOptions::default() };
/// assert!(options.upload.is_some_and(|upload| upload.private));
/// ```
#[derive(Debug, Clone)]
pub struct HubUpload {
    /// The name, `org/name`; the model is made where it is missing. The token is that of `HF_TOKEN`
    /// or of `hf auth login`.
    pub name: String,
    /// The branch, which is made where it is missing; usually `main`.
    pub revision: String,
    /// Whether a model that is made is a private one.
    pub private: bool,
}

/// What became of a call of [`export_model`].
///
/// ```
/// use light_splade::models::{ExportModelOptions, ModelCard, export_model};
///
/// let folder = tempfile::tempdir()?;
/// let options = ExportModelOptions {
///     model: concat!(env!("CARGO_MANIFEST_DIR"), "/models/demo").into(),
///     out: folder.path().join("demo"),
///     card: ModelCard { name: Some("my-splade".to_owned()), ..ModelCard::default() },
///     ..ExportModelOptions::default()
/// };
/// let exported = export_model(&options, &mut ())?;
/// let model = exported.model.expect("a folder was written");
/// assert!(exported.url.is_none() && model.vocab > 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct ModelExport {
    /// The model as it was written; none where an earlier call had written the folder and only the
    /// upload was left.
    pub model: Option<ExportedModel>,
    /// The address of the model at the hub, where it was uploaded.
    pub url: Option<String>,
}

impl ModelExport {
    /// A table of the libraries that load the folder, for people; empty where nothing was written.
    pub fn readers_table(&self) -> String {
        let Some(model) = &self.model else { return String::new() };
        let mut text = format!("{:<36}{:<11}{}\n", "library", "loads it", "note");
        for reader in model.readers() {
            let line = format!("{:<36}{:<11}{}", reader.name, reader.loads, reader.note);
            text += line.trim_end();
            text.push('\n');
        }
        text
    }
}

/// Writes a model as a folder that transformers, sentence-transformers and servers load, with a model
/// card, and uploads it where that is asked for.
///
/// The folder appears once it is complete. Where the upload fails, the same call tries it again
/// without writing the folder anew.
///
/// ```
/// use light_splade::models::{ExportModelOptions, export_model};
///
/// let folder = tempfile::tempdir()?;
/// let options = ExportModelOptions {
///     model: concat!(env!("CARGO_MANIFEST_DIR"), "/models/demo").into(),
///     out: folder.path().join("demo"),
///     ..ExportModelOptions::default()
/// };
/// let exported = export_model(&options, &mut ())?;
/// assert!(exported.readers_table().contains("sentence-transformers"));
/// assert!(options.out.join("README.md").is_file());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If the folder holds something else, the model or a file of results cannot be read, the folder
/// cannot be written, or the hub refuses.
pub fn export_model(
    options: &ExportModelOptions,
    observer: &mut dyn Observer,
) -> Result<ModelExport, Error> {
    // Without a slash at the end: names beside the folder are made of its own.
    let out: PathBuf = options.out.components().collect();
    let target = options.upload.as_ref().map(target).transpose()?;
    let (free, record) = (is_free(&out), Record::beside(&out));
    let is_written = target.is_some() && record.exists();
    if !(free || is_written) {
        return Err(Error::FolderExists { path: out.clone() });
    }
    let source = model_folder(&options.model, observer)?;
    let results = options.card.metrics.iter();
    let metrics =
        results.map(|(name, path)| Results::read(name, path)).collect::<Result<Vec<_>, _>>()?;
    let of = provenance(options, &source)?;
    metrics.iter().try_for_each(|results| results.check(&of, observer))?;
    let card = front_matter::with_own(&options.card, &options.model, &source);
    let name = options.upload.as_ref().map(|upload| upload.name.clone());
    let name = name.unwrap_or_else(|| folder_name(&out));
    let settings = || settings(options, &card, &source, &name, (&metrics, &of));
    let mut exported = None;
    if free {
        // It may be there still of a folder that is gone.
        record.remove()?;
        let folder = NewFolder::create(&out)?;
        let card = (&card, name.as_str(), &metrics[..], &of);
        exported = Some(write(options, &source, folder.path(), card)?);
        if target.is_some() {
            record.write(&settings()?)?;
        }
        folder.commit()?;
    } else if record.says(&settings()?) {
        let note = format!("{} is written already: only the upload is left", out.display());
        observer.event(Event::Note(&note));
    } else {
        return Err(advised(
            format!("--output {} holds another model, or one of other options", out.display()),
            "name another folder, or remove it",
        ));
    }
    let mut url = None;
    if let Some((hub, target)) = &target {
        let sent = upload(&out, hub, target, observer).map_err(|error| {
            let out = out.display();
            let doing =
                format!("the folder {out} is whole; the same command tries the upload again");
            Error::during(doing)(error.into())
        })?;
        record.remove()?;
        observer.event(Event::Note(&format!("uploaded: {sent}")));
        url = Some(sent);
    }
    Ok(ModelExport { model: exported, url })
}

/// Writes a model and its card into a folder.
fn write(
    options: &ExportModelOptions,
    source: &Path,
    to: &Path,
    (about, name, metrics, of): (&ModelCard, &str, &[Results], &Provenance),
) -> Result<ExportedModel, Error> {
    let training = Training::read(source)?;
    let export = ExportOptions {
        dtype: options.dtype,
        max_length: options.max_length,
        mecab_dicdir: options.mecab_dicdir.clone(),
        onnx: options.onnx,
    };
    let exported = splade_model::export::export_model(source, to, &export).map_err(|error| {
        let doing = format!("cannot export the model {}", options.model.display());
        Error::during(doing)(error.into())
    })?;
    let title = about.name.as_deref().unwrap_or(name);
    let card = Card { title, name, about, model: &exported, training, metrics, of };
    write_file(&to.join("README.md"), card.to_markdown().as_bytes())?;
    Ok(exported)
}

/// What identifies the model.
fn provenance(options: &ExportModelOptions, source: &Path) -> Result<Provenance, Error> {
    let tokenizer = TokenizerOptions { mecab_dicdir: options.mecab_dicdir.clone() };
    let identity = identify(&options.model, &source.into(), HeadKind::Sparse, &tokenizer, None)?;
    Ok(Provenance {
        model: Some(options.model.clone()),
        revision: identity.revision,
        content: Some(identity.content),
        ..Provenance::default()
    })
}

/// All that the folder depends on.
fn settings(
    options: &ExportModelOptions,
    card: &ModelCard,
    source: &Path,
    name: &str,
    (metrics, of): (&[Results], &Provenance),
) -> Result<Value, Error> {
    let ModelCard { name: title, languages, license, datasets, metrics: _ } = card;
    let onnx = options.onnx.map(|output| match output {
        OnnxOutput::Logits => "logits",
        OnnxOutput::Vector => "vector",
    });
    let full = source.canonicalize().map_err(Error::io("open", source))?;
    Ok(json!({
        "version": 2,
        "model": full.to_string_lossy(),
        "content": of.content.as_ref().map(content_json),
        "files": folder_content(source)?,
        "name": name,
        "dtype": options.dtype.torch_name(),
        "onnx": onnx,
        "max_length": options.max_length,
        "mecab_dicdir": options.mecab_dicdir.as_ref().map(|path| path.to_string_lossy()),
        "card": {
            "name": title, "languages": languages, "license": license, "datasets": datasets,
        },
        "metrics": metrics.iter().map(Results::to_json).collect::<Vec<_>>(),
    }))
}

/// The hub and the name there, which are checked before anything is written.
fn target(upload: &HubUpload) -> Result<(HubOptions, HubTarget), Error> {
    let options = HubOptions::from_env()?;
    let target = HubTarget::new(&upload.name, &upload.revision, upload.private)?;
    if options.token.is_none() {
        let what = format!("an upload to {} needs a token", options.endpoint);
        return Err(advised(what, "set HF_TOKEN"));
    }
    if options.offline {
        let what = "nothing is uploaded while HF_HUB_OFFLINE is set";
        return Err(advised(what, "unset HF_HUB_OFFLINE"));
    }
    Ok((options, target))
}

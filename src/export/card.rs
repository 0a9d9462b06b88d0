//! The model card: `README.md` with the front matter that the hub reads.
//!
//! What is not known is left out: nothing is made up.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use splade_io::{Event, Observer};
use splade_model::export::{ExportedModel, QueryTower};
use splade_model::folder::{Pooling, Saturation};

use crate::error::{Error, advised, invalid};
use crate::provenance::Provenance;

/// What a model card says beside what the model tells of itself.
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
/// assert!(std::fs::read_to_string(options.out.join("README.md"))?.contains("# my-splade"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct ModelCard {
    /// The name of the model in its card; its name at the hub, or that of the folder, if none is
    /// given.
    pub name: Option<String>,
    /// The languages, as codes: `ja`.
    pub languages: Vec<String>,
    /// The licence: `apache-2.0`.
    pub license: Option<String>,
    /// The data sets that the model was trained on, by their names at the hub.
    pub datasets: Vec<String>,
    /// Names of data sets with the files of results that `evaluate --json` printed.
    pub metrics: Vec<(String, PathBuf)>,
}

/// What a card is made of.
pub(super) struct Card<'a> {
    /// For people.
    pub(super) title: &'a str,
    /// What commands find the model by: its name at the hub, or its folder's.
    pub(super) name: &'a str,
    /// What the caller adds.
    pub(super) about: &'a ModelCard,
    pub(super) model: &'a ExportedModel,
    pub(super) training: Option<Training>,
    pub(super) metrics: &'a [Results],
    /// What identifies the model whose copy the folder holds.
    pub(super) of: &'a Provenance,
}

/// The settings of the run that made a model: `training_args.json` beside or in its folder.
pub(super) struct Training(Value);

/// What `evaluate --json` printed.
#[derive(Debug)]
pub(super) struct Results {
    name: String,
    /// Names as `nDCG@10`.
    metrics: Vec<(String, f64)>,
    queries: Option<u64>,
    /// Terms a document and a query.
    terms: [Option<f64>; 2],
    /// The arithmetic, where it is not that of the model.
    precision: Option<String>,
    /// The model that was measured, as far as the file says.
    of: Provenance,
    path: PathBuf,
}

impl Training {
    /// Settings in the layout that `train` writes; others, of Python's, say nothing here.
    pub(super) fn read(model: &Path) -> Result<Option<Self>, Error> {
        let places = [Some(model.join("training_args.json")), parent_file(model)];
        let Some(path) = places.into_iter().flatten().find(|path| path.is_file()) else {
            return Ok(None);
        };
        let settings = read_json(&path)?;
        Ok(settings["training"]["training_loss"].is_string().then_some(Self(settings)))
    }

    fn rows(&self) -> Vec<(&'static str, String)> {
        let (model, data, training) = (&self.0["model"], &self.0["data"], &self.0["training"]);
        let mut rows = Vec::new();
        let mut row = |name, value: Option<String>| {
            if let Some(value) = value {
                rows.push((name, value));
            }
        };
        let text = |value: &Value| match value {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        };
        // Folders of whoever trained are nobody else's matter.
        let path = |value: &Value| value.as_str().map(last_two);
        row("started from", path(&model["model_name_or_path"]));
        row("queries' model started from", path(&model["model_name_or_path_q"]));
        row("documents", path(&data["train_doc_master"]));
        row("queries", path(&data["train_query_master"]));
        row("positives", path(&data["train_positives"]));
        row("triplets", path(&data["train_triplets"]));
        row("teacher's scores", path(&data["hard_negative_scores"]));
        row("loss", text(&training["training_loss"]));
        for (name, side) in
            [("regularizer of documents", "doc"), ("regularizer of queries", "query")]
        {
            let regularizer = &training["regularizers"][side];
            if let (Some(kind), Some(lambda)) =
                (text(&regularizer["reg_type"]), text(&regularizer["lambda_"]))
            {
                let steps = text(&regularizer["T"]).unwrap_or_default();
                let value = format!("{kind}, λ = {lambda}, reached after {steps} steps");
                row(name, Some(value));
            }
        }
        row("batch size", text(&training["per_device_train_batch_size"]));
        row("gradient accumulation", text(&training["gradient_accumulation_steps"]));
        match training["max_steps"].as_i64() {
            Some(steps) if steps > 0 => row("steps", Some(steps.to_string())),
            _ => row("epochs", text(&training["num_train_epochs"])),
        }
        row("optimizer", text(&training["optim"]));
        row("learning rate", text(&training["learning_rate"]));
        row("seed", text(&training["seed"]));
        rows
    }
}

fn parent_file(model: &Path) -> Option<PathBuf> {
    Some(model.canonicalize().ok()?.parent()?.join("training_args.json"))
}

/// The last two parts of a path, or of a name at the hub.
fn last_two(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    parts[parts.len().saturating_sub(2)..].join("/")
}

impl Results {
    pub(super) fn read(name: &str, path: &Path) -> Result<Self, Error> {
        let report = read_json(path)?;
        let metrics = report["metrics"].as_object().ok_or_else(|| {
            advised(
                format!("{} has no \"metrics\"", path.display()),
                "give a file of light-splade evaluate --json",
            )
        })?;
        let metrics = metrics
            .iter()
            .map(|(name, value)| match value.as_f64() {
                Some(value) => Ok((name.clone(), value)),
                None => {
                    Err(invalid(format!("{}: {name:?} is {value}, not a number", path.display())))
                }
            })
            .collect::<Result<_, Error>>()?;
        let terms = |side: &str| report["statistics"][side]["avg_nnz"].as_f64();
        Ok(Self {
            name: name.to_owned(),
            metrics,
            queries: report["queries"].as_u64(),
            terms: [terms("documents"), terms("queries")],
            precision: report["settings"]["precision"].as_str().map(str::to_owned),
            of: Provenance::from_json(&report["settings"]),
            path: path.to_path_buf(),
        })
    }

    /// Refuses results of another model, and tells of results that do not say which model they are
    /// of.
    pub(super) fn check(
        &self,
        model: &Provenance,
        observer: &mut dyn Observer,
    ) -> Result<(), Error> {
        let file = self.path.display();
        self.of.check_model(&format!("{file} was measured with"), model, "the card is for")?;
        if self.of.is_same_model(model).is_none() {
            observer.event(Event::Warning(&format!(
                "{file} does not say which model was measured: whether it was this one is not \
                 checked; evaluate the model again for results that say it"
            )));
        }
        Ok(())
    }

    /// The results as the record of an export compares them.
    pub(super) fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "metrics": self.metrics,
            "queries": self.queries,
            "terms": self.terms,
        })
    }
}

fn read_json(path: &Path) -> Result<Value, Error> {
    let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
    serde_json::from_str(&text).map_err(|source| Error::Json { path: path.to_path_buf(), source })
}

impl Card<'_> {
    pub(super) fn to_markdown(&self) -> String {
        let mut text = self.front_matter();
        self.about(&mut text);
        self.usage(&mut text);
        self.results(&mut text);
        if let Some(training) = &self.training {
            text += "\n## Training\n\n| setting | value |\n|---|---|\n";
            for (name, value) in training.rows() {
                _ = writeln!(text, "| {name} | {} |", cell(&value));
            }
        }
        text
    }

    /// YAML, whose strings are JSON's.
    fn front_matter(&self) -> String {
        let quoted = |text: &str| Value::from(text).to_string();
        let mut text = "---\n".to_owned();
        let list = |text: &mut String, key: &str, values: &[&str]| {
            if !values.is_empty() {
                _ = writeln!(text, "{key}:");
                for value in values {
                    _ = writeln!(text, "- {}", quoted(value));
                }
            }
        };
        match self.about.languages.is_empty() && self.model.japanese {
            true => list(&mut text, "language", &["ja"]),
            false => list(&mut text, "language", &strs(&self.about.languages)),
        }
        if let Some(license) = &self.about.license {
            _ = writeln!(text, "license: {}", quoted(license));
        }
        list(&mut text, "datasets", &strs(&self.about.datasets));
        text += "library_name: sentence-transformers\npipeline_tag: feature-extraction\n";
        let mut tags = vec!["sentence-transformers", "sparse-encoder", "sparse", "splade"];
        match self.model.query {
            QueryTower::Shared => {}
            QueryTower::Model => tags.push("asymmetric"),
            QueryTower::Table => tags.extend(["asymmetric", "inference-free"]),
        }
        list(&mut text, "tags", &tags);
        if !self.metrics.is_empty() {
            _ = writeln!(text, "model-index:\n- name: {}\n  results:", quoted(self.title));
        }
        for results in self.metrics {
            text += "  - task:\n      type: sparse-information-retrieval\n      \
                     name: Sparse Information Retrieval\n";
            let name = quoted(&results.name);
            _ = writeln!(
                text,
                "    dataset:\n      name: {name}\n      type: {name}\n    metrics:"
            );
            for (metric, value) in &results.metrics {
                let kind = metric.to_lowercase().replace('@', "_at_");
                _ = writeln!(
                    text,
                    "    - type: {}\n      value: {value}\n      name: {}",
                    quoted(&kind),
                    quoted(metric)
                );
            }
        }
        text + "---\n"
    }

    fn about(&self, text: &mut String) {
        let model = self.model;
        let (hidden, layers, heads) = model.architecture.shape();
        let pooling = match model.head.0 {
            Pooling::Max => "maximum",
            Pooling::Sum => "sum",
        };
        let saturation = match model.head.1 {
            Saturation::Log1pRelu => "log(1 + relu(x))",
            Saturation::Log1pLog1pRelu => "log(1 + log(1 + relu(x)))",
        };
        let queries = match model.query {
            QueryTower::Shared => "the same model",
            QueryTower::Model => "a model of their own, in `query_model`",
            QueryTower::Table => "a weight for each token, without a model (inference-free)",
        };
        _ = write!(
            text,
            "\n# {}\n\nA SPLADE model: texts become sparse vectors over the {} terms of its \
             vocabulary, for search\nwith an inverted index; the score is the dot product. Made with \
             [light-splade](https://github.com/light-splade/light-splade).\n\n| | |\n|---|---|\n\
             | architecture | {}: {layers} layers of {hidden}, {heads} heads |\n\
             | parameters | {}, as {} |\n\
             | vector | {} terms |\n\
             | longest text | {} tokens |\n\
             | weights of terms | {pooling} over the tokens of {saturation} |\n\
             | queries | {queries} |\n",
            self.title,
            model.vocab,
            model.architecture.name(),
            model.parameters,
            model.dtype.torch_name(),
            model.vocab,
            model.max_length,
        );
        if let Some(content) = &self.of.content {
            let (weights, tokenizer) = (content.weights, content.tokenizer);
            _ = writeln!(text, "| content | weights `{weights}`, tokenizer `{tokenizer}` |");
        }
        if let Some(revision) = &self.of.revision {
            let model = self.of.model.as_deref().unwrap_or("".as_ref());
            _ = writeln!(
                text,
                "| made from | {} at {revision} |",
                cell(&model.display().to_string())
            );
        }
        for (name, prompt) in ["queries", "documents"].into_iter().zip(&model.prompts) {
            if !prompt.is_empty() {
                _ = writeln!(text, "| before {name} | {} |", cell(&format!("`{prompt}`")));
            }
        }
    }

    fn usage(&self, text: &mut String) {
        let name = self.name;
        _ = write!(
            text,
            "\n## Use\n\nWith light-splade:\n\n```sh\n\
             light-splade encode --model {name} --as query -t \"a query\"\n\
             light-splade index build corpus.jsonl -m {name} -o index\n\
             light-splade search index \"a query\"\n```\n\n\
             With sentence-transformers 5.0 or later:\n\n```python\n\
             from sentence_transformers import SparseEncoder\n\n\
             model = SparseEncoder(\"{name}\")\n\
             queries = model.encode_query([\"a query\"])\n\
             documents = model.encode_document([\"a document\", \"another one\"])\n\
             print(model.similarity(queries, documents))\n```\n"
        );
        for reader in self.model.readers() {
            if reader.loads == "no" {
                continue;
            }
            text.push_str(&match reader.name {
                "light-splade in Python" => format!(
                    "\nWith light-splade in Python:\n\n```python\n\
                     from light_splade import SpladeEncoder\n\n\
                     encoder = SpladeEncoder(model_path=\"{name}\")\n\
                     print(encoder.encode([\"a document\"], return_type=\"csr_matrix\"))\n```\n"
                ),
                "text-embeddings-inference" => format!(
                    "\nWith text-embeddings-inference:\n\n```sh\n\
                     text-embeddings-router --model-id {name} --pooling splade --port 8080\n\
                     curl localhost:8080/embed_sparse -H 'Content-Type: application/json' \
                     -d '{{\"inputs\": \"a document\"}}'\n```\n"
                ),
                _ => continue,
            });
        }
        text.push_str("\n| library | loads it | note |\n|---|---|---|\n");
        for reader in self.model.readers() {
            _ = writeln!(text, "| {} | {} | {} |", reader.name, reader.loads, cell(&reader.note));
        }
    }

    fn results(&self, text: &mut String) {
        if self.metrics.is_empty() {
            return;
        }
        text.push_str("\n## Results\n\n| data | measure | value |\n|---|---|---|\n");
        for results in self.metrics {
            let name = cell(&results.name);
            for (metric, value) in &results.metrics {
                _ = writeln!(text, "| {name} | {} | {value:.4} |", cell(metric));
            }
            if let Some(precision) = results.precision.as_ref().filter(|name| *name != "f32") {
                _ = writeln!(text, "| {name} | arithmetic | {precision} |");
            }
            if let Some(queries) = results.queries {
                _ = writeln!(text, "| {name} | queries | {queries} |");
            }
            for (what, terms) in ["document", "query"].into_iter().zip(results.terms) {
                if let Some(terms) = terms {
                    _ = writeln!(text, "| {name} | terms a {what} | {terms:.1} |");
                }
            }
        }
    }
}

fn strs(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

/// A text in a table's cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

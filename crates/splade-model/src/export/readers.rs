//! The libraries that load an exported folder, and the limits of each.

use splade_nn::{Pooling, Saturation};

use super::model::{ExportedModel, QueryTower};
use super::onnx::OnnxOutput;

/// A library and whether it can load an exported folder.
///
/// ```
/// use splade_model::export::{ExportOptions, export_model};
///
/// # let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo");
/// let folder = tempfile::tempdir()?;
/// let readers = export_model(&model, folder.path(), &ExportOptions::default())?.readers();
/// let reader = readers.iter().find(|reader| reader.name.starts_with("sentence-transformers"));
/// assert_eq!(reader.map(|reader| reader.loads), Some("yes"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    /// The name of the library.
    pub name: &'static str,
    /// The parts that the library loads: `yes` for all, `no` for none, or the name of a part.
    pub loads: &'static str,
    /// The requirements or limits of the library. It is often empty.
    pub note: String,
}

/// The values of `model_type` for which text-embeddings-inference 1.9 has a SPLADE head.
const SERVED: [&str; 5] = ["bert", "distilbert", "roberta", "xlm-roberta", "camembert"];

impl ExportedModel {
    /// Returns for each library whether it can load the folder.
    pub fn readers(&self) -> Vec<Reader> {
        let reader = |name, loads, notes: Vec<&str>| Reader { name, loads, note: notes.join("; ") };
        let is_splade = self.head == (Pooling::Max, Saturation::Log1pRelu);
        let mut python = Vec::new();
        if self.japanese {
            python.push("needs the packages fugashi and unidic-lite (or the model's dictionary)");
        }
        let with = |note| [&python[..], &[note]].concat();
        let has_prompts = self.prompts.iter().any(|prompt| !prompt.is_empty());
        vec![
            reader("light-splade", "yes", vec![]),
            reader("sentence-transformers 5.0 and later", "yes", python.clone()),
            match self.query {
                QueryTower::Shared => {
                    reader("transformers", "yes", with("gives logits: pool them yourself"))
                }
                QueryTower::Model => reader(
                    "transformers",
                    "yes",
                    with("two models, the second in query_model; pool their logits yourself"),
                ),
                QueryTower::Table => {
                    reader("transformers", "documents", with("pool the logits yourself"))
                }
            },
            match (is_splade, self.query) {
                (false, _) => reader(
                    "light-splade in Python",
                    "no",
                    vec!["it supports only log1p(relu) and the maximum"],
                ),
                (true, query) => {
                    let mut notes = python.clone();
                    if has_prompts {
                        notes.push("does not support prompts: put them before the texts");
                    }
                    let loads = if query == QueryTower::Table { "documents" } else { "yes" };
                    reader("light-splade in Python", loads, notes)
                }
            },
            match self.not_served() {
                Some(reason) => reader("text-embeddings-inference", "no", vec![reason]),
                None => {
                    let (loads, notes) = match self.query {
                        QueryTower::Shared => ("yes", vec!["start it with --pooling splade"]),
                        QueryTower::Model => (
                            "yes",
                            vec![
                                "with --pooling splade, one server for each of the folder and \
                                  query_model",
                            ],
                        ),
                        QueryTower::Table => ("documents", vec!["start it with --pooling splade"]),
                    };
                    reader("text-embeddings-inference", loads, notes)
                }
            },
            match self.onnx {
                None => {
                    reader("onnxruntime", "no", vec!["it needs model.onnx: export with --onnx"])
                }
                Some(output) => {
                    let loads = if self.query == QueryTower::Table { "documents" } else { "yes" };
                    let notes = match output {
                        OnnxOutput::Logits => vec!["gives logits: pool them yourself"],
                        OnnxOutput::Vector => vec![],
                    };
                    reader("onnxruntime", loads, notes)
                }
            },
            match self.not_embedded() {
                Some(reason) => reader("fastembed", "no", vec![reason]),
                None => reader(
                    "fastembed",
                    if self.query == QueryTower::Shared { "yes" } else { "documents" },
                    vec!["as specific_model_path of one of its SPLADE models"],
                ),
            },
        ]
    }

    /// Returns the reason why fastembed cannot use the folder, or `None` if it can.
    fn not_embedded(&self) -> Option<&'static str> {
        if self.onnx != Some(OnnxOutput::Logits) {
            return Some("it needs model.onnx with logits: export with --onnx");
        }
        if self.head != (Pooling::Max, Saturation::Log1pRelu) {
            return Some("it supports only log1p(relu) and the maximum");
        }
        (!self.tokenizer_json).then_some("it needs tokenizer.json")
    }

    /// Returns the reason why text-embeddings-inference cannot serve the model, or `None` if it
    /// can.
    fn not_served(&self) -> Option<&'static str> {
        if !SERVED.contains(&self.model_type.as_str()) {
            return Some("it has no SPLADE for this architecture");
        }
        if self.head != (Pooling::Max, Saturation::Log1pRelu) {
            return Some("it supports only log1p(relu) and the maximum");
        }
        match (self.tokenizer_json, self.japanese) {
            (true, _) => None,
            (false, true) => {
                Some("it needs tokenizer.json, which cannot hold MeCab's segmentation")
            }
            (false, false) => Some("it needs tokenizer.json"),
        }
    }
}

//! The settings under `model.*`: the encoders and how they turn texts into vectors.

use std::path::PathBuf;

use hydra_compose::settings;
use hydra_compose::settings::{
    Descriptions, Fields, Kind, Names, SettingError, Settings, Written, choice, count, flag, group,
    number, optional, optional_group, own, required_text, text,
};
use serde_json::json;
use splade_nn::{Pooling, Saturation};

use super::transformers::old_names;
use crate::error::TrainError;

settings! {
    /// The settings under `model.*`: the encoders and how they turn texts into vectors.
    pub struct ModelConfig {
        /// The folder or hub name of the model from which the document encoder starts; without a
        /// query encoder of its own, it encodes the queries as well.
        pub model_name_or_path: String = required_text();
        /// The folder or hub name of a separate query encoder. `None` uses one encoder for both
        /// sides.
        pub model_name_or_path_q: Option<String> = optional(text());
        /// Whether the document encoder is frozen. This needs a separate query encoder.
        pub freeze_d_model: bool = flag().or(false);
        /// The pooling over the tokens (`agg`): `max` or `sum`.
        pub agg: Pooling = own(pooling, |pooling| match pooling {
            Pooling::Max => json!("max"),
            Pooling::Sum => json!("sum"),
        });
        /// The maximum length of a text in tokens; longer texts are truncated.
        pub max_length: usize = count(1).or(512);
        /// The saturation (`activation`, light-splade only): `log1p_relu` applies the logarithm
        /// once (SPLADE), `log1p_log1p_relu` twice (the l0 recipe of arXiv 2504.14839).
        pub saturation as "activation": Saturation = choice(&[
            ("log1p_relu", Saturation::Log1pRelu),
            ("log1p_log1p_relu", Saturation::Log1pLog1pRelu),
        ]).or(Saturation::Log1pRelu);
        /// The kind of query encoder (light-splade only). With `table`, queries have no model but one
        /// weight for each token, which is never negative.
        pub query_encoder: QueryEncoder = QueryEncoderKind;
        /// The initialization of the head (`init.*`, light-splade only).
        pub init: Initialization = group();
        /// The teacher whose vectors `in_batch_kldiv` compares (`teacher.*`, light-splade only).
        pub teacher: Option<TeacherConfig> = optional_group();
        /// The path of a compiled MeCab dictionary for Japanese models (light-splade only).
        pub mecab_dicdir: Option<PathBuf> = optional(text());
        /// The device (`device`, light-splade only). Only `cpu` is implemented; the Python library
        /// uses any device that it finds.
        pub device: String = text().or("cpu".to_owned());
    }
}

settings! {
    /// The initialization of a model that is not yet a SPLADE model.
    pub struct Initialization {
        /// The median number of terms of a document at the start (light-splade only): the bias of
        /// the decoder is shifted until the documents of the first batches have about so many
        /// terms. `None` does this only for a head that had to be made.
        pub target_terms: Option<usize> = optional(count(1));
    }
}

settings! {
    /// A teacher that makes vectors of texts (`model.teacher.*`).
    pub struct TeacherConfig {
        /// The folder or hub name of a dense or late-interaction model (light-splade only), the teacher of
        /// `in_batch_kldiv`.
        pub model_name_or_path: String = required_text();
        /// What the model makes of a text (light-splade only): `dense`, one vector, or `colbert`, one for each
        /// token.
        pub head as "by": TeacherHead = choice(&[
            ("dense", TeacherHead::Dense),
            ("colbert", TeacherHead::Colbert),
        ]).or(TeacherHead::Dense);
        /// The folder that keeps the vectors by text and model (light-splade only), which `score` and `mine` use as
        /// well. `None` computes them anew in each run.
        pub vectors: Option<PathBuf> = optional(text());
        /// The string that is put before every query (light-splade only). `None` takes the model's.
        pub query_prompt: Option<String> = optional(text());
        /// The string that is put before every document (light-splade only). `None` takes the model's.
        pub document_prompt: Option<String> = optional(text());
        /// The longest text in tokens (light-splade only). `None` takes the model's limit.
        pub max_length: Option<usize> = optional(count(1));
    }
}

/// What a teacher makes of a text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TeacherHead {
    /// One vector for the whole text.
    #[default]
    Dense,
    /// A vector for each token.
    Colbert,
}

/// The kind of encoder that encodes queries.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum QueryEncoder {
    /// `model`: a masked language model, either that of the documents or a separate one.
    #[default]
    Model,
    /// `table`: one trained weight for each token ("inference-free", arXiv 2411.04403). The weights
    /// start from the inverse document frequencies of the document master or from `idf.json`.
    Table(QueryTable),
}

settings! {
    /// The table of a query encoder (`query_table.*`).
    pub struct QueryTable {
        /// The file of the initial weights (light-splade only): a JSON object from token to weight.
        /// `None` starts from what `init` says.
        pub path: Option<PathBuf> = optional(text());
        /// The initial weights if no file is given (light-splade only): the inverse document frequency
        /// (BM25's) in up to 100,000 documents, the mean weight that the model gives to a token in up to
        /// 20,000 training queries that contain it, or the product of both (Li-LSR, arXiv 2505.01452).
        pub start as "init": TableStart = choice(&[
            ("idf", TableStart::Idf),
            ("mean_weights", TableStart::MeanWeights),
            ("idf_mean_weights", TableStart::IdfMeanWeights),
        ]).or(TableStart::Idf);
        /// Whether the weights stay fixed (light-splade only).
        pub freeze: bool = flag().or(false);
        /// The learning rate of the table (light-splade only). `None` uses the learning rate of the training.
        pub learning_rate: Option<f64> = optional(number(0.0.., "a number, 0 or more"));
    }
}

/// The initial weights of a table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TableStart {
    /// `idf`: the inverse document frequency of each token in the document master.
    #[default]
    Idf,
    /// `mean_weights`: the mean weight that the model gives to the token in the training queries
    /// that contain it.
    MeanWeights,
    /// `idf_mean_weights`: the product of both (Li-LSR, arXiv 2505.01452).
    IdfMeanWeights,
}

/// The kind of the setting `query_encoder` with `query_table`.
struct QueryEncoderKind;

impl Kind<QueryEncoder> for QueryEncoderKind {
    fn unset(&self) -> QueryEncoder {
        QueryEncoder::Model
    }

    fn read(
        &self,
        fields: &mut Fields<'_>,
        name: &'static str,
    ) -> Result<QueryEncoder, SettingError> {
        let is_table = choice(&[("model", false), ("table", true)]).or(false);
        let is_table = fields.read(name, &is_table)?;
        let has_table = fields.value("query_table").is_some();
        let table = fields.read("query_table", &group())?;
        match (is_table, has_table) {
            (true, _) => Ok(QueryEncoder::Table(table)),
            (false, false) => Ok(QueryEncoder::Model),
            (false, true) => Err(fields
                .error("query_table", "this setting has no effect without query_encoder: table")
                .with_remedy("set query_encoder to table, or remove query_table")),
        }
    }

    fn write(&self, name: &'static str, value: &QueryEncoder, written: &mut Written) {
        match value {
            QueryEncoder::Model => written.set(name, json!("model")),
            QueryEncoder::Table(table) => {
                written.set(name, json!("table"));
                group().write("query_table", table, written);
            }
        }
    }

    fn describe(&self, name: &'static str, meaning: &str, descriptions: &mut Descriptions) {
        descriptions.add(name, meaning, "a string, one of model, table", Some(json!("model")));
        Kind::<QueryTable>::describe(&group(), "query_table", "", descriptions);
    }

    fn declare(&self, name: &'static str, names: &mut Names) {
        names.add(name);
        Kind::<QueryTable>::declare(&group(), "query_table", names);
    }
}

/// Reads `agg`; the message is that of the Python library.
fn pooling(fields: &mut Fields<'_>, name: &'static str) -> Result<Pooling, SettingError> {
    match fields.read::<Option<String>>(name, &optional(text()))?.as_deref() {
        None | Some("max") => Ok(Pooling::Max),
        Some("sum") => Ok(Pooling::Sum),
        Some(other) => {
            let message = format!("agg must be one of ['max', 'sum'], but got {other}");
            Err(fields.error(name, message))
        }
    }
}

impl ModelConfig {
    /// Reads the settings of `model`.
    pub(super) fn from_fields(mut fields: Fields<'_>) -> Result<Self, TrainError> {
        fields.pass_over(old_names("model"));
        let config = Self::read(&mut fields)?;
        config.check(&fields)?;
        fields.finish()?;
        Ok(config)
    }

    fn check(&self, fields: &Fields<'_>) -> Result<(), SettingError> {
        let has_table = self.query_encoder != QueryEncoder::Model;
        if self.freeze_d_model && self.model_name_or_path_q.is_none() && !has_table {
            let message = "Freezing the document encoder requires q_model_path to ensure the query \
                           encoder differs from the document encoder.";
            return Err(fields
                .error("freeze_d_model", message)
                .with_remedy("set model.model_name_or_path_q"));
        }
        if self.model_name_or_path_q.is_some() && has_table {
            return Err(fields
                .error("model_name_or_path_q", "query_encoder: table does not use a query model")
                .with_remedy("remove one of the two settings"));
        }
        if self.device != "cpu" {
            return Err(fields
                .error("device", format!("`{}` is not implemented", self.device))
                .with_remedy("remove the setting, or set it to cpu"));
        }
        Ok(())
    }
}

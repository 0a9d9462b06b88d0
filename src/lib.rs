//! SPLADE sparse retrieval: encode, index, search, evaluate, train and export, without Python.
//!
//! SPLADE turns a text into a sparse vector over the vocabulary of a masked language model, `max over
//! tokens of log(1 + relu(logit))` ([SPLADE v2](https://arxiv.org/abs/2109.10086)): the words of the
//! text and others that belong to it, each with a weight. Such vectors fit an inverted index, the
//! data structure of every search engine, and a person can read them.
//!
//! # A text becomes a vector
//!
//! ```
//! use light_splade::{SparseEncoder, SparseEncoderOptions};
//!
//! let encoder = SparseEncoder::load("mini-ja-en", &SparseEncoderOptions::default())?;
//! let vector = encoder.encode_document("大阪万博は2025年に開催されます。")?;
//! for (token, weight) in encoder.decode(&vector, 5) {
//!     println!("{token} {weight:.3}");
//! }
//! # assert!(!vector.is_empty());
//! # Ok::<(), light_splade::Error>(())
//! ```
//!
//! `mini-ja-en` is built in; any folder of a SPLADE model or a name at the Hugging Face hub works as
//! well. [`encode_documents`](SparseEncoder::encode_documents) takes any iterator of texts,
//! [`explain`](SparseEncoder::explain) says which token of the text gave a term its weight.
//!
//! # Documents become an index, which is searched
//!
//! ```
//! use light_splade::{Index, IndexOptions, SearchOptions, Searcher, SparseEncoder};
//! use light_splade::SparseEncoderOptions;
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("index");
//! let encoder = SparseEncoder::load("mini-ja-en", &SparseEncoderOptions::default())?;
//! let mut index = Index::create(&path, &encoder, &IndexOptions::default())?;
//! index.upsert(
//!     &encoder,
//!     [("1", "日本の首都は東京です。"), ("2", "大阪万博は2025年に開催されます。")],
//!     &mut (),
//! )?;
//! index.commit()?;
//!
//! let searcher = Searcher::open(&path, Some(encoder))?;
//! let hits = searcher.search("首都", &SearchOptions::default())?;
//! assert_eq!(hits[0].id, "1");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # A model is measured
//!
//! ```
//! use light_splade::{EvaluateOptions, SparseEncoder, SparseEncoderOptions, evaluate};
//!
//! let encoder = SparseEncoder::load("mini-ja-en", &SparseEncoderOptions::default())?;
//! let data = concat!(env!("CARGO_MANIFEST_DIR"), "/data/toy-beir");
//! let evaluation = evaluate(&encoder, data.as_ref(), &EvaluateOptions::default(), &mut ())?;
//! println!("{}", evaluation.report.to_table());
//! # assert!(evaluation.report.means[0] > 0.5);
//! # Ok::<(), light_splade::Error>(())
//! ```
//!
//! # A model is trained
//!
//! ```
//! use light_splade::{train, train_config};
//!
//! let output = tempfile::tempdir()?;
//! let overrides = [
//!     format!("training.output_dir={}", output.path().display()),
//!     "model.model_name_or_path=models/demo".to_owned(),
//!     "training.max_steps=2".to_owned(),
//!     "training.eval_strategy=no".to_owned(),
//!     "training.load_best_model_at_end=false".to_owned(),
//! ];
//! let config = train_config("config".as_ref(), "toy_splade_ja", &overrides, &mut ())?;
//! train(&config, &mut ())?;
//! # assert!(output.path().join("model").is_dir());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Everything else that the program does
//!
//! | function | what it does |
//! |---|---|
//! | [`encode_files()`] | writes vectors into a file, or into shards that can be resumed |
//! | [`export_documents`] | writes vectors for a search engine, or sends them to its server |
//! | [`export_model`] | writes a model for other libraries, with its card, and uploads it |
#![cfg_attr(
    feature = "push",
    doc = "| [`doctor()`] | compares the answers of a search engine with the scores they must have |"
)]
//! | [`train`], [`pretrain`] | trains SPLADE models, and the language models that they start from |
//! | [`cross_encoder`] | trains and uses cross-encoders, the teachers of distillation |
//! | [`mine()`], [`score()`] | finds hard negatives, scores pairs of queries and documents |
//! | [`convert()`] | makes training data of mMARCO, MS MARCO, BEIR and SQuAD |
//! | [`check_data()`] | looks for what is wrong in a data set |
//! | [`learn_vocabulary()`] | learns a WordPiece vocabulary from texts |
//! | [`inspect()`] | describes a model |
//! | [`run_pipeline`] | runs steps of the program, each only if something changed |
//!
//! A function that writes a file refuses to replace one that exists, unless its options say `force`,
//! and never overwrites one of its inputs; see [`check_output`].
//!
//! # Long work tells how far it is, and stops when it is asked to
//!
//! Every function that may take longer than a second takes an [`Observer`]; `&mut ()` is one that
//! hears nothing and never stops.

mod error;

mod builtin;
mod model;

#[cfg(feature = "tools")]
mod texts;

mod encoder;
mod pruning;
mod record;
mod stream;

#[cfg(feature = "tools")]
mod output_guard;

#[cfg(feature = "tools")]
mod encode_files;

#[cfg(feature = "tools")]
mod export;
#[cfg(feature = "tools")]
mod stamp;

mod provenance;

mod index;
mod searcher;

#[cfg(feature = "tools")]
mod bm25;
#[cfg(feature = "tools")]
mod evaluate;

#[cfg(feature = "tools")]
mod masters;
#[cfg(feature = "tools")]
mod parts;
#[cfg(feature = "tools")]
mod ranker;

#[cfg(feature = "tools")]
mod mine;
#[cfg(feature = "tools")]
mod score;

#[cfg(feature = "tools")]
mod check_data;
#[cfg(feature = "tools")]
mod convert;
#[cfg(feature = "push")]
mod doctor;
#[cfg(feature = "tools")]
mod inspect;
#[cfg(feature = "tools")]
mod learn_vocabulary;

#[cfg(feature = "tools")]
mod training;

#[cfg(feature = "tools")]
mod pipeline;

pub use builtin::NAME as BUILT_IN;
#[cfg(feature = "tools")]
pub use check_data::{DataReport, check_data};
#[cfg(feature = "tools")]
pub use convert::{ConvertOptions, ConvertSource, MmarcoSource, MsMarcoSource, convert};
#[cfg(feature = "push")]
pub use doctor::{DoctorCheck, DoctorOptions, DoctorReport, EngineKind, doctor};
#[cfg(feature = "tools")]
pub use encode_files::{
    EncodeOptions, EncodedFiles, TermKeys, VectorForm, encode_files, encode_to,
};
pub use encoder::{EncodedTexts, SparseEncoder, SparseEncoderOptions};
pub use error::Error;
#[cfg(feature = "tools")]
pub use evaluate::{EvaluateOptions, Evaluation, Judged, evaluate, evaluate_bm25, finding_line};
#[cfg(feature = "tools")]
pub use export::{
    CiffScale, ExportModelOptions, ExportOptions, ExportTarget, Exported, HubUpload, ModelCard,
    ModelExport, OpenSearchType, PushTarget, export_documents, export_model,
};
pub use index::{Index, IndexOptions};
#[cfg(feature = "tools")]
pub use inspect::{ModelDescription, TowerDescription, TowerMethod, inspect};
#[cfg(feature = "tools")]
pub use learn_vocabulary::{LearnedVocabulary, VocabularyOptions, learn_vocabulary};
#[cfg(feature = "tools")]
pub use mine::{MineOptions, MinedNegatives, NegativeFormat, NegativeSource, RankerKind, mine};
pub use model::{Vocabulary, model_folder};
#[cfg(feature = "tools")]
pub use output_guard::{check_distinct, check_output};
#[cfg(feature = "tools")]
pub use parts::PartsOptions;
#[cfg(feature = "tools")]
pub use pipeline::{
    CommandSettings, PipelineOptions, PipelineReport, PipelineStep, clock, run_pipeline,
};
#[cfg(feature = "tools")]
pub use provenance::VectorSources;
pub use provenance::{Encoding, Provenance};
pub use pruning::Pruning;
#[cfg(feature = "tools")]
pub use ranker::RankerOptions;
pub use record::{IntoRecord, Position, Record};
#[cfg(feature = "tools")]
pub use score::{ScoreOptions, Scorer, score};
#[cfg(feature = "tools")]
pub use searcher::ranking;
pub use searcher::{BatchSearch, QUERIES_AT_A_TIME, Searcher, thread_pool};
#[cfg(feature = "tools")]
pub use splade_data::FolderCheck;
#[cfg(feature = "tools")]
pub use splade_data::convert::{BeirOptions, Converted, Purpose};
#[cfg(feature = "tools")]
pub use splade_eval::check::Finding;
#[cfg(feature = "tools")]
pub use splade_export::targets::{CsrForm, ElasticsearchField};
pub use splade_index::{Filter, Hit, SearchMode, SearchOptions, Share, WeightFormat};
pub use splade_io::{Event, Observer, Progress};
#[cfg(feature = "tools")]
pub use splade_model::export::{ExportedModel, OnnxOutput};
pub use splade_model::folder::Layout;
pub use splade_model::weights::FloatType;
pub use splade_model::{Explanation, Isa, ModelFiles, Precision, Side};
#[cfg(feature = "tools")]
pub use splade_sparse::files::ShardSpec;
#[cfg(feature = "tools")]
pub use splade_sparse::files::TextForm;
pub use splade_sparse::{SparseVector, TermId};
pub use splade_text::WordKind;
pub use stream::Ended;
#[cfg(feature = "tools")]
pub use texts::{TextOptions, Texts};
#[cfg(feature = "tools")]
pub use training::{
    Outcome, PretrainConfig, Results, TrainConfig, cross_encoder, pretrain, pretraining_texts,
    train, train_config,
};

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
//! | module | what is in it |
//! |---|---|
//! | [`encode`] | writes vectors into files, or into shards that can be resumed; the options of encoding |
//! | [`input`] | reads texts from files of every supported form |
//! | [`models`] | finds, describes and exports models, and learns vocabularies |
//! | [`search`] | stored texts, BM25, hybrid search, re-ranking, filters and batches of queries |
//! | [`evaluation`] | judges rankings and BM25, and looks for what is wrong in a data set |
//! | [`data`] | makes training data: conversions, hard negatives, scores of pairs |
//! | [`learning`] | trains language models to start from, and cross-encoders as teachers |
//! | [`search_engines`] | exports vectors to search engines, and checks what the search engines answer |
//! | [`serve`] | the HTTP service: vectors, search and a page |
//! | [`pages`] | pages for people, and the time at which they are made |
//! | [`pipelines`] | runs steps of the program, each only if something changed |
//! | [`outputs`] | the rule that nothing existing is overwritten |
//! | [`progress`] | what an [`Observer`] is told |
//!
//! A function that writes a file refuses to replace one that exists, unless its options say `force`,
//! and never overwrites one of its inputs; see [`outputs`].
//!
//! # Long work tells how far it is, and stops when it is asked to
//!
//! Every function that may take longer than a second takes an [`Observer`]; `&mut ()` is one that
//! hears nothing and never stops.

mod error;

mod builtin;
mod model;

#[cfg(feature = "tools")]
mod ids;
#[cfg(feature = "tools")]
mod texts;

mod encoder;
mod dense_encoder;
mod pruning;
mod record;

mod document;
mod stream;

#[cfg(feature = "tools")]
mod output_guard;

#[cfg(feature = "tools")]
mod vector_output;
#[cfg(feature = "tools")]
mod encode_files;
#[cfg(feature = "tools")]
mod encode_dense;

#[cfg(feature = "tools")]
mod export;
#[cfg(feature = "tools")]
mod stamp;

mod provenance;

#[cfg(feature = "tools")]
mod idf;

mod index;
mod searcher;
mod snippet;

#[cfg(feature = "tools")]
mod hybrid;

#[cfg(feature = "tools")]
mod datasets;

#[cfg(feature = "tools")]
mod bm25;
#[cfg(feature = "tools")]
mod evaluate;
#[cfg(feature = "tools")]
mod evaluation_page;

#[cfg(feature = "tools")]
mod masters;
#[cfg(feature = "tools")]
mod parts;
#[cfg(feature = "tools")]
mod ranker;
#[cfg(feature = "tools")]
mod dense_vectors;
#[cfg(feature = "tools")]
mod dense_ranker;
#[cfg(feature = "tools")]
mod teacher;

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
mod count_words;
#[cfg(feature = "tools")]
mod learn_vocabulary;
#[cfg(feature = "tools")]
mod extend_vocabulary;
#[cfg(feature = "tools")]
mod trim_vocabulary;
#[cfg(feature = "tools")]
mod merge_vocabularies;
#[cfg(feature = "tools")]
mod merge_models;

#[cfg(feature = "tools")]
mod teacher_vectors;
#[cfg(feature = "tools")]
mod training;

#[cfg(feature = "tools")]
mod explain_page;
#[cfg(feature = "tools")]
mod run_report;

#[cfg(feature = "tools")]
mod pipeline;

#[cfg(feature = "serve")]
pub mod serve;

pub use dense_encoder::{DenseEncoder, MultiVectorEncoder};
pub use encoder::{SparseEncoder, SparseEncoderOptions};
pub use error::Error;
#[cfg(feature = "tools")]
pub use evaluate::{EvaluateOptions, Evaluation, evaluate};
pub use index::{Index, IndexOptions};
pub use searcher::Searcher;
pub use splade_index::{Hit, SearchOptions};
pub use splade_io::Observer;
pub use splade_sparse::{SparseVector, TermId};
#[cfg(feature = "tools")]
pub use training::{TrainConfig, train, train_config};

pub mod encode {
    //! Vectors of many texts, in files, and the options of encoding.
    //!
    //! [`encode_files()`] writes the vectors of texts into one file, or into a folder of shards that
    //! a later call resumes. [`encode_to`] passes the vectors of any texts to a
    //! writer.
    //!
    //! ```
    //! use light_splade::encode::{EncodeOptions, encode_files};
    //! use light_splade::input::Position;
    //! use light_splade::{SparseEncoder, SparseEncoderOptions};
    //!
    //! let folder = tempfile::tempdir()?;
    //! let options = EncodeOptions {
    //!     output: folder.path().join("vectors.ndjson"),
    //!     ..EncodeOptions::default()
    //! };
    //! let encoder = SparseEncoder::load("mini-ja-en", &SparseEncoderOptions::default())?;
    //! let texts = [("1", "東京"), ("2", "大阪")];
    //! let encoded = encode_files(&encoder, texts, Position::default(), &options, &mut ())?;
    //! assert_eq!(encoded.written, 2);
    //! # Ok::<(), Box<dyn std::error::Error>>(())
    //! ```

    #[cfg(feature = "tools")]
    pub use crate::encode_dense::{DenseOptions, encode_dense, encode_dense_to};
    #[cfg(feature = "tools")]
    pub use crate::encode_files::{EncodeOptions, TermKeys, VectorForm, encode_files, encode_to};
    pub use crate::encoder::EncodedTexts;
    #[cfg(feature = "tools")]
    pub use crate::idf::Idf;
    pub use crate::pruning::Pruning;
    pub use crate::stream::Ended;
    #[cfg(feature = "tools")]
    pub use crate::vector_output::EncodedFiles;
    pub use splade_model::{Embedded, Embedder, Embedding, Explanation, Isa, Precision, Side};
    #[cfg(feature = "tools")]
    pub use splade_sparse::files::{DenseForm, ShardSpec};
}

pub mod input {
    //! Texts from files: lines, NDJSON and Parquet, compressed or not, and folders of such files.
    //!
    //! ```
    //! use light_splade::input::{TextOptions, Texts};
    //!
    //! let folder = tempfile::tempdir()?;
    //! let path = folder.path().join("corpus.ndjson");
    //! std::fs::write(&path, "{\"id\": \"a\", \"text\": \"one\"}\n{\"id\": \"b\", \"text\": \"two\"}\n")?;
    //!
    //! let texts = Texts::open(&[path], TextOptions::default())?;
    //! let records = texts.collect::<Result<Vec<_>, _>>()?;
    //! assert_eq!((records[1].id.as_str(), records[1].text.as_str()), ("b", "two"));
    //! # Ok::<(), Box<dyn std::error::Error>>(())
    //! ```

    pub use crate::record::{IntoRecord, Position, Record};
    #[cfg(feature = "tools")]
    pub use crate::texts::{TextOptions, Texts};
    #[cfg(feature = "tools")]
    pub use splade_sparse::files::TextForm;
}

pub mod models {
    //! Models by name: finding and describing them, exporting them for other libraries, and learning
    //! the vocabulary of a new one.
    //!
    //! ```
    //! use light_splade::models::{BUILT_IN, inspect};
    //!
    //! let description = inspect(BUILT_IN.as_ref(), &mut ())?;
    //! println!("{description}");
    //! assert_eq!(description.towers.len(), 1);
    //! # Ok::<(), light_splade::Error>(())
    //! ```

    pub use crate::builtin::NAME as BUILT_IN;
    #[cfg(feature = "tools")]
    pub use crate::export::{ExportModelOptions, HubUpload, ModelCard, ModelExport, export_model};
    #[cfg(feature = "tools")]
    pub use crate::extend_vocabulary::{ExtendOptions, ExtendedVocabulary, extend_vocabulary};
    #[cfg(feature = "tools")]
    pub use crate::inspect::{ModelDescription, TowerDescription, TowerMethod, inspect};
    #[cfg(feature = "tools")]
    pub use crate::learn_vocabulary::{LearnedVocabulary, VocabularyOptions, learn_vocabulary};
    #[cfg(feature = "tools")]
    pub use crate::merge_models::{MergeMethod, MergeModelsOptions, Merged, merge_models};
    #[cfg(feature = "tools")]
    pub use crate::merge_vocabularies::{
        JoinedVocabulary, MergeVocabulariesOptions, merge_vocabularies,
    };
    pub use crate::model::{Vocabulary, first_head, model_folder};
    #[cfg(feature = "tools")]
    pub use crate::trim_vocabulary::{TrimOptions, TrimmedVocabulary, trim_vocabulary};
    #[cfg(feature = "tools")]
    pub use splade_model::export::{ExportedModel, OnnxOutput};
    pub use splade_model::folder::Layout;
    pub use splade_model::weights::FloatType;
    pub use splade_model::{CrossEncoder, CrossEncoderOptions, HeadKind, ModelFiles, Similarity};
    pub use splade_text::{NewWord, WordKind};
}

pub mod search {
    //! Searching beyond a single query: filters, many queries at once, stored texts, BM25, hybrid
    //! search and re-ranking, and what an index remembers of the model that made its vectors.
    //!
    //! ```
    //! use light_splade::search::Filter;
    //! use light_splade::{
    //!     Index, IndexOptions, SearchOptions, Searcher, SparseEncoder, SparseEncoderOptions,
    //! };
    //!
    //! let folder = tempfile::tempdir()?;
    //! let path = folder.path().join("index");
    //! let encoder = SparseEncoder::load("mini-ja-en", &SparseEncoderOptions::default())?;
    //! let mut index = Index::create(&path, &encoder, &IndexOptions::default())?;
    //! index.upsert(&encoder, [("1", "東京の天気"), ("2", "大阪の天気")], &mut ())?;
    //! index.commit()?;
    //!
    //! let searcher = Searcher::open(&path, Some(encoder))?;
    //! let (filter, _found): (Filter, usize) = searcher.filter(["2"]);
    //! let options = SearchOptions { filter: Some(filter), ..SearchOptions::default() };
    //! let hits = searcher.search("天気", &options)?;
    //! assert_eq!(hits.len(), 1);
    //! # Ok::<(), Box<dyn std::error::Error>>(())
    //! ```

    pub use crate::document::StoredDocument;
    #[cfg(feature = "tools")]
    pub use crate::hybrid::{HybridHit, HybridOptions, RerankedHit, load_cross_encoder};
    #[cfg(feature = "tools")]
    pub use crate::provenance::VectorSources;
    pub use crate::provenance::{Encoding, Provenance};
    #[cfg(feature = "tools")]
    pub use crate::searcher::ranking;
    pub use crate::searcher::{BatchSearch, QUERIES_AT_A_TIME, thread_pool};
    pub use crate::snippet::{Mark, MarkKind, QueryTerms, Snippet};
    #[cfg(feature = "tools")]
    pub use splade_eval::fuse::{Fusion, FusionMethod, Place};
    pub use splade_index::bm25::Bm25Options;
    pub use splade_index::{
        Bm25Info, Filter, IndexInfo, SearchMode, Share, Verified, WeightFormat,
    };
    #[cfg(feature = "tools")]
    pub use splade_model::{CrossEncoder, CrossEncoderOptions};
}

#[cfg(feature = "tools")]
pub mod evaluation {
    //! Judging rankings, and checking data sets.
    //!
    //! ```
    //! use light_splade::evaluation::check_data;
    //!
    //! let data = concat!(env!("CARGO_MANIFEST_DIR"), "/data/toy-beir");
    //! let report = check_data(data.as_ref(), None)?;
    //! assert!(report.is_sound());
    //! # Ok::<(), light_splade::Error>(())
    //! ```

    pub use crate::check_data::{DataReport, check_data};
    pub use crate::evaluate::{Judged, evaluate_bm25, evaluate_run, finding_line};
    pub use crate::evaluation_page::evaluation_page;
    pub use splade_data::FolderCheck;
    pub use splade_eval::check::Finding;
    pub use splade_eval::fuse::fuse;
    pub use splade_eval::{Report, Run, Scored, System};
    pub use splade_index::bm25::Bm25Options;
}

#[cfg(feature = "tools")]
pub mod data {
    //! Training data: conversions of public data sets, hard negatives, and scores of pairs.
    //!
    //! ```
    //! use light_splade::data::{MineOptions, PartsOptions, mine};
    //!
    //! let folder = tempfile::tempdir()?;
    //! let out = folder.path().join("negatives.ndjson");
    //! let options = MineOptions {
    //!     data: concat!(env!("CARGO_MANIFEST_DIR"), "/data/toy/train").into(),
    //!     output: PartsOptions { out: out.clone(), ..PartsOptions::default() },
    //!     ..MineOptions::default()
    //! };
    //! let mined = mine(&options, &mut ())?;
    //! assert!(mined.negatives > mined.queries && out.is_file());
    //! # Ok::<(), Box<dyn std::error::Error>>(())
    //! ```

    pub use crate::convert::{
        ConvertOptions, ConvertSource, CorpusFilter, CorpusSource, MmarcoSource, MsMarcoSource,
        convert,
    };
    pub use crate::datasets::dataset_folder;
    pub use crate::mine::{
        MineOptions, MinedNegatives, NegativeFormat, NegativeSource, RankerKind, mine,
    };
    pub use crate::parts::PartsOptions;
    pub use crate::ranker::RankerOptions;
    pub use crate::score::{ScoreOptions, score};
    pub use crate::teacher::{Join, Scorer, Teacher};
    pub use splade_data::convert::{BeirOptions, Converted, PairKind, PairsOptions, Purpose};
    pub use splade_data::mine::{Margins, MineSource};
}

#[cfg(feature = "tools")]
pub mod learning {
    //! Training beyond SPLADE models: the language models from which they start, and the
    //! cross-encoders that teach them.
    //!
    //! ```
    //! use light_splade::learning::{Outcome, PretrainConfig, pretrain};
    //! use serde_json::json;
    //!
    //! let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    //! let output = tempfile::tempdir()?;
    //! let (config, _notes) = PretrainConfig::from_value(&json!({
    //!     "model": { "model_name_or_path": root.join("models/demo"), "max_length": 32 },
    //!     "data": { "train_files": [root.join("data/toy/train/doc_master.ndjson")] },
    //!     "training": { "output_dir": output.path(), "max_steps": 2 },
    //! }))?;
    //! let outcome = pretrain(&config, &mut ())?;
    //! assert!(matches!(outcome, Outcome::Finished(_)));
    //! # Ok::<(), Box<dyn std::error::Error>>(())
    //! ```

    pub use crate::run_report::run_report;
    pub use crate::teacher_vectors::open_teacher;
    pub use crate::training::{
        Outcome, PretrainConfig, Results, ResumeFrom, TrainError, cross_encoder, pretrain,
        pretraining_texts,
    };
}

#[cfg(feature = "tools")]
pub mod search_engines {
    //! Vectors for search engines: files that they load, documents sent to their servers, and a check
    //! of what they answer.
    //!
    //! ```
    //! use light_splade::encode::{EncodeOptions, encode_files};
    //! use light_splade::input::Position;
    //! use light_splade::search_engines::{ExportOptions, ExportTarget, export_documents};
    //! use light_splade::{SparseEncoder, SparseEncoderOptions};
    //!
    //! let folder = tempfile::tempdir()?;
    //! let vectors = folder.path().join("vectors.parquet");
    //! let encoder = SparseEncoder::load("mini-ja-en", &SparseEncoderOptions::default())?;
    //! let options = EncodeOptions { output: vectors.clone(), ..EncodeOptions::default() };
    //! encode_files(&encoder, [("1", "東京"), ("2", "大阪")], Position::default(), &options, &mut ())?;
    //!
    //! let options = ExportOptions {
    //!     vectors: vec![vectors],
    //!     out: folder.path().join("qdrant"),
    //!     target: ExportTarget::Qdrant { field: "splade".to_owned(), first_id: None },
    //!     ..ExportOptions::default()
    //! };
    //! assert_eq!(export_documents(&options, &mut ())?.documents, 2);
    //! # Ok::<(), Box<dyn std::error::Error>>(())
    //! ```

    #[cfg(feature = "push")]
    pub use crate::doctor::{DoctorCheck, DoctorOptions, DoctorReport, SearchEngineKind, doctor};
    pub use crate::export::{
        CiffScale, ExportOptions, ExportTarget, Exported, OpenSearchType, PushTarget,
        export_documents,
    };
    pub use splade_export::targets::{CsrForm, ElasticsearchField};
}

#[cfg(feature = "tools")]
pub mod pages {
    //! Pages for people, each one HTML file that loads nothing: which token gave each term of a text.
    //! Pages about training runs are made by [`learning::run_report`](crate::learning::run_report), and
    //! pages about evaluations by [`evaluation::evaluation_page`](crate::evaluation::evaluation_page).
    //!
    //! ```
    //! use light_splade::encode::Side;
    //! use light_splade::pages::{explain_page, now};
    //! use light_splade::{SparseEncoder, SparseEncoderOptions};
    //!
    //! let encoder = SparseEncoder::load("mini-ja-en", &SparseEncoderOptions::default())?;
    //! let page = explain_page(&encoder, Side::Query, &["night train"], 10, now())?;
    //! assert!(page.starts_with("<!DOCTYPE html>"));
    //! # Ok::<(), light_splade::Error>(())
    //! ```

    pub use crate::explain_page::explain_page;
    pub use splade_page::{duration, now};
}

#[cfg(feature = "tools")]
pub mod pipelines {
    //! Steps of the program, each of which runs only if something that it depends on has changed.
    //!
    //! ```
    //! use light_splade::pipelines::{PipelineOptions, run_pipeline};
    //!
    //! let folder = tempfile::tempdir()?;
    //! let at = folder.path().display();
    //! let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/data/toy-beir/corpus.jsonl");
    //! let file = folder.path().join("pipeline.yaml");
    //! let steps = format!("steps:\n  - {{name: encode, run: encode {corpus}, stdout: {at}/vectors}}\n");
    //! std::fs::write(&file, format!("work: {at}/work\n{steps}"))?;
    //! // Tells what would run, and runs nothing.
    //! let options = PipelineOptions { file, dry_run: true, ..PipelineOptions::default() };
    //! let report = run_pipeline(&options, &mut ())?;
    //! assert_eq!(report.steps[0].name, "encode");
    //! # Ok::<(), Box<dyn std::error::Error>>(())
    //! ```

    pub use crate::pipeline::{
        CommandSettings, PipelineOptions, PipelineReport, PipelineStep, clock, run_pipeline,
    };
}

#[cfg(feature = "tools")]
pub mod outputs {
    //! The rule about outputs: nothing that exists is overwritten unless the caller says so, and an
    //! input is never overwritten.
    //!
    //! ```
    //! use std::path::Path;
    //! use light_splade::outputs::check_output;
    //!
    //! let folder = tempfile::tempdir()?;
    //! let path = folder.path().join("vectors.ndjson");
    //! std::fs::write(&path, "{}\n")?;
    //! let none: [&Path; 0] = [];
    //! let error = check_output(&path, none, false).unwrap_err();
    //! assert_eq!(error.hint().as_deref(), Some("replace it with --force, or name another output"));
    //! # Ok::<(), std::io::Error>(())
    //! ```

    pub use crate::output_guard::{check_distinct, check_output};
}

pub mod progress {
    //! What an [`Observer`](crate::Observer) is told: notes, warnings, and how far long work is.
    //!
    //! ```
    //! use light_splade::Observer;
    //! use light_splade::progress::Event;
    //!
    //! /// Prints notes and warnings, and stops the work after a number of events.
    //! struct Terminal {
    //!     left: usize,
    //! }
    //!
    //! impl Observer for Terminal {
    //!     fn event(&mut self, event: Event<'_>) {
    //!         self.left = self.left.saturating_sub(1);
    //!         match event {
    //!             Event::Note(text) => println!("{text}"),
    //!             Event::Warning(text) => println!("warning: {text}"),
    //!             _ => {}
    //!         }
    //!     }
    //!
    //!     fn stop(&mut self) -> bool {
    //!         self.left == 0
    //!     }
    //! }
    //! let mut terminal = Terminal { left: 2 };
    //! terminal.event(Event::Note("1,000 documents"));
    //! assert!(!terminal.stop());
    //! ```

    pub use splade_io::{Event, Progress, StepProgress};
}

/// The Rust blocks of the READMEs, which `cargo test --doc` runs.
#[cfg(doctest)]
mod readmes {
    #[doc = include_str!("../README.md")]
    mod readme {}
    #[doc = include_str!("../README.ja.md")]
    mod readme_in_japanese {}
}

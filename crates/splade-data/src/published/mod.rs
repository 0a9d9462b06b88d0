//! Data sets for evaluation as others publish them, written as folders of BEIR.
//!
//! A published set is the list of files of one or two repositories. [`Layout::find`] recognises the
//! documents, queries and judgements in it by their paths, so that only these files have to be
//! fetched, and [`Layout::write`] reads them and writes `corpus.jsonl`, `queries.jsonl` and
//! `qrels/SPLIT.tsv`.
//!
//! | form | documents | queries | judgements |
//! |---|---|---|---|
//! | BEIR | `corpus.jsonl` | `queries.jsonl` | `qrels/SPLIT.tsv`, or `SPLIT.tsv` in a second repository |
//! | configs of Parquet (MTEB, NanoBEIR) | `corpus/…` | `queries/…` | `qrels/…`, `default/…` or `data/…` |
//! | configs of a subset (MTEB) | `ja-corpus/…`, `corpus-ja/…` | `ja-queries/…` | `ja-qrels/…`, `ja/…` |
//! | subsets as splits (NanoBEIR) | `corpus/NanoNQ-…` | `queries/NanoNQ-…` | `qrels/NanoNQ-…` |
//! | JMTEB | `NAME-corpus/…` | `NAME-query/SPLIT-…` with `relevant_docs` | in the queries |
//! | MIRACL | `miracl-corpus-v1.0-ja/docs-0.jsonl.gz` | `…/topics/…-dev.tsv` | `…/qrels/…-dev.tsv` |
//! | mMARCO | `…/japanese_collection.tsv` | `…/japanese_queries.dev.tsv` | `SPLIT.tsv` in a second repository |
//! | SQuAD (JaQuAD) | `data/dev/*.json`, … | in the same files | in the same files |
//!
//! The files of a config are `CONFIG/SPLIT-00000-of-00002.parquet`, as `push_to_hub` of the library
//! `datasets` writes them, or `CONFIG/SPLIT/0000.parquet`, as the hub converts data sets; they may
//! also be `.jsonl` files.
//!
//! ```
//! use splade_data::published::{Layout, RepoFile};
//!
//! let files = ["corpus.jsonl", "queries.jsonl", "qrels/test.tsv", "README.md"];
//! let files: Vec<RepoFile> =
//!     files.iter().map(|path| RepoFile { repository: 0, path: (*path).to_owned() }).collect();
//! let layout = Layout::find("org/set", &files, None)?;
//! // What has to be downloaded.
//! let needed: Vec<&str> = layout.files().into_iter().map(|file| file.path.as_str()).collect();
//! assert!(needed.contains(&"corpus.jsonl") && !needed.contains(&"README.md"));
//! # Ok::<(), splade_data::DataError>(())
//! ```

mod layout;

mod rows;
mod write;

pub use layout::{Layout, RepoFile};

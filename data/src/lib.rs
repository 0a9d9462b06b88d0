#![doc = include_str!("../demo/README.md")]

/// The files of the folder: each with its path and its content. The paths are separated by `/`.
pub const FILES: &[(&str, &str)] = &[
    ("README.md", include_str!("../demo/README.md")),
    ("corpus.jsonl", include_str!("../demo/corpus.jsonl")),
    ("queries.jsonl", include_str!("../demo/queries.jsonl")),
    ("qrels/train.tsv", include_str!("../demo/qrels/train.tsv")),
    ("qrels/test.tsv", include_str!("../demo/qrels/test.tsv")),
];

"""Writes a small data set in the forms in which others publish theirs, with the library `datasets` where
they use it, and the folder of BEIR that all of them are.

    python scripts/reference/published_sets.py crates/splade-data/tests/fixtures/published

Each form is a folder `NAME/REPOSITORY/...`; the repositories are numbered from 0.
"""

import gzip
import json
import shutil
import sys
from pathlib import Path

from datasets import Dataset

DOCUMENTS = [
    {"_id": "1", "title": "Rain", "text": "Water that falls from clouds."},
    {"_id": "2", "title": "雪", "text": "空から降る氷の結晶。"},
    {"_id": "3", "title": "", "text": "A text without a title."},
]
QUERIES = [("10", "what falls from clouds"), ("11", "空から降る白いもの"), ("12", "who has no title")]
# Split, query, document, grade.
JUDGEMENTS = [("dev", "10", "1", 1), ("dev", "11", "2", 1), ("train", "12", "3", 1)]


def parquet(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    Dataset.from_list(rows).to_parquet(path)


def lines(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n" for row in rows).encode()
    # Without a time, so that a second run writes the same bytes.
    path.write_bytes(gzip.compress(text, mtime=0) if path.suffix == ".gz" else text)


def table(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join("\t".join(map(str, row)) + "\n" for row in rows), encoding="utf-8")


def judged(split, names=("query-id", "corpus-id", "score")):
    rows = [row[1:] for row in JUDGEMENTS if row[0] == split]
    return [dict(zip(names, row)) for row in rows]


def beir_qrels(split):
    return [("query-id", "corpus-id", "score")] + [tuple(row.values()) for row in judged(split)]


def main(root):
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    queries = [{"_id": query, "text": text} for query, text in QUERIES]

    # BEIR at the hub: the judgements are in a repository of their own.
    lines(root / "beir/0/corpus.jsonl.gz", DOCUMENTS)
    lines(root / "beir/0/queries.jsonl.gz", queries)
    for split in ("dev", "train"):
        table(root / f"beir/1/{split}.tsv", beir_qrels(split))

    # MTEB: configs of Parquet files, the default one for the judgements.
    parquet(root / "mteb/0/corpus/corpus-00000-of-00002.parquet", DOCUMENTS[:2])
    parquet(root / "mteb/0/corpus/corpus-00001-of-00002.parquet", DOCUMENTS[2:])
    parquet(root / "mteb/0/queries/queries-00000-of-00001.parquet", queries)
    for split in ("dev", "train"):
        parquet(root / f"mteb/0/data/{split}-00000-of-00001.parquet", judged(split))

    # MTEB in several languages: the subset is a part of the names of the configs.
    for language in ("ja", "sw"):
        parquet(root / f"mteb-subset/0/{language}-corpus/dev-00000-of-00001.parquet", DOCUMENTS)
        parquet(root / f"mteb-subset/0/{language}-queries/dev-00000-of-00001.parquet", queries)
        for split in ("dev", "train"):
            parquet(root / f"mteb-subset/0/{language}-qrels/{split}-00000-of-00001.parquet", judged(split))

    # A set with a loading script, as the hub converts it.
    documents = [{"docid": d["_id"], "title": d["title"], "text": d["text"]} for d in DOCUMENTS]
    asked = [{"query_id": query, "query": text} for query, text in QUERIES]
    parquet(root / "converted/0/corpus-ja/corpus/0000.parquet", documents)
    parquet(root / "converted/0/queries-ja/queries/0000.parquet", asked)
    for split in ("dev", "train"):
        rows = judged(split, ("query_id", "docid", "score"))
        parquet(root / f"converted/0/ja/{split}/0000.parquet", rows)

    # NanoBEIR: one split, without grades.
    parquet(root / "nano/0/corpus/train-00000-of-00001.parquet", DOCUMENTS)
    parquet(root / "nano/0/queries/train-00000-of-00001.parquet", queries)
    rows = [{k: v for k, v in row.items() if k != "score"} for row in judged("dev") + judged("train")]
    parquet(root / "nano/0/qrels/train-00000-of-00001.parquet", rows)

    # NanoBEIR in one repository: the splits are the sets.
    for name in ("NanoA", "NanoB"):
        parquet(root / f"nano-splits/0/corpus/{name}-00000-of-00001.parquet", DOCUMENTS)
        parquet(root / f"nano-splits/0/queries/{name}-00000-of-00001.parquet", queries)
        parquet(root / f"nano-splits/0/qrels/{name}-00000-of-00001.parquet", rows)

    # JMTEB: queries without ids, which list their documents.
    for task in ("jaqket", "other"):
        corpus = [{"docid": int(d["_id"]), "title": d["title"], "text": d["text"]} for d in DOCUMENTS]
        parquet(root / f"jmteb/0/{task}-corpus/corpus-00000-of-00001.parquet", corpus)
        for split in ("dev", "train"):
            of = {row["query-id"]: [int(row["corpus-id"])] for row in judged(split)}
            rows = [{"query": text, "relevant_docs": of[query]} for query, text in QUERIES if query in of]
            parquet(root / f"jmteb/0/{task}-query/{split}-00000-of-00001.parquet", rows)

    # MIRACL: TREC's forms for topics and judgements, the passages elsewhere.
    for language in ("ja", "sw"):
        folder = root / f"miracl/0/miracl-v1.0-{language}"
        for split in ("dev", "train"):
            of = [row["query-id"] for row in judged(split)]
            rows = [(query, text) for query, text in QUERIES if query in of]
            table(folder / f"topics/topics.miracl-v1.0-{language}-{split}.tsv", rows)
            rows = [(q, "Q0", d, grade) for s, q, d, grade in JUDGEMENTS if s == split]
            table(folder / f"qrels/qrels.miracl-v1.0-{language}-{split}.tsv", rows)
        # Topics without judgements are left out.
        table(folder / f"topics/topics.miracl-v1.0-{language}-test-a.tsv", [("99", "a secret")])
        lines(root / f"miracl/1/miracl-corpus-v1.0-{language}/docs-0.jsonl.gz", documents)

    # mMARCO: the judgements of MS MARCO are those of BEIR.
    for language in ("english", "japanese"):
        folder = root / "mmarco/0/data/google"
        rows = [(d["_id"], d["text"]) for d in DOCUMENTS]
        table(folder / f"collections/{language}_collection.tsv", rows)
        table(folder / f"queries/dev/{language}_queries.dev.tsv", QUERIES)
    table(root / "mmarco/1/validation.tsv", beir_qrels("dev"))
    table(root / "mmarco/1/train.tsv", beir_qrels("train"))

    # SQuAD.
    for split in ("dev", "train"):
        article = []
        for _, query, document, _ in (row for row in JUDGEMENTS if row[0] == split):
            d = next(d for d in DOCUMENTS if d["_id"] == document)
            question = {"id": query, "question": dict(QUERIES)[query], "answers": []}
            paragraph = {"context": d["text"], "qas": [question]}
            article.append({"title": d["title"], "paragraphs": [paragraph]})
        path = root / f"squad/0/data/{split}/jaquad_{split}_0000.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"version": "1.1", "data": article}, ensure_ascii=False) + "\n", encoding="utf-8")

    lines(root / "expected/corpus.jsonl", [{k: v for k, v in d.items() if v} for d in DOCUMENTS])
    lines(root / "expected/queries.jsonl", queries)
    for split in ("dev", "train"):
        table(root / f"expected/qrels/{split}.tsv", beir_qrels(split))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

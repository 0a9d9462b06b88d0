"""Checks that the toy data is consistent. The program needs only Python.

    python scripts/reference/toy_check.py data

It checks that ids are unique and exist, that every query has a positive, that negatives are not positives, and that the
BEIR folder holds the same texts and judgements as the NDJSON files.
"""

import json
import sys
from pathlib import Path


def rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def unique(items, key, path):
    found = {item[key]: item for item in items}
    assert len(found) == len(items), f"{path}: a {key} occurs twice"
    return found


def japanese(text):
    return any("\u3040" <= char <= "\u9fff" for char in text)


def check_split(folder):
    """Checks one split and returns its texts and positives."""
    queries = unique(rows(folder / "query_master.ndjson"), "qid", folder)
    documents = unique(rows(folder / "doc_master.ndjson"), "doc_id", folder)
    positives = unique(rows(folder / "positive_lists.ndjson"), "qid", folder)
    assert queries.keys() == positives.keys(), f"{folder}: queries and positive lists differ"
    for qid, row in positives.items():
        ids = row["positive_doc_ids"]
        assert ids and set(ids) <= documents.keys(), f"{folder}: positives of query {qid}"
        own = [japanese(documents[i]["text"]) == japanese(queries[qid]["text"]) for i in ids]
        assert own == [True, False], f"{folder}: languages of the positives of query {qid}"
    triplets = rows(folder / "triplets.ndjson")
    assert len({tuple(row.values()) for row in triplets}) == len(triplets), f"{folder}: triplets"
    for row in triplets:
        ids = positives[row["qid"]]["positive_doc_ids"]
        assert row["pos_doc_id"] in ids and row["neg_doc_id"] not in ids, f"{folder}: {row}"
        assert row["neg_doc_id"] in documents, f"{folder}: {row}"
    languages = [japanese(query["text"]) for query in queries.values()]
    assert 2 * sum(languages) == len(languages), f"{folder}: half of the queries is Japanese"
    print(f"{folder}: {len(documents)} documents, {len(queries)} queries, {len(triplets)} triplets")
    return documents, queries, positives


def judgements(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "query-id\tcorpus-id\tscore", f"{path}: header"
    return {tuple(line.split("\t")) for line in lines[1:]}


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: toy_check.py DATA")
    data = Path(sys.argv[1])
    documents, queries = {}, {}
    for split, name in [("train", "train"), ("validation", "test")]:
        more_documents, more_queries, positives = check_split(data / "toy" / split)
        assert not documents.keys() & more_documents.keys(), "documents in both splits"
        assert not queries.keys() & more_queries.keys(), "queries in both splits"
        documents |= more_documents
        queries |= more_queries
        expected = {
            (f"q{qid}", f"d{doc}", str(2 - place))
            for qid, row in positives.items()
            for place, doc in enumerate(row["positive_doc_ids"])
        }
        qrels = data / "toy-beir" / "qrels" / f"{name}.tsv"
        assert judgements(qrels) == expected, f"{qrels}: differs from the positive lists"
    beir = data / "toy-beir"
    corpus = {row["_id"]: row["text"] for row in rows(beir / "corpus.jsonl")}
    assert corpus == {f"d{i}": row["text"] for i, row in documents.items()}, "corpus.jsonl"
    texts = {row["_id"]: row["text"] for row in rows(beir / "queries.jsonl")}
    assert texts == {f"q{i}": row["text"] for i, row in queries.items()}, "queries.jsonl"
    print(f"{beir}: the same {len(corpus)} documents and {len(texts)} queries")


if __name__ == "__main__":
    main()

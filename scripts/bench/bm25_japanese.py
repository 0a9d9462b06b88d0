"""Measures BM25 on a Japanese data set, over words of MeCab (unidic-lite) and over pairs of characters.

    python scripts/bench/bm25_japanese.py work/from_scratch/jaquad/validation

The folder contains doc_master, query_master and positive_lists. The parameters are k1 .9 and b .4, with Lucene's idf,
and texts are normalized to NFKC and lower case. The program needs numpy, scipy, fugashi and unidic-lite.
"""

import json
import sys
import unicodedata
from pathlib import Path

import fugashi
import numpy
import scipy.sparse
import unidic_lite

K1, B = 0.9, 0.4


def read(folder, name):
    return [json.loads(line) for line in open(Path(folder) / f"{name}.ndjson", encoding="utf-8")]


def counts(texts, terms_of, vocabulary):
    rows, columns = [], []
    for row, text in enumerate(texts):
        for term in terms_of(unicodedata.normalize("NFKC", text).lower()):
            rows.append(row)
            columns.append(vocabulary.setdefault(term, len(vocabulary)))
    return rows, columns, len(texts)


def matrix(counted, width):
    rows, columns, height = counted
    return scipy.sparse.csr_matrix((numpy.ones(len(rows)), (rows, columns)), (height, width))


def scores(documents, queries):
    lengths = numpy.asarray(documents.sum(1)).ravel()
    frequency = numpy.asarray((documents > 0).sum(0)).ravel()
    count = documents.shape[0]
    idf = numpy.log(1 + (count - frequency + 0.5) / (frequency + 0.5))
    d = documents.tocoo()
    norm = K1 * (1 - B + B * lengths[d.row] / lengths.mean())
    weights = idf[d.col] * d.data * (K1 + 1) / (d.data + norm)
    weighted = scipy.sparse.csr_matrix((weights, (d.row, d.col)), documents.shape)
    return (queries @ weighted.T).toarray()


def main():
    folder = sys.argv[1]
    documents, queries = read(folder, "doc_master"), read(folder, "query_master")
    place = {document["doc_id"]: row for row, document in enumerate(documents)}
    positive = {row["qid"]: place[row["positive_doc_ids"][0]] for row in read(folder, "positive_lists")}
    gold = numpy.array([positive[query["qid"]] for query in queries])
    tagger = fugashi.GenericTagger(f"-r /dev/null -Owakati -d {unidic_lite.DICDIR}")
    for name, terms_of in [
        ("words of MeCab", lambda text: [word.surface for word in tagger(text)]),
        ("pairs of characters", lambda text: [text[i : i + 2] for i in range(len(text) - 1)]),
    ]:
        vocabulary = {}
        d = counts([document["text"] for document in documents], terms_of, vocabulary)
        q = counts([query["text"] for query in queries], terms_of, vocabulary)
        found = scores(matrix(d, len(vocabulary)), matrix(q, len(vocabulary)))
        own = found[numpy.arange(len(gold)), gold]
        # A document with an equal score counts as better, which gives the worst rank that BM25 allows.
        better = (found >= own[:, None]).sum(1)
        reciprocal = numpy.where(better <= 10, 1 / better, 0).mean()
        print(f"{name:22} MRR@10 {reciprocal:.4f}  Recall@10 {(better <= 10).mean():.4f}")


if __name__ == "__main__":
    main()

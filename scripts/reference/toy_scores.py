"""Writes scores for the toy data that replace those of a teacher in distillation.

    python scripts/reference/toy_scores.py data/toy/train

No model computes the scores. A positive has 9 in the query's language and 7 in the other language. A negative of the
triplets has up to 4, in proportion to the share of the query's pairs of letters that it contains.
"""

import json
import sys
from pathlib import Path

folder = Path(sys.argv[1])


def lines(name):
    with open(folder / f"{name}.ndjson", encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def pairs(text):
    text = text.lower()
    return {text[i : i + 2] for i in range(len(text) - 1) if " " not in text[i : i + 2]}


queries = {q["qid"]: q["text"] for q in lines("query_master")}
documents = {d["doc_id"]: d["text"] for d in lines("doc_master")}
positives = {p["qid"]: p["positive_doc_ids"] for p in lines("positive_lists")}
negatives = {}
for triplet in lines("triplets"):
    negatives.setdefault(triplet["qid"], set()).add(triplet["neg_doc_id"])

with open(folder / "hard_negative_scores.ndjson", "w", encoding="utf-8") as out:
    for qid, text in queries.items():
        # The first positive is in the query's own language.
        scores = {doc: 9.0 if i == 0 else 7.0 for i, doc in enumerate(positives[qid])}
        wanted = pairs(text)
        for doc in sorted(negatives[qid]):
            shared = len(wanted & pairs(documents[doc])) / len(wanted)
            scores.setdefault(doc, round(4 * shared, 2))
        row = {"qid": qid, "scores": {str(doc): score for doc, score in scores.items()}}
        out.write(json.dumps(row) + "\n")

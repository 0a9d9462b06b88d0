"""Writes the answers of the Python library to valid and invalid training data.

    python scripts/reference/training_data.py crates/splade-data/tests/fixtures/data/python.json

Each case is a set of files. The result has the lines of the files, and either the text of the error or everything that
the library's data set can return: the texts (and scores) of its samples, sampled until nothing new appears. The program
needs light-splade 0.1.3.
"""

import json
import logging
import random
import sys
import tempfile
from pathlib import Path

from light_splade.data.triplet_dataset import TripletDataset
from light_splade.data.triplet_distil_dataset import TripletDistilDataset

BASE = {
    "query_master": [{"qid": 7, "text": "q seven"}, {"qid": 2, "text": "質問\n\"二\" \U0001f600"}],
    "doc_master": [{"doc_id": d, "text": f"d {d}"} for d in (10, 4, 30, 5, 60, -1)],
    "positive_lists": [
        {"qid": 2, "positive_doc_ids": [30]},
        {"qid": 7, "positive_doc_ids": [10, 4]},
    ],
    "triplets": [
        {"qid": 2, "pos_doc_id": 30, "neg_doc_id": 4},
        {"qid": 7, "pos_doc_id": 10, "neg_doc_id": -1},
        {"qid": 7, "pos_doc_id": 4, "neg_doc_id": 60},
    ],
    "hard_negative_scores": [
        {"qid": 7, "scores": {"4": 1.5, "10": 2, "5": -0.25, "999": 9, "-1": 0.1}},
        {"qid": 2, "scores": {"60": -3.5, "30": 8.125, "5": 0}},
        {"qid": 55, "scores": {"1": 1}},
    ],
}


def changed(**files):
    return BASE | files


def line(file, index, **values):
    """Returns the base case with one line changed."""
    rows = [dict(row) for row in BASE[file]]
    rows[index] |= values
    return BASE | {file: rows}


CASES = {
    "sound": BASE,
    "positives of an unknown query": line("positive_lists", 0, qid=3),
    "a query without a list": changed(positive_lists=BASE["positive_lists"][1:]),
    "a query without positives": line("positive_lists", 1, positive_doc_ids=[]),
    "an unknown positive": line("positive_lists", 1, positive_doc_ids=[10, 11]),
    "a triplet's unknown positive": line("triplets", 1, pos_doc_id=8),
    "a triplet's unknown negative": line("triplets", 2, neg_doc_id=9),
    "a query without scores": changed(hard_negative_scores=BASE["hard_negative_scores"][1:]),
    "a positive without a score": line("hard_negative_scores", 0, scores={"4": 1, "5": 1}),
    "positives alone have scores": line("hard_negative_scores", 1, scores={"30": 1}),
    "negatives are unknown": line("hard_negative_scores", 1, scores={"30": 1, "31": 1}),
}


def outcome(folder, distil):
    paths = {
        "query_master_data_path": folder / "query_master.ndjson",
        "doc_master_data_path": folder / "doc_master.ndjson",
        "positive_pair_data_path": folder / "positive_lists.ndjson",
    }
    try:
        if distil:
            scores = folder / "hard_negative_scores.ndjson"
            data = TripletDistilDataset(**paths, hard_negative_scores_data_path=scores)
        else:
            data = TripletDataset(**paths, triplet_path=folder / "triplets.ndjson")
    except (ValueError, IndexError) as error:
        return {"error": str(error)}
    random.seed(0)
    draws = 500 if distil else 1
    samples = {data[i] for i in range(len(data)) for _ in range(draws)}
    return {"len": len(data), "samples": sorted(samples)}


def main():
    logging.disable()
    results = []
    for name, files in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            lines = {file: [json.dumps(row) for row in rows] for file, rows in files.items()}
            for file, rows in lines.items():
                (folder / f"{file}.ndjson").write_text("\n".join(rows) + "\n", encoding="utf-8")
            results.append({
                "name": name,
                "files": lines,
                "triplets": outcome(folder, distil=False),
                "distillation": outcome(folder, distil=True),
            })
    output = Path(sys.argv[1])
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


main()

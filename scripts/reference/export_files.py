"""Reads the exported files of the tests with other libraries and compares them with the original vectors.

    python scripts/reference/export_files.py crates/splade-export/tests/fixtures/export

The program needs numpy, scipy, safetensors, pyarrow and ciff-toolkit.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from ciff_toolkit.read import CiffReader
from safetensors.numpy import load_file
from scipy import sparse

TOKENS = ["[PAD]", "tokyo", ".", "a.b", "%2E", "##s", "日本", "\"q\\", "sp ace", "x:y"]
DOCUMENTS = {
    "d1": {1: 1.5, 3: 0.25, 5: 2.33336},
    "d\"2\\": {1: 0.1, 2: 0.001, 4: 1.0, 6: 3.7777777, 8: 0.5},
    "文書": {},
    "d4": {0: 3.0, 5: 0.75, 7: 1.25, 9: 0.33333334},
}
NAMES = {"%252E": "%2E", "sp%20ace": "sp ace"}


def check(name, got):
    want = {i: {t: np.float32(w) for t, w in v.items()} for i, v in DOCUMENTS.items()}
    assert got == want, (name, got)
    print("same:", name)


def rows(matrix, ids):
    assert matrix.shape == (len(ids), len(TOKENS))
    return {i: dict(zip(r.indices.tolist(), r.data.tolist())) for i, r in zip(ids, matrix)}


def f32(rows):
    return {i: {t: np.float32(w) for t, w in v.items()} for i, v in rows.items()}


def main():
    root = Path(sys.argv[1])

    files = sorted((root / "csr").glob("documents-*.npz"))
    ids = np.concatenate([np.load(f)["ids"] for f in files]).tolist()
    check("csr", f32(rows(sparse.vstack([sparse.load_npz(f) for f in files], "csr"), ids)))

    got = {}
    for file in sorted((root / "csr-safetensors").glob("documents-*")):
        t = load_file(file)
        ends, text = t["id_ends"], t["ids"].tobytes()
        ids = [text[a:b].decode() for a, b in zip(ends, ends[1:])]
        matrix = sparse.csr_matrix((t["data"], t["indices"], t["indptr"]), shape=t["shape"])
        got |= rows(matrix, ids)
    check("csr-safetensors", f32(got))

    table = pq.ParquetDataset(sorted((root / "parquet").glob("vectors-*"))).read().to_pylist()
    check("parquet", f32({r["id"]: dict(zip(r["indices"], r["values"])) for r in table}))

    with CiffReader(root / "ciff" / "index.ciff") as reader:
        header = reader.read_header()
        got = [{} for _ in range(header.num_docs)]
        for postings in reader.read_postings_lists():
            term = TOKENS.index(NAMES.get(postings.term, postings.term))
            document = 0
            for posting in postings.postings:
                document += posting.docid
                got[document][term] = posting.tf
        ids = [d.collection_docid for d in reader.read_documents()]
    want = {i: {t: round(w * 100) for t, w in v.items() if round(w * 100)} for i, v in DOCUMENTS.items()}
    assert dict(zip(ids, got)) == want, got
    print("same: ciff")

    for file in root.rglob("*"):
        if file.suffix in (".ndjson", ".jsonl"):
            [json.loads(line) for line in file.read_text().splitlines()]
        elif file.suffix == ".json":
            json.loads(file.read_text())
    print("JSON is JSON")


if __name__ == "__main__":
    main()

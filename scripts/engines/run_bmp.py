# /// script
# dependencies = ["bmp==0.2.8"]
# ///
"""BMP (Block-Max Pruning) on an export of CIFF with weights up to 255 in documents and 32 in queries."""

import collections
import os
import tempfile

import bmp
from common import EXPORT, answer

with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "index.bmp")
    bmp.ciff2bmp(str(EXPORT / "index.ciff"), path, 32, False)
    searcher = bmp.Searcher(path)
    found = {}
    for line in (EXPORT / "queries.pisa").read_text(encoding="utf-8").splitlines():
        name, tokens = line.split(":", 1)
        query = {token: float(count) for token, count in collections.Counter(tokens.split()).items()}
        if not query:
            # It stops the process.
            continue
        documents, scores = searcher.search(query, 10, 1.0, 1.0)
        found[name] = list(zip(documents, map(float, scores)))
answer("bmp 0.2.8", found)

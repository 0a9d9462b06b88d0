# /// script
# dependencies = ["bmp==0.2.8"]
# ///
"""Runs BMP (Block-Max Pruning) on a CIFF export with weights of up to 255 in documents and 32 in queries.

BMP never scores the last block that could contain a hit, and it wants more than the k-th largest weight of a single
term. With blocks of one document and a large k, at most one document is missing.
"""

import collections
import os
import tempfile

import bmp
from common import EXPORT, answer

K = 10


def search(searcher, query):
    """Returns the best documents, or none if BMP panics. The exception of a panic has no class to import."""
    try:
        documents, scores = searcher.search(query, 1000, 1.0, 1.0)
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        return []
    return list(zip(documents, map(float, scores)))[:K]


with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "index.bmp")
    bmp.ciff2bmp(str(EXPORT / "index.ciff"), path, 1, False)
    searcher = bmp.Searcher(path)
    found = {}
    for line in (EXPORT / "queries.pisa").read_text(encoding="utf-8").splitlines():
        name, tokens = line.split(":", 1)
        query = {token: float(count) for token, count in collections.Counter(tokens.split()).items()}
        found[name] = search(searcher, query)
answer("bmp 0.2.8", found)

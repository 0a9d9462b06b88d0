# /// script
# dependencies = ["pyseismic-lsr==0.5.4"]
# ///
"""Runs Seismic on an export, with settings that miss almost no document."""

import tempfile

import numpy
import seismic
from common import EXPORT, answer, lines

with tempfile.NamedTemporaryFile("wb", suffix=".jsonl") as one:
    for path in sorted(EXPORT.glob("documents-*.jsonl")):
        one.write(path.read_bytes())
    one.flush()
    index = seismic.SeismicIndex.build(one.name, n_postings=10_000, centroid_fraction=0.5, summary_energy=1.0, num_threads=1)
    text, found = seismic.get_seismic_string(), {}
    for query in lines("queries.jsonl"):
        tokens = numpy.array(list(query["vector"]), dtype=text)
        weights = numpy.array(list(query["vector"].values()), dtype=numpy.float32)
        hits = index.search(query["id"], tokens, weights, k=10, query_cut=10_000, heap_factor=0.0)
        found[query["id"]] = [(document, score) for _, score, document in hits]
answer("pyseismic-lsr 0.5.4", found)

# /// script
# requires-python = "==3.10.*"
# dependencies = ["pyterrier-pisa==0.4.9", "pyciff==0.1.1"]
# ///
"""Runs PISA (pyterrier-pisa) on a CIFF export: python run_pisa.py EXPORT. The scores are integers."""

import collections
import contextlib
import sys
import tempfile

from common import EXPORT, answer

with contextlib.redirect_stdout(sys.stderr):
    import pandas
    from pyterrier_pisa import PisaIndex

    queries = []
    for line in (EXPORT / "queries.pisa").read_text(encoding="utf-8").splitlines():
        name, tokens = line.split(":", 1)
        queries.append({"qid": name, "query_toks": dict(collections.Counter(tokens.split()))})
    with tempfile.TemporaryDirectory() as folder:
        index = PisaIndex.from_ciff(str(EXPORT / "index.ciff"), folder, overwrite=True, stemmer="none")
        ranked = index.quantized(num_results=10, toks_scale=1).transform(pandas.DataFrame(queries))
        found = collections.defaultdict(list)
        for row in ranked.sort_values(["qid", "rank"]).itertuples():
            found[row.qid].append((row.docno, float(row.score)))
answer("pyterrier-pisa 0.4.9", found)

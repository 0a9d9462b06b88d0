"""Functions that all run_*.py programs share: reading an export and answering prove.py."""

import json
import pathlib
import sys

EXPORT = pathlib.Path(sys.argv[1])


def lines(pattern):
    """Yields the JSON objects of all lines of some files of the export."""
    for path in sorted(EXPORT.glob(pattern)):
        with path.open(encoding="utf-8") as file:
            for line in file:
                yield json.loads(line)


def bodies(pattern):
    """Yields the JSON objects of files of the export that hold one object each."""
    for path in sorted(EXPORT.glob(pattern)):
        yield json.loads(path.read_text(encoding="utf-8"))


def answer(version, hits, note=""):
    """Sends the version of the search engine and the hits of each query, as (document, score), to prove.py."""
    # Search engines print too, so the answer is the last line.
    print("\n" + json.dumps({"version": version, "hits": hits, "note": note}))

"""What the runs of the engines share: the files of an export, and the answer to prove.py."""

import json
import pathlib
import sys

EXPORT = pathlib.Path(sys.argv[1])


def lines(pattern):
    """The JSON objects of all lines of files of the export."""
    for path in sorted(EXPORT.glob(pattern)):
        with path.open(encoding="utf-8") as file:
            for line in file:
                yield json.loads(line)


def bodies(pattern):
    """The JSON objects that are whole files of the export."""
    for path in sorted(EXPORT.glob(pattern)):
        yield json.loads(path.read_text(encoding="utf-8"))


def answer(version, hits, note=""):
    """Tells prove.py the engine's version and the hits of each query as (document, score)."""
    # Engines print too: the answer is the last line.
    print("\n" + json.dumps({"version": version, "hits": hits, "note": note}))

#!/usr/bin/env python3
"""Compares the speed of search with other programs, on the same vectors, one thread, top 10.

    scripts/bench/search.py [DOCS QUERIES] [--repeat 5] [--python]

DOCS and QUERIES are Parquet files that `light-splade encode --output x.parquet` wrote, or .csr files of
../shared/peers/gen_vectors.py. The program runs three searches on them in turn: ours (`cargo bench -p splade-index
--bench search`), and the blocked term-at-a-time search and BMP of ../shared/prototypes/search (SEARCH_PROTOTYPE), which
are built in a copy. --python runs ours and light-splade 0.1.3's, one query at a time (retrieve.py of PEERS, default
../shared/peers), on the 100,000 documents of PEERS_HOME (default ~/.cache/splade-peers).

Nothing else should run on the machine. Reading Parquet needs pyarrow, and --python needs numpy, so run the program with
PEERS_HOME/venv/bin/python.
"""
import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
HOME = pathlib.Path(os.environ.get("PEERS_HOME", "~/.cache/splade-peers")).expanduser()
PEERS = pathlib.Path(os.environ.get("PEERS", ROOT / "../shared/peers")).resolve()
PROTOTYPE = pathlib.Path(os.environ.get("SEARCH_PROTOTYPE", ROOT / "../shared/prototypes/search"))
VOCAB = 30522


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("docs", type=pathlib.Path, nargs="?")
    parser.add_argument("queries", type=pathlib.Path, nargs="?")
    parser.add_argument("--repeat", type=int, default=5, help="of each query [5]")
    parser.add_argument("--python", action="store_true", help="against the Python light-splade")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        if args.python:
            light_splade(work, args.repeat)
        if args.docs and args.queries:
            docs, queries = (csr(path.resolve(), work) for path in (args.docs, args.queries))
            ours(args.docs.stem, docs, queries, args.repeat)
            prototype(work, docs, queries)


def ours(name, docs, queries, repeat):
    print(f"== {name}; load {os.getloadavg()[0]:.2f}", flush=True)
    bench = ["cargo", "bench", "-q", "-p", "splade-index", "--bench", "search", "--"]
    subprocess.run([*bench, docs, queries, str(repeat)], cwd=ROOT, check=True)


def csr(path, work):
    """Returns the path of the .csr file of the vectors."""
    if path.suffix == ".csr":
        return path
    import numpy as np
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    terms, weights = (table[name].combine_chunks() for name in ("indices", "values"))
    starts = np.asarray(terms.offsets).astype(np.uint64)
    out = work / (path.stem + ".csr")
    with open(out, "wb") as file:
        np.array([len(starts) - 1, VOCAB, starts[-1]], np.uint64).tofile(file)
        starts.tofile(file)
        np.asarray(terms.values).astype(np.uint32).tofile(file)
        np.asarray(weights.values).astype(np.float32).tofile(file)
    return out


def prototype(work, docs, queries):
    if not PROTOTYPE.is_dir():
        print(f"no rivals: {PROTOTYPE} is not there", file=sys.stderr)
        return
    copy = work / "prototype"
    shutil.copytree(PROTOTYPE, copy, ignore=shutil.ignore_patterns("target"))
    subprocess.run(["cargo", "build", "--release", "-q"], cwd=copy, check=True)
    result = subprocess.run(
        [copy / "target/release/idx", docs, queries], capture_output=True, text=True, check=True
    )
    for line in result.stdout.splitlines():
        if line.startswith(("build", "taat")) or " a=1 be=1 " in line:
            print(line, flush=True)


def light_splade(work, repeat):
    """Runs ours and the Python light-splade's, one query at a time, on the peers' 100,000 documents."""
    import numpy as np

    paths = []
    for stem in ("docs100k", "queries100"):
        parts = [np.fromfile(HOME / f"data/{stem}.{kind}", dtype) for kind, dtype in
                 (("indptr.i64", np.int64), ("indices.i32", np.int32), ("data.f32", np.float32))]
        out = work / f"{stem}.csr"
        with open(out, "wb") as file:
            np.array([len(parts[0]) - 1, VOCAB, len(parts[1])], np.uint64).tofile(file)
            parts[0].astype(np.uint64).tofile(file)
            parts[1].astype(np.uint32).tofile(file)
            parts[2].tofile(file)
        paths.append(out)
    ours("docs100k", *paths, repeat)
    python = [HOME / "venv/bin/python", "retrieve.py", "--n", "3", "--repeat", "1", "--impl"]
    for impl in ("per_query", "evaluator"):
        result = subprocess.run([*python, impl], cwd=PEERS, capture_output=True, text=True)
        print(f"light-splade 0.1.3, {impl}:", *result.stdout.splitlines()[-1:], flush=True)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Figures of the Python package beside its peers, in one run.

    python scripts/bench/python.py --model FOLDER --data FOLDER --python ours=PY --python light_splade=PY …

FOLDER of the model is one that all of them load, such as ../shared/models/splade-tiny; that of the data is in BEIR's
form. Each --python names an interpreter: `ours` has the wheel of light-splade-rs alone, `light_splade` that library
0.1.3, `sentence_transformers` that library 6, and `fastembed` the libraries fastembed, bm25s and scipy. Those that are not
named are left out. The command is the `light-splade` beside the interpreter of `ours`, or --command.

Everything is measured in processes of its own, in turn, --repeat times; medians are printed, and the load of the machine.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HEAD = """
import json, os, resource, sys, time
os.environ.update(HF_HUB_OFFLINE="1", OMP_NUM_THREADS="@COUNT@", MKL_NUM_THREADS="@COUNT@", TRANSFORMERS_VERBOSITY="error")
model, texts = sys.argv[1], [json.loads(line) for line in open(sys.argv[2], encoding="utf-8")]
def done(seconds, **more):
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print("RESULT", json.dumps({"seconds": seconds, "peak_mib": peak, **more}))
"""

ENCODE = {
    "ours": """
from light_splade_rs.models.splade import SpladeEncoder
encoder = SpladeEncoder(model, threads=@COUNT@)
encoder.encode(texts[:32], max_seq_length=128, return_type="vectors")
begin = time.perf_counter()
vectors = encoder.encode(texts, max_seq_length=128, return_type="vectors")
done(time.perf_counter() - begin, weights=len(vectors.data))
""",
    "light_splade": """
import torch; torch.set_num_threads(@COUNT@)
from light_splade import SpladeEncoder
encoder = SpladeEncoder(model, device="cpu")
encoder.encode(texts[:32], max_seq_length=128, return_type="csr_matrix")
begin = time.perf_counter()
vectors = encoder.encode(texts, max_seq_length=128, return_type="csr_matrix")
done(time.perf_counter() - begin, weights=vectors.nnz)
""",
    "sentence_transformers": """
import torch; torch.set_num_threads(@COUNT@)
from sentence_transformers import SparseEncoder
encoder = SparseEncoder(model, device="cpu")
encoder.max_seq_length = 128
encoder.encode(texts[:32])
begin = time.perf_counter()
vectors = encoder.encode(texts)
done(time.perf_counter() - begin, weights=vectors._nnz())
""",
    "fastembed": """
from fastembed import SparseTextEmbedding
encoder = SparseTextEmbedding("prithivida/Splade_PP_en_v1", specific_model_path=os.environ["ONNX"], threads=@COUNT@)
encoder.model.tokenizer.enable_truncation(128)
list(encoder.embed(texts[:32], batch_size=32))
begin = time.perf_counter()
vectors = list(encoder.embed(texts, batch_size=32))
done(time.perf_counter() - begin, weights=sum(len(v.indices) for v in vectors))
""",
}

IMPORT = {
    "ours": "import light_splade_rs; light_splade_rs.SparseEncoder; light_splade_rs.SpladeEncoder",
    "light_splade": "from light_splade import SpladeEncoder",
    "sentence_transformers": "from sentence_transformers import SparseEncoder",
    "fastembed": "from fastembed import SparseTextEmbedding",
}

SEARCH = {
    "ours": """
from light_splade_rs import Searcher, SparseVectors
import numpy as np
stored = np.load(sys.argv[2] + ".npz")
queries = SparseVectors(stored["indptr"], stored["indices"], stored["data"], int(stored["size"]))
searcher = Searcher(os.environ["INDEX"], threads=@COUNT@)
searcher.search_many(queries[:100])
begin = time.perf_counter()
hits = searcher.search_many(queries, 10)
batch = time.perf_counter() - begin
first = list(queries[:1000])
begin = time.perf_counter()
for query in first:
    searcher.search(query, 10)
single = (time.perf_counter() - begin) / len(first)
done(batch, single=single, scores=sum(hit.score for row in hits for hit in row))
""",
    "scipy": """
import numpy as np, scipy.sparse as sps
stored, corpus = np.load(sys.argv[2] + ".npz"), np.load(os.environ["CORPUS"])
def matrix(of):
    return sps.csr_matrix((of["data"], of["indices"], of["indptr"]), shape=(len(of["indptr"]) - 1, int(of["size"])))
documents, queries = matrix(corpus).T.tocsr(), matrix(stored)
begin, total = time.perf_counter(), 0.0
count = min(1000, queries.shape[0])
for row in range(count):
    scores = (queries[row] @ documents).toarray()[0]
    best = np.argpartition(-scores, 10)[:10]
    best = best[np.argsort(-scores[best])]
    total += scores[best].sum()
done((time.perf_counter() - begin) * queries.shape[0] / count, scores=float(total))
""",
    "bm25s": """
import bm25s
corpus = [json.loads(line)["text"] for line in open(os.environ["TEXTS"], encoding="utf-8")]
retriever = bm25s.BM25()
retriever.index(bm25s.tokenize(corpus, show_progress=False), show_progress=False)
queries = bm25s.tokenize([row["text"] for row in texts], show_progress=False)
begin = time.perf_counter()
retriever.retrieve(queries, k=10, show_progress=False, n_threads=@COUNT@)
done(time.perf_counter() - begin)
""",
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--python", action="append", default=[], metavar="NAME=PATH")
    parser.add_argument("--command")
    parser.add_argument("--texts", type=int, default=1000)
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--threads", default="2")
    parser.add_argument("--repeat", type=int, default=3)
    args = parser.parse_args()
    pythons = dict(pair.split("=", 1) for pair in args.python)
    command = args.command or str(Path(pythons["ours"]).parent / "light-splade")
    with tempfile.TemporaryDirectory() as folder:
        Bench(args, pythons, command, Path(folder)).run()


class Bench:
    def __init__(self, args, pythons, command, folder):
        self.args, self.pythons, self.command, self.folder = args, pythons, command, folder
        self.env = dict(os.environ)

    def python(self, name, code, *arguments):
        """Runs a program and returns what it reports."""
        program = (HEAD + code).replace("@COUNT@", self.args.threads)
        done = subprocess.run(
            [self.pythons[name], "-c", program, *map(str, arguments)],
            capture_output=True, text=True, env=self.env,
        )
        lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
        if not lines:
            sys.exit(f"{name}: {done.stderr[-2000:]}")
        return json.loads(lines[0][7:])

    def light_splade(self, *arguments):
        """Runs the command and returns its seconds and what it said."""
        begin = time.perf_counter()
        done = subprocess.run([self.command, *map(str, arguments)], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(done.stderr)
        return time.perf_counter() - begin, done.stderr

    def run(self):
        print("load", os.getloadavg()[0])
        self.imports()
        self.sizes()
        self.encoding()
        self.search()
        print("load", os.getloadavg()[0])

    def imports(self):
        """The time of an import over that of an interpreter that imports nothing."""
        for name, code in IMPORT.items():
            if name not in self.pythons:
                continue
            times = []
            for _ in range(self.args.repeat + 1):
                seconds = []
                for program in ("pass", code):
                    begin = time.perf_counter()
                    subprocess.run([self.pythons[name], "-c", program], check=True, capture_output=True)
                    seconds.append(time.perf_counter() - begin)
                times.append(seconds[1] - seconds[0])
            # The first import reads the files from the disk and compiles them.
            print(f"import     {name:24} {statistics.median(times[1:]):8.3f} s")

    def sizes(self):
        """The files of each environment, less those of pip and setuptools."""
        for name in IMPORT:
            if name not in self.pythons:
                continue
            program = (
                "import importlib.metadata as m, os\n"
                "size = sum(os.path.getsize(f.locate()) for d in m.distributions() for f in d.files or []\n"
                "           if d.name not in ('pip', 'setuptools') and os.path.isfile(f.locate()))\n"
                "print(size / 1e6, sum(d.name not in ('pip', 'setuptools') for d in m.distributions()))"
            )
            done = subprocess.run([self.pythons[name], "-c", program], capture_output=True, text=True)
            size, count = done.stdout.split()
            print(f"installed  {name:24} {float(size):8.0f} MB in {count} packages")

    def encoding(self):
        rows = [json.loads(line) for line in open(self.args.data / "corpus.jsonl", encoding="utf-8")]
        texts = [f"{row.get('title') or ''} {row['text']}".strip() for row in rows[: self.args.texts]]
        path = self.folder / "texts.json"
        # Cut off as light_splade cuts texts, so that all have the same work.
        path.write_text("".join(json.dumps(text[:600]) + "\n" for text in texts), encoding="utf-8")
        corpus = self.folder / "texts.ndjson"
        lines = (json.dumps({"id": str(at), "text": text[:600]}) for at, text in enumerate(texts))
        corpus.write_text("\n".join(lines) + "\n", encoding="utf-8")
        if "fastembed" in self.pythons:
            onnx = self.folder / "onnx"
            self.light_splade("export", "model", "--model", self.args.model, "--output", onnx, "--onnx", "logits")
            self.env["ONNX"] = str(onnx)
        few = self.folder / "few.ndjson"
        few.write_text(corpus.read_text(encoding="utf-8").split("\n", 1)[0] + "\n", encoding="utf-8")
        results = {}
        for _ in range(self.args.repeat):
            for name, code in ENCODE.items():
                if name in self.pythons:
                    results.setdefault(name, []).append(self.python(name, code, self.args.model, path))
            seconds = []
            for of in (few, corpus):
                out = self.folder / "v.parquet"
                settings = ["--model", self.args.model, "--max-length", "128", "--threads", self.args.threads]
                seconds.append(self.light_splade("encode", of, *settings, "-o", out, "--force")[0])
            results.setdefault("command", []).append({"seconds": seconds[1] - seconds[0], "peak_mib": 0})
        for name, runs in results.items():
            rates = [len(texts) / run["seconds"] for run in runs]
            peak = statistics.median(run["peak_mib"] for run in runs)
            weights = f", {runs[0]['weights'] / len(texts):.1f} terms a text" if "weights" in runs[0] else ""
            all_rates = " ".join(f"{rate:.0f}" for rate in rates)
            print(f"encode     {name:24} {statistics.median(rates):8.0f} texts/s ({all_rates}), {peak:.0f} MiB{weights}")

    def search(self):
        """10,000 queries, made of the documents and queries of the data set, against an index of all documents."""
        prepare = """
from light_splade_rs import Index, SparseEncoder
import numpy as np
encoder = SparseEncoder(model, max_seq_length=128)
def save(path, vectors):
    np.savez(path, indptr=vectors.indptr, indices=vectors.indices, data=vectors.data, size=vectors.size)
rows = [json.loads(line) for line in open(os.environ["TEXTS"], encoding="utf-8")]
documents = encoder.encode_document([row["text"] for row in rows], return_type="vectors")
save(os.environ["CORPUS"], documents)
with Index.create(os.environ["INDEX"], encoder) as index:
    index.add_vectors([row["_id"] for row in rows], documents)
queries = encoder.encode_query([row["text"] for row in texts], return_type="vectors")
save(sys.argv[2] + ".npz", queries)
with open(sys.argv[2] + ".vectors.ndjson", "w") as out:
    for at, row in enumerate(queries):
        print(json.dumps({"id": str(at), "vector": dict(row.decode())}), file=out)
done(0.0)
"""
        queries = self.folder / "queries.json"
        rows = [json.loads(line) for line in open(self.args.data / "queries.jsonl", encoding="utf-8")]
        rows = (rows * (1 + self.args.queries // len(rows)))[: self.args.queries]
        queries.write_text("".join(json.dumps({"text": row["text"]}) + "\n" for row in rows), encoding="utf-8")
        self.env |= {
            "TEXTS": str(self.args.data / "corpus.jsonl"),
            "INDEX": str(self.folder / "index"),
            "CORPUS": str(self.folder / "corpus.npz"),
        }
        self.python("ours", prepare, self.args.model, queries)
        results = {}
        for _ in range(self.args.repeat):
            results.setdefault("ours", []).append(self.python("ours", SEARCH["ours"], self.args.model, queries))
            _, said = self.light_splade(
                "search", self.folder / "index", "--vectors", f"{queries}.vectors.ndjson",
                "-k", "10", "--threads", self.args.threads, "--any-model", "-o", self.folder / "hits", "--force",
            )
            rate = next(line for line in said.splitlines() if "queries/s" in line)
            seconds = len(rows) / float(rate.split(" queries/s")[0].split()[-1])
            results.setdefault("command", []).append({"seconds": seconds})
            if "fastembed" in self.pythons:
                for name in ("scipy", "bm25s"):
                    results.setdefault(name, []).append(
                        self.python("fastembed", SEARCH[name], self.args.model, queries)
                    )
        for name, runs in results.items():
            rates = [len(rows) / run["seconds"] for run in runs]
            single = [1e3 * run["single"] for run in runs if "single" in run]
            alone = f"; one at a time {statistics.median(single):.3f} ms" if single else ""
            all_rates = " ".join(f"{rate:.0f}" for rate in rates)
            print(f"search     {name:24} {statistics.median(rates):8.0f} queries/s ({all_rates}){alone}")


main()

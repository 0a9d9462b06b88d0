"""Loads exports of real vectors into real search engines and compares their hits with our exact search.

    python scripts/engines/prove.py --binary target/release/light-splade [--engines lucene,qdrant,...]

The program needs Python 3.11 or newer. The sample is 1,000 documents and 50 queries of SciFact with
../shared/models/splade-tiny or, if that folder does not exist, data/toy-beir with models/demo. `light-splade` encodes,
searches and exports the sample. For each search engine, a program of its own (run_*.py) reads the export, in a virtual
environment with the packages that the first lines of the program name. jvm_node.py starts Elasticsearch and OpenSearch.

A search engine passes three checks: its scores equal those that its weights give (computed here by the formula of each
quantisation), they are as near to ours as the rounding allows, and no document is ranked above a better one by more
than that. The program prints a Markdown table that marks the search engines that fail, and exits with 1 if one fails.
"""

import argparse
import json
import math
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import tomllib

from jvm_node import CACHE, HERE, start

ROOT = HERE.parent.parent
SHARED = ROOT.parent / "shared"
K = 10
# Sums of 32-bit floats may differ by this share: some hundred roundings of at most 2^-24 each.
ROUNDING = 1e-5


def f32(weight):
    return struct.unpack("f", struct.pack("f", weight))[0]


class Exact:
    """Weights that are stored exactly."""

    def document(self, weight):
        return weight

    query = document

    def bound(self, query, document):
        return 0.0


class Feature(Exact):
    """Lucene's FeatureField, which keeps nine significant bits of a document's weight and truncates the rest."""

    def document(self, weight):
        bits = struct.unpack("I", struct.pack("f", weight))[0] >> 15 << 15
        return struct.unpack("f", struct.pack("I", bits))[0]

    def bound(self, query, document):
        return query * document / 256


class Half(Exact):
    """Document weights that are stored as 16-bit floats."""

    def document(self, weight):
        return struct.unpack("e", struct.pack("e", weight))[0]

    def bound(self, query, document):
        return query * document / 2048


class Integers:
    """Weights that are multiplied by a scale and rounded."""

    def __init__(self, documents, queries):
        self.documents, self.queries = documents, queries

    def document(self, weight):
        return math.floor(weight * self.documents + 0.5) / self.documents

    def query(self, weight):
        return math.floor(weight * self.queries + 0.5) / self.queries

    def bound(self, query, document):
        off_query, off_document = 0.5 / self.queries, 0.5 / self.documents
        return query * off_document + document * off_query + off_query * off_document


def engines(largest, largest_of_queries):
    """Returns for each search engine: target, extra arguments of the export, program, weights, and the divisor of
    its scores, or None if the scores are in the search engine's own units."""
    hundred = Integers(100, 100)
    # BMP scales each query so that its largest weight becomes 32, and it rounds up, which doubles the error.
    bmp = Integers(f32(255 / largest), 16 / largest_of_queries)
    return {
        "lucene": ("lucene", [], "run_anserini.py", hundred, 10_000),
        "elasticsearch": ("elasticsearch", [], "run_http.py", Feature(), 1),
        "opensearch": ("opensearch", [], "run_http.py", Feature(), 1),
        "qdrant": ("qdrant", [], "run_qdrant.py", Exact(), 1),
        "milvus": ("milvus", [], "run_milvus.py", Exact(), 1),
        "pgvector": ("pgvector", [], "run_pgvector.py", Exact(), 1),
        "pisa": ("ciff", [], "run_pisa.py", hundred, 10_000),
        "bmp": ("ciff", ["--fit", "255"], "run_bmp.py", bmp, None),
        "seismic": ("seismic", [], "run_seismic.py", Half(), 1),
    }


PORTS = {"elasticsearch": 9210, "opensearch": 9220}
# The number of documents that may be missing from a query's hits: BMP may lose the one of its last block.
LOST = {"bmp": 1}


def sample(run, folder):
    """Encodes documents and queries and returns their vectors and the model."""
    if SHARED.is_dir():
        data, model, documents, queries = SHARED / "data/scifact", SHARED / "models/splade-tiny", 1000, 50
    else:
        data, model, documents, queries = ROOT / "data/toy-beir", ROOT / "models/demo", 150, 72
    vectors = {}
    for kind, count, side in (("corpus", documents, "document"), ("queries", queries, "query")):
        texts = (data / f"{kind}.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)[:count]
        (folder / f"{kind}.jsonl").write_text("".join(texts), encoding="utf-8")
        run("encode", "--model", model, "--as", side, "--decimals", 9, "-o", folder / f"{kind}.ndjson", folder / f"{kind}.jsonl")
        lines = map(json.loads, (folder / f"{kind}.ndjson").open(encoding="utf-8"))
        vectors[kind] = {line["id"]: {t: f32(w) for t, w in line["vector"].items()} for line in lines}
    return vectors["corpus"], vectors["queries"], model


def our_scores(run, folder, model, documents):
    """Returns the scores of all documents by `light-splade search`."""
    run("index", "build", "--vectors", folder / "corpus.ndjson", "--model", model, "--weights", "f32", "--output", folder / "index")
    run("search", folder / "index", "--vectors", folder / "queries.ndjson", "--model", model,
        "-k", len(documents), "-o", folder / "run.ndjson")
    lines = map(json.loads, (folder / "run.ndjson").open(encoding="utf-8"))
    return {line["qid"]: {hit["doc_id"]: hit["score"] for hit in line["results"]} for line in lines}


def python(program):
    """Returns the interpreter of a program's virtual environment, which is created if it does not exist."""
    block = re.match(r"# /// script\n(.*?)# ///\n", program.read_text(), re.S)
    if not block:
        return sys.executable
    needs = tomllib.loads(re.sub("^# ", "", block[1], flags=re.M))
    folder = CACHE / "venvs" / program.stem.removeprefix("run_")
    if not (folder / "ready").is_file():
        shutil.rmtree(folder, ignore_errors=True)
        version = re.search(r"3\.\d+", needs.get("requires-python", ""))
        interpreter = f"python{version[0]}" if version else sys.executable
        subprocess.run([interpreter, "-m", "venv", folder], check=True)
        subprocess.run([folder / "bin/pip", "install", "-q", *needs["dependencies"]], check=True, stdout=sys.stderr)
        (folder / "ready").touch()
    return folder / "bin/python"


def scores(query, documents, weights):
    """Computes, the slow way, the score of every document with these weights, and the largest error it may have."""
    result, bounds = {}, {}
    for name, document in documents.items():
        shared = query.keys() & document.keys()
        result[name] = math.fsum(weights.query(query[t]) * weights.document(document[t]) for t in shared)
        bounds[name] = math.fsum(weights.bound(query[t], document[t]) for t in shared)
    return result, bounds


def compare(found, scale, weights, ours, documents, queries, lost=0):
    """Compares the search engine's hits with our scores and returns the numbers of the table and the failures.
    `lost` documents of a query may be missing."""
    wrong, overlap, largest, allowed, formula = [], 0, 0.0, 0.0, 0.0
    for name, query in queries.items():
        predicted, bounds = scores(query, documents, weights)
        exact = ours[name]
        ranked = sorted(exact, key=lambda d: -exact[d])
        # The next documents are found in place of the missing ones.
        best, last = ranked[:K], ranked[:K + lost][-1:]
        # pgvector fills the hits up with documents that share no term.
        hits = [hit for hit in found.get(name, []) if hit[1] > 0]
        overlap += len({d for d, _ in hits} & set(best)) / len(best) if best else 1
        # A score may be rounded to zero.
        count = sum(score > 0 for score in predicted.values())
        wanted = min(K, max(count - lost, 0))
        if len(hits) < wanted:
            wrong.append(f"query {name}: {len(hits)} hits, not {wanted}")
        for document, score in hits:
            true = exact.get(document, 0.0)
            bound = bounds[document] + ROUNDING * true
            if true <= 0:
                wrong.append(f"query {name}: document {document} shares no term")
                continue
            if true + bound < exact[last[0]] - bounds[last[0]]:
                wrong.append(f"query {name}: document {document} with {true} is none of the best")
            allowed = max(allowed, bound / true)
            if scale is None:
                continue
            score /= scale
            if abs(score - predicted[document]) > ROUNDING * true:
                wrong.append(f"query {name}, document {document}: {score}, not {predicted[document]}")
            if abs(score - true) > bound:
                wrong.append(f"query {name}, document {document}: {score} is further than {bound} from {true}")
            largest = max(largest, abs(score - true) / true)
            formula = max(formula, abs(score - predicted[document]) / true)
    off = ["not compared"] * 2 if scale is None else [f"{largest:.1e}", f"{formula:.1e}"]
    return f"{overlap / len(queries):.3f} | {off[0]} | {allowed:.1e} | {off[1]}", wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", default=ROOT / "target/release/light-splade")
    parser.add_argument("--engines", default=",".join(engines(1, 1)), help="names with commas between")
    arguments = parser.parse_args()
    binary = pathlib.Path(arguments.binary).resolve()
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)

        def run(*words):
            subprocess.run([binary, *map(str, words)], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)

        documents, queries, model = sample(run, folder)
        ours = our_scores(run, folder, model, documents)
        for name, query in queries.items():
            plain, _ = scores(query, documents, Exact())
            for document, score in ours[name].items():
                assert abs(score - plain[document]) <= ROUNDING * score, (name, document, score, plain[document])
        print(f"{len(documents)} documents and {len(queries)} queries by {model.name}\n")
        print("| engine | version | overlap@10 | largest error of a score | bound | largest error against the formula |")
        print("|---|---|---|---|---|---|", flush=True)
        largest = [max(max(v.values(), default=0.0) for v in of.values()) for of in (documents, queries)]
        every = engines(*largest)
        for name in arguments.engines.split(","):
            target, more, program, weights, scale = every[name]
            export = folder / name
            run("export", target, *more, folder / "corpus.ndjson", "--queries", folder / "queries.ndjson",
                "--model", model, "--output", export)
            port, node = PORTS.get(target), None
            try:
                node = port and start(target, port)
                command = [python(HERE / program), HERE / program, export]
                command += [f"http://127.0.0.1:{port}"] if port else []
                answer = subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=folder)
            except (subprocess.CalledProcessError, RuntimeError) as error:
                failed = True
                print(f"| {name} (FAILED) | does not run: {error} |", flush=True)
                continue
            finally:
                if node:
                    node.terminate()
                    node.wait()
            answer = json.loads(answer.stdout.splitlines()[-1])
            numbers, wrong = compare(answer["hits"], scale, weights, ours, documents, queries, LOST.get(name, 0))
            version = answer["version"] + (f", {answer['note']}" if answer["note"] else "")
            mark = " (FAILED)" if wrong else ""
            print(f"| {name}{mark} | {version} | {numbers} |", flush=True)
            for message in wrong[:5]:
                print(f"{name}: {message}", file=sys.stderr)
            failed |= bool(wrong)
    sys.exit(failed)


if __name__ == "__main__":
    main()

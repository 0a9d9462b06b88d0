#!/usr/bin/env python3
"""Fine-tunes splade-tiny on scifact and nq-open-oracle and measures what it learned.

    scripts/bench/learn.py [--out FOLDER] [--python] [--threads 2]

The training set consists of the train splits of both data sets. Their passages form one collection. Every pair of a
query and a gold passage occurs twice, each time with another of BM25's best 30 passages as the negative. All runs use
these triplets in the order of the file, in one pass, with batches of 16, 128 tokens, in-batch negatives and AdamW.

Three strengths of FLOPS are trained. `--python` trains the middle one with the Python library of the peers
(learn_python.py), from the same start in the same order. Because two programs never sample the same dropout, that run
and one of our runs use no dropout. `--seeds N` repeats our run with dropout for N other seeds, to show the effect of
chance. At the end, `light-splade evaluate` measures all models, including the start, on the test splits.

The data and models are in SHARED (default ../shared), and the peer is in PEERS_HOME (default ~/.cache/splade-peers).
Runs that are complete in FOLDER (default ~/.cache/light-splade-learn) are not repeated. The program prints a markdown
table.
"""
import argparse
import collections
import dataclasses
import json
import math
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import time

from encode import BINARY, PYTHON, ROOT, processor, say

SHARED = pathlib.Path(os.environ.get("SHARED", ROOT / "../shared")).resolve()
START = SHARED / "models/splade-tiny"
SETS = ["scifact", "nq-open-oracle"]
# Strengths of FLOPS on queries and documents. Python trains the second pair.
LAMBDAS = [(1e-3, 8e-4), (1e-2, 8e-3), (5e-2, 4e-2)]
PASSES, BATCH, DEPTH = 2, 16, 30


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = pathlib.Path("~/.cache/light-splade-learn").expanduser()
    parser.add_argument("--out", type=pathlib.Path, default=default, help="where data and runs go")
    parser.add_argument("--python", action="store_true", help="train with the Python library too")
    parser.add_argument("--seeds", type=int, default=0, help="other seeds of the middle run [0]")
    parser.add_argument("--threads", type=int, default=2, help="threads of each run [2]")
    args = parser.parse_args()
    subprocess.run(["cargo", "build", "--release", "--locked", "--quiet"], cwd=ROOT, check=True)
    steps = make_data(args.out / "data")
    rows = [("start", None, START)]
    for lambdas in LAMBDAS:
        rows.append((f"λ {lambdas[0]:g}/{lambdas[1]:g}", *train(args, Run(steps, lambdas))))
    middle = LAMBDAS[1]
    for seed in range(1, args.seeds + 1):
        rows.append((f"λ {middle[0]:g}, seed {seed}", *train(args, Run(steps, middle, seed=seed))))
    if args.python:
        run = Run(steps, middle, dropout=False)
        rows.append((f"λ {middle[0]:g}, no dropout", *train(args, run)))
        rows.append((f"light-splade 0.1.3, λ {middle[0]:g}, no dropout", *train_python(args, run)))
    print(f"{processor()}, {args.threads} threads; {steps} steps; {time.strftime('%Y-%m-%d')}\n")
    columns = "nDCG@10; terms a query, a document"
    print(f"| run | minutes | {' | '.join(f'{name}: {columns}' for name in SETS)} |")
    print("|" + "---|" * (2 + len(SETS)))
    for name, seconds, model in rows:
        cells = [evaluate(model, name, args.threads) for name in SETS]
        minutes = "" if seconds is None else f"{seconds / 60:.1f}"
        print(f"| {name} | {minutes} | {' | '.join(cells)} |", flush=True)


def make_data(out):
    """Writes light-splade's files once and returns the number of steps."""
    count = out / "steps"
    if count.exists():
        return int(count.read_text())
    out.mkdir(parents=True, exist_ok=True)
    docs, queries, positives = {}, {}, collections.defaultdict(list)
    for name in SETS:
        folder = SHARED / "data" / name
        for line in (folder / "corpus.jsonl").open(encoding="utf-8"):
            record = json.loads(line)
            text = f"{record.get('title', '')} {record['text']}".strip()
            docs[name, record["_id"]] = (len(docs) + 1, text)
        texts = {}
        for line in (folder / "queries.jsonl").open(encoding="utf-8"):
            record = json.loads(line)
            texts[record["_id"]] = record["text"]
        for line in (folder / "qrels/train.tsv").read_text().splitlines()[1:]:
            query, doc, score = line.split("\t")
            if int(score) > 0:
                key = name, query
                queries.setdefault(key, (len(queries) + 1, texts[query]))
                positives[queries[key][0]].append(docs[name, doc][0])
    rng = random.Random(7)
    ranked = bm25(dict(docs.values()), dict(queries.values()))
    triplets = []
    for _ in range(PASSES):
        pairs = [(query, doc) for query, gold in positives.items() for doc in gold]
        rng.shuffle(pairs)
        for query, doc in pairs:
            wrong = [other for other in ranked[query] if other not in positives[query]]
            triplets.append({"qid": query, "pos_doc_id": doc, "neg_doc_id": rng.choice(wrong)})
    steps = len(triplets) // BATCH
    write(out / "doc_master.ndjson", [{"doc_id": i, "text": t} for i, t in docs.values()])
    write(out / "query_master.ndjson", [{"qid": i, "text": t} for i, t in queries.values()])
    gold = [{"qid": query, "positive_doc_ids": ids} for query, ids in positives.items()]
    write(out / "positive_lists.ndjson", gold)
    write(out / "triplets.ndjson", triplets[: steps * BATCH])
    count.write_text(str(steps))
    return steps


def bm25(docs, queries, k1=0.9, b=0.4):
    """Returns the best documents of each query, over lower-cased words."""
    words = lambda text: re.findall(r"\w+", text.lower())
    bags = {doc: collections.Counter(words(text)) for doc, text in docs.items()}
    mean = sum(bag.total() for bag in bags.values()) / len(bags)
    postings = collections.defaultdict(list)
    for doc, bag in bags.items():
        norm = k1 * (1 - b + b * bag.total() / mean)
        for word, count in bag.items():
            postings[word].append((doc, count / (count + norm)))
    best = {}
    for query, text in queries.items():
        scores = collections.Counter()
        for word in set(words(text)):
            idf = math.log1p((len(docs) - len(postings[word]) + 0.5) / (len(postings[word]) + 0.5))
            for doc, weight in postings[word]:
                scores[doc] += idf * weight
        best[query] = [doc for doc, _ in scores.most_common(DEPTH)]
    return best


@dataclasses.dataclass
class Run:
    """The settings that differ between runs."""

    steps: int
    lambdas: tuple
    seed: int = 42
    dropout: bool = True

    def name(self):
        seed = "" if self.seed == 42 else f"-seed{self.seed}"
        return f"{self.lambdas[0]:g}{seed}{'' if self.dropout else '-plain'}"


def train(args, run):
    """Trains our run and returns its seconds and its model."""
    out = args.out / f"ours-{run.name()}"
    config = args.out / "config"
    config.mkdir(exist_ok=True)
    (config / "learn.yaml").write_text(json.dumps(settings(args.out, out, run)))
    command = [
        BINARY, "train", config / "learn.yaml", "--threads", args.threads,
        f"hydra.run.dir={out}",
    ]  # fmt: skip
    return timed(out, command), out / "final/model"


def train_python(args, run):
    """Trains the Python library's run and returns its seconds and its model."""
    out = args.out / f"python-{run.name()}"
    out.mkdir(exist_ok=True)
    config = out / "settings.json"
    config.write_text(json.dumps(settings(args.out, out, run)))
    script = pathlib.Path(__file__).with_name("learn_python.py")
    return timed(out, [PYTHON, script, config, args.threads]), out / "final"


def timed(out, command):
    """Returns the seconds of a run. The run is started unless it is complete."""
    took = out / "seconds"
    if not took.exists():
        say(f"training {out.name}")
        start = time.perf_counter()
        subprocess.run(list(map(str, command)), check=True)
        took.write_text(str(time.perf_counter() - start))
    return float(took.read_text())


def without_dropout(folder):
    """Returns a copy of the start model whose config has no dropout."""
    if not folder.exists():
        shutil.copytree(START, folder)
        config = json.loads((folder / "config.json").read_text())
        config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
        (folder / "config.json").write_text(json.dumps(config, indent=2))
    return folder


def settings(folder, out, run):
    regularizer = lambda strength: {"reg_type": "FLOPS", "lambda_": strength, "T": 120}
    start = START if run.dropout else without_dropout(folder / "start-plain")
    regularizers = {"query": regularizer(run.lambdas[0]), "doc": regularizer(run.lambdas[1])}
    return config_of(start, folder / "data", out, regularizers, per_device_train_batch_size=BATCH, max_steps=run.steps,
                     warmup_steps=30, logging_steps=20, seed=run.seed)  # fmt: skip


def config_of(start, data, out, regularizers, **training):
    """Returns the config of a run on triplets in the order of their file, with in-batch negatives."""
    return {
        "model": {"model_name_or_path": str(start), "max_length": 128},
        "data": {
            "train_doc_master": str(data / "doc_master.ndjson"),
            "train_query_master": str(data / "query_master.ndjson"),
            "train_positives": str(data / "positive_lists.ndjson"),
            "train_triplets": str(data / "triplets.ndjson"),
            "shuffle": False,
        },
        "training": {
            "output_dir": str(out),
            "final_output_dir": str(out / "final"),
            "training_loss": "in_batch_negatives",
            "regularizers": regularizers,
            "learning_rate": 5e-5,
            "weight_decay": 0.01,
            "save_strategy": "no",
            **training,
        },
    }


def evaluate(model, name, threads):
    report = report_of(BINARY, model, SHARED / "data" / name, "test", 256, threads)
    return "; ".join(figures(report))


def report_of(binary, model, data, split, max_length, threads):
    """Returns the report of `light-splade evaluate`."""
    command = [
        binary, "evaluate", data, "--model", model, "--split", split, "--max-length", max_length,
        "--metrics", "nDCG@10", "--json", "--threads", threads,
    ]  # fmt: skip
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stderr}")
    return json.loads(done.stdout)


def figures(report):
    """Returns nDCG@10, and the mean numbers of terms of queries and documents, as a table shows them."""
    terms = [report["statistics"][side]["avg_nnz"] for side in ("queries", "documents")]
    return f"{report['metrics']['nDCG@10']:.4f}", f"{terms[0]:.0f}, {terms[1]:.0f}"


def write(path, records):
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


if __name__ == "__main__":
    main()

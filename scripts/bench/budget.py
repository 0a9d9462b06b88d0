#!/usr/bin/env python3
"""Compares a λ that a budget steers with a hand-set λ, on three data sets.

    scripts/bench/budget.py [--out FOLDER] [--binary PATH] [--threads 1] [--sets scifact,nq-open-oracle,jaquad]

Each set is trained on its own, from splade-tiny: triplets of a query, its gold passage and one of BM25's best 30 other
passages, in-batch negatives, batches of 16 (and once 32), 128 tokens, AdamW with a linear schedule.

For each strength of FLOPS, the run with the hand-set λ comes first. Its final model encodes the texts of the last tenth
of the triplets, without dropout, and the mean numbers of terms are the targets of the run with budgets, which is told
nothing else about λ. Its final model encodes the same texts, which shows how near it came. `light-splade evaluate`
then measures both models on the test queries.

The data and models are in SHARED (default ../shared). Runs that are complete in FOLDER (default
~/.cache/light-splade-budget) are not repeated. The program prints a markdown table.
"""
import argparse
import collections
import json
import pathlib
import random
import re
import subprocess
import sys
import time

from encode import BINARY, processor, say
from learn import SHARED, START, bm25, config_of, figures, report_of, write

# For each set: the most pairs of a query and a passage, how often each is used, and the split of the test.
SETS = {"scifact": (919, 4, "test"), "nq-open-oracle": (2124, 2, "test"), "jaquad": (4000, 1, "dev")}
# Strengths of FLOPS on queries and documents, and the size of a batch.
RUNS = [((1e-3, 8e-4), 16), ((1e-2, 8e-3), 16), ((1e-2, 8e-3), 32), ((5e-2, 4e-2), 16)]
MAX_LENGTH = 128


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = pathlib.Path("~/.cache/light-splade-budget").expanduser()
    parser.add_argument("--out", type=pathlib.Path, default=default, help="where data and runs go")
    parser.add_argument("--binary", type=pathlib.Path, default=BINARY, help="the program")
    parser.add_argument("--threads", type=int, default=1, help="threads of each run [1]")
    parser.add_argument("--sets", default=",".join(SETS), help="data sets")
    args = parser.parse_args()
    print(f"{processor()}, {args.threads} thread; {time.strftime('%Y-%m-%d')}\n")
    print("| set, batch | run | λ at the end | terms of the training texts: query, document | nDCG@10 | terms of the test: "
          "query, document |")  # fmt: skip
    print("|---|---|---|---|---|---|", flush=True)
    for name in args.sets.split(","):
        data = args.out / name
        triplets = make_data(name, data)
        last = probe_texts(data, triplets)
        for lambdas, batch in RUNS:
            steps = len(triplets) // batch
            fixed = [{"reg_type": "FLOPS", "lambda_": x, "T": 60} for x in lambdas]
            own = Run(args, data, f"fixed-{lambdas[0]:g}-{batch}", batch, steps, fixed)
            target = own.sizes(last)
            steered = [{"reg_type": "FLOPS", "target_terms": round(x, 1)} for x in target]
            budget = Run(args, data, f"budget-{lambdas[0]:g}-{batch}", batch, steps, steered)
            for run, kind in [(own, "λ by hand"), (budget, "budget")]:
                sizes = run.sizes(last)
                off = ["", ""] if run is own else [f" ({a / b - 1:+.1%})" for a, b in zip(sizes, target)]
                shown = ", ".join(f"{x:.1f}{y}" for x, y in zip(sizes, off))
                metric, terms = run.evaluate(name)
                print(f"| {name}, {batch} | {kind} | {run.lambdas()} | {shown} | {metric} | {terms} |", flush=True)


def make_data(name, out):
    """Writes light-splade's files once and returns the triplets."""
    most, passes, _ = SETS[name]
    done = out / "triplets.json"
    if done.exists():
        return json.loads(done.read_text())
    out.mkdir(parents=True, exist_ok=True)
    folder = SHARED / "data" / name
    docs, texts, queries, positives = {}, {}, {}, collections.defaultdict(list)
    for line in (folder / "corpus.jsonl").open(encoding="utf-8"):
        record = json.loads(line)
        docs[record["_id"]] = (len(docs) + 1, f"{record.get('title', '')} {record['text']}".strip())
    for line in (folder / "queries.jsonl").open(encoding="utf-8"):
        record = json.loads(line)
        texts[record["_id"]] = record["text"]
    rows = [line.split("\t") for line in (folder / "qrels/train.tsv").read_text().splitlines()[1:]]
    rng = random.Random(7)
    rng.shuffle(rows)
    for query, doc, score in rows[:most]:
        if int(score) > 0:
            queries.setdefault(query, (len(queries) + 1, texts[query]))
            positives[queries[query][0]].append(docs[doc][0])
    # Japanese has no spaces, so its words are pairs of characters here.
    split = (lambda text: " ".join(re.sub(r"\s", "", text)[i : i + 2] for i in range(len(text)))) if name == "jaquad" \
        else (lambda text: text)  # fmt: skip
    ranked = bm25({i: split(t) for i, t in docs.values()}, {i: split(t) for i, t in queries.values()})
    triplets = []
    for _ in range(passes):
        pairs = [(query, doc) for query, gold in positives.items() for doc in gold]
        rng.shuffle(pairs)
        for query, doc in pairs:
            wrong = [other for other in ranked[query] if other not in positives[query]]
            triplets.append({"qid": query, "pos_doc_id": doc, "neg_doc_id": rng.choice(wrong)})
    write(out / "doc_master.ndjson", [{"doc_id": i, "text": t} for i, t in docs.values()])
    write(out / "query_master.ndjson", [{"qid": i, "text": t} for i, t in queries.values()])
    write(out / "positive_lists.ndjson", [{"qid": q, "positive_doc_ids": ids} for q, ids in positives.items()])
    write(out / "triplets.ndjson", triplets)
    done.write_text(json.dumps(triplets))
    return triplets


def probe_texts(data, triplets):
    """Writes the texts of the last tenth of the triplets, and returns the files of queries and documents."""
    read = lambda name, key: {r[key]: r["text"] for r in map(json.loads, (data / name).open(encoding="utf-8"))}
    docs, queries = read("doc_master.ndjson", "doc_id"), read("query_master.ndjson", "qid")
    last = triplets[-len(triplets) // 10 :]
    of = {"query": [queries[t["qid"]] for t in last],
          "document": [docs[t[key]] for t in last for key in ("pos_doc_id", "neg_doc_id")]}  # fmt: skip
    files = []
    for side, texts in of.items():
        files.append((side, data / f"probe-{side}.jsonl"))
        write(files[-1][1], [{"id": i, "text": text} for i, text in enumerate(texts)])
    return files


class Run:
    """A training run with its final model."""

    def __init__(self, args, data, name, batch, steps, regularizers):
        self.args, self.out = args, data / name
        if (self.out / "done").exists():
            return
        config = data / "config"
        config.mkdir(exist_ok=True)
        regularizers = dict(zip(["query", "doc"], regularizers))
        settings = config_of(START, data, self.out, regularizers, per_device_train_batch_size=batch, max_steps=steps,
                             warmup_steps=steps // 10, logging_steps=5, report_to="none")  # fmt: skip
        (config / f"{name}.yaml").write_text(json.dumps(settings))
        say(f"training {data.name} {name}")
        self.call("train", config / f"{name}.yaml", "--threads", args.threads, f"hydra.run.dir={self.out}")
        (self.out / "done").touch()

    def call(self, *command):
        command = [str(part) for part in (self.args.binary, *command)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
        return done.stdout

    def sizes(self, files):
        """Returns the mean numbers of terms of the probe's queries and documents."""
        sizes = []
        for side, path in files:
            out = self.out / f"probe-{side}.ndjson"
            if not out.exists():
                self.call("encode", path, "--model", self.out / "final/model", "--as", side, "--output", out,
                          "--max-length", MAX_LENGTH, "--threads", self.args.threads)  # fmt: skip
            counts = [len(vector_of(json.loads(line))) for line in out.open()]
            sizes.append(sum(counts) / len(counts))
        return sizes

    def lambdas(self):
        records = [json.loads(line) for line in (self.out / "log.jsonl").open()]
        last = [record for record in records if record["kind"] == "train"][-1]
        return f"{last['lambda_q']:.2e}, {last['lambda_d']:.2e}"

    def evaluate(self, name):
        path = self.out / "report.json"
        if not path.exists():
            data, split, args = SHARED / "data" / name, SETS[name][2], self.args
            report = report_of(args.binary, self.out / "final/model", data, split, MAX_LENGTH, args.threads)
            path.write_text(json.dumps(report))
        return figures(json.loads(path.read_text()))


def vector_of(record):
    return record.get("vector") or record.get("terms") or record.get("embedding")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Compares the speed of a training step with the Python light-splade, in one markdown table.

    scripts/bench/train.py [--repeat 3] [--threads 2] [--cached 0] [MODEL ...]

A step has 8 triplets of at most 128 tokens, with in-batch negatives, FLOPS on both sides, dropout, clipping and
AdamW, all in f32. Each repetition runs the peer's train_step.py and our bench (`cargo bench -p splade-train --bench
step`) in turn on the same texts. Both take two steps before the timed steps, and both time the same number of steps.
Each cell shows the median and the range of the repetitions' median steps. Ratios are computed within each pair of
runs. Nothing else should run on the machine. The load is printed with the table.

- peak is the largest resident set of the process.
- `--cached N` adds one of our runs on base-en with batches of N triplets, for which the activations of 2,048 tokens are
  held at a time (gradient caching). The Python library cannot run such batches.

The models, the texts and the Python peer are found in the same places as in encode.py.
"""
import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time

from encode import HOME, LANGUAGE, PEERS, PYTHON, ROOT, processor, run, say, spread

# The number of timed steps of each model.
STEPS = {"base-en": 3, "small-28m": 5, "splade-tiny": 10}
# The number of triplets for which the Python peer has texts: 400 passages, two a triplet.
MOST_STEPS = 400 // (2 * 8) - 2


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=list(STEPS), metavar="MODEL")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each tool [3]")
    parser.add_argument("--threads", type=int, default=2, help="threads of each tool [2]")
    parser.add_argument("--cached", type=int, default=0, help="triplets of a batch by gradient caching")
    args = parser.parse_args()
    for path in [PYTHON, PEERS / "train_step.py"]:
        if not path.exists():
            sys.exit(f"no {path}: run the peers' setup.sh, or set PEERS_HOME and PEERS")
    load = os.getloadavg()[0]
    if load > 0.3:
        say(f"the load is {load:.1f}: times measured on a busy machine are worthless")
    bench = build()
    rows = []
    for model in args.models:
        steps = min(STEPS[model], MOST_STEPS)
        pairs = []
        for repetition in range(args.repeat):
            say(f"{model}, run {repetition + 1} of {args.repeat}")
            pairs.append((run_python(model, steps, args.threads), run_ours(bench, model, steps, args.threads)))
        rows.append(row(model, pairs))
    print(
        f"{processor()}, {args.threads} threads; {args.repeat} runs, median (range); load {load:.1f}"
        f" before, {os.getloadavg()[0]:.1f} after; {time.strftime('%Y-%m-%d')}\n"
    )
    print("| " + " | ".join(rows[0]) + " |")
    print("|" + "---|" * len(rows[0]))
    for cells in rows:
        print("| " + " | ".join(cells.values()) + " |")
    if args.cached:
        held = ["--batch", args.cached, "--cache", 2048]
        figures = run_ours(bench, "base-en", 1, args.threads, *held)
        print(
            f"\nbase-en, {args.cached} triplets, 2,048 tokens held: {figures['seconds']:.1f} s,"
            f" {figures['peak']:,.0f} MiB"
        )


def row(model, pairs):
    python, ours = zip(*pairs, strict=True)
    column = lambda runs, key: spread([figures[key] for figures in runs])
    times = [theirs["seconds"] / own["seconds"] for theirs, own in pairs]
    memory = [theirs["peak"] / own["peak"] for theirs, own in pairs]
    return {
        "model": model,
        "light-splade 0.1.3: s a step": column(python, "seconds"),
        "this: s a step": column(ours, "seconds"),
        "times faster": spread(times),
        "light-splade 0.1.3: peak MiB": column(python, "peak"),
        "this: peak MiB": column(ours, "peak"),
        "times smaller": spread(memory),
    }


def run_python(model, steps, threads):
    command = [
        PYTHON, "train_step.py", "--impl", "light_splade", "--model", model, "--batch", 8,
        "--steps", steps, "--threads", threads, "--maxlen", 128,
    ]  # fmt: skip
    result = run(command, cwd=PEERS, env=os.environ | {"PEERS_HOME": str(HOME)})
    values = json.loads(re.search(r"^RESULT (.*)$", result["stdout"], re.M)[1])
    return {"seconds": statistics.median(values["secs"]), "peak": result["peak"]}


def run_ours(bench, model, steps, threads, *options):
    language = LANGUAGE.get(model, "en")
    texts = [HOME / "data" / f"{kind}_{language}.ndjson" for kind in ("passages", "queries")]
    command = [bench, HOME / "models" / model, *texts, "--steps", steps, "--threads", threads, *options]
    result = run(command)
    values = json.loads(result["stdout"].splitlines()[-1])
    return {"seconds": statistics.median(values["seconds"]), "peak": result["peak"]}


def build():
    """Returns the path of the compiled bench."""
    command = ["cargo", "bench", "--locked", "-p", "splade-train", "--bench", "step", "--no-run"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return ROOT / re.search(r"\((\S+)\)\s*$", done.stderr)[1]


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Compares the speed of encoding with the Python light-splade, in one markdown table.

    scripts/bench/encode.py [--repeat 3] [--threads 2] [--texts N] [MODEL ...]

Each repetition runs the tools in turn on the same passages of 60-128 tokens, with batch 32 and maximum length 128,
and the vectors are written to a file. Each cell shows the median and the range of the repetitions. Ratios are
computed within each pair of runs. Nothing else should run on the machine. The load is printed with the table.

The models, the passages and the Python peer are in PEERS_HOME (default ~/.cache/splade-peers). The peer's encode.py is
in PEERS (default ../shared/peers). Without the peer, only our columns are printed.

- texts/s and tokens/s are the values that each tool measures after loading the model. Padding does not count. Our
  values include reading, tokenizing and writing.
- first vector is the time from the start of the process. For us it is the whole process `encode --text hello`.
- peak is the largest resident set of the process. Weights are `Encoder::weight_bytes`.
- share of the peak is useful operations / seconds / the f32 multiply-add peak of as many threads
  (crates/splade-nn/benches/peak.rs). The useful operations of a text of n tokens are the linear layers, the head's
  transform, the product with the vocabulary, and attention:
      2 n (layers (4 hidden² + 2 hidden intermediate) + hidden² + hidden vocab) + 4 n² hidden layers
"""
import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
HOME = pathlib.Path(os.environ.get("PEERS_HOME", "~/.cache/splade-peers")).expanduser()
PEERS = pathlib.Path(os.environ.get("PEERS", ROOT / "../shared/peers")).resolve()
PYTHON = HOME / "venv/bin/python"
BINARY = ROOT / "target/release/light-splade"
# The number of passages for each model: our runs take seconds, and those of Python at most half a minute.
TEXTS = {"base-en": 128, "small-28m": 512, "splade-tiny": 512}
LANGUAGE = {"small-28m": "ja"}
MIB = 2**20
FIGURES = "texts/s; tokens/s; peak MiB; first vector s"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=list(TEXTS), metavar="MODEL")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each tool [3]")
    parser.add_argument("--threads", type=int, default=2, help="threads of each tool [2]")
    parser.add_argument("--texts", type=int, help="passages, for all models")
    args = parser.parse_args()
    for model in args.models:
        if model not in TEXTS or not (HOME / "models" / model / "model.safetensors").exists():
            sys.exit(f"no model {model} in {HOME}: run the peers' setup.sh, or set PEERS_HOME")
    missing = [path for path in (PYTHON, PEERS / "encode.py") if not path.exists()]
    for path in missing:
        say(f"the Python peer is not there, its columns are left out: no {path}")
    tools = ["f32", "int8"] if missing else ["python", "f32", "int8"]
    loads = [os.getloadavg()[0]]
    if loads[0] > 0.3:
        say(f"the load is {loads[0]:.1f}: times measured on a busy machine are worthless")
    build()
    peak = fma_peak(args.threads)
    rows = [Bench(model, args).row(tools, peak, loads) for model in args.models]
    print(
        f"{processor()}, {args.threads} threads, f32 peak {peak:.0f} GFLOP/s; {args.repeat} runs,"
        f" median (range); load {loads[0]:.1f} before, then up to {max(loads):.1f} with the runs;"
        f" {time.strftime('%Y-%m-%d')}\n"
    )
    print("| " + " | ".join(rows[0]) + " |")
    print("|" + "---|" * len(rows[0]))
    for row in rows:
        print("| " + " | ".join(row.values()) + " |")


class Bench:
    """A model, its passages, and the runs of the tools on them."""

    def __init__(self, model, args):
        self.model, self.threads, self.repeat = model, args.threads, args.repeat
        self.folder = HOME / "models" / model
        self.count = args.texts or TEXTS[model]

    def row(self, tools, peak, loads):
        """Returns the cells of the table's row by column."""
        runs = {tool: [] for tool in tools}
        with tempfile.TemporaryDirectory() as work:
            self.texts, self.out = pathlib.Path(work, "texts.ndjson"), pathlib.Path(work, "out.ndjson")
            passages = HOME / "data" / f"passages_{LANGUAGE.get(self.model, 'en')}.ndjson"
            lines = passages.read_text(encoding="utf-8").splitlines(keepends=True)
            self.texts.write_text("".join(lines[: self.count]), encoding="utf-8")
            lengths = self.lengths()
            for repetition in range(self.repeat):
                for tool in tools:
                    say(f"{self.model}, run {repetition + 1} of {self.repeat}: {tool}")
                    figures = self.run_python() if tool == "python" else self.run_ours(tool)
                    if figures["tokens"] != sum(lengths):
                        sys.exit(f"{tool} saw {figures['tokens']} tokens, not {sum(lengths)}")
                    runs[tool].append(figures)
                    loads.append(os.getloadavg()[0])
        row = {"model, passages": f"{self.model}, {self.count}"}
        if "python" in tools:
            row[f"light-splade 0.1.3: {FIGURES}"] = figures_cell(runs["python"])
        row[f"this, f32: {FIGURES}"] = figures_cell(runs["f32"])
        row[f"this, int8: {FIGURES}"] = figures_cell(runs["int8"])
        if "python" in tools:
            columns = "tokens/s; peak; first vector"
            row[f"f32 / light-splade: {columns}"] = ratios_cell(runs["f32"], runs["python"])
            row[f"int8 / light-splade: {columns}"] = ratios_cell(runs["int8"], runs["python"])
        useful = self.useful_operations(lengths) / sum(lengths)
        row["f32, % of the FMA peak"] = spread(
            [100 * useful * figures["tokens/s"] / (peak * 1e9) for figures in runs["f32"]]
        )
        for precision, weights in self.weights().items():
            rest = statistics.median(figures["peak"] for figures in runs[precision]) - weights
            row[f"{precision}: weights; rest of the peak MiB"] = f"{weights:.0f}; {rest:.0f}"
        return row

    def run_ours(self, precision):
        command = [
            BINARY, "encode", "--model", self.folder, "--precision", precision, "--threads", self.threads,
            "--max-length", 128, "--output", self.out,
        ]  # fmt: skip
        first = run([*command, "--text", "hello"])
        whole = run([*command, self.texts])
        totals = re.compile(r"^(\d+) texts, (\d+) tokens in .* (\d+) tokens/s$", re.M)
        texts, tokens, rate = map(int, totals.findall(whole["stderr"])[-1])
        return {
            "tokens": tokens,
            "texts/s": rate * texts / tokens,
            "tokens/s": rate,
            "peak": whole["peak"],
            "first": first["seconds"],
        }

    def run_python(self):
        command = [
            PYTHON, "encode.py", "--impl", "light_splade", "--model", self.model, "--n", self.count,
            "--threads", self.threads, "--batch", 32, "--maxlen", 128, "--repeat", 1, "--check", 0,
        ]  # fmt: skip
        result = run(command, cwd=PEERS, env=os.environ | {"PEERS_HOME": str(HOME)})
        values = json.loads(re.search(r"^RESULT (.*)$", result["stdout"], re.M)[1])
        seconds = values["secs"][0]
        return {
            "tokens": values["tokens"],
            "texts/s": values["n"] / seconds,
            "tokens/s": values["tokens"] / seconds,
            "peak": result["peak"],
            "first": values["first_vector_after_start_s"],
        }

    def lengths(self):
        """Returns the number of tokens of each passage."""
        command = [BINARY, "tokenize", "--model", self.folder, "--ids", "--max-length", 128, self.texts]
        return [len(json.loads(line)["ids"]) for line in run(command)["stdout"].splitlines()]

    def useful_operations(self, lengths):
        config = json.loads((self.folder / "config.json").read_text())
        hidden, intermediate = config["hidden_size"], config["intermediate_size"]
        layers = config["num_hidden_layers"]
        linear = layers * (4 * hidden**2 + 2 * hidden * intermediate)
        head = hidden**2 + hidden * config["vocab_size"]
        return sum(2 * n * (linear + head) + 4 * n**2 * hidden * layers for n in lengths)

    def weights(self):
        """Returns the size of the packed weights in each precision, in MiB."""
        stdout = run([ROOT / "target/release/examples/weight_memory", self.folder])["stdout"]
        return {precision: int(count) / MIB for precision, count in map(str.split, stdout.splitlines())}


def build():
    cargo = ["cargo", "build", "--release", "--locked", "--quiet"]
    subprocess.run(cargo, cwd=ROOT, check=True)
    subprocess.run([*cargo, "-p", "splade-model", "--example", "weight_memory"], cwd=ROOT, check=True)


def fma_peak(threads):
    """Measures the multiply-adds on a number of threads, in GFLOP/s."""
    command = ["cargo", "bench", "--locked", "--quiet", "-p", "splade-nn", "--bench", "peak"]
    lines = run([*command, "--", threads], cwd=ROOT)["stdout"].splitlines()
    say("\n".join(lines))
    return float(re.search(r"([\d.]+) GFLOP/s$", lines[-1])[1])


def run(command, **options):
    """Runs a command to its end and returns its seconds, its peak memory in MiB and its output."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        start = time.perf_counter()
        child = subprocess.Popen(list(map(str, command)), stdout=out, stderr=err, **options)
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        stdout, stderr = out.read(), err.read()
    if child.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{stderr}")
    # Linux reports KiB, macOS reports bytes.
    peak = usage.ru_maxrss / (MIB if sys.platform == "darwin" else 1024)
    return {"seconds": seconds, "peak": peak, "stdout": stdout, "stderr": stderr}


def figures_cell(runs):
    keys = ("texts/s", "tokens/s", "peak", "first")
    return "; ".join(spread([figures[key] for figures in runs]) for key in keys)


def ratios_cell(ours, theirs):
    """Returns the speed-up, and the shares of memory and of time to the first vector."""
    keys, pairs = ("tokens/s", "peak", "first"), list(zip(ours, theirs, strict=True))
    return "; ".join(spread([a[key] / b[key] for a, b in pairs]) for key in keys)


def spread(values):
    """Returns the median, and the range if there are several values."""
    middle = statistics.median(values)
    digits = 0 if middle >= 100 else 1 if middle >= 10 else 2 if middle >= 0.1 else 3
    text = f"{middle:,.{digits}f}"
    if len(values) > 1:
        text += f" ({min(values):,.{digits}f}-{max(values):,.{digits}f})"
    return text


def processor():
    try:
        cpuinfo = pathlib.Path("/proc/cpuinfo").read_text()
    except OSError:
        return os.uname().machine
    found = re.search(r"^model name\s*: (.*)$", cpuinfo, re.M)
    return found[1] if found else os.uname().machine


def say(message):
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()

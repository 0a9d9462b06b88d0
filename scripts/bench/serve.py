#!/usr/bin/env python3
"""Measures `light-splade serve` under load, in markdown tables.

    scripts/bench/serve.py [--model MODEL ...] [--seconds 5] [--peer sentence-transformers] [--peer fastembed]
                           [--dense] [--search] [--soak MINUTES]

Requests are sent by wrk (Debian's package `wrk`) over loopback, one text a request and 32 a request, from 1, 16, 64 and
256 connections (--batches, --connections). The texts are the passages that the repository carries (data/toy-beir), or
--texts FILE with one a line.

- requests/s, p50 and p99 are what wrk prints. A row with replies other than 2xx says how many; 429 is the only one that
  may occur.
- share of encode is the texts/s over those of `light-splade encode` on the same texts.
- CPU ms a text is the processor time of the server for each text that it encoded, on all cores together. It hardly
  depends on what else runs on the machine, so it compares servers where times do not.
- one short query: its median time from one connection, over the mean time that its tokenization and its computation
  take inside the service (`te_request_tokenization_duration` and `te_request_inference_duration` of /metrics).
- --dense adds the same vectors with all their zeros (`/embed`).
- --peer runs another library under FastAPI and uvicorn in the same run, with the same route and reply. PEER_PYTHON
  (default python3) must have fastapi and uvicorn, and sentence-transformers or fastembed with onnxruntime. fastembed
  computes an ONNX graph that `light-splade export model --onnx logits` writes of the same model.
- --search measures searches while a writer commits all the time, and checks that no update is lost.
- --soak runs a changing load for so many minutes, kills clients in the middle of requests, and prints the memory of the
  process each minute.

Nothing else should run on the machine. The load is printed with the tables. --under COMMAND runs each measurement below a
command of yours, for example one that stops everything else meanwhile; it must take less than a minute then.
"""
import argparse
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts/serve"))
from server import Server, free_port  # noqa: E402

# The program, which --binary may replace.
BINARY = [ROOT / "target/release/light-splade"]
CONNECTIONS = (1, 16, 64, 256)
PEERS = {
    "sentence-transformers": '''
from sentence_transformers import SparseEncoder
model = SparseEncoder(sys.argv[1], device="cpu")
def vectors(texts):
    rows = model.encode_document(texts, convert_to_sparse_tensor=True, show_progress_bar=False).coalesce()
    out = [[] for _ in texts]
    for (row, term), weight in zip(rows.indices().T.tolist(), rows.values().tolist()):
        out[row].append({"index": term, "value": weight})
    return out
''',
    "fastembed": '''
from fastembed import SparseTextEmbedding
# The name chooses how logits become a vector, and the path the graph.
model = SparseTextEmbedding("prithivida/Splade_PP_en_v1", specific_model_path=sys.argv[1])
def vectors(texts):
    return [
        [{"index": int(term), "value": float(weight)} for term, weight in zip(vector.indices, vector.values)]
        for vector in model.embed(texts, batch_size=32)
    ]
''',
}
PEER = '''
import os, sys
os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
@MODEL@
app = FastAPI()
class Request(BaseModel):
    inputs: str | list[str]
@app.get("/health")
def health(): return {}
@app.post("/embed_sparse")
def embed(request: Request):
    return vectors([request.inputs] if isinstance(request.inputs, str) else request.inputs)
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="error")
'''
# What each measurement is run below.
UNDER = []


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", action="append", help="folder or name; may be given several times [mini-ja-en]")
    parser.add_argument("--binary", type=pathlib.Path, default=BINARY[0], help="the program [target/release]")
    parser.add_argument("--texts", type=pathlib.Path, help="file with one text a line")
    parser.add_argument("--seconds", type=int, default=5, help="of each row [5]")
    parser.add_argument("--batches", type=numbers, default=(1, 32), help="texts of a request [1,32]")
    parser.add_argument("--connections", type=numbers, default=CONNECTIONS, help="[1,16,64,256]")
    parser.add_argument("--peer", action="append", default=[], choices=PEERS, help="this library under FastAPI, too")
    parser.add_argument("--dense", action="store_true", help="vectors with their zeros, too")
    parser.add_argument("--threads", type=int, help="of the service and of `encode` [one a core]")
    parser.add_argument("--under", default="", metavar="COMMAND", help="runs each measurement below a command")
    parser.add_argument("--search", action="store_true", help="searches while a writer commits")
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="changing load for so long")
    args = parser.parse_args()
    UNDER.extend(shlex.split(args.under))
    BINARY[0] = args.binary.resolve()
    texts = read_texts(args.texts)
    print(f"{processor()}, {os.cpu_count()} cores; {len(texts)} texts; load {os.getloadavg()[0]:.1f}; "
          f"{time.strftime('%Y-%m-%d')}\n", flush=True)
    for model in args.model or ["mini-ja-en"]:
        if args.search:
            search(model, texts, args.seconds)
        elif args.soak:
            soak(model, texts, args.soak)
        else:
            embed(model, texts, args)


def numbers(text):
    return tuple(map(int, text.split(",")))


def read_texts(path):
    if path:
        return [line for line in path.read_text().splitlines() if line.strip()]
    lines = (ROOT / "data/toy-beir/corpus.jsonl").read_text().splitlines()
    return [json.loads(line)["text"] for line in lines]


def embed(model, texts, args):
    threads = ["--threads", str(args.threads)] if args.threads else []
    rate = encode_rate(model, texts, threads)
    print(f"## {model}: `encode` makes {rate:.0f} texts/s of the same texts\n")
    print("| server | texts a request | connections | requests/s | texts/s | p50 ms | p99 ms | share of encode "
          "| CPU ms a text | other replies |")
    print("|---|---|---|---|---|---|---|---|---|---|", flush=True)
    options = ["--model", model, "--log-level", "error", "--max-concurrent-requests", "16384", *threads]
    with Server(BINARY[0], *options) as server:
        rows("light-splade", (server.process.pid, server.port), texts, args, rate)
        if args.dense:
            of = server.process.pid, server.port
            rows("light-splade, dense replies", of, texts, args, rate, "/embed", {"normalize": False})
        query = short_query(server, args.seconds)
    for peer in args.peer:
        with tempfile.TemporaryDirectory() as work:
            folder = model
            if peer == "fastembed":
                folder = pathlib.Path(work, "onnx")
                export = [BINARY[0], "export", "model", "--model", model, "--output", folder, "--onnx", "logits"]
                subprocess.run(export, check=True, capture_output=True)
            script = pathlib.Path(work, "peer.py")
            script.write_text(PEER.replace("@MODEL@", PEERS[peer]))
            port = free_port()
            process = subprocess.Popen([os.environ.get("PEER_PYTHON", "python3"), script, str(folder), str(port)])
            try:
                wait_for(port)
                rows(f"{peer}, FastAPI", (process.pid, port), texts, args, rate)
            finally:
                process.kill()
                process.wait()
    print(f"\n{query}\n")


def short_query(server, seconds):
    before = durations(server)
    p50 = wrk(server.port, ["日本の首都"], 1, 1, seconds, path="/embed_sparse?side=query")["p50"]
    after = durations(server)
    bare = sum(1e3 * (a[0] - b[0]) / (a[1] - b[1]) for a, b in zip(after, before))
    return f"One short query: p50 {p50:.2f} ms, of which the encoding takes {bare:.2f} ms: {p50 / bare:.2f} times."


def durations(server):
    """Returns the sum and the number of the times of tokenization and of computation."""
    text = server.ask("GET", "/metrics")[2].decode()
    value = lambda name: float(re.search(rf"^te_request_{name} (\S+)", text, re.M)[1])
    return [(value(f"{what}_duration_sum"), value(f"{what}_duration_count")) for what in ("tokenization", "inference")]


def rows(name, server, texts, args, rate, path="/embed_sparse", more=None):
    process, port = server
    for batch in args.batches:
        for connections in args.connections:
            before = processor_seconds(process)
            result = wrk(port, texts, batch, connections, args.seconds, path, more)
            # wrk leaves requests behind, which the server may go on with.
            cost = 1e3 * (processor_seconds(process) - before) / max(1, result["count"] * batch)
            per_second = result["requests"] * batch
            print(f"| {name} | {batch} | {connections} | {result['requests']:.2f} | {per_second:.1f} | "
                  f"{result['p50']:.1f} | {result['p99']:.1f} | {per_second / rate:.2f} | {cost:.1f} | {result['others']} |",
                  flush=True)


def processor_seconds(process):
    """Returns the processor time that a process has taken with all its threads."""
    fields = pathlib.Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wrk(port, texts, batch, connections, seconds, path="/embed_sparse", more=None):
    """Asks for the vectors of all texts in turn, so many a request."""
    groups = [texts[at : at + batch] for at in range(0, len(texts), batch)]
    groups = [group for group in groups if len(group) == batch] or [(texts * batch)[:batch]]
    bodies = [{"inputs": group[0] if batch == 1 else group, **(more or {})} for group in groups]
    return load(port, path, bodies, connections, seconds)


def load(port, path, bodies, connections, seconds):
    """Sends the bodies in turn, and returns what wrk measured."""
    texts = ",\n".join("[==[" + json.dumps(body, ensure_ascii=False) + "]==]" for body in bodies)
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(
            "local bodies = {" + texts + "}\nlocal at = 0\n"
            'wrk.headers["Content-Type"] = "application/json"\n'
            "function request()\n  at = at % #bodies + 1\n"
            f'  return wrk.format("POST", "{path}", nil, bodies[at])\nend\n'
        )
        script.flush()
        output = subprocess.run(
            [*UNDER, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "60s", "-s", script.name,
             f"http://127.0.0.1:{port}{path}"],
            capture_output=True, text=True, check=True,
        ).stdout
    number = lambda pattern: re.search(pattern, output)
    others = number(r"Non-2xx or 3xx responses: (\d+)")
    errors = number(r"Socket errors: (.*)")
    return {
        "count": int(number(r"(\d+) requests in")[1]),
        "requests": float(number(r"Requests/sec:\s+([\d.]+)")[1]),
        "p50": milliseconds(number(r"50%\s+(\S+)")[1]),
        "p99": milliseconds(number(r"99%\s+(\S+)")[1]),
        "others": " ".join(filter(None, [others and others[1], errors and errors[1]])) or "0",
    }


def milliseconds(text):
    value, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(value) * {"us": 1e-3, "ms": 1, "s": 1e3, "m": 6e4}[unit]


def encode_rate(model, texts, threads):
    """Returns the texts a second of `encode`, without the time to load the model."""
    repeated = texts * max(1, (600 if model == "mini-ja-en" else 100) // len(texts))
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(text.replace("\n", " ") for text in repeated))
        file.flush()
        command = [*UNDER, BINARY[0], "encode", "--model", model, *threads, file.name]
        run = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.search(r"([\d,.]+) texts/s", run.stderr)
    if not found:
        sys.exit(f"`encode` says no rate: {run.stderr}")
    return float(found[1].replace(",", ""))


def search(model, texts, seconds):
    """Searches from eight connections while a writer replaces documents all the time."""
    with tempfile.TemporaryDirectory() as root, Server(
        BINARY[0], "--model", model, "--log-level", "error", "--index-root", root, "--commit-interval", "50"
    ) as server:
        server.ok("PUT", "/v1/indexes/bench", {})
        documents = [{"id": str(at), "text": text} for at, text in enumerate(texts)]
        for at in range(0, len(documents), 100):
            server.ok("PUT", "/v1/indexes/bench/documents", {"documents": documents[at : at + 100]})
        still = searches(server, texts, seconds)
        stop, lost, commits = threading.Event(), [], [0]

        def write():
            version = 0
            while not stop.is_set():
                version += 1
                vector = {"indices": [7, 100 + version % 1000], "values": [1.0, 5.0]}
                server.ok("PUT", "/v1/indexes/bench/documents", {"documents": [{"id": "changing", "vector": vector}]})
                found = server.ok("POST", "/v1/indexes/bench/search", {"vector": vector, "filter": {"ids": ["changing"]}})
                if found["hits"][0]["score"] < 25:
                    lost.append(version)
                commits[0] += 1

        writer = threading.Thread(target=write)
        writer.start()
        busy = searches(server, texts, seconds)
        stop.set()
        writer.join()
    print(f"## {model}: searches of {len(texts)} documents from 8 connections\n")
    print("| writer | searches/s | p50 ms | p99 ms | other replies |\n|---|---|---|---|---|")
    for name, result in (("none", still), (f"{commits[0]} commits, {len(lost)} updates lost", busy)):
        print(f"| {name} | {result['requests']:.0f} | {result['p50']:.1f} | {result['p99']:.1f} | {result['others']} |")
    print()
    if lost:
        sys.exit(f"updates were lost: {lost[:10]}")


def searches(server, texts, seconds):
    queries = [{"text": text[:20]} for text in texts]
    return load(server.port, "/v1/indexes/bench/search", queries, 8, seconds)


def soak(model, texts, minutes):
    """Changes the load, kills clients, and prints the memory of the service each minute."""
    print("| minute | resident MiB | replies | 429 | other |\n|---|---|---|---|---|", flush=True)
    with Server(BINARY[0], "--model", model, "--log-level", "error", "--max-concurrent-requests", "64") as server:
        begun, minute = time.monotonic(), 0
        counts = {"2xx": 0, "429": 0, "other": 0}
        stop = threading.Event()

        def client(at):
            rest = at
            while not stop.is_set():
                rest = (rest * 1103515245 + 12345) % 2**31
                group = [texts[(rest + n) % len(texts)] for n in range(1 + rest % 32)]
                try:
                    if rest % 20 == 0:
                        server.leave("POST", "/embed_sparse", {"inputs": group})
                        continue
                    status = server.ask("POST", "/embed_sparse", {"inputs": group})[0]
                    counts["2xx" if status == 200 else "429" if status == 429 else "other"] += 1
                except OSError:
                    counts["other"] += 1
                if rest % 50 == 0:
                    time.sleep(rest % 7 / 10)

        clients = [threading.Thread(target=client, args=(at,), daemon=True) for at in range(16)]
        for thread in clients:
            thread.start()
        while time.monotonic() - begun < minutes * 60:
            time.sleep(min(60, minutes * 60))
            minute += 1
            status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
            resident = int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024
            print(f"| {minute} | {resident:.0f} | {counts['2xx']} | {counts['429']} | {counts['other']} |", flush=True)
        stop.set()
    print()


def wait_for(port):
    import urllib.request

    for _ in range(600):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1)
            return
        except OSError:
            time.sleep(0.2)
    sys.exit("the peer does not start")


def processor():
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown CPU")


if __name__ == "__main__":
    main()

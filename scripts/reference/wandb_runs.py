"""Makes the fixtures of crates/splade-logs/tests/fixtures/wandb, and compares a run with `report_to: [wandb]` with the
JSON log of the run, both with the library wandb.

    python scripts/reference/wandb_runs.py make crates/splade-logs/tests/fixtures/wandb
    python scripts/reference/wandb_runs.py compare wandb/offline-run-… output/log.jsonl

`compare` plays the part of a server on this machine and runs `wandb sync`.
"""

import gzip
import json
import math
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

CLOCK = 1_700_000_000.25


def make(folder):
    from wandb.proto import wandb_internal_pb2 as pb

    # A whole file of the client, with a setting that is longer than two blocks.
    import wandb

    with tempfile.TemporaryDirectory() as place:
        settings = wandb.Settings(
            x_disable_meta=True, x_disable_stats=True, console="off", host="host", disable_git=True, silent=True
        )
        config = {"long": "".join(chr(33 + i * i % 89) for i in range(70_000))}
        run = wandb.init(mode="offline", project="toys", dir=place, id="abcd1234", config=config, settings=settings)
        run.log({"loss": 1.0})
        run.finish()
        file = next(Path(place).glob("wandb/offline-run-*/*.wandb"))
        shutil.copy(file, Path(folder, "client.wandb"))

    # The records of the test, as the client's classes write them.
    def items(kind, values):
        return [kind(nested_key=[name], value_json=value) for name, value in values]

    step = "train/global_step"
    row = [("train/loss", "2.5"), ("eval/MRR@10", "NaN"), ("train/epoch", "0.5"), (step, "5"),
           ("_timestamp", "1700000001.75"), ("_runtime", "1.5"), ("_step", "0")]
    start = {"seconds": int(CLOCK), "nanos": 250_000_000}
    config = [("training", '{"lr":0.0001,"name":"文"}'), ("seed", "42")]
    records = [
        pb.Record(header=pb.HeaderRecord(version_info=pb.VersionInfo(producer="0.31.0", min_consumer="0.70.0"))),
        pb.Record(run=pb.RunRecord(run_id="abcd1234", entity="us", project="toys", display_name="it's a run",
                                   host="host", start_time=start)),
        pb.Record(metric=pb.MetricRecord(name=step, options={"defined": True})),
        pb.Record(metric=pb.MetricRecord(glob_name="*", step_metric=step, options={"step_sync": True, "defined": True})),
        pb.Record(config=pb.ConfigRecord(update=[pb.ConfigItem(key=key, value_json=value) for key, value in config])),
        pb.Record(summary=pb.SummaryRecord(update=items(pb.SummaryItem, row))),
        pb.Record(history=pb.HistoryRecord(item=items(pb.HistoryItem, row), step=pb.HistoryStep(num=0))),
        pb.Record(summary=pb.SummaryRecord(update=items(pb.SummaryItem, [("train_loss", "2")]))),
        pb.Record(exit=pb.RunExitRecord(exit_code=255, runtime=9)),
    ]
    with open(Path(folder, "records.bin"), "wb") as out:
        for number, record in enumerate(records, 1):
            record.num = number
            data = record.SerializeToString(deterministic=True)
            out.write(struct.pack("<I", len(data)) + data)


class Server(BaseHTTPRequestHandler):
    """Answers what `wandb sync` asks, and keeps what it sends."""

    sent = {}
    variables = {}
    ended = None

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        answer = {}
        if self.path == "/graphql":
            asked = json.loads(body).get("variables") or {}
            if asked.get("config") or asked.get("displayName"):
                Server.variables.update({key: value for key, value in asked.items() if value is not None})
            owner = {"id": "o", "name": asked.get("entity") or "me", "username": "me"}
            project = {"id": "p", "name": asked.get("project") or "none", "entity": owner}
            run = {"id": "r", "name": asked.get("name"), "displayName": asked.get("displayName"), "project": project,
                   "config": "{}", "historyLineCount": 0, "eventsLineCount": 0, "logLineCount": 0}
            answer = {"data": {"viewer": {"id": "v", "entity": "me", "username": "me", "flags": "{}"},
                               "serverInfo": {"features": []}, "upsertBucket": {"bucket": run, "inserted": True},
                               "createRunFiles": {"runID": "r", "uploadHeaders": [], "files": []}}}
        elif self.path.endswith("/file_stream"):
            part = json.loads(body)
            for name, lines in (part.get("files") or {}).items():
                Server.sent.setdefault(name, []).extend(lines["content"])
            if part.get("complete"):
                Server.ended = part.get("exitcode")
        data = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def tag(name):
    return f"eval/{name[5:]}" if name.startswith("eval_") else f"train/{name}"


def same(found, wanted):
    return math.isnan(found) if wanted is None else math.isclose(found, wanted, rel_tol=1e-12)


def without_empty(value):
    """Removes empty objects, which the client leaves out."""
    if not isinstance(value, dict):
        return value
    return {name: without_empty(part) for name, part in value.items() if part != {}}


def compare(run, log):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as place:
        copy = shutil.copytree(run, Path(place, Path(run).name))
        address = f"http://127.0.0.1:{server.server_port}"
        environment = {**os.environ, "WANDB_BASE_URL": address, "WANDB_API_KEY": "0" * 40, "WANDB_ERROR_REPORTING": "false"}
        command = Path(sys.executable).with_name("wandb")
        subprocess.run([command, "sync", str(copy)], env=environment, check=True)
    lines = [json.loads(line) for line in open(log, encoding="utf-8")]
    wanted = [line for line in lines if line["kind"] in ("train", "eval")]
    rows = [json.loads(row) for row in Server.sent["wandb-history.jsonl"]]
    assert len(rows) == len(wanted), f"{len(rows)} rows instead of {len(wanted)}"
    for number, (row, line) in enumerate(zip(rows, wanted)):
        values = {tag(name): value for name, value in line.items() if name not in ("kind", "step", "time")}
        values |= {"train/global_step": line["step"], "_step": number, "_timestamp": line["time"]}
        assert row.keys() - {"_runtime"} == values.keys(), (row, values)
        assert all(same(row[name], value) for name, value in values.items()), (row, values)
    summary = json.loads(Server.sent["wandb-summary.json"][-1])
    for line in lines:
        if line["kind"] == "summary":
            values = {name: value for name, value in line.items() if name not in ("kind", "step", "epoch", "time")}
            assert all(same(summary[name], value) for name, value in values.items()), (summary, values)
    settings = [json.loads(line["text"]) for line in lines if line["kind"] == "text"]
    config = json.loads(Server.variables["config"])
    for name, value in without_empty(settings[-1] if settings else {}).items():
        assert config[name]["value"] == value, (name, config[name], value)
    states = {"finished": 0, "failed": 1, "stopped": 255}
    outcome = [states[line["outcome"]] for line in lines if line["kind"] == "end"]
    assert outcome[-1:] == [Server.ended], (outcome, Server.ended)
    name, project = Server.variables.get("displayName"), Server.variables.get("project")
    print(f"{project}/{name}: {len(rows)} rows, {len(config) - 1} settings and the end are those of {log}")


if __name__ == "__main__":
    {"make": make, "compare": compare}[sys.argv[1]](*sys.argv[2:])

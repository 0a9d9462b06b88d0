"""Writes TensorBoard event files: `python scripts/reference/tensorboard_events.py FOLDER`.

torch's SummaryWriter writes the files for the calls below, with the clock stopped: `fresh.tfevents` for a new run and
`resumed.tfevents` for a run that continues after step 20. A test of `crates/splade-logs` makes the same calls and
compares the bytes.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

CLOCK = 1700000000.25
time.time = lambda: CLOCK


def write(path, fill, **options):
    with tempfile.TemporaryDirectory() as folder:
        writer = SummaryWriter(folder, **options)
        fill(writer)
        writer.close()
        (made,) = Path(folder).iterdir()
        path.write_bytes(made.read_bytes())


def fresh(writer):
    writer.add_text("args", json.dumps({"seed": 42, "文": "text"}, ensure_ascii=False))
    writer.add_text("long", "x" * 300)
    for step, loss in enumerate([3.5, -1.25e-7, 0.0, float("inf"), float("nan")]):
        writer.add_scalar("train/loss", loss, step * 100)
    writer.add_scalar("eval/MRR@10", 0.1, 1 << 40)


def resumed(writer):
    writer.add_scalar("train/loss", 2.0, 21)


folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
write(folder / "fresh.tfevents", fresh)
write(folder / "resumed.tfevents", resumed, purge_step=21)

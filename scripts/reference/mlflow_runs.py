"""Reads a file store that a run with `report_to: [mlflow]` has written, with the library MLflow, and compares it
with the JSON log of the run.

    MLFLOW_ALLOW_FILE_STORE=true python scripts/reference/mlflow_runs.py mlruns output/log.jsonl
"""

import json
import math
import re
import sys
from pathlib import Path

from mlflow.tracking import MlflowClient


def tag(name):
    name = f"eval/{name[5:]}" if name.startswith("eval_") else f"train/{name}"
    return re.sub(r"[^\w\-. :/]", "_", name)


def main(store, log):
    client = MlflowClient(tracking_uri=Path(store).absolute().as_uri())
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    path = str(Path(log).absolute())
    runs = [run for run in client.search_runs(experiments) if run.data.tags.get("light_splade.log") == path]
    assert len(runs) == 1, f"{len(runs)} runs have the log {path}"
    run = runs[0]
    wanted = {}
    for row in map(json.loads, open(log, encoding="utf-8")):
        if row["kind"] in ("train", "eval", "summary"):
            for name, value in row.items():
                if name not in ("kind", "step", "epoch", "time"):
                    wanted.setdefault(tag(name), []).append((row["step"], value))
    for name, values in wanted.items():
        found = [(metric.step, metric.value) for metric in client.get_metric_history(run.info.run_id, name)]
        assert len(found) == len(values), f"{name}: {found} instead of {values}"
        for (step, value), (at, wants) in zip(sorted(found), sorted(values, key=lambda pair: pair[0])):
            same = math.isnan(value) if wants is None else math.isclose(value, wants, rel_tol=1e-12)
            assert step == at and same, f"{name}: {found} instead of {values}"
    assert run.info.status == "FINISHED", run.info.status
    print(f"{run.info.run_name}: {len(wanted)} metrics and {len(run.data.params)} parameters are those of {log}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])

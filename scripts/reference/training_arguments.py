"""Writes the fields of transformers' TrainingArguments with their defaults.

    python scripts/reference/training_arguments.py crates/splade-train/tests/fixtures/config/training_arguments.json

The version of transformers is 4.56.1. `fields` are the fields that a config may name. `optimizers` and `schedulers` are
the names that `optim` and `lr_scheduler_type` accept there.
"""

import dataclasses
import enum
import json
import sys
from pathlib import Path

from transformers import TrainingArguments
from transformers.trainer_utils import SchedulerType
from transformers.training_args import OptimizerNames


def default(field):
    value = field.default if field.default is not dataclasses.MISSING else field.default_factory()
    return value.value if isinstance(value, enum.Enum) else value


if __name__ == "__main__":
    out = {
        "made_by": "scripts/reference/training_arguments.py with transformers 4.56.1",
        "fields": {f.name: default(f) for f in dataclasses.fields(TrainingArguments) if f.init},
        "optimizers": [name.value for name in OptimizerNames],
        "schedulers": [name.value for name in SchedulerType],
    }
    Path(sys.argv[1]).write_text(json.dumps(out, indent=1) + "\n", encoding="utf-8")

"""Runs the Python examples of python/README.md, in a folder of its own. It needs the package alone."""

import os
import re
import tempfile
from pathlib import Path

readme = Path(__file__).resolve().parents[1] / "README.md"
examples = re.findall(r"^```python\n(.*?)^```", readme.read_text(encoding="utf-8"), re.M | re.S)
assert len(examples) == 2, "the README has two examples"
with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    for example in examples:
        exec(compile(example, str(readme), "exec"), {})
    os.chdir("/")

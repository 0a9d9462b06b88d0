"""Compares dense vectors of real models with sentence-transformers, on real texts.

    python scripts/reference/real_dense.py PROGRAM TEXTS.jsonl MODEL...

PROGRAM is the binary, TEXTS.jsonl has a text a line in the field "text", and each MODEL is a folder of
sentence-transformers. It needs the packages of requirements-heads.txt. The first 100 texts are encoded as queries and as
documents, in f32, and the largest difference of a number is printed; the program fails above 2e-6. Vectors of unit length
with 384 dimensions differ by about 2e-7, which is the rounding of f32.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from sentence_transformers import SentenceTransformer


def main():
    program, texts, *models = sys.argv[1:]
    with open(texts, encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line, _ in zip(lines, range(100))]
    folder = Path(tempfile.mkdtemp())
    rows = [json.dumps({"id": str(i), "text": text}) for i, text in enumerate(texts)]
    (folder / "texts.ndjson").write_text("\n".join(rows) + "\n", encoding="utf-8")
    worst = 0.0
    for name in models:
        model = SentenceTransformer(name, device="cpu", model_kwargs={"dtype": "float32"})
        for side, encode in [("query", model.encode_query), ("document", model.encode_document)]:
            out = folder / "vectors.npy"
            call = [program, "encode", str(folder / "texts.ndjson"), "--model", name, "--as", side,
                    "--output", str(out), "--force"]
            subprocess.run(call, check=True, capture_output=True)
            difference = float(np.abs(np.load(out) - encode(texts, convert_to_numpy=True)).max())
            print(f"{name} {side}: {difference:.1e}")
            worst = max(worst, difference)
    assert worst < 2e-6, worst


if __name__ == "__main__":
    main()

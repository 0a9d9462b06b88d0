"""Exports models with --onnx, runs the graphs in onnxruntime, and compares the vectors with ours.

    python scripts/reference/onnx_models.py target/release/light-splade MODEL...

The program needs onnxruntime, and transformers for the token ids. If fastembed is installed, it encodes too. The texts
have different lengths, so that masks matter. TOLERANCE allows for sums in 32 bits that are computed in another order.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy
import onnxruntime

from exported_models import TEXTS, TOLERANCE, ours, pooling_of, tower_of


def batch_of(folder, max_length):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or "[PAD]"
    batch = tokenizer(
        TEXTS, truncation=True, max_length=max_length, padding=True, return_tensors="np"
    )
    return {name: values.astype("i8") for name, values in batch.items()}


def by_onnxruntime(folder, output, head, max_length):
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"))
    batch = batch_of(folder, max_length)
    wanted = [value.name for value in session.get_inputs()]
    result = session.run(None, {name: batch[name] for name in wanted})[0].astype("f8")
    if output == "vector":
        return result
    activation, pooling = head
    weights = numpy.log1p(numpy.maximum(result, 0))
    if activation == "log1p_relu":
        weights = numpy.log1p(weights)
    weights *= batch["attention_mask"][:, :, None]
    return weights.sum(1) if pooling == "sum" else weights.max(1)


def by_fastembed(folder, vocab):
    try:
        from fastembed.sparse.splade_pp import SpladePP
    except ImportError:
        return None
    # The name is one of fastembed's own models. It reads our folder in place of the files that it would download.
    model = SpladePP("prithivida/Splade_PP_en_v1", specific_model_path=str(folder))
    dense = numpy.zeros((len(TEXTS), vocab))
    for row, vector in enumerate(model.embed(TEXTS)):
        dense[row, vector.indices] = vector.values
    return dense


def compare(program, model, dtype, output, scratch):
    folder = Path(scratch) / f"{Path(model).name}-{dtype}-{output}"
    command = [program, "export", "model", "--model", model, "--output", str(folder)]
    run = subprocess.run(
        command + ["--dtype", dtype, "--onnx", output], capture_output=True, text=True
    )
    if "ONNX is not written for" in run.stderr:
        print(f"{folder.name:40}{run.stderr.strip()}")
        return 0.0
    run.check_returncode()
    source = model if dtype == "f32" else str(folder)
    worst = 0.0
    for side in ["document", "query"]:
        tower, vocab, max_length = tower_of(folder, side)
        if side == "query" and tower == folder:
            continue
        head = pooling_of(folder, side)
        want = ours(program, source, side, vocab, max_length)
        got = {"onnxruntime": by_onnxruntime(tower, output, head, max_length)}
        if output == "logits" and head == ("relu", "max") and (tower / "tokenizer.json").is_file():
            got["fastembed"] = by_fastembed(tower, vocab)
        for name, dense in got.items():
            if dense is not None:
                difference = numpy.abs(dense - want).max()
                worst = max(worst, difference)
                terms = (want > 0).sum(1).mean()
                print(f"{folder.name:40}{side:10}{name:14}{difference:10.1e}{terms:10.1f} terms", flush=True)
    shutil.rmtree(folder)
    return worst


def main():
    program, *models = sys.argv[1:]
    program = str(Path(program).resolve())
    with tempfile.TemporaryDirectory() as scratch:
        worst = max(
            compare(program, model, dtype, output, scratch)
            for model in models
            for dtype, output in [("f32", "logits"), ("f32", "vector"), ("f16", "logits"), ("bf16", "vector")]
        )
    print(f"largest difference {worst:.1e}, allowed {TOLERANCE:.1e}")
    sys.exit(bool(worst > TOLERANCE))


if __name__ == "__main__":
    main()

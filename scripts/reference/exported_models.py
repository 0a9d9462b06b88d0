"""Exports models with light-splade, loads the folders in Python's libraries, compares the vectors.

    python scripts/reference/exported_models.py target/release/light-splade MODEL...

The program compares with those of transformers, sentence-transformers and light-splade that are installed. For each
model and library it prints the largest difference between a weight and ours, which must not exceed TOLERANCE: both
programs compute sums in 32 bits, but in another order. Models with f16 and bf16 weights are compared with our vectors
of the same folder, in 32-bit arithmetic.
"""

import importlib.metadata
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy
import torch

TOLERANCE = 1e-4
TEXTS = [
    "日本の首都は東京です。",
    "大阪万博は2025年に開催されます。",
    "The night train to Vienna was late, and nobody minded.",
    "cheap travel by train",
    "a",
    "雨 " * 600 + "a text that is longer than any of these models takes " * 20,
]


def ours(program, model, side, vocab, max_length):
    """Returns the vectors that the program computes, as a dense matrix."""
    command = [program, "encode", "--model", model, "--as", side, "--terms", "ids"]
    command += ["--decimals", "9", "--input-format", "ndjson", "--max-length", str(max_length)]
    lines = "".join(json.dumps({"id": i, "text": t}) + "\n" for i, t in enumerate(TEXTS))
    run = subprocess.run(command, input=lines, capture_output=True, text=True, check=True)
    dense = numpy.zeros((len(TEXTS), vocab))
    for row, line in enumerate(run.stdout.splitlines()):
        for term, weight in json.loads(line)["vector"].items():
            dense[row, int(term)] = weight
    return dense


def by_transformers(folder, activation, pooling, max_length):
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model, info = AutoModelForMaskedLM.from_pretrained(
        folder, output_loading_info=True, torch_dtype=torch.float32
    )
    assert not info["missing_keys"], info
    twice = {"lm_head.decoder.weight", "lm_head.decoder.bias"}
    assert not set(info["unexpected_keys"]) - twice, info
    assert tokenizer.model_max_length == max_length
    rows = []
    for text in TEXTS:
        batch = tokenizer(text, truncation=True, return_tensors="pt")
        with torch.no_grad():
            logits = model(**batch).logits[0].double()
        weights = torch.log1p(torch.relu(logits))
        if activation == "log1p_relu":
            weights = torch.log1p(weights)
        rows.append(weights.sum(0) if pooling == "sum" else weights.max(0).values)
    return torch.stack(rows).numpy()


def by_sentence_transformers(folder, side):
    from sentence_transformers import SparseEncoder

    model = SparseEncoder(str(folder), device="cpu", model_kwargs={"torch_dtype": "float32"})
    encode = model.encode_query if side == "query" else model.encode_document
    return encode(TEXTS, batch_size=1, show_progress_bar=False).to_dense().double().numpy()


def by_light_splade(folder, max_length):
    from light_splade import SpladeEncoder

    encoder = SpladeEncoder(model_path=str(folder), device="cpu")
    # It truncates by characters, which may make a text shorter than the limit, and the last text is long.
    return encoder.encode(
        TEXTS[:-1], batch_size=1, max_seq_length=max_length, return_type="numpy"
    ).astype("f8")


def version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def pooling_of(folder, side):
    for name in [f"{side}_1_SpladePooling", "1_SpladePooling"]:
        if (folder / name).is_dir():
            config = json.loads((folder / name / "config.json").read_text())
            return config["activation_function"], config["pooling_strategy"]
    return None


def tower_of(folder, side):
    """Returns the folder of a side's encoder, its number of terms and its longest text."""
    own = folder / "query_model"
    tower = own if side == "query" and own.is_dir() else folder
    vocab = json.loads((tower / "config.json").read_text())["vocab_size"]
    max_length = json.loads((tower / "sentence_bert_config.json").read_text())["max_seq_length"]
    return tower, vocab, max_length


def compare(program, model, dtype, scratch):
    folder = Path(scratch) / f"{Path(model).name}-{dtype}"
    command = [program, "export", "model", "--model", model, "--output", str(folder)]
    subprocess.run(command + ["--dtype", dtype], capture_output=True, check=True)
    source = model if dtype == "f32" else str(folder)
    worst = 0.0
    for side in ["document", "query"]:
        table = folder / "query_0_SparseStaticEmbedding"
        tower, vocab, max_length = tower_of(folder, side)
        want = ours(program, source, side, vocab, max_length)
        got = {}
        activation, pooling = pooling_of(folder, side) or (None, None)
        looked_up = side == "query" and table.is_dir()
        if version("transformers") and not looked_up:
            got["transformers"] = by_transformers(tower, activation, pooling, max_length)
        if version("sentence-transformers"):
            got["sentence-transformers"] = by_sentence_transformers(folder, side)
        plain = (activation, pooling) == ("relu", "max") and not looked_up
        # It requires transformers 4.56. With version 5, its vectors would be computed in bf16.
        if version("light-splade") and plain and version("transformers").startswith("4."):
            got["light-splade"] = by_light_splade(tower, max_length)
        for library, dense in got.items():
            difference = numpy.abs(dense - want[: len(dense)]).max()
            worst = max(worst, difference)
            terms = (want > 0).sum(1).mean()
            name = f"{library} {version(library)}"
            print(f"{folder.name:32}{side:10}{name:32}{difference:10.1e}{terms:10.1f} terms", flush=True)
    return worst


def main():
    program, *models = sys.argv[1:]
    program = str(Path(program).resolve())
    with tempfile.TemporaryDirectory() as scratch:
        worst = max(
            compare(program, model, dtype, scratch)
            for model in models
            for dtype in ["f32", "bf16"]
        )
    print(f"largest difference {worst:.1e}, allowed {TOLERANCE:.1e}")
    sys.exit(bool(worst > TOLERANCE))


if __name__ == "__main__":
    main()

"""Writes what light_splade 0.1.3 itself returns, for the tests of the Python package.

    python scripts/reference/python_package.py

Needs `pip install light-splade==0.1.3`. The models are the two of this repository. The fixture has, for each model, the
sparse vectors of the two texts of the library's quick start, by its own encoder and by the program of its second
example (transformers alone), and what `encode` gives for lengths, forms and empty inputs.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from light_splade import SpladeEncoder
from transformers import AutoModelForMaskedLM, AutoTokenizer

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "python/tests/fixtures/light_splade.json"
QUICK_START = ["日本の首都は東京です。", "大阪万博は2025年に開催されます。"]
TEXTS = QUICK_START + ["cheap flights to Tokyo", "", "。", "a", "  spaces\tand\nlines  ", "東京" * 400]


def csr(matrix):
    return {
        "shape": list(matrix.shape),
        "indptr": matrix.indptr.tolist(),
        "indices": matrix.indices.tolist(),
        "data": [float(np.float32(x)) for x in matrix.data],
    }


def by_transformers(folder):
    """The second example of the library's quick start: no library but transformers."""
    model = AutoModelForMaskedLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokens = {token: id for token, id in tokenizer.get_vocab().items()}
    names = {id: token for token, id in tokens.items()}
    batch = tokenizer(QUICK_START, padding=True, return_tensors="pt")
    with torch.inference_mode():
        logits = model(**batch).logits
        dense, _ = torch.max(
            torch.relu(logits).log1p().mul(batch["attention_mask"].unsqueeze(-1)), dim=1
        )
    vectors = []
    for row in dense:
        pairs = [(names[i], round(row[i].item(), 2)) for i in row.nonzero().flatten().tolist()]
        vectors.append(dict(sorted(pairs, key=lambda pair: pair[1], reverse=True)))
    return vectors, {
        "input_ids": batch["input_ids"].tolist(),
        "attention_mask": batch["attention_mask"].tolist(),
    }


def main():
    models = {}
    for name in ["demo", "mini-ja-en"]:
        folder = str(ROOT / "models" / name)
        encoder = SpladeEncoder(model_path=folder, device="cpu")
        embeddings = encoder.encode(QUICK_START)
        transformers, tokens = by_transformers(folder)
        limit = encoder.transformer.config.max_position_embeddings
        ids = torch.tensor(tokens["input_ids"])
        mask = torch.tensor(tokens["attention_mask"])
        with torch.inference_mode():
            sparse = encoder.get_sparse(ids, mask)
        models[name] = {
            "max_position_embeddings": limit,
            "avg_token_length": encoder.avg_token_length,
            "embeddings": {"type": type(embeddings).__name__, "shape": list(embeddings.shape)},
            "to_sparse": encoder.to_sparse(embeddings),
            "transformers": transformers,
            "tokenizer": tokens,
            "get_sparse": sparse,
            "texts": TEXTS,
            "csr": csr(encoder.encode(TEXTS, return_type="csr_matrix")),
            "csr_of_8_tokens": csr(encoder.encode(TEXTS, max_seq_length=8, return_type="csr_matrix")),
            "numpy": {
                "dtype": str(encoder.encode(TEXTS, return_type="numpy").dtype),
                "of_nothing": list(encoder.encode([], return_type="numpy").shape),
            },
        }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"light_splade": "0.1.3", "models": models}, ensure_ascii=False)
    OUT.write_text(text + "\n", encoding="utf-8")
    print(f"wrote {OUT}", file=sys.stderr)


main()

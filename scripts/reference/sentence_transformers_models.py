"""Writes results of sentence-transformers: SPLADE pooling, and an inference-free model.

    python scripts/reference/sentence_transformers_models.py \
        crates/splade-model/tests/fixtures/reference

Run this program after tiny_models.py, in the same folder. It writes:

- st_pooling.json: the vectors of `bert` under each pooling and activation,
      {"model": "bert", "texts": [...],
       "results": [{"pooling": "max" | "sum", "activation": "relu" | "log1p_relu",
                    "vectors": [{"indices": [...], "values": [...]}]}]}
- inference-free/: a Router as sentence-transformers 5.1 saves it. Queries are looked up in a
  SparseStaticEmbedding, documents go through `bert-relu` and max pooling. Its expected.json:
      {"texts": [...], "queries": [{"indices": [...], "values": [...]}], "documents": [the same]}

All numbers are computed in f64 from the f32 weights and rounded to f32.
"""

import json
import logging
import shutil
import sys
from pathlib import Path

import torch
from sentence_transformers import SparseEncoder
from sentence_transformers.models import Router
from sentence_transformers.sparse_encoder.models import (
    MLMTransformer,
    SparseStaticEmbedding,
    SpladePooling,
)

from small_vocabularies import TEXTS
from tiny_models import SHORT, sparse


def vectors(rows):
    return [sparse(row.to_dense()) for row in rows]


def save(path, value):
    path.write_text(json.dumps(value, separators=(",", ":")) + "\n", encoding="utf-8")


def pooling(folder):
    texts = [TEXTS[i] for i in SHORT]
    results = []
    for strategy in ["max", "sum"]:
        for activation in ["relu", "log1p_relu"]:
            modules = [
                MLMTransformer(str(folder / "bert")),
                SpladePooling(pooling_strategy=strategy, activation_function=activation),
            ]
            model = SparseEncoder(modules=modules, device="cpu").double()
            rows = [model.encode(text, show_progress_bar=False) for text in texts]
            results.append(
                {"pooling": strategy, "activation": activation, "vectors": vectors(rows)}
            )
    save(folder / "st_pooling.json", {"model": "bert", "texts": texts, "results": results})


def inference_free(folder):
    out = folder / "inference-free"
    shutil.rmtree(out, ignore_errors=True)
    transformer = MLMTransformer(str(folder / "bert-relu"))
    generator = torch.Generator().manual_seed(5)
    weight = torch.rand(len(transformer.tokenizer), generator=generator) * 3
    weight[::7] = 0.0
    router = Router.for_query_document(
        query_modules=[SparseStaticEmbedding(transformer.tokenizer, weight=weight)],
        document_modules=[transformer, SpladePooling("max")],
    )
    model = SparseEncoder(modules=[router], similarity_fn_name="dot", device="cpu")
    model.save(str(out), create_model_card=False)

    model = SparseEncoder(str(out), device="cpu").double()
    # The empty text has no token to look up, and sentence-transformers cannot encode it as a query.
    texts = [TEXTS[i] for i in SHORT if TEXTS[i]]
    save(out / "expected.json", {
        "texts": texts,
        "queries": vectors(model.encode_query(text, show_progress_bar=False) for text in texts),
        "documents": vectors(
            model.encode_document(text, show_progress_bar=False) for text in texts
        ),
    })


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: sentence_transformers_models.py OUT")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    pooling(folder)
    inference_free(folder)


if __name__ == "__main__":
    main()

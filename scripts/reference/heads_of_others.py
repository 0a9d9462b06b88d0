"""Computes vectors of the folders of heads.py with the libraries from which their layouts come.

    python scripts/reference/heads_of_others.py crates/splade-model/tests/fixtures

It needs the packages of requirements.txt with flagembedding==1.4.2 and pylate==1.6.0, which do not work with the
packages of requirements-heads.txt. Run heads.py first. The program

- writes heads/bge-m3/expected_others.json: the token weights and the late interaction of FlagEmbedding,
      {"colbert": [[row, …], …], "sparse": [[[id, weight], …], …], "similarity": [...]}
- compares the vectors of PyLate with those in heads/pylate and heads/colbert-ai, and fails if one differs by 1e-5.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer


def assembled(out, name):
    """Puts a head and its body into a folder."""
    expected = json.loads((out / "heads" / name / "expected.json").read_text())
    folder = Path(tempfile.mkdtemp())
    for part in [out / "reference" / expected["body"], out / "heads" / name]:
        shutil.copytree(part, folder, dirs_exist_ok=True)
    return folder, expected


def rows(vectors):
    def numbers(row):
        return [float(str(x)) for x in np.asarray(row, dtype=np.float64).astype(np.float32)]
    return [[numbers(row) for row in text] for text in vectors]


def bge_m3(out):
    from FlagEmbedding.finetune.embedder.encoder_only.m3.modeling import EncoderOnlyEmbedderM3Model

    folder, expected = assembled(out, "bge-m3")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    base = {"model": AutoModel.from_pretrained(folder)}
    for name, width in [("sparse", 1), ("colbert", 16)]:
        layer = torch.nn.Linear(16, width)
        layer.load_state_dict(torch.load(folder / f"{name}_linear.pt", weights_only=True))
        base[f"{name}_linear"] = layer
    model = EncoderOnlyEmbedderM3Model(
        base, tokenizer=tokenizer, normalize_embeddings=True, sentence_pooling_method="cls"
    ).eval().double()
    special = {tokenizer.cls_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id, tokenizer.unk_token_id}
    colbert, sparse = [], []
    for text in expected["texts"]:
        features = tokenizer(text, truncation=True, max_length=48, return_tensors="pt")
        with torch.no_grad():
            last = base["model"](**features).last_hidden_state
            weights = model._sparse_embedding(last, features["input_ids"], return_embedding=False)[0, :, 0]
            matrix = model._colbert_embedding(last, features["attention_mask"])
            matrix = torch.nn.functional.normalize(matrix, dim=-1)[0]
        # As FlagEmbedding's `_process_token_weights` and `_process_colbert_vecs` do.
        best = {}
        for weight, token in zip(weights.tolist(), features["input_ids"][0].tolist()):
            if token not in special and weight > best.get(token, 0):
                best[token] = weight
        sparse.append(sorted(best.items()))
        colbert.append(matrix.numpy()[: int(features["attention_mask"].sum()) - 1])
    scores = []
    for query, document in zip(colbert, colbert[1:]):
        mask = torch.ones(1, len(query) + 1)
        pair = [torch.tensor(query)[None], torch.tensor(document)[None]]
        scores.append(model.compute_colbert_score(*pair, q_mask=mask).item())
    value = {"colbert": rows(colbert), "sparse": sparse, "similarity": scores}
    to = out / "heads" / "bge-m3" / "expected_others.json"
    to.write_text(json.dumps(value, separators=(",", ":")) + "\n", encoding="utf-8")
    print(to, to.stat().st_size, "bytes")


def pylate(out, name):
    from pylate import models

    folder, expected = assembled(out, name)
    model = models.ColBERT(str(folder), device="cpu")
    for side, is_query in [("query", True), ("document", False)]:
        for text, want in zip(expected["texts"], expected[side]):
            got = model.encode([text], is_query=is_query, show_progress_bar=False)[0]
            want = np.asarray(want)
            assert got.shape == want.shape, (name, side, text, got.shape, want.shape)
            difference = float(np.abs(got - want).max())
            assert difference < 1e-5, (name, side, text, difference)
    print(name, "equals PyLate")


def main():
    torch.set_num_threads(1)
    out = Path(sys.argv[1])
    bge_m3(out)
    for name in ["pylate", "colbert-ai"]:
        pylate(out, name)


if __name__ == "__main__":
    main()

"""Writes the gradients that PyTorch computes for the tiny models of tiny_models.py.

    python scripts/reference/tiny_gradients.py crates/splade-model/tests/fixtures/reference

The program writes gradients.json next to the models:

    {model: {"max": {tensor: [norm, projection]}, "sum": {tensor: [norm, projection]}}}

The loss is the sum of c · weight over all terms of the first five texts that have a token, with
c = ((7 · term + 13 · text) mod 11 - 5) / 5. The texts are encoded one at a time without dropout. For the gradient of
each tensor, computed in f64 from the f32 weights, the file holds the 2-norm (norm) and the sum of gradient[i] ·
((31 · i) mod 17 - 8) / 8 over its row-major numbers (projection).
"""

import json
import sys
from pathlib import Path

import torch
from transformers import AutoModelForMaskedLM


def pattern(count: int, factor: int, shift: int, modulus: int, middle: int, scale: int):
    index = torch.arange(count, dtype=torch.int64)
    return (((factor * index + shift) % modulus) - middle).double() / scale


def gradients(folder: Path, pooling: str) -> dict:
    model = AutoModelForMaskedLM.from_pretrained(folder, attn_implementation="eager").double().eval()
    expected = json.loads((folder / "expected.json").read_text())
    loss = 0.0
    for text, result in enumerate(expected["results"][:5]):
        ids = torch.tensor([result["input_ids"]])
        logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0]
        weights = torch.log1p(torch.relu(logits))
        pooled = weights.max(dim=0).values if pooling == "max" else weights.sum(dim=0)
        loss = loss + (pooled * pattern(pooled.numel(), 7, 13 * text, 11, 5, 5)).sum()
    loss.backward()
    result = {}
    for name, parameter in model.named_parameters():
        gradient = parameter.grad
        if gradient is None:
            gradient = torch.zeros_like(parameter)
        flat = gradient.reshape(-1)
        projection = (flat * pattern(flat.numel(), 31, 0, 17, 8, 8)).sum().item()
        result[name] = [float(f"{flat.norm().item():.8g}"), float(f"{projection:.8g}")]
    return result


def main() -> None:
    root = Path(sys.argv[1])
    result = {}
    for folder in sorted(root.iterdir()):
        if not (folder / "expected.json").is_file() or not (folder / "config.json").is_file():
            continue
        if "deberta" in folder.name or folder.name == "inference-free":
            continue
        result[folder.name] = {pooling: gradients(folder, pooling) for pooling in ("max", "sum")}
    text = json.dumps(result, indent=0, sort_keys=True)
    (root / "gradients.json").write_text(text + "\n")


if __name__ == "__main__":
    main()

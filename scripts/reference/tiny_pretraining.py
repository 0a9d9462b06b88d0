"""Runs masked language modelling in PyTorch for some of the tiny models of tiny_models.py.

    python scripts/reference/tiny_pretraining.py crates/splade-model/tests/fixtures/reference

The program writes pretraining.json next to the models. For each model it contains

    {"texts": [[id, ...], ...],              the texts after masking
     "masked": [[text, position, id], ...],  the ids to predict
     "loss": mean cross-entropy of the masked tokens, "correct": how many the largest logit predicts,
     "flops": sum over the terms of (mean weight over the texts)²,
     "gradients": {"masked": {tensor: [norm, projection]}, "regularized": {...}},
     "steps": [[total loss, gradient norm], ...], "trained": {tensor: [norm, projection]}}

Weights are max-pooled log(1 + relu(logit)), and "regularized" is the loss plus 0.05 · FLOPS. The steps
are those of torch.optim.AdamW on the regularized loss of this one batch: learning rate 2e-3 with
transformers' linear schedule (1 step of warm-up, 4 in all), weight decay 0.01 on everything,
epsilon 1e-6, gradients clipped at norm 1, strength 0.05 · min(1, step / 2)². Norms and projections
are those of tiny_gradients.py. Everything is computed in f64 from f32 weights, without dropout.
"""

import json
import sys
from pathlib import Path

import torch
from transformers import AutoModelForMaskedLM, get_linear_schedule_with_warmup

from tiny_gradients import pattern

MODELS = ["bert", "bert-untied", "distilbert", "electra", "modernbert", "roberta"]
STRENGTH = 0.05
STEPS = 4


def digits(x: float) -> float:
    return float(f"{x:.9g}")


def summary(tensors) -> dict:
    result = {}
    for name, tensor in tensors:
        flat = tensor.reshape(-1)
        projection = (flat * pattern(flat.numel(), 31, 0, 17, 8, 8)).sum().item()
        result[name] = [digits(flat.norm().item()), digits(projection)]
    return result


def mask(folder: Path, vocab: int):
    """Changes every third token except the first and last: it is hidden, replaced, or kept, in turn."""
    expected = json.loads((folder / "expected.json").read_text())
    texts = [result["input_ids"] for result in expected["results"] if len(result["input_ids"]) > 4]
    texts, masked = texts[:4], []
    for text, ids in enumerate(texts):
        for position in range(1 + text % 3, len(ids) - 1, 3):
            masked.append([text, position, ids[position]])
            kind = len(masked) % 3
            ids[position] = [4, (7 * ids[position] + 1) % vocab, ids[position]][kind]
    return texts, masked


def run(model, texts, masked):
    loss, correct, pooled = 0.0, 0, []
    for text, ids in enumerate(texts):
        ids = torch.tensor([ids])
        logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0]
        pooled.append(torch.log1p(torch.relu(logits)).max(dim=0).values)
        for _, position, target in [row for row in masked if row[0] == text]:
            row = logits[position]
            loss = loss + torch.nn.functional.cross_entropy(row, torch.tensor(target))
            correct += int(row.argmax().item() == target)
    flops = (torch.stack(pooled).mean(dim=0) ** 2).sum()
    return loss / len(masked), correct, flops


def load(folder: Path):
    return AutoModelForMaskedLM.from_pretrained(folder, attn_implementation="eager").double().eval()


def gradients(folder: Path, texts, masked, strength: float) -> dict:
    model = load(folder)
    loss, _, flops = run(model, texts, masked)
    (loss + strength * flops).backward()
    zero = torch.zeros_like
    named = model.named_parameters()
    return summary((name, p.grad if p.grad is not None else zero(p)) for name, p in named)


def steps(folder: Path, texts, masked):
    model = load(folder)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01, eps=1e-6)
    schedule = get_linear_schedule_with_warmup(optimizer, 1, STEPS)
    seen = []
    for step in range(STEPS):
        optimizer.zero_grad()
        loss, _, flops = run(model, texts, masked)
        total = loss + STRENGTH * min(1.0, step / 2) ** 2 * flops
        total.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        seen.append([digits(total.item()), digits(norm.item())])
        optimizer.step()
        schedule.step()
    return seen, summary((name, p.detach()) for name, p in model.named_parameters())


def main() -> None:
    root = Path(sys.argv[1])
    result = {}
    for name in MODELS:
        folder = root / name
        model = load(folder)
        texts, masked = mask(folder, model.config.vocab_size)
        loss, correct, flops = run(model, texts, masked)
        seen, trained = steps(folder, texts, masked)
        result[name] = {
            "texts": texts,
            "masked": masked,
            "loss": digits(loss.item()),
            "correct": correct,
            "flops": digits(flops.item()),
            "gradients": {
                "masked": gradients(folder, texts, masked, 0.0),
                "regularized": gradients(folder, texts, masked, STRENGTH),
            },
            "steps": seen,
            "trained": trained,
        }
    (root / "pretraining.json").write_text(json.dumps(result, indent=0) + "\n")


if __name__ == "__main__":
    main()

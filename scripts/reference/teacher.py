"""Writes the results of PyTorch, numpy and sentence-transformers for the parts of the teacher.

    python scripts/reference/teacher.py crates/splade-train/tests/fixtures/teacher

- losses.json: losses of torch.nn on logits and labels, in f64, with gradients
- metrics.json: the numbers of CrossEncoderRerankingEvaluator for random scores without ties
- inverse_sigmoid.json: the scores that run_predict_cross_encoder.py computes from logits
- pairs-*.pkl[.gz], pairs.json: pickles of several protocols with their contents, and two that a reader must refuse
- run.pkl.gz, run.json: eight steps of sentence-transformers' recipe on the tiny model `bert` of
  tiny_cross_encoders.py without dropout, in f64: losses, norms, rates, and the weights at the end
"""

import gzip
import json
import pickle
import random
import sys
from pathlib import Path

import numpy as np
import torch
from sentence_transformers.cross_encoder.evaluation import CrossEncoderRerankingEvaluator
from torch import nn
from transformers import AutoModelForSequenceClassification, AutoTokenizer, get_scheduler

from small_vocabularies import TEXTS
from tiny_gradients import pattern

MODEL = "crates/splade-model/tests/fixtures/cross_encoders/bert"


def losses():
    rng = np.random.default_rng(7)
    rows = []

    def add(name, loss, logits, labels, kind=torch.float64):
        z = torch.tensor(logits, dtype=torch.float32).double().requires_grad_(True)
        value = loss(z, torch.tensor(labels, dtype=kind))
        value.backward()
        rows.append({"loss": name, "logits": logits, "targets": [float(x) for x in np.ravel(labels)],
                     "value": value.item(), "gradients": z.grad.reshape(-1).tolist()})

    for logit in [-30.0, -2.5, -0.25, 0.0, 0.5, 3.0, 40.0]:
        for label in [0.0, 1.0, 0.75]:
            add("BCEWithLogitsLoss", nn.BCEWithLogitsLoss(), [logit], [label])
            add("MSELoss", nn.MSELoss(), [logit], [label])
            add("L1Loss", nn.L1Loss(), [logit], [label])
    add("L1Loss", nn.L1Loss(), [1.0], [1.0])
    for logits in [[0.0, 0.0], [3.0, -1.5], [-30.0, 30.0]]:
        for label in [0, 1]:
            entropy = lambda z, y: nn.CrossEntropyLoss()(z.reshape(1, -1), y.reshape(1))
            add("CrossEntropyLoss", entropy, logits, label, torch.long)
    for count in [2, 2, 3, 8]:
        logits = [float(np.float32(x)) for x in rng.normal(size=count) * 3]
        teacher = [float(np.float32(x)) for x in rng.normal(size=count) * 5]
        if count == 2:
            margins = lambda z, y: nn.MSELoss()(z[0] - z[1], y[0] - y[1])
            add("MarginMSELoss", margins, logits, teacher)
        kl = lambda z, y: nn.KLDivLoss(reduction="sum", log_target=True)(
            z.log_softmax(0), y.log_softmax(0))
        add("KLDivLoss", kl, logits, teacher)
    return rows


class Scores:
    """Replaces a model and returns the scores that were set."""

    def predict(self, pairs, **_):
        return np.array(self.scores)


def metrics():
    rng = np.random.default_rng(3)
    rows = []
    for _ in range(30):
        positives, negatives = int(rng.integers(1, 5)), int(rng.integers(1, 30))
        scores = [float(np.float32(x)) for x in rng.normal(size=positives + negatives)]
        model = Scores()
        model.scores = scores
        sample = {"query": "q", "positive": [f"p{i}" for i in range(positives)],
                  "negative": [f"n{i}" for i in range(negatives)]}
        evaluator = CrossEncoderRerankingEvaluator([sample], write_csv=False)
        evaluator.store_metrics_in_model_card_data = lambda *_: None
        got = evaluator(model)
        rows.append({"scores": scores, "positives": positives,
                     **{key: float(value) for key, value in got.items()}})
    return rows


def inverse_sigmoid(p):
    if p >= 1:
        return 10.0**6
    if p <= 0:
        return -(10.0**6)
    return float(np.log(p) - np.log(1 - p))


def compat():
    logits = torch.linspace(-30, 30, 61).tolist() + [-110.0, 0.001, 16.7, 17.5, 90.0]
    logits = torch.tensor(logits, dtype=torch.float32)
    probabilities = torch.sigmoid(logits).numpy().tolist()
    return [[z, inverse_sigmoid(p)] for z, p in zip(logits.tolist(), probabilities)]


class Evil:
    def __reduce__(self):
        return (print, ("code ran",))


def pickles(out):
    rng = random.Random(5)
    texts = [f"文書 {i} " + "あ" * rng.choice([0, 3, 90]) for i in range(20)]
    texts[3] = "x" * 300
    train = [(texts[rng.randrange(20)], texts[rng.randrange(20)], label)
             for label in [0, 1, 0, 1, 300, 70000, -1, -70000, 0.5, True, 2**40]]
    eval_samples = [
        {"query": texts[0], "positive": [texts[1]], "negative": texts[2:9]},
        {"query": "q", "positive": texts[3:6], "negative": []},
        {"query": texts[7], "positive": texts[7], "negative": [texts[1], texts[1]]},
    ]
    value = (eval_samples, train)
    for protocol, name in [(2, "pairs-2.pkl.gz"), (4, "pairs-4.pkl.gz"), (5, "pairs-5.pkl")]:
        data = pickle.dumps(value, protocol=protocol)
        if name.endswith(".gz"):
            data = gzip.compress(data, mtime=0)
        (out / name).write_bytes(data)
    shown = {
        "train": [[q, d, float(np.float32(label))] for q, d, label in train],
        "eval": [{**q, "positive": [q["positive"]] if isinstance(q["positive"], str) else q["positive"]}
                 for q in eval_samples],
    }
    (out / "pairs.json").write_text(json.dumps(shown, ensure_ascii=False) + "\n")
    (out / "evil.pkl").write_bytes(pickle.dumps(([], [Evil()]), protocol=4))
    (out / "other.pkl").write_bytes(pickle.dumps({"a": [1, 2]}, protocol=4))


def run(out):
    """Trains on all pairs in every step, so that their order does not matter."""
    rows = [(TEXTS[a], TEXTS[b], label) for a, b, label in [
        (0, 7, 1), (0, 4, 0), (1, 8, 1), (7, 8, 1), (7, 11, 0), (9, 4, 0), (10, 0, 1), (8, 12, 0)]]
    dev = [{"query": TEXTS[0], "positive": [TEXTS[7]], "negative": [TEXTS[4], TEXTS[12]]},
           {"query": TEXTS[7], "positive": [TEXTS[8]], "negative": [TEXTS[9], TEXTS[5]]}]
    (out / "run.pkl.gz").write_bytes(gzip.compress(pickle.dumps((dev, rows)), mtime=0))
    kind = AutoModelForSequenceClassification
    model = kind.from_pretrained(MODEL, attn_implementation="eager").double().eval()
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    pairs = tokenizer([[a, b] for a, b, _ in rows], truncation=True, max_length=40, padding=True,
                      return_tensors="pt")
    labels = torch.tensor([float(label) for _, _, label in rows], dtype=torch.float64)
    undecayed = ["bias", "LayerNorm.bias", "LayerNorm.weight"]
    plain = lambda name: any(part in name for part in undecayed)
    groups = [{"params": [p for n, p in model.named_parameters() if plain(n) == off],
               "weight_decay": 0.0 if off else 0.1} for off in [False, True]]
    optimizer = torch.optim.AdamW(groups, lr=5e-3)
    scheduler = get_scheduler("linear", optimizer, num_warmup_steps=2, num_training_steps=8)
    losses, norms, rates = [], [], []
    for _ in range(8):
        loss = nn.BCEWithLogitsLoss()(model(**pairs).logits.reshape(-1), labels)
        loss.backward()
        losses.append(loss.item())
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0).item())
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad()
    tensors = {}
    for name, parameter in model.named_parameters():
        flat = parameter.detach().reshape(-1)
        projection = (flat * pattern(flat.numel(), 31, 0, 17, 8, 8)).sum().item()
        tensors[name] = [float(f"{flat.norm().item():.8g}"), float(f"{projection:.8g}")]
    text = json.dumps({"losses": losses, "norms": norms, "rates": rates, "tensors": tensors})
    (out / "run.json").write_text(text + "\n")


def main():
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    for name, rows in [("losses", losses()), ("metrics", metrics()), ("inverse_sigmoid", compat())]:
        text = "[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n"
        (out / f"{name}.json").write_text(text)
    pickles(out)
    run(out)


if __name__ == "__main__":
    main()

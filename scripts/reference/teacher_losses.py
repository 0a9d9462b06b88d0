"""Computes the losses that use a teacher's scores and vectors: `python scripts/reference/teacher_losses.py OUT.json`.

The output contains small seeded batches of sparse vectors with the values and gradients of PyTorch in f64. The losses
are spelled out with PyTorch's functions over the dense matrices of a batch: per-query standardization, temperatures of
their own for student and teacher, and the divergence over all documents of the batch.
"""

import json
import random
import sys

import torch
import torch.nn.functional as F

VOCAB = 14


def batch(rng, queries, negatives):
    def row():
        return [rng.uniform(0.05, 2.5) if rng.random() < 0.4 else 0.0 for _ in range(VOCAB)]

    def rows(count):  # (count, vocab), with numbers that f32 represents exactly
        return torch.tensor([row() for _ in range(count)], dtype=torch.float32).to(torch.float64)

    def numbers(height, width, low, high):
        values = [[rng.uniform(low, high) for _ in range(width)] for _ in range(height)]
        return torch.tensor(values, dtype=torch.float32).to(torch.float64)

    documents = queries * (1 + negatives)
    return {"queries": rows(queries), "positives": rows(queries), "negatives": rows(queries * negatives),
            "teacher": numbers(queries, 1 + negatives, -4, 8),
            "similarities": numbers(queries, documents, 0.6, 0.95)}


def teacher_of(loss, scores):
    if loss["standardize"]:
        scores = (scores - scores.mean(1, keepdim=True)) / scores.std(1, correction=0, keepdim=True)
    default = 1.0 if loss["kind"] == "margin_mse" else loss["temperature"]
    return scores / (loss["teacher_temperature"] or default)


def divergence(student, teacher):
    return F.kl_div(F.log_softmax(student, 1), F.log_softmax(teacher, 1), log_target=True, reduction="batchmean")


def value_of(loss, b, q, p, n):
    queries, negatives = len(q), len(n) // len(q)
    own = torch.cat([(q * p).sum(1, keepdim=True), torch.einsum("qv,qnv->qn", q, n.reshape(queries, negatives, VOCAB))], 1)
    if loss["kind"] == "in_batch_kldiv":
        return divergence(q @ torch.cat([p, n]).T / loss["temperature"], teacher_of(loss, b["similarities"]))
    if loss["kind"] == "in_batch_negatives":
        others = q @ p.T
        rows = [torch.cat([own[i], others[i, [j for j in range(queries) if j != i]]]) for i in range(queries)]
        return -F.log_softmax(torch.stack(rows) / loss["temperature"], 1)[:, 0].mean()
    teacher = teacher_of(loss, b["teacher"])
    if loss["kind"] == "kldiv":
        return divergence(own / loss["temperature"], teacher)
    columns = 1 + negatives
    pairs = [(i, j) for i in range(columns) for j in range(i + 1, columns)]
    margins = lambda s: torch.stack([s[:, i] - s[:, j] for i, j in pairs], 1)
    return F.mse_loss(margins(own), margins(teacher))


def loss(kind, weight=1.0, temperature=1.0, teacher_temperature=None, standardize=False):
    return {"kind": kind, "weight": weight, "temperature": temperature, "teacher_temperature": teacher_temperature,
            "standardize": standardize}


def sparse(matrix):
    return [{"terms": [t for t in range(VOCAB) if row[t] != 0],
             "weights": [row[t].item() for t in range(VOCAB) if row[t] != 0]} for row in matrix]


def main():
    rng = random.Random(11)
    batches = {"3x2": batch(rng, 3, 2), "4x1": batch(rng, 4, 1)}
    sums = [
        ("3x2", [loss("kldiv", temperature=2.0, teacher_temperature=0.5)]),
        ("3x2", [loss("kldiv", standardize=True)]),
        ("3x2", [loss("kldiv", temperature=1.5, standardize=True)]),
        ("3x2", [loss("margin_mse", teacher_temperature=4.0)]),
        ("3x2", [loss("margin_mse", standardize=True, teacher_temperature=0.25)]),
        ("3x2", [loss("in_batch_kldiv")]),
        ("4x1", [loss("in_batch_kldiv", temperature=1.7, teacher_temperature=0.05)]),
        ("3x2", [loss("in_batch_kldiv", standardize=True)]),
        ("4x1", [loss("in_batch_kldiv", 0.6, teacher_temperature=0.1), loss("in_batch_negatives", 0.4)]),
        ("3x2", [loss("in_batch_negatives", temperature=0.7), loss("margin_mse", 0.05),
                 loss("in_batch_kldiv", 2.0, standardize=True, teacher_temperature=0.5)]),
    ]
    cases = []
    for name, losses in sums:
        b = batches[name]
        q, p, n = (b[part].clone().requires_grad_() for part in ("queries", "positives", "negatives"))
        parts = [value_of(l, b, q, p, n) for l in losses]
        total = sum(l["weight"] * part for l, part in zip(losses, parts))
        total.backward()
        gradients = {}
        for part, matrix in (("queries", q), ("positives", p), ("negatives", n)):
            gradients[part] = [[g.item() for g, w in zip(by, row) if w != 0]
                               for by, row in zip(matrix.grad, b[part])]
        cases.append({"batch": name, "losses": losses, "value": total.item(),
                      "parts": [part.item() for part in parts], "gradients": gradients})
    shown = {name: {"queries": sparse(b["queries"]), "positives": sparse(b["positives"]),
                    "negatives": sparse(b["negatives"]), "teacher": b["teacher"].tolist(),
                    "similarities": b["similarities"].tolist()} for name, b in batches.items()}
    with open(sys.argv[1], "w") as out:
        json.dump({"torch": torch.__version__, "batches": shown, "cases": cases}, out)
        out.write("\n")


if __name__ == "__main__":
    main()

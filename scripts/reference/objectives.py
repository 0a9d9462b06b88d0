"""Computes losses, regularizers, optimizers and schedules: `python scripts/reference/objectives.py OUT.json`.

The output contains small seeded batches of sparse vectors with the values and gradients of PyTorch in f64. For one
negative, light-splade's own classes compute them. For more negatives, this program spells the losses out with PyTorch's
functions. Thresholded FLOPS comes from sentence-transformers. The optimizers are those of torch.optim in f32, and the
schedules are those of transformers.
"""

import json
import math
import random
import sys

import torch
import torch.nn.functional as F
from light_splade import losses as library
from light_splade.regularizer import FLOPS, L1, RegularizerScheduler
from light_splade.utils.scoring import dot_product, dot_product_cross
from sentence_transformers.sparse_encoder.losses import FlopsLoss
from transformers import get_scheduler

VOCAB = 14


def batch(rng, queries, negatives, density, lowest=0.05):
    def row():
        return [rng.uniform(lowest, 2.5) if rng.random() < density else 0.0 for _ in range(VOCAB)]

    def rows(count):  # (count, vocab), with numbers that f32 represents exactly
        numbers = [row() for _ in range(count)]
        return torch.tensor(numbers, dtype=torch.float32).to(torch.float64).reshape(count, VOCAB)

    columns = 1 + negatives
    teacher = torch.tensor([[rng.uniform(-4, 8) for _ in range(columns)] for _ in range(queries)])
    return {"queries": rows(queries), "positives": rows(queries),
            "negatives": rows(queries * negatives), "teacher": teacher.to(torch.float64)}


def sparse(matrix):
    return [{"terms": [t for t in range(VOCAB) if row[t] != 0],
             "weights": [row[t].item() for t in range(VOCAB) if row[t] != 0]} for row in matrix]


def at_support(gradient, matrix):
    if gradient is None:
        gradient = torch.zeros_like(matrix)
    return [[g.item() for g, w in zip(grads, row) if w != 0] for grads, row in zip(gradient, matrix)]


def by_library(kind, q, p, n, teacher):
    """Computes a case with one negative and temperature 1 by the library's own classes."""
    if kind == "in_batch_negatives":
        return library.InBatchNegativesLoss()(
            {"pos_score": dot_product_cross(q, p), "neg_score": dot_product(q, n)})
    scores = {"pos_score": dot_product(q, p), "neg_score": dot_product(q, n),
              "teacher_pos_score": teacher[:, :1], "teacher_neg_score": teacher[:, 1:]}
    loss = {"pairwise_contrastive": library.PairwiseContrastiveLoss,
            "kldiv": library.DistillKLDivLoss, "margin_mse": library.DistillMarginMSELoss}[kind]()
    return loss(scores)


def spelled_out(kind, temperature, q, p, n, teacher):
    count, columns = teacher.shape
    total = 0
    for i in range(count):
        documents = [p[i]] + [n[i * (columns - 1) + c] for c in range(columns - 1)]
        own = torch.stack([q[i] @ d for d in documents])
        if kind == "in_batch_negatives":
            logits = torch.cat([own, torch.stack([q[i] @ p[j] for j in range(count) if j != i])])
            total = total + F.cross_entropy(logits[None] / temperature, torch.tensor([0]))
        elif kind == "pairwise_contrastive":
            total = total + F.cross_entropy(own[None] / temperature, torch.tensor([0]))
        elif kind == "kldiv":
            total = total + F.kl_div(F.log_softmax(own / temperature, 0),
                                     F.softmax(teacher[i] / temperature, 0), reduction="sum")
        else:
            margins = [((own[a] - own[b]) - (teacher[i, a] - teacher[i, b])) ** 2
                       for a in range(columns) for b in range(a)]
            total = total + sum(margins) / len(margins)
    return total / count


def activation(share, alpha, beta):
    return 0.0 if share == 0 else 1 / (1 + (share ** math.log(2, alpha) - 1) ** beta)


def penalty(config, rows, activations=None):
    if config["kind"] == "L1":
        return L1()(rows)
    if config["kind"] == "threshold":
        return FlopsLoss(None, config["threshold"]).compute_loss_from_embeddings(rows)
    if config["kind"] == "DF_FLOPS":
        return FLOPS()(rows * activations)
    return FLOPS()(rows)


def lambda_of(config, step):
    if config is None or config["T"] == 0:
        return config["lambda"] if config else 0.0
    scheduler = RegularizerScheduler(config["lambda"], config["T"])
    scheduler.set_step(step)
    return scheduler.get_lambda()


def objective(data, losses, query, doc, step, activations=None):
    q, p, n = (data[k].clone().requires_grad_() for k in ("queries", "positives", "negatives"))
    teacher = data["teacher"]
    negatives = teacher.shape[1] - 1
    components = {}
    total = torch.zeros((), dtype=torch.float64)
    for loss in losses:
        if negatives == 1 and loss["temperature"] == 1:
            value = by_library(loss["kind"], q, p, n, teacher)
        else:
            value = spelled_out(loss["kind"], loss["temperature"], q, p, n, teacher)
        components[loss["kind"] + "_loss"] = value.item()
        total = total + loss["weight"] * value
    lambda_q, lambda_d = lambda_of(query, step), lambda_of(doc, step)
    regularizer = torch.zeros((), dtype=torch.float64)
    if query:
        regularizer = regularizer + lambda_q * penalty(query, q, activations)
    if doc:
        columns = [p] + [n[c::negatives] for c in range(negatives)]
        parts = [penalty(doc, column, activations) for column in columns]
        regularizer = regularizer + lambda_d * sum(parts) / len(parts)
    (total + regularizer).backward()
    return {"loss": (total + regularizer).item(), "components": components,
            "regularizer": regularizer.item(), "lambda_q": lambda_q, "lambda_d": lambda_d,
            "gradients": {"queries": at_support(q.grad, q), "positives": at_support(p.grad, p),
                          "negatives": at_support(n.grad, n)}}


def loss(kind, weight=1.0, temperature=1.0):
    return {"kind": kind, "weight": weight, "temperature": temperature}


def objectives(rng):
    kinds = ["in_batch_negatives", "pairwise_contrastive", "kldiv", "margin_mse"]
    batches = {"one_negative": batch(rng, 4, 1, 0.4), "three_negatives": batch(rng, 3, 3, 0.5),
               "no_negative": batch(rng, 3, 0, 0.5), "one_query": batch(rng, 1, 2, 0.6, -1.5)}
    flops = {"kind": "FLOPS", "lambda": 0.3, "T": 10}
    l1 = {"kind": "L1", "lambda": 0.2, "T": 0}
    threshold = {"kind": "threshold", "threshold": 6, "lambda": 0.5, "T": 4}
    cases = []
    for kind in kinds:
        cases.append(("one_negative", [loss(kind)], l1, flops, 5))
        cases.append(("three_negatives", [loss(kind, 0.8, 0.7)], flops, threshold, 3))
    cases.append(("three_negatives", [loss("kldiv", 0.99), loss("margin_mse", 0.05)], l1, flops, 20))
    cases.append(("three_negatives", [loss("kldiv", 1.0, 2.0), loss("in_batch_negatives")], None, l1, 0))
    cases.append(("no_negative", [loss("in_batch_negatives", 1.0, 0.5)], threshold, flops, 2))
    cases.append(("one_query", [loss("pairwise_contrastive"), loss("kldiv")], flops, None, 7))
    made = {name: {k: sparse(v) if k != "teacher" else v.tolist() for k, v in data.items()}
            for name, data in batches.items()}
    return made, [dict(batch=name, losses=losses, query=query, doc=doc, step=step,
                       expected=objective(batches[name], losses, query, doc, step))
                  for name, losses, query, doc, step in cases]


def document_frequencies(rng):
    """Runs DF-FLOPS on the documents, with windows of two steps and two batches in one of the steps."""
    doc = {"kind": "DF_FLOPS", "alpha": 0.4, "beta": 3.0, "interval": 2, "lambda": 0.7, "T": 0}
    run, seen, last = [], [], None
    window = 0
    for step in [0, 1, 1, 2, 3, 4, 9]:
        data = batch(rng, 2, 2, 0.45)
        if step // doc["interval"] != window:
            window, last, seen = step // doc["interval"], seen, []
        seen = seen + list(data["positives"]) + list(data["negatives"])
        texts = last if last else seen
        shares = [sum(text[t].item() != 0 for text in texts) / len(texts) for t in range(VOCAB)]
        weights = torch.tensor([activation(s, doc["alpha"], doc["beta"]) for s in shares],
                               dtype=torch.float64)
        expected = objective(data, [loss("margin_mse")], None, doc, step, weights)
        run.append({"step": step, "expected": expected,
                    "batch": {k: sparse(v) if k != "teacher" else v.tolist() for k, v in data.items()}})
    return {"doc": doc, "run": run,
            "activations": [[a, b, s, activation(s, a, b)] for a, b, s in
                            [(0.1, 10.0, 0.1), (0.1, 10.0, 0.08), (0.1, 10.0, 0.12), (0.1, 10.0, 1.0),
                             (0.1, 10.0, 0.0), (0.3, 2.0, 0.5), (0.3, 2.0, 0.001)]]}


def optimizers():
    """Runs the optimizers on two tensors, clipped together at 1, with a different learning rate for every step."""
    rates = [1e-2, 2e-3, 5e-2, 0.0, 1e-3, 3e-2]
    made = []
    for name, make, decay in [
            ("adamw", lambda p: torch.optim.AdamW(p, lr=1.0, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.1, foreach=False), 0.1),
            ("adamw", lambda p: torch.optim.AdamW(p, lr=1.0, weight_decay=0.0, foreach=False), 0.0),
            ("sgd", lambda p: torch.optim.SGD(p, lr=1.0, weight_decay=0.1, foreach=False), 0.1),
            ("adagrad", lambda p: torch.optim.Adagrad(p, lr=1.0, weight_decay=0.1, foreach=False), 0.1),
            ("rmsprop", lambda p: torch.optim.RMSprop(p, lr=1.0, weight_decay=0.1, foreach=False), 0.1)]:
        torch.manual_seed(11)
        parameters = [torch.nn.Parameter(torch.randn(size)) for size in (9, 3)]
        case = {"kind": name, "weight_decay": decay, "start": [p.tolist() for p in parameters], "steps": []}
        optimizer = make(parameters)
        group = optimizer.param_groups[0]
        if name == "adamw":
            case |= {"beta1": group["betas"][0], "beta2": group["betas"][1], "epsilon": group["eps"]}
        for step, rate in enumerate(rates):
            for p in parameters:
                p.grad = torch.randn_like(p) * (0.05 if step % 2 else 3.0)
            gradients = [p.grad.tolist() for p in parameters]
            norm = torch.nn.utils.clip_grad_norm_(parameters, 1.0).item()
            group["lr"] = rate
            optimizer.step()
            case["steps"].append({"rate": rate, "gradients": gradients, "norm": norm,
                                  "values": [p.tolist() for p in parameters]})
        case["moments"] = {key: [optimizer.state[p][key].tolist() for p in parameters]
                           for key in optimizer.state[parameters[0]] if key != "step"
                           and optimizer.state[parameters[0]][key] is not None}
        made.append(case)
    return made


def schedules():
    total, made = 20, []
    for kind, kwargs in [("linear", {}), ("cosine", {}), ("cosine", {"num_cycles": 1.25}),
                         ("cosine_with_restarts", {}), ("cosine_with_restarts", {"num_cycles": 3}),
                         ("polynomial", {}), ("polynomial", {"lr_end": 1e-5, "power": 2.0}),
                         ("constant", {}), ("constant_with_warmup", {}), ("inverse_sqrt", {})]:
        for warmup in (0, 6, 20):
            optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=3e-4)
            scheduler = get_scheduler(kind, optimizer, warmup, total, scheduler_specific_kwargs=kwargs)
            rates = []
            try:
                for _ in range(total + 3):
                    rates.append(scheduler.get_last_lr()[0])
                    optimizer.step()
                    scheduler.step()
            except ZeroDivisionError:
                pass  # transformers' polynomial schedule fails if all steps are warm-up
            made.append({"kind": kind, "kwargs": kwargs, "warmup": warmup, "total": total,
                         "rate": 3e-4, "rates": rates})
    # get_scheduler ignores the arguments of inverse_sqrt.
    from transformers import get_inverse_sqrt_schedule
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=3e-4)
    scheduler = get_inverse_sqrt_schedule(optimizer, 4, timescale=9)
    rates = []
    for _ in range(total):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    made.append({"kind": "inverse_sqrt", "kwargs": {"timescale": 9}, "warmup": 4, "total": total,
                 "rate": 3e-4, "rates": rates})
    return made


def main(path):
    torch.set_num_threads(1)
    rng = random.Random(5)
    batches, cases = objectives(rng)
    made = {"batches": batches, "objectives": cases, "document_frequency": document_frequencies(rng),
            "optimizers": optimizers(), "schedules": schedules()}
    with open(path, "w") as file:
        json.dump(made, file, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main(sys.argv[1])

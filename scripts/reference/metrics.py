"""Computes metrics and paired tests: `python scripts/reference/metrics.py OUT.json`.

The output contains small seeded judgements and runs with the values that trec_eval gives them (by pytrec_eval), and
small seeded differences with the results of scipy's tests. Qrels and runs are TREC text, so that a test reads exactly
the text that was evaluated.
"""

import json
import random
import sys
from pathlib import Path

import numpy as np
import pytrec_eval
from scipy import stats

CUTOFFS = [1, 3, 10, 100]
MEASURES = {f"{name}.{','.join(map(str, CUTOFFS))}" for name in
            ["ndcg_cut", "map_cut", "recall", "P", "success"]} | {"ndcg", "map", "recip_rank"}


def read(text, value_field, cast):
    read = {}
    for line in text.splitlines():
        fields = line.split()
        read.setdefault(fields[0], {})[fields[2]] = cast(fields[value_field])
    return read


def case(name, qrels, run):
    """Returns the values of the run's judged queries, and their means over these and over all judged queries."""
    judged, found = read(qrels, 3, int), read(run, 4, float)
    queries = pytrec_eval.RelevanceEvaluator(judged, MEASURES).evaluate(found)
    for values in queries.values():
        # trec_eval has no cut-off here. A first relevant document beyond rank k does not count.
        for k in CUTOFFS:
            rank = values["recip_rank"]
            values[f"mrr_cut_{k}"] = rank if rank >= 1 / k else 0.0
    measures = sorted(next(iter(queries.values())))
    sums = {m: sum(queries[q][m] for q in sorted(queries)) for m in measures}
    return {
        "name": name, "qrels": qrels, "run": run,
        "queries": {q: {m: queries[q][m] for m in measures} for q in sorted(queries)},
        "mean_found": {m: sums[m] / len(queries) for m in measures},
        "mean_judged": {m: sums[m] / len(judged) for m in measures},
    }


def random_case(rng, name, queries, documents, depth, grades, scores):
    qrels, run = [], []
    for query in range(queries):
        for document in rng.sample(range(documents), rng.randint(1, min(12, documents))):
            qrels.append(f"q{query} 0 d{document} {rng.choice(grades)}")
        for document in rng.sample(range(documents), min(depth, documents)):
            run.append(f"q{query} Q0 d{document} {rng.randint(1, 9)} {scores(rng)} x")
    rng.shuffle(run)
    return case(name, "\n".join(qrels) + "\n", "\n".join(run) + "\n")


def cases():
    rng = random.Random(2107)
    yield case(
        "ties by id backwards, in 32 bits",
        "1 0 a 1\n2 0 b 1\n3 0 B 1\n4 0 é 1\n5 0 d10 1\n",
        "1 Q0 a 1 1.00000001 x\n1 Q0 z 2 1 x\n"   # equal in 32 bits, though not in 64
        "2 Q0 a 1 -3.5 x\n2 Q0 b 2 -3.5 x\n"
        "3 Q0 B 1 0 x\n3 Q0 a 2 -0.0 x\n"          # capitals before small letters
        "4 Q0 é 1 7 x\n4 Q0 z 2 7 x\n4 Q0 あ 3 7 x\n"
        "5 Q0 d10 1 1e-3 x\n5 Q0 d9 2 0.001 x\n",  # text, not numbers
    )
    yield case(
        "queries that are missing, not judged, or without a relevant document",
        "1 0 a 1\n2 0 a 1\n2 0 b 1\n3 0 a 0\n3 0 b -1\n4 0 a 2\n",
        "1 Q0 x 1 2 x\n1 Q0 a 2 1 x\n3 Q0 a 1 1 x\n3 Q0 b 1 0 x\n9 Q0 a 1 1 x\n4 Q0 b 1 1 x\n",
    )
    yield random_case(rng, "graded, deep", 5, 40, 30, [-1, 0, 0, 1, 2, 3], lambda r: r.random())
    yield random_case(rng, "graded, many ties", 5, 30, 20, [0, 1, 1, 5], lambda r: r.randint(0, 3))
    yield random_case(rng, "shallow", 6, 12, 2, [0, 1], lambda r: r.gauss(0, 1))
    yield random_case(rng, "more than 100 documents", 2, 150, 130, [1], lambda r: r.random())


def test(name, a, b, exact):
    a, b = np.array(a), np.array(b)
    t = stats.ttest_rel(b, a)
    result = {"name": name, "baseline": a.tolist(), "other": b.tolist(),
              "t": t.statistic, "p_t": t.pvalue}
    if exact:
        def mean_difference(x, y, axis):
            return np.mean(y - x, axis=axis)
        result["p_exact"] = stats.permutation_test(
            (a, b), mean_difference, permutation_type="samples", vectorized=True,
            n_resamples=np.inf, alternative="two-sided").pvalue
    return result


def tests():
    rng = random.Random(2507)
    def values(n):
        return [round(rng.random(), 3) for _ in range(n)]
    def shifted(a, by, spread):
        return [round(x + rng.gauss(by, spread), 3) for x in a]
    yield test("two", [0.1, 0.2], [0.3, 0.25], True)
    a = values(8)
    yield test("eight, no difference", a, shifted(a, 0, 0.2), True)
    a = values(10)
    yield test("ten, better", a, shifted(a, 0.2, 0.1), True)
    # Reciprocal ranks have many equal values and many ties.
    ranks = [1, 1 / 2, 1 / 3, 1 / 4, 1 / 5, 0]
    yield test("fifteen reciprocal ranks", rng.choices(ranks, k=15), rng.choices(ranks, k=15), True)
    a = values(300)
    yield test("300, hardly better", a, shifted(a, 0.01, 0.1), False)
    yield test("300, no doubt", a, shifted(a, 0.1, 0.05), False)
    yield test("300, unrelated", a, values(300), False)


def main():
    fixture = {"cases": list(cases()), "tests": list(tests())}
    text = json.dumps(fixture, ensure_ascii=False, indent=1)
    Path(sys.argv[1]).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

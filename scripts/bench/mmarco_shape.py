"""Writes files with the size and shape of mMARCO but without its texts, to measure `convert mmarco`.

    python scripts/bench/mmarco_shape.py FOLDER [SHARE]
    nice /usr/bin/time -v light-splade convert mmarco FOLDER --for triplet -o OUT

SHARE 1 has 8,841,823 passages, 808,731 + 101,093 queries and 39,780,811 triples of 502,939 queries. The texts are short
and seeded, and one passage in a hundred repeats an earlier text.
"""

import random
import sys
from pathlib import Path

folder, share = Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 1.0
passages, train, dev, triples, asked = (
    int(n * share) for n in (8_841_823, 808_731, 101_093, 39_780_811, 502_939)
)
rng = random.Random(1)
folder.mkdir(parents=True, exist_ok=True)


def text(number):
    return f"文書 {number * 2654435761 % 4294967296:x} の本文。" * 2


with open(folder / "collection.tsv", "w", encoding="utf-8") as file:
    for i in range(passages):
        file.write(f"{i}\t{text(i if i % 100 else i // 2)}\n")
ids = rng.sample(range(1_200_000), train + dev)
with open(folder / "queries.train.tsv", "w", encoding="utf-8") as file:
    for i in ids[:train]:
        file.write(f"{i}\t質問 {i}\n")
with open(folder / "queries.dev.tsv", "w", encoding="utf-8") as file:
    for place, i in enumerate(ids[train:]):
        # One query in twenty has the text of a train query.
        file.write(f"{i}\t質問 {ids[place % asked] if place % 20 == 0 else i}\n")
with open(folder / "triples.train.ids.small.tsv", "w") as file:
    for i in range(triples):
        query = rng.randrange(asked)
        positive = query * 17 % passages
        file.write(f"{ids[query]}\t{positive}\t{rng.randrange(passages)}\n")

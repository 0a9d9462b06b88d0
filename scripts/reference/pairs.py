"""Writes the ids and token types that transformers gives for pairs of texts.

    python scripts/reference/pairs.py crates/splade-text/tests/fixtures

The program writes pairs.json for the tokenizer folders of tokenization.py: {folder: [[a, b, longest, ids, types],
...]}, where a and b are the numbers of the texts in texts.json. `longest` is null if nothing is truncated. Tokenizers
that give no token types have zeros.
"""

import json
import os
import random
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

from transformers import AutoTokenizer

FOLDERS = [
    "bert-uncased", "bert-cased", "bert-json", "bert-added", "roberta", "bpe-prefix", "unigram",
    "ja-wordpiece", "ja-character", "ja-lower",
]


def main():
    root = Path(sys.argv[1])
    texts = json.loads((root / "texts.json").read_text(encoding="utf-8"))
    rows = {}
    for name in FOLDERS:
        tokenizer = AutoTokenizer.from_pretrained(root / name)
        rng = random.Random(name)
        rows[name] = []
        for longest in [None, 6, 9, 10, 15, 16, 32]:
            for _ in range(8):
                a, b = rng.randrange(len(texts)), rng.randrange(len(texts))
                options = {} if longest is None else {"truncation": True, "max_length": longest}
                # The pair is passed as a batch, because an empty second text alone would count as missing.
                got = tokenizer([[texts[a], texts[b]]], **options)
                ids = got["input_ids"][0]
                types = got.get("token_type_ids", [[0] * len(ids)])[0]
                rows[name].append([a, b, longest, ids, types])
    lines = [
        json.dumps(name) + ": [\n" + ",\n".join(json.dumps(row) for row in found) + "\n]"
        for name, found in rows.items()
    ]
    (root / "pairs.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()

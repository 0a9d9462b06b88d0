"""Writes the places of tokens that the library `tokenizers` gives, for the tests of splade-text.

    pip install tokenizers==0.23.3
    python scripts/reference/token_places.py

For each folder with a tokenizer.json and each of the first texts of texts.json: the tokens without special ones,
each with its id and the first and last byte of its place, without blanks at its ends.
"""

import json
from pathlib import Path

from tokenizers import Tokenizer, pre_tokenizers

FIXTURES = Path(__file__).parents[2] / "crates/splade-text/tests/fixtures"
FOLDERS = ["bert-json", "roberta", "unigram", "bpe-prefix"]

texts = json.loads((FIXTURES / "texts.json").read_text())[:48]
places = {}
for folder in FOLDERS:
    tokenizer = Tokenizer.from_file(str(FIXTURES / folder / "tokenizer.json"))
    # As transformers does, the config decides about the blank before a text.
    if isinstance(tokenizer.pre_tokenizer, pre_tokenizers.ByteLevel):
        config = json.loads((FIXTURES / folder / "tokenizer_config.json").read_text())
        prefix = config.get("add_prefix_space", False)
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    unknown = [t for t in ("[UNK]", "<unk>") if tokenizer.token_to_id(t) is not None]
    rows = []
    for text in texts:
        encoding = tokenizer.encode(text, add_special_tokens=False)
        row = []
        for id, token, (start, end) in zip(encoding.ids, encoding.tokens, encoding.offsets):
            piece = text[start:end]
            start += len(piece) - len(piece.lstrip())
            end -= len(piece) - len(piece.rstrip())
            first = len(text[:start].encode())
            last = first + len(text[start:max(start, end)].encode())
            row.append([id, first, last] if token not in unknown and last > first else [id])
        rows.append(row)
    places[folder] = rows
(FIXTURES / "places.json").write_text(json.dumps(places, separators=(",", ":")) + "\n")

"""Takes terms out of the vectors of a SPLADE model: their biases in the decoder become so low that no text has them.

Run: python scripts/recipes/silence_terms.py FOLDER TERM...        (needs numpy and safetensors)

For terms that nearly every query has whatever it is about, which contrastive training makes of words it does not need.
The tokens stay in the vocabulary. The folder is changed in place.
"""

import sys
from pathlib import Path

from safetensors.numpy import load_file, save_file

BIAS = "cls.predictions.bias"


def main(folder, terms):
    vocabulary = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
    missing = [term for term in terms if term not in vocabulary]
    if missing:
        sys.exit(f"{folder / 'vocab.txt'} has no {', '.join(missing)}")
    tensors = load_file(folder / "model.safetensors")
    for term in terms:
        tensors[BIAS][vocabulary.index(term)] = -100.0
    written = folder / "model.safetensors.new"
    save_file(tensors, written, metadata={"format": "pt"})
    written.rename(folder / "model.safetensors")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), sys.argv[2:])

"""A loaded model, as the encoders of this package share it."""

import os
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from ._native import Encoder
from ._progress import reporter
from .errors import InvalidArgumentError
from .vectors import SparseVectors

Path = str | os.PathLike[str]


def check_device(device: object) -> None:
    """Accepts the CPU, in any of the ways in which it is named."""
    if device is not None and str(device) != "cpu":
        message = f"there is no device {str(device)!r}: this package computes on the CPU"
        raise InvalidArgumentError(message, 'leave device out, or give "cpu"')


def check_batch_size(batch_size: int) -> None:
    """Refuses what is no number of texts. Batches are made by tokens, and results do not depend on them."""
    if batch_size < 1:
        raise InvalidArgumentError(f"batch_size is {batch_size}", "give a number above 0")


def check_dims(max_active_dims: int | None) -> None:
    """Refuses a number of weights that no vector can have."""
    if max_active_dims is not None and max_active_dims < 1:
        raise InvalidArgumentError(f"max_active_dims is {max_active_dims}", "give a number above 0")


class Model:
    """The native encoder of a model with the names of its terms. It is pickled by its name: the other process loads the
    model again."""

    def __init__(self, name: Path, *, max_active_dims: int | None = None, **options: Any) -> None:
        self.name = os.fspath(name)
        self.max_active_dims = max_active_dims
        self.options = {key: value for key, value in options.items() if value is not None}
        self.native = Encoder(self.name, **self.options, reporter=reporter())

    def __reduce__(self) -> tuple[Any, tuple[str, dict[str, Any]]]:
        return _load, (self.name, {"max_active_dims": self.max_active_dims, **self.options})

    @cached_property
    def size(self) -> int:
        """The number of terms."""
        return self.native.vocab_size

    @cached_property
    def tokens(self) -> list[str]:
        """The token of each term."""
        return self.native.tokens()

    @cached_property
    def ids(self) -> dict[str, int]:
        """The term of each token."""
        return {token: term for term, token in enumerate(self.tokens)}

    def encode(self, texts: Sequence[str], side: str, **settings: Any) -> SparseVectors:
        """The vectors of texts."""
        settings.setdefault("max_active_dims", self.max_active_dims)
        matrix = self.native.encode(check_texts(texts), side, **settings)
        return SparseVectors(*matrix, self.size, self.tokens)


def check_texts(texts: Sequence[str]) -> list[str]:
    """A list of texts; a text alone would be taken for a list of its characters."""
    if isinstance(texts, str):
        raise InvalidArgumentError("texts is one text", "give a list of texts: [text]")
    texts = list(texts)
    for at, text in enumerate(texts):
        if not isinstance(text, str):
            raise InvalidArgumentError(f"text {at} is of type {type(text).__name__}, not str")
    return texts


def _load(name: str, options: dict[str, Any]) -> Model:
    return Model(name, **options)

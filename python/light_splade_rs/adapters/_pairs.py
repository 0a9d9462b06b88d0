"""Vectors as the lists of numbers that most libraries take."""

from typing import NamedTuple

from ..sparse_encoder import SparseEncoder
from ..vectors import SparseVectors


class Pair(NamedTuple):
    """The term ids and the weights of a vector."""

    indices: list[int]
    values: list[float]


def of_model(model: "SparseEncoder | str") -> SparseEncoder:
    """An encoder, or that of a name."""
    return model if isinstance(model, SparseEncoder) else SparseEncoder(model)


def pairs(vectors: SparseVectors) -> list[Pair]:
    """The rows of a matrix."""
    return [Pair(row.indices.tolist(), row.values.tolist()) for row in vectors]


def documents(model: SparseEncoder, texts: list[str]) -> list[Pair]:
    """The vectors of documents."""
    return pairs(model.encode_document(texts, return_type="vectors"))


def queries(model: SparseEncoder, texts: list[str]) -> list[Pair]:
    """The vectors of queries."""
    return pairs(model.encode_query(texts, return_type="vectors"))

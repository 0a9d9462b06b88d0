"""Haystack: components that embed documents and queries sparsely. It needs ``haystack-ai``.

from light_splade_rs.adapters.haystack import SpladeDocumentEmbedder, SpladeTextEmbedder

documents = SpladeDocumentEmbedder("mini-ja-en").run(documents)["documents"]
query = SpladeTextEmbedder("mini-ja-en").run("a query")["sparse_embedding"]
"""

from dataclasses import replace
from typing import Any

from haystack import Document, component, default_from_dict, default_to_dict
from haystack.dataclasses import SparseEmbedding

from ..sparse_encoder import SparseEncoder
from . import _pairs
from ._pairs import Pair

__all__ = ["SpladeDocumentEmbedder", "SpladeTextEmbedder"]


def _embedding(vector: Pair) -> SparseEmbedding:
    return SparseEmbedding(indices=vector.indices, values=vector.values)


class _Embedder:
    """A model that is loaded by `warm_up`, or by the first run."""

    def __init__(self, model: str = "mini-ja-en") -> None:
        self.model = model
        self._encoder: SparseEncoder | None = None

    def warm_up(self) -> None:
        """Loads the model."""
        self._loaded()

    def _loaded(self) -> SparseEncoder:
        if self._encoder is None:
            self._encoder = SparseEncoder(self.model)
        return self._encoder

    def to_dict(self) -> dict[str, Any]:
        """The component as a dictionary."""
        settings: dict[str, Any] = default_to_dict(self, model=self.model)
        return settings

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Any:
        """A component of a dictionary."""
        return default_from_dict(cls, data)


@component
class SpladeDocumentEmbedder(_Embedder):
    """Gives each document its ``sparse_embedding``."""

    def __init__(self, model: str = "mini-ja-en", meta_fields_to_embed: list[str] | None = None) -> None:
        """Takes the name of a model, and the names of fields of ``meta`` that are put before the content."""
        # `component` makes a class anew, for which `super` finds nothing.
        _Embedder.__init__(self, model)
        self.meta_fields_to_embed = meta_fields_to_embed or []

    @component.output_types(documents=list[Document])
    def run(self, documents: list[Document]) -> dict[str, list[Document]]:
        """Returns copies of the documents with their sparse embeddings."""
        fields = self.meta_fields_to_embed
        texts = [
            "\n".join([*(str(d.meta[name]) for name in fields if d.meta.get(name)), d.content or ""]) for d in documents
        ]
        vectors = _pairs.documents(self._loaded(), texts)
        pairs = zip(documents, vectors, strict=True)
        return {"documents": [replace(d, sparse_embedding=_embedding(vector)) for d, vector in pairs]}

    def to_dict(self) -> dict[str, Any]:
        """The component as a dictionary."""
        settings: dict[str, Any] = default_to_dict(self, model=self.model, meta_fields_to_embed=self.meta_fields_to_embed)
        return settings


@component
class SpladeTextEmbedder(_Embedder):
    """Embeds a query."""

    @component.output_types(sparse_embedding=SparseEmbedding)
    def run(self, text: str) -> dict[str, SparseEmbedding]:
        """Returns the sparse embedding of a query."""
        [vector] = _pairs.queries(self._loaded(), [text])
        return {"sparse_embedding": _embedding(vector)}

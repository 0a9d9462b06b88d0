"""Milvus: an embedding function with the methods of those of `milvus_model` (`pymilvus.model`). It needs scipy.

from light_splade_rs.adapters.milvus import SpladeEmbeddingFunction

embed = SpladeEmbeddingFunction("mini-ja-en")
vectors = embed.encode_documents(texts)
client.insert("notes", [{"id": i, "sparse": vectors[[i]]} for i in range(len(texts))])
"""

from typing import TYPE_CHECKING

from .._forms import scipy_sparse
from ..sparse_encoder import SparseEncoder
from ..vectors import SparseVectors
from ._pairs import of_model

if TYPE_CHECKING:
    import scipy.sparse

__all__ = ["SpladeEmbeddingFunction"]


class SpladeEmbeddingFunction:
    """Encodes texts into a ``csr_array`` of scipy, (texts, vocabulary), whose rows Milvus takes as sparse vectors."""

    def __init__(self, model: SparseEncoder | str = "mini-ja-en") -> None:
        self.model = of_model(model)

    def __call__(self, texts: list[str]) -> "scipy.sparse.csr_array":
        """The vectors of documents."""
        return self.encode_documents(texts)

    def encode_documents(self, documents: list[str]) -> "scipy.sparse.csr_array":
        """The vectors of documents."""
        return _array(self.model.encode_document(documents, return_type="vectors"))

    def encode_queries(self, queries: list[str]) -> "scipy.sparse.csr_array":
        """The vectors of queries."""
        return _array(self.model.encode_query(queries, return_type="vectors"))

    @property
    def dim(self) -> int:
        """The number of terms of the vocabulary."""
        return len(self.model)


def _array(vectors: SparseVectors) -> "scipy.sparse.csr_array":
    arrays = (vectors.data, vectors.indices, vectors.indptr)
    return scipy_sparse().csr_array(arrays, shape=vectors.shape)

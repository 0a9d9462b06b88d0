"""LlamaIndex: the two functions that `QdrantVectorStore` encodes sparse vectors with.

from llama_index.vector_stores.qdrant import QdrantVectorStore
from light_splade_rs.adapters.llama_index import sparse_functions

sparse_doc_fn, sparse_query_fn = sparse_functions("mini-ja-en")
store = QdrantVectorStore(
    "notes", client=client, enable_hybrid=True,
    sparse_doc_fn=sparse_doc_fn, sparse_query_fn=sparse_query_fn,
)
"""

from collections.abc import Callable

from ..sparse_encoder import SparseEncoder
from ._pairs import Pair, documents, of_model, queries

__all__ = ["sparse_functions"]

#: A function from texts to the term ids and the weights of their vectors.
SparseFunction = Callable[[list[str]], tuple[list[list[int]], list[list[float]]]]


def sparse_functions(model: SparseEncoder | str = "mini-ja-en") -> tuple[SparseFunction, SparseFunction]:
    """The functions for documents and for queries of one model."""
    encoder = of_model(model)

    def split(vectors: list[Pair]) -> tuple[list[list[int]], list[list[float]]]:
        return [vector.indices for vector in vectors], [vector.values for vector in vectors]

    def sparse_doc_fn(texts: list[str]) -> tuple[list[list[int]], list[list[float]]]:
        return split(documents(encoder, texts))

    def sparse_query_fn(texts: list[str]) -> tuple[list[list[int]], list[list[float]]]:
        return split(queries(encoder, texts))

    return sparse_doc_fn, sparse_query_fn

"""LangChain: sparse embeddings for `langchain_qdrant`.

from langchain_qdrant import QdrantVectorStore, RetrievalMode
from light_splade_rs.adapters.langchain import SpladeSparseEmbeddings

store = QdrantVectorStore.from_texts(
    texts,
    sparse_embedding=SpladeSparseEmbeddings("mini-ja-en"),
    retrieval_mode=RetrievalMode.SPARSE,
    location=":memory:",
)
"""

import asyncio

from ..sparse_encoder import SparseEncoder
from ._pairs import Pair, documents, of_model, queries

__all__ = ["SpladeSparseEmbeddings"]


class SpladeSparseEmbeddings:
    """Has the methods of LangChain's ``SparseEmbeddings``; vectors have ``indices`` and ``values``."""

    def __init__(self, model: SparseEncoder | str = "mini-ja-en") -> None:
        self.model = of_model(model)

    def embed_documents(self, texts: list[str]) -> list[Pair]:
        """The vectors of documents."""
        return documents(self.model, texts)

    def embed_query(self, text: str) -> Pair:
        """The vector of a query."""
        return queries(self.model, [text])[0]

    async def aembed_documents(self, texts: list[str]) -> list[Pair]:
        """The vectors of documents, computed in another thread."""
        return await asyncio.to_thread(self.embed_documents, texts)

    async def aembed_query(self, text: str) -> Pair:
        """The vector of a query, computed in another thread."""
        return await asyncio.to_thread(self.embed_query, text)

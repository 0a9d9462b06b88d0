"""BEIR: a retriever for `EvaluateRetrieval`, which indexes the corpus and searches the index; and the methods of an
encoder.

    from beir.retrieval.evaluation import EvaluateRetrieval
    from light_splade_rs.adapters.beir import SpladeSearch

    retriever = EvaluateRetrieval(SpladeSearch("mini-ja-en"), score_function="dot")
    results = retriever.retrieve(corpus, queries)
"""

import os
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

from ..index import Index
from ..searcher import Searcher
from ..sparse_encoder import SparseEncoder
from ._pairs import of_model

__all__ = ["SpladeSearch"]


class SpladeSearch:
    """Searches a corpus for queries. A document that has the id of its query is left out, as BEIR does."""

    def __init__(self, model: SparseEncoder | str = "mini-ja-en", batch_size: int = 128, **settings: Any) -> None:
        """Takes a model or its name; ``batch_size`` and other settings of BEIR's retrievers have no effect."""
        self.model = of_model(model)
        self.batch_size = batch_size
        self.results: dict[str, dict[str, float]] = {}

    def search(
        self,
        corpus: Mapping[str, Mapping[str, str]],
        queries: Mapping[str, str],
        top_k: int,
        score_function: str = "dot",
        **settings: Any,
    ) -> dict[str, dict[str, float]]:
        """The best documents for each query with their scores."""
        if score_function != "dot":
            raise ValueError(f"score function {score_function!r}: SPLADE vectors are compared by 'dot'")
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "index")
            with Index.create(path, self.model, weights="f32") as index:
                index.add((id, text_of(document)) for id, document in corpus.items())
            # One more than asked for: the document with the query's id does not count.
            hits = Searcher(path, self.model).search_many(list(queries.values()), top_k + 1)
        self.results = {
            query: dict([(hit.id, hit.score) for hit in found if hit.id != query][:top_k])
            for query, found in zip(queries, hits, strict=True)
        }
        return self.results

    def encode_queries(self, queries: list[str], batch_size: int = 32, **settings: Any) -> Any:
        """The dense vectors of queries, (queries, vocabulary)."""
        return self.model.encode_query(queries, return_type=_dense(settings))

    def encode_corpus(self, corpus: Sequence[Mapping[str, str]], batch_size: int = 32, **settings: Any) -> Any:
        """The dense vectors of documents, (documents, vocabulary): four bytes for each term of the vocabulary."""
        texts = [text_of(document) for document in corpus]
        return self.model.encode_document(texts, return_type=_dense(settings))


def _dense(settings: Mapping[str, Any]) -> str:
    return "tensor" if settings.get("convert_to_tensor") else "numpy"


def text_of(document: Mapping[str, str]) -> str:
    """The text of a document, after its title."""
    title, text = document.get("title") or "", document.get("text") or ""
    return f"{title} {text}".strip()

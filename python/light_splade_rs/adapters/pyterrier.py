"""PyTerrier: transformers that give queries and documents their terms. It needs ``pyterrier``.

import pyterrier as pt
from light_splade_rs.adapters.pyterrier import SpladeDocuments, SpladeQueries

indexer = SpladeDocuments("mini-ja-en") >> pt.terrier.IterDictIndexer("./index", pretokenised=True)
indexer.index(dataset.get_corpus_iter())
search = SpladeQueries("mini-ja-en") >> pt.terrier.Retriever("./index", wmodel="Tf")
"""

from typing import Any

import pyterrier as pt

from ..sparse_encoder import SparseEncoder
from ._pairs import of_model

__all__ = ["SpladeDocuments", "SpladeQueries"]


class SpladeDocuments(pt.Transformer):
    """Adds the column ``toks`` to a table with ``text``: the terms of each document with integer weights, ``scale`` times
    the model's and rounded."""

    def __init__(self, model: SparseEncoder | str = "mini-ja-en", scale: float = 100.0, text_field: str = "text") -> None:
        self.model = of_model(model)
        self.scale = scale
        self.text_field = text_field

    def transform(self, table: Any) -> Any:
        """The table with the new column."""
        vectors = self.model.encode_document(table[self.text_field].tolist(), return_type="vectors")
        tokens = [
            {token: count for token, weight in row if (count := round(weight * self.scale)) > 0}
            for row in vectors.decode()
        ]
        return table.assign(toks=tokens)


class SpladeQueries(pt.Transformer):
    """Adds the column ``query_toks`` to a table with ``query``: the terms of each query with their weights."""

    def __init__(self, model: SparseEncoder | str = "mini-ja-en") -> None:
        self.model = of_model(model)

    def transform(self, table: Any) -> Any:
        """The table with the new column; PyTerrier keeps the text of the query in ``query_0``."""
        vectors = self.model.encode_query(table["query"].tolist(), return_type="vectors")
        tokens = [dict(row) for row in vectors.decode()]
        return pt.model.push_queries(table).assign(query_toks=tokens, query=table["query"])

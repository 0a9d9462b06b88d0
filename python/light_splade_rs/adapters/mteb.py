"""MTEB 2: a search model, which indexes the corpus and searches the index. It needs ``mteb``.

import mteb
from light_splade_rs.adapters.mteb import SpladeSearchModel

mteb.evaluate(SpladeSearchModel("mini-ja-en"), mteb.get_tasks(["NanoNFCorpusRetrieval"]))
"""

import os
import tempfile
from collections.abc import Mapping
from typing import Any

from mteb.models.model_meta import ModelMeta

from ..index import Index
from ..searcher import Searcher
from ..sparse_encoder import SparseEncoder
from ._pairs import of_model
from .beir import text_of

__all__ = ["SpladeSearchModel"]


class SpladeSearchModel:
    """Has the methods of MTEB's ``SearchProtocol``."""

    def __init__(self, model: SparseEncoder | str = "mini-ja-en") -> None:
        self.model = of_model(model)
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._searcher: Searcher | None = None

    @property
    def mteb_model_meta(self) -> ModelMeta:
        """What MTEB writes beside its results."""
        name = os.path.basename(self.model._model.name)
        return ModelMeta.create_empty({"name": f"light-splade/{name}"})

    def index(self, corpus: Any, **settings: Any) -> None:
        """Indexes the rows of a corpus, with ``id``, ``text`` or ``body``, and possibly ``title``."""
        self._folder = tempfile.TemporaryDirectory()
        path = os.path.join(self._folder.name, "index")
        with Index.create(path, self.model, weights="f32") as index:
            index.add((row["id"], _text(row)) for row in corpus)
        self._searcher = Searcher(path, self.model)

    def search(
        self,
        queries: Any,
        *,
        top_k: int,
        top_ranked: Mapping[str, list[str]] | None = None,
        **settings: Any,
    ) -> dict[str, dict[str, float]]:
        """The best documents for each query; of those that are listed for it, where there is a list."""
        if self._searcher is None:
            raise ValueError("index a corpus before it is searched")
        ids = [str(row["id"]) for row in queries]
        texts = [row["text"] for row in queries]
        if top_ranked is None:
            found = self._searcher.search_many(texts, top_k)
        else:
            listed = [top_ranked.get(id, []) for id in ids]
            found = [
                self._searcher.search(text, top_k, filter=documents)
                for text, documents in zip(texts, listed, strict=True)
            ]
        return {id: {hit.id: hit.score for hit in hits} for id, hits in zip(ids, found, strict=True)}


def _text(row: Mapping[str, str]) -> str:
    return text_of({"title": row.get("title") or "", "text": row.get("text") or row.get("body") or ""})

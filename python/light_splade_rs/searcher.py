"""An index that is open for search: by SPLADE, by BM25 and by both, with re-ranking, stored texts and snippets."""

import json
import os
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from . import _forms, _native
from ._model import Model, Path, check_texts
from ._native import Hit, Place
from ._progress import Callback, Reporter, reporter
from .cross_encoder import CrossEncoder
from .errors import InvalidArgumentError, SearchIndexError
from .explanation import Share, Shares
from .index import model_of
from .snippet import Snippet
from .sparse_encoder import SparseEncoder, is_one
from .vectors import SparseVectors

__all__ = ["Hit", "Place", "Searcher", "StoredDocument"]

#: The number of hits that a cross-encoder ranks, if nothing is said.
RERANK_TOP = 50

#: Hits, or their ids.
Hits = Iterable[Hit | str]


class StoredDocument(NamedTuple):
    """What an index stores of a document. The title is empty where the document has none."""

    title: str
    text: str

    @property
    def full_text(self) -> str:
        """The text that was encoded: the title, a blank and the text."""
        return f"{self.title} {self.text}".strip() if self.title else self.text


class Searcher:
    """An index that is open for search, in the state of its last commit. Many threads may use it at once.

    >>> from light_splade_rs import Searcher
    >>> searcher = Searcher(folder)  # doctest: +SKIP
    >>> searcher.search("首都", k=1)  # doctest: +SKIP
    [Hit(id="tokyo", score=9.5178)]
    """

    def __init__(
        self,
        folder: Path,
        encoder: SparseEncoder | Path | None = None,
        *,
        threads: int | None = None,
    ) -> None:
        """Opens an index.

        Args:
            folder: The folder of the index.
            encoder: The model that encodes queries; the one that the index names if left out. It is loaded when the
                first query is a text.
            threads: The number of threads that search many queries; one a core if left out.
        """
        self.path = os.fspath(folder)
        self.threads = threads
        self._model = None if encoder is None else model_of(encoder)
        encoding = None if self._model is None else self._model.native
        self._native = _native.Searcher(folder, encoding)
        self._provenance = json.loads(self._native.provenance() or "{}") or {}

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return _searcher, (self.path, self._model, self.threads)

    @property
    def info(self) -> dict[str, Any]:
        """The size and the state of the index: ``documents``, ``postings``, ``bytes``, ``stored_bytes`` (None where it
        stores no texts), ``bm25`` (None where it has none) and others."""
        return self._native.info()

    def _encoder(self) -> Model:
        if self._model is None:
            name = self._provenance.get("model")
            if name is None:
                message = f"the index {self.path} was built of vectors and names no model"
                raise SearchIndexError(message, "give Searcher an encoder, or search vectors")
            model = Model(name, side="query")
            # Refuses a model that has changed since.
            self._native = _native.Searcher(self.path, model.native)
            self._model = model
        return self._model

    def search(
        self,
        query: Any,
        k: int = 10,
        *,
        mode: str = "splade",
        filter: Iterable[str] | None = None,
        threshold: float | None = None,
        recall: float | None = None,
        fusion: str | None = None,
        rrf_k: float | None = None,
        weights: Sequence[float] | None = None,
        depth: int | None = None,
        rerank: CrossEncoder | None = None,
        rerank_top: int | None = None,
    ) -> list[Hit]:
        """The best documents for a query, in descending order of their scores.

        Args:
            query: A text, or a vector, (vocabulary,). BM25, hybrid search and re-ranking need a text.
            k: The number of documents.
            mode: ``"splade"`` (the vectors of the model), ``"bm25"``, or ``"hybrid"`` (both, joined). The last two need
                an index that was created with ``bm25``.
            filter: The ids of the documents that may be found.
            threshold: The least score; not for ``"hybrid"``.
            recall: Searches the vectors approximately, for this share of the true hits, which is faster; exactly if left
                out. BM25 is always searched exactly.
            fusion: How ``"hybrid"`` joins both rankings: ``"rrf"``, which is the default, adds ``1 / (rrf_k + rank)``,
                and ``"minmax"`` adds the scores, which are scaled to 0 to 1 in each ranking.
            rrf_k: The constant of ``"rrf"``; 60 if left out.
            weights: How much SPLADE and BM25 count in ``"hybrid"``, in this order; 1 each if left out.
            depth: The number of hits that SPLADE and BM25 each bring into ``"hybrid"``, at least `k`; 100 if left out.
            rerank: A cross-encoder that ranks the best hits anew by their stored texts. The index must have been created
                with ``store=True``.
            rerank_top: The number of hits that it ranks, at least `k`; 50 if left out.

        Returns:
            Hits with ``id`` and ``score``. Those of ``"hybrid"`` have their places in both rankings as ``splade`` and
            ``bm25`` (``None`` where a ranking does not have the document), and those of a cross-encoder the place before
            it as ``before``; a place has ``rank``, from 1, and ``score``.
        """
        queries = [query] if isinstance(query, str) or not is_one(query) else query
        [hits] = self.search_many(
            queries,
            k,
            mode=mode,
            filter=filter,
            threshold=threshold,
            recall=recall,
            fusion=fusion,
            rrf_k=rrf_k,
            weights=weights,
            depth=depth,
            rerank=rerank,
            rerank_top=rerank_top,
        )
        return hits

    def search_many(
        self,
        queries: Any,
        k: int = 10,
        *,
        mode: str = "splade",
        filter: Iterable[str] | None = None,
        threshold: float | None = None,
        recall: float | None = None,
        fusion: str | None = None,
        rrf_k: float | None = None,
        weights: Sequence[float] | None = None,
        depth: int | None = None,
        rerank: CrossEncoder | None = None,
        rerank_top: int | None = None,
        callback: Callback | None = None,
    ) -> list[list[Hit]]:
        """The best documents for each of many queries, which are searched on all threads; arguments as for `search`.

        Args:
            queries: Texts, or vectors in any form that `encode` returns, (queries, vocabulary).
            callback: Is called with each event: its kind, and a dictionary of its values.
        """
        of_hybrid = {"fusion": fusion, "rrf_k": rrf_k, "weights": weights, "depth": depth}
        _check_mode(mode, threshold, recall, of_hybrid)
        if rerank is None and rerank_top is not None:
            raise InvalidArgumentError("rerank_top is for a search with rerank")
        for name, number in (("k", k), ("depth", depth), ("rerank_top", rerank_top)):
            if number is not None and number < 1:
                raise InvalidArgumentError(f"{name} is {number}", "give a number above 0")
        how = {
            "k": k if rerank is None else max(k, RERANK_TOP if rerank_top is None else rerank_top),
            "threshold": threshold,
            "filter": None if filter is None else list(filter),
            "recall": recall,
        }
        report = reporter(callback)
        is_texts = isinstance(queries, (list, tuple)) and all(isinstance(query, str) for query in queries)
        if not is_texts:
            if mode != "splade" or rerank is not None:
                raise InvalidArgumentError("BM25 and re-ranking need queries that are texts")
            return self._native.search_vectors(_forms.arrays(self._vectors(queries)), how, self.threads, report)
        texts = check_texts(queries)
        if mode == "hybrid":
            fusing = {"method": fusion or "rrf", "rrf_k": rrf_k, "weights": None if weights is None else list(weights)}
            found = self._search_hybrid(texts, how, fusing, depth, report)
        elif mode == "bm25":
            found = self._native.search_bm25(self._encoder().native, texts, how, self.threads, report)
        else:
            found = self._search_texts(texts, how, report)
        if rerank is None:
            return found
        return [self.rerank(query, hits, rerank)[:k] for query, hits in zip(texts, found, strict=True)]

    def _search_texts(self, texts: list[str], how: dict[str, Any], report: Reporter) -> list[list[Hit]]:
        model = self._encoder()
        if model.max_active_dims is not None:
            vectors = model.encode(texts, "query", reporter=report)
            return self._native.search_vectors(_forms.arrays(vectors), how, self.threads, report)
        return self._native.search_texts(model.native, texts, how, self.threads, report)

    def _search_hybrid(
        self,
        texts: list[str],
        how: dict[str, Any],
        fusing: dict[str, Any],
        depth: int | None,
        report: Reporter,
    ) -> list[list[Hit]]:
        model = self._encoder()
        vectors = _forms.arrays(model.encode(texts, "query", reporter=report))
        return self._native.search_hybrid(model.native, texts, vectors, how, fusing, depth, self.threads, report)

    def rerank(self, query: str, hits: Hits, cross_encoder: CrossEncoder) -> list[Hit]:
        """Ranks hits anew by a cross-encoder, which reads the query and the stored text of each.

        Args:
            query: A text.
            hits: Hits of a search, or ids.
            cross_encoder: A model with one label.

        Returns:
            All hits, the best first, with the logits of the cross-encoder as their scores. Their places before are
            ``before``.
        """
        before = [hit if isinstance(hit, Hit) else Hit(hit, 0.0) for hit in hits]
        ranked = self._native.rerank(cross_encoder._native, query, [hit.id for hit in before])
        return [
            Hit(before[at].id, score, before[at].splade, before[at].bm25, Place(at + 1, before[at].score))
            for at, score in ranked
        ]

    def document(self, id: str) -> StoredDocument | None:
        """The title and the text of a document, or None where there is no such document or the index stores no text of
        it."""
        document = self._native.document(id)
        return None if document is None else StoredDocument(*document)

    def snippets(self, query: str, hits: Hits, max_chars: int = 160) -> list[Snippet | None]:
        """The passages of documents that fit a query best, with the words that match it.

        Args:
            query: A text.
            hits: Hits of a search, or ids.
            max_chars: The most characters of a passage.

        Returns:
            A snippet for each hit; None where the index stores no text of it.
        """
        if not self._native.stores():
            hint = "create the index again with store=True"
            raise SearchIndexError(f"the index {self.path} stores no texts, which snippets need", hint)
        if max_chars < 1:
            raise InvalidArgumentError(f"max_chars is {max_chars}", "give a number above 0")
        ids = [hit.id if isinstance(hit, Hit) else hit for hit in hits]
        found = self._native.snippets(self._encoder().native, query, ids, max_chars)
        return [None if parts is None else Snippet.of(id, *parts) for id, parts in zip(ids, found, strict=True)]

    def _vectors(self, queries: Any) -> Any:
        size = self._provenance.get("vocab") or _forms.width(queries)
        return _forms.vectors_of(queries, size)

    def explain(self, query: Any, id: str, *, mode: str = "splade") -> Shares:
        """What each term of a query gives to the score of a document, the largest first.

        Args:
            query: A text, or a vector, (vocabulary,); BM25 needs a text.
            id: The id of the document.
            mode: ``"splade"`` or ``"bm25"``.
        """
        if mode not in ("splade", "bm25"):
            hint = 'give "splade" or "bm25": the scores of a fusion are not sums over terms'
            raise InvalidArgumentError(f"mode is {mode!r}", hint)
        if mode == "bm25":
            if not isinstance(query, str):
                raise InvalidArgumentError("BM25 needs a query that is a text")
            shares = self._native.explain_bm25(self._encoder().native, query, id)
        elif isinstance(query, str):
            shares = self._native.explain(_forms.arrays(self._encoder().encode([query], "query")), id)
        else:
            shares = self._native.explain(_forms.arrays(self._vectors(query)), id)
        if shares is None:
            raise SearchIndexError(f"document {id!r} is not in the index")
        model = self._model
        name = (lambda term: f"[{term}]") if model is None else model.tokens.__getitem__
        return Shares(Share(name(term), *weights) for term, *weights in shares)

    def vector(self, id: str) -> Any:
        """The vector of a document as the index keeps it, or None where there is no such document."""
        arrays = self._native.vector(id)
        if arrays is None:
            return None
        tokens = None if self._model is None else self._model.tokens
        size = self._provenance.get("vocab") or int(arrays[1].max(initial=-1)) + 1
        return SparseVectors(*arrays, size, tokens)[0]

    def __repr__(self) -> str:
        return f"Searcher({self.path!r}, {self.info['documents']} documents)"


def _check_mode(mode: str, threshold: float | None, recall: float | None, of_hybrid: dict[str, Any]) -> None:
    """Refuses a mode that does not exist, and arguments of another one."""
    if mode not in ("splade", "bm25", "hybrid"):
        raise InvalidArgumentError(f"mode is {mode!r}", 'give "splade", "bm25" or "hybrid"')
    if mode == "hybrid" and threshold is not None:
        raise InvalidArgumentError("a hybrid search has no threshold: its scores are of a fusion", "leave out threshold")
    if mode == "bm25" and recall is not None:
        raise InvalidArgumentError("BM25 is always searched exactly", "leave out recall")
    given = [name for name, value in of_hybrid.items() if value is not None]
    if mode != "hybrid" and given:
        raise InvalidArgumentError(f"{given[0]} is for hybrid searches", 'give mode="hybrid"')


def _searcher(path: str, model: Model | None, threads: int | None) -> Searcher:
    searcher = Searcher(path, threads=threads)
    searcher._model = model
    return searcher
